# SPDX-License-Identifier: Apache-2.0
"""Layers as the container tools read them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from stxbuildah.engine.tree import ContainerTree
from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Change, Compression, LayerContent, LayerEntry
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.tree import FileTree, Kind
from tests.engine.conftest import EngineStore

pytestmark = pytest.mark.engine

CREATED = 1_700_000_000
LONG = "/" + "/".join(["long" * 20] * 4) + "/file"
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def file(path: str, text: str = "", mode: int = 0o644) -> LayerEntry:
    data = text.encode()
    return LayerEntry(path=path, change=Change.FILE, mode=mode, size=len(data), opener=partial(io.BytesIO, data))


def folder(path: str, mode: int = 0o755) -> LayerEntry:
    return LayerEntry(path=path, change=Change.DIRECTORY, mode=mode)


def link(path: str, target: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.SYMLINK, target=target)


def whiteout(path: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.WHITEOUT)


BELOW = LayerContent(
    (
        file("/becomes-folder"),
        folder("/becomes-file"),
        file("/becomes-file/a"),
        folder("/becomes-link"),
        file("/becomes-link/a"),
        folder("/emptied"),
        file("/emptied/a"),
        folder("/emptied/b"),
        file("/gone"),
        folder("/gone-folder"),
        file("/gone-folder/a"),
        file("/kept", "kept"),
        folder("/part"),
        file("/part/a"),
        file("/part/b"),
    )
)
ABOVE = LayerContent(
    (
        LayerEntry(path="/a-hard-link", change=Change.HARDLINK, target="/z-file"),
        file("/becomes-file", "file"),
        folder("/becomes-folder"),
        file("/becomes-folder/a"),
        link("/becomes-link", "kept"),
        folder("/emptied"),
        LayerEntry(path="/emptied", change=Change.OPAQUE),
        file("/emptied/new"),
        whiteout("/gone"),
        whiteout("/gone-folder"),
        *(folder(LONG[:end]) for end, character in enumerate(LONG) if character == "/" and end),
        file(LONG, "long"),
        folder("/part", mode=0o1777),
        whiteout("/part/b"),
        file("/caf\u00e9 \u2603", "snow"),
        LayerEntry(
            path="/z-file",
            change=Change.FILE,
            mode=0o4755,
            uid=7,
            gid=8,
            size=1,
            opener=partial(io.BytesIO, b"z"),
            xattrs=(("security.capability", CAPABILITY),),
        ),
    )
)
EXPECTED = {
    "/a-hard-link": ("file", 0o4755, 7, 8, b"z"),
    "/becomes-file": ("file", 0o644, 0, 0, b"file"),
    "/becomes-folder": ("directory", 0o755, 0, 0, b""),
    "/becomes-folder/a": ("file", 0o644, 0, 0, b""),
    "/becomes-link": ("symlink", 0o777, 0, 0, b"kept"),
    "/caf\u00e9 \u2603": ("file", 0o644, 0, 0, b"snow"),
    "/emptied": ("directory", 0o755, 0, 0, b""),
    "/emptied/new": ("file", 0o644, 0, 0, b""),
    "/kept": ("file", 0o644, 0, 0, b"kept"),
    **{LONG[:end]: ("directory", 0o755, 0, 0, b"") for end, letter in enumerate(LONG) if letter == "/" and end},
    LONG: ("file", 0o644, 0, 0, b"long"),
    "/part": ("directory", 0o1777, 0, 0, b""),
    "/part/a": ("file", 0o644, 0, 0, b""),
    "/z-file": ("file", 0o4755, 7, 8, b"z"),
}


def appended(
    base: ImageDocuments, content: LayerContent, work: Path, compression: Compression
) -> tuple[ImageDocuments, str]:
    work.mkdir()
    blob = write_layer(content, work / "layer", timestamp=CREATED, compression=compression)
    documents = append_layer(base, blob, timestamp=CREATED, created_by="the tests")
    return documents, write_layout(work / "image", documents, {blob.digest: work / "layer"})


@contextmanager
def container_of(engine: EngineStore, image: ImageReference) -> Iterator[ContainerTree]:
    name = engine.runner.run(["buildah", "from", str(image)]).stdout.decode().strip()
    try:
        with ContainerTree.of_container(engine.runner, engine.choices, name) as tree:
            yield tree
    finally:
        engine.runner.run(["buildah", "rm", name])


def snapshot(tree: FileTree, path: str = "") -> dict[str, tuple[str, int, int, int, bytes]]:
    found = {}
    for name, entry in tree.scandir(path or "/").items():
        below = f"{path}/{name}"
        content = tree.read(below) if entry.kind is Kind.FILE else entry.target.encode()
        found[below] = (entry.kind.value, entry.mode, entry.uid, entry.gid, content)
        if entry.kind is Kind.DIRECTORY:
            found |= snapshot(tree, below)
    return found


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_container_has_what_the_layers_say(
    driver: str, compression: Compression, stores: dict[str, EngineStore], tmp_path: Path
) -> None:
    engine = stores[driver]
    base, below = appended(empty_image(architecture="amd64"), BELOW, tmp_path / "below", compression)
    image, above = appended(base, ABOVE, tmp_path / "above", compression)
    reference = ImageReference.parse(f"localhost/tests/layers:{compression}")
    engine.store.import_image(below, ImageReference.parse(f"localhost/tests/below:{compression}"))
    engine.store.import_image(above, reference)

    with container_of(engine, reference) as tree:
        assert snapshot(tree) == EXPECTED
        assert dict(tree.xattrs("/z-file"))["security.capability"] == CAPABILITY
    assert engine.store.documents(reference) == image
