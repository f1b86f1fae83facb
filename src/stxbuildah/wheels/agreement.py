# SPDX-License-Identifier: Apache-2.0
"""Whether the wheel that came out is the one that was asked for.

Names are compared by PEP 503, versions by PEP 440, and the parts of a file's name are those of PEP 427.
"""

from fnmatch import fnmatchcase
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from stxbuildah.errors import BuildError
from stxbuildah.model.wheelbuild import WheelSource
from stxbuildah.wheels.metadata import examine


def check_wheel(wheel: Path, source: WheelSource) -> str:
    """Check a wheel against the line that asked for it.

    Args:
        wheel: the file; its name and its metadata must agree.
        source: the line.

    Returns:
        What is to be told of it: a sentence with both names when it is for other Pythons or systems than the line
        says; else nothing.

    Raises:
        BuildError: it is of another module or version, or no sound wheel.
    """
    built = examine(wheel)
    if canonicalize_name(source.module) != built.name:
        raise BuildError(f"{source.wheel} was asked for, and {wheel.name} came out: another module")
    if source.has_wildcard:
        version, tags = _parts(source.wheel)
        if not fnmatchcase(str(built.version), version) and not source.is_met_by(wheel.name):
            raise BuildError(f"{source.wheel} was asked for, and {wheel.name} came out: another version")
        differs = not fnmatchcase(_parts(wheel.name)[1], tags) and not source.is_met_by(wheel.name)
    else:
        try:
            _, wanted, _, asked_tags = parse_wheel_filename(source.wheel)
        except InvalidWheelFilename as error:
            raise BuildError(f"{source.wheel}: {error}") from error
        if wanted != built.version:
            raise BuildError(f"{source.wheel} was asked for, and {wheel.name} came out: another version")
        differs = asked_tags != built.tags
    return f"{source.wheel} was asked for, and {wheel.name} came out: other tags" if differs else ""


def _parts(name: str) -> tuple[str, str]:
    """Give version and tags of a wheel's name; one wildcard may stand for both."""
    _, _, rest = name.removesuffix(".whl").partition("-")
    version, dash, tags = rest.partition("-")
    return version, tags if dash else "*"
