# SPDX-License-Identifier: Apache-2.0
"""Where an image is read from or written to, by the names of containers-transports(5)."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Self

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value


class Transport(StrEnum):
    """A kind of place, by its name in containers-transports(5)."""

    REGISTRY = "docker"
    OCI = "oci"
    OCI_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"


_FILES = (Transport.OCI, Transport.OCI_ARCHIVE, Transport.DOCKER_ARCHIVE)
# The other transports of containers/image: read as references, as buildah would read dir:1.0, they would surprise.
_OTHER_TRANSPORTS = frozenset(
    {"atomic", "containers-storage", "dir", "docker-daemon", "ostree", "sif", "tarball", "vfs+containers-storage"}
)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
# What org.opencontainers.image.ref.name may be (image-spec, annotations.md): parts of letters and digits with single
# separators, or a double dash, in between.
_REF_NAME_PART = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_REF_NAME = re.compile(rf"{_REF_NAME_PART}(?:/{_REF_NAME_PART})*")


@attrs.frozen(kw_only=True)
class ImageLocation(Value):
    """One image in a registry, in a layout or in an archive.

    Attributes:
        transport: the kind of place.
        path: the layout's folder or the archive's file, as the user wrote it; None of a registry.
        tag: the image's name in a layout or an oci-archive (``org.opencontainers.image.ref.name``); empty for none.
        reference: the image in a registry, or its name in a docker-archive; None where none is said.
        explicit: a registry's image was written with ``docker://``, so no local store is meant.
    """

    transport: Transport
    path: Path | None = None
    tag: str = ""
    reference: ImageReference | None = None
    explicit: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a location.

        Args:
            text: ``oci:FOLDER[:TAG]``, ``oci-archive:FILE[:TAG]``, ``docker-archive:FILE[:REFERENCE]``,
                ``docker://REFERENCE``, or an image reference alone. As containers/image reads them, a path ends at
                its first colon.

        Raises:
            InputError: the text is none of these.
        """
        if text.startswith("docker://"):
            return cls(transport=Transport.REGISTRY, reference=ImageReference.parse(text), explicit=True)
        scheme = _SCHEME.match(text)
        if scheme is not None:
            raise InputError(
                f"{text!r} does not name an image: {scheme[0]} is no transport for images",
                hint="write an image of a registry as docker://registry.example/path/name:tag, without https",
            )
        transport, colon, rest = text.partition(":")
        if not colon:
            return cls(transport=Transport.REGISTRY, reference=ImageReference.parse(text))
        if transport in _OTHER_TRANSPORTS:
            raise InputError(
                f"images of the transport {transport}: are not read or written here: {text!r}",
                hint="copy the image to an oci: layout with skopeo copy, or name it by its reference alone",
            )
        if transport in _FILES:
            return cls._of_files(Transport(transport), rest, text)
        return cls(transport=Transport.REGISTRY, reference=ImageReference.parse(text))

    @classmethod
    def _of_files(cls, transport: Transport, rest: str, text: str) -> Self:
        path, colon, name = rest.partition(":")
        form = "FOLDER:TAG" if transport is Transport.OCI else "FILE:NAME"
        if not path or "\0" in path:
            raise InputError(f"{text!r} names no file or folder", hint=f"write it as {transport}:{form}")
        if colon and not name:
            raise InputError(f"{text!r} ends in a colon", hint=f"write it as {transport}:{form}, or without the colon")
        if transport is Transport.DOCKER_ARCHIVE:
            return cls(transport=transport, path=Path(path), reference=_archived(name, text) if name else None)
        if name and _REF_NAME.fullmatch(name) is None:
            raise InputError(
                f"{name!r} cannot be the name of an image in a layout: {text!r}",
                hint="such a name is made of letters and digits, with - . _ : @ + or / in between",
            )
        return cls(transport=transport, path=Path(path), tag=name)

    def __str__(self) -> str:
        if self.transport is Transport.REGISTRY:
            return ("docker://" if self.explicit else "") + str(self.reference)
        name = self.tag or (str(self.reference) if self.reference else "")
        return f"{self.transport}:{self.path}" + (f":{name}" if name else "")


def _archived(name: str, text: str) -> ImageReference:
    reference = ImageReference.parse(name)
    if reference.digest:
        raise InputError(
            f"an image in a docker-archive has no digest to name it by: {text!r}", hint="name it as name:tag"
        )
    return reference
