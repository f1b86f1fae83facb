# SPDX-License-Identifier: Apache-2.0
"""Open the place that a location names, to read an image from or to write one to."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stxbuildah.errors import InputError
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.reference import ImageReference
from stxbuildah.transport.interface import ImageDestination, ImageSource

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient


@contextmanager
def opened_source(location: ImageLocation, registries: "Callable[[], RegistryClient]") -> Iterator[ImageSource]:
    """Open an image for reading, for as long as the block runs.

    Args:
        location: the image; a registry's is taken by its qualified name, as nobody here resolves short names.
        registries: gives the client of registries; called for an image in a registry only.

    Raises:
        InputError: there is no such file or folder, it has no such image, or it is damaged.
        DiskFullError: there is no room to unpack a compressed archive.
    """
    name = str(location)
    match location:
        case ImageLocation(transport=Transport.REGISTRY, reference=ImageReference() as reference):
            from stxbuildah.transport.registry import RegistrySource

            yield RegistrySource(registries(), reference.qualified)
        case ImageLocation(transport=Transport.OCI, path=Path() as path, tag=tag):
            from stxbuildah.transport.files import FolderFiles
            from stxbuildah.transport.ocilayout import LayoutSource

            yield LayoutSource(FolderFiles(path), name, tag)
        case ImageLocation(transport=Transport.OCI_ARCHIVE, path=Path() as path, tag=tag):
            from stxbuildah.transport.archive import opened_oci_archive

            with opened_oci_archive(path, name, tag) as source:
                yield source
        case ImageLocation(transport=Transport.DOCKER_ARCHIVE, path=Path() as path, reference=wanted):
            from stxbuildah.transport.dockerarchive import opened_docker_archive

            with opened_docker_archive(path, name, wanted) as saved:
                yield saved
        case _:
            raise InputError(f"{name!r} names no image")


@contextmanager
def opened_destination(
    location: ImageLocation, registries: "Callable[[], RegistryClient]"
) -> Iterator[ImageDestination]:
    """Open a place for writing an image; what was not finished inside the block leaves nothing behind.

    Args:
        location: the image to write; layouts are added to, an archive is replaced.
        registries: gives the client of registries; called for an image in a registry only.

    Raises:
        InputError: no image can be written there.
    """
    name = str(location)
    match location:
        case ImageLocation(transport=Transport.REGISTRY, reference=ImageReference() as reference):
            from stxbuildah.transport.registry import RegistryDestination

            if reference.digest:
                raise InputError(f"{name} cannot be written to: a digest is what a push gives", hint="leave it out")
            yield RegistryDestination(registries(), reference.qualified)
        case ImageLocation(transport=Transport.OCI, path=Path() as path, tag=tag):
            from stxbuildah.transport.layoutwriter import LayoutDestination

            with closing(LayoutDestination(path, name, tag)) as layout:
                yield layout
        case ImageLocation(transport=Transport.OCI_ARCHIVE, path=Path() as path, tag=tag):
            from stxbuildah.transport.archive import new_oci_archive

            with new_oci_archive(path, name, tag) as archive:
                yield archive
        case ImageLocation(transport=Transport.DOCKER_ARCHIVE, path=Path() as path, reference=new):
            from stxbuildah.transport.dockerarchivewriter import new_docker_archive

            with new_docker_archive(path, name, new) as saved:
                yield saved
        case _:
            raise InputError(f"{name!r} names no image")
