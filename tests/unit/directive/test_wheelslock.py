# SPDX-License-Identifier: Apache-2.0
"""The lock file of a list of wheels."""

import pytest

from stxbuildah.directive.wheelslock import format_lock, parse_lock
from stxbuildah.errors import InputError
from stxbuildah.model.wheelsrun import LockedSource

FILE = LockedSource(wheel="a-1-py3-none-any.whl", url="https://h/a.whl", sha256="ab" * 32)
REPOSITORY = LockedSource(wheel="b-*.whl", url="https://h/b.git", commit="cd" * 20)


def test_written_and_read() -> None:
    text = format_lock([REPOSITORY, FILE])
    assert text == format_lock([FILE, REPOSITORY])
    assert parse_lock(text, "wheels.lock") == {FILE.wheel: FILE, REPOSITORY.wheel: REPOSITORY}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"form": 2, "wheels": []}', '{"form": 1, "wheels": [{"wheel": "a"}]}',
        '{"form": 1, "wheels": [{"wheel": "a", "url": "u", "sha256": "0"}]}', "[" * 100_000,
        '{"form": 1, "wheels": [{"wheel": "a", "url": "u", "commit": "--upload-pack=evil"}]}',
    ],
)  # fmt: skip
def test_what_is_no_lock_file(text: str) -> None:
    with pytest.raises(InputError, match=r"wheels\.lock is no lock file of wheels"):
        parse_lock(text, "wheels.lock")
