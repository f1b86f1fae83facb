# SPDX-License-Identifier: Apache-2.0
"""What is installed in an image, and what changed between two."""

import attrs

from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class PackageLists(Value):
    """What is installed in an image, as sorted lines.

    Attributes:
        python: as ``pip freeze`` writes it; None when the image has no Python.
        deb: ``name version architecture``; None when the image is not Debian's kind.
        rpm: as ``rpm -qa`` writes it; None when the image has no rpm database, or it could not be read.
    """

    python: tuple[str, ...] | None = None
    deb: tuple[str, ...] | None = None
    rpm: tuple[str, ...] | None = None


def difference(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> tuple[str, ...]:
    """Give what changed between two sorted lists: lines that went with ``-``, lines that came with ``+``."""
    old, new = set(before or ()), set(after or ())
    lines = [f"- {line}" for line in old - new] + [f"+ {line}" for line in new - old]
    return tuple(sorted(lines, key=lambda line: (line[2:].lower(), line[0] == "+")))
