# SPDX-License-Identifier: Apache-2.0
"""The topmost layers of an image of the local store, as plain tars, without the bytes of the layers below them.

The store hands layers out uncompressed and calls them by their diff IDs, and an OCI layout is not given a blob again
that it has. So ``skopeo copy`` into a layout where empty files stand for the lower layers copies the upper ones only.
"""

import hashlib
import json
import shutil
from pathlib import Path

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind, to_error
from stxbuildah.engine.process import ProcessError, Runner
from stxbuildah.engine.retry import fault_of
from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference

_DIGEST_LENGTH = 64


def top_layers(
    runner: Runner, reference: ImageReference, documents: ImageDocuments, *, count: int, folder: Path
) -> tuple[Path, ...]:
    """Give the tars of an image's topmost layers, lowest first.

    Args:
        runner: runs skopeo, with the environment that names the store.
        reference: the name under which the store has the image.
        documents: its manifest and configuration; every tar has the diff ID that the configuration says.
        count: how many layers.
        folder: made where it is missing; the tars are below it.

    Raises:
        InputError: the store lacks the image, or the configuration lists fewer layers.
        BuildError: a layer that comes out of the store is not the configuration's.
        DiskFullError: no space is left in the folder.
    """
    names = _layer_names(documents, reference)
    if not 0 <= count <= len(names):
        raise InputError(f"{reference} has {len(names)} layers, and not {count} to take off")
    wanted = names[len(names) - count :]
    if not wanted:
        return ()
    layout = folder / "top-layers"
    # A layer that comes more than once in an image has one file.
    found = _copied(runner, reference, layout, set(names) - set(wanted), wanted)
    if found is None:
        log.info("store.layers.copied_whole", image=str(reference))
        shutil.rmtree(layout)
        found = _copied(runner, reference, layout, set(), wanted)
    if found is None:
        raise BuildError(
            f"the image store does not give the topmost layers of {reference} as its configuration lists them",
            hint="leave out --replace-updates, or pull the image again",
        )
    return found


def _layer_names(documents: ImageDocuments, reference: ImageReference) -> tuple[str, ...]:
    """Give the names of an image's layers in a layout: their diff IDs' hexadecimal digits."""
    diff_ids = json.loads(documents.config)["rootfs"]["diff_ids"]
    names = tuple(str(diff_id).removeprefix("sha256:") for diff_id in diff_ids)
    if all(len(name) == _DIGEST_LENGTH and set(name) <= set("0123456789abcdef") for name in names):
        return names
    raise InputError(f"{reference} has layers that are not named by sha256 digests")


def _copied(
    runner: Runner, reference: ImageReference, layout: Path, known: set[str], wanted: tuple[str, ...]
) -> tuple[Path, ...] | None:
    """Copy an image into a new layout that has some blobs already; None when what is wanted does not come out."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for name in known:
        (blobs / name).touch()
    # A layout holds no signatures; a copy of an image that has some would fail.
    options = ["--quiet", "--remove-signatures", "--dest-oci-accept-uncompressed-layers"]
    try:
        runner.run(["skopeo", "copy", *options, f"containers-storage:{reference}", f"oci:{layout}:x"])
    except ProcessError as error:
        fault = fault_of(error)
        if known and fault.kind is FaultKind.OTHER:
            log.info("store.layers.not_copied", image=str(reference), line=fault.line)
            return None
        raise to_error(fault, f"reading the layers of {reference} from the image store") from error
    paths = tuple(blobs / name for name in wanted)
    if any(not path.is_file() or _digest(path) != path.name for path in paths):
        return None
    return paths


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
