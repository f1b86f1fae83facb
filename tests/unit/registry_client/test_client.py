# SPDX-License-Identifier: Apache-2.0
"""Documents in registries and their mirrors, blobs that are there already, and what is refused."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import attrs
import pytest

from stxbuildah.errors import AuthenticationError, InputError, RegistryError
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.documents import MAXIMUM_DOCUMENT
from tests.engine.faultrules import Fault
from tests.engine.faultserver import FaultServer
from tests.engine.tokengate import Tokens
from tests.unit.registry_client.conftest import Front, Scene
from tests.unit.registry_client.memory import MemoryRegistry, described, digest_of, noise

LAYER = noise(200_000)
MANIFEST = Document(
    OCI_MANIFEST,
    json.dumps(
        {"schemaVersion": 2, "layers": [{"digest": digest_of(LAYER), "size": len(LAYER), "mediaType": "x"}]}
    ).encode(),
)
MANIFESTS = "/manifests/"


def fill(registry: MemoryRegistry) -> None:
    registry.add_blob("a/b", LAYER)
    registry.add_manifest("a/b", "1", MANIFEST.media_type, MANIFEST.data)


def named(address: str, tail: str = ":1") -> ImageReference:
    return ImageReference.parse(f"{address}/a/b{tail}")


@pytest.fixture
def filled(registry: MemoryRegistry) -> MemoryRegistry:
    fill(registry)
    return registry


@pytest.mark.parametrize("tail", [":1", f"@{MANIFEST.digest}", f":other@{MANIFEST.digest}"])
def test_a_document_is_read(filled: MemoryRegistry, client: RegistryClient, tail: str) -> None:
    assert client.document(named(filled.address, tail)) == MANIFEST
    assert client.digest(named(filled.address, tail)) == MANIFEST.digest


def test_an_image_that_is_not_there(filled: MemoryRegistry, client: RegistryClient) -> None:
    for tail in (":2", "@" + digest_of(b""), ""):
        assert client.document(named(filled.address, tail)) is None
        assert client.digest(named(filled.address, tail)) is None


def test_only_types_that_are_understood_are_asked_for(
    filled: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    server = front()
    client.document(named(server.address))
    assert "distribution.manifest.v1" not in server.asked("GET", MANIFESTS)[0].headers["accept"]
    assert server.asked("GET", MANIFESTS)[0].headers["accept"].count("application/") == 4


def test_a_changed_document_is_damage(filled: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="GET", path=MANIFESTS, headers={"Docker-Content-Digest": None}, corrupt_at=3, times=-1))
    with pytest.raises(InputError, match="is damaged: its digest is"):
        client.document(named(server.address, f"@{MANIFEST.digest}"))


def test_an_endless_document_is_refused(filled: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="GET", path=MANIFESTS, endless=True, times=-1))
    with pytest.raises(RegistryError, match=f"has more than {MAXIMUM_DOCUMENT} bytes"):
        client.document(named(server.address))
    assert len(server.asked("GET", MANIFESTS)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="HEAD", status=405),
        Fault(method="HEAD", headers={"Docker-Content-Digest": None}),
        Fault(method="HEAD", headers={"Docker-Content-Digest": "sha512:12"}),
    ],
    ids=["no HEAD", "no digest", "another algorithm"],
)
def test_a_digest_that_is_not_told_is_computed(
    filled: MemoryRegistry, front: Front, client: RegistryClient, fault: Fault
) -> None:
    server = front(fault)
    assert client.digest(named(server.address)) == MANIFEST.digest
    assert [exchange.method for exchange in server.asked(path=MANIFESTS)] == ["HEAD", "GET"]


@attrs.frozen
class Mirrored:
    """A registry, a mirror of it, and a server in front of each."""

    mirror: MemoryRegistry
    front_of_mirror: FaultServer
    origin: MemoryRegistry
    front_of_origin: FaultServer

    @property
    def address(self) -> str:
        return self.front_of_origin.address


@pytest.fixture
def mirrored(scene: Scene) -> Mirrored:
    mirror, origin = scene.registry(), scene.registry()
    found = Mirrored(mirror, scene.front(mirror), origin, scene.front(origin))
    scene.mirrors(found.address, found.front_of_mirror.address)
    return found


def read_layer(client: RegistryClient, address: str) -> bytes:
    with client.blob(named(address), described(LAYER)) as pieces:
        return b"".join(pieces)


def test_a_mirror_serves_document_and_blobs(mirrored: Mirrored, client: RegistryClient) -> None:
    fill(mirrored.mirror)
    assert client.document(named(mirrored.address)) == MANIFEST
    assert read_layer(client, mirrored.address) == LAYER
    assert mirrored.front_of_origin.asked() == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=MANIFESTS, status=503, times=-1),
        Fault(path=MANIFESTS, status=401, times=-1),
        Fault(path=MANIFESTS, reset_at=-1, times=-1),
        Fault(path=MANIFESTS, corrupt_at=0),
        Fault(path=MANIFESTS, status=200, body=b"<html>"),
    ],
    ids=["503", "401", "reset", "damaged", "no document"],
)
def test_a_mirror_that_fails_is_passed_over(mirrored: Mirrored, client: RegistryClient, fault: Fault) -> None:
    fill(mirrored.mirror)
    fill(mirrored.origin)
    mirrored.front_of_mirror.add(fault)
    assert client.document(named(mirrored.address)) == MANIFEST
    assert len(mirrored.front_of_mirror.asked(path=MANIFESTS)) == 1
    assert read_layer(client, mirrored.address) == LAYER
    assert mirrored.front_of_mirror.asked(path="/blobs/") == []


def test_mirrors_are_not_asked_for_what_must_be_true_now(mirrored: Mirrored, client: RegistryClient) -> None:
    fill(mirrored.mirror)
    assert client.document(named(mirrored.address), mirrors=False) is None
    assert client.digest(named(mirrored.address), mirrors=False) is None
    assert mirrored.front_of_mirror.asked() == []


def test_a_mirror_without_the_image_is_passed_over(mirrored: Mirrored, client: RegistryClient) -> None:
    fill(mirrored.origin)
    assert client.document(named(mirrored.address)) == MANIFEST
    assert client.digest(named(mirrored.address)) == MANIFEST.digest


def test_a_mirror_without_the_blob_is_passed_over(mirrored: Mirrored, client: RegistryClient) -> None:
    fill(mirrored.mirror)
    fill(mirrored.origin)
    mirrored.mirror.blobs.clear()
    assert client.document(named(mirrored.address)) == MANIFEST
    assert read_layer(client, mirrored.address) == LAYER


def test_a_blob_that_breaks_at_the_mirror_for_good_comes_from_the_registry(
    mirrored: Mirrored, client: RegistryClient
) -> None:
    fill(mirrored.mirror)
    fill(mirrored.origin)
    mirrored.front_of_mirror.add(Fault(path="/blobs/", truncate_at=0, times=-1))
    assert client.document(named(mirrored.address)) == MANIFEST
    assert read_layer(client, mirrored.address) == LAYER
    assert len(mirrored.front_of_mirror.asked(path="/blobs/")) == 4


def test_what_the_registry_itself_says_is_told(mirrored: Mirrored, client: RegistryClient) -> None:
    mirrored.front_of_mirror.add(Fault(path=MANIFESTS, status=500, times=-1))
    mirrored.front_of_origin.add(Fault(path=MANIFESTS, status=403, code="DENIED", times=-1))
    with pytest.raises(AuthenticationError, match=f"reading {mirrored.address}/a/b:1 failed: {mirrored.address} does"):
        client.document(named(mirrored.address))


def test_nothing_is_written_to_a_mirror(mirrored: Mirrored, client: RegistryClient) -> None:
    layer = described(LAYER)
    assert not client.has_blob(named(mirrored.address), layer.digest)
    client.upload(named(mirrored.address), layer, content(LAYER))
    assert client.has_blob(named(mirrored.address), layer.digest)
    assert client.put_document(named(mirrored.address), MANIFEST) == MANIFEST.digest
    assert mirrored.front_of_mirror.asked() == []
    assert mirrored.origin.manifests["a/b", "1"] == (MANIFEST.media_type, MANIFEST.data)


def content(data: bytes) -> Callable[[], AbstractContextManager[Iterator[bytes]]]:
    @contextmanager
    def opened() -> Iterator[Iterator[bytes]]:
        yield iter([data])

    return opened


def test_a_document_is_written_by_tag_and_by_digest(filled: MemoryRegistry, client: RegistryClient) -> None:
    for tail, name in (
        (":2", "2"),
        (f":3@{MANIFEST.digest}", "3"),
        ("", "latest"),
        (f"@{MANIFEST.digest}", MANIFEST.digest),
    ):
        assert client.put_document(named(filled.address, tail), MANIFEST) == MANIFEST.digest
        assert filled.manifests["a/b", name] == (MANIFEST.media_type, MANIFEST.data)


def test_a_document_under_another_digest_is_not_written(filled: MemoryRegistry, client: RegistryClient) -> None:
    with pytest.raises(InputError, match="the document's digest is"):
        client.put_document(named(filled.address, ":2@" + digest_of(b"")), MANIFEST)
    assert ("a/b", "2") not in filled.manifests


def test_a_missing_blob_is_told(registry: MemoryRegistry, client: RegistryClient) -> None:
    with pytest.raises(InputError, match=r"writing \S+/a/b:1 failed: the registry lacks a blob"):
        client.put_document(named(registry.address), MANIFEST)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(method="PUT", status=400, code="MANIFEST_INVALID"), "does not take such a manifest"),
        (Fault(method="PUT", headers={"Docker-Content-Digest": digest_of(b"")}), "took the manifest for sha256:e3b0c"),
    ],
    ids=["invalid", "another digest"],
)
def test_a_registry_that_does_not_take_a_document(
    filled: MemoryRegistry, front: Front, client: RegistryClient, fault: Fault, sentence: str
) -> None:
    with pytest.raises(RegistryError, match=sentence):
        client.put_document(named(front(fault).address), MANIFEST)


def test_a_blob_is_mounted_with_the_rights_of_both_repositories(
    filled: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    server = front(tokens=Tokens())
    target = ImageReference.parse(f"{server.address}/c:1")
    assert client.mount(target, digest_of(LAYER), named(server.address))
    assert filled.blobs["c", digest_of(LAYER)] == LAYER
    assert server.tokens is not None
    assert set(server.tokens.given[-1]) == {"repository:c:pull,push", "repository:a/b:pull"}


@pytest.mark.parametrize(
    ("tokens", "fault"),
    [
        (None, Fault(method="POST", without=("mount", "from"))),
        (None, Fault(method="POST", status=405)),
        (None, Fault(method="POST", status=404, code="NAME_UNKNOWN")),
        (Tokens(refused="a/b"), Fault(times=0)),
    ],
    ids=["unknown", "not allowed", "not found", "no rights"],
)
def test_a_registry_that_does_not_mount(
    filled: MemoryRegistry, front: Front, client: RegistryClient, tokens: Tokens | None, fault: Fault
) -> None:
    server = front(fault, tokens=tokens)
    target = ImageReference.parse(f"{server.address}/c:1")
    assert not client.mount(target, digest_of(LAYER), named(server.address))
    assert ("c", digest_of(LAYER)) not in filled.blobs
    assert filled.uploads == {}


def test_nothing_is_mounted_from_another_registry(
    scene: Scene, filled: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    server = front()
    other = scene.registry()
    assert not client.mount(ImageReference.parse(f"{server.address}/c:1"), digest_of(LAYER), named(other.address))
    assert server.asked() == []


def test_one_client_serves_many_threads(filled: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(path="/blobs/sha256:", reset_at=1000, times=5), tokens=Tokens())
    together = threading.Barrier(8)

    def work(number: int) -> bytes:
        together.wait(60)
        assert client.document(named(server.address)) == MANIFEST
        layer = noise(1000, seed=number)
        client.upload(named(server.address), described(layer), content(layer))
        return read_layer(client, server.address)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(work, range(8))) == {LAYER}
    assert len(filled.blobs) == 9
