# SPDX-License-Identifier: Apache-2.0
"""The file tree that is read from a stream of layers is the one that the real overlay store mounts."""

import gzip
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from stxbuildah.engine.process import Runner
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.engine.store import Store
from stxbuildah.job.inspect import installed
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.layerindex import index_layer, read_files
from stxbuildah.layer.stacked import StackedTree
from stxbuildah.model.image import OCI_CONFIG, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.tree import Entry, FileTree, Kind
from tests.engine.baseimage import write_blob
from tests.layerstacks import Stack, every_path, stacks

pytestmark = pytest.mark.engine

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@contextmanager
def streamed(blobs: Sequence[Path], diff_ids: Sequence[str], folder: Path) -> Iterator[tuple[StackedTree, list[str]]]:
    """The tree of an image's layers, read as streams; and the paths for which one was read again."""
    indexes: list[LayerIndex] = []
    fetched: list[str] = []
    with ExitStack() as stack:
        for number, (blob, diff_id) in enumerate(zip(blobs, diff_ids, strict=True)):
            target = folder / f"{number}.index"
            index_layer(chunks(blob), what=f"layer {number}", diff_id=diff_id, target=target)
            index = LayerIndex.open(target)
            assert index is not None
            stack.callback(index.close)
            indexes.append(index)

        def fetch(number: int, paths: Collection[str]) -> Mapping[str, bytes]:
            fetched.extend(paths)
            return read_files(chunks(blobs[number]), indexes[number], paths, what=f"layer {number}")

        yield StackedTree(indexes, fetch), fetched


def chunks(blob: Path) -> Iterator[bytes]:
    with blob.open("rb") as stream:
        while data := stream.read(1 << 18):
            yield data


@contextmanager
def mounted(image: ImageReference, runner: Runner, choices: HostChoices, state: Path) -> Iterator[FileTree]:
    """The tree of an image of the store, read through a mounted container."""
    with (
        WorkingContainer.create(runner, choices, str(image), state_folder=state) as container,
        container.tree() as tree,
    ):
        yield tree


def write_image(layout: Path, tars: Sequence[bytes]) -> tuple[list[Path], list[str]]:
    """Write an OCI layout with one image, ``image``; give the layers' blobs and the digests of their tars."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    files, diff_ids, layers = [], [], []
    for tar in tars:
        data = gzip.compress(tar, 1, mtime=0)
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        files.append(blobs / digest)
        diff_ids.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
        layers.append({"mediaType": LAYER, "digest": f"sha256:{digest}", "size": len(data)})
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = write_blob(blobs, {"architecture": "amd64", "os": "linux", "rootfs": rootfs}, OCI_CONFIG)
    manifest = write_blob(
        blobs, {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}, OCI_MANIFEST
    )
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return files, diff_ids


def content(tree: FileTree, path: str) -> bytes | None:
    try:
        return tree.read(path)
    except FileNotFoundError:
        return None


def unchanged(entry: Entry | None) -> Entry | None:
    return entry


def without_time(entry: Entry | None) -> Entry | None:
    return entry and attrs.evolve(entry, mtime=0)


@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(stack=stacks(strict=True, layers=(3, 8), sizes=(15, 40)))
def test_a_stream_of_layers_is_read_as_the_store_mounts_it(
    store: Store, runner: Runner, choices: HostChoices, stack: Stack
) -> None:
    note(repr(stack.members))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        blobs, diff_ids = write_image(folder / "layout", stack.tars)
        image = ImageReference.parse("localhost/tests/streamed:1")
        store.import_image(f"oci:{folder / 'layout'}:image", image)
        with streamed(blobs, diff_ids, folder) as (read, _), mounted(image, runner, choices, folder / "state") as real:
            for path in every_path(stack.tree):
                node = stack.tree.get(path)
                # A folder that a tar omits has the time at which it was unpacked, and the root the driver's own mode.
                known = path != "/" and node is not None and not node.implicit
                compare = unchanged if known else without_time
                if path != "/":
                    assert compare(read.lstat(path)) == compare(real.lstat(path)), path
                assert set(read.scandir(path)) == set(real.scandir(path)), path
                assert content(read, path) == content(real, path), path
        store.remove(image)


def test_the_inventory_of_the_base_image_is_the_same(
    base_image: ImageReference, base_layout: Path, runner: Runner, choices: HostChoices, tmp_path: Path
) -> None:
    blobs = base_layout / "blobs/sha256"
    index = json.loads((base_layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    layers = [blobs / layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
    with (
        streamed(layers, config["rootfs"]["diff_ids"], tmp_path) as (read, fetched),
        mounted(base_image, runner, choices, tmp_path / "state") as real,
    ):
        inventory = take_inventory(read, "")
        assert inventory == take_inventory(real, "")
        assert installed(read, inventory) == installed(real, inventory)
        assert fetched == []
        assert inventory.environment is not None
        compared = [*walked(real, "/", read)]
    assert len(compared) > 1000


def walked(real: FileTree, path: str, read: FileTree) -> Iterator[str]:
    """Compare all entries below a folder, and give their paths."""
    names = real.scandir(path)
    # Devices cannot be made in a user namespace, so the store leaves them out.
    found = {name: entry for name, entry in read.scandir(path).items() if name in names or entry.kind is not Kind.OTHER}
    assert found == names, path
    for name, entry in names.items():
        below = f"{path.rstrip('/')}/{name}"
        yield below
        if entry.kind is Kind.DIRECTORY:
            yield from walked(real, below, read)
