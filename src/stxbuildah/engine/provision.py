# SPDX-License-Identifier: Apache-2.0
"""Bringing a system in a working container up to what repositories hold: upgrade, then install, by its own manager."""

import re
from collections.abc import Sequence

import attrs

from stxbuildah.engine.packages import PackageManager, missing_dependencies
from stxbuildah.engine.process import Completed
from stxbuildah.errors import BuildError, DiskFullError, InputError, RegistryError, StxbError

# Before each command: nobody is there to answer, and messages are to be understood.
_QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "LC_ALL=C")
_APT = (
    "apt-get",
    "--yes",
    "--no-install-recommends",
    # As an option --error-on=any is refused before apt 2.1.16; what it sets may be set in any version.
    "-o", "APT::Update::Error-Mode=any",
    "-o", "APT::Sandbox::User=root",
    "-o", "Dpkg::Use-Pty=0",
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip
_OWN_REPOSITORIES = "/etc/yum.repos.d"

# What apt, dnf and yum say, and what it means. The first pattern that matches a line decides.
_TOLD: tuple[tuple[re.Pattern[str], type[StxbError], str], ...] = (
    (
        re.compile(r"no space left|enough (?:free )?space|Disk Requirements", re.IGNORECASE),
        DiskFullError,
        "make room in the image store's folder (podman info names it: graphRoot)",
    ),
    (
        re.compile(r"NO_PUBKEY|EXPKEYSIG|BADSIG|is not signed|couldn't be verified|GPG check FAILED|^Public key for "),
        InputError,
        "what signs a repository is not known in the image; apt takes [signed-by=FILE] or [trusted=yes] in its line",
    ),
    (
        re.compile(
            r"Unable to locate package|Version '.*' for '.*' was not found|has no installation candidate"
            r"|Unable to find a match|No match for argument|No packages? .* available|Not tolerating missing names"
        ),
        InputError,
        "--packages names others, --repo a repository that has them; --dry-run lists where they are looked for",
    ),
    (
        re.compile(r"no enabled repos", re.IGNORECASE),
        InputError,
        "FROM is set up for no repository: name one with --repo NAME,URL",
    ),
    (
        re.compile(r"does not have a Release file|\b404\b(?: +Not Found|.*\bfor\b)|Status code: 404"),
        InputError,
        "a repository is not at its address, or has no such release",
    ),
    (
        re.compile(r"certificate (?:verif|is NOT|has)|No system certificates|SSL (?:peer )?certificate", re.IGNORECASE),
        RegistryError,
        "the image does not trust the repository's certificate; --build-ca-bundle names a file of those to trust",
    ),
    (
        re.compile(
            r"Failed to fetch|Could not (?:resolve|connect)|Temporary failure|Unable to connect|timed out|Curl error"
            r"|Cannot (?:download|retrieve) repo|Failed to download|All mirrors were tried|Status code: \d+"
        ),
        RegistryError,
        "look at the network, the proxy and the repositories' names: they are reached from the working container",
    ),
)


@attrs.frozen(kw_only=True)
class Provisioning:
    """What is done to the system of a working container.

    Attributes:
        manager: its package manager.
        folder: folder in the container with ``sources.list``, ``preferences`` and ``repositories/``, as far as needed.
        has_preferences: ``preferences`` is there.
        repositories: names of the repositories in ``repositories/``.
        only_given: packages come from these alone.
        attempts: how often a download is tried; 1 leaves it to dnf and yum.
        ca_bundle: certificates file in the container; empty for the system's own.
    """

    manager: PackageManager
    folder: str
    has_preferences: bool = False
    repositories: tuple[str, ...] = ()
    only_given: bool = False
    attempts: int = 1
    ca_bundle: str = ""

    def upgrade(self) -> tuple[tuple[str, ...], ...]:
        """Give the commands that fetch the lists and upgrade what is installed; nothing is removed."""
        if self.manager.name == "apt-get":
            return (self._command("update"), self._command("upgrade", "--with-new-pkgs"))
        return (self._command("upgrade"),)

    def install(self, packages: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Give the commands that install packages by name, in one transaction; ``upgrade`` has run before with apt."""
        return (self._command("install", *packages),)

    def _command(self, *words: str) -> tuple[str, ...]:
        return (*_QUIETLY, *(self._apt() if self.manager.name == "apt-get" else self._dnf()), *words)

    def _apt(self) -> tuple[str, ...]:
        settings = [
            f"Dir::Etc::sourcelist={self.folder}/sources.list",
            "Dir::Etc::sourceparts=/dev/null",
            f"Acquire::Retries={self.attempts}",
        ]
        if self.has_preferences:
            settings.append(f"Dir::Etc::preferences={self.folder}/preferences")
        if self.ca_bundle:
            settings.append(f"Acquire::https::CAInfo={self.ca_bundle}")
        return (*_APT, *(word for setting in settings for word in ("-o", setting)))

    def _dnf(self) -> tuple[str, ...]:
        settings = ["install_weak_deps=False"]
        if self.attempts > 1:
            settings.append(f"retries={self.attempts}")
        if self.manager.name == "yum":
            # Otherwise yum of CentOS 7 passes over a package that no repository has.
            settings.append("skip_missing_names_on_install=False")
        if self.repositories:
            own = "" if self.only_given else f"{_OWN_REPOSITORIES},"
            settings.append(f"reposdir={own}{self.folder}/repositories")
            # A repository that cannot be reached is a mistake here, whatever the image is to think of it later.
            settings += [f"{name}.skip_if_unavailable=0" for name in self.repositories]
        if self.ca_bundle:
            settings.append(f"sslcacert={self.ca_bundle}")
        return (self.manager.name, "--assumeyes", *(f"--setopt={setting}" for setting in settings))


def provision_error(what: str, completed: Completed) -> StxbError:
    """Give the error of a package manager that did not do it.

    Args:
        what: what it was to do, as ``upgrading the packages of IMAGE``.
        completed: how it ended; its last lines are what it said.
    """
    lines = completed.tail
    missing = missing_dependencies(lines)
    if missing:
        needs = "; ".join(f"{name} needs {', '.join(needed)}" for name, needed in missing.items())
        return BuildError(f"{what} failed: no repository has what packages depend on: {needs}", details=lines[-20:])
    for pattern, kind, hint in _TOLD:
        line = next((line for line in lines if pattern.search(line)), None)
        if line is not None:
            return kind(f"{what} failed: {line.strip()}", hint=hint, details=lines[-20:])
    return BuildError(f"{what} failed (exit status {completed.returncode})", details=lines[-20:])
