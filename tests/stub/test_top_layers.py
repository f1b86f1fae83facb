# SPDX-License-Identifier: Apache-2.0
"""What is asked of skopeo for the topmost layers of an image, and what its answers lead to."""

import json
from pathlib import Path

import pytest

from stxbuildah.engine.toplayers import top_layers
from stxbuildah.errors import BuildError, DiskFullError, InputError
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from tests.stub.conftest import StubPrograms

REFERENCE = ImageReference.parse("r.example/app:1")
FULL = 'time="t" level=fatal msg="writing blob: write /layout/x: no space left on device"'
ODD = 'time="t" level=fatal msg="writing blob: layer does not match"'


def image(*diff_ids: str) -> ImageDocuments:
    return ImageDocuments(manifest=b"{}", config=json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode())


IMAGE = image("sha256:" + "1" * 64, "sha256:" + "2" * 64)


def copying(folder: Path) -> list[str]:
    options = ["--quiet", "--remove-signatures", "--dest-oci-accept-uncompressed-layers"]
    return ["skopeo", "copy", *options, f"containers-storage:{REFERENCE}", f"oci:{folder}/top-layers:x"]


@pytest.mark.parametrize("status", [0, 1])
def test_a_copy_that_does_not_give_the_layers_is_tried_whole_once(
    status: int, programs: StubPrograms, tmp_path: Path
) -> None:
    programs.answer("copy", stderr=ODD, status=status, once=True)

    with pytest.raises(BuildError, match=f"the topmost layers of {REFERENCE} as its configuration lists them"):
        top_layers(programs.runner, REFERENCE, IMAGE, count=1, folder=tmp_path)

    assert programs.commands == [copying(tmp_path), copying(tmp_path)]


def test_a_full_disk_is_not_filled_again(programs: StubPrograms, tmp_path: Path) -> None:
    programs.answer("copy", stderr=FULL, status=1)

    with pytest.raises(DiskFullError):
        top_layers(programs.runner, REFERENCE, IMAGE, count=1, folder=tmp_path)

    assert programs.commands == [copying(tmp_path)]


@pytest.mark.parametrize("diff_id", ["sha256:../../../etc/passwd", "sha512:" + "1" * 64, "sha256:" + "G" * 64])
def test_no_layer_names_a_file_elsewhere(diff_id: str, programs: StubPrograms, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not named by sha256 digests"):
        top_layers(programs.runner, REFERENCE, image(diff_id, "sha256:" + "2" * 64), count=1, folder=tmp_path)
    assert programs.commands == []
    assert not (tmp_path / "top-layers").exists()
