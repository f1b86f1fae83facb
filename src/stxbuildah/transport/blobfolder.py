# SPDX-License-Identifier: Apache-2.0
"""A folder of blobs under their digests, which several threads and programs may fill at the same time."""

import errno
import hashlib
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.layer.atomic import file_beside
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.transport.verified import verified


class BlobFolder:
    """Blobs, each in a file by the hexadecimal part of its digest; one is there whole or not at all.

    Args:
        folder: the folder; made with the first blob.
        name: the image that is written, as a message names it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def path(self, digest: str) -> Path:
        """Give the file of a blob, whether or not it is there."""
        return self._folder / digest.removeprefix("sha256:")

    def size(self, digest: str) -> int | None:
        """Give the size of a blob that is there, in bytes; None when it is not."""
        try:
            status = self.path(digest).lstat()
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def put(self, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write a blob.

        Args:
            descriptor: what the content must be.
            chunks: the content.

        Raises:
            InputError: the content is something else; nothing is written then.
            DiskFullError: no space is left.
        """
        with self._drafted() as (draft, stream):
            for chunk in verified(chunks, descriptor, self._name):
                stream.write(chunk)
            stream.close()
            draft.replace(self.path(descriptor.digest))

    def put_unknown(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write a blob whose digest comes out only at its end.

        Returns:
            Its digest and size.

        Raises:
            DiskFullError: no space is left.
        """
        digest, size = hashlib.sha256(), 0
        with self._drafted() as (draft, stream):
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                stream.write(chunk)
            stream.close()
            found = f"sha256:{digest.hexdigest()}"
            draft.replace(self.path(found))
        return found, size

    @contextmanager
    def _drafted(self) -> Iterator[tuple[Path, BinaryIO]]:
        with writing(self._name, self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            # Not beside its own name: the same blob may be taken twice, and its digest come out at its end.
            with file_beside(self._folder / "blob") as drafted:
                yield drafted


@contextmanager
def writing(name: str, folder: Path) -> Iterator[None]:
    """Tell what the system refuses while an image is written.

    Args:
        name: the image as a message names it.
        folder: where it is written.

    Raises:
        DiskFullError: no space, or no quota, is left there.
        InputError: the folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(f"no space left for {name}", hint=f"free some space in {folder}") from error
        raise InputError(
            f"cannot write {name}: {error.strerror or error}", hint=f"make {folder} writable, or name another place"
        ) from error
