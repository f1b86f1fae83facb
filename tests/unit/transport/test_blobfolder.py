# SPDX-License-Identifier: Apache-2.0
"""Blobs in a folder, and what the system says when they cannot be written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.transport.blobfolder import BlobFolder, writing
from stxbuildah.transport.verified import verified
from tests.unit.transport.images import digest_of

CONTENT = b"some content"
BLOB = Descriptor(media_type="x/y", digest=digest_of(CONTENT), size=len(CONTENT))


def test_a_blob_is_there_whole_under_its_digest(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs", "x")
    assert blobs.size(BLOB.digest) is None
    blobs.put(BLOB, (CONTENT[:3], b"", CONTENT[3:]))
    assert blobs.size(BLOB.digest) == len(CONTENT)
    assert blobs.put_unknown((CONTENT, b"more")) == (digest_of(CONTENT + b"more"), len(CONTENT) + 4)
    assert {path.name: path.read_bytes() for path in (tmp_path / "blobs").iterdir()} == {
        digest_of(CONTENT)[7:]: CONTENT,
        digest_of(CONTENT + b"more")[7:]: CONTENT + b"more",
    }


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield CONTENT
        raise InputError("the source is damaged")

    blobs = BlobFolder(tmp_path / "blobs", "x")
    with pytest.raises(InputError, match="the source is damaged"):
        blobs.put(BLOB, failing())
    with pytest.raises(InputError, match="the source is damaged"):
        blobs.put_unknown(failing())
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_link_is_no_blob(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / BLOB.digest[7:]).symlink_to(tmp_path / "file")
    blobs = BlobFolder(tmp_path, "x")
    assert blobs.size(BLOB.digest) is None
    blobs.put(BLOB, (CONTENT,))
    assert not (tmp_path / BLOB.digest[7:]).is_symlink()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFullError, match="no space left for oci:x"),
        writing("oci:x", tmp_path),
        open("/dev/full", "wb", buffering=0) as stream,  # noqa: PTH123 # a device
    ):
        stream.write(b"x")


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write x: Not a directory") as caught:
        BlobFolder(tmp_path / "file" / "blobs", "x").put(BLOB, (CONTENT,))
    assert str(tmp_path / "file") in caught.value.hint


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=5))
def test_the_right_content_passes_unchanged(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    descriptor = Descriptor(media_type="x/y", digest=digest_of(content), size=len(content))
    assert list(verified(pieces, descriptor, "x")) == pieces


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_other_content_comes_to_no_orderly_end(content: bytes, other: bytes) -> None:
    descriptor = Descriptor(media_type="x/y", digest=digest_of(content), size=len(content))
    if content != other:
        with pytest.raises(InputError, match="x is damaged"):
            list(verified((other,), descriptor, "x"))


def test_an_endless_content_is_left_in_time() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(10)

    with pytest.raises(InputError, match=f"more than its {len(CONTENT)} bytes"):
        list(verified(endless(), BLOB, "x"))
