# SPDX-License-Identifier: Apache-2.0
import platform
import sys
import sysconfig
from pathlib import Path

import attrs
import pytest
from packaging.tags import Tag, sys_tags

from stxbuildah.errors import InputError
from stxbuildah.layer.compatibility import check_compatible, python_fits, supported_tags
from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.inventory import PythonEnvironment, SchemeKind
from tests.unit.layer.wheel_maker import make_wheel

SITE = "/usr/lib/python3.13/site-packages"
TRIXIE = PythonEnvironment(
    interpreter="/usr/bin/python3",
    real_interpreter="/usr/bin/python3.13",
    version=(3, 13),
    kind=SchemeKind.PREFIX,
    prefix="/usr",
    purelib=SITE,
    platlib=SITE,
    scripts="/usr/bin",
    data="/usr",
    headers="/usr/include/python3.13",
    search_path=(SITE,),
    machine="x86_64",
    glibc=(2, 41),
)
OLD = attrs.evolve(TRIXIE, version=(2, 7), glibc=(2, 17))
PYTHON_36 = attrs.evolve(TRIXIE, version=(3, 6), glibc=(2, 17))
ALPINE = attrs.evolve(TRIXIE, glibc=None, musl=(1, 2))
ARM = attrs.evolve(TRIXIE, machine="aarch64")


@pytest.mark.parametrize(
    ("tag", "environment", "fits"),
    [
        ("py3-none-any", TRIXIE, True),
        ("py2.py3-none-any", TRIXIE, True),
        ("py2.py3-none-any", OLD, True),
        ("py3-none-any", OLD, False),
        ("py2-none-any", TRIXIE, False),
        ("py313-none-any", TRIXIE, True),
        ("py311-none-any", TRIXIE, True),
        ("py314-none-any", TRIXIE, False),
        ("cp313-cp313-linux_x86_64", TRIXIE, True),
        ("cp313-cp313t-linux_x86_64", TRIXIE, False),
        ("cp311-cp311-linux_x86_64", TRIXIE, False),
        ("cp311-abi3-manylinux_2_28_x86_64", TRIXIE, True),
        ("cp314-abi3-manylinux_2_28_x86_64", TRIXIE, False),
        ("cp313-cp313-manylinux_2_41_x86_64", TRIXIE, True),
        ("cp313-cp313-manylinux_2_42_x86_64", TRIXIE, False),
        ("cp313-cp313-manylinux2014_x86_64", TRIXIE, True),
        ("cp313-cp313-manylinux2014_aarch64", TRIXIE, False),
        ("cp313-cp313-manylinux2014_aarch64", ARM, True),
        ("cp313-cp313-manylinux1_x86_64", TRIXIE, True),
        ("cp313-cp313-manylinux1_aarch64", ARM, False),
        ("cp313-cp313-manylinux_2_17_x86_64", ALPINE, False),
        ("cp313-cp313-musllinux_1_2_x86_64", ALPINE, True),
        ("cp313-cp313-musllinux_1_3_x86_64", ALPINE, False),
        ("cp313-cp313-musllinux_1_2_x86_64", TRIXIE, False),
        ("cp313-cp313-win_amd64", TRIXIE, False),
        ("cp313-cp313-macosx_11_0_arm64", TRIXIE, False),
        ("cp36-cp36m-manylinux2014_x86_64", PYTHON_36, True),
        ("cp36-cp36m-manylinux_2_28_x86_64", PYTHON_36, False),
        ("cp27-cp27mu-manylinux2010_x86_64", OLD, True),
        ("cp27-cp27m-manylinux2010_x86_64", OLD, False),
        ("cp27-none-linux_x86_64", OLD, True),
    ],
)
def test_a_wheel_fits_by_its_tags(tag: str, environment: PythonEnvironment, fits: bool) -> None:
    interpreter, abi, platforms = tag.split("-")
    asked = frozenset(Tag(part, abi, platforms) for part in interpreter.split("."))

    assert any(found in asked for found in supported_tags(environment, asked)) is fits


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="compares with a Python of glibc")
def test_the_tags_of_this_python_are_those_that_packaging_gives_it() -> None:
    major, minor = platform.libc_ver()[1].split(".")[:2]
    here = attrs.evolve(
        TRIXIE,
        version=sys.version_info[:2],
        machine=sysconfig.get_platform().removeprefix("linux-"),
        glibc=(int(major), int(minor)),
    )
    expected = set(sys_tags())

    assert set(supported_tags(here, frozenset(expected))) == expected


@pytest.mark.parametrize(
    ("value", "version", "fits"),
    [
        ("", (3, 11), True),
        (">=3.8", (3, 11), True),
        (">=3.12", (3, 11), False),
        (">=2.7, !=3.0.*, !=3.1.*", (2, 7), True),
        ("<3.11", (3, 11), False),
        (">=3.11.4", (3, 11), True),
        ("==3.11.4", (3, 11), True),
        ("!=3.11.0", (3, 11), True),
        ("!=3.11.*", (3, 11), False),
        ("~=3.10", (3, 11), True),
        ("<4", (3, 14), True),
        ("nonsense", (3, 11), True),
    ],
)
def test_requires_python_holds_when_some_release_fits(value: str, version: tuple[int, int], fits: bool) -> None:
    assert python_fits(value, version) is fits


def test_the_error_names_the_wheel_and_the_image(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, tag="cp39.cp310-abi4-manylinux2014_x86_64")

    with pytest.raises(InputError) as caught:
        check_compatible(read_wheel(path), TRIXIE)

    assert caught.value.message == (
        f"{path}: is for cp310-abi4-manylinux2014_x86_64, cp39-abi4-manylinux2014_x86_64; "
        "the image has Python 3.13 for x86_64 with glibc 2.41 (/usr/bin/python3)"
    )


def test_the_error_names_the_python_that_is_needed(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, metadata="Name: sample\nVersion: 1.0\nRequires-Python: <3.12\n")

    with pytest.raises(InputError) as caught:
        check_compatible(read_wheel(path), ALPINE)

    assert caught.value.message == (
        f"{path}: needs Python <3.12; the image has Python 3.13 for x86_64 with musl 1.2 (/usr/bin/python3)"
    )
