# SPDX-License-Identifier: Apache-2.0
"""Open the place that a location names, to read an image from or to write one to."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.interface import ImageDestination, ImageSource

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient


def opened_source(
    location: ImageLocation, registries: "Callable[[], RegistryClient]"
) -> AbstractContextManager[ImageSource]:
    """Open an image for reading, for as long as the block runs.

    Args:
        location: the image; a registry's is taken by its qualified name, as nobody here resolves short names.
        registries: gives the client of registries; called for an image in a registry only.

    Raises:
        InputError: there is no such file or folder, or it is damaged.
    """
    raise NotImplementedError


def opened_destination(
    location: ImageLocation, registries: "Callable[[], RegistryClient]"
) -> AbstractContextManager[ImageDestination]:
    """Open a place for writing an image; what was not finished inside the block leaves nothing behind.

    Args:
        location: the image to write; layouts are added to, an archive is replaced.
        registries: gives the client of registries; called for an image in a registry only.

    Raises:
        InputError: no image can be written there.
    """
    raise NotImplementedError
