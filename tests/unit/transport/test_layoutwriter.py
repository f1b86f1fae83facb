# SPDX-License-Identifier: Apache-2.0
"""Images written to OCI image layouts."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import DOCKER_MANIFEST_LIST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.interface import ImageDestination, ImageSource
from stxbuildah.transport.places import opened_destination, opened_source
from tests.unit.transport.images import (
    DOCKER_GZIP,
    OCI_GZIP,
    OCI_TAR,
    AbandonedError,
    Image,
    Json,
    abandon,
    adapted,
    copy,
    digest_of,
    docker_archive_files,
    index_of,
    layout_files,
    make_image,
    no_registry,
    pull,
    read_files,
    tar,
    to_json,
    write_files,
)

IMAGE = make_image(b"first", b"second")
OTHER = make_image(b"other")
WRITERS = 8


@contextmanager
def opened(location: str) -> Iterator[ImageSource]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        yield source


@contextmanager
def new(location: str) -> Iterator[ImageDestination]:
    with opened_destination(ImageLocation.parse(location), no_registry) as destination:
        yield destination


def read(location: str) -> dict[str, bytes]:
    with opened(location) as source:
        return pull(source)


def listed(layout: Path) -> list[tuple[str, str]]:
    """Give the names and digests that a layout lists."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return [
        (entry.get("annotations", {}).get("org.opencontainers.image.ref.name", ""), entry["digest"])
        for entry in entries
    ]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """The image in a layout, as a location."""
    return f"oci:{write_files(tmp_path / 'source', layout_files({'1.0': IMAGE}))}"


def test_a_new_layout_holds_the_image_and_nothing_else(tmp_path: Path, source: str) -> None:
    digest = copy(source, f"oci:{tmp_path}/new:2.0")
    assert digest == IMAGE.document.digest
    assert read(f"oci:{tmp_path}/new:2.0") == IMAGE.blobs
    assert sorted(read_files(tmp_path / "new")) == sorted(layout_files({"": IMAGE}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "source"]


def test_the_images_of_a_layout_stay_and_a_name_changes_its_bearer_in_place(tmp_path: Path, source: str) -> None:
    layout = write_files(tmp_path / "layout", layout_files({"a": OTHER, "b": OTHER, "c": OTHER}))
    copy(source, f"oci:{layout}:b")
    copy(source, f"oci:{layout}:d")
    new_digest, old = IMAGE.document.digest, OTHER.document.digest
    assert listed(layout) == [("a", old), ("b", new_digest), ("c", old), ("d", new_digest)]
    assert read(f"oci:{layout}:c") == OTHER.blobs


def test_an_image_without_a_name_replaces_the_only_one_without(tmp_path: Path, source: str) -> None:
    layout = write_files(tmp_path / "layout", layout_files({"": OTHER, "a": OTHER}))
    copy(source, f"oci:{layout}")
    assert listed(layout) == [("", IMAGE.document.digest), ("a", OTHER.document.digest)]


def test_what_an_index_says_besides_is_kept(tmp_path: Path, source: str) -> None:
    files = layout_files({"a": OTHER})
    index = {**json.loads(files["index.json"]), "annotations": {"k": "v"}, "x": [1]}
    layout = write_files(tmp_path / "layout", {**files, "index.json": to_json(index)})
    copy(source, f"oci:{layout}:b")
    written = json.loads((layout / "index.json").read_bytes())
    assert {**written, "manifests": written["manifests"][:1]} == index


def test_blobs_that_are_there_are_not_read_again(tmp_path: Path, source: str) -> None:
    layout = write_files(tmp_path / "layout", layout_files({"a": IMAGE}))
    places = [layout / "blobs/sha256" / digest[7:] for digest in IMAGE.blobs if digest != IMAGE.document.digest]
    before = [path.stat().st_ino for path in places]
    copy(source, f"oci:{layout}:b")
    assert [path.stat().st_ino for path in places] == before


def test_a_blob_of_the_wrong_size_is_written_anew(tmp_path: Path, source: str) -> None:
    layout = write_files(tmp_path / "layout", layout_files({"a": OTHER}))
    broken = layout / "blobs/sha256" / digest_of(IMAGE.config)[7:]
    broken.write_bytes(b"{}")
    copy(source, f"oci:{layout}:b")
    assert broken.read_bytes() == IMAGE.config


@pytest.mark.parametrize("there", [False, True])
def test_what_is_not_finished_is_no_image_and_can_be_begun_anew(tmp_path: Path, source: str, there: bool) -> None:
    layout = tmp_path / "new"
    if there:
        layout.mkdir()
    with pytest.raises(AbandonedError):
        abandon(source, f"oci:{layout}:1")
    assert not (layout / "index.json").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    assert layout.exists() == there
    copy(source, f"oci:{layout}:1")
    assert read(f"oci:{layout}:1") == IMAGE.blobs


def test_an_unfinished_image_leaves_a_layout_with_its_images(tmp_path: Path, source: str) -> None:
    layout = write_files(tmp_path / "layout", layout_files({"a": OTHER}))
    index = (layout / "index.json").read_bytes()
    with pytest.raises(AbandonedError):
        abandon(source, f"oci:{layout}:1")
    assert (layout / "index.json").read_bytes() == index
    assert list(layout.rglob("*.part")) == []


def test_a_damaged_blob_is_not_written(tmp_path: Path) -> None:
    files = layout_files({"1.0": IMAGE})
    damaged = IMAGE.blobs[digest_of(IMAGE.config)][:-1] + b" "
    write_files(tmp_path / "bad", {**files, f"blobs/sha256/{digest_of(IMAGE.config)[7:]}": damaged})
    layout = write_files(tmp_path / "layout", layout_files({"a": OTHER}))
    before = read_files(layout)
    with pytest.raises(InputError, match="is damaged"):
        copy(f"oci:{tmp_path}/bad", f"oci:{layout}:b")
    assert read_files(layout) == before


def test_an_image_that_lacks_a_blob_cannot_be_finished(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="lacks the blob"), new(f"oci:{tmp_path}/new:1") as destination:
        destination.finish(IMAGE.document)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "other"])
