# SPDX-License-Identifier: Apache-2.0
"""Layer indexes that are kept from one run to the next.

A file's name says the format's version and the digest of the layer's blob, which never changes its meaning; so runs
need not agree on anything. Files are written beside and renamed, and one that is removed while another run reads it
stays readable there. When a file was used last is its modification time.
"""

import errno
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stxbuildah import log
from stxbuildah.errors import DiskFullError, HostError, InputError
from stxbuildah.layer.atomic import folder_beside, written_beside
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.indexformat import VERSION
from stxbuildah.layer.indexwriter import write_extended

DEFAULT_MAXIMUM = 1 << 30
# Seconds in which a file is not removed for others, since its run may be about to open it.
_YOUNG = 60
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-zA-Z=_-]{32,128}")
_SUFFIX = f".v{VERSION}.index"


class IndexCache:
    """Indexes by the digest of their layers' blobs; several runs can use one folder at the same time.

    Args:
        folder: where they are; made when the first one is written.
        maximum_bytes: size of all of them; what was used least recently goes first.
    """

    def __init__(self, folder: Path, maximum_bytes: int = DEFAULT_MAXIMUM) -> None:
        self._folder = folder
        self._maximum = maximum_bytes

    def path(self, digest: str) -> Path:
        """Give where the index of a layer is, or would be.

        Args:
            digest: of the layer's blob, as the manifest has it.

        Raises:
            InputError: this is no digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"{digest!r} is no digest")
        return self._folder / (digest.replace(":", "-") + _SUFFIX)

    def find(self, digest: str) -> LayerIndex | None:
        """Open the index of a layer, and count it as used; None when there is none.

        A damaged file is removed, so that it is made again.

        Raises:
            InputError: this is no digest.
        """
        path = self.path(digest)
        index = LayerIndex.open(path)
        try:
            if index is not None:
                os.utime(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            # The folder may be read-only, or the file was removed for its age by another run.
            log.debug("layer.index.not_touched", path=str(path), reason=str(error))
        return index

    @contextmanager
    def making(self, digest: str) -> Iterator[Path]:
        """Give the path of a new index file, which takes its place in the cache when the block ends well.

        Nothing is there yet; the block writes it. After an error nothing is left behind.

        Args:
            digest: of the layer's blob, as the manifest has it.

        Raises:
            InputError: this is no digest.
            DiskFullError: no space is left for it.
            HostError: it cannot be written for another reason.
        """
        path = self.path(digest)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # In a folder of its own, so that whatever the block needs beside it goes with it, also after a kill.
            with folder_beside(self._folder / "making") as drafts:
                yield drafts / path.name
                (drafts / path.name).replace(path)
            self._remove_oldest(path)
        except (OSError, DiskFullError) as error:
            raise _written_error(self._folder, error) from error

    def extend(self, digest: str, index: LayerIndex, contents: Mapping[str, bytes]) -> None:
        """Keep more contents with an index.

        An index that cannot be written is only a later run that takes longer, so it is logged and no error.

        Args:
            digest: of the layer's blob, as the manifest has it.
            index: the index of this layer, as it was opened; it stays as it is.
            contents: of regular files of the layer, whole, by absolute path.
        """
        room = self._maximum // 4 - index.tables.contents_size
        if sum(map(len, contents.values())) > room:
            log.debug("layer.index.not_extended", digest=digest, files=len(contents))
            return
        try:
            with self.making(digest) as path, written_beside(path) as stream:
                write_extended(stream, index, contents)
        except (DiskFullError, HostError) as error:
            log.warning("layer.index.not_written", path=str(self.path(digest)), reason=str(error))

    def _remove_oldest(self, own: Path) -> None:
        """Remove what was used least recently until the rest fits; never what is young, nor ``own``."""
        now = time.time()
        files: list[tuple[float, int, str]] = []
        with os.scandir(self._folder) as listing:
            for found in listing:
                try:
                    status = found.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another run removed it
                if found.name.endswith(".index"):
                    files.append((status.st_mtime, status.st_size, found.path))
        total = sum(size for _, size, _ in files)
        # Most runs find room enough: then nothing is sorted, and no path is made of a name.
        for used, size, name in sorted(files) if total > self._maximum else ():
            path = Path(name)
            if total <= self._maximum:
                return
            if now - used > _YOUNG and path != own:
                path.unlink(missing_ok=True)
                log.debug("layer.index.removed", path=str(path))
                total -= size


def _written_error(folder: Path, error: OSError | DiskFullError) -> DiskFullError | HostError:
    hint = "name another cache folder with XDG_CACHE_HOME"
    if isinstance(error, DiskFullError) or error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"no space left in {folder} for the index of a layer", hint=f"free some there, or {hint}")
    return HostError(f"the index of a layer cannot be written into {folder}: {error.strerror or error}", hint=hint)
