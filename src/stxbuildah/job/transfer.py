# SPDX-License-Identifier: Apache-2.0
"""Carries images in archives: out of the local store, and into that of another machine."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stxbuildah.engine.transfer import load as load_archive
from stxbuildah.engine.transfer import saved
from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.job.engine import Engine, opened_engine
from stxbuildah.job.workspace import written_in_place
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.documents import as_list, as_object, parsed
from stxbuildah.layer.inflate import inflated
from stxbuildah.layer.pack import packed
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.transfer import ArchiveForm, CarriedImage, Packing, Saved, SaveRequest
from stxbuildah.model.update import HostOptions

_CHUNK = 2**18
# More than any set of images; a small file that unpacks to it is none.
_MOST_BYTES = 2**41
_ENDINGS = {
    ".tar": Packing.NONE,
    ".tar.gz": Packing.GZIP,
    ".tgz": Packing.GZIP,
    ".tar.zst": Packing.ZSTD,
    ".tzst": Packing.ZSTD,
}


def save(request: SaveRequest) -> Saved:
    """Write images to an archive, whole or not at all.

    Raises:
        InputError: an image is not in the store, or the archive cannot be what it should be.
        StxbError: an image cannot be read, or the archive not be written.
    """
    packing = request.packing or packing_of(request.output)
    if request.form is ArchiveForm.OCI and len(request.images) > 1:
        raise InputError(
            "an oci-archive written by podman holds one image", hint="save several as a docker-archive, or one by one"
        )
    with opened_engine(request.host, RegistryAccess(), Retry()) as engine:
        images = _found(engine, request.images)
        names = tuple(dict.fromkeys(str(image.reference) for image in images))
        plain_size = size = 0
        plain = request.form is ArchiveForm.OCI and all(map(_has_plain_layers, images))

        def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal plain_size
            for chunk in chunks:
                plain_size += len(chunk)
                yield chunk

        with (
            saved(engine.runner, names, request.form, plain=plain) as stream,
            _opened_output(request.output) as output,
        ):
            for piece in packed(counted(stream), packing, threads=len(os.sched_getaffinity(0))):
                output.write(piece)
                size += len(piece)
    carried = tuple(CarriedImage(reference=str(image.reference), image_id=image.image_id) for image in images)
    return Saved(output=request.output, packing=packing, size=size, plain_size=plain_size, images=carried)


def load(file: Path, host: HostOptions) -> tuple[CarriedImage, ...]:
    """Load the images of an archive into the local store.

    Args:
        file: a docker-archive or an oci-archive, compressed or not.
        host: what the user says of this machine.

    Raises:
        InputError: there is no such file.
        StxbError: it is no archive of images, or the store cannot take it.
    """
    if not file.is_file():
        raise InputError(f"there is no archive {file}", hint="stxb save IMAGE -o FILE makes one")
    with opened_engine(host, RegistryAccess(), Retry()) as engine:
        with file.open("rb") as stream:
            names = load_archive(engine.runner, _tar_of(stream, file), str(file))
        return tuple(CarriedImage(reference=name, image_id=_image_id(engine, name)) for name in names)


def _tar_of(stream: BinaryIO, file: Path) -> Iterator[bytes]:
    try:
        yield from inflated(iter(lambda: stream.read(_CHUNK), b""), limit=_MOST_BYTES)
    except InputError as error:
        raise InputError(f"{file}: {error.message}", hint="it is damaged or cut off; carry it over again") from error


def packing_of(output: Path) -> Packing:
    """Give the compression that a file's name asks for; a pipe or a device has none.

    Raises:
        InputError: the name ends in nothing known.
    """
    if written_in_place(output):
        return Packing.NONE
    for ending, packing in _ENDINGS.items():
        if output.name.endswith(ending):
            return packing
    raise InputError(
        f"{output}: how the archive is compressed cannot be told from its name",
        hint=f"end it in {', '.join(_ENDINGS)}, or say --compression",
    )


def _has_plain_layers(image: StoredImage) -> bool:
    """Say whether an image's manifest names plain layers: then it can be kept as it is.

    Told to leave the layers of another one uncompressed, podman 4.3 still calls them compressed.
    """
    manifest = parsed(image.documents.manifest, "manifest")
    layers = [as_object(layer, "a layer of the manifest") for layer in as_list(manifest.get("layers"), "layers")]
    return all(str(layer.get("mediaType")).endswith(".tar") for layer in layers)


def _found(engine: Engine, references: tuple[ImageReference, ...]) -> tuple[StoredImage, ...]:
    images = {reference: engine.store.read(reference) for reference in references}
    missing = [str(reference) for reference, image in images.items() if image is None]
    if missing:
        raise InputError(
            f"not in the local store: {', '.join(missing)}", hint="podman images lists what is; podman pull fetches"
        )
    return tuple(image for image in images.values() if image is not None)


def _image_id(engine: Engine, name: str) -> str:
    if name.startswith("sha256:"):
        return name.removeprefix("sha256:")
    image = engine.store.read(ImageReference.parse(name))
    return image.image_id if image is not None else ""


@contextmanager
def _opened_output(output: Path) -> Iterator[BinaryIO]:
    """Open a file that is there whole or not at all; a pipe or a device is written to as it is."""
    if output.is_dir():
        raise InputError(f"{output} is a folder, where a file is to be written")
    try:
        if written_in_place(output):
            with output.open("wb") as stream:
                yield stream
        else:
            with written_beside(output) as stream:
                yield stream
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(f"no space is left for {output}", hint="make room, df -h shows where") from error
        raise InputError(f"{output} cannot be written: {error.strerror}") from error