def test_something_else_is_not_written_into(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {"file": b"", "other/notes.txt": b"mine"})
    with pytest.raises(InputError), new(f"oci:{tmp_path}/{name}:1"):
        pass
    assert read_files(tmp_path) == {"file": b"", "other/notes.txt": b"mine"}


@pytest.mark.parametrize("place", ["blobs", "blobs/sha256", "index.json", "oci-layout"])
def test_no_link_leads_out_of_a_layout_that_is_written_to(tmp_path: Path, source: str, place: str) -> None:
    layout = write_files(tmp_path / "layout", layout_files({"a": OTHER}))
    (layout / place).rename(tmp_path / "elsewhere")
    (layout / place).symlink_to(tmp_path / "elsewhere")
    elsewhere = tmp_path / "elsewhere"
    before = read_files(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()
    with pytest.raises(InputError, match=r"not followed|Too many levels of symbolic links"):
        copy(source, f"oci:{layout}:b")
    assert (read_files(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()) == before


def test_new_blobs_come_from_files_or_bytes_and_are_held_to_their_digests(tmp_path: Path, source: str) -> None:
    layer = tar({"new": b"content"})
    (tmp_path / "blob").write_bytes(layer)
    manifest = json.loads(IMAGE.document.data)
    config = to_json({**json.loads(IMAGE.config), "author": "x"})
    extra = Descriptor(media_type=OCI_TAR, digest=digest_of(layer), size=len(layer))
    manifest["layers"].append({"mediaType": OCI_TAR, "digest": extra.digest, "size": extra.size})
    manifest["config"] |= {"digest": digest_of(config), "size": len(config)}
    with opened(source) as found, new(f"oci:{tmp_path}/new:2") as destination:
        adapted(found.document(), found, destination)
        destination.write(extra, tmp_path / "blob")
        destination.write(Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=len(config)), config)
        with pytest.raises(InputError, match="has the digest"):
            destination.write(extra, bytes(len(layer)))
        with pytest.raises(InputError, match="cannot read"):
            destination.write(extra, tmp_path / "missing")
        destination.finish(Document(OCI_MANIFEST, to_json(manifest)))
    assert read(f"oci:{tmp_path}/new:2")[extra.digest] == layer


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path, source: str) -> None:
    images = [make_image(bytes([number]), b"shared") for number in range(WRITERS)]
    for number, image in enumerate(images):
        write_files(tmp_path / f"source{number}", layout_files({"": image}))
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda n: copy(f"oci:{tmp_path}/source{n}", f"oci:{tmp_path}/new:v{n}"), range(WRITERS)))
    assert sorted(listed(tmp_path / "new")) == sorted(
        (f"v{number}", image.document.digest) for number, image in enumerate(images)
    )
    assert all(read(f"oci:{tmp_path}/new:v{number}") == image.blobs for number, image in enumerate(images))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_programs_at_the_same_time_lose_nothing(tmp_path: Path, source: str) -> None:
    program = "import sys; from tests.unit.transport.images import copy; copy(sys.argv[1], sys.argv[2])"
    root = str(Path(__file__).parents[3])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, source, f"oci:{tmp_path}/new:v{number}"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": root},
        )
        for number in range(4)
    ]
    assert [program.wait() for program in running] == [0] * 4
    assert sorted(listed(tmp_path / "new")) == [(f"v{number}", IMAGE.document.digest) for number in range(4)]


