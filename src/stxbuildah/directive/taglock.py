# SPDX-License-Identifier: Apache-2.0
"""The lock file of promoted tags: which image each tag was given. JSON, with the keys of the tag-management file."""

import json
from collections.abc import Iterable
from typing import Any

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.retag import LockedTag

_FORM = 1


def format_lock(tags: Iterable[LockedTag]) -> str:
    """Write a lock file; the same for the same tags, whatever their order."""
    images = [
        {
            "name": one.name,
            "src_build_tag": one.build_tag,
            "src_ref": one.origin,
            "tag": one.tag,
            "digest": one.digest,
        }
        for one in sorted(tags, key=lambda one: (one.name, one.tag))
    ]
    return json.dumps({"form": _FORM, "images": images}, indent=2, ensure_ascii=False) + "\n"


def parse_lock(text: str, source: str) -> dict[tuple[str, str], LockedTag]:
    """Read a lock file.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        What it says, by name and new tag.

    Raises:
        InputError: it is no such file.
    """
    try:
        tags = [_tag(image) for image in _listed(json.loads(text))]
    except (ValueError, KeyError, TypeError, RecursionError, InputError) as error:
        raise InputError(
            f"{source} is no lock file of tags: {error!r}", hint="remove it, and the next run writes a new one"
        ) from error
    return {(one.name, one.tag): one for one in tags}


def _listed(told: dict[str, Any]) -> list[dict[str, Any]]:
    if told["form"] != _FORM:
        raise ValueError(f"its form is {told['form']!r}, and {_FORM} is known")
    return list(told["images"])


def _tag(told: dict[str, Any]) -> LockedTag:
    texts = {key: told[key] for key in ("name", "tag", "src_build_tag", "digest")}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise ValueError(f"an image has no {', '.join(key for key, text in texts.items() if not text)}")
    ImageReference.parse(f"{texts['name']}@{texts['digest']}")
    return LockedTag(
        name=texts["name"],
        tag=texts["tag"],
        build_tag=texts["src_build_tag"],
        digest=texts["digest"],
        origin=str(told.get("src_ref", "")),
    )
