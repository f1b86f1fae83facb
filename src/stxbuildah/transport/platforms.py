# SPDX-License-Identifier: Apache-2.0
"""Indexes: which images they list for which platforms, and the same index with other images in their places.

Sources: the OCI image specification (image-index.md), Docker's "Image Manifest Version 2, Schema 2" for its lists, and
BuildKit's attestation-storage.md.
"""

import platform
from collections.abc import Iterator, Mapping

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import Json, encoded, parsed
from stxbuildah.model.descriptor import Descriptor, Document, Platform
from stxbuildah.model.image import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.value import Value
from stxbuildah.transport.documents import objects_of, shown_list, text_of

_INDEXES = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_ATTESTATION = "attestation-manifest"
_UNKNOWN = "unknown"
# What a processor of a variant also runs, best first. Those of arm and arm64 are containers/image's
# (internal/pkg/platform), those of amd64 are the levels of the x86-64 psABI, as containerd takes them.
_VARIANTS = {
    "arm": ("v8", "v7", "v6", "v5"),
    "arm64": ("v8",),
    "amd64": ("v4", "v3", "v2", "v1"),
}
# What is taken when no variant is wanted: of amd64 only what every processor runs.
_ANY_VARIANT = {**_VARIANTS, "amd64": ("v1",)}
# Go's names for what uname calls a machine.
_MACHINES = {
    "x86_64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "armv5tejl": ("arm", "v5"),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
}


@attrs.frozen(kw_only=True)
class IndexedImages(Value):
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
    return document.media_type in _INDEXES


def indexed_images(index: Document) -> IndexedImages:
    """Tell apart what an index lists.

    Raises:
        InputError: the index is damaged.
    """
    document = parsed(index.data, "index")
    images: list[tuple[Descriptor, Platform]] = []
    attestations: list[Descriptor] = []
    others: list[Descriptor] = []
    for number, entry in enumerate(objects_of(document, "manifests")):
        descriptor = Descriptor.from_json(entry, f"manifest {number + 1} of the index")
        found = descriptor.platform
        if dict(descriptor.annotations).get(_REFERENCE_TYPE) == _ATTESTATION:
            attestations.append(descriptor)
        elif descriptor.media_type not in {OCI_MANIFEST, DOCKER_MANIFEST} or found is None or found.os == _UNKNOWN:
            others.append(descriptor)
        else:
            images.append((descriptor, found))
    return IndexedImages(images=tuple(images), attestations=tuple(attestations), others=tuple(others))


def this_platform(machine: str = "") -> Platform:
    """Give the platform of this machine's containers, which are Linux's.

    Args:
        machine: the machine's name as ``uname -m`` gives it; empty to ask the system.
    """
    name = machine or platform.machine()
    architecture, variant = _MACHINES.get(name.lower(), (name.lower(), ""))
    return Platform(os="linux", architecture=architecture, variant=variant)


def chosen_image(images: IndexedImages, wanted: Platform, name: str) -> Descriptor:
    """Give the image that suits a platform best.

    With a variant wanted, that variant, then those it can run, then an image without one; with none wanted, an image
    without one comes first.

    Args:
        images: what the index lists.
        wanted: the platform.
        name: the index as a message names it.

    Raises:
        InputError: there is none; the hint lists what there is.
    """
    for variant in _suitable_variants(wanted):
        for descriptor, listed in images.images:
            if (listed.os, listed.architecture, listed.variant) == (wanted.os, wanted.architecture, variant):
                return descriptor
    present = shown_list(str(listed) for _, listed in images.images)
    raise InputError(
        f"{name} has no image for {wanted}",
        hint=f"it has images for {present}; choose one with --platform" if present else "it lists no images at all",
    )


def replaced_index(index: Document, changes: Mapping[str, Document | None]) -> Document:
    """Give the same index with other manifests in place of some; what attested a replaced one goes with it.

    Args:
        index: an index, whose media type is kept, and everything that it says besides.
        changes: the new manifest by the old one's digest; None to take it out of the index.

    Raises:
        InputError: the index is damaged or lacks one of the manifests.
    """
    document = parsed(index.data, "index")
    entries = list(objects_of(document, "manifests"))
    digests = {text_of(entry, "digest") for entry in entries}
    if missing := sorted(changes.keys() - digests):
        raise InputError(f"the index does not list {', '.join(missing)}, whose place another image should take")
    changed = {digest for digest, new in changes.items() if new is None or new.digest != digest}
    document["manifests"] = list(_replaced(entries, changes, changed))
    return Document(index.media_type, encoded(document))


def _replaced(
    entries: list[dict[str, Json]], changes: Mapping[str, Document | None], changed: set[str]
) -> Iterator[dict[str, Json]]:
    for entry in entries:
        digest, annotations = text_of(entry, "digest"), entry.get("annotations")
        if isinstance(annotations, dict) and text_of(annotations, _REFERENCE_DIGEST) in changed:
            continue
        if digest not in changed:
            yield entry
        elif (new := changes[digest]) is not None:
            # A copy of the old content may stand in "data", and "urls" may lead to it (descriptor.md).
            kept = {key: value for key, value in entry.items() if key not in {"data", "urls"}}
            yield {**kept, "mediaType": new.media_type, "digest": new.digest, "size": len(new.data)}


def _suitable_variants(wanted: Platform) -> tuple[str, ...]:
    if not wanted.variant:
        return ("", *_ANY_VARIANT.get(wanted.architecture, ()))
    order = _VARIANTS.get(wanted.architecture, ())
    if wanted.variant not in order:
        return (wanted.variant, "")
    return (*order[order.index(wanted.variant) :], "")
