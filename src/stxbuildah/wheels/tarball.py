# SPDX-License-Identifier: Apache-2.0
"""The tarball of wheels: the same bytes whenever and wherever the same files are packed."""

import hashlib
import io
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import attrs

from stxbuildah.errors import BuildError

# The oldest time a zip file can tell (1980-01-01): the time of every member.
MEMBER_TIME = 315532800


@attrs.define
class _Hashed:
    """Writes to a stream, and knows the digest of what it wrote; all that ``tarfile`` asks of a stream."""

    stream: BinaryIO
    digest: "hashlib._Hash" = attrs.field(factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.stream.write(data)


def write_tarball(stream: BinaryIO, files: Iterable[Path], texts: Mapping[str, bytes]) -> str:
    """Write files at the top of a plain tar archive, sorted by name, with one time and one owner.

    Args:
        stream: is written to.
        files: files; no two of one name.
        texts: further members, by name.

    Returns:
        The archive's SHA-256, in hexadecimal.

    Raises:
        BuildError: two members have one name.
    """
    import tarfile

    found = sorted(files, key=lambda path: path.name)
    names = sorted([*(path.name for path in found), *texts])
    for first, second in itertools.pairwise(names):
        if first == second:
            raise BuildError(f"{first} would be in the tarball twice")
    places = {path.name: path for path in found}
    hashed = _Hashed(stream)
    with tarfile.open(fileobj=cast("BinaryIO", hashed), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.mode, member.mtime = 0o644, MEMBER_TIME
            if name in texts:
                member.size = len(texts[name])
                tar.addfile(member, io.BytesIO(texts[name]))
                continue
            with places[name].open("rb") as content:
                member.size = places[name].stat().st_size
                tar.addfile(member, content)
    return hashed.digest.hexdigest()
