# SPDX-License-Identifier: Apache-2.0
"""Small images, made in memory, and the places that hold them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import attrs

from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.location import ImageLocation
from stxbuildah.registry.client import RegistryClient
from stxbuildah.transport.documents import listed_blobs
from stxbuildah.transport.interface import ImageDestination, ImageSource
from stxbuildah.transport.places import opened_destination, opened_source

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

OCI_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_TAR = "application/vnd.oci.image.layer.v1.tar"
DOCKER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def described(media_type: str, data: bytes) -> dict[str, Json]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def to_json(value: Json) -> bytes:
    return json.dumps(value).encode()


def tar(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """Give a tar; a name may come twice."""
    pairs = files.items() if isinstance(files, Mapping) else files
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in pairs:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


class AbandonedError(Exception):
    """Something failed while an image was written."""


@attrs.frozen(kw_only=True)
class Image:
    """An image with its blobs.

    Attributes:
        config: the configuration.
        layers: the layers' plain tars.
        blobs: every blob by its digest, the manifest too.
        document: the manifest.
    """

    config: bytes
    layers: tuple[bytes, ...]
    blobs: Mapping[str, bytes]
    document: Document


def make_image(
    *contents: bytes, docker: bool = False, packed: bool = True, architecture: str = "amd64", labels: str = ""
) -> Image:
    """Make an image with a layer for each content."""
    layers = tuple(tar({f"opt/file{number}": content}) for number, content in enumerate(contents))
    history: list[Json] = [{"created_by": "test"} for _ in layers]
    value: dict[str, Json] = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"test": labels}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": history,
    }
    config = to_json(value)
    blobs = [gzipped(layer) if packed else layer for layer in layers]
    layer_type = (DOCKER_GZIP if packed else DOCKER_TAR) if docker else (OCI_GZIP if packed else OCI_TAR)
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": described(DOCKER_CONFIG if docker else OCI_CONFIG, config),
            "layers": [described(layer_type, blob) for blob in blobs],
        }
    )
    return Image(
        config=config,
        layers=layers,
        blobs={digest_of(data): data for data in (config, manifest, *blobs)},
        document=Document(media_type, manifest),
    )


def layout_files(images: Mapping[str, Image], *more: bytes, index: Json = None) -> dict[str, bytes]:
    """Give the files of a layout: images by their names there, and blobs that nobody lists."""
    entries: list[Json] = []
    blobs = {digest_of(data): data for data in more}
    for tag, image in images.items():
        blobs |= image.blobs
        entry = described(image.document.media_type, image.document.data)
        if tag:
            entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
        entries.append(entry)
    return {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": to_json(index if index is not None else {"schemaVersion": 2, "manifests": entries}),
        **{f"blobs/sha256/{digest[7:]}": data for digest, data in blobs.items()},
    }


def docker_archive_files(images: Mapping[str, Image]) -> dict[str, bytes]:
    """Give the files of a docker-archive: images by their names."""
    files: dict[str, bytes] = {}
    entries: list[Json] = []
    for name, image in images.items():
        config = f"{digest_of(image.config)[7:]}.json"
        layers = {f"{digest_of(layer)[7:]}.tar": layer for layer in image.layers}
        files |= {config: image.config, **layers}
        names: list[Json] = [name] if name else []
        entries.append({"Config": config, "RepoTags": names, "Layers": list(layers)})
    return {**files, "manifest.json": to_json(entries)}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def no_registry() -> RegistryClient:
    raise AssertionError("no registry is asked for a file")


def pull(source: ImageSource) -> dict[str, bytes]:
    """Read everything of an image, by digest."""
    document = source.document()
    found = {document.digest: document.data}
    for blob in listed_blobs(document):
        with source.blob(blob) as chunks:
            found[blob.digest] = b"".join(chunks)
    return found


def bring(source: ImageSource, destination: ImageDestination) -> str:
    """Copy an image as an update does: blobs first, then a manifest that says what became of them."""
    return destination.finish(adapted(source.document(), source, destination))


def adapted(document: Document, source: ImageSource, destination: ImageDestination) -> Document:
    """Take the blobs of a manifest, and give the manifest that lists them as they are kept."""
    manifest = json.loads(document.data)
    config, *layers = [destination.take(blob, source) for blob in listed_blobs(document)]
    if [config, *layers] == list(listed_blobs(document)):
        return document
    manifest["config"].update(_value(config))
    for value, layer in zip(manifest["layers"], layers, strict=True):
        value.update(_value(layer))
    return Document(document.media_type, to_json(manifest))


def copy(source: str, destination: str) -> str:
    """Copy an image from one location to another."""
    with (
        opened_source(ImageLocation.parse(source), no_registry) as found,
        opened_destination(ImageLocation.parse(destination), no_registry) as place,
    ):
        return bring(found, place)


def abandon(source: str, destination: str) -> None:
    """Copy the blobs of an image from one location to another, and fail before it gets its name."""
    with (
        opened_source(ImageLocation.parse(source), no_registry) as found,
        opened_destination(ImageLocation.parse(destination), no_registry) as place,
    ):
        adapted(found.document(), found, place)
        raise AbandonedError


def index_of(*images: tuple[Image, Mapping[str, Json]]) -> Document:
    """Give an index of images, each with further keys of its entry, as its platform."""
    entries: list[Json] = [
        {**described(image.document.media_type, image.document.data), **more} for image, more in images
    ]
    return Document(OCI_INDEX, to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))


def _value(descriptor: Descriptor) -> dict[str, Json]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
