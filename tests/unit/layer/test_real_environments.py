# SPDX-License-Identifier: Apache-2.0
"""The inventory of real environments against what Python and pip say in them."""

import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from stxbuildah.layer.environment import find_environment
from stxbuildah.layer.installed_files import emptied_directories, files_of
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.requirements import freeze, unmet
from stxbuildah.model.inventory import Inventory, PythonEnvironment
from tests.unit.layer.directory_tree import DirectoryTree

FACTS = """
import json, site, sys, sysconfig
from importlib import metadata
names = {}
for one in metadata.distributions():
    names.setdefault(one.metadata["Name"], one.version)
print(json.dumps({
    "version": list(sys.version_info[:2]), "prefix": sys.prefix, "paths": sysconfig.get_paths(),
    "search": [p for p in sys.path if p and not p.endswith(".zip") and "lib-dynload" not in p],
    "stdlib": sysconfig.get_path("stdlib"), "site": site.getsitepackages(), "names": names,
}))
"""


@attrs.frozen
class Facts:
    version: tuple[int, int]
    prefix: str
    paths: Mapping[str, str]
    search: list[str]
    site: list[str]
    names: Mapping[str, str]


def facts_of(interpreter: str) -> Facts:
    done = subprocess.run(
        [interpreter, "-I", "-c", FACTS], check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    said = json.loads(done.stdout)
    search = [folder for folder in said["search"] if folder != said["stdlib"]]
    major, minor = said["version"]
    return Facts((major, minor), said["prefix"], said["paths"], search, said["site"], said["names"])


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: str = "") -> Path:
    """Write a pure wheel; paths of ``files`` that start with ``.data/`` or ``.dist-info/`` get the wheel's name."""
    start = f"{name}-{version}"
    content = {(start + path if path.startswith(".") else path): text for path, text in files.items()}
    content[f"{start}.dist-info/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}\nA description:\nName: not this\n"
    )
    content[f"{start}.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = f"{start}.dist-info/RECORD"
    lines = []
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f'"{path}",sha256={digest},{len(text)}' if "," in path else f"{path},sha256={digest},{len(text)}")
    content[record] = "\n".join([*lines, f"{record},,", ""])
    wheel = folder / f"{start}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return wheel


ALPHA = {
    "alpha/__init__.py": "def main():\n    print('alpha')\n",
    "alpha/deep/er/__init__.py": "",
    "alpha/deep/er/a,b.txt": "x",
    "alpha_single.py": "",
    ".dist-info/entry_points.txt": "[console_scripts]\nalpha = alpha:main\n[gui_scripts]\nalpha-gui = alpha:main\n",
    ".data/data/share/alpha/file.txt": "x",
    ".data/data/etc/alpha.conf": "x",
    ".data/scripts/alpha-script": "#!python\n",
    ".data/headers/alpha.h": "",
}
BETA = {"shared/beta/__init__.py": "", "shared/beta/part.py": ""}
GAMMA = {"shared/gamma/__init__.py": ""}


def pip() -> list[str]:
    for interpreter in (sys.executable, "/usr/bin/python3"):
        if Path(interpreter).exists() and (interpreter != sys.executable or importlib.util.find_spec("pip")):
            return [interpreter, "-I", "-m", "pip", "--disable-pip-version-check", "--no-color"]
    pytest.skip("no pip to compare with")


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("real")
    target = Path(os.path.realpath(base)) / "venv"
    install = [*pip(), "--python", f"{target}/bin/python", "install", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", target], check=True, capture_output=True)
    wheels = [
        make_wheel(base, "Alpha.Dist", "1.0", ALPHA, "Requires-Dist: shared-beta>=2\nRequires-Python: >=3.7\n"),
        make_wheel(base, "shared_beta", "1.5", BETA, "Requires-Dist: missing ; python_version > '3'\n"),
        make_wheel(base, "shared_gamma", "2.0.0rc1", GAMMA, "Requires-Dist: none; extra == 'more'\n"),
    ]
    subprocess.run(
        [*install, *map(str, wheels)],
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(base)},
    )
    subprocess.run([target / "bin" / "python", "-I", "-m", "compileall", "-q", target / "lib"], check=True)
    return target


@pytest.fixture(scope="module")
def inventory(venv: Path) -> Inventory:
    return take_inventory(DirectoryTree(), f"{venv}/bin:/usr/bin")


def environment_of(inventory: Inventory) -> PythonEnvironment:
    assert inventory.environment is not None
    return inventory.environment


