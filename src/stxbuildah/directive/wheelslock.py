# SPDX-License-Identifier: Apache-2.0
"""``wheels.lock``: what each wheel of a list was made of, so that another run can refuse anything else. JSON."""

import json
import re
from collections.abc import Iterable
from typing import Any

from stxbuildah.errors import InputError
from stxbuildah.model.wheelsrun import LockedSource

_FORM = 1
_SHA256, _COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def format_lock(sources: Iterable[LockedSource]) -> str:
    """Write a lock file; the same for the same wheels, whatever their order."""
    entries = [
        {"wheel": one.wheel, "url": one.url, **({"commit": one.commit} if one.commit else {"sha256": one.sha256})}
        for one in sorted(sources, key=lambda one: one.wheel)
    ]
    return json.dumps({"form": _FORM, "wheels": entries}, indent=2, ensure_ascii=False) + "\n"


def parse_lock(text: str, source: str) -> dict[str, LockedSource]:
    """Read a lock file.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The entries by the wheel as the list has it.

    Raises:
        InputError: it is no such file.
    """
    try:
        entries = [_entry(entry) for entry in _listed(json.loads(text))]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{source} is no lock file of wheels: {error!r}", hint="stxb wheels lock writes a new one"
        ) from error
    return {one.wheel: one for one in entries}


def _listed(told: dict[str, Any]) -> list[dict[str, object]]:
    if told["form"] != _FORM:
        raise ValueError(f"its form is {told['form']!r}, and {_FORM} is known")
    return list(told["wheels"])


def _entry(told: dict[str, object]) -> LockedSource:
    one = LockedSource(
        wheel=str(told["wheel"]),
        url=str(told["url"]),
        sha256=str(told.get("sha256", "")),
        commit=str(told.get("commit", "")),
    )
    sound = _COMMIT.fullmatch(one.commit) if one.commit else _SHA256.fullmatch(one.sha256)
    if not sound:
        raise ValueError(f"{one.wheel} has neither a sha256 nor a commit")
    return one
