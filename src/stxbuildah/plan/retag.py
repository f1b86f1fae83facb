# SPDX-License-Identifier: Apache-2.0
"""How tags stand, and which of them are written: nothing here asks a registry."""

from collections.abc import Iterable, Sequence

from stxbuildah.errors import InputError
from stxbuildah.model.retag import LockedTags, RetagEntry, TagCheck, TagState

# Nothing is written as long as an entry is in one of these states, unless it is to be kept going.
_STOPPING = frozenset({TagState.MISSING, TagState.UNKNOWN, TagState.MOVED})


def judged(entry: RetagEntry, built: str | None, target: str | None, locked: LockedTags) -> TagCheck:
    """Say how an entry stands.

    Args:
        entry: what is to be.
        built: digest of the image under the build's tag; None when there is none.
        target: digest of the image under the new tag, likewise.
        locked: what the lock file says, by name and new tag.
    """
    state, note = _state(entry, built, target, locked)
    return TagCheck(entry=entry, state=state, digest=built or "", target_digest=target or "", note=note)


def _state(entry: RetagEntry, built: str | None, target: str | None, locked: LockedTags) -> tuple[TagState, str]:
    kept = locked.get((entry.name, entry.tag))
    if kept is not None and kept.build_tag != entry.build_tag:
        # Another build is to be promoted than the last time: what was kept says nothing about it.
        kept = None
    if kept is not None and built is not None and built != kept.digest:
        return TagState.MOVED, f"the lock says {kept.digest}"
    if built is None and target is None:
        return TagState.MISSING, f"there is no tag {entry.build_tag}"
    if built is None:
        # Builds are removed after a while, and the tags that were promoted stay.
        if kept is not None and target != kept.digest:
            return TagState.DRIFT, f"there is no tag {entry.build_tag} any more; the lock says {kept.digest}"
        compared = "the lock agrees" if kept is not None else "so the two were not compared"
        return TagState.EXISTS, f"there is no tag {entry.build_tag} any more; {compared}"
    if target is None:
        return TagState.CREATE, ""
    return (TagState.EXISTS, "") if target == built else (TagState.DRIFT, "the tag is another image")


def is_repushed(entry: RetagEntry, repush: frozenset[str]) -> bool:
    """Say whether an entry's tag may be written though it is another image."""
    return bool(repush & {entry.name, entry.target.name, entry.target.label})


def check_repush(entries: Iterable[RetagEntry], repush: frozenset[str]) -> None:
    """Make sure that each repository whose tag may be replaced is in the files.

    Raises:
        InputError: one is not.
    """
    found = list(entries)
    unknown = sorted(name for name in repush if not any(is_repushed(entry, frozenset({name})) for entry in found))
    if unknown:
        raise InputError(
            f"--repush {','.join(unknown)}: no entry has that name",
            hint="give the last part of a repository's name, as stx-platformclients for docker.io/starlingx/"
            "stx-platformclients",
        )


def stopping(checks: Sequence[TagCheck]) -> tuple[TagCheck, ...]:
    """Give the entries because of which nothing is written."""
    return tuple(check for check in checks if check.state in _STOPPING)


def is_written(check: TagCheck, repush: frozenset[str]) -> bool:
    """Say whether an entry's tag is to be written."""
    if check.state is TagState.CREATE:
        return True
    return check.state is TagState.DRIFT and bool(check.digest) and is_repushed(check.entry, repush)
