# SPDX-License-Identifier: Apache-2.0
"""Carries images in archives: out of the local store, and into that of another machine."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stxbuildah.engine.transfer import load as load_archive
from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.job.engine import Engine, opened_engine
from stxbuildah.job.pushedlayers import PushedLayers
from stxbuildah.job.storedlayers import streamed_layers
from stxbuildah.job.workspace import work_folder, written_in_place
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.documents import parsed
from stxbuildah.layer.inflate import inflated
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.pack import packed
from stxbuildah.layer.plainmanifest import with_plain_layers
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.stored import StoredImage, stored_names
from stxbuildah.model.transfer import CarriedImage, Packing, Saved, SaveRequest
from stxbuildah.model.update import HostOptions
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.carriedarchive import carried_archive
from stxbuildah.transport.carriedlayers import LayerRestorer
from stxbuildah.transport.carriedunpack import UnpackedImage, is_carried, unpacked_images
from stxbuildah.transport.documents import objects_of, text_of

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
    with opened_engine(request.host, RegistryAccess(), Retry()) as engine:
        images = _found(engine, request.images)
        plain_size = size = 0

        def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal plain_size
            for chunk in chunks:
                plain_size += len(chunk)
                yield chunk

        stored = tuple(images.values())
        with streamed_layers(engine.runner, stored) as layers, _opened_output(request.output) as output:
            archive = counted(carried_archive(stored, layers, request.form))
            for piece in packed(archive, packing, threads=len(os.sched_getaffinity(0))):
                output.write(piece)
                size += len(piece)
    carried = tuple(
        CarriedImage(reference=name, image_id=image.image_id, digest=image.digest) for name, image in images.items()
    )
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
    with opened_engine(host, RegistryAccess(), Retry()) as engine, file.open("rb") as stream:
        tar = ByteStream(_tar_of(stream, file), limit=_MOST_BYTES, name=str(file))
        if is_carried(tar):
            with work_folder(engine.folders) as folder:
                return _carried_over(engine, tar, folder, str(file))
        names = load_archive(engine.runner, tar.rest(), str(file))
        return tuple(_loaded(engine, name) for name in names)


def _carried_over(engine: Engine, tar: ByteStream, folder: Path, file: str) -> tuple[CarriedImage, ...]:
    """Load an archive of ours; nothing goes into the store before all of it was read and found whole."""
    blobs = BlobFolder(folder / "blobs", file)
    try:
        images = unpacked_images(tar, blobs, file)
    except DiskFullError as error:
        raise DiskFullError(
            f"no space is left to unpack {file} in {folder.parent}", hint="name a folder with more room by TMPDIR"
        ) from error
    pushed = PushedLayers(runner=engine.runner, blobs=blobs, folder=folder / "recompressed")
    restorer = LayerRestorer(blobs, pushed.recompress)
    present = {(image.image_id, image.digest) for image in engine.store.list()}
    loaded = []
    for image in images:
        digest = image.digest
        if (image.image_id, digest) not in present:
            documents = image.documents if restorer.restore(image) else _with_plain_layers(image, blobs)
            digest = _imported(engine, image, documents, blobs, folder / "image")
            present.add((image.image_id, digest))
        elif image.reference is not None:
            engine.store.name(image.image_id, image.reference)
        name = f"sha256:{image.image_id}" if image.reference is None else str(stored_names(image.reference)[0])
        loaded.append(CarriedImage(reference=name, image_id=image.image_id, digest=digest))
    return tuple(loaded)


def _with_plain_layers(image: UnpackedImage, blobs: BlobFolder) -> ImageDocuments:
    sizes = {diff_id: blobs.path(diff_id).stat().st_size for diff_id in image.diff_ids}
    return with_plain_layers(image.documents, sizes)


def _imported(engine: Engine, image: UnpackedImage, documents: ImageDocuments, blobs: BlobFolder, layout: Path) -> str:
    layers = objects_of(parsed(documents.manifest, "manifest"), "layers")
    digests = [text_of(layer, "digest") for layer in layers]
    source = write_layout(layout, documents, {digest: blobs.path(digest) for digest in digests})
    if image.reference is None:
        return engine.store.import_nameless(source, image.image_id)
    return engine.store.import_image(source, image.reference)


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


def _found(engine: Engine, references: tuple[ImageReference, ...]) -> dict[str, StoredImage]:
    """Read the images of the local store, by the names that they have in it."""
    images = {reference: engine.store.read(reference) for reference in references}
    missing = [str(reference) for reference, image in images.items() if image is None]
    if missing:
        raise InputError(
            f"not in the local store: {', '.join(missing)}", hint="podman images lists what is; podman pull fetches"
        )
    return {str(image.reference): image for image in images.values() if image is not None}


def _loaded(engine: Engine, name: str) -> CarriedImage:
    """Tell of an image that podman has loaded, by its name or its ID."""
    if name.startswith("sha256:"):
        image_id = name.removeprefix("sha256:")
        digest = next((image.digest for image in engine.store.list() if image.image_id == image_id), "")
        return CarriedImage(reference=name, image_id=image_id, digest=digest)
    image = engine.store.read(ImageReference.parse(name))
    image_id, digest = (image.image_id, image.digest) if image is not None else ("", "")
    return CarriedImage(reference=name, image_id=image_id, digest=digest)


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
