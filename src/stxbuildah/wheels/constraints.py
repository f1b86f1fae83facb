# SPDX-License-Identifier: Apache-2.0
"""Upper constraints of an OpenStack release, made to agree with the wheels that go along with them.

Lines are those of OpenStack's requirements repository: ``Name===Version``, with a marker behind ``;`` or without. Names
are compared by PEP 503 and versions by PEP 440, so ``PyYAML===`` and ``pyyaml===`` cannot both stand.
"""

import re
from collections.abc import Iterable, Mapping

import attrs
from packaging.markers import InvalidMarker, Marker
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

# Services that have images of their own, which no image takes as a module: their constraints are deleted.
SERVICES = frozenset(
    {
        *("ceilometer", "cinder", "glance", "gnocchi", "heat", "horizon", "ironic", "keystone", "magnum", "murano"),
        *("neutron", "nova", "panko"),
    }
)
_LINE = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*={2,3}\s*(?P<version>[^\s;#=]+)\s*(?:;(?P<marker>[^#]*))?"
)


@attrs.frozen(kw_only=True)
class WheelVersion:
    """What a collected wheel is.

    Attributes:
        name: name of the distribution as its metadata spell it.
        version: its version.
    """

    name: str
    version: Version

    @property
    def key(self) -> NormalizedName:
        """The name to compare."""
        return canonicalize_name(self.name)


@attrs.frozen(kw_only=True)
class Constraint:
    """One line that settles a version.

    Attributes:
        text: the line.
        name: name of the distribution, normalized after PEP 503.
        version: its version as the line has it.
        marker: for which environments it counts; empty for all.
    """

    text: str
    name: NormalizedName
    version: str
    marker: str = ""

    def is_met_by(self, version: Version) -> bool:
        """Tell whether a version is the one of this line."""
        try:
            return Version(self.version) == version
        except InvalidVersion:
            return self.version == str(version)

    def counts_for(self, environment: Mapping[str, str]) -> bool:
        """Tell whether the line is for an environment; one whose marker cannot be read is for all."""
        if not self.marker:
            return True
        try:
            return Marker(self.marker).evaluate(dict(environment))
        except InvalidMarker:
            return True


def parse_constraint(line: str) -> Constraint | None:
    """Read one line; None for a comment, an option, or anything that settles no version."""
    found = _LINE.fullmatch(line.partition("#")[0].rstrip())
    if found is None:
        return None
    marker = (found["marker"] or "").strip()
    return Constraint(
        text=line, name=canonicalize_name(found["name"]), version=found["version"], marker=marker
    )  # fmt: skip


def updated_constraints(text: str, wheels: Iterable[WheelVersion]) -> str:
    """Make constraints agree with the wheels that were collected.

    Lines of services go. A line that has a collected version stays as it is, and so do the lines of its module beside
    it; else the newest collected version stands where the first line of the module stood, or at the end.

    Args:
        text: ``upper-constraints.txt`` of a release; empty for none.
        wheels: all wheels, in any order.

    Returns:
        The new text, which ends in a line feed unless it is empty.
    """
    collected: dict[NormalizedName, list[WheelVersion]] = {}
    for wheel in wheels:
        if wheel.key not in SERVICES:
            collected.setdefault(wheel.key, []).append(wheel)
    lines = text.splitlines()
    parsed = [parse_constraint(line) for line in lines]
    settled = {
        one.name
        for one in parsed
        if one is not None and any(one.is_met_by(wheel.version) for wheel in collected.get(one.name, ()))
    }
    pending = {
        name: max(found, key=lambda wheel: (wheel.version, wheel.name))
        for name, found in collected.items()
        if name not in settled
    }
    replaced = set(pending)
    result: list[str] = []
    for line, one in zip(lines, parsed, strict=True):
        if one is None or one.name in settled:
            result.append(line)
        elif one.name in pending:
            result.append(_shown(pending.pop(one.name)))
        elif one.name not in SERVICES and one.name not in replaced:
            result.append(line)
    result += [_shown(pending[name]) for name in sorted(pending)]
    return "".join(f"{line}\n" for line in result)


def unmet_constraints(
    text: str, wheels: Iterable[WheelVersion], environment: Mapping[str, str]
) -> tuple[Constraint, ...]:
    """Give the constraints that no wheel meets, in their order.

    Args:
        text: constraints.
        wheels: what there is.
        environment: values of markers, as PEP 508 names them; lines for other environments are passed over.
    """
    versions: dict[NormalizedName, list[Version]] = {}
    for wheel in wheels:
        versions.setdefault(wheel.key, []).append(wheel.version)
    parsed = (parse_constraint(line) for line in text.splitlines())
    return tuple(
        one
        for one in parsed
        if one is not None
        and one.counts_for(environment)
        and not any(one.is_met_by(version) for version in versions.get(one.name, ()))
    )


def _shown(wheel: WheelVersion) -> str:
    return f"{wheel.name}==={wheel.version}"
