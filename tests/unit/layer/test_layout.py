# SPDX-License-Identifier: Apache-2.0
import errno
import hashlib
import os
from pathlib import Path

import pytest

from stxbuildah.errors import DiskFullError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.layout import write_layout
from stxbuildah.model.image import ImageDocuments

DOCUMENTS = ImageDocuments(manifest=b'{"schemaVersion":2}', config=b"{}")


def hexdigest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_folder_holds_the_documents_and_the_new_blobs(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.write_bytes(b"layer")

    name = write_layout(tmp_path / "image", DOCUMENTS, {f"sha256:{hexdigest(b'layer')}": layer})

    assert name == f"dir:{tmp_path}/image"
    assert {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()} == {
        "version": b"Directory Transport Version: 1.1\n",
        "manifest.json": DOCUMENTS.manifest,
        hexdigest(b"{}"): b"{}",
        hexdigest(b"layer"): b"layer",
    }


def test_writing_again_replaces_what_is_there(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.write_bytes(b"layer")
    blobs = {f"sha256:{hexdigest(b'layer')}": layer}

    write_layout(tmp_path / "image", DOCUMENTS, blobs)
    write_layout(tmp_path / "image", DOCUMENTS, blobs)

    assert len(list((tmp_path / "image").iterdir())) == 4


def test_a_blob_of_another_file_system_is_copied(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")
    if not os.access(shared_memory, os.W_OK) or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    layer = shared_memory / f"layer-{os.getpid()}"
    try:
        layer.write_bytes(b"layer")
        write_layout(tmp_path / "image", DOCUMENTS, {f"sha256:{hexdigest(b'layer')}": layer})
    finally:
        layer.unlink()

    assert (tmp_path / "image" / hexdigest(b"layer")).read_bytes() == b"layer"


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"before")

    def stop_halfway() -> None:
        with written_beside(target) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"target": b"before"}


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"no space left in .* for layer"), written_beside(tmp_path / "layer"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert list(tmp_path.iterdir()) == []
