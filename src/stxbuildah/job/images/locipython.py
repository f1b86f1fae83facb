# SPDX-License-Identifier: Apache-2.0
"""The Python of a LOCI image: its virtual environment, and what goes into it out of the tarball of wheels."""

import re
import shutil
from functools import partial
from pathlib import Path

import attrs
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from stxbuildah.engine.process import Completed
from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.images.wheelstarball import CONSTRAINTS
from stxbuildah.job.programs import Program
from stxbuildah.layer.paths import is_directory, is_file
from stxbuildah.model.inventory import Inventory, OsRelease
from stxbuildah.model.tree import FileTree
from stxbuildah.wheels.buildneeds import BuildNeeds, read_needs
from stxbuildah.wheels.buildpython import INSIDE

ENVIRONMENT = "/var/lib/openstack"
# In /run, of which nothing comes into a layer.
MOUNTED = "/run/stxb-loci"
MOUNTED_WHEELS = "/run/stxb-wheels"
# Where distributions keep wheels of pip, which ensurepip and virtualenv take.
_WHEEL_FOLDERS = ("/usr/share/python-wheels", "/usr/share/python3-wheels")
_BUNDLED = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_PROGRAM, _PIP_CONFIG, _SOURCE, _BUILT = "environment.py", "pip.conf", "source", "built"
# They ask git for versions, files and authors.
_ASK_GIT = frozenset(
    {
        *("dunamai", "hatch-vcs", "pbr", "poetry-dynamic-versioning", "setuptools-git", "setuptools-git-versioning"),
        *("setuptools-scm", "setuptools-scm-git-archive", "versioneer", "versioningit", "vcs-versioning"),
    }
)
_LACKING = re.compile(r"No matching distribution found for (.+?)(?: \(from .*)?$")
_TAIL = 20


@attrs.frozen(kw_only=True)
class PythonBuild:
    """How the Python part of an image is built.

    Attributes:
        interpreter: the image's Python 3, outside of any environment.
        folders: folders in the container that may hold pip's wheel.
        packages: distribution packages that are needed for it, and for nothing else.
        project: the checkout of a project is there, and becomes a wheel.
        isolated: its build requirements come from the tarball, or the mirror, and not from the image.
        python2: the environment is one of Python 2.
        constraints: the tarball has constraints.
        upgrades: what is upgraded before the rest.
        requirements: what is installed besides the project.
    """

    interpreter: str = "python3"
    folders: tuple[str, ...] = (MOUNTED_WHEELS,)
    packages: tuple[str, ...] = ()
    project: bool = False
    isolated: bool = True
    python2: bool = False
    constraints: bool = False
    upgrades: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    def programs(self) -> list[Program]:
        """Give the programs that make it, in order."""
        pip = (f"{ENVIRONMENT}/bin/python", "-m", "pip")
        install = ("--no-compile", "--only-binary", ":all:", "--no-cache-dir")
        constraints = ("--constraint", f"{MOUNTED_WHEELS}/{CONSTRAINTS}") if self.constraints else ()
        found = [self._environment()]
        if self.upgrades:
            found.append(_program("the upgrade of Python packages", *pip, "install", "--upgrade", *install,
                                  *self.upgrades))  # fmt: skip
        if self.project:
            built = f"{MOUNTED}/{_BUILT}"
            found.append(_program("the build of the project", *self._build(pip, built)))
            # Names the constraints itself: the project's own line does not count.
            told = (f"{ENVIRONMENT}/bin/python", built, f"{MOUNTED_WHEELS}/{CONSTRAINTS}")
            found.append(_program(_INSTALLATION, *self._inside("install"), *told, *install, *self.requirements))
        elif self.requirements:
            found.append(_program(_INSTALLATION, *pip, "install", *install, *constraints, *self.requirements))
        return found

    def _inside(self, command: str) -> tuple[str, ...]:
        return (self.interpreter, "-B", f"{MOUNTED}/{_PROGRAM}", command)

    def _environment(self) -> Program:
        what = "making the virtual environment"
        if self.python2:
            options = ("--python=python2", "--no-download", f"--extra-search-dir={MOUNTED_WHEELS}")
            return _program(what, "virtualenv", *options, ENVIRONMENT)
        return _program(what, *self._inside("make"), ENVIRONMENT, *self.folders)

    def _build(self, pip: tuple[str, ...], built: str) -> tuple[str, ...]:
        source = f"{MOUNTED}/{_SOURCE}"
        if not self.isolated:
            return (*self._inside("build"), ENVIRONMENT, source, built)
        return (*pip, "wheel", "--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--wheel-dir", built, source)


def stage(folder: Path, *, mirror: str) -> dict[str, str]:
    """Write what the programs need into the folder that is mounted for them.

    Args:
        folder: existing folder.
        mirror: package index to ask for what the tarball lacks; empty for none.

    Returns:
        Variables of the programs.
    """
    shutil.copyfile(INSIDE / _PROGRAM, folder / _PROGRAM)
    (folder / _BUILT).mkdir()
    # In a file: a mirror's URL may hold a password, which others would see in a command.
    index = f"index-url = {mirror}" if mirror else "no-index = true"
    (folder / _PIP_CONFIG).write_text(
        f"[global]\n{index}\nfind-links = {MOUNTED_WHEELS}\ndisable-pip-version-check = true\nno-input = true\n"
        "root-user-action = ignore\n",
        encoding="utf-8",
    )
    return {
        "PIP_CONFIG_FILE": f"{MOUNTED}/{_PIP_CONFIG}",
        # pip is run several times; what it is compiled to lies here for that long. Python 2 does without.
        "PYTHONPYCACHEPREFIX": f"{MOUNTED}/bytecode",
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
    }


