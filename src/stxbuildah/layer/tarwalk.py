# SPDX-License-Identifier: Apache-2.0
"""Walk over a layer's tar as it streams by: its members, and the content only of those that are wanted."""

from collections.abc import Callable, Iterable, Iterator

from stxbuildah.layer.tarmember import Limits, Member, MemberKind

__all__ = ["Limits", "Member", "MemberKind", "relative_path", "walk"]


def walk(chunks: Iterable[bytes], *, limits: Limits, wanted: Callable[[str, int], int]) -> Iterator[Member]:
    """Give the members of a tar, in its order, duplicates too; whiteouts come as the files they are in the tar.

    Args:
        chunks: the uncompressed tar, in pieces of any size; read to its end.
        limits: how much is accepted.
        wanted: says for the path and size of a regular file how many bytes of its start are to be kept.

    Raises:
        InputError: this is no tar, or one that is damaged or truncated, leaves its root, or is beyond a limit.
    """
    raise NotImplementedError


def relative_path(path: str) -> str:
    """Give a path of a tar as ``Member.path`` has it, for instance a hard link's target.

    Raises:
        InputError: the path leaves the root.
    """
    raise NotImplementedError
