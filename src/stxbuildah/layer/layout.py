# SPDX-License-Identifier: Apache-2.0
"""Write an image into a folder from which the container tools take it over.

The folder is of containers/image's ``dir:`` transport (directory/directory_dest.go there), which takes manifests of
every type as they are; skopeo of before 1.14 finds Docker's type in no OCI image layout. The folder may hold the new
blobs only: ``skopeo copy`` finds the base's layers in the store it writes to.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.image import ImageDocuments

_VERSION = b"Directory Transport Version: 1.1\n"


def write_layout(folder: Path, documents: ImageDocuments, blobs: Mapping[str, Path]) -> str:
    """Write an image's documents and blobs for ``skopeo copy``.

    Args:
        folder: where to write; made when it is not there.
        documents: the image's manifest and configuration.
        blobs: files of layers by their digest (``sha256:...``); linked where the file system can, else copied.

    Returns:
        The folder's name for skopeo, as ``dir:/path/of/folder``.

    Raises:
        DiskFullError: no space is left there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for digest, source in blobs.items():
        _place(source, folder / digest.removeprefix("sha256:"))
    _write(folder / hashlib.sha256(documents.config).hexdigest(), documents.config)
    _write(folder / "version", _VERSION)
    _write(folder / "manifest.json", documents.manifest)
    return f"dir:{folder.absolute()}"


def _write(path: Path, data: bytes) -> None:
    with written_beside(path) as stream:
        stream.write(data)


def _place(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        # Another file system, or one without hard links; anything else is a fault.
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
            raise
        with written_beside(target) as stream, source.open("rb") as content:
            shutil.copyfileobj(content, stream)
