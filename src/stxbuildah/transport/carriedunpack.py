# SPDX-License-Identifier: Apache-2.0
"""Unpack archives that carry images (``carriedarchive``) as they stream by."""

import re

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.documents import Json, as_list, as_object, check_agreement, diff_ids_of, manifest_kind, parsed
from stxbuildah.layer.tarfiles import StreamedFile, streamed_files
from stxbuildah.layer.tarheader import BLOCK
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import digest_of
from stxbuildah.model.value import Value
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.carriedarchive import LISTING_NAME, LISTING_VERSION
from stxbuildah.transport.documents import MAXIMUM_DOCUMENT, objects_of, text_of

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_MOST_IMAGES = 10_000
_MOST_BLOBS = 10_000


@attrs.frozen(kw_only=True)
class UnpackedImage(Value):
    """One image of an archive, whose plain layers lie unpacked.

    Attributes:
        reference: its name; None when it has none.
        documents: its manifest, as the store that it comes from has it, and its configuration.
        diff_ids: digests of its layers' plain tars, the lowest first.
    """

    reference: ImageReference | None
    documents: ImageDocuments
    diff_ids: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.documents.manifest)

    @property
    def image_id(self) -> str:
        """The image's ID, without ``sha256:``."""
        return digest_of(self.documents.config).removeprefix("sha256:")


def is_carried(stream: ByteStream) -> bool:
    """Say whether a tar is such an archive, by its first member; the stream stands where it stood."""
    block = stream.read(BLOCK)
    stream.unread(block)
    return block.startswith(LISTING_NAME.encode() + b"\0")


def unpacked_images(stream: ByteStream, blobs: BlobFolder, name: str) -> tuple[UnpackedImage, ...]:
    """Unpack the blobs of an archive to its end, each under its digest, and read the images.

    No path of the archive is ever opened: blobs are known by the digest in their name, which they must have, and all
    other files are passed over.

    Args:
        stream: the uncompressed tar, at its beginning.
        blobs: an empty folder.
        name: the archive, as a message names it.

    Raises:
        InputError: it is damaged, cut off, or beyond a limit, or its images contradict themselves.
        DiskFullError: no space is left.
    """
    files = streamed_files(stream, name)
    listing = _read_listing(next(files, None), name)
    count = 0
    for file in files:
        if found := _BLOB.fullmatch(file.name):
            count += 1
            if count > _MOST_BLOBS:
                raise InputError(f"{name} holds more than {_MOST_BLOBS} blobs")
            blobs.put(Descriptor(media_type="", digest=f"sha256:{found[1]}", size=file.size), file.content)
    # What compresses the whole tells at its end whether it was damaged.
    for _ in stream.rest():
        pass
    return tuple(_image(reference, digest, blobs, name) for reference, digest in listing)


def _read_listing(file: StreamedFile | None, name: str) -> list[tuple[ImageReference | None, str]]:
    if file is None or file.name != LISTING_NAME or file.size > MAXIMUM_DOCUMENT:
        raise InputError(f"{name} is damaged: it does not begin with a {LISTING_NAME}", hint="save the images again")
    listing = parsed(b"".join(file.content), f"{LISTING_NAME} in {name}")
    if listing.get("schemaVersion") != LISTING_VERSION:
        raise InputError(
            f"{name} was written by another version of stxb", hint="load it by that version, or by podman load"
        )
    if not 1 <= len(as_list(listing.get("images"), "images")) <= _MOST_IMAGES:
        raise InputError(f"{name} holds no images, or more than {_MOST_IMAGES}")
    return [(_reference(image, name), text_of(image, "manifest")) for image in objects_of(listing, "images")]


def _reference(image: dict[str, Json], name: str) -> ImageReference | None:
    text = text_of(image, "name")
    if not text:
        return None
    reference = ImageReference.parse(text)
    if reference.digest:
        raise InputError(f"{name} is damaged: {reference} names an image by its digest", hint="save the images again")
    return reference


def _image(reference: ImageReference | None, digest: str, blobs: BlobFolder, name: str) -> UnpackedImage:
    manifest = _document(digest, blobs, name)
    content = parsed(manifest, f"manifest in {name}")
    manifest_kind(content)
    described = as_object(content["config"], "config of the manifest")
    config = _document(text_of(described, "digest"), blobs, name)
    documents = ImageDocuments(manifest=manifest, config=config)
    check_agreement(content, parsed(config, f"configuration in {name}"), documents)
    diff_ids = diff_ids_of(config)
    for diff_id in diff_ids:
        _size(diff_id, blobs, name)
    return UnpackedImage(reference=reference, documents=documents, diff_ids=diff_ids)


def _document(digest: str, blobs: BlobFolder, name: str) -> bytes:
    size = _size(digest, blobs, name)
    if size > MAXIMUM_DOCUMENT:
        raise InputError(f"{name} is damaged: {digest} has {size} bytes, which no manifest or configuration has")
    return blobs.path(digest).read_bytes()


def _size(digest: str, blobs: BlobFolder, name: str) -> int:
    size = blobs.size(digest) if _DIGEST.fullmatch(digest) else None
    if size is None:
        raise InputError(f"{name} is damaged: it has no blob {digest[:80]!r}", hint="save the images again")
    return size
