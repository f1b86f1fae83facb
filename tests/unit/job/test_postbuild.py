# SPDX-License-Identifier: Apache-2.0
"""What is taken out of an image after its build, decided from its files alone."""

from pathlib import Path

import pytest

from stxbuildah.job.images.postbuild import Removals, find_removals
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.model.imagebuild import PostBuild
from tests.unit.layer.test_rpmdb import Value, header, sqlite_file
from tests.unit.layer.test_uninstall import LOCAL, PATH, PYTHON, SITE, VENV, module

STATUS = "".join(
    f"Package: {name}\nStatus: {status}\nVersion: 1\nArchitecture: {architecture}\n\n"
    for name, status, architecture in (
        ("python3-pip", "install ok installed", "all"),
        ("libfoo", "install ok installed", "amd64"),
        ("gone", "deinstall ok config-files", "all"),
    )
).encode()


@pytest.mark.parametrize(
    ("names", "packages"),
    [
        (("python3-pip", "python-pip-whl"), ("python3-pip",)),
        (("libfoo:amd64", "libfoo", "libfoo"), ("libfoo:amd64", "libfoo")),
        (("libfoo:arm64", "gone", "absent"), ()),
        ((), ()),
    ],
)
def test_only_what_dpkg_has_is_removed(names: tuple[str, ...], packages: tuple[str, ...]) -> None:
    wanted = PostBuild(remove_python_packages=(), remove_os_packages=names)
    found = find_removals(MemoryTree({"/var/lib/dpkg/status": STATUS}), PATH, wanted)
    assert found == Removals(manager="dpkg" if packages else "", packages=packages)


def test_only_what_rpm_has_is_removed(tmp_path: Path) -> None:
    tags: dict[int, Value] = {1000: "python3-pip", 1001: "23", 1002: "1", 1022: "noarch"}
    database = sqlite_file(tmp_path, (header(tags),), write_ahead=False)
    found = find_removals(MemoryTree({"/var/lib/rpm/rpmdb.sqlite": database}), PATH, PostBuild())
    assert found == Removals(manager="rpm", packages=("python3-pip",))


def test_pip_goes_by_default_from_both_environments() -> None:
    tree = MemoryTree({**PYTHON, **module(SITE, "pip", scripts=f"{VENV}/bin"), **module(LOCAL, "pip")})
    found = find_removals(tree, PATH, PostBuild())
    assert found.python.removed == (f"pip 1.0 in {SITE}", f"pip 1.0 in {LOCAL}")
    assert (found.manager, found.packages) == ("", ())
    assert find_removals(tree, PATH, PostBuild(remove_python_packages=(), remove_os_packages=())) == Removals()
