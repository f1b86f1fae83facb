# SPDX-License-Identifier: Apache-2.0
"""A program that is killed while it writes an image leaves no half image, and nothing that is in the next one's way."""

import subprocess
import sys
from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.places import opened_source
from tests.unit.transport.images import copy, layout_files, make_image, no_registry, pull, write_files

IMAGE = make_image(b"first", b"second")
ROOT = Path(__file__).parents[3]
# Takes every blob, says so, and waits for its end.
PROGRAM = """
import sys
from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.places import opened_destination, opened_source
from tests.unit.transport.images import adapted, no_registry

source, destination = (ImageLocation.parse(text) for text in sys.argv[1:])
with opened_source(source, no_registry) as found, opened_destination(destination, no_registry) as place:
    adapted(found.document(), found, place)
    print("ready", flush=True)
    sys.stdin.read()
"""


def kill_while_writing(source: str, destination: str) -> None:
    argv = [sys.executable, "-c", PROGRAM, source, destination]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.kill()


def blobs(location: str) -> dict[str, bytes]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        return pull(source)


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_a_new_place_holds_no_image_and_takes_the_next(tmp_path: Path, transport: str) -> None:
    source = f"oci:{write_files(tmp_path / 'source', layout_files({'': IMAGE}))}"
    destination = f"{transport}:{tmp_path}/new:localhost/x:1"
    kill_while_writing(source, destination)
    assert not (tmp_path / "new").exists()
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".part")] != []
    copy(source, destination)
    assert IMAGE.config in blobs(destination).values()
    assert {path.name for path in tmp_path.iterdir()} == {"source", "new"}


def test_an_empty_folder_holds_no_image_and_takes_the_next(tmp_path: Path) -> None:
    source = f"oci:{write_files(tmp_path / 'source', layout_files({'': IMAGE}))}"
    (tmp_path / "new").mkdir()
    kill_while_writing(source, f"oci:{tmp_path}/new:1")
    with pytest.raises(InputError, match="is no OCI image layout"):
        blobs(f"oci:{tmp_path}/new:1")
    copy(source, f"oci:{tmp_path}/new:1")
    assert blobs(f"oci:{tmp_path}/new:1") == IMAGE.blobs


def test_a_layout_keeps_its_images(tmp_path: Path) -> None:
    other = make_image(b"other")
    source = f"oci:{write_files(tmp_path / 'source', layout_files({'': IMAGE}))}"
    layout = write_files(tmp_path / "layout", layout_files({"1": other}))
    kill_while_writing(source, f"oci:{layout}:1")
    assert blobs(f"oci:{layout}:1") == other.blobs
    copy(source, f"oci:{layout}:1")
    assert blobs(f"oci:{layout}:1") == IMAGE.blobs
