# SPDX-License-Identifier: Apache-2.0
"""Versions of programs, and the known holes of old ones."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import attrs

from stxbuildah.engine.process import Runner
from stxbuildah.errors import StxbError
from stxbuildah.model.value import Value

Version: TypeAlias = tuple[int, ...]

_NUMBER = re.compile(r"\bv?(\d+(?:\.\d+)+)")
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b")
_MAXIMUM_CHANGELOG = 4_000_000


def parse_version(text: str) -> Version:
    """Give the first version number in a text, as ``(1, 28, 2)``; empty when there is none.

    What a distribution adds to it (``1.1.5+ds1``) is left out.
    """
    match = _NUMBER.search(text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def version_text(version: Version) -> str:
    """Write a version with dots."""
    return ".".join(map(str, version))


@attrs.frozen(kw_only=True)
class Hole(Value):
    """A known hole of buildah.

    Attributes:
        cve: its number.
        sentence: what it lets through.
        fixed: releases that brought the fix to older lines, one for each line that got it.
        fixed_from: the first release from which on every later line has the fix.
    """

    cve: str
    sentence: str
    fixed: tuple[Version, ...]
    fixed_from: Version

    def is_in(self, version: Version) -> bool:
        """Tell whether an upstream release has the hole."""
        if version >= self.fixed_from:
            return False
        return not any(version[:2] == release[:2] and version >= release for release in self.fixed)


# The lines that got a fix are those of the project's advisories (GHSA-pmf3-c36m-g5cf, GHSA-fhqq-8f65-5xfc,
# GHSA-586p-749j-fhwp, GHSA-5vpc-35f4-r8w6) and of its release branches.
BUILDAH_HOLES = (
    Hole(
        cve="CVE-2024-1753",
        sentence="RUN --mount follows links of an image to the host's files",
        fixed=((1, 24, 7), (1, 26, 7), (1, 27, 4), (1, 29, 3), (1, 31, 5), (1, 33, 7), (1, 34, 3)),
        fixed_from=(1, 35, 1),
    ),
    Hole(
        cve="CVE-2024-9407",
        sentence="RUN --mount passes any bind-propagation on to mount",
        fixed=((1, 33, 10), (1, 37, 4)),
        fixed_from=(1, 38, 0),
    ),
    Hole(
        cve="CVE-2024-9675",
        sentence="RUN --mount=type=cache mounts any folder of the host",
        fixed=((1, 33, 10), (1, 35, 5), (1, 37, 5)),
        fixed_from=(1, 38, 0),
    ),
    Hole(
        cve="CVE-2024-11218",
        sentence="builds side by side (--jobs) let RUN --mount reach the host's files",
        fixed=((1, 33, 12), (1, 35, 5), (1, 37, 6)),
        fixed_from=(1, 38, 1),
    ),
)


def open_holes(version: Version, patched: Iterable[str] = ()) -> tuple[Hole, ...]:
    """Give the holes that a buildah has.

    Args:
        version: its upstream release.
        patched: the CVE numbers that its distribution says it has fixed.
    """
    closed = frozenset(patched)
    return tuple(hole for hole in BUILDAH_HOLES if hole.is_in(version) and hole.cve not in closed)


@attrs.frozen(kw_only=True)
class Package(Value):
    """What the distribution says of the package that a program came in.

    Attributes:
        told_by: the file or command that told; empty when nothing could be told.
        version: the package's version; empty when it is not known.
        patched: CVE numbers in its changelog.
    """

    told_by: str = ""
    version: str = ""
    patched: frozenset[str] = frozenset()


def installed_package(name: str, runner: Runner, documents: Path = Path("/usr/share/doc")) -> Package:
    """Read what the distribution's changelog says of a package.

    Args:
        name: the package.
        runner: runs rpm where there is no Debian changelog.
        documents: folder of the packages' documents on Debian and its kin.
    """
    for file in ("changelog.Debian.gz", "changelog.gz"):
        path = documents / name / file
        try:
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as stream:
                text = stream.read(_MAXIMUM_CHANGELOG)
        except OSError:
            continue
        heading = re.match(r"\S+ \(([^)]+)\)", text)
        if heading:
            return Package(told_by=str(path), version=heading[1], patched=cves_in(text))
    return _rpm_package(name, runner)


def _rpm_package(name: str, runner: Runner) -> Package:
    argv = ["rpm", "-q", "--queryformat", "%{VERSION}-%{RELEASE}\n[%{CHANGELOGTEXT}\n]", name]
    try:
        text = runner.run(argv, timeout=30).stdout.decode("utf-8", "replace")
    except StxbError:
        return Package()
    return Package(
        told_by=f"the changelog of the package {name}", version=text.partition("\n")[0], patched=cves_in(text)
    )


def cves_in(text: str) -> frozenset[str]:
    """Give the CVE numbers that a changelog names."""
    return frozenset(_CVE.findall(text))
