# SPDX-License-Identifier: Apache-2.0
"""The lock file of tags."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.taglock import format_lock, parse_lock
from stxbuildah.errors import InputError
from stxbuildah.model.retag import LockedTag

DIGEST = f"sha256:{'a' * 64}"
NAMES = st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True)
TAGS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
LOCKED = st.builds(LockedTag, name=NAMES, tag=TAGS, build_tag=TAGS, digest=st.just(DIGEST), origin=st.text(max_size=20))


@given(tags=st.lists(LOCKED, max_size=6, unique_by=lambda one: (one.name, one.tag)))
def test_written_and_read(tags: list[LockedTag]) -> None:
    text = format_lock(tags)
    assert parse_lock(text, "tags.lock") == {(one.name, one.tag): one for one in tags}
    assert format_lock(reversed(tags)) == text


def told(**more: object) -> str:
    image = {"name": "a/b", "tag": "1", "src_build_tag": "0", "digest": DIGEST, **more}
    return json.dumps({"form": 1, "images": [image]})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "{", '{"form": 2, "images": []}', '{"form": 1, "images": [1]}', '{"form": 1, "images": 1}',
        told(digest="sha256:0"), told(tag=""), told(name="A b"), told(src_build_tag=None), "[" * 100_000,
    ],
)  # fmt: skip
def test_files_that_are_no_lock(text: str) -> None:
    with pytest.raises(InputError, match=r"tags\.lock is no lock file of tags"):
        parse_lock(text, "tags.lock")