def test_an_image_of_docker_types_becomes_one_of_oci(tmp_path: Path) -> None:
    docker = make_image(b"first", b"second", docker=True)
    write_files(tmp_path / "source", layout_files({"": docker}))
    digest = copy(f"oci:{tmp_path}/source", f"oci:{tmp_path}/new:1")
    ((_, found),) = listed(tmp_path / "new")
    assert digest == found
    with opened(f"oci:{tmp_path}/new") as source:
        document = source.document()
        manifest = json.loads(document.data)
        assert document.media_type == manifest["mediaType"] == OCI_MANIFEST
        assert manifest["config"]["mediaType"] == OCI_CONFIG
        assert [layer["mediaType"] for layer in manifest["layers"]] == [OCI_GZIP, OCI_GZIP]
        blobs = pull(source)
        assert {**blobs, **docker.blobs} == {**docker.blobs, document.digest: document.data}


def test_an_index_of_docker_types_becomes_one_of_oci(tmp_path: Path) -> None:
    docker = make_image(b"first", docker=True)
    write_files(tmp_path / "source", layout_files({"": docker}))
    index = index_of((docker, {"platform": {"os": "linux", "architecture": "amd64"}}))
    index = Document(DOCKER_MANIFEST_LIST, to_json({**json.loads(index.data), "mediaType": DOCKER_MANIFEST_LIST}))
    with opened(f"oci:{tmp_path}/source") as found, new(f"oci:{tmp_path}/new:1") as destination:
        digest = destination.finish(index, (adapted(found.document(), found, destination),))
    with opened(f"oci:{tmp_path}/new:1") as written:
        document = written.document()
        (entry,) = json.loads(document.data)["manifests"]
        assert (document.digest, document.media_type) == (digest, OCI_INDEX)
        assert entry["platform"] == {"os": "linux", "architecture": "amd64"}
        assert entry["mediaType"] == OCI_MANIFEST
        inner = written.manifest(Descriptor.from_json(entry, "the entry"))
        assert json.loads(inner.data)["layers"][0]["mediaType"] == OCI_GZIP


def test_a_foreign_layer_is_named_and_not_copied(tmp_path: Path) -> None:
    image = with_foreign_layer(IMAGE)
    write_files(tmp_path / "source", layout_files({"": image}))
    assert copy(f"oci:{tmp_path}/source", f"oci:{tmp_path}/new:1") == image.document.digest
    written = {path.name for path in (tmp_path / "new/blobs/sha256").iterdir()}
    assert written == {digest[7:] for digest in image.blobs}


def with_foreign_layer(image: Image) -> Image:
    manifest = json.loads(image.document.data)
    foreign: dict[str, Json] = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": digest_of(b"of somebody else"),
        "size": 16,
        "urls": ["https://layers.example/1"],
    }
    data = to_json({**manifest, "layers": [foreign, *manifest["layers"]]})
    blobs = {digest: blob for digest, blob in image.blobs.items() if digest != image.document.digest}
    document = Document(image.document.media_type, data)
    return Image(config=image.config, layers=image.layers, blobs={**blobs, document.digest: data}, document=document)


def test_layers_of_a_docker_archive_are_compressed(tmp_path: Path) -> None:
    (tmp_path / "saved.tar").write_bytes(tar(docker_archive_files({"x:1": IMAGE})))
    copy(f"docker-archive:{tmp_path}/saved.tar", f"oci:{tmp_path}/new:1")
    with opened(f"oci:{tmp_path}/new") as source:
        manifest = json.loads(source.document().data)
        assert [layer["mediaType"] for layer in manifest["layers"]] == [OCI_GZIP] * 2
        assert manifest["config"]["digest"] == digest_of(IMAGE.config)
    copy(f"oci:{tmp_path}/new", f"docker-archive:{tmp_path}/again.tar:x:1")
    with opened(f"docker-archive:{tmp_path}/again.tar") as again:
        assert set(IMAGE.layers) <= set(pull(again).values())
    assert DOCKER_GZIP not in (tmp_path / "new/index.json").read_text()
