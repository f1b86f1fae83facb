# SPDX-License-Identifier: Apache-2.0
"""Wheels that were built before, by everything that they were built from."""

import hashlib
import json
from pathlib import Path

from stxbuildah.model.wheelbuild import WheelSource
from stxbuildah.model.wheelsrun import WheelLimits
from stxbuildah.wheels.buildpython import INSIDE
from stxbuildah.wheels.material import Material

# Changed when the way of building changes so that older wheels must not be taken.
_FORM = 1
_PROGRAMS = ("backend.py", "bench.py")


def build_key(source: WheelSource, material: Material, builder: str, limits: WheelLimits, requires: str) -> str:
    """Give the key of a wheel: whatever may change what comes out changes it.

    Args:
        source: the line that asks for it.
        material: what it is built from.
        builder: the builder image: its id, or a name that tells its recipe's digest.
        limits: of the build.
        requires: digest of what settles the build requirements.

    Returns:
        Hexadecimal digits.
    """
    parts = {
        "form": _FORM,
        "programs": [hashlib.sha256((INSIDE / name).read_bytes()).hexdigest() for name in _PROGRAMS],
        "wheel": source.wheel,
        "kind": source.kind.value,
        "source": material.digest,
        "basedir": source.basedir,
        "fix_setup": source.fix_setup,
        "builder": builder,
        "network": limits.network,
        "requires": requires,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def kept_wheel(folder: Path | None) -> Path | None:
    """Give the wheel in the folder of a key; None where there is none."""
    found = sorted(folder.glob("*.whl")) if folder is not None else []
    return found[0] if len(found) == 1 else None
