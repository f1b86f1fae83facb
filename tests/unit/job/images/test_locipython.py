# SPDX-License-Identifier: Apache-2.0
"""How the Python part of a LOCI image is made: by what the image has, the tarball holds and the project says."""

from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Completed
from stxbuildah.errors import InputError
from stxbuildah.job.images.locipython import ENVIRONMENT, PythonBuild, plan_python2, plan_python3, stage
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.model.tree import Entry, Kind

SITE = "/usr/lib/python3/dist-packages"
Files = dict[str, bytes | Entry | tuple[Entry, bytes]]
PYTHON: Files = {
    "/etc/os-release": b"ID=debian\nVERSION_ID=13\n",
    "/usr/bin/python3": Entry(Kind.SYMLINK, target="python3.13"),
    "/usr/bin/python3.13": (Entry(Kind.FILE, mode=0o755), b"\x7fELF"),
    "/usr/lib/python3.13/os.py": b"",
    "/usr/lib/python3.13/site.py": b"# dist-packages",
}
PIP: Files = {
    f"{SITE}/pip-25.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pip\nVersion: 25.0\n",
    f"{SITE}/pip/_vendor/urllib3/__init__.py": b"",
}
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=61", "tomli; python_version < \'3.11\'"]\n'


def plan(
    folder: Path,
    files: Files,
    *wheels: str,
    pyproject: str = "",
    setup: str = "",
    mirror: bool = False,
) -> PythonBuild:
    tree = MemoryTree(files)
    (folder / "wheels").mkdir()
    for name in wheels:
        (folder / "wheels" / name).touch()
    checkout = None
    if pyproject or setup:
        checkout = folder / "project"
        checkout.mkdir()
        (checkout / "pyproject.toml").write_text(pyproject)
        (checkout / "setup.py").write_text(setup)
    inventory = take_inventory(tree, "/usr/bin")
    return plan_python3(tree, inventory, folder / "wheels", checkout, mirror=mirror)


def test_pip_comes_from_the_tarball_the_image_or_a_package(tmp_path: Path) -> None:
    for number, (files, wheels, packages) in enumerate(
        [
            (PYTHON, ["pip-25.0-py3-none-any.whl"], ()),
            ({**PYTHON, "/usr/share/python-wheels/pip-24.0-py3-none-any.whl": b""}, [], ()),
            ({**PYTHON, "/usr/lib/python3.13/ensurepip/_bundled/pip-24.0-py3-none-any.whl": b""}, [], ()),
            ({**PYTHON, **PIP}, [], ()),
            (PYTHON, [], ("python3-pip-whl",)),
            ({**PYTHON, "/etc/os-release": b"ID=debian\nVERSION_ID=11\n"}, [], ("python-pip-whl",)),
            ({**PYTHON, "/etc/os-release": b"ID=fedora\nVERSION_ID=41\n"}, [], ("python3-pip-wheel",)),
            # Taken apart by its distribution, it cannot be taken along.
            ({**PYTHON, **{path: data for path, data in PIP.items() if "_vendor" not in path}}, [],
             ("python3-pip-whl",)),
        ]
    ):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        assert plan(folder, {**files}, *wheels).packages == packages, number


def test_what_the_tarball_has_is_used_to_build(tmp_path: Path) -> None:
    found = plan(tmp_path, {**PYTHON, **PIP}, "setuptools-78.1-py3-none-any.whl", pyproject=SETUPTOOLS)
    assert (found.isolated, found.packages, found.interpreter) == (True, (), "/usr/bin/python3.13")


def test_what_the_tarball_lacks_is_the_distributions(tmp_path: Path) -> None:
    setup = "from setuptools import setup\nsetup(setup_requires=['pbr>=2.0'], pbr=True)\n"
    legacy = '[build-system]\nrequires = ["setuptools>=61", "wheel"]\n'
    wheel = f"{SITE}/wheel-0.46.dist-info/METADATA"
    files = {**PYTHON, **PIP, wheel: b"Metadata-Version: 2.1\nName: wheel\nVersion: 0.46\n"}
    found = plan(tmp_path, files, "setuptools-60.0-py3-none-any.whl", pyproject=legacy, setup=setup)
    assert (found.isolated, found.packages) == (False, ("python3-setuptools", "python3-pbr", "git"))


def test_a_mirror_has_what_the_tarball_lacks(tmp_path: Path) -> None:
    assert plan(tmp_path, {**PYTHON, **PIP}, pyproject=SETUPTOOLS, mirror=True).isolated


def test_a_project_that_does_not_say_how_it_is_built_is_refused(tmp_path: Path) -> None:
    tree = MemoryTree(PYTHON)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither"):
        plan_python3(tree, take_inventory(tree, "/usr/bin"), tmp_path, tmp_path / "empty", mirror=False)


def test_python2_needs_its_programs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no python2 and no virtualenv"):
        plan_python2(MemoryTree(PYTHON), tmp_path, None, image="base:1")
    found = plan_python2(
        MemoryTree({"/usr/bin/python2": b"", "/usr/bin/virtualenv": b""}), tmp_path, None, image="base:1"
    )
    assert found.programs()[0].argv[:2] == ("virtualenv", "--python=python2")


def test_the_programs_in_their_order() -> None:
    plain = PythonBuild(requirements=("six",), upgrades=("pip",), constraints=True)
    made = [program.argv for program in plain.programs()]
    assert [argv[:4] for argv in made] == [
        ("python3", "-B", "/run/stxb-loci/environment.py", "make"),
        (f"{ENVIRONMENT}/bin/python", "-m", "pip", "install"),
        (f"{ENVIRONMENT}/bin/python", "-m", "pip", "install"),
    ]
    assert ("--upgrade" in made[1], "--constraint" in made[1]) == (True, False)
    assert made[2][-2:] == ("/run/stxb-wheels/upper-constraints.txt", "six")
    assert len(PythonBuild().programs()) == 1

    isolated, own = (
        [program.argv for program in attrs.evolve(plain, upgrades=(), project=True, isolated=flag).programs()]
        for flag in (True, False)
    )
    assert isolated[1][3:4] == ("wheel",)
    assert own[1][3:] == ("build", ENVIRONMENT, "/run/stxb-loci/source", "/run/stxb-loci/built")
    assert isolated[2] == own[2]
    assert own[2][3:5] == ("install", f"{ENVIRONMENT}/bin/python")


def test_what_the_tarball_lacks_is_told() -> None:
    program = PythonBuild(requirements=("six",)).programs()[-1]
    tail = (
        "ERROR: Could not find a version that satisfies the requirement yaql>=1 (from demo)",
        "ERROR: No matching distribution found for yaql>=1 (from demo)",
    )
    error = program.failed(Completed(argv=program.argv, returncode=1, stdout=b"", tail=tail))
    assert "the tarball of wheels has no yaql>=1 that fits" in error.message
    other = program.failed(Completed(argv=program.argv, returncode=2, stdout=b"", tail=("x",)))
    assert "exit status 2" in other.message


def test_no_url_of_a_mirror_is_in_a_command(tmp_path: Path) -> None:
    variables = stage(tmp_path, mirror="https://user:secret@index.example/simple")
    assert "secret" in (tmp_path / "pip.conf").read_text()
    assert "secret" not in str(variables)
    with_index = stage_without(tmp_path / "other")
    assert "no-index = true" in with_index


def stage_without(folder: Path) -> str:
    folder.mkdir()
    stage(folder, mirror="")
    return (folder / "pip.conf").read_text()
