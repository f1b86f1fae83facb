# SPDX-License-Identifier: Apache-2.0
"""BUILDER=loci: an OpenStack service's image, made as OpenStack's LOCI scripts make it, without these scripts.

Everything runs in one working container of the base image and becomes one layer. Sources are cloned on this machine,
wheels are mounted read-only, account files and package lists are computed; the image's own programs install.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs

from stxbuildah.engine.packages import PackageManager, find_manager, refusal
from stxbuildah.engine.process import Completed
from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.image import path_variable
from stxbuildah.job.images.container import TAIL_LINES, ImageContainer
from stxbuildah.job.images.lociaccounts import Account, account_files, earlier_uid
from stxbuildah.job.images.locipackages import platform_profiles, selected
from stxbuildah.job.images.locipython import (
    ENVIRONMENT,
    MOUNTED,
    MOUNTED_WHEELS,
    PythonBuild,
    plan_python2,
    plan_python3,
    source_folder,
    stage,
)
from stxbuildah.job.images.locirecord import final_content
from stxbuildah.job.images.locirepositories import apt_lists, dnf_options, write_apt_settings
from stxbuildah.job.images.locisources import (
    BINDEP,
    PYDEP,
    check_out_consoles,
    check_out_project,
    loci_build,
    recipe_file,
    recipe_text,
    sources,
    wheels_of,
)
from stxbuildah.job.images.work import ImageWork
from stxbuildah.job.programs import Program, run_programs
from stxbuildah.layer.debdepends import automatic_packages, read_dependencies
from stxbuildah.layer.documents import Json
from stxbuildah.layer.dpkg import dpkg_packages
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.rpmdb import read_rpm_database
from stxbuildah.model.imagebuild import LociBuild
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.tree import FileTree, Kind

# Raised when the same inputs give another image by a change of this module's.
_REVISION = "1"
_PYTHON3 = "python3"
_TEMPORARY = "/tmp"  # noqa: S108 # a path of the image


def inputs(work: ImageWork) -> dict[str, str]:
    """Give the digest of each component that a LOCI image is made of, besides its directives.

    Raises:
        StxbError: the base image, the wheels or a source cannot be found.
    """
    recipe = [_REVISION, recipe_text(work, BINDEP), recipe_text(work, PYDEP)]
    return {
        "base": f"sha256:{work.base.image_id}",
        "wheels": wheels_of(work).digest,
        "recipe": "sha256:" + hashlib.sha256(json.dumps(recipe).encode()).hexdigest(),
        **sources(work),
    }


def provision(container: ImageContainer) -> None:
    """Make a LOCI image in a container of the base image.

    Args:
        container: of the base image; what is done in it comes into one layer, and its PATH into the settings.

    Raises:
        InputError: the directives do not fit the base image.
        BuildError: something could not be installed.
        StxbError: a source cannot be fetched, or the container not be used.
    """
    work = container.work
    build, project = loci_build(work), work.image.directives.project
    folder = work.folder / "loci"
    folder.mkdir()
    checkout = check_out_project(work, source_folder(folder))
    consoles = check_out_consoles(work, folder)
    facts = _Facts.of(container)
    profiles = {project, *build.profiles, *([_PYTHON3] if build.python3 else [])}
    profiles |= platform_profiles(facts.inventory.os_release)
    _Provision(
        container=container,
        build=build,
        folder=folder,
        facts=facts,
        profiles=frozenset(profiles),
        python=_python(work, facts, checkout, profiles),
        consoles=consoles,
    ).run()


@attrs.frozen(kw_only=True)
class _Facts:
    """What counts of the base image.

    Attributes:
        tree: its files.
        inventory: its system and its Python.
        packages: names of installed distribution packages.
        rpm: these are rpm's.
        path_variable: PATH of its configuration.
    """

    tree: FileTree
    inventory: Inventory
    packages: frozenset[str]
    rpm: bool
    path_variable: str

    @classmethod
    def of(cls, container: ImageContainer) -> "_Facts":
        tree, path = container.image_tree, path_variable(container.image)
        debs, rpms = dpkg_packages(tree), read_rpm_database(tree)
        names = {*(name for name, *_ in debs), *(one.name for one in rpms)}
        return cls(
            tree=tree,
            inventory=take_inventory(tree, path),
            packages=frozenset(names),
            rpm=bool(rpms) and not debs,
            path_variable=path,
        )


@attrs.frozen(kw_only=True)
class _Provision:
    """One image in the making.

    Attributes:
        container: its container.
        build: what its directives say.
        folder: what the container sees as ``MOUNTED``.
        facts: of the base image.
        profiles: those of bindep that are on.
        python: how the Python part is done.
        consoles: folders of this machine with the pages of nova's consoles, by their paths in the image.
    """

    container: ImageContainer
    build: LociBuild
    folder: Path
    facts: _Facts
    profiles: frozenset[str]
    python: PythonBuild
    consoles: Mapping[str, Path]

    def run(self) -> None:
        """Install everything, take away what was there for the build alone, and write what is left to write."""
        work = self.container.work
        variables = stage(self.folder, mirror=work.request.material.mirror)
        asked, extra = self._packages()
        programs = [*self._account(), *self._installation([*asked, *extra], variables), *self.python.programs()]
        self._carry_out([*programs, self._clean_up], "installing packages and Python modules", variables)
        if extra and (removal := self._removal(extra)) is not None:
            self._carry_out([removal, self._clean_up], "removing what was there for the build alone", variables)
        path = f"{ENVIRONMENT}/bin:{self.facts.path_variable}"
        with self.container.tree() as tree:
            tree.apply(final_content(tree, path, self.consoles), work.timestamp)
        self.container.settings["Env"] = _with_path(self.container, path)
        self.container.leftovers += _leftovers(self.facts.tree)

    def _packages(self) -> tuple[list[str], list[str]]:
        """Give the packages that the image is to have, and those that only its build needs; none that it has."""
        work, known = self.container.work, self.facts.packages
        chosen = selected(recipe_text(work, BINDEP), self.profiles, str(recipe_file(work, BINDEP)))
        asked = [one for one in dict.fromkeys([*chosen, *self.build.dist_packages]) if one not in known]
        return asked, [one for one in self.python.packages if one not in {*known, *asked}]

    def _account(self) -> list[Program]:
        """Give the programs that make the project's account and its folders."""
        directives = self.container.work.image.directives
        account = Account(
            name=directives.project, uid=self.build.project_uid, gid=self.build.project_gid,
            non_unique=self.build.non_unique_system_account, update=self.build.update_system_account,
        )  # fmt: skip
        staged = self.folder / "accounts"
        staged.mkdir()
        commands: list[tuple[str, ...]] = []
        for path, content in account_files(self.facts.tree, account, self.container.work.timestamp).items():
            name = path.rpartition("/")[2]
            (staged / name).write_bytes(content)
            # Into the file that is there, which keeps its mode and owner.
            commands.append(("cp", "--", f"{MOUNTED}/accounts/{name}", path))
        owner = f"{account.uid}:{account.gid}"
        earlier = earlier_uid(self.facts.tree, account)
        if earlier not in {None, account.uid} and self.facts.tree.lstat(account.home) is not None:
            commands.append(("chown", "--recursive", "--from", str(earlier), str(account.uid), "--", account.home))
        commands += [("mkdir", "--parents", "--", *account.folders), ("chown", owner, "--", *account.folders)]
        failed = partial(self._failed, f"making the account {account.name}")
        return [Program(argv=argv, failed=failed) for argv in commands]

    def _installation(self, names: Sequence[str], variables: dict[str, str]) -> list[Program]:
        """Give the programs that install distribution packages, all at once; none when there is nothing to install."""
        tree, words = self.facts.tree, self.build.dist_repos
        options = dnf_options(tree, words) if self.facts.rpm else ()
        if not self.facts.rpm:
            write_apt_settings(self.folder, MOUNTED, apt_lists(tree, words) if words else None)
            variables["APT_CONFIG"] = f"{MOUNTED}/apt.conf"
        if not names:
            return []
        manager = self._manager
        if not manager.fetches:
            raise InputError(
                f"the image {self.container.image.reference} has no program that fetches packages: "
                f"{', '.join(names)} cannot be installed",
                hint="build it on a base image with apt-get or dnf",
            )
        failed = partial(_not_installed, manager)
        commands = manager.commands(names, allow_repositories=True)
        return [Program(argv=_with_options(argv, options), failed=failed) for argv in commands]

    @property
    def _manager(self) -> PackageManager:
        suffix = ".rpm" if self.facts.rpm else ".deb"
        return find_manager(self.facts.tree, suffix, image=str(self.container.image.reference))

    def _removal(self, extra: Sequence[str]) -> Program | None:
        """Give the program that removes what came with the build and that nothing else needs."""
        failed = partial(self._failed, "removing what was there for the build alone")
        if self.facts.rpm:
            # It takes along what came with them (clean_requirements_on_remove).
            return Program(argv=(self._manager.name, "--assumeyes", "remove", *extra), failed=failed)
        with self.container.tree() as tree:
            dependencies, automatic = read_dependencies(tree), automatic_packages(tree)
        # What was asked for, however that was written: as name=version, with a wildcard, by what it provides.
        wanted = self.facts.packages | (dependencies.installed - automatic - set(extra))
        left = sorted(dependencies.installed - dependencies.needed_by(wanted) - self.facts.packages)
        if not left:
            return None
        return Program(argv=("env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "dpkg", "--purge", *left),
                       failed=failed)  # fmt: skip

    @property
    def _clean_up(self) -> Program:
        argv = (
            "find", "/usr", "/var", "-xdev", "-depth", "(", "-type", "d", "-name", "__pycache__", "-o",
            "-type", "f", "-name", "*.pyc", ")", "-exec", "rm", "-rf", "--", "{}", "+",
        )  # fmt: skip
        return Program(argv=argv, failed=partial(self._failed, "removing compiled files"))

    def _carry_out(self, programs: Sequence[Program], what: str, variables: Mapping[str, str]) -> None:
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        work = self.container.work
        mounts = (f"{self.folder}:{MOUNTED}", f"{wheels_of(work).folder}:{MOUNTED_WHEELS}:ro")

        def run(argv: Sequence[str], volumes: Sequence[str], environment: Mapping[str, str]) -> Completed:
            completed = self.container.run(argv, what=what, volumes=[*mounts, *volumes], env=environment, check=False)
            if completed.returncode != 0:
                _ = work.seconds_left  # what was ended by the time's end says so, and not where it was
            return completed

        shell = self.container.shell
        bash = shell if shell.endswith("bash") else ""
        run_programs(programs, run, bash=bash, environment=variables, folder=state)

    def _failed(self, what: str, completed: Completed) -> BuildError:
        return BuildError(
            f"{what} failed with exit status {completed.returncode}", details=completed.tail[-TAIL_LINES:]
        )


def _python(work: ImageWork, facts: _Facts, checkout: Path | None, profiles: Collection[str]) -> PythonBuild:
    """Find out how the Python part is done, and what goes into it."""
    build, wheels = loci_build(work), wheels_of(work).folder
    if build.python3:
        mirror = bool(work.request.material.mirror)
        plan = plan_python3(facts.tree, facts.inventory, wheels, checkout, mirror=mirror)
    else:
        plan = plan_python2(facts.tree, wheels, checkout, image=str(work.base.reference))
    # As in LOCI, infra has none but its own.
    chosen = () if checkout is None else selected(recipe_text(work, PYDEP), profiles, str(recipe_file(work, PYDEP)))
    requirements = tuple(dict.fromkeys([*chosen, *build.pip_packages]))
    return attrs.evolve(plan, upgrades=build.upgrade_pip_packages, requirements=requirements)


def _not_installed(manager: PackageManager, completed: Completed) -> BuildError:
    error = refusal(manager, completed, allow_repositories=True)
    return BuildError(
        error.message,
        hint="packages come from the lists that are on in the base image; DIST_REPOS=OS switches the distribution's "
        "on, and a dash in front of a name one off that cannot be fetched",
        details=error.details or completed.tail[-TAIL_LINES:],
    )


def _with_options(argv: tuple[str, ...], options: Sequence[str]) -> tuple[str, ...]:
    """Put options in front of the command of dnf or yum."""
    if "install" not in argv:
        return argv
    place = argv.index("install")
    return (*argv[:place], *options, *argv[place:])


def _leftovers(tree: FileTree) -> Iterator[str]:
    """Give what the base image may have and LOCI's last step takes away: a machine's name, caches, temporary files."""
    yield from ("/etc/machine-id", "/root/.cache")
    folder = tree.lstat(_TEMPORARY)
    if folder is not None and folder.kind is Kind.DIRECTORY:
        yield from (f"{_TEMPORARY}/{name}" for name in tree.scandir(_TEMPORARY))


def _with_path(container: ImageContainer, path: str) -> list[Json]:
    """Give the variables of the image with another PATH."""
    given = container.settings.get("Env")
    if not isinstance(given, list):
        given = (json.loads(container.image.documents.config).get("config") or {}).get("Env") or []
    return [f"PATH={path}", *(one for one in given if not str(one).startswith("PATH="))]
