# SPDX-License-Identifier: Apache-2.0
"""Images as the local store knows them."""

import hashlib

import attrs

from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class StoredImage(Value):
    """An image of the local store.

    Attributes:
        reference: the name under which the store has it.
        documents: its manifest and configuration.
    """

    reference: ImageReference
    documents: ImageDocuments

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.documents.manifest)

    @property
    def image_id(self) -> str:
        """The configuration's digest, which the store calls the image's ID; without ``sha256:``."""
        return hashlib.sha256(self.documents.config).hexdigest()


@attrs.frozen(kw_only=True)
class ListedImage(Value):
    """One image as the store lists it.

    Attributes:
        image_id: hexadecimal ID.
        names: all its names, with registry and tag; none when it lost them.
        digest: digest of its manifest.
        created: whole seconds since the epoch.
    """

    image_id: str
    names: tuple[str, ...]
    digest: str
    created: int


def digest_of(document: bytes) -> str:
    """Give the digest by which registries and layouts call a document."""
    return "sha256:" + hashlib.sha256(document).hexdigest()


def stored_names(reference: ImageReference) -> tuple[ImageReference, ...]:
    """Give the full names that a reference may have in the local store, in the order they are tried.

    A name without a registry is first one built here, then Docker's, as ``podman`` and ``buildah`` read it. A digest
    says more than a tag beside it.
    """
    if reference.digest:
        reference = reference.with_digest(reference.digest)
    if reference.registry:
        return (reference.qualified,)
    tag = reference.qualified.tag
    return (attrs.evolve(reference, name=f"localhost/{reference.name}", tag=tag), reference.qualified)
