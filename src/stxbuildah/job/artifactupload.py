# SPDX-License-Identifier: Apache-2.0
"""Storing the inventory of an image beside it, while the image itself is brought to its registry.

What the artifact is stands in ``artifact``.
"""

import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import attrs

from stxbuildah import log
from stxbuildah.errors import StxbError
from stxbuildah.job.artifact import ARTIFACT_TYPE, INDEX_TYPE, LAYER_ANNOTATION
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.transport.files import file_chunks

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient

# Artifacts without a configuration have this one (OCI image specification, manifest.md, "Guidance for an Empty
# Descriptor").
_EMPTY_CONTENT = b"{}"
_EMPTY = Descriptor(
    media_type="application/vnd.oci.empty.v1+json",
    digest=f"sha256:{sha256(_EMPTY_CONTENT).hexdigest()}",
    size=len(_EMPTY_CONTENT),
)
_ZSTD_LEVEL = 3
_CHUNK = 1 << 20
# An index that is new is sent without asking whether it is there; a larger one may be of a layer that others know.
_UNASKED = 64 * 2**10
# After a month a note is removed; it is made again when its layer is still in use.
_NOTED_SECONDS = 30 * 24 * 3600


class InventoryUpload:
    """Brings the indexes of an image's layers to its repository, and then the artifact that names them.

    What goes wrong is logged and no error, since the image is there without it.

    Args:
        client: of the registry.
        target: the image's repository.
        notes: folder that remembers from one run to the next what indexes are when they are compressed.
        folder: work folder.
        pool: does it while the caller does something else.
    """

    def __init__(
        self, client: "RegistryClient", target: ImageReference, *, notes: Path, folder: Path, pool: ThreadPoolExecutor
    ) -> None:
        self._client = client
        self._target = target
        self._notes = notes
        self._folder = folder
        self._pool = pool
        self._asked: dict[str, Future[bool]] = {}
        self._indexes: list[Future[Descriptor]] = []

    def ask(self, indexes: Iterable[Path]) -> None:
        """Ask the repository for what it probably has, before it is needed.

        This also opens connections and fetches the token to write with, while the new layer is made.

        Args:
            indexes: of layers that the image will probably have; they may still be extended.
        """
        noted = [known.digest for path in indexes if (known := self._noted(path)) is not None]
        for digest in {_EMPTY.digest: None, **dict.fromkeys(noted)}:
            self._asked[digest] = self._pool.submit(copy_context().run, self._client.has_blob, self._target, digest)

    def add(self, index: Callable[[], Path]) -> None:
        """Begin with the next layer, the lowest first.

        Args:
            index: gives the file of its index; called in another thread.
        """
        self._indexes.append(self._pool.submit(copy_context().run, self._uploaded, index))

    def finish(self, subject: Document) -> None:
        """Wait for the indexes, and write the artifact.

        Args:
            subject: manifest of the image, which is there by now; it has as many layers as were added.
        """
        try:
            self._ensure_configuration()
            layers = [str(layer["digest"]) for layer in json.loads(subject.data)["layers"]]
            described = [
                attrs.evolve(index.result(), annotations=((LAYER_ANNOTATION, layer),))
                for layer, index in zip(layers, self._indexes, strict=True)
            ]
            document = Document(OCI_MANIFEST, _manifest(described, subject))
            self._client.put_referrer(self._target, document, subject.digest)
        except (StxbError, OSError) as error:
            log.warning("inventory.artifact.not_stored", image=str(self._target), reason=str(error))
            return
        log.info("inventory.artifact.stored", image=str(self._target), digest=document.digest)

    def _ensure_configuration(self) -> None:
        if not self._has(_EMPTY):
            self._upload(_EMPTY, lambda: iter((_EMPTY_CONTENT,)))

    def _uploaded(self, index: Callable[[], Path]) -> Descriptor:
        path = index()
        known = self._noted(path)
        if known is not None and self._has(known):
            return known
        with path.open("rb") as source, _nameless_file(self._folder) as packed:
            size = os.fstat(source.fileno()).st_size
            descriptor = _compress(source, packed)
            if descriptor.size <= _UNASKED or not self._has(descriptor):
                self._upload(descriptor, lambda: file_chunks(packed.fileno(), 0, descriptor.size))
        _write_note(self._notes / path.name, size, descriptor)
        return descriptor

    def _noted(self, index: Path) -> Descriptor | None:
        """Give what an index is when compressed; one of the same layer that has more contents by now is longer."""
        try:
            return _read_note(self._notes / index.name, index.stat().st_size)
        except (OSError, ValueError):
            return None

    def _has(self, descriptor: Descriptor) -> bool:
        asked = self._asked.get(descriptor.digest)
        return self._client.has_blob(self._target, descriptor.digest) if asked is None else asked.result()

    def _upload(self, descriptor: Descriptor, read: Callable[[], Iterator[bytes]]) -> None:
        @contextmanager
        def content() -> Iterator[Iterator[bytes]]:
            yield read()

        self._client.upload(self._target, descriptor, content)


@contextmanager
def _nameless_file(folder: Path) -> Iterator[BinaryIO]:
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as stream:
        yield stream


def _compress(source: BinaryIO, target: BinaryIO) -> Descriptor:
    import zstandard

    found, size = sha256(), 0
    packer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()

    def write(packed: bytes) -> None:
        nonlocal size
        found.update(packed)
        size += len(packed)
        target.write(packed)

    while chunk := source.read(_CHUNK):
        write(packer.compress(chunk))
    write(packer.flush())
    target.flush()
    return Descriptor(media_type=INDEX_TYPE, digest=f"sha256:{found.hexdigest()}", size=size)


def _write_note(note: Path, size: int, packed: Descriptor) -> None:
    text = f"{size} {packed.size} {packed.digest}"
    with suppress(StxbError, OSError):
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with written_beside(note) as stream:
            stream.write(f"{text} {zlib.crc32(text.encode()):08x}\n".encode())
        for old in note.parent.iterdir():
            if time.time() - old.stat().st_mtime > _NOTED_SECONDS:
                old.unlink(missing_ok=True)


def _read_note(note: Path, size: int) -> Descriptor | None:
    """Read a note; None when it is of an index of another size, or damaged.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    text, _, checksum = note.read_text(encoding="ascii").strip().rpartition(" ")
    noted_size, packed_size, digest = text.split(" ")
    if checksum != f"{zlib.crc32(text.encode()):08x}" or int(noted_size) != size:
        return None
    return Descriptor(media_type=INDEX_TYPE, digest=digest, size=int(packed_size))


def _manifest(indexes: Sequence[Descriptor], subject: Document) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": _described(_EMPTY),
            "layers": [{**_described(index), "annotations": dict(index.annotations)} for index in indexes],
            "subject": _described(subject.descriptor),
        },
        separators=(",", ":"),
    ).encode("ascii")


def _described(descriptor: Descriptor) -> Mapping[str, object]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
