# SPDX-License-Identifier: Apache-2.0
"""Trying out what buildah, podman and skopeo can do here, in a store of its own that goes away again.

No image is needed: the container's root is an empty folder in which the host's own ``/usr`` is mounted read-only, and
what runs is the host's ``true``. The user's store is never touched.
"""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.engine.hostcache import find_program
from stxbuildah.engine.process import ALLOWED_VARIABLES, Runner
from stxbuildah.errors import HostError, StxbError
from stxbuildah.model.value import Value

SECONDS = 60.0
# What buildah and mount say after the line that tells what went wrong.
_EMPTY_WORDS = re.compile(r"(Error: )?((while|error) running (runtime|container): )?(exit status \d+)?|dmesg.*")
_LONGEST_SENTENCE = 200
_LOGGED = re.compile(r'\bmsg="((?:[^"\\]|\\.)*)"')
# podman refuses a folder of run-time state whose path is longer than 50 characters.
_LONGEST_FOLDER = 50 - len("/.stxb-trial-12345678/podman/run")
_TOP_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")


@attrs.frozen(kw_only=True)
class Outcome(Value):
    """How a trial ended.

    Attributes:
        worked: it did what it should.
        said: the last line of the program when it did not.
    """

    worked: bool
    said: str = ""


@attrs.frozen(kw_only=True)
class Trials(Value):
    """Programs to try and a folder to try them in; made by ``opened_trials``.

    Attributes:
        folder: for the trial's store; removed afterwards.
        runner: runs the programs in the environment that they are tried in.
        programs: paths of the programs by name; empty for one that is missing.
    """

    folder: Path
    runner: Runner
    programs: Mapping[str, str]

    def with_environment(self, extra: Mapping[str, str]) -> "Trials":
        """Give the same trials, in an environment with these variables on top."""
        return attrs.evolve(self, runner=attrs.evolve(self.runner, extra=(*self.runner.extra, *extra.items())))

    def user_namespace(self) -> Outcome:
        """Try to enter a user namespace, and say how many identities it has."""
        try:
            shown = self.runner.run([self.programs["buildah"], "unshare", "cat", "/proc/self/uid_map"], timeout=SECONDS)
        except StxbError as error:
            return Outcome(worked=False, said=last_line(error))
        lines = [line.split() for line in shown.stdout.decode().splitlines()]
        return Outcome(worked=True, said=str(sum(int(line[2]) for line in lines)))

    def working_container(self) -> str:
        """Make a container without an image and give its name.

        Raises:
            StxbError: buildah cannot make one.
        """
        name = self.runner.run([*self._buildah(), "from", "scratch"], timeout=SECONDS).stdout.decode().strip()
        self.runner.run([*self._buildah(), "copy", "--quiet", name, str(self._rootfs()), "/"], timeout=SECONDS)
        return name

    def buildah_run(self, container: str, *, isolation: str, runtime: str, network: str) -> Outcome:
        """Try to run a program in a working container.

        Args:
            container: from ``working_container``.
            isolation: buildah's isolation.
            runtime: OCI runtime; empty for buildah's default.
            network: network mode.
        """
        options = ["--isolation", isolation, "--network", network, *(["--runtime", runtime] if runtime else [])]
        return self._run([*self._buildah(), "run", *options, *_volumes(), container, "--", "/usr/bin/true"])

    def podman_run(self, *, network: str, settings: Path | None = None) -> Outcome:
        """Try to run a program with podman.

        Args:
            network: network mode.
            settings: containers.conf to use in place of the user's.
        """
        argv = [
            *(self.programs["podman"], *self._store("podman"), "--tmpdir", str(self.folder / "podman" / "tmp")),
            *("run", "--rm", "--network", network, *_volumes(), "--rootfs", str(self._rootfs()), "/usr/bin/true"),
        ]
        extra = {"CONTAINERS_CONF": str(settings)} if settings else {}
        outcome = self._run(argv, extra)
        # "/usr" of the host stays mounted only inside the container; podman leaves a pause process behind, though.
        _end_pause_process(self.folder / "podman" / "tmp" / "pause.pid")
        return outcome

    def overlay(self, near: Path, program: str = "") -> Outcome:
        """Try to mount an overlay without root's help, on a file system.

        Args:
            near: an existing folder of that file system that may be written.
            program: fuse-overlayfs; empty for the kernel's own.
        """
        try:
            with _scratch_folder(near) as folder:
                for name in ("lower", "upper", "work", "merged"):
                    (folder / name).mkdir()
                layers = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
                mount = [program] if program else ["mount", "-t", "overlay", "overlay"]
                outcome = self._run([*self._own_mounts(), "--", *mount, "-o", layers, str(folder / "merged")])
                return attrs.evolve(outcome, said=outcome.said.replace(f"{folder}/", ""))
        except OSError as error:
            return Outcome(worked=False, said=f"{near}: {error.strerror}")

    def _own_mounts(self) -> list[str]:
        """Give the command that runs another one with mounts of its own, which end with it."""
        if os.geteuid() == 0:
            return ["unshare", "--mount"]
        return [self.programs["buildah"] if Path(self.programs["buildah"]).is_absolute() else "podman", "unshare"]

    def skopeo_copy(self, container: str) -> Outcome:
        """Try to put an image into a store with skopeo, as every update does.

        Args:
            container: from ``working_container``.
        """
        layout = f"oci:{self.folder}/layout:trial"
        owned = self.folder / "owned"
        owned.write_text("images hold files of several owners\n", encoding="ascii")
        added = self._run([*self._buildah(), "copy", "--quiet", "--chown", "1:42", container, str(owned), "/"])
        if not added.worked:
            return added
        written = self._run([*self._buildah(), "commit", "--quiet", container, layout])
        if not written.worked:
            return written
        root, run = self.folder / "skopeo" / "root", self.folder / "skopeo" / "run"
        target = f"containers-storage:[vfs@{root}+{run}]localhost/stxb-trial:1"
        return self._run([self.programs["skopeo"], "copy", "--quiet", layout, target])

    def _buildah(self) -> list[str]:
        return [self.programs["buildah"], *self._store("buildah")]

    def _store(self, program: str) -> list[str]:
        folder = self.folder / program
        return ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]

    def _rootfs(self) -> Path:
        rootfs = self.folder / "rootfs"
        if not rootfs.exists():
            draft = Path(tempfile.mkdtemp(dir=self.folder))
            for name in _TOP_FOLDERS:
                host = Path("/") / name
                if host.is_symlink():
                    (draft / name).symlink_to(host.readlink())
                elif host.is_dir():
                    (draft / name).mkdir()
            draft.chmod(0o755)
            try:
                draft.rename(rootfs)
            except OSError:
                shutil.rmtree(draft)  # another thread was faster
        return rootfs

    def _run(self, argv: Sequence[str], extra: Mapping[str, str] | None = None) -> Outcome:
        try:
            self.runner.run(argv, timeout=SECONDS, extra=extra)
        except StxbError as error:
            return Outcome(worked=False, said=last_line(error))
        return Outcome(worked=True)


