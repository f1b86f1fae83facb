# SPDX-License-Identifier: Apache-2.0
"""Requirements that an image does not meet, as wheels for its Python.

The resolver is pip's own (resolvelib). pip itself is of no use here: it evaluates markers for the Python it runs
on, and it wants everything that is installed to be on the index. What is installed and fits stays, as pip's
``only-if-needed``; a wheel that the user gave is never replaced.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver

from stxbuildah import log
from stxbuildah.errors import InputError
from stxbuildah.model.inventory import Distribution
from stxbuildah.model.wheel import Wheel
from stxbuildah.wheels.index import PackageIndex, WheelLink

if TYPE_CHECKING:
    from email.message import Message

    from resolvelib.resolvers import RequirementInformation

_ROUNDS = 20_000


@attrs.frozen(kw_only=True)
class TargetPython:
    """The Python that wheels are wanted for; never the one that runs this.

    Attributes:
        shown: its description for people, as ``Python 3.13 with glibc 2.41``.
        markers: values of PEP 508's environment markers.
        supported: gives the tags it can use of those it is asked for, best first.
        fits: tells whether a ``Requires-Python`` value allows it.
    """

    shown: str
    markers: Mapping[str, str]
    supported: Callable[[frozenset[Tag]], Iterable[Tag]]
    fits: Callable[[str], bool]


@attrs.frozen(eq=False)
class _Wanted:
    """One requirement, and what asks for it."""

    requirement: Requirement
    parent: str

    @property
    def name(self) -> NormalizedName:
        return canonicalize_name(self.requirement.name)

    def __str__(self) -> str:
        return f"{self.parent} requires {self.requirement}"


@attrs.frozen(eq=False)
class _Candidate:
    """One version of a distribution that could be in the image: a wheel given, installed or offered."""

    name: NormalizedName
    version: Version
    requires: Callable[[], Sequence[str]]
    extras: frozenset[str] = frozenset()
    link: WheelLink | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


_Key = tuple[NormalizedName, frozenset[str]]


def download_dependencies(
    wheels: Collection[Wheel], installed: Collection[Distribution], target: TargetPython, index: PackageIndex
) -> tuple[Path, ...]:
    """Fetch the wheels that given wheels require and an image lacks.

    Args:
        wheels: what will be installed.
        installed: what is in the image.
        target: the image's Python.
        index: where wheels come from, and the folder they are fetched into.

    Returns:
        The files, sorted by name; empty when nothing is missing.

    Raises:
        InputError: the requirements contradict each other, or no wheel fulfils one of them.
        StxbError: the index cannot be reached.
    """
    provider = _Provider(wheels, installed, target, index)
    return _resolved(
        provider, [_Wanted(Requirement(f"{wheel.name}==={wheel.version}"), "the update") for wheel in wheels]
    )


def download_requirements(
    requirements: Iterable[Requirement],
    parent: str,
    installed: Collection[Distribution],
    target: TargetPython,
    index: PackageIndex,
    *,
    constraints: Mapping[NormalizedName, SpecifierSet] | None = None,
) -> tuple[Path, ...]:
    """Fetch the wheels of requirements that are not met by what is installed.

    Args:
        requirements: what is wanted; markers are evaluated for the target.
        parent: who wants it, for messages.
        installed: what is there already.
        target: the Python that they are for.
        index: where wheels come from, and the folder they are fetched into.
        constraints: versions that distributions must have should they be needed.

    Returns:
        The files, sorted by name; empty when nothing is missing.

    Raises:
        InputError: the requirements contradict each other, or no wheel fulfils one of them.
        StxbError: the index cannot be reached.
    """
    provider = _Provider((), installed, target, index, constraints)
    wanted = [one for one in requirements if one.marker is None or one.marker.evaluate({**target.markers, "extra": ""})]
    return _resolved(provider, [_Wanted(one, parent) for one in wanted])


def _resolved(provider: "_Provider", roots: "list[_Wanted]") -> tuple[Path, ...]:
    """Give the files of the index that, with what is there, meet all requirements."""
    resolver = Resolver[_Wanted, _Candidate, _Key](provider, BaseReporter[_Wanted, _Candidate, _Key]())
    try:
        result = resolver.resolve(roots, max_rounds=_ROUNDS)
    except ResolutionImpossible as error:
        raise _contradiction(error.causes, provider) from error
    except ResolutionTooDeep as error:
        raise InputError(
            "no set of wheels was found that meets all requirements: too many combinations",
            hint="give the wheels of the narrowest requirements by --wheel",
        ) from error
    links = {candidate.link for candidate in result.mapping.values() if candidate.link is not None}
    files = tuple(sorted((provider.index.fetch(link) for link in links), key=lambda path: path.name))
    log.info("requirements.fetched", wheels=[path.name for path in files])
    return files


class _Provider(AbstractProvider[_Wanted, _Candidate, _Key]):
    """Tells the resolver what there is and what it requires."""

    def __init__(
        self,
        wheels: Iterable[Wheel],
        installed: Iterable[Distribution],
        target: TargetPython,
        index: PackageIndex,
        constraints: Mapping[NormalizedName, SpecifierSet] | None = None,
    ) -> None:
        self.target = target
        self.constraints = constraints or {}
        self.index = index
        self.given = {wheel.name: _Candidate(wheel.name, wheel.version, _constant(wheel.requires)) for wheel in wheels}
        self.installed = {one.name: found for one in installed if (found := _installed(one)) is not None}
        self._offered: dict[NormalizedName, list[_Candidate]] = {}
        self._read: dict[WheelLink, Message] = {}

    def identify(self, requirement_or_candidate: _Wanted | _Candidate) -> _Key:
        if isinstance(requirement_or_candidate, _Wanted):
            extras = frozenset(map(str, map(canonicalize_name, requirement_or_candidate.requirement.extras)))
            return requirement_or_candidate.name, extras
        return requirement_or_candidate.name, requirement_or_candidate.extras

    def get_preference(
        self,
        identifier: _Key,
        resolutions: Mapping[_Key, _Candidate],  # noqa: ARG002 # resolvelib passes it
        candidates: Mapping[_Key, Iterator[_Candidate]],  # noqa: ARG002 # as above
        information: "Mapping[_Key, Iterator[RequirementInformation[_Wanted, _Candidate]]]",
        backtrack_causes: "Sequence[RequirementInformation[_Wanted, _Candidate]]",
    ) -> Any:  # resolvelib's own type for a sort key
        name, extras = identifier
        causes = {self.identify(cause.requirement) for cause in backtrack_causes}
        pinned = any(
            specifier.operator.startswith("==")
            for wanted, _ in information[identifier]
            for specifier in wanted.requirement.specifier
        )
        known = name in self.given or name in self.installed
        return identifier not in causes, not known, not pinned, name, sorted(extras)

    def find_matches(
        self,
        identifier: _Key,
        requirements: Mapping[_Key, Iterator[_Wanted]],
        incompatibilities: Mapping[_Key, Iterator[_Candidate]],
    ) -> Callable[[], Iterator[_Candidate]]:
        name, extras = identifier
        wanted = list(requirements[identifier])
        refused = {candidate.version for candidate in incompatibilities[identifier]}
        specifiers = SpecifierSet(",".join(str(one.requirement.specifier) for one in wanted))
        specifiers &= self.constraints.get(name, SpecifierSet())
        for one in wanted:
            if one.requirement.url:
                raise InputError(f"{one}: requirements that name a URL are not fetched", hint="give it by --wheel")

        def found() -> Iterator[_Candidate]:
            for candidate in self._candidates(name, specifiers):
                if candidate.version not in refused and self._runs(candidate):
                    yield attrs.evolve(candidate, extras=extras)

        # Looked at one by one: a candidate may have to be fetched to be known.
        return found

    def _candidates(self, name: NormalizedName, specifiers: SpecifierSet) -> Iterator[_Candidate]:
        known = self.given.get(name)
        if known is not None:
            if specifiers.contains(known.version, prereleases=True):
                yield known
            return
        there = self.installed.get(name)
        if there is not None and specifiers.contains(there.version, prereleases=True):
            yield there
        offered = {candidate.version: candidate for candidate in reversed(self._of_index(name, specifiers))}
        # filter() takes a pre-release only when it is asked for or there is nothing else, as pip does.
        for version in sorted(specifiers.filter(offered), reverse=True):
            if there is None or version != there.version:
                yield offered[version]

    def _of_index(self, name: NormalizedName, specifiers: SpecifierSet) -> list[_Candidate]:
        """Give what the index has for the target; of one version the best wheel first."""
        if name not in self._offered:
            usable = []
            for link in self.index.links(name):
                rank = self._rank(link)
                if rank is not None:
                    usable.append((rank, link))
            usable.sort(key=lambda pair: pair[0])
            self._offered[name] = [
                _Candidate(name, link.version, self._requires(link), frozenset(), link) for _, link in usable
            ]
        # A withdrawn version counts only for who pins it (PEP 592).
        pinned = any(one.operator in {"==", "==="} and not one.version.endswith(".*") for one in specifiers)
        return [one for one in self._offered[name] if pinned or one.link is None or not one.link.yanked]

    def _rank(self, link: WheelLink) -> tuple[int, int, str] | None:
        if not self.target.fits(link.requires_python):
            return None
        for rank, tag in enumerate(self.target.supported(link.tags)):
            if tag in link.tags:
                number, rest = link.build or (0, "")
                return rank, -number, rest
        return None

    def _runs(self, candidate: _Candidate) -> bool:
        """Tell whether the target is a Python that a candidate allows, where its link did not tell."""
        link = candidate.link
        if link is None or link.requires_python:
            return True
        return self.target.fits(str(self._headers(link)["Requires-Python"] or ""))

    def _requires(self, link: WheelLink) -> Callable[[], Sequence[str]]:
        return lambda: [str(value) for value in self._headers(link).get_all("Requires-Dist", [])]

    def _headers(self, link: WheelLink) -> "Message":
        if link not in self._read:
            self._read[link] = BytesHeaderParser().parsebytes(self.index.metadata(link))
        return self._read[link]

    def is_satisfied_by(self, requirement: _Wanted, candidate: _Candidate) -> bool:
        return requirement.requirement.specifier.contains(candidate.version, prereleases=True)

    def get_dependencies(self, candidate: _Candidate) -> Iterator[_Wanted]:
        if candidate.extras:
            # An extra adds to a distribution, it is none of its own.
            yield _Wanted(Requirement(f"{candidate.name}==={candidate.version}"), str(candidate))
        for line in candidate.requires():
            try:
                requirement = Requirement(line)
            except InvalidRequirement as error:
                log.warning("requirement.unreadable", distribution=str(candidate), requirement=line, reason=str(error))
                continue
            if self._applies(requirement, candidate.extras):
                yield _Wanted(requirement, str(candidate))

    def _applies(self, requirement: Requirement, extras: frozenset[str]) -> bool:
        marker = requirement.marker
        if marker is None:
            return not extras
        plain = marker.evaluate({**self.target.markers, "extra": ""})
        if not extras:
            return plain
        return not plain and any(marker.evaluate({**self.target.markers, "extra": extra}) for extra in extras)


def _installed(distribution: Distribution) -> _Candidate | None:
    try:
        version = Version(distribution.version)
    except InvalidVersion:
        log.warning("distribution.version.unreadable", name=distribution.display_name, version=distribution.version)
        return None
    return _Candidate(distribution.name, version, _constant(distribution.requires))


def _constant(requires: Sequence[str]) -> Callable[[], Sequence[str]]:
    return lambda: requires


def _contradiction(causes: "Iterable[RequirementInformation[_Wanted, _Candidate]]", provider: _Provider) -> InputError:
    wanted = [cause.requirement for cause in causes]
    names = sorted({one.name for one in wanted})
    details = list(dict.fromkeys(map(str, wanted)))
    for name in names:
        details += [f"{name} {one.version} is given" for key, one in provider.given.items() if key == name]
        details += [f"{name} {one.version} is installed" for key, one in provider.installed.items() if key == name]
    missing = [name for name in names if not provider.index.links(name)]
    if missing:
        details += [f"{name}: the index has no wheel of it" for name in missing]
    return InputError(
        f"no wheel of {', '.join(names)} for {provider.target.shown} meets all requirements",
        hint="give a wheel that does by --wheel, or build one by --module-src; sdists are not built",
        details=details,
    )
