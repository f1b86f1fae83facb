# SPDX-License-Identifier: Apache-2.0
"""The layers of images of the local store, one after the other as podman streams them, and what frames them."""

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

import attrs

from stxbuildah.engine.process import Runner
from stxbuildah.engine.transfer import saved
from stxbuildah.errors import BuildError
from stxbuildah.layer.documents import Json, encoded
from stxbuildah.layer.tarheader import BLOCK, Member, member_header, padding
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.stored import digest_of
from stxbuildah.model.transfer import ArchiveForm

_CHUNK = 2**20
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_LAYER_NAME = re.compile(r"([0-9a-f]{64})\.tar")
_MODE = 0o444
_BLOBS = "blobs/sha256/"
# As github.com/containerd/containerd/images/annotations.go has it.
_CONTAINERD_NAME = "io.containerd.image.name"


@attrs.frozen(kw_only=True)
class ArchivedImage:
    """An image as an archive has it.

    Attributes:
        names: its names.
        image_id: its ID, without ``sha256:``.
        config: its configuration, byte for byte.
        layers: digests of its layers without ``sha256:``, the lowest first.
    """

    names: tuple[str, ...]
    image_id: str
    config: bytes
    layers: tuple[str, ...]


@contextmanager
def streamed_layers(runner: Runner, names: Sequence[str]) -> Iterator[Iterator[tuple[str, int, Iterator[bytes]]]]:
    """Stream the layers of images as plain tars, each once; what is not read of one is passed over.

    Args:
        runner: runs podman, with the environment that names the store.
        names: the images as the store calls them.

    Returns:
        Of each layer its digest without ``sha256:``, its size, and its bytes.

    Raises:
        StxbError: an image cannot be read to its end; raised when the stream is used.
    """
    with saved(runner, names, ArchiveForm.DOCKER, plain=False) as chunks:
        yield _layers(_Readable(chunks))


def _layers(stream: "_Readable") -> Iterator[tuple[str, int, Iterator[bytes]]]:
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as archive:  # type: ignore[call-overload] # read() is all that it uses
            for member in archive:
                name = _LAYER_NAME.fullmatch(member.name)
                if name is not None and member.isreg():
                    content = archive.extractfile(member)
                    assert content is not None  # noqa: S101 # it is a regular file
                    yield name[1], member.size, _pieces(content)
    except tarfile.TarError as error:
        raise BuildError(f"podman wrote an archive that cannot be read: {error}") from error
    # To its end, where podman's exit status tells whether it was whole.
    while stream.read(_CHUNK):
        pass


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: content.read(_CHUNK), b"")


class _Readable:
    """Chunks as a file that can be read forward."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Give as many bytes; fewer only at the end."""
        parts, wanted = [], size
        while wanted:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)


def plain_manifest(config: bytes, layers: Sequence[tuple[str, int]]) -> bytes:
    """Give the manifest of an image whose layers are plain tars.

    Args:
        config: its configuration, byte for byte.
        layers: digest without ``sha256:`` and size of each, the lowest first.
    """
    document: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size} for digest, size in layers],
    }
    return encoded(document)


def docker_frame(images: Sequence[ArchivedImage], layers: Sequence[tuple[str, int]]) -> bytes:
    """Give a docker-archive without the bytes of its layers: a header for each, then all the rest.

    Args:
        images: what is in the archive.
        layers: digest without ``sha256:`` and size of each layer that is in it.

    Raises:
        BuildError: a layer is too large.
    """
    parts = _headers("{}.tar", layers)
    parts += [_file(f"{image.image_id}.json", image.config) for image in images]
    listed: list[dict[str, Json]] = [
        {
            "Config": f"{image.image_id}.json",
            "RepoTags": list(image.names),
            "Layers": [f"{digest}.tar" for digest in image.layers],
        }
        for image in images
    ]
    parts.append(_file("manifest.json", b"[" + b",".join(map(encoded, listed)) + b"]"))
    return b"".join(parts) + bytes(2 * BLOCK)


def oci_frame(images: Sequence[ArchivedImage], layers: Sequence[tuple[str, int]], sizes: Mapping[str, int]) -> bytes:
    """Give an oci-archive likewise, as containerd reads it; it takes layers from its content store as well.

    Args:
        images: what is in the archive.
        layers: digest without ``sha256:`` and size of each layer that is in it.
        sizes: of all layers of the images.

    Raises:
        BuildError: a layer is too large.
    """
    parts = _headers(f"{_BLOBS}{{}}", layers)
    entries: list[Json] = []
    for image in images:
        manifest = plain_manifest(image.config, [(digest, sizes[digest]) for digest in image.layers])
        digest = digest_of(manifest)
        parts += [_file(f"{_BLOBS}{image.image_id}", image.config), _file(_BLOBS + digest.partition(":")[2], manifest)]
        entries += [
            {
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": len(manifest),
                "annotations": {_CONTAINERD_NAME: name},
            }
            for name in image.names
        ]
    parts += [
        _file("oci-layout", encoded({"imageLayoutVersion": "1.0.0"})),
        _file("index.json", encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})),
    ]
    return b"".join(parts) + bytes(2 * BLOCK)


def _headers(name: str, layers: Sequence[tuple[str, int]]) -> list[bytes]:
    headers = [_header(name.format(digest), size) for digest, size in layers]
    if any(len(header) != BLOCK for header in headers):
        raise BuildError("a layer has more than 8 GiB, which only podman can be sent")
    return headers


def _file(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + padding(len(content))


def _header(name: str, size: int) -> bytes:
    return member_header(Member(name=name.encode(), type=b"0", mode=_MODE, size=size))
