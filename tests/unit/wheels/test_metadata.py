# SPDX-License-Identifier: Apache-2.0
"""What a built wheel says of itself, and how its version is changed."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag
from packaging.version import Version

from stxbuildah.errors import BuildError
from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.module import BuiltModule
from stxbuildah.wheels.metadata import examine, read_metadata, with_version
from tests.unit.layer.wheel_maker import EXECUTABLE, make_wheel

METADATA = """\
Metadata-Version: 2.1
Name: sample
Version: 1.0
Summary: Version: of a test

Version: 9 in the description
"""


def test_name_version_and_tags(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path, "Sample.Module", "1.0", tag="py2.py3-none-any", filename="Sample.Module-1.0-py2.py3-none-any.whl"
    )
    assert examine(wheel) == BuiltModule(
        wheel=wheel,
        name="sample-module",  # type: ignore[arg-type]
        version=Version("1.0"),
        tags=frozenset({Tag("py2", "none", "any"), Tag("py3", "none", "any")}),
    )


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n", "its metadata are those of other 1.0"),
        ("Metadata-Version: 2.1\nName: sample\nVersion: 1.1\n", "its metadata are those of sample 1.1"),
        ("Metadata-Version: 2.1\nName: sample\n", "Invalid version: ''"),
    ],
)
def test_metadata_that_contradict_the_name(tmp_path: Path, metadata: str, sentence: str) -> None:
    with pytest.raises(BuildError, match=sentence):
        examine(make_wheel(tmp_path, metadata=metadata))


def test_what_is_no_wheel(tmp_path: Path) -> None:
    text = tmp_path / "sample-1.0-py3-none-any.whl"
    text.write_text("no zip")
    with pytest.raises(BuildError, match="is no readable wheel: File is not a zip file"):
        read_metadata(text)
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("sample.py", "")
    with pytest.raises(BuildError, match=r"has 0 \.dist-info folders where a wheel has one"):
        read_metadata(text)
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("sample-1.0.dist-info/RECORD", "")
    with pytest.raises(BuildError, match="has no METADATA file"):
        read_metadata(text)


def test_a_wheel_reports_another_version_and_is_sound(tmp_path: Path) -> None:
    old = make_wheel(
        tmp_path,
        metadata=METADATA,
        entry_points="[console_scripts]\nrun = sample:main\n",
        files={
            "sample.py": b"VERSION = '1.0'\n",
            "sample-1.0.data/scripts/tool": b"#!python\n",
            "sample-1.0.dist-info/licenses/LICENSE": b"free",
            "sample-1.0x/data": b"no folder of the metadata",
        },
        modes={"sample-1.0.data/scripts/tool": EXECUTABLE},
        extra=[("sample-1.0.dist-info/RECORD.jws", b"{}")],
    )
    before = old.read_bytes()
    (tmp_path / "new").mkdir()
    new = with_version(old, Version("2.0.dev3+stx.1"), tmp_path / "new")
    assert old.read_bytes() == before
    assert new.name == "sample-2.0.dev3+stx.1-py3-none-any.whl"
    # read_wheel checks names and every hash of RECORD.
    read = read_wheel(new)
    assert (read.name, read.version) == ("sample", Version("2.0.dev3+stx.1"))
    with zipfile.ZipFile(old) as one, zipfile.ZipFile(new) as other:
        names = {name: name.replace("sample-1.0.d", "sample-2.0.dev3+stx.1.d") for name in one.namelist()}
        del names["sample-1.0.dist-info/RECORD.jws"]
        assert sorted(other.namelist()) == sorted(names.values())
        for name, renamed in names.items():
            assert other.getinfo(renamed).external_attr == one.getinfo(name).external_attr
            assert other.getinfo(renamed).date_time == one.getinfo(name).date_time
            if not name.endswith(("/METADATA", "/RECORD")):
                assert other.read(renamed) == one.read(name)
    assert read_metadata(new).decode() == METADATA.replace("Version: 1.0\n", "Version: 2.0.dev3+stx.1\n")


@given(
    st.from_regex(
        r"\A[1-9]?[0-9](\.[0-9]{1,2}){0,3}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?(\+[a-z0-9]{1,4}(\.[0-9])?)?\Z"
    )
)
def test_any_version_can_be_reported(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("versions")
    (folder / "new").mkdir()
    wheel = with_version(make_wheel(folder), Version(text), folder / "new")
    assert read_wheel(wheel).version == Version(text)
    assert examine(wheel).version == Version(text)