def test_a_venv_is_laid_out_as_its_python_says(venv: Path, inventory: Inventory) -> None:
    facts, environment = facts_of(f"{venv}/bin/python3"), environment_of(inventory)
    assert environment.interpreter == f"{venv}/bin/python3"
    assert environment.real_interpreter == os.path.realpath(f"{venv}/bin/python3")
    assert (environment.version, environment.prefix) == (facts.version, facts.prefix)
    assert {
        "purelib": environment.purelib,
        "platlib": environment.platlib,
        "scripts": environment.scripts,
        "data": environment.data,
    } == {name: os.path.realpath(facts.paths[name]) for name in ("purelib", "platlib", "scripts", "data")}
    assert list(environment.search_path) == list(dict.fromkeys(os.path.realpath(path) for path in facts.search))


def test_a_venv_shows_what_importlib_shows(venv: Path, inventory: Inventory) -> None:
    shown = {one.display_name: one.version for one in inventory.distributions}
    assert shown == facts_of(f"{venv}/bin/python3").names
    assert {one.name for one in inventory.distributions} == {"alpha-dist", "shared-beta", "shared-gamma"}
    assert {one.installer for one in inventory.distributions} == {"pip"}


def test_freeze_and_check_are_those_of_pip(venv: Path, inventory: Inventory) -> None:
    def said(*arguments: str) -> list[str]:
        done = subprocess.run(
            [*pip(), "--python", venv / "bin" / "python", *arguments], check=False, capture_output=True, text=True
        )
        return done.stdout.splitlines()

    environment = environment_of(inventory)
    assert list(freeze(inventory.distributions, environment)) == said("freeze")
    assert len(said("check")) == 2
    assert unmet(inventory.distributions, environment) == (
        "Alpha.Dist 1.0 requires shared-beta>=2, but shared_beta 1.5 is installed",
        "shared_beta 1.5 requires missing, which is not installed",
    )


def everything_in(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["shared-gamma", "alpha-dist", "shared-beta"])
def test_all_that_pip_removes_is_told_beforehand(venv: Path, name: str) -> None:
    tree = DirectoryTree()
    inventory = take_inventory(tree, f"{venv}/bin")
    environment = environment_of(inventory)
    (distribution,) = (one for one in inventory.distributions if one.name == name)
    files = files_of(tree, environment, distribution)
    folders = set(emptied_directories(tree, environment, files))
    before = everything_in(venv)
    argv = [*pip(), "--python", f"{venv}/bin/python", "uninstall", "--yes", name]
    subprocess.run(argv, check=True, capture_output=True)
    gone = before - everything_in(venv)
    # pip also removes the headers' folder; a layer keeps the folders of the environment itself.
    own = {environment.headers, str(Path(environment.headers).parent)}
    assert gone - own - folders == set(files)
    # pip leaves some folders that hold nothing any more; we do not.
    assert not [left for folder in folders - gone for left in Path(folder).rglob("*") if not left.is_dir()]


DEBIAN_PYTHON = Path("/usr/bin/python3")


@pytest.mark.skipif(
    not Path("/var/lib/dpkg/status").exists() or not DEBIAN_PYTHON.exists(), reason="not a Debian with Python"
)
def test_debians_python_is_laid_out_as_it_says() -> None:
    facts = facts_of(str(DEBIAN_PYTHON))
    tree = DirectoryTree()
    environment = find_environment(tree, "/usr/bin")
    assert environment is not None
    names = ("purelib", "platlib", "scripts", "data")
    assert (environment.version, environment.prefix) == (facts.version, facts.prefix)
    assert {name: getattr(environment, name) for name in names} == {name: facts.paths[name] for name in names}
    assert environment.headers == facts.paths["include"]
    # What site would add, whether or not it is there.
    assert environment.search_path[: len(facts.site)] == tuple(facts.site)
    assert [path for path in environment.search_path if Path(path).is_dir()] == facts.search
    shown = {one.display_name: one.version for one in take_inventory(tree, "/usr/bin").distributions}
    assert shown == facts.names


def test_the_python_of_these_tests_is_laid_out_as_it_says() -> None:
    facts = facts_of(sys.executable)
    environment = find_environment(DirectoryTree(), "", sys.executable)
    assert environment is not None
    names = ("purelib", "platlib", "scripts", "data")
    assert environment.version == facts.version
    assert {name: getattr(environment, name) for name in names} == {
        name: os.path.realpath(facts.paths[name]) for name in names
    }
