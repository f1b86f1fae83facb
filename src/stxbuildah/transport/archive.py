# SPDX-License-Identifier: Apache-2.0
"""Images in oci-archives: an OCI image layout in a tar."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.transport.archivefiles import opened_archive
from stxbuildah.transport.interface import ImageSource
from stxbuildah.transport.layoutwriter import LayoutDestination
from stxbuildah.transport.ocilayout import LayoutSource
from stxbuildah.transport.tarwriter import drafts_beside, write_archive


@contextmanager
def opened_oci_archive(path: Path, name: str, tag: str = "") -> Iterator[LayoutSource]:
    """Open an image in an oci-archive for reading, which may be compressed as a whole.

    Args:
        path: the archive.
        name: the image as a message names it.
        tag: the image's name in the archive; empty for the only image that it holds.

    Raises:
        InputError: there is no such archive or image, or it is damaged.
        DiskFullError: there is no room to unpack a compressed archive.
    """
    with opened_archive(path) as files:
        yield LayoutSource(files, name, tag)


class OciArchiveDestination:
    """An oci-archive to write one image to. What is at its place is replaced when the new one is whole.

    Args:
        path: the archive.
        name: the image as a message names it.
        tag: the image's name in it; may be empty.
        drafts: an empty folder on the same file system.
    """

    def __init__(self, path: Path, name: str, tag: str, drafts: Path) -> None:
        self._path = path
        self.name = name
        self._drafts = drafts
        self._layout = LayoutDestination(drafts, name, tag)

    def take(self, descriptor: Descriptor, source: ImageSource) -> Descriptor:
        """Make sure that a blob of another image is there; layers of a docker-archive are compressed by gzip.

        Raises:
            StxbError: the source cannot give it, or it cannot be written.
        """
        return self._layout.take(descriptor, source)

    def write(self, descriptor: Descriptor, content: Path | bytes) -> None:
        """Write a new blob from a file, or from bytes.

        Raises:
            InputError: the content is not what the descriptor says, or cannot be read.
            DiskFullError: no space is left.
        """
        self._layout.write(descriptor, content)

    def finish(self, document: Document, manifests: tuple[Document, ...] = ()) -> str:
        """Write the archive; Docker's types become OCI's.

        Returns:
            The digest of the document as it is written.

        Raises:
            StxbError: the archive cannot be written.
        """
        digest = self._layout.finish(document, manifests)
        write_archive(self._path, self._members(), self.name)
        return digest

    def _members(self) -> Iterator[tuple[str, Path | bytes]]:
        """Give the layout's members; skopeo as an ordinary account cannot unpack files whose folders are no members."""
        for path in sorted(self._drafts.rglob("*")):
            name = path.relative_to(self._drafts).as_posix()
            yield (f"{name}/", b"") if path.is_dir() else (name, path)


@contextmanager
def new_oci_archive(path: Path, name: str, tag: str = "") -> Iterator[OciArchiveDestination]:
    """Open an oci-archive for writing.

    Args:
        path: the archive; the folders above it are made when they are missing.
        name: the image as a message names it.
        tag: the image's name in it; may be empty.

    Raises:
        InputError: nothing can be written there.
    """
    check_archive_target(path, name)
    with drafts_beside(path, name) as drafts:
        yield OciArchiveDestination(path, name, tag, drafts)


def check_archive_target(path: Path, name: str) -> None:
    """Make sure that an archive may take the place of what is there.

    Raises:
        InputError: a folder is there, or a device.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"cannot write {name}: {path} is no regular file", hint="name a file for the archive")
