# SPDX-License-Identifier: Apache-2.0
"""Write archives of images: the same files give the same bytes."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stxbuildah.layer.atomic import folder_beside, written_beside
from stxbuildah.layer.tarheader import BLOCK, Member, member_header, padding
from stxbuildah.transport.blobfolder import writing

_MODE = 0o644
_FOLDER_MODE = 0o755
_CHUNK = 1024 * 1024


@contextmanager
def drafts_beside(target: Path, name: str) -> Iterator[Path]:
    """Give an empty folder beside an archive, for its parts; it is removed at the end.

    Beside, since there must be room for the archive anyway, and less in a folder of temporary files.

    Args:
        target: the archive to write.
        name: the image as a message names it.

    Raises:
        InputError: nothing can be written there.
    """
    absolute = target.absolute()
    with ExitStack() as stack:
        with writing(name, absolute.parent):
            absolute.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(folder_beside(absolute))
        yield folder


def write_archive(target: Path, members: Iterable[tuple[str, Path | bytes]], name: str) -> None:
    """Write files into a tar archive, whole or not at all; what was at its place is replaced.

    Args:
        target: the archive to write.
        members: name and content of each file, in the archive's order; the name of a folder ends in a slash.
        name: the image as a message names it.

    Raises:
        DiskFullError: no space is left.
        InputError: the archive cannot be written there.
    """
    with writing(name, target.absolute().parent), written_beside(target) as archive:
        for member, content in members:
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            folder = member.endswith("/")
            mode, kind = (_FOLDER_MODE, b"5") if folder else (_MODE, b"0")
            archive.write(member_header(Member(name=member.encode(), type=kind, mode=mode, size=size)))
            if isinstance(content, bytes):
                archive.write(content)
            else:
                with content.open("rb") as stream:
                    shutil.copyfileobj(stream, archive, _CHUNK)
            archive.write(padding(size))
        archive.write(bytes(2 * BLOCK))
