# SPDX-License-Identifier: Apache-2.0
"""Descriptors, platforms and documents of images, after the OCI image specification (descriptor.md, image-index.md)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Self

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.value import Value

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAXIMUM_SIZE = 2**63 - 1


@attrs.frozen(kw_only=True)
class Platform(Value):
    """What an image runs on.

    Attributes:
        os: Go's name of the operating system, as ``linux``.
        architecture: Go's name of the processor, as ``amd64``.
        variant: Go's name of the processor's variant, as ``v8``; or empty.
    """

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``os/architecture[/variant]``, as ``--platform`` of podman takes it.

        Raises:
            InputError: the text is no platform.
        """
        parts = text.split("/")
        if not 2 <= len(parts) <= 3 or not all(re.fullmatch(r"[A-Za-z0-9_.-]+", part) for part in parts):  # noqa: PLR2004
            raise InputError(f"{text!r} is not a platform", hint="write it as linux/amd64 or linux/arm64/v8")
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) > 2 else "")  # noqa: PLR2004

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}" + (f"/{self.variant}" if self.variant else "")


@attrs.frozen(kw_only=True)
class Descriptor(Value):
    """What a manifest or an index says of a blob or of another document.

    Attributes:
        media_type: its type.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: bytes.
        urls: where else it may be had; foreign layers lie there only.
        annotations: in order, as pairs.
        platform: what it is for, in an index; None where nothing is said.
        artifact_type: type of an artifact, in a list of referrers; or empty.
    """

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None
    artifact_type: str = ""

    @classmethod
    def from_json(cls, value: object, what: str) -> Self:
        """Read a descriptor from a parsed document.

        Args:
            value: what JSON gave.
            what: what the descriptor is of, for the message, as ``layer 3 of quay.example/x:1``.

        Raises:
            InputError: it is no descriptor, or its digest is not of sha256.
        """
        match value:
            case {"mediaType": str(media_type), "digest": str(digest), "size": int(size), **rest} if (
                _DIGEST.fullmatch(digest) and 0 <= size <= _MAXIMUM_SIZE and not isinstance(size, bool)
            ):
                return cls(
                    media_type=media_type,
                    digest=digest,
                    size=size,
                    urls=tuple(url for url in _listed(rest.get("urls")) if isinstance(url, str)),
                    annotations=_annotations(rest.get("annotations")),
                    platform=_platform(rest.get("platform")),
                    artifact_type=str(rest.get("artifactType") or ""),
                )
            case _:
                pass
        raise InputError(f"{what} is not described by a media type, a sha256 digest and a size")


@attrs.frozen
class Document(Value):
    """A manifest or an index, byte for byte.

    Attributes:
        media_type: its type, as the place it lies at says, else as it says itself.
        data: its bytes.
    """

    media_type: str
    data: bytes = attrs.field(repr=False)

    @property
    def digest(self) -> str:
        """Its digest."""
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    @property
    def descriptor(self) -> Descriptor:
        """Its plain descriptor."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _annotations(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        return ()
    return tuple((str(name), text) for name, text in value.items() if isinstance(text, str))


def _platform(value: object) -> Platform | None:
    match value:
        case {"os": str(system), "architecture": str(architecture), **rest}:
            return Platform(os=system, architecture=architecture, variant=str(rest.get("variant") or ""))
        case _:
            return None