def last_line(error: StxbError) -> str:
    """Give what a program said at its end: its last line that tells an error, else its last line."""
    lines = [line.strip() for line in error.details if _EMPTY_WORDS.fullmatch(line.strip()) is None]
    errors = [line for line in lines if line.lower().startswith("error") or "level=error" in line]
    said = [error.message, *lines[-1:], *errors[-1:]][-1].removeprefix("Error: ")
    logged = _LOGGED.search(said)
    said = logged[1].replace('\\"', '"') if logged else said
    return said if len(said) <= _LONGEST_SENTENCE else f"... {said[-_LONGEST_SENTENCE:]}"


@contextmanager
def opened_trials(environment: Mapping[str, str], extra: Mapping[str, str]) -> Iterator[Trials]:
    """Open a folder for trials; it goes away with everything in it.

    Args:
        environment: the user's environment.
        extra: variables on top of it.

    Raises:
        HostError: there is no folder for temporary files.
    """
    allowed = {name: environment.get(name, "") for name in ALLOWED_VARIABLES if name in environment}
    programs = {name: find_program(name, environment) or name for name in ("buildah", "podman", "skopeo")}
    near = Path(environment.get("TMPDIR") or "/var/tmp")  # noqa: S108 # as buildah and podman do
    if len(str(near)) > _LONGEST_FOLDER:
        near = Path("/tmp")  # noqa: S108 # the folder made in it is this account's alone
    if not near.is_dir() or not os.access(near, os.W_OK | os.X_OK):
        raise HostError(f"no file can be written to {near}", hint="set TMPDIR to a folder that can be written")
    with _scratch_folder(near) as folder:
        yield Trials(folder=folder, runner=Runner(extra=tuple({**allowed, **extra}.items())), programs=programs)


@contextmanager
def _scratch_folder(near: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=".stxb-trial-", dir=near))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, onerror=_open_and_retry)


def _open_and_retry(function: object, path: str, error: object) -> None:
    """Open a folder that overlay closed to everyone, so that it can be removed."""
    del function, error
    parent = os.path.dirname(path)  # noqa: PTH120 # rmtree gives texts
    for closed in (parent, path):
        if os.path.isdir(closed) and not os.path.islink(closed):  # noqa: PTH112, PTH114 # as above
            os.chmod(closed, 0o700)  # noqa: PTH101 # as above
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 # as above
        shutil.rmtree(path, ignore_errors=True)
    else:
        Path(path).unlink(missing_ok=True)


def _volumes() -> list[str]:
    folders = [name for name in _TOP_FOLDERS if (host := Path("/") / name).is_dir() and not host.is_symlink()]
    return [word for name in folders for word in ("--volume", f"/{name}:/{name}:ro")]


def _end_pause_process(pidfile: Path) -> None:
    """End the process with which rootless podman keeps the trial's user namespace."""
    try:
        pid = int(pidfile.read_text(encoding="ascii"))
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if b"catatonit" in arguments or b"podman" in arguments:
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            return
    pidfile.unlink(missing_ok=True)
