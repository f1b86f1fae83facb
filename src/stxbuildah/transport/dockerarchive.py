# SPDX-License-Identifier: Apache-2.0
"""Images in archives as ``docker save`` and ``podman save`` write them.

The format is Docker's (moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format"): manifest.json
names for each image a configuration, its names, and a tar of every layer. ``repositories`` and the folders of the
format before it count for nothing.
"""

import hashlib
import json
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import Json, as_list, as_object, diff_ids_of, encoded
from stxbuildah.layer.inflate import inflated
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import DOCKER_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value
from stxbuildah.transport.archivefiles import ArchiveFiles, opened_archive
from stxbuildah.transport.documents import MAXIMUM_DOCUMENT, shown, shown_list, text_of
from stxbuildah.transport.files import read_file
from stxbuildah.transport.layerform import DOCKER_CONFIG, DOCKER_PLAIN_LAYER, is_compressed, unpacked_limit
from stxbuildah.transport.verified import verified

MANIFEST_NAME = "manifest.json"


@attrs.frozen(kw_only=True)
class _Entry(Value):
    """One image of manifest.json: its configuration's file, its names, its layers' files."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


@attrs.frozen(kw_only=True)
class _Blob(Value):
    """What an image has in the archive, and where."""

    descriptor: Descriptor
    path: str
    compressed: bool = False


class DockerArchiveSource:
    """An image in a docker-archive, with the manifest of Docker's schema 2 that it would have.

    Its layers are plain tars, named by their diff IDs, also where the archive has them compressed. Those are
    decompressed once when it is opened, since nobody else knows their size.

    Args:
        files: the archive's files.
        name: the image as a message names it.
        reference: which image; None for the only one.

    Raises:
        InputError: this is no such archive, it has no such image, several and no name was given, or a damaged one.
    """

    def __init__(self, files: ArchiveFiles, name: str, reference: ImageReference | None = None) -> None:
        self._files = files
        self.name = name
        entry = _chosen(_entries(files, name), reference, name)
        config = read_file(files, self._followed(entry.config), MAXIMUM_DOCUMENT, name)
        if config is None:
            raise self._lacks(entry.config)
        config_digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        described = Descriptor(media_type=DOCKER_CONFIG, digest=config_digest, size=len(config))
        diff_ids = diff_ids_of(config)
        if len(diff_ids) != len(entry.layers):
            raise InputError(
                f"{name} is damaged: it has {len(entry.layers)} layers, its configuration {len(diff_ids)} diff IDs"
            )
        layers = [self._layer(path, diff_id) for path, diff_id in zip(entry.layers, diff_ids, strict=True)]
        config_blob = _Blob(descriptor=described, path=self._followed(entry.config))
        self._blobs = {blob.descriptor.digest: blob for blob in (config_blob, *layers)}
        self._document = _synthesised(described, [layer.descriptor for layer in layers])

    def document(self) -> Document:
        """Give the manifest that the image would have in a registry."""
        return self._document

    def manifest(self, descriptor: Descriptor) -> Document:
        """Refuse: an image in such an archive is of one platform.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.name} is no index, so it has no manifest {descriptor.digest}")

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """Stream the configuration or a layer; it only comes to an orderly end when its size and digest are right.

        Raises:
            InputError: it is not there, or not what its descriptor says.
        """
        blob = self._blobs.get(descriptor.digest)
        if blob is None:
            raise self._lacks(descriptor.digest)
        with self._files.chunks(blob.path) as chunks:
            content = self._inflated(chunks, descriptor.size) if blob.compressed else chunks
            yield verified(content, descriptor, self.name)

    def _layer(self, listed_path: str, diff_id: str) -> _Blob:
        path = self._followed(listed_path)
        size = self._files.size(path)
        if size is None:
            raise self._lacks(listed_path)
        with self._files.chunks(path) as chunks:
            compressed = is_compressed(next(chunks, b""))
        if compressed:
            with self._files.chunks(path) as chunks:
                size = sum(len(piece) for piece in self._inflated(chunks, unpacked_limit(size)))
        value: Json = {"mediaType": DOCKER_PLAIN_LAYER, "digest": diff_id, "size": size}
        descriptor = Descriptor.from_json(value, f"the layer {shown(listed_path)} of {self.name}")
        return _Blob(descriptor=descriptor, path=path, compressed=compressed)

    def _inflated(self, chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
        try:
            yield from inflated(chunks, limit=limit)
        except InputError as error:
            raise InputError(f"{self.name} is damaged: {error.message}", hint="save the image again") from error

    def _followed(self, path: str) -> str:
        """Give the file that a path of manifest.json means.

        Docker before 25 writes a layer that two images have once, and a link to it. As containers/image does, one link
        is followed, within the archive, so no loop is possible.
        """
        target = self._files.link(path)
        return posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path

    def _lacks(self, what: str) -> InputError:
        return InputError(f"{self.name} is damaged: the archive has no {shown(what)}", hint="save the image again")


@contextmanager
def opened_docker_archive(
    path: Path, name: str, reference: ImageReference | None = None
) -> Iterator[DockerArchiveSource]:
    """Open an image in a docker-archive for reading, which may be compressed as a whole.

    Args:
        path: the archive.
        name: the image as a message names it.
        reference: which image; None for the only one.

    Raises:
        InputError: there is no such archive or image, or it is damaged.
        DiskFullError: there is no room to unpack a compressed archive.
    """
    with opened_archive(path) as files:
        yield DockerArchiveSource(files, name, reference)


def _entries(files: ArchiveFiles, name: str) -> tuple[_Entry, ...]:
    data = read_file(files, MANIFEST_NAME, MAXIMUM_DOCUMENT, name)
    if data is None:
        raise InputError(
            f"{name} is no docker-archive: it has no {MANIFEST_NAME}",
            hint="save the image again with docker 1.10 or later, or with podman; a layout in a tar is an oci-archive:",
        )
    try:
        listed: Json = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is damaged: its {MANIFEST_NAME} is not JSON: {error}") from error
    return tuple(_entry(as_object(value, f"images of {MANIFEST_NAME}")) for value in as_list(listed, MANIFEST_NAME))


def _entry(image: dict[str, Json]) -> _Entry:
    names = as_list(image.get("RepoTags") or [], "RepoTags of an image")
    layers = as_list(image.get("Layers") or [], "Layers of an image")
    return _Entry(
        config=posixpath.normpath(text_of(image, "Config")),
        names=tuple(name for name in names if isinstance(name, str)),
        layers=tuple(posixpath.normpath(layer) for layer in layers if isinstance(layer, str)),
    )


def _chosen(entries: tuple[_Entry, ...], reference: ImageReference | None, name: str) -> _Entry:
    found = [entry for entry in entries if reference is None or reference.qualified in _references(entry)]
    names = shown_list(tag for entry in entries for tag in entry.names)
    if not found:
        raise InputError(f"there is no image {name}", hint=f"the archive holds: {names or 'images without names'}")
    if len({entry.config for entry in found}) > 1:
        raise InputError(
            f"{name} may be any of {len(found)} images in the archive",
            hint=f"add a name to it: {names}" if names else "save one image alone, since none of them has a name",
        )
    return found[0]


def _references(entry: _Entry) -> Iterator[ImageReference]:
    for name in entry.names:
        try:
            yield ImageReference.parse(name).qualified
        except InputError:
            # Another image's name is of no concern.
            continue


def _synthesised(config: Descriptor, layers: list[Descriptor]) -> Document:
    manifest: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _described(config),
        "layers": [_described(layer) for layer in layers],
    }
    return Document(DOCKER_MANIFEST, encoded(manifest))


def _described(descriptor: Descriptor) -> dict[str, Json]:
    return {"mediaType": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest}
