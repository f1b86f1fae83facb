# SPDX-License-Identifier: Apache-2.0
"""How tags stand, for everything that a registry and a lock can say, and what follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.model.retag import LockedTag, RetagEntry, TagCheck, TagState
from stxbuildah.plan.retag import check_repush, is_repushed, is_written, judged, stopping

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
ENTRY = RetagEntry(name="docker.io/starlingx/stx-nova", build_tag="build-1", tag="v1", source="tags.yaml", line=3)
DIGESTS = st.sampled_from([None, A, B])


def lock(digest: str, build_tag: str = "build-1") -> dict[tuple[str, str], LockedTag]:
    return {(ENTRY.name, ENTRY.tag): LockedTag(name=ENTRY.name, tag=ENTRY.tag, build_tag=build_tag, digest=digest)}


@pytest.mark.parametrize(
    ("built", "target", "locked", "state"),
    [
        (A, None, {}, TagState.CREATE),
        (A, A, {}, TagState.EXISTS),
        (A, B, {}, TagState.DRIFT),
        (None, None, {}, TagState.MISSING),
        (None, B, {}, TagState.EXISTS),
        (A, None, lock(A), TagState.CREATE),
        (B, None, lock(A), TagState.MOVED),
        (B, A, lock(A), TagState.MOVED),
        (B, B, lock(A), TagState.MOVED),
        (A, B, lock(A), TagState.DRIFT),
        (None, A, lock(A), TagState.EXISTS),
        (None, B, lock(A), TagState.DRIFT),
        (None, None, lock(A), TagState.MISSING),
        # Another build is to be promoted now.
        (B, None, lock(A, "build-0"), TagState.CREATE),
        (B, A, lock(A, "build-0"), TagState.DRIFT),
    ],
)
def test_states(
    built: str | None, target: str | None, locked: dict[tuple[str, str], LockedTag], state: TagState
) -> None:
    check = judged(ENTRY, built, target, locked)
    assert (check.state, check.digest, check.target_digest) == (state, built or "", target or "")


@given(built=DIGESTS, target=DIGESTS, kept=DIGESTS)
def test_what_is_written_is_the_build_that_the_lock_knows(
    built: str | None, target: str | None, kept: str | None
) -> None:
    check = judged(ENTRY, built, target, lock(kept) if kept else {})
    for repush in (frozenset[str](), frozenset({"stx-nova"})):
        if is_written(check, repush):
            assert built is not None
            assert target != built
            assert kept in {None, built}
            assert target is None or repush
        elif check.state is TagState.EXISTS:
            assert target is not None


@pytest.mark.parametrize(
    ("name", "repushed"),
    [("stx-nova", True), ("docker.io/starlingx/stx-nova", True), ("nova", False), ("starlingx/stx-nova", False)],
)
def test_names_of_repush(name: str, repushed: bool) -> None:
    assert is_repushed(ENTRY, frozenset({name})) is repushed
    if repushed:
        check_repush([ENTRY], frozenset({name}))
    else:
        with pytest.raises(InputError, match=name):
            check_repush([ENTRY], frozenset({name, "stx-nova"}))


def test_what_stops_the_others() -> None:
    checks = [TagCheck(entry=ENTRY, state=state) for state in TagState]
    assert {check.state for check in stopping(checks)} == {TagState.MISSING, TagState.MOVED, TagState.UNKNOWN}
