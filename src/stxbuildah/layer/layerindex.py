# SPDX-License-Identifier: Apache-2.0
"""What one layer does to the file tree of an image, found out while its tar streams by."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.indexformat import NO_CONTENT
from stxbuildah.layer.indexwriter import Spool, write_index
from stxbuildah.layer.inflate import inflated
from stxbuildah.layer.keptfiles import MAXIMUM_CONTENTS, kept_bytes, worth_keeping
from stxbuildah.layer.layerstate import LayerState
from stxbuildah.layer.tarmember import Limits, MemberKind
from stxbuildah.layer.tarwalk import walk
from stxbuildah.layer.windowroom import Take, take_nothing

# A file that is asked for later is held in memory; nothing an inventory reads comes near this.
MAXIMUM_FILE = 256 * 1024 * 1024
# The OCI image specification, "Digests": sha256 must be known, the others may be.
_ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}


def index_layer(
    chunks: Iterable[bytes],
    *,
    what: str,
    diff_id: str,
    target: Path,
    limits: Limits | None = None,
    take: Take = take_nothing,
) -> None:
    """Write the index of a layer while it streams by.

    Args:
        chunks: the layer's blob, compressed or not; read to its end.
        what: which layer of which image, for errors.
        diff_id: digest that the uncompressed tar must have; empty when it is not known.
        target: the index file to write, in a folder that exists; it is there whole or not at all.
        limits: how much is accepted; the defaults of ``Limits`` when None.
        take: told of the windows of zstd before they are needed, as by ``inflated``.

    Raises:
        InputError: the layer is damaged, not what its digest says, or beyond a limit.
        DiskFullError: no space is left for the index.
    """
    import tempfile

    limits = limits or Limits()
    with _named(what), written_beside(target) as stream, tempfile.TemporaryFile(dir=target.parent) as spooled:
        digest = _Digest(diff_id)
        state, spool = LayerState(), Spool(spooled)

        def wanted(path: str, size: int) -> int:
            length = min(kept_bytes(path, size), limits.content)
            return length if spool.size + length <= MAXIMUM_CONTENTS else 0

        regular = 0
        tar = digest.of(inflated(chunks, limit=limits.total, take=take))
        for member in walk(tar, limits=limits, wanted=wanted):
            if member.kind is not MemberKind.REGULAR:
                state.add(member)
                continue
            kept = worth_keeping(member.path, member.content) if member.content else b""
            state.add(member, content=spool.add(kept) if kept else NO_CONTENT, origin=regular)
            regular += 1
        write_index(stream, state, spool, digest.verified())


def read_files(
    chunks: Iterable[bytes], index: LayerIndex, paths: Collection[str], *, what: str, limits: Limits | None = None
) -> dict[str, bytes]:
    """Give the contents of some regular files of an indexed layer, which streams by once more.

    Args:
        chunks: the layer's blob, compressed or not; read to its end.
        index: the layer's index.
        paths: absolute paths in the index; those that are no regular files of this layer are passed over.
        what: which layer of which image, for errors.
        limits: as of ``index_layer``; a file may be as big as ``MAXIMUM_FILE``.

    Raises:
        InputError: the layer is damaged, is not the one that was indexed, or a file is too big.
    """
    limits = attrs.evolve(limits or Limits(), content=MAXIMUM_FILE)
    with _named(what):
        origins = index.origins(paths)
        sizes = dict(origins.values())
        found: dict[int, bytes] = {}
        regular = 0

        def wanted(_path: str, _size: int) -> int:
            # Asked for the member behind the last one that was given.
            return sizes.get(regular, 0)

        digest = _Digest(index.diff_id)
        for member in walk(digest.of(inflated(chunks, limit=limits.total)), limits=limits, wanted=wanted):
            if member.kind is MemberKind.REGULAR:
                if regular in sizes:
                    found[regular] = member.content
                regular += 1
        digest.verified()
    return {
        path: found[origin]
        for path, (origin, size) in origins.items()
        if origin in found and len(found[origin]) == size
    }


class _Digest:
    """The digest of a layer's tar as it streams by.

    Args:
        expected: the digest it must have, as ``sha256:...``; empty when it is not known.
    """

    def __init__(self, expected: str) -> None:
        algorithm, _, written = (expected or "sha256:").partition(":")
        if algorithm not in _ALGORITHMS or (expected and len(written) != _ALGORITHMS[algorithm]):
            raise InputError(f"{expected!r} is no digest that is known here")
        self._expected = expected
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def of(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Give the chunks, looking at each."""
        for chunk in chunks:
            self._hash.update(chunk)
            yield chunk

    def verified(self) -> str:
        """Give the digest of all chunks.

        Raises:
            InputError: it is not the expected one.
        """
        found = f"{self._algorithm}:{self._hash.hexdigest()}"
        if self._expected and found != self._expected:
            raise InputError(
                f"its uncompressed tar has the digest {found}, and {self._expected} was expected",
                hint="the image is damaged, or its configuration belongs to other layers; push it anew",
            )
        return found


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Say in errors which layer they are about."""
    try:
        yield
    except InputError as error:
        hint = error.hint or "the image is damaged, or made to do harm; build or push it anew"
        raise InputError(f"{what}: {error.message}", hint=hint, details=error.details) from error