def source_folder(folder: Path) -> Path:
    """Give where the project's checkout belongs in the folder that is mounted."""
    return folder / _SOURCE


def plan_python3(
    tree: FileTree, inventory: Inventory, wheels: Path, checkout: Path | None, *, mirror: bool
) -> PythonBuild:
    """Find out how a Python 3 environment is made in an image.

    Args:
        tree: the image.
        inventory: what is in it.
        wheels: the tarball's content.
        checkout: the project; None when there is none.
        mirror: what the tarball lacks is fetched.

    Raises:
        InputError: the project does not say how it is built.
    """
    environment = inventory.environment
    plan = PythonBuild(constraints=(wheels / CONSTRAINTS).is_file())
    packages: list[str] = []
    bundled: tuple[str, ...] = ()
    if environment is not None:
        version = ".".join(map(str, environment.version))
        bundled = tuple(f"{folder}/python{version}/ensurepip/_bundled" for folder in _BUNDLED)
        plan = attrs.evolve(plan, interpreter=environment.real_interpreter)
    folders = (*_WHEEL_FOLDERS, *bundled)
    inside = [name for folder in folders for name in tree.scandir(folder)]
    given = any(name.startswith("pip-") for name in (*inside, *(path.name for path in wheels.glob("*.whl"))))
    if not given and not _has_whole_pip(tree, inventory):
        packages.append(_pip_package(inventory.os_release))
    isolated = True
    if checkout is not None:
        needs = read_needs(checkout)
        needed = _counting(needs, environment.version if environment is not None else None)
        isolated = mirror or all(_is_met(requirement, wheels) for requirement in needed)
        if not isolated:
            known = {one.name for one in inventory.distributions}
            packages += [f"python3-{name}" for one in needed if (name := canonicalize_name(one.name)) not in known]
        if _asks_git(needs, checkout):
            packages.append("git")
    return attrs.evolve(
        plan, folders=(MOUNTED_WHEELS, *folders), packages=tuple(dict.fromkeys(packages)),
        project=checkout is not None, isolated=isolated,
    )  # fmt: skip


def plan_python2(tree: FileTree, wheels: Path, checkout: Path | None, *, image: str) -> PythonBuild:
    """Do as ``plan_python3`` for PYTHON3=no.

    Raises:
        InputError: the image has no Python 2, or no virtualenv to make an environment for it.
    """
    wanted = ["python2", "virtualenv", *(["python3"] if checkout is not None else [])]
    lacking = [name for name in wanted if not any(is_file(tree, f"{folder}/{name}") for folder in _PROGRAM_FOLDERS)]
    if lacking:
        raise InputError(
            f"PYTHON3=no, and the image {image} has no {' and no '.join(lacking)}",
            hint="build it on a base image that has them, as one of Debian 11, or leave PYTHON3 out",
        )
    if checkout is not None:
        read_needs(checkout)
    return PythonBuild(python2=True, constraints=(wheels / CONSTRAINTS).is_file(), project=checkout is not None)


_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin")
_INSTALLATION = "the installation of Python packages"


def _has_whole_pip(tree: FileTree, inventory: Inventory) -> bool:
    """Tell whether pip is installed with all that it needs in it; some distributions take that out."""
    return any(
        one.name == "pip" and is_directory(tree, f"{one.location}/pip/_vendor/urllib3")
        for one in inventory.distributions
    )


def _counting(needs: BuildNeeds, version: tuple[int, int] | None) -> list[Requirement]:
    """Give the requirements whose markers hold for the image's Python."""
    markers = {} if version is None else {"python_version": ".".join(map(str, version))}
    return [one for one in needs.requires if one.marker is None or one.marker.evaluate({**markers, "extra": ""})]


def _is_met(requirement: Requirement, wheels: Path) -> bool:
    name = canonicalize_name(requirement.name)
    for path in wheels.glob("*.whl"):
        try:
            found, version, _, _ = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        if found == name and requirement.specifier.contains(version, prereleases=True):
            return True
    return False


def _asks_git(needs: BuildNeeds, checkout: Path) -> bool:
    names = {canonicalize_name(one.name) for one in needs.requires}
    # What setup.py asks for at run time is mostly one of these.
    unknown = needs.asks and needs.backend.startswith("setuptools")
    return bool(names & _ASK_GIT) or unknown or (checkout / "versioneer.py").is_file()


def _pip_package(system: OsRelease) -> str:
    """Give the package with pip's wheel, which Debian calls by other names since 12 and Ubuntu since 22.04."""
    major = system.version_id.partition(".")[0]
    number = int(major) if major.isascii() and major.isdigit() else None
    first = {"debian": 12, "ubuntu": 22}.get(system.id)
    if first is not None and number is not None and number < first:
        return "python-pip-whl"
    return "python3-pip-whl" if {system.id, *system.id_like} & {"debian", "ubuntu"} else "python3-pip-wheel"


def _program(what: str, *argv: str) -> Program:
    return Program(argv=argv, failed=partial(_failed, what))


def _failed(what: str, completed: Completed) -> BuildError:
    lacking = dict.fromkeys(match[1] for line in completed.tail if (match := _LACKING.search(line)))
    if lacking:
        return BuildError(
            f"{what} failed: the tarball of wheels has no {', '.join(lacking)} that fits",
            hint="add it to the tarball, or name a package index by --mirror",
            details=completed.tail[-_TAIL:],
        )
    return BuildError(
        f"{what} failed with exit status {completed.returncode}",
        details=completed.tail[-_TAIL:],
    )
