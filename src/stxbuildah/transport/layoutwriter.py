# SPDX-License-Identifier: Apache-2.0
"""Write images to OCI image layouts (image-spec, image-layout.md)."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from stxbuildah.errors import BuildError, InputError
from stxbuildah.layer.atomic import folder_beside, written_beside
from stxbuildah.layer.deflate import compressed
from stxbuildah.layer.documents import Json, as_list, as_object, encoded, parsed
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_INDEX
from stxbuildah.model.layer import Compression
from stxbuildah.transport.blobfolder import BlobFolder, writing
from stxbuildah.transport.conversion import as_oci
from stxbuildah.transport.documents import MAXIMUM_DOCUMENT, listed_blobs, text_of
from stxbuildah.transport.files import FolderFiles, opened_content, read_file
from stxbuildah.transport.interface import ImageSource
from stxbuildah.transport.layerform import DOCKER_GZIP_LAYER, is_foreign, needs_compression
from stxbuildah.transport.ocilayout import INDEX_NAME, LAYOUT_NAME, LAYOUT_VERSION, REF_NAME, check_layout

_BLOBS = "blobs/sha256"
_LAYOUT = encoded({"imageLayoutVersion": LAYOUT_VERSION})
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class LayoutDestination:
    """A layout to write one image to; the images that it holds stay.

    A new layout is made beside its place and renamed when it is whole. In one that is there, blobs come first and the
    index last, so a run that is killed leaves at most blobs that nobody names.

    Args:
        folder: the layout's folder; it and those above it are made when they are missing.
        name: the image as a message names it.
        tag: its name in the layout, whose bearer it replaces; empty for an image without a name.

    Raises:
        InputError: something else than a layout is there.
    """

    def __init__(self, folder: Path, name: str, tag: str = "") -> None:
        self._folder = folder
        self.name = name
        self._tag = tag
        self._draft: Path | None = None
        self._opened = ExitStack()
        if not _is_layout_or_empty(folder, name):
            with writing(name, folder.absolute().parent):
                folder.absolute().parent.mkdir(parents=True, exist_ok=True)
                self._draft = self._opened.enter_context(folder_beside(folder.absolute()))
        self._blobs = BlobFolder((self._draft or folder) / _BLOBS, name)

    def close(self) -> None:
        """Remove what was written for a new layout that was not finished."""
        self._opened.close()

    def take(self, descriptor: Descriptor, source: ImageSource) -> Descriptor:
        """Make sure that a blob of another image is there; layers of a docker-archive are compressed by gzip.

        Raises:
            StxbError: the source cannot give it, or it cannot be written.
        """
        if is_foreign(descriptor) or self._blobs.size(descriptor.digest) == descriptor.size:
            return descriptor
        with source.blob(descriptor) as chunks:
            if not needs_compression(descriptor):
                self._blobs.put(descriptor, chunks)
                return descriptor
            digest, size = self._blobs.put_unknown(compressed(chunks, Compression.GZIP))
        return attrs.evolve(descriptor, media_type=DOCKER_GZIP_LAYER, digest=digest, size=size)

    def write(self, descriptor: Descriptor, content: Path | bytes) -> None:
        """Write a new blob from a file, or from bytes.

        Raises:
            InputError: the content is not what the descriptor says, or cannot be read.
            DiskFullError: no space is left.
        """
        with opened_content(content) as chunks:
            self._blobs.put(descriptor, chunks)

    def finish(self, document: Document, manifests: tuple[Document, ...] = ()) -> str:
        """Write the documents, then give the image its name; Docker's types become OCI's.

        Returns:
            The digest of the document as it is written.

        Raises:
            BuildError: a blob of a manifest was neither taken nor written.
            StxbError: the layout cannot be written, or was replaced by something else meanwhile.
        """
        document, manifests = as_oci(document, manifests)
        for written in (*manifests, document):
            self._check_blobs(written)
            self._blobs.put(written.descriptor, (written.data,))
        with writing(self.name, self._folder):
            if self._draft is not None:
                self._place(self._draft, document)
            else:
                self._list(self._folder, document)
        return document.digest

    def _check_blobs(self, manifest: Document) -> None:
        for blob in listed_blobs(manifest):
            if not is_foreign(blob) and self._blobs.size(blob.digest) != blob.size:
                raise BuildError(f"{self.name} lacks the blob {blob.digest} that its manifest lists")

    def _place(self, draft: Path, document: Document) -> None:
        """Make the new layout whole and give it its name, or put it into one that somebody else made meanwhile."""
        self._list(draft, document)
        try:
            draft.rename(self._folder)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            _is_layout_or_empty(self._folder, self.name)
            (self._folder / _BLOBS).mkdir(parents=True, exist_ok=True)
            for blob in (draft / _BLOBS).iterdir():
                blob.replace(self._folder / _BLOBS / blob.name)
            self._list(self._folder, document)

    def _list(self, folder: Path, document: Document) -> None:
        """Put an image into a layout's index, as the only writer at the time."""
        with _locked(folder):
            data = read_file(FolderFiles(folder), INDEX_NAME, MAXIMUM_DOCUMENT, self.name)
            index: dict[str, Json] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
            if data is not None:
                index = parsed(data, f"{INDEX_NAME} in {folder}")
            index["manifests"] = self._with_image(as_list(index.get("manifests"), "manifests"), document)
            with written_beside(folder / INDEX_NAME) as stream:
                stream.write(encoded(index))

    def _with_image(self, entries: list[Json], document: Document) -> list[Json]:
        new: dict[str, Json] = {
            "mediaType": document.media_type,
            "digest": document.digest,
            "size": len(document.data),
        }
        if self._tag:
            new["annotations"] = {REF_NAME: self._tag}
        tags = [_tag_of(entry) for entry in entries]
        # An image without a name takes the place of the one such image; of several it is one more.
        if self._tag not in tags or (not self._tag and tags.count("") > 1):
            return [*entries, new]
        place = tags.index(self._tag)
        after = zip(entries[place + 1 :], tags[place + 1 :], strict=True)
        return [*entries[:place], new, *(entry for entry, tag in after if tag != self._tag)]


def _tag_of(entry: Json) -> str:
    annotations = as_object(entry, "entry of manifests").get("annotations")
    return text_of(as_object(annotations or {}, "annotations of an image in a layout"), REF_NAME)


def _is_layout_or_empty(folder: Path, name: str) -> bool:
    """Say whether images can be added to a folder; False when there is none.

    Raises:
        InputError: something else is there.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(f"cannot write {name}: {error.strerror or error}", hint="name a folder") from error
    for place in (folder / _BLOBS, (folder / _BLOBS).parent):
        if place.is_symlink():
            raise InputError(f"cannot write {name}: {place} is a link, which is not followed")
    data = read_file(FolderFiles(folder), LAYOUT_NAME, MAXIMUM_DOCUMENT, name)
    # A run that was killed may have begun a layout in an empty folder.
    if data or names - {_BLOBS.partition("/")[0], LAYOUT_NAME}:
        check_layout(data, name)
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a layout's lock: on its oci-layout, which is never replaced, since a lock file would be left behind."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(folder / LAYOUT_NAME, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.fstat(descriptor).st_size:
            os.write(descriptor, _LAYOUT)
        yield
    finally:
        os.close(descriptor)
