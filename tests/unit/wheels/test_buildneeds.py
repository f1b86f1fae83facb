# SPDX-License-Identifier: Apache-2.0
"""How a project is built, read from its files without executing any."""

from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.wheels.buildneeds import BuildNeeds, parse_need, read_needs


def needs(folder: Path, **files: str) -> BuildNeeds:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return read_needs(folder)


def shown(found: BuildNeeds) -> tuple[str, list[str]]:
    return found.backend, [str(one) for one in found.requires]


def test_pyproject_says_it(tmp_path: Path) -> None:
    text = """\
[build-system]
requires = ["flit_core >=3.8,<4", "tomli; python_version < '3.11'"]
build-backend = "backend:inner.object"
backend-path = ["tools"]
"""
    found = needs(tmp_path, pyproject_toml=text)
    assert shown(found) == ("backend:inner.object", ["flit_core<4,>=3.8", 'tomli; python_version < "3.11"'])
    assert (found.backend_path, found.asks) == (("tools",), True)


def test_a_project_with_nothing_but_setup_py(tmp_path: Path) -> None:
    setup = "import setuptools, os\nsetuptools.setup(setup_requires=['pbr>=2', 'wheel', os.name])\n"
    config = "[options]\nsetup_requires =\n    cffi>=1\n    six; python_version < '3'\n"
    assert shown(needs(tmp_path, setup_py=setup, setup_cfg=config)) == (
        "setuptools.build_meta:__legacy__",
        ["setuptools>=40.8.0", "wheel", "pbr>=2", "wheel", "cffi>=1"],
    )


@pytest.mark.parametrize("setup", ["print 'two'\n", "def (", "\x00", "(" * 500])
def test_a_setup_py_that_this_python_cannot_read_is_left_to_the_container(tmp_path: Path, setup: str) -> None:
    assert shown(needs(tmp_path, setup_py=setup))[1] == ["setuptools>=40.8.0", "wheel"]


def test_setuptools_is_asked_only_where_something_may_come_of_it(tmp_path: Path) -> None:
    assert not needs(tmp_path, setup_py="import setuptools\nsetuptools.setup()\n").asks
    # In a helper of setup.py; in setup.cfg.
    assert needs(tmp_path, helper_py="settings = {'setup_requires': find()}\n").asks
    assert needs(tmp_path, helper_py="", setup_cfg="[options]\nsetup_requires = six; python_version < '3'\n").asks


def test_a_pyproject_that_is_for_other_tools_alone(tmp_path: Path) -> None:
    assert shown(needs(tmp_path, pyproject_toml="[tool.black]\n", setup_py="")) == (
        "setuptools.build_meta:__legacy__",
        ["setuptools>=40.8.0", "wheel"],
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[build-system", "pyproject.toml cannot be read"),
        ("build-system = 3", "build-system is no table"),
        ("[build-system]\nrequires = 'a'", "requires of build-system is no list of texts"),
        ("[build-system]\nrequires = ['a b c']", "'a b c', which is no requirement"),
        ("[build-system]\nrequires = ['a @ https://h/a.whl']", "a from a URL"),
        ("[build-system]\nrequires = []\nbuild-backend = 'os; evil'", "is no name of an object"),
        ("[build-system]\nrequires = []\nbuild-backend = 'b'\nbackend-path = ['../..']", "backend-path leads out"),
        ("[build-system]\nrequires = []\nbuild-backend = 'b'\nbackend-path = ['/usr']", "backend-path leads out"),
    ],
)
def test_what_cannot_be_understood(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        needs(tmp_path, pyproject_toml=text)


def test_a_folder_without_a_build_file(tmp_path: Path) -> None:
    (tmp_path / "setup.py").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=r"neither pyproject\.toml nor setup\.py"):
        needs(tmp_path)


def test_one_need() -> None:
    assert parse_need("Cython>=3").name == "Cython"
    with pytest.raises(InputError, match="no requirement"):
        parse_need("-r file")
