# SPDX-License-Identifier: Apache-2.0
"""The inventory that is stored beside an image: written by one machine, read by another."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from stxbuildah.job.artifact import ARTIFACT_TYPE, StoredInventory
from stxbuildah.job.artifactupload import InventoryUpload
from stxbuildah.job.remote import RemoteImage
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.layer.layerindex import index_layer
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_MANIFEST, ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage, digest_of
from tests.engine.faultrules import Fault
from tests.layerstacks import Member, tar_of
from tests.unit.registry_client.conftest import Scene
from tests.unit.registry_client.memory import MemoryRegistry, described

LAYERS = (b"the base's layer", b"the new layer")


def tar(layer: bytes) -> bytes:
    return tar_of(
        [Member(path="etc/os-release", kind="file", content=layer), Member(path="d", kind="file", content=b"1")]
    )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as running:
        yield Scene(tmp_path, running)


@pytest.fixture
def registry(scene: Scene) -> MemoryRegistry:
    return scene.registry()


@pytest.fixture
def cache(tmp_path: Path) -> IndexCache:
    """A machine's cache that knows both layers."""
    cache = IndexCache(tmp_path / "layers")
    for layer in LAYERS:
        with cache.making(described(layer).digest) as path:
            index_layer([tar(layer)], what="layer", diff_id="", target=path)
    return cache


def diff_id(layer: bytes) -> str:
    return digest_of(tar(layer))


def image() -> tuple[ImageReference, RemoteImage]:
    layers = tuple(described(layer) for layer in LAYERS)
    listed = [{"mediaType": one.media_type, "digest": one.digest, "size": one.size} for one in layers]
    manifest = Document(OCI_MANIFEST, json.dumps({"schemaVersion": 2, "layers": listed}).encode())
    reference = ImageReference.parse("registry.example/a:1")
    documents = ImageDocuments(manifest=manifest.data, config=b"{}")
    stored = StoredImage(reference=reference, documents=documents)
    return reference, RemoteImage(manifest=manifest, image=stored, layers=layers, diff_ids=tuple(map(diff_id, LAYERS)))


def at(address: str) -> ImageReference:
    return ImageReference.parse(f"{address}/a:1")


def store(scene: Scene, address: str, cache: IndexCache, folder: Path) -> None:
    _, remote = image()
    paths = [cache.path(layer.digest) for layer in remote.layers]
    with ThreadPoolExecutor(3) as pool:
        upload = InventoryUpload(scene.client(), at(address), notes=folder / "packed", folder=folder, pool=pool)
        upload.ask(paths[:1])
        for path in paths:
            upload.add(lambda path=path: path)  # type: ignore[misc]
        upload.finish(remote.manifest)


def offered(scene: Scene, address: str, folder: Path) -> dict[str, bytes | None]:
    """What another machine gets: the content of a file of each layer, by the layer."""
    _, remote = image()
    inventory = StoredInventory(client=scene.client(), cache=IndexCache(folder))
    found = inventory.offered(at(address), remote)
    return {layer: index.content("/etc/os-release") for layer, index in found.items()}


def both() -> dict[str, bytes | None]:
    return {described(layer).digest: layer for layer in LAYERS}


def artifacts(registry: MemoryRegistry) -> list[Descriptor]:
    _, remote = image()
    listed = registry.listed("a", remote.manifest.digest)
    return [Descriptor.from_json(one, "one") for one in listed]


def test_what_one_machine_stores_another_one_reads(
    scene: Scene, registry: MemoryRegistry, cache: IndexCache, tmp_path: Path
) -> None:
    store(scene, registry.address, cache, tmp_path)
    assert [one.artifact_type for one in artifacts(registry)] == [ARTIFACT_TYPE]
    assert offered(scene, registry.address, tmp_path / "other") == both()


def test_what_was_sent_once_is_neither_compressed_nor_sent_again(
    scene: Scene, registry: MemoryRegistry, cache: IndexCache, tmp_path: Path
) -> None:
    store(scene, registry.address, cache, tmp_path)
    begun, blobs = registry.begun, set(registry.blobs)
    store(scene, registry.address, cache, tmp_path)
    assert (registry.begun, set(registry.blobs)) == (begun, blobs)
    # Another registry lacks it all, so it is made again.
    other = scene.registry()
    store(scene, other.address, cache, tmp_path)
    assert set(other.blobs) == blobs
    assert offered(scene, other.address, tmp_path / "other") == both()


@pytest.mark.parametrize("spoil", [b"", b"1 2 sha256:3 00000000\n", b"\xff\xfe", b"12 sha256:\n"])
def test_a_damaged_note_is_made_anew(
    scene: Scene, registry: MemoryRegistry, cache: IndexCache, tmp_path: Path, spoil: bytes
) -> None:
    store(scene, registry.address, cache, tmp_path)
    notes = {path: path.read_bytes() for path in (tmp_path / "packed").iterdir()}
    assert len(notes) == len(LAYERS)
    for path in notes:
        path.write_bytes(spoil)
    store(scene, registry.address, cache, tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / "packed").iterdir()} == notes


def test_an_index_that_was_extended_is_sent_again(
    scene: Scene, registry: MemoryRegistry, cache: IndexCache, tmp_path: Path
) -> None:
    store(scene, registry.address, cache, tmp_path)
    before = set(registry.blobs)
    digest = described(LAYERS[0]).digest
    index = cache.find(digest)
    assert index is not None
    cache.extend(digest, index, {"/d": b"1"})
    store(scene, registry.address, cache, tmp_path)
    assert len(set(registry.blobs) - before) == 1


def test_a_registry_that_refuses_it_is_no_error(
    scene: Scene, registry: MemoryRegistry, cache: IndexCache, tmp_path: Path
) -> None:
    front = scene.front(registry, Fault(method="POST", path="/blobs/uploads/", status=403, times=99))
    store(scene, front.address, cache, tmp_path)
    assert artifacts(registry) == []
    assert offered(scene, registry.address, tmp_path / "other") == {}
