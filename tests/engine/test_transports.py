# SPDX-License-Identifier: Apache-2.0
"""Layouts, archives and registries as skopeo, podman and a real registry read and write them."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_INDEX
from stxbuildah.model.location import ImageLocation
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.session import RegistrySession
from stxbuildah.transport.documents import listed_blobs
from stxbuildah.transport.interface import ImageDestination, ImageSource
from stxbuildah.transport.places import opened_destination, opened_source
from stxbuildah.transport.platforms import chosen_image, indexed_images, replaced_index, this_platform
from tests.engine.conftest import EngineStore
from tests.engine.registries import FaultProxy, Registry
from tests.unit.transport.images import (
    Image,
    adapted,
    bring,
    copy,
    digest_of,
    index_of,
    layout_files,
    make_image,
    no_registry,
    pull,
    to_json,
    write_files,
)

pytestmark = pytest.mark.engine

Proxied = Callable[..., FaultProxy]
TRANSPORTS = ("oci", "oci-archive", "docker-archive")
FILE_NAME = "localhost/tests/transport:1"


@pytest.fixture(scope="module")
def image() -> Image:
    """An image that no other test has: of two layers, one of them beyond a single chunk."""
    return make_image(b"first", os.urandom(700_000) + bytes(3_000_000), labels=os.urandom(8).hex())


@pytest.fixture
def layout(tmp_path: Path, image: Image) -> str:
    """The image in a layout, as a location."""
    return f"oci:{write_files(tmp_path / 'layout', layout_files({'base': image}))}:base"


@pytest.fixture
def client(runner: Runner) -> Iterator[RegistryClient]:
    """Asks registries that speak plain HTTP."""
    session = RegistrySession(
        access=RegistryAccess(tls_verify=False),
        retry=Retry(),
        proxies=Proxies(),
        runner=runner,
        environment=dict(runner.extra),
    )
    with closing(session):
        yield RegistryClient(session)


def read(location: str) -> dict[str, bytes]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        return pull(source)


def read_by_skopeo(runner: Runner, location: str, folder: Path) -> set[bytes]:
    """Give the configuration and the layers of an image, decompressed, as skopeo reads them."""
    runner.run(["skopeo", "copy", "--quiet", "--dest-decompress", location, f"dir:{folder}"])
    manifest = json.loads((folder / "manifest.json").read_bytes())
    digests = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
    return {(folder / digest.removeprefix("sha256:")).read_bytes() for digest in digests}


@contextmanager
def opened(location: str, client: RegistryClient) -> Iterator[ImageSource]:
    with opened_source(ImageLocation.parse(location), lambda: client) as source:
        yield source


@contextmanager
def new(location: str, client: RegistryClient) -> Iterator[ImageDestination]:
    with opened_destination(ImageLocation.parse(location), lambda: client) as destination:
        yield destination


def send(source: str, destination: str, client: RegistryClient) -> str:
    with opened(source, client) as found, new(destination, client) as place:
        return bring(found, place)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_skopeo_reads_what_is_written(
    transport: str, layout: str, image: Image, tmp_path: Path, runner: Runner
) -> None:
    location = f"{transport}:{tmp_path}/new:{FILE_NAME}"
    copy(layout, location)
    assert read_by_skopeo(runner, location, tmp_path / "read") == {image.config, *image.layers}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_skopeo_writes_is_read(transport: str, layout: str, image: Image, tmp_path: Path, runner: Runner) -> None:
    location = f"{transport}:{tmp_path}/new:{FILE_NAME}"
    runner.run(["skopeo", "copy", "--quiet", layout, location])
    blobs = set(read(location).values())
    assert image.config in blobs
    layers = image.layers if transport == "docker-archive" else [image.blobs[blob.digest] for blob in packed(image)]
    assert set(layers) < blobs


def packed(image: Image) -> list[Descriptor]:
    return list(listed_blobs(image.document))[1:]


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_podman_loads_what_is_written_as_the_same_image(
    transport: str, image: Image, tmp_path: Path, layout: str, stores: dict[str, EngineStore]
) -> None:
    runner = stores["overlay"].runner
    name = f"localhost/tests/{transport}:1"
    copy(layout, f"{transport}:{tmp_path}/new:{name}")
    runner.run(["podman", "load", "--quiet", "--input", str(tmp_path / "new")])
    found = runner.run(["podman", "image", "inspect", "--format", "{{.Id}}", name]).stdout.decode().strip()
    assert f"sha256:{found}" == digest_of(image.config)


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_what_podman_saves_is_read(
    transport: str, image: Image, layout: str, tmp_path: Path, stores: dict[str, EngineStore]
) -> None:
    runner = stores["overlay"].runner
    name = f"localhost/tests/saved-{transport}:1"
    runner.run(["skopeo", "copy", "--quiet", layout, f"containers-storage:{name}"])
    path = tmp_path / "saved"
    runner.run(["podman", "save", "--quiet", "--format", transport, "--output", str(path), name])
    assert image.config in read(f"{transport}:{path}").values()
    assert read(f"{transport}:{path}:{name}") == read(f"{transport}:{path}")
    copy(f"{transport}:{path}", f"docker-archive:{tmp_path}/again:{name}")
    assert {image.config, *image.layers} < set(read(f"docker-archive:{tmp_path}/again").values())


def test_images_that_podman_saves_together_are_told_apart(
    image: Image, layout: str, tmp_path: Path, stores: dict[str, EngineStore]
) -> None:
    runner = stores["overlay"].runner
    other = make_image(b"first", b"other", labels=os.urandom(8).hex())
    second = f"oci:{write_files(tmp_path / 'other', layout_files({'x': other}))}:x"
    for number, source in enumerate((layout, second)):
        runner.run(["skopeo", "copy", "--quiet", source, f"containers-storage:localhost/tests/together:{number}"])
    path = tmp_path / "saved"
    names = ["localhost/tests/together:0", "localhost/tests/together:1"]
    options = ["--quiet", "--multi-image-archive", "--format", "docker-archive", "--output", str(path)]
    runner.run(["podman", "save", *options, *names])
    assert {image.config, *image.layers} < set(read(f"docker-archive:{path}:{names[0]}").values())
    assert {other.config, *other.layers} < set(read(f"docker-archive:{path}:{names[1]}").values())
    with pytest.raises(InputError, match="may be any of 2 images"):
        read(f"docker-archive:{path}")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_image_goes_to_a_registry_and_back(
    transport: str,
    image: Image,
    layout: str,
    registry: Registry,
    client: RegistryClient,
    tmp_path: Path,
    runner: Runner,
) -> None:
    place, remote = f"{transport}:{tmp_path}/new:{FILE_NAME}", f"docker://{registry.address}/tests/{transport}:1"
    copy(layout, place)
    digest = send(place, remote, client)
    assert digest_of(registry.manifest(f"tests/{transport}", "1")) == digest
    send(remote, f"docker-archive:{tmp_path}/back", client)
    assert {image.config, *image.layers} < set(read(f"docker-archive:{tmp_path}/back").values())


def test_blobs_are_mounted_from_another_repository(
    layout: str, image: Image, client: RegistryClient, fault_proxy: Proxied
) -> None:
    proxy = fault_proxy()
    send(layout, f"docker://{proxy.address}/tests/mount-from:1", client)
    proxy.seen.clear()
    source, target = f"{proxy.address}/tests/mount-from:1", f"docker://{proxy.address}/tests/mount-to:1"
    assert send(source, target, client) == image.document.digest
    count = len(list(listed_blobs(image.document)))
    assert proxy.statuses("POST", "tests/mount-to/blobs/uploads") == [201] * count
    assert proxy.statuses("GET", "blobs") == proxy.statuses("PATCH", "") == []
    assert proxy.statuses("PUT", "") == [201]
    # One question for each blob does when the repository has it, too.
    proxy.seen.clear()
    send(source, target, client)
    assert proxy.statuses("POST", "tests/mount-to/blobs/uploads") == [201] * count
    assert proxy.statuses("HEAD", "blobs") == proxy.statuses("GET", "blobs") == proxy.statuses("PATCH", "") == []


def test_blobs_are_streamed_between_registries(
    layout: str, image: Image, client: RegistryClient, fault_proxy: Proxied, registry: Registry
) -> None:
    proxy = fault_proxy()
    send(layout, f"docker://{proxy.address}/tests/stream-from:1", client)
    target = f"docker://{registry.address}/tests/stream-to:1"
    assert send(f"{proxy.address}/tests/stream-from:1", target, client) == image.document.digest
    assert proxy.statuses("GET", "tests/stream-from/blobs") == [200] * len(list(listed_blobs(image.document)))
    with opened(target, client) as source:
        assert pull(source) == image.blobs


def test_blobs_can_be_taken_at_the_same_time(client: RegistryClient, registry: Registry, tmp_path: Path) -> None:
    image = make_image(*(os.urandom(50_000) for _ in range(12)))
    write_files(tmp_path / "layout", layout_files({"": image}))
    blobs = list(listed_blobs(image.document))
    target = f"docker://{registry.address}/tests/together:1"
    with (
        opened(f"oci:{tmp_path}/layout", client) as source,
        new(target, client) as destination,
        ThreadPoolExecutor(6) as pool,
    ):
        assert list(pool.map(lambda blob: destination.take(blob, source), blobs)) == blobs
        destination.finish(image.document)
    with opened(target, client) as written:
        assert pull(written) == image.blobs


def test_a_layer_of_a_docker_archive_is_compressed_for_a_registry_and_not_uploaded_twice(
    layout: str, client: RegistryClient, fault_proxy: Proxied, tmp_path: Path, runner: Runner
) -> None:
    proxy = fault_proxy()
    copy(layout, f"docker-archive:{tmp_path}/x")
    target = f"docker://{proxy.address}/tests/compressed:1"
    digest = send(f"docker-archive:{tmp_path}/x", target, client)
    runner.run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", target, f"dir:{tmp_path}/pulled"])
    with opened(target, client) as source:
        layers = list(listed_blobs(source.document()))[1:]
    assert [layer.media_type for layer in layers] == ["application/vnd.docker.image.rootfs.diff.tar.gzip"] * 2
    assert layers[1].size < 1_000_000
    proxy.seen.clear()
    assert send(f"docker-archive:{tmp_path}/x", target, client) == digest
    assert proxy.statuses("POST", "") == []


def test_new_blobs_are_written_from_files_and_bytes(
    client: RegistryClient, registry: Registry, image: Image, tmp_path: Path
) -> None:
    target = f"docker://{registry.address}/tests/written:1"
    with new(target, client) as destination:
        for number, blob in enumerate(listed_blobs(image.document)):
            content = image.blobs[blob.digest]
            path = tmp_path / str(number)
            path.write_bytes(content)
            destination.write(blob, path if number else content)
        assert destination.finish(image.document) == image.document.digest
    with opened(target, client) as source:
        assert pull(source) == image.blobs


def test_a_foreign_layer_is_named_and_not_copied(
    layout: str, client: RegistryClient, fault_proxy: Proxied, image: Image
) -> None:
    proxy = fault_proxy()
    manifest = json.loads(image.document.data)
    manifest["layers"].insert(0, {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest_of(b"of somebody else"),
        "size": 16,
        "urls": ["https://layers.invalid/1"],
    })  # fmt: skip
    document = Document(image.document.media_type, to_json(manifest))
    with opened(layout, client) as source, new(f"docker://{proxy.address}/tests/foreign:1", client) as destination:
        assert adapted(document, source, destination) == document
    assert proxy.statuses("HEAD", digest_of(b"of somebody else")) == []


def test_an_index_is_read_changed_and_written(client: RegistryClient, registry: Registry, tmp_path: Path) -> None:
    machine = this_platform()
    own, other, changed = make_image(b"own"), make_image(b"other"), make_image(b"changed")
    platform = {"os": machine.os, "architecture": machine.architecture}
    index = index_of((own, {"platform": {**platform}}), (other, {"platform": {"os": "linux", "architecture": "wasm"}}))
    for number, image in enumerate((own, other, changed)):
        write_files(tmp_path / str(number), layout_files({"": image}))
    target = f"docker://{registry.address}/tests/index:1"
    with new(target, client) as destination:
        manifests = []
        for number in (0, 1):
            with opened(f"oci:{tmp_path}/{number}", client) as source:
                manifests.append(adapted(source.document(), source, destination))
        assert destination.finish(index, tuple(manifests)) == index.digest
    with opened(target, client) as source:
        assert source.document() == index
        chosen = chosen_image(indexed_images(index), machine, source.name)
        assert source.manifest(chosen) == own.document
    updated = replaced_index(index, {own.document.digest: changed.document})
    with opened(f"oci:{tmp_path}/2", client) as source, new(target, client) as destination:
        destination.finish(updated, (adapted(source.document(), source, destination),))
    with opened(target, client) as source:
        assert source.document() == Document(OCI_INDEX, updated.data)
        assert source.manifest(chosen_image(indexed_images(updated), machine, "x")) == changed.document


def test_what_a_registry_lacks_is_told(client: RegistryClient, registry: Registry) -> None:
    with opened(f"docker://{registry.address}/tests/missing:1", client) as source:
        with pytest.raises(InputError, match=f"there is no image {registry.address}/tests/missing:1"):
            source.document()
        with pytest.raises(InputError, match="has no manifest sha256:"):
            source.manifest(Document(OCI_INDEX, b"{}").descriptor)
