# SPDX-License-Identifier: Apache-2.0
"""Images read from OCI image layouts."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.image import OCI_INDEX
from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.documents import listed_blobs
from stxbuildah.transport.places import opened_source
from stxbuildah.transport.platforms import indexed_images
from tests.unit.transport.images import (
    Json,
    described,
    digest_of,
    index_of,
    layout_files,
    make_image,
    no_registry,
    pull,
    to_json,
    write_files,
)

IMAGE = make_image(b"first", b"second")
OTHER = make_image(b"other")


def read(location: str) -> dict[str, bytes]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        return pull(source)


def refused(location: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read(location)
    return caught.value


def blob_path(folder: Path, digest: str) -> Path:
    return folder / "blobs/sha256" / digest[7:]


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A layout with two images, one of them under two names."""
    return write_files(tmp_path / "layout", layout_files({"1.0": IMAGE, "latest": IMAGE, "localhost/x:2": OTHER}))


def test_an_image_is_found_by_its_name_and_read_whole(layout: Path) -> None:
    assert read(f"oci:{layout}:1.0") == IMAGE.blobs
    assert read(f"oci:{layout}:localhost/x:2") == OTHER.blobs


@pytest.mark.parametrize("tags", [("1.0",), ("",), ("1.0", "latest", "")])
def test_without_a_name_the_only_image_is_meant(tmp_path: Path, tags: tuple[str, ...]) -> None:
    write_files(tmp_path / "layout", layout_files(dict.fromkeys(tags, IMAGE)))
    assert read(f"oci:{tmp_path}/layout") == IMAGE.blobs


def test_one_of_several_must_be_named(layout: Path) -> None:
    error = refused(f"oci:{layout}")
    assert f"oci:{layout} may be any of 3 images" in error.message
    assert error.hint == "add a name to it: 1.0, latest, localhost/x:2"


def test_a_name_that_two_images_have_is_refused(tmp_path: Path) -> None:
    files = layout_files({"1": IMAGE, "2": OTHER})
    index = json.loads(files["index.json"])
    index["manifests"][1]["annotations"] = index["manifests"][0]["annotations"]
    write_files(tmp_path / "layout", {**files, "index.json": to_json(index)})
    assert "may be any of 2 images" in refused(f"oci:{tmp_path}/layout:1").message


def test_an_unknown_name_is_refused_with_those_that_there_are(layout: Path) -> None:
    error = refused(f"oci:{layout}:3.0")
    assert error.message == f"there is no image oci:{layout}:3.0"
    assert error.hint == "the layout holds: 1.0, latest, localhost/x:2"


def test_a_nested_index_is_given_as_the_document(tmp_path: Path) -> None:
    index = index_of((IMAGE, {"platform": {"os": "linux", "architecture": "amd64"}}))
    top: Json = {"schemaVersion": 2, "manifests": [described(OCI_INDEX, index.data)]}
    write_files(tmp_path / "layout", layout_files({"": IMAGE}, index.data, index=top))
    with opened_source(ImageLocation.parse(f"oci:{tmp_path}/layout"), no_registry) as source:
        assert source.document() == index
        ((descriptor, _),) = indexed_images(source.document()).images
        assert source.manifest(descriptor).data == IMAGE.document.data


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"index.json": None}, "has no index.json"),
        ({"oci-layout": None}, "is no OCI image layout"),
        ({"oci-layout": b'{"imageLayoutVersion": "2.0.0"}'}, "version '2.0.0'"),
        ({"oci-layout": b"["}, "is not JSON"),
        ({"index.json": b"{}"}, "manifests"),
        ({"index.json": b"[" * 100_000}, "is not JSON"),
        ({"index.json": b'{"manifests": []}'}, "there is no image"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'}, "is not described by"),
        ({"index.json": b" " * (4 * 1024**2 + 1)}, "more than the 4194304"),
    ],
)
def test_what_is_no_layout_is_refused(tmp_path: Path, files: dict[str, bytes | None], message: str) -> None:
    changed = {**layout_files({"1.0": IMAGE}), **files}
    write_files(tmp_path / "layout", {name: data for name, data in changed.items() if data is not None})
    assert message in refused(f"oci:{tmp_path}/layout:1.0").message


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "is no OCI image layout" in refused(f"oci:{tmp_path}/missing").message


def test_a_huge_manifest_is_refused_before_it_is_read(tmp_path: Path) -> None:
    entry = {**described(IMAGE.document.media_type, b""), "size": 2**40}
    files = layout_files({"": IMAGE}, index={"schemaVersion": 2, "manifests": [entry]})
    write_files(tmp_path / "layout", files)
    assert "more than the 4194304" in refused(f"oci:{tmp_path}/layout").message


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda data: data[:-1], f"of {len(IMAGE.config)} bytes"),
        (lambda data: data + b" ", f"more than its {len(IMAGE.config)} bytes"),
        (lambda data: data.replace(b"linux", b"linus"), "has the digest sha256:"),
        (lambda data: data[:0], f"ends after 0 of {len(IMAGE.config)} bytes"),
    ],
)
def test_a_blob_that_is_not_what_its_digest_says_is_refused(
    layout: Path, harm: Callable[[bytes], bytes], message: str
) -> None:
    blob_path(layout, digest_of(IMAGE.config)).write_bytes(harm(IMAGE.config))
    error = refused(f"oci:{layout}:1.0")
    assert f"oci:{layout}:1.0 is damaged" in error.message
    assert message in error.message


def test_a_missing_blob_is_refused(layout: Path) -> None:
    blob_path(layout, digest_of(IMAGE.config)).unlink()
    assert f"has no blob {digest_of(IMAGE.config)}" in refused(f"oci:{layout}:1.0").message


def test_no_link_in_a_layout_is_followed(layout: Path, tmp_path: Path) -> None:
    blob = blob_path(layout, digest_of(IMAGE.config))
    blob.rename(tmp_path / "secret")
    blob.symlink_to(tmp_path / "secret")
    assert f"cannot read {blob}" in refused(f"oci:{layout}:1.0").message


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blobs", "blobs/sha256"])
def test_no_link_above_a_blob_is_followed(layout: Path, tmp_path: Path, name: str) -> None:
    (layout / name).rename(tmp_path / "elsewhere")
    (layout / name).symlink_to(tmp_path / "elsewhere")
    assert "links are not followed" in refused(f"oci:{layout}:1.0").hint


def test_a_pipe_in_a_layout_keeps_nobody_waiting(layout: Path) -> None:
    blob = blob_path(layout, digest_of(IMAGE.config))
    blob.unlink()
    os.mkfifo(blob)
    assert "is no regular file" in refused(f"oci:{layout}:1.0").message


def test_a_layout_may_be_named_through_a_link(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(layout)
    assert read(f"oci:{tmp_path}/link:1.0") == IMAGE.blobs


def test_a_blob_can_be_read_by_two_at_the_same_time(layout: Path) -> None:
    with opened_source(ImageLocation.parse(f"oci:{layout}:1.0"), no_registry) as source:
        blob = list(listed_blobs(source.document()))[1]
        with source.blob(blob) as one, source.blob(blob) as other:
            assert b"".join(one) == b"".join(other) == IMAGE.blobs[blob.digest]


def test_an_image_is_read_from_the_layout_as_it_was_opened(layout: Path) -> None:
    with opened_source(ImageLocation.parse(f"oci:{layout}:1.0"), no_registry) as source:
        shutil.copy(layout / "oci-layout", layout / "index.json")
        assert source.document().data == IMAGE.document.data
