# SPDX-License-Identifier: Apache-2.0
"""The index of a layer from its content is that from its blob, byte for byte."""

import io
import tempfile
from functools import partial
from pathlib import Path

import attrs
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.contentindex import index_content
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.layerindex import index_layer
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from tests.unit.layer.test_layertar import CONTENT
from tests.unit.layer.test_merge import layers

# A mark of so long a name has one that is too long itself, which nobody could read back.
READABLE = LayerContent(CONTENT.entries[:-1])
TIMES = st.sampled_from([0, 1_750_000_000, 2**33 + 1])


def file(path: str, content: bytes, mode: int = 0o644) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, mode=mode, size=len(content), opener=partial(io.BytesIO, content))


WHEEL = LayerContent(
    (
        LayerEntry(path="/", change=Change.DIRECTORY, mode=0o700),
        LayerEntry(path="/usr", change=Change.DIRECTORY, mode=0o2755, gid=50),
        LayerEntry(path="/usr/bin", change=Change.DIRECTORY, mode=0o755),
        file("/usr/bin/a", b"#!/usr/bin/python3\n", 0o755),
        file("/usr/bin/b", b"\x7fELF", 0o755),
        file("/usr/bin/python3.99", b"\x7fELF" + bytes(70_000), 0o755),
        LayerEntry(path="/usr/lib", change=Change.DIRECTORY, mode=0o755),
        LayerEntry(path="/usr/lib/a-1.dist-info", change=Change.DIRECTORY, mode=0o755),
        file("/usr/lib/a-1.dist-info/METADATA", b"Name: a\n"),
        file("/usr/lib/a-1.dist-info/empty", b""),
        LayerEntry(path="/usr/lib/a.egg-info", change=Change.WHITEOUT, uid=3),
        LayerEntry(path="/usr/lib/linked", change=Change.SYMLINK, target="a-1.dist-info"),
        LayerEntry(path="/usr/top.pth", change=Change.HARDLINK, target="/usr/bin/a", uid=9),
        LayerEntry(path="/whole", change=Change.DIRECTORY, mode=0o755),
        LayerEntry(path="/whole", change=Change.OPAQUE),
    )
)


@given(st.one_of(layers("new"), st.just(READABLE), st.just(WHEEL)), TIMES)
def test_it_is_the_index_of_the_blob(content: LayerContent, timestamp: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blob = write_layer(content, folder / "layer", timestamp=timestamp)
        chunks = [(folder / "layer").read_bytes()]
        index_layer(chunks, what="the layer", diff_id=blob.diff_id, target=folder / "read")
        index_content(content, timestamp=timestamp, diff_id=blob.diff_id, target=folder / "made")
        assert (folder / "made").read_bytes() == (folder / "read").read_bytes()


def test_what_an_inventory_reads_is_kept(tmp_path: Path) -> None:
    index_content(WHEEL, timestamp=1, diff_id="sha256:" + 64 * "0", target=tmp_path / "made")
    index = LayerIndex.open(tmp_path / "made")
    assert index is not None
    assert index.content("/usr/lib/a-1.dist-info/METADATA") == b"Name: a\n"
    assert index.content("/usr/bin/a") == b"#!/usr/bin/python3\n"
    assert index.content("/usr/bin/b") is None


def test_a_file_that_is_not_kept_is_not_opened(tmp_path: Path) -> None:
    unread = attrs.evolve(file("/data", b"1"), opener=lambda: (tmp_path / "not-there").open("rb"))
    index_content(LayerContent((unread,)), timestamp=1, diff_id="sha256:" + 64 * "0", target=tmp_path / "made")
    assert LayerIndex.open(tmp_path / "made") is not None
