# SPDX-License-Identifier: Apache-2.0
"""What follows the build of an image: its customization, packages that go, and a last command.

As in StarlingX's build-stx-images.sh and docker-image-postbuild.sh, in this order: CUSTOMIZATION,
POSTBUILD_REMOVE_PYTHON_PACKAGES, POSTBUILD_REMOVE_OS_PACKAGES, POSTBUILD_COMMAND. What Python packages leave behind is
computed from the image's files; the container is started for the rest only, and once where that is enough.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.packageremoval import removal_command, removal_refusal
from stxbuildah.engine.process import Completed
from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.image import path_variable
from stxbuildah.job.images.container import TAIL_LINES, ImageContainer
from stxbuildah.job.images.purgenotes import PurgeNotes
from stxbuildah.job.programs import Program, run_programs
from stxbuildah.layer.documents import Json
from stxbuildah.layer.dpkg import dpkg_packages
from stxbuildah.layer.dpkgpurge import are_needed, have_same_effect, purge_content, purge_key
from stxbuildah.layer.rpmdb import read_rpm_database
from stxbuildah.layer.thin import thin
from stxbuildah.layer.uninstall import Uninstalled, find_environments, uninstall
from stxbuildah.model.imagebuild import Builder, PostBuild
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

_CUSTOMIZATION = "CUSTOMIZATION"
_COMMAND = "POSTBUILD_COMMAND"
_PYTHON_PACKAGES = "POSTBUILD_REMOVE_PYTHON_PACKAGES"
_OS_PACKAGES = "POSTBUILD_REMOVE_OS_PACKAGES"
# In /run, of which nothing comes into a layer.
_MOUNTED = "/run/stxb-command"
# An argument of a program has at most 128 KiB with its end (execve(2), MAX_ARG_STRLEN).
_LONGEST_ARGUMENT = 120 * 1024


@attrs.frozen(kw_only=True)
class Removals(Value):
    """What is taken out of an image after its build.

    Attributes:
        python: Python packages, and the layer that takes them away.
        manager: ``dpkg`` or ``rpm``; empty when no package of the operating system goes.
        packages: packages of the operating system that go.
    """

    python: Uninstalled = attrs.field(factory=Uninstalled)
    manager: str = ""
    packages: tuple[str, ...] = ()

    @property
    def computable(self) -> bool:
        """Whether ``layer.dpkgpurge`` may know what removing the packages does."""
        return self.manager == "dpkg" and ":" not in "".join(self.packages)


def find_removals(tree: FileTree, path_variable: str, post_build: PostBuild) -> Removals:
    """Find out what of the packages that are to go is installed, and may go.

    Args:
        tree: the image as it was built.
        path_variable: PATH of its configuration.
        post_build: what is to go.

    Raises:
        InputError: a database of packages is damaged, or the files of a Python package cannot be told.
    """
    python = Uninstalled()
    if post_build.remove_python_packages:
        environments = find_environments(tree, path_variable)
        python = uninstall(tree, environments, post_build.remove_python_packages)
    manager, packages = _installed(tree, post_build.remove_os_packages)
    return Removals(python=python, manager=manager, packages=packages)


def post_build(container: ImageContainer) -> None:
    """Do in a container what its image's directives want done after the build.

    Nothing but CUSTOMIZATION is done in an image without a shell, and that fails there.

    Args:
        container: holds the image as it was built; what is done here comes into the same layer.

    Raises:
        BuildError: a command failed, or others need a package that is to go.
        StxbError: the container cannot be used.
    """
    wanted = container.work.image.directives.post_build
    steps = _Steps(container=container, wanted=wanted)
    if wanted.customization:
        steps.customize()
    if wanted.remove_python_packages or wanted.remove_os_packages or wanted.command:
        steps.finish()


@attrs.frozen(kw_only=True)
class _Steps:
    """The steps after the build of one image."""

    container: ImageContainer
    wanted: PostBuild

    def customize(self) -> None:
        """Run CUSTOMIZATION."""
        shell = self.container.shell
        if not shell.endswith("bash"):
            raise BuildError(
                f"{_CUSTOMIZATION} of {self._file} is a command for bash, and the image has none",
                hint="put bash into the image, or do this in its build",
            )
        self._run([self._command(_CUSTOMIZATION, self.wanted.customization, shell)], f"running {_CUSTOMIZATION}", "")

    def finish(self) -> None:
        """Take away the packages that go, and run POSTBUILD_COMMAND."""
        shell = self.container.shell
        if not shell:
            self._note("the image has no shell: nothing is removed from it after the build, and no command is run")
            return
        removals = self._removals()
        self._tell_python(removals.python)
        if removals.python.content.entries:
            self.container.apply(removals.python.content)
        programs, doing = [], []
        if removals.packages:
            command = removal_command(removals.manager, removals.packages)
            removal = Program(argv=command, failed=partial(self._not_removed, removals.packages))
            what = f"removing {', '.join(removals.packages)}"
            if not (removals.computable and self._remove_as_known(removals, removal, what)):
                programs.append(removal)
                doing.append(what)
        if self.wanted.command:
            programs.append(self._command(_COMMAND, self.wanted.command, shell))
            doing.append(f"running {_COMMAND}")
        if programs:
            self._run(programs, " and ".join(doing), shell if shell.endswith("bash") else "")

    def _removals(self) -> Removals:
        wanted = self.wanted
        if not wanted.remove_python_packages and not wanted.remove_os_packages:
            return Removals()
        try:
            with self._files() as tree:
                return find_removals(tree, self._path_variable, wanted)
        except InputError as error:
            raise InputError(
                f"{self._file}: what is to be removed after the build cannot be told: {error.message}",
                hint=f'{_PYTHON_PACKAGES}="" and {_OS_PACKAGES}="" keep all',
                details=error.details,
            ) from error

    @property
    def _untouched(self) -> bool:
        """Whether nothing was done in the container before packages go."""
        loci = self.container.work.image.directives.builder is Builder.LOCI
        return not loci and not self.wanted.customization

    @contextmanager
    def _files(self) -> Iterator[FileTree]:
        """Give the image as it is before packages go."""
        if self._untouched:
            # The image's own tree is open, or remembered.
            yield self.container.image_tree
            return
        with self.container.tree() as tree:
            yield tree

    def _remove_as_known(self, removals: Removals, removal: Program, what: str) -> bool:
        """Remove packages by what that is known to do, or find it out by removing them alone; False for neither."""
        container, packages = self.container, frozenset(removals.packages)
        with self._files() as tree:
            if are_needed(tree, packages):
                return False
            key, computed = purge_key(tree, packages), purge_content(tree, packages)
        notes = PurgeNotes(folder=container.work.engine.folders.cache / "removals")
        if notes.has(key) and not container.work.fresh:
            container.work.tell(f"{what}, as it went in another image")
            container.apply(computed)
            return True
        if not self._untouched or removals.python.content.entries:
            # What it does could not be told from what was done before.
            return False
        self._run([removal], what, "")
        with container.container.tree(comparable=True) as tree:
            changed = thin(
                tree.changes(), mount_points=container.mount_points, base=container.image_tree, keep_bytecode=False
            )
            if have_same_effect(changed, computed):
                notes.add(key)
        return True

    def _command(self, key: str, text: str, shell: str) -> Program:
        """Give the program that runs a command of the directives file; its bytes reach the shell as they are."""
        argv: tuple[str, ...] = (shell, "-c", text)
        encoded = text.encode("utf-8", "surrogateescape")
        if len(encoded) > _LONGEST_ARGUMENT or not _is_utf8(encoded):
            # Too long for an argument, or not to be written as JSON, in which OCI runtimes are given theirs.
            (self._folder("commands") / key).write_bytes(encoded)
            argv = (shell, f"{_MOUNTED}/{key}")
        return Program(argv=argv, failed=partial(self._failed, key))

    def _run(self, programs: Sequence[Program], what: str, bash: str) -> None:
        state, commands = self._folder("state"), self._folder("commands")
        mounts = [f"{commands}:{_MOUNTED}:ro"] if any(commands.iterdir()) else []

        def run(argv: Sequence[str], volumes: Sequence[str], environment: Mapping[str, str]) -> Completed:
            completed = self.container.run(
                argv, what=what, volumes=[*mounts, *volumes], env=environment, user="0:0",
                workdir=str(self._setting("WorkingDir") or "/"), check=False,
            )  # fmt: skip
            if completed.returncode != 0:
                _ = self.container.work.seconds_left  # what was ended by the time's end says so
            return completed

        run_programs(programs, run, bash=bash, environment=self._variables, folder=state)

    def _folder(self, name: str) -> Path:
        folder = self.container.work.folder / "post-build" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _setting(self, name: str) -> Json:
        """Give a key of the configuration that the image is going to have."""
        if name in self.container.settings:
            return self.container.settings[name]
        config: Json = json.loads(self.container.image.documents.config).get("config") or {}
        return config.get(name) if isinstance(config, dict) else None

    @property
    def _variables(self) -> dict[str, str]:
        """The variables that the builder has given the image, and its container does not have yet."""
        given = self.container.settings.get("Env")
        pairs = (str(variable).partition("=") for variable in given) if isinstance(given, list) else ()
        return {name: value for name, _, value in pairs}

    @property
    def _path_variable(self) -> str:
        return self._variables.get("PATH") or path_variable(self.container.image)

    def _tell_python(self, found: Uninstalled) -> None:
        if found.removed:
            self.container.work.tell(f"removing the Python packages {', '.join(found.removed)}")
        for reason in found.kept:
            self._note(f"{_PYTHON_PACKAGES}: {reason}")

    def _note(self, sentence: str) -> None:
        """Put a sentence into the image's log."""
        log.info("images.post_build", note=sentence)
        on_line = self.container.work.engine.runner.on_line
        if on_line is not None:
            on_line(sentence)

    def _failed(self, key: str, completed: Completed) -> BuildError:
        end = f"ended with exit status {completed.returncode}" if completed.returncode >= 0 else "was ended"
        return BuildError(f"{key} of {self._file} {end}", details=completed.tail[-TAIL_LINES:])

    def _not_removed(self, names: Sequence[str], completed: Completed) -> BuildError:
        error = removal_refusal(names, completed)
        return BuildError(
            f"{_OS_PACKAGES} of {self._file}: {error.message}",
            hint=f'list there what may go, with all that needs it; {_OS_PACKAGES}="" keeps all',
            details=error.details,
        )

    @property
    def _file(self) -> Path:
        return self.container.work.image.directives.file


def _installed(tree: FileTree, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Give the manager that has some of these packages, and those that it has; nothing when none is installed."""
    if not names:
        return "", ()
    debs = dpkg_packages(tree)
    known = {name for package, _, architecture in debs for name in (package, f"{package}:{architecture}")}
    if found := _among(names, known):
        return "dpkg", found
    rpms = read_rpm_database(tree)
    known = {
        name for package in rpms for name in (package.name, f"{package.name}.{package.architecture}", str(package))
    }
    found = _among(names, known)
    return ("rpm", found) if found else ("", ())


def _among(names: Sequence[str], known: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name in known))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
