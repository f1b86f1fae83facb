# SPDX-License-Identifier: Apache-2.0
"""What ``setup.py develop`` and ``setup.py install`` leave, by a real setuptools, against what Python and pip say."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from stxbuildah.layer.installed_files import edits_of, emptied_directories, files_of
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.requirements import freeze
from stxbuildah.model.inventory import Inventory, MetadataFormat
from tests.unit.layer.directory_tree import DirectoryTree
from tests.unit.layer.test_real_environments import facts_of

PYTHON = "/usr/bin/python3"
SETUP = """
from setuptools import setup
setup(
    name="{name}.Pkg", version="1.0", packages=["{name}pkg"], scripts=["{name}-script"], zip_safe={zip_safe},
    extras_require={{"t": ["nose"]}}, entry_points={{"console_scripts": ["{name}={name}pkg:main"]}},
)
"""
COMMANDS = {
    "linked": ["develop"],
    "egg": ["install"],
    "zipped": ["install"],
    "plain": ["install", "--single-version-externally-managed", "--record=record"],
}


def run(*argv: str, cwd: Path | None = None, check: bool = True) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(argv, check=check, capture_output=True, text=True, cwd=cwd, env=environment).stdout


def has_old_setuptools() -> bool:
    """Tell whether the machine's Python can still install by setup.py; setuptools 80 took that away."""
    if not Path(PYTHON).exists():
        return False
    said = run(PYTHON, "-I", "-c", "import setuptools, pip; print(setuptools.__version__)", check=False)
    return bool(said) and int(said.partition(".")[0]) < 80


pytestmark = pytest.mark.skipif(not has_old_setuptools(), reason="no setuptools before version 80, or no pip")


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = Path(os.path.realpath(tmp_path_factory.mktemp("legacy")))
    run(PYTHON, "-I", "-m", "venv", "--system-site-packages", "--without-pip", str(base / "venv"))
    for name, command in COMMANDS.items():
        source = base / name
        (source / f"{name}pkg").mkdir(parents=True)
        (source / f"{name}pkg" / "__init__.py").write_text("def main():\n    print('here')\n")
        (source / f"{name}-script").write_text("#!/usr/bin/env python3\nprint('script')\n")
        (source / "setup.py").write_text(SETUP.format(name=name, zip_safe=name == "zipped"))
        run(f"{base}/venv/bin/python", "-W", "ignore", "setup.py", "-q", *command, cwd=source)
    return base / "venv"


@pytest.fixture
def inventory(venv: Path) -> Inventory:
    return take_inventory(DirectoryTree(), f"{venv}/bin")


def test_each_form_is_found_as_what_it_is(venv: Path, inventory: Inventory) -> None:
    own = {one.name: one.format for one in inventory.distributions if one.location.startswith(str(venv))}
    assert own == {
        "linked-pkg": MetadataFormat.EGG_LINK,
        "egg-pkg": MetadataFormat.EGG,
        "zipped-pkg": MetadataFormat.EGG,
        "plain-pkg": MetadataFormat.EGG_INFO,
    }


def test_python_sees_the_same_on_the_same_path(venv: Path, inventory: Inventory) -> None:
    facts = facts_of(f"{venv}/bin/python")
    assert inventory.environment is not None
    present = [path for path in inventory.environment.search_path if Path(path).exists()]
    assert present == list(dict.fromkeys(os.path.realpath(path) for path in facts.search))
    assert {one.display_name: one.version for one in inventory.distributions} == facts.names


def test_pip_freezes_the_same(venv: Path, inventory: Inventory) -> None:
    assert inventory.environment is not None
    own = [one for one in inventory.distributions if one.location.startswith(str(venv))]
    ours = freeze(own, inventory.environment)
    assert list(ours) == run(f"{venv}/bin/python", "-I", "-m", "pip", "freeze", "--local").splitlines()


FILES_OF = """
import json, sys
from importlib import metadata
print(json.dumps(sorted(
    one.metadata["Name"] for one in metadata.distributions() if one.metadata["Name"].endswith(".Pkg")
)))
"""


@pytest.mark.parametrize("name", ["linked", "egg", "zipped", "plain"])
def test_nothing_of_it_is_left_when_its_files_are_gone_and_the_rest_works(venv: Path, name: str) -> None:
    tree = DirectoryTree()
    inventory = take_inventory(tree, f"{venv}/bin")
    environment = inventory.environment
    assert environment is not None
    (distribution,) = (one for one in inventory.distributions if one.name == f"{name}-pkg")
    source = {path: path.stat().st_mtime_ns for path in (venv.parent / name).rglob("*")}
    files = files_of(tree, environment, distribution)
    folders, edits = emptied_directories(tree, environment, files), edits_of(tree, environment, distribution)
    for path in files:
        Path(path).unlink()
    for folder in reversed(folders):
        Path(folder).rmdir()
    for edit in edits:
        if edit.content is None:
            Path(edit.path).unlink()
        else:
            Path(edit.path).write_bytes(edit.content)
    assert not [path for path in venv.rglob("*") if path.name.startswith(name)]
    assert source == {path: path.stat().st_mtime_ns for path in (venv.parent / name).rglob("*")}
    said = json.loads(run(f"{venv}/bin/python", "-I", "-c", FILES_OF))
    assert said == [
        one.display_name for one in inventory.distributions if one.name.endswith("-pkg") and one != distribution
    ]
