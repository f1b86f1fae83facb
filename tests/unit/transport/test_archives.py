# SPDX-License-Identifier: Apache-2.0
"""Images in archives: layouts in a tar, and what docker and podman save."""

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import zstandard

from stxbuildah.errors import InputError
from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.places import opened_destination, opened_source
from tests.unit.transport.images import (
    AbandonedError,
    Image,
    abandon,
    copy,
    docker_archive_files,
    layout_files,
    make_image,
    no_registry,
    pull,
    tar,
    write_files,
)

IMAGE = make_image(b"first", b"second")
OTHER = make_image(b"other")
Files = Mapping[str, bytes]


def read(location: str) -> dict[str, bytes]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        return pull(source)


def refused(location: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read(location)
    return caught.value


def saved(tmp_path: Path, files: Files, transport: str = "docker-archive") -> str:
    path = tmp_path / "saved.tar"
    path.write_bytes(tar(files))
    return f"{transport}:{path}"


def blobs_of(image: Image) -> set[bytes]:
    """Give what an image has in a docker-archive."""
    return {image.config, *image.layers}


@pytest.fixture
def layout(tmp_path: Path) -> str:
    return f"oci:{write_files(tmp_path / 'layout', layout_files({'1.0': IMAGE}))}"


def test_an_oci_archive_is_read_as_its_layout(tmp_path: Path) -> None:
    location = saved(tmp_path, layout_files({"1.0": IMAGE, "localhost/x:2": OTHER}), "oci-archive")
    assert read(f"{location}:1.0") == IMAGE.blobs
    assert read(f"{location}:localhost/x:2") == OTHER.blobs
    assert "may be any of 2" in refused(location).message


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_an_archive_may_be_compressed_as_a_whole(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(compress(tar(layout_files({"1.0": IMAGE}))))
    assert read(f"oci-archive:{path}") == IMAGE.blobs
    path.write_bytes(compress(tar(docker_archive_files({"x:1": IMAGE}))))
    assert blobs_of(IMAGE) < set(read(f"docker-archive:{path}").values())


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"no tar at all" * 100, mtime=0), "is no archive of images"),
        (gzip.compress(tar({"a": b"b"}), mtime=0)[:-20], "cannot be unpacked: the layer"),
        (b"PK\3\4" + bytes(600), "is no archive of images"),
        (b"", "is no archive of images"),
        (tar({"../a": b""}), "leads out of it"),
        (tar([("a", b"1"), ("a", b"2")]), "twice"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, transport: str, data: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(data)
    assert message in refused(f"{transport}:{tmp_path}/x").message


def test_every_truncation_of_an_archive_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    whole = tar(layout_files({"1.0": IMAGE}))
    outcomes = set()
    for length in range(0, len(whole), 256):
        path.write_bytes(whole[:length])
        try:
            assert read(f"oci-archive:{path}") == IMAGE.blobs
            outcomes.add("read")
        except InputError:
            outcomes.add("refused")
    # Only the zeros at the end are needless.
    assert outcomes == {"read", "refused"}


def test_no_link_inside_an_oci_archive_is_followed(tmp_path: Path) -> None:
    files = layout_files({"1.0": IMAGE})
    content = files.pop("index.json")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        link = tarfile.TarInfo("index.json")
        link.type, link.linkname = tarfile.SYMTYPE, "real"
        archive.addfile(link)
        for name, data in {**files, "real": content}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (tmp_path / "x").write_bytes(stream.getvalue())
    assert "index.json in" in (message := refused(f"oci-archive:{tmp_path}/x").message)
    assert "is a link" in message


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_an_archive_of_the_same_image_has_the_same_bytes(tmp_path: Path, layout: str, transport: str) -> None:
    for name in ("a", "b"):
        copy(layout, f"{transport}:{tmp_path}/{name}:localhost/x:1")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "layout"]
    with tarfile.open(tmp_path / "a") as archive:
        assert {(info.mtime, info.uid, info.gid, info.uname) for info in archive} == {(0, 0, 0, "")}


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_an_unfinished_archive_leaves_what_was_there(tmp_path: Path, layout: str, transport: str) -> None:
    (tmp_path / "x").write_bytes(b"before")
    with pytest.raises(AbandonedError):
        abandon(layout, f"{transport}:{tmp_path}/x")
    assert (tmp_path / "x").read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layout", "x"]


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_a_folder_is_not_replaced_by_an_archive(tmp_path: Path, transport: str) -> None:
    with (
        pytest.raises(InputError, match="no regular file"),
        opened_destination(ImageLocation.parse(f"{transport}:{tmp_path}"), no_registry),
    ):
        pass


def test_an_archive_can_be_changed_in_its_own_place(tmp_path: Path) -> None:
    location = saved(tmp_path, docker_archive_files({"x:1": IMAGE, "x:2": OTHER}))
    copy(f"{location}:x:1", f"{location}:x:3")
    assert blobs_of(IMAGE) < set(read(f"{location}:x:3").values())
    assert "there is no image" in refused(f"{location}:x:2").message


def test_an_oci_archive_holds_the_image_under_its_name(tmp_path: Path, layout: str) -> None:
    assert copy(layout, f"oci-archive:{tmp_path}/x:localhost/a:1") == IMAGE.document.digest
    assert read(f"oci-archive:{tmp_path}/x:localhost/a:1") == IMAGE.blobs
