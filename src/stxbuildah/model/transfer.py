# SPDX-License-Identifier: Apache-2.0
"""Images in an archive, to be carried to another machine."""

from enum import StrEnum
from pathlib import Path

import attrs

from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import HostOptions


class ArchiveForm(StrEnum):
    """What an archive is inside: what ``docker load`` reads, or an OCI image layout."""

    DOCKER = "docker-archive"
    OCI = "oci-archive"


class Packing(StrEnum):
    """How a whole archive is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


@attrs.frozen(kw_only=True)
class SaveRequest:
    """What was asked.

    Attributes:
        images: images of the local store.
        output: the archive's file, or a pipe.
        form: what it is inside.
        packing: how it is compressed; None for what the file's name says.
        host: what the user says of this machine.
    """

    images: tuple[ImageReference, ...]
    output: Path
    form: ArchiveForm = ArchiveForm.DOCKER
    packing: Packing | None = None
    host: HostOptions = attrs.field(factory=HostOptions)


@attrs.frozen(kw_only=True)
class CarriedImage:
    """One image of an archive.

    Attributes:
        reference: its name.
        image_id: its ID, without ``sha256:``: the same on both machines.
        digest: its manifest's, as the store has it.
    """

    reference: str
    image_id: str
    digest: str


@attrs.frozen(kw_only=True)
class Saved:
    """What was written.

    Attributes:
        output: the file.
        packing: how it is compressed.
        size: bytes written.
        plain_size: bytes before compression.
        images: what is in it.
    """

    output: Path
    packing: Packing
    size: int
    plain_size: int
    images: tuple[CarriedImage, ...]
