# SPDX-License-Identifier: Apache-2.0
"""Images in OCI image layouts (image-spec, image-layout.md): a folder, or what an oci-archive holds."""

from collections.abc import Iterator
from contextlib import contextmanager

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import as_object, parsed
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.transport.documents import MAXIMUM_DOCUMENT, objects_of, shown_list, text_of
from stxbuildah.transport.files import ImageFiles, read_file
from stxbuildah.transport.verified import verified

INDEX_NAME = "index.json"
LAYOUT_NAME = "oci-layout"
LAYOUT_VERSION = "1.0.0"
REF_NAME = "org.opencontainers.image.ref.name"


class LayoutSource:
    """An image in a layout, found by its name when it is opened.

    Args:
        files: the layout's files.
        name: the image as a message names it, as ``oci:folder:1.0``.
        tag: the image's name in the layout; empty for the only image that it holds.

    Raises:
        InputError: this is no layout, it has no such image, or several and no name was given.
    """

    def __init__(self, files: ImageFiles, name: str, tag: str = "") -> None:
        self._files = files
        self.name = name
        self._descriptor = _chosen(listed_images(files, name), tag, name)

    def document(self) -> Document:
        """Give the manifest or index that the name stands for.

        Raises:
            InputError: it is not there, or not what its digest says.
        """
        return self.manifest(self._descriptor)

    def manifest(self, descriptor: Descriptor) -> Document:
        """Give one manifest of an index.

        Raises:
            InputError: it is not there, or not what its digest says.
        """
        if descriptor.size > MAXIMUM_DOCUMENT:
            raise InputError(
                f"{self.name} is damaged: its manifest {descriptor.digest} has {descriptor.size} bytes, more than "
                f"the {MAXIMUM_DOCUMENT} that are accepted"
            )
        with self.blob(descriptor) as chunks:
            return Document(descriptor.media_type, b"".join(chunks))

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """Stream a blob; it only comes to an orderly end when its size and digest are right.

        Raises:
            InputError: it is not there, or not what its descriptor says.
        """
        path = blob_name(descriptor.digest)
        if self._files.size(path) is None:
            raise InputError(
                f"{self.name} is damaged: it has no blob {descriptor.digest}", hint="copy or build the image again"
            )
        with self._files.chunks(path) as chunks:
            yield verified(chunks, descriptor, self.name)


def blob_name(digest: str) -> str:
    """Give the place of a blob in a layout."""
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def listed_images(files: ImageFiles, name: str) -> tuple[tuple[str, Descriptor], ...]:
    """Give what a layout's index lists: each image's name there, which may be empty, and its descriptor.

    Args:
        files: the layout's files.
        name: the layout as a message names it.

    Raises:
        InputError: this is no layout of the version that is known, or a damaged one.
    """
    check_layout(read_file(files, LAYOUT_NAME, MAXIMUM_DOCUMENT, name), name)
    data = read_file(files, INDEX_NAME, MAXIMUM_DOCUMENT, name)
    if data is None:
        raise InputError(f"{name} is no image: the layout has no {INDEX_NAME}")
    images = []
    for entry in objects_of(parsed(data, f"{INDEX_NAME} in {name}"), "manifests"):
        descriptor = Descriptor.from_json(entry, f"an image that {INDEX_NAME} in {name} lists")
        annotations = as_object(entry.get("annotations") or {}, "annotations of an image in a layout")
        images.append((text_of(annotations, REF_NAME), descriptor))
    return tuple(images)


def check_layout(data: bytes | None, name: str) -> None:
    """Make sure that a folder or archive is a layout.

    Args:
        data: the content of its ``oci-layout``; None when it has none.
        name: the layout as a message names it.

    Raises:
        InputError: it is none, or one of an unknown version.
    """
    if data is None:
        raise InputError(
            f"{name} is no OCI image layout: it has no file {LAYOUT_NAME}",
            hint="check the path; what `docker save` and `podman save` write by default is a docker-archive:",
        )
    version = parsed(data, f"{LAYOUT_NAME} in {name}").get("imageLayoutVersion")
    if version != LAYOUT_VERSION:
        raise InputError(f"{name} is a layout of version {version!r}, and only {LAYOUT_VERSION} is known")


def _chosen(images: tuple[tuple[str, Descriptor], ...], tag: str, name: str) -> Descriptor:
    found = [descriptor for found_tag, descriptor in images if not tag or found_tag == tag]
    names = shown_list(tag for tag, _ in images if tag) or "none of them has a name"
    if not found:
        raise InputError(f"there is no image {name}", hint=f"the layout holds: {names}" if images else "it is empty")
    # The same image may have several names.
    if len({descriptor.digest for descriptor in found}) > 1:
        raise InputError(f"{name} may be any of {len(found)} images in the layout", hint=f"add a name to it: {names}")
    return found[0]
