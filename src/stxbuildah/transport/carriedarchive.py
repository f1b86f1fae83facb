# SPDX-License-Identifier: Apache-2.0
"""Archives that carry images from one local store to another, with the manifests that they have in the first.

Such an archive is an ordinary docker-archive (``dockerarchive``) or OCI image layout (``ocilayout``) for everybody
else. All blobs lie in ``blobs/sha256``, as in the archives of Docker since version 25, layers as plain tars: no store
keeps the bytes that a layer was compressed to. The first member, ``stxbuildah.json``, names the images and their
manifests as the store has them, which are among the blobs. Layers that a manifest names compressed are made anew of
the plain ones (``carriedlayers``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from stxbuildah.errors import BuildError
from stxbuildah.layer.documents import Json, diff_ids_of, encoded, parsed
from stxbuildah.layer.plainmanifest import plain_manifest, with_plain_layers
from stxbuildah.layer.tarheader import BLOCK, Member, member_header, padding
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.stored import StoredImage, digest_of
from stxbuildah.model.transfer import ArchiveForm
from stxbuildah.transport.dockerarchive import MANIFEST_NAME
from stxbuildah.transport.ocilayout import INDEX_NAME, LAYOUT_NAME, LAYOUT_VERSION, REF_NAME, blob_name

LISTING_NAME = "stxbuildah.json"
LISTING_VERSION = 1
# As github.com/containerd/containerd/images/annotations.go has it.
_CONTAINERD_NAME = "io.containerd.image.name"
# skopeo as an ordinary account cannot unpack files whose folders are no members.
_FOLDERS = ("blobs/", "blobs/sha256/")
_MODE = 0o644
_FOLDER_MODE = 0o755


def carried_archive(
    images: Sequence[StoredImage], layers: Iterable[tuple[str, int, Iterable[bytes]]], form: ArchiveForm
) -> Iterator[bytes]:
    """Write an archive, piece by piece; nothing of a layer is kept in memory.

    Args:
        images: what is in it; one may be there under several names. A name with a digest is none in the archive.
        layers: digest without ``sha256:``, size and bytes of each layer's plain tar.
        form: what it is to others.

    Raises:
        BuildError: a layer of an image is not among the layers.
    """
    documents = {
        digest_of(document): document
        for image in images
        for document in (image.documents.manifest, image.documents.config)
    }
    listed: list[Json] = [{"name": _name(image), "manifest": image.digest} for image in images]
    yield _file(LISTING_NAME, encoded({"schemaVersion": LISTING_VERSION, "images": listed}))
    for folder in _FOLDERS:
        yield member_header(Member(name=folder.encode(), type=b"5", mode=_FOLDER_MODE))
    yield from _blobs(documents)
    sizes: dict[str, int] = {}
    for digest, size, chunks in layers:
        yield _header(blob_name(digest), size)
        yield from chunks
        yield padding(size)
        sizes[f"sha256:{digest}"] = size
    for image in images:
        if not sizes.keys() >= set(_diff_ids(image)):
            raise BuildError(f"{image.reference} was changed while it was saved", hint="save it again")
    yield from _as_docker_archive(images) if form is ArchiveForm.DOCKER else _as_layout(images, sizes, documents)
    yield bytes(2 * BLOCK)


def _as_docker_archive(images: Sequence[StoredImage]) -> Iterator[bytes]:
    distinct = {image.image_id: image for image in images}
    listed = [
        encoded(
            {
                "Config": blob_name(image_id),
                "RepoTags": [name for named in images if named.image_id == image_id and (name := _name(named))],
                "Layers": [blob_name(diff_id) for diff_id in _diff_ids(image)],
            }
        )
        for image_id, image in distinct.items()
    ]
    yield _file(MANIFEST_NAME, b"[" + b",".join(listed) + b"]")


def _as_layout(
    images: Sequence[StoredImage], sizes: Mapping[str, int], documents: Mapping[str, bytes]
) -> Iterator[bytes]:
    plain = [_plain_oci_manifest(image, sizes) for image in images]
    yield from _blobs({digest_of(manifest): manifest for manifest in plain if digest_of(manifest) not in documents})
    entries: list[Json] = []
    for image, manifest in zip(images, plain, strict=True):
        entry: dict[str, Json] = {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(manifest),
            "size": len(manifest),
        }
        if name := _name(image):
            entry["annotations"] = {REF_NAME: name, _CONTAINERD_NAME: name}
        entries.append(entry)
    yield _file(INDEX_NAME, encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))
    yield _file(LAYOUT_NAME, encoded({"imageLayoutVersion": LAYOUT_VERSION}))


def _plain_oci_manifest(image: StoredImage, sizes: Mapping[str, int]) -> bytes:
    """Give the manifest that others read; before skopeo 1.14, no layout may have one of Docker's type."""
    if parsed(image.documents.manifest, "manifest").get("mediaType", OCI_MANIFEST) == OCI_MANIFEST:
        return with_plain_layers(image.documents, sizes).manifest
    layers = [(diff_id.removeprefix("sha256:"), sizes[diff_id]) for diff_id in _diff_ids(image)]
    return plain_manifest(image.documents.config, layers)


def _name(image: StoredImage) -> str:
    return "" if image.reference.digest else str(image.reference)


def _diff_ids(image: StoredImage) -> tuple[str, ...]:
    return diff_ids_of(image.documents.config)


def _blobs(documents: Mapping[str, bytes]) -> Iterator[bytes]:
    return (_file(blob_name(digest), document) for digest, document in documents.items())


def _file(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + padding(len(content))


def _header(name: str, size: int) -> bytes:
    return member_header(Member(name=name.encode(), type=b"0", mode=_MODE, size=size))
