# SPDX-License-Identifier: Apache-2.0
"""Installing packages in a working container: by the image's own manager, offline, in one transaction."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import attrs

from stxbuildah.engine.process import Completed
from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.value import Value

# Where package managers are looked for; links are not followed, so that none of them can lead out of the image.
_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin")
_MANAGERS = {
    ".deb": ("apt-get", "dpkg"),
    # microdnf is left out, since it installs from repositories only (its issue 20); images with it have rpm too.
    ".rpm": ("dnf", "dnf5", "yum", "rpm"),
}
_WITHOUT_REPOSITORIES = frozenset({"dpkg", "rpm"})
_NO_REPOSITORIES = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=/dev/null")
_APT = (
    "apt-get",
    "--yes",
    "--allow-downgrades",
    "--no-install-recommends",
    "-o", "APT::Sandbox::User=root",
    "-o", "Dpkg::Use-Pty=0",
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip
# As an option --error-on=any is refused before apt 2.1.16 (Ubuntu 20.04); what it sets may be set in any version.
_EVERY_LIST = ("-o", "APT::Update::Error-Mode=any")
# Before each command: nobody is there to answer, and messages are to be understood.
_QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "LC_ALL=C")

# apt says " stx-tool : Depends: libfoo (>= 2) but it is not installable"; the name stands on the first line only.
_APT_UNMET = re.compile(r"^\s*(?:(?P<name>\S+) : )?(?:Pre)?Depends: (?P<need>.+?)(?: but .*| is not .*)?$")
# Alternatives stand on lines of their own: " Depends: libfoo but it is not installable or", "libbar but it is not ...".
_APT_ALTERNATIVE = re.compile(r"^\s+(?P<need>\S.*?)(?: but .*| is not .*)$")
# dpkg says " stx-tool depends on libfoo (>= 2); however:"
_DPKG_UNMET = re.compile(r"^\s*(?P<name>\S+) depends on (?P<need>.+?)(?:; however:|\.)$")
# dnf says "nothing provides libfoo >= 2 needed by stx-tool-1-1.noarch"; rpm says it the other way round, as
# "libfoo >= 2 is needed by stx-tool-1-1.noarch".
_DNF_UNMET = re.compile(r"nothing provides (?P<need>.+?) needed by (?P<name>\S+)")
_RPM_UNMET = re.compile(r"^\s*(?P<need>\S.*?) is needed by (?P<name>\S+)$")
# yum of CentOS 7 says "Error: Package: stx-tool-1-1.noarch (/stx-tool-1-1.noarch)", and on the next line
# "Requires: libfoo >= 2".
_YUM_PACKAGE = re.compile(r"^Error: Package: (?P<name>\S+)")
_YUM_UNMET = re.compile(r"^\s+Requires: (?P<need>\S.*?)\s*$")


@attrs.frozen(kw_only=True)
class PackageManager(Value):
    """A package manager that an image has.

    Attributes:
        name: the program, as ``apt-get``.
        suffix: what it installs, as ``.deb``.
    """

    name: str
    suffix: str

    @property
    def fetches(self) -> bool:
        """Whether it can fetch packages from repositories."""
        return self.name not in _WITHOUT_REPOSITORIES

    def commands(self, files: Sequence[str], *, allow_repositories: bool) -> tuple[tuple[str, ...], ...]:
        """Give the commands that install package files, in one transaction.

        Args:
            files: absolute paths inside the container.
            allow_repositories: fetch missing dependencies from the image's own repositories.
        """
        return tuple((*_QUIETLY, *command) for command in self._commands(files, allow_repositories=allow_repositories))

    def _commands(self, files: Sequence[str], *, allow_repositories: bool) -> tuple[tuple[str, ...], ...]:
        if self.name == "apt-get":
            if allow_repositories:
                return ((*_APT, *_EVERY_LIST, "update"), (*_APT, "install", *files))
            return ((*_APT, *_NO_REPOSITORIES, "install", *files),)
        if self.name == "dpkg":
            return (("dpkg", "--force-confdef", "--force-confold", "--install", *files),)
        if self.name == "rpm":
            return (("rpm", "--upgrade", "--oldpackage", "--replacepkgs", *files),)
        offline = () if allow_repositories else ("--disablerepo=*",)
        return ((self.name, "--assumeyes", *offline, "--setopt=install_weak_deps=False", "install", *files),)


def package_suffix(files: Iterable[str]) -> str:
    """Give the one kind of the package files.

    Raises:
        InputError: a file is no package, or there are packages of both kinds.
    """
    suffixes = {}
    for file in files:
        suffix = PurePosixPath(file).suffix
        if suffix not in _MANAGERS:
            raise InputError(f"{file} is no distribution package", hint="a package's name ends in .deb or .rpm")
        suffixes[suffix] = file
    if len(suffixes) > 1:
        raise InputError(
            "packages of both kinds, .deb and .rpm, cannot go into one image", details=sorted(suffixes.values())
        )
    return next(iter(suffixes))


def find_manager(tree: FileTree, suffix: str, *, image: str) -> PackageManager:
    """Find the program of an image that installs its packages.

    Args:
        tree: the image's files.
        suffix: ``.deb`` or ``.rpm``.
        image: the image's name, for the error.

    Raises:
        InputError: the image has none for this kind of package.
    """
    for name in _MANAGERS[suffix]:
        for folder in _FOLDERS:
            found = tree.lstat(f"{folder}/{name}")
            if found is not None and found.kind in {Kind.FILE, Kind.SYMLINK}:
                return PackageManager(name=name, suffix=suffix)
    raise InputError(
        f"the image {image} has no program that installs {suffix} packages",
        hint=f"looked for {', '.join(_MANAGERS[suffix])} in {', '.join(_FOLDERS)}",
    )


def refusal(manager: PackageManager, completed: Completed, *, allow_repositories: bool) -> BuildError:
    """Give the error of a manager that did not install packages; missing dependencies are named.

    Args:
        manager: what was to install them.
        completed: how it ended, and what it said.
        allow_repositories: whether it could fetch from the image's own repositories.
    """
    lines = [*completed.stdout.decode("utf-8", "replace").splitlines(), *completed.tail]
    missing = missing_dependencies(lines)
    if missing:
        needs = "; ".join(f"{name} needs {', '.join(needed)}" for name, needed in missing.items())
        hint = "add what is missing by --pkg"
        if manager.fetches and not allow_repositories:
            hint += ", or let the image's repositories supply it by --allow-repos"
        return BuildError(f"the image lacks what the packages depend on: {needs}", hint=hint)
    return BuildError(
        f"{manager.name} could not install the packages (exit status {completed.returncode})", details=lines[-20:]
    )


def missing_dependencies(lines: Iterable[str]) -> dict[str, list[str]]:
    """Read from a package manager's messages which package needs what."""
    missing: dict[str, list[str]] = {}
    name, alternatives = "", False
    for line in lines:
        if alternatives and (match := _APT_ALTERNATIVE.search(line)):
            missing[name][-1] += f" | {match['need']}"
        elif match := _YUM_PACKAGE.search(line):
            name = match["name"]
        elif match := _unmet(line):
            name = match.groupdict().get("name") or name
            needed = missing.setdefault(name, [])
            if match["need"] not in needed:
                needed.append(match["need"])
        alternatives = match is not None and line.endswith(" or")
    return missing


def _unmet(line: str) -> re.Match[str] | None:
    patterns = (_DNF_UNMET, _RPM_UNMET, _DPKG_UNMET, _APT_UNMET, _YUM_UNMET)
    return next((match for pattern in patterns if (match := pattern.search(line))), None)
