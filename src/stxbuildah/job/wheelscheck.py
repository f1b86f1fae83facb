# SPDX-License-Identifier: Apache-2.0
"""What a tarball of wheels lacks: read from the tarball itself, nothing is fetched or built."""

import tarfile
from collections.abc import Mapping
from pathlib import Path

import attrs
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from stxbuildah.errors import InputError
from stxbuildah.job.wheels import plan
from stxbuildah.job.wheelspack import CONSTRAINTS
from stxbuildah.model.wheelbuild import WheelSource
from stxbuildah.model.wheelsrun import WheelsChecked, WheelsRequest
from stxbuildah.wheels.constraints import WheelVersion, unmet_constraints

_LARGEST_CONSTRAINTS = 16 * 2**20


# The Python of each release, as its markers name it.
_PYTHONS = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
_PYTHON_2 = "2.7"


def check(request: WheelsRequest, tarball: Path | None) -> WheelsChecked:
    """Compare a tarball with its constraints, and with the lists.

    Args:
        request: lists, system and stream.
        tarball: the tarball; None for the one that a run of this request makes.

    Raises:
        InputError: a list is wrong, there is no such tarball, or it is none of wheels.
    """
    planned = plan(attrs.evolve(request, tarball=True))
    python = _PYTHON_2 if request.python2 else _PYTHONS.get(request.codename, "")
    environment = {"python_version": python, "sys_platform": "linux"} if python else {}
    sources = tuple(step.source for step in planned.steps)
    return check_tarball(tarball or planned.tarball or Path(), sources, environment)


def check_tarball(tarball: Path, sources: tuple[WheelSource, ...], environment: Mapping[str, str]) -> WheelsChecked:
    """Compare a tarball with its constraints, and with what lists say.

    Args:
        tarball: a tarball of wheels.
        sources: the lists' lines.
        environment: values of markers of the Python that the wheels are for, as PEP 508 names them.

    Raises:
        InputError: there is no such tarball, or it is none of wheels.
    """
    names, constraints = _read(tarball)
    wheels = [_wheel(name, tarball) for name in names]
    there = {(wheel.key, wheel.version) for wheel in wheels}
    unmet = unmet_constraints(constraints, wheels, environment)
    missing = [source.wheel for source in sources if not _is_there(source, names, there)]
    return WheelsChecked(
        tarball=tarball, unmet=tuple(one.text for one in unmet), missing=tuple(sorted(missing)), wheels=len(wheels)
    )


def _read(tarball: Path) -> tuple[list[str], str]:
    names: list[str] = []
    constraints = ""
    try:
        with tarfile.open(tarball, "r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name.endswith(".whl"):
                    names.append(name)
                elif name == CONSTRAINTS and member.size <= _LARGEST_CONSTRAINTS:
                    content = tar.extractfile(member)
                    constraints = content.read().decode("utf-8", "replace") if content is not None else ""
    except (OSError, tarfile.TarError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"the tarball {tarball} cannot be read: {reason}", hint="stxb wheels makes it; name another by --tarball"
        ) from error
    return names, constraints


def _wheel(name: str, tarball: Path) -> WheelVersion:
    try:
        module, version, _, _ = parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        raise InputError(f"{tarball}: {error}") from error
    return WheelVersion(name=module, version=version)


def _is_there(source: WheelSource, names: list[str], there: set[tuple[NormalizedName, Version]]) -> bool:
    """Tell whether a line's wheel is in the tarball; other tags are no matter."""
    if source.has_wildcard:
        return any(source.is_met_by(name) for name in names)
    try:
        module, version, _, _ = parse_wheel_filename(source.wheel)
    except InvalidWheelFilename:
        return any(canonicalize_name(source.module) == name for name, _ in there)
    return (module, version) in there
