# SPDX-License-Identifier: Apache-2.0
"""Indexes: which images they list for which platforms, and the same index with other images in their places."""

from collections.abc import Mapping

import attrs

from stxbuildah.model.descriptor import Descriptor, Document, Platform


@attrs.frozen(kw_only=True)
class IndexedImages:
    """What an index lists, told apart.

    Attributes:
        images: images for a known platform, in the index's order.
        attestations: what BuildKit attests of them (annotation ``vnd.docker.reference.type``).
        others: anything else: manifests without a platform, artifacts, nested indexes.
    """

    images: tuple[tuple[Descriptor, Platform], ...]
    attestations: tuple[Descriptor, ...] = ()
    others: tuple[Descriptor, ...] = ()


def is_index(document: Document) -> bool:
    """Say whether a document is an index of images: OCI's, or Docker's list of manifests."""
    raise NotImplementedError


def indexed_images(index: Document) -> IndexedImages:
    """Tell apart what an index lists.

    Raises:
        InputError: the index is damaged.
    """
    raise NotImplementedError


def this_platform(machine: str = "") -> Platform:
    """Give the platform of this machine.

    Args:
        machine: the machine's name as ``uname -m`` gives it; empty to ask the system.
    """
    raise NotImplementedError


def chosen_image(images: IndexedImages, wanted: Platform, name: str) -> Descriptor:
    """Give the image that suits a platform best.

    Args:
        images: what the index lists.
        wanted: the platform.
        name: the index as a message names it.

    Raises:
        InputError: there is none; the hint lists what there is.
    """
    raise NotImplementedError


def replaced_index(index: Document, changes: Mapping[str, Document | None]) -> Document:
    """Give the same index with other manifests in place of some.

    Args:
        index: an index, whose media type is kept.
        changes: the new manifest by the old one's digest; None to take it out of the index.

    Raises:
        InputError: the index is damaged or lacks one of the manifests.
    """
    raise NotImplementedError
