# SPDX-License-Identifier: Apache-2.0
"""What the files that describe a wheels tarball say: the wheels' sources, the constraints' places, packages' names."""

from collections.abc import Iterable
from enum import Enum
from fnmatch import fnmatchcase

import attrs

from stxbuildah.model.module import ModuleSource
from stxbuildah.model.value import Value

_WILDCARDS = frozenset("*?[")


class SourceKind(Enum):
    """How a wheel is come by; the names are those of wheels.cfg."""

    GIT = "git"
    TAR = "tar"
    ZIP = "zip"
    PYPI = "pypi"


@attrs.frozen(kw_only=True)
class WheelSource(Value):
    """One line of a wheels.cfg: a wheel, and where it comes from.

    Attributes:
        wheel: name of the wheel's file; its version and tags may be wildcards, as in ``neutron_lib-*.whl``.
        kind: how it is come by. ``PYPI`` is a wheel to be downloaded as it is.
        url: the git repository, the archive of the source, or the wheel.
        basedir: folder of the source that is built; empty or ``.`` for the top of an archive. Of a git repository it
            begins with the folder that ``git clone`` would make.
        ref: branch, tag or commit of a git repository; else empty.
        fix_setup: whether an old setup.py is to be turned from distutils to setuptools first.
        sha256: what the download's digest has to be, in hexadecimal; empty when the file does not say.
        source: the file that names it, as the user named that.
        line: its line there, from 1.
    """

    wheel: str
    kind: SourceKind
    url: str
    basedir: str = ""
    ref: str = ""
    fix_setup: bool = False
    sha256: str = ""
    source: str
    line: int

    @property
    def module(self) -> str:
        """The part of the wheel's name that names the distribution, as it is spelled there."""
        return self.wheel.partition("-")[0]

    @property
    def has_wildcard(self) -> bool:
        """Whether the name leaves the version or the tags open."""
        return bool(_WILDCARDS.intersection(self.wheel))

    @property
    def unfilled(self) -> str:
        """The mark, as ``@PYPI_FILES@``, that has to be filled in before this URL can be fetched; else empty."""
        return self.url[: self.url.index("@", 1) + 1] if self.url.startswith("@") else ""

    @property
    def shown_url(self) -> str:
        """The URL without what it says of user and password."""
        return ModuleSource(text=self.url).shown

    def is_met_by(self, name: str) -> bool:
        """Tell whether a wheel's file of this name is the one that was asked for."""
        return fnmatchcase(name, self.wheel) if self.has_wildcard else name == self.wheel


def repeated_modules(sources: Iterable[WheelSource]) -> dict[str, tuple[WheelSource, ...]]:
    """Give the modules that several lines are about, by their name normalized after PEP 503, sorted.

    This is no mistake: lists hold one module in two versions, and constraints then decide.
    """
    from packaging.utils import canonicalize_name

    found: dict[str, list[WheelSource]] = {}
    for source in sources:
        found.setdefault(canonicalize_name(source.module), []).append(source)
    return {name: tuple(sources) for name, sources in sorted(found.items()) if len(sources) > 1}


@attrs.frozen(kw_only=True)
class RequirementPlaces(Value):
    """Where an openstack.cfg says that a release's constraints are: each a URL, or a folder beside the file.

    Attributes:
        stable: of the stable stream.
        master: of the dev stream.
        stable_python2: of the stable stream, for Python 2.
        master_python2: of the dev stream, for Python 2.
    """

    stable: str = ""
    master: str = ""
    stable_python2: str = ""
    master_python2: str = ""

    def of(self, stream: str, *, python2: bool = False) -> str:
        """Give the place for a build stream; empty when the file does not set it.

        Args:
            stream: ``stable`` or ``dev``.
            python2: whether the wheels are for Python 2.
        """
        if stream == "stable":
            return self.stable_python2 if python2 else self.stable
        return self.master_python2 if python2 else self.master


@attrs.frozen(kw_only=True)
class ListedName(Value):
    """One entry of an ``.inc`` file: the name of a package that holds wheels, or a folder of image directives.

    Attributes:
        name: the package, or the folder relative to the repository's root.
        source: the file that lists it, as the user named that.
        line: its line there, from 1.
        column: its column there, from 1.
    """

    name: str
    source: str
    line: int
    column: int
