# SPDX-License-Identifier: Apache-2.0
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from stxbuildah.job.layertrees import stream_limits
from stxbuildah.layer.tarmember import Limits
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import OCI_CONFIG, OCI_MANIFEST
from tests.unit.layer.tar_maker import header
from tests.unit.transport.images import Image, described, digest_of, layout_files, to_json, write_files

GIB = 2**30
MIB = 2**20
BLOCK = 128 * 1024
ROOT = Path(__file__).parents[3]
# Reads all layers of an image as an update does it, and tells the most memory that it had at any time.
PROGRAM = """
import sys
from pathlib import Path
from stxbuildah.job.layertrees import LayerTrees
from stxbuildah.job.remote import opened_base
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.model.location import ImageLocation
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import LaneOptions
from tests.unit.transport.images import no_registry

location = ImageLocation.parse(sys.argv[1])
with opened_base(location, ImageReference.parse("localhost/x:1"), LaneOptions(), no_registry) as base:
    trees = LayerTrees(base=base, cache=IndexCache(Path(sys.argv[2])), offered=lambda _: {}, say=lambda _: None)
    print(*sorted(trees.tree(base.images[0], trees.indexes(base.images[0])).scandir("/")))
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")))
"""


@pytest.mark.parametrize(
    ("size", "total"), [(0, 16 * GIB), (GIB // 100, 16 * GIB), (GIB, 200 * GIB), (50 * GIB, Limits().total)]
)
def test_a_layer_may_be_so_large_as_its_blob_lets_expect(size: int, total: int) -> None:
    assert stream_limits(size).total == total


def layer_with_window(name: bytes, blocks: int, window: int) -> tuple[bytes, str]:
    """A zstd layer with a file of zeros, in so many blocks, that needs a window of a power of two; and its diff ID."""
    first = header(name, size=(blocks - 1) * BLOCK)
    digest = hashlib.sha256(first)
    for _ in range(blocks):
        digest.update(bytes(BLOCK))
    run = (BLOCK << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    raw = (len(first) << 3).to_bytes(3, "little") + first
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([window.bit_length() - 11 << 3]) + raw + run * blocks + b"\x01\0\0"
    return frame, f"sha256:{digest.hexdigest()}"


def image_of(*layers: tuple[bytes, str]) -> Image:
    config = to_json(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [own for _, own in layers]}}
    )
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described(OCI_CONFIG, config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar+zstd", blob) for blob, _ in layers],
        }
    )
    blobs = {digest_of(data): data for data in (config, manifest, *(blob for blob, _ in layers))}
    return Image(config=config, layers=(), blobs=blobs, document=Document(OCI_MANIFEST, manifest))


def test_large_windows_of_zstd_are_not_in_memory_together(tmp_path: Path) -> None:
    image = image_of(*(layer_with_window(b"%d" % number, 1040 + number, 128 * MIB) for number in range(3)))
    layout = write_files(tmp_path / "layout", layout_files({"": image}))
    argv = [sys.executable, "-c", PROGRAM, f"oci:{layout}", str(tmp_path / "cache")]
    told = subprocess.run(argv, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, check=True, text=True).stdout
    names, kibibytes = told.splitlines()
    assert names == "0 1 2"
    # One window, and the program itself; two of them would be more.
    assert 128 * MIB < int(kibibytes) * 1024 < 2 * 128 * MIB
