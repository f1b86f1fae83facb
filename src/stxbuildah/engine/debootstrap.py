# SPDX-License-Identifier: Apache-2.0
"""A distribution's file system from its packages, by ``mmdebstrap``: rootless, and without any image."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind, to_error
from stxbuildah.engine.process import ProcessError, Runner
from stxbuildah.engine.retry import fault_of
from stxbuildah.errors import DiskFullError, HostError, InputError, RegistryError, StxbError

# What timeout ends with when it does not find its program (coreutils, "timeout invocation").
_NOT_FOUND = 127

# What apt and mmdebstrap say, and what it means. The first pattern that matches a line decides.
_TOLD: tuple[tuple[re.Pattern[str], type[StxbError], str], ...] = (
    (
        re.compile(r"no space|enough (?:free )?space", re.IGNORECASE),
        DiskFullError,
        "free some space, or name another folder with TMPDIR",
    ),
    (
        re.compile(r"NO_PUBKEY|EXPKEYSIG|BADSIG|is not signed|couldn't be verified|Missing key|No good signature"),
        InputError,
        "the lists of a mirror or repository are not signed by a known key; add [signed-by=FILE] to its line",
    ),
    (
        re.compile(r"Unable to locate package|Version '.*' for '.*' was not found|has no installation candidate"),
        InputError,
        "--packages names others; stxb base --dry-run lists where they are looked for",
    ),
    (
        re.compile(r"unmet dependencies|held broken packages|pkgProblemResolver"),
        InputError,
        "the repositories do not fit together, or lack a package",
    ),
    (
        re.compile(r"does not have a Release file|\b404\b +Not Found"),
        InputError,
        "the mirror or a repository has no such release; --mirror can name the archive that old ones move to",
    ),
    (
        re.compile(r"newuidmap|newgidmap|subuid|subgid|unshare|user namespace"),
        HostError,
        "this account needs ranges in /etc/subuid and /etc/subgid; stxb doctor says more",
    ),
    (
        re.compile(r"Failed to fetch|Could not (?:resolve|connect)|Temporary failure|Unable to connect|timed out"),
        RegistryError,
        "look at the network, the proxy and the mirror's name; --mirror names another",
    ),
    (
        re.compile(r"Permission denied|not accessible|cannot be accessed"),
        HostError,
        "the account that stands for root must be able to pass through the temporary folder; TMPDIR names another",
    ),
)


@attrs.frozen(kw_only=True)
class Bootstrap:
    """What is installed.

    Attributes:
        suite: the release, as ``trixie``.
        architecture: as ``amd64``.
        packages: packages on top of the essential ones and apt.
        sources: sources.list lines to install from.
        preferences: apt preferences while installing; may be empty.
        timestamp: latest modification time in the result, in seconds since the epoch.
        attempts: how often a download is tried in all.
    """

    suite: str
    architecture: str
    packages: Sequence[str]
    sources: Sequence[str]
    preferences: str
    timestamp: int
    attempts: int = 1


def find_keyring(files: Sequence[str], package: str) -> Path:
    """Give the first keyring that exists on this machine.

    Raises:
        HostError: there is none, so that nothing from the distribution's mirror could be trusted.
    """
    for name in files:
        if Path(name).is_file():
            return Path(name)
    raise HostError(
        f"the keys that sign the distribution's package lists are not on this machine: {' or '.join(files)}",
        hint=f"install the package {package} (sudo apt-get install {package})",
    )


def signed_by(line: str, keyring: Path) -> str:
    """Give a sources.list line that trusts the keys of one file, unless it says itself what it trusts."""
    kind, _, rest = line.partition(" ")
    options, bracket, place = rest.strip().partition("]")
    if not options.startswith("["):
        return f"{kind} [signed-by={keyring}] {rest.strip()}"
    if "signed-by=" in options or "trusted=" in options:
        return line
    return f"{kind} {options} signed-by={keyring}{bracket}{place}"


def make_tar(runner: Runner, bootstrap: Bootstrap, folder: Path, *, room: Path) -> Path:
    """Install the packages into an empty file system and pack it.

    Args:
        runner: runs mmdebstrap.
        bootstrap: what to install.
        folder: work folder; the archive is written there.
        room: folder for the file system in the making. Other accounts must be able to pass through it: one that is
            mapped to root in a user namespace works there. ``empty_room`` empties it after an interruption.

    Returns:
        An uncompressed tar archive.

    Raises:
        StxbError: by class: the mirror, the packages, this machine, or a package's own scripts.
    """
    target = folder / "system.tar"
    # Without a limit of time, timeout only passes a signal on to all the processes that mmdebstrap started; by itself
    # mmdebstrap would wait for their end, and go on when it is killed.
    argv = ["timeout", "0", *_argv(bootstrap, folder, target, as_root=os.geteuid() == 0)]
    environment = {
        "SOURCE_DATE_EPOCH": str(bootstrap.timestamp),
        "DEBIAN_FRONTEND": "noninteractive",
        "TMPDIR": str(room),
        # dpkg would read settings of the account's own.
        "HOME": "/nonexistent",
    }
    log.info("base.bootstrap.started", suite=bootstrap.suite, packages=list(bootstrap.packages))
    try:
        runner.run(argv, extra=environment, stream_stdout=True)
    except ProcessError as error:
        raise _translated(error, bootstrap.suite) from error
    return target


def empty_room(runner: Runner, room: Path) -> None:
    """Delete what an interrupted mmdebstrap left, which belongs to accounts of its user namespace."""
    left = [str(path) for path in room.glob("mmdebstrap.*")]
    if left:
        unshare = [] if os.geteuid() == 0 else ["buildah", "unshare"]
        runner.run([*unshare, "rm", "-rf", "--", *left], check=False)


def _argv(bootstrap: Bootstrap, folder: Path, target: Path, *, as_root: bool) -> list[str]:
    argv = [
        "mmdebstrap",
        f"--mode={'root' if as_root else 'unshare'}",
        "--variant=apt",
        "--format=tar",
        f"--architectures={bootstrap.architecture}",
        "--skip=output/dev",
        # Nothing of a file system that is packed and deleted needs to survive a power cut.
        "--dpkgopt=force-unsafe-io",
        f'--aptopt=Acquire::Retries "{bootstrap.attempts}"',
    ]
    if bootstrap.packages:
        argv.append(f"--include={','.join(bootstrap.packages)}")
    if bootstrap.preferences:
        preferences = folder / "preferences"
        preferences.write_text(bootstrap.preferences, encoding="utf-8")
        argv.append(f"--setup-hook=upload {shlex.quote(str(preferences))} /etc/apt/preferences.d/stx")
    return [*argv, bootstrap.suite, str(target), *bootstrap.sources]


def _translated(error: ProcessError, suite: str) -> StxbError:
    what = f"making a file system of {suite}"
    if error.completed.returncode == _NOT_FOUND:
        return HostError(
            "the program mmdebstrap is not installed, or is not on PATH", hint="sudo apt-get install mmdebstrap"
        )
    said = [line for line in error.completed.tail if not line.startswith("dpkg: warning: ")]
    for pattern, kind, hint in _TOLD:
        line = next((line for line in said if pattern.search(line)), None)
        if line is not None:
            return kind(f"{what} failed: {line.partition('; ')[0].strip()}", hint=hint, details=error.completed.tail)
    fault = fault_of(error)
    if fault.kind is not FaultKind.OTHER:
        return to_error(fault, what)
    return StxbError(f"{what} failed: {error.message}", hint=error.hint, details=error.completed.tail)
