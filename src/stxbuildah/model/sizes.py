# SPDX-License-Identifier: Apache-2.0
"""Sizes as people read them."""

_STEP = 1000


def size_text(count: int) -> str:
    """Write a number of bytes for people, in powers of 1000."""
    size = float(count)
    unit = "B"
    for larger in ("kB", "MB", "GB"):
        if size < _STEP:
            break
        size, unit = size / _STEP, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
