# SPDX-License-Identifier: Apache-2.0
"""Images in archives as docker and podman save them."""

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import zstandard

from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_INDEX
from stxbuildah.model.location import ImageLocation
from stxbuildah.transport.documents import listed_blobs
from stxbuildah.transport.places import opened_destination, opened_source
from tests.unit.transport.images import (
    DOCKER_TAR,
    Image,
    Json,
    adapted,
    copy,
    digest_of,
    docker_archive_files,
    gzipped,
    layout_files,
    make_image,
    no_registry,
    pull,
    tar,
    to_json,
    write_files,
)

IMAGE = make_image(b"first", b"second")
OTHER = make_image(b"other")
Files = Mapping[str, bytes]
# Both layers are links, as Docker before 25 writes those that another image of the archive has.
LINKED: list[Json] = [{"Config": f"{digest_of(IMAGE.config)[7:]}.json", "Layers": ["one/layer.tar", "two/layer.tar"]}]


def read(location: str) -> dict[str, bytes]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        return pull(source)


def manifest_of(location: str) -> dict[str, Json]:
    with opened_source(ImageLocation.parse(location), no_registry) as source:
        manifest: dict[str, Json] = json.loads(source.document().data)
        return manifest


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


def test_a_saved_image_has_plain_layers_under_their_diff_ids(tmp_path: Path) -> None:
    location = saved(tmp_path, docker_archive_files({"quay.example/x:1": IMAGE}))
    manifest = manifest_of(location)
    assert manifest["mediaType"] == DOCKER_MANIFEST
    assert manifest["layers"] == [
        {"mediaType": DOCKER_TAR, "size": len(layer), "digest": digest_of(layer)} for layer in IMAGE.layers
    ]
    assert blobs_of(IMAGE) < set(read(location).values())


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("quay.example/x:1", "quay.example/x:1"),
        ("busybox:latest", "busybox"),
        ("docker.io/library/busybox:1", "busybox:1"),
        ("busybox:1", "docker.io/library/busybox:1"),
    ],
)
def test_a_saved_image_is_found_by_any_form_of_its_name(tmp_path: Path, name: str, reference: str) -> None:
    location = saved(tmp_path, docker_archive_files({"other/y:1": OTHER, name: IMAGE}))
    assert blobs_of(IMAGE) < set(read(f"{location}:{reference}").values())


def test_one_of_several_saved_images_must_be_named(tmp_path: Path) -> None:
    error = refused(location := saved(tmp_path, docker_archive_files({"x:1": IMAGE, "y:2": OTHER})))
    assert error.message == f"{location} may be any of 2 images in the archive"
    assert error.hint == "add a name to it: x:1, y:2"
    assert "x:1, y:2" in refused(f"{location}:z:3").hint


@pytest.mark.parametrize("compress", [gzipped, zstandard.compress], ids=["gzip", "zstd"])
def test_compressed_layers_are_recognised_inside(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    files = docker_archive_files({"x:1": IMAGE})
    plain = tar(files)
    (tmp_path / "plain").write_bytes(plain)
    packed = {name: compress(data) if name.endswith(".tar") else data for name, data in files.items()}
    location = saved(tmp_path, packed)
    assert read(location) == read(f"docker-archive:{tmp_path}/plain")


def test_an_archive_may_be_both_a_layout_and_a_docker_archive(tmp_path: Path) -> None:
    # Docker from 25 on; with containerd's store the layers are compressed, as they came.
    manifest = json.loads(IMAGE.document.data)
    entry: Json = {
        "Config": f"blobs/sha256/{digest_of(IMAGE.config)[7:]}",
        "RepoTags": ["x:1"],
        "Layers": [f"blobs/sha256/{layer['digest'][7:]}" for layer in manifest["layers"]],
        "LayerSources": {},
    }
    location = saved(tmp_path, {**layout_files({"1": IMAGE}), "manifest.json": to_json([entry])})
    assert blobs_of(IMAGE) < set(read(f"{location}:x:1").values())
    assert read(f"oci-archive:{tmp_path}/saved.tar:1") == IMAGE.blobs


def test_a_layer_may_be_a_link_to_that_of_another_image(tmp_path: Path) -> None:
    files = docker_archive_files({"x:1": IMAGE})
    first, second = (f"{digest_of(layer)[7:]}.tar" for layer in IMAGE.layers)
    (tmp_path / "x").write_bytes(with_links(files, LINKED, {"one/layer.tar": f"../{first}", "two/layer.tar": "../l"}))
    assert "no two/layer.tar" in refused(f"docker-archive:{tmp_path}/x").message
    (tmp_path / "x").write_bytes(
        with_links(files, LINKED, {"one/layer.tar": f"../{first}", "two/layer.tar": f"../{second}"})
    )
    assert blobs_of(IMAGE) < set(read(f"docker-archive:{tmp_path}/x").values())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../../../../etc/passwd", "has no one/layer.tar"),
        ("/etc/passwd", "has no one/layer.tar"),
        ("/", "has no one/layer.tar"),
        ("../two/layer.tar", "is a link, which is not followed"),
        ("layer.tar", "is a link, which is not followed"),
    ],
)
def test_a_link_leads_nowhere_but_to_a_file_of_the_archive(tmp_path: Path, target: str, message: str) -> None:
    files = docker_archive_files({"x:1": IMAGE})
    links = {"one/layer.tar": target, "two/layer.tar": "../one/layer.tar"}
    (tmp_path / "x").write_bytes(with_links(files, LINKED, links))
    assert message in refused(f"docker-archive:{tmp_path}/x").message


def with_links(files: Files, entries: Json, links: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in {**files, "manifest.json": to_json(entries)}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return stream.getvalue()


def changed_files(**changes: object) -> dict[str, bytes]:
    files = docker_archive_files({"x:1": IMAGE})
    (entry,) = json.loads(files["manifest.json"])
    return {**files, "manifest.json": json.dumps([{**entry, **changes}]).encode()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": b"b"}, "is no docker-archive: it has no manifest.json"),
        ({"manifest.json": b"["}, "is not JSON"),
        ({"manifest.json": b"[" * 100_000}, "is not JSON"),
        ({"manifest.json": b"{}"}, "manifest.json"),
        ({"manifest.json": b"[]"}, "there is no image"),
        ({"manifest.json": b"[1]"}, "manifest.json"),
        ({"manifest.json": b" " * (4 * 1024**2 + 1)}, "more than the 4194304"),
        (changed_files(Config="../../etc/passwd"), "has no ../../etc/passwd"),
        (changed_files(Config="/etc/passwd"), "has no /etc/passwd"),
        (changed_files(Config=7), "has no ."),
        (changed_files(Config="manifest.json"), "image is damaged"),
        (changed_files(Layers=[]), "has 0 layers, its configuration 2 diff IDs"),
        (changed_files(Layers=["../a", "/b"]), "has no ../a"),
        (changed_files(Layers={}), "has 0 layers"),
        (changed_files(Layers="x"), "Layers"),
        (changed_files(RepoTags="x"), "RepoTags"),
    ],
)
def test_a_damaged_or_hostile_docker_archive_is_refused(tmp_path: Path, files: Files, message: str) -> None:
    error = refused(saved(tmp_path, files))
    assert message in error.message


def test_a_layer_that_is_not_what_its_diff_id_says_is_refused(tmp_path: Path) -> None:
    files = docker_archive_files({"x:1": IMAGE})
    first, second = (f"{digest_of(layer)[7:]}.tar" for layer in IMAGE.layers)
    location = saved(tmp_path, {**files, first: files[second]})
    assert f"its blob {digest_of(IMAGE.layers[0])} has the digest" in refused(location).message


def test_an_image_is_saved_as_docker_saves_it(tmp_path: Path, layout: str) -> None:
    assert copy(layout, f"docker-archive:{tmp_path}/x:busybox:1") == digest_of(IMAGE.config)
    config, *layers = digest_of(IMAGE.config)[7:], *(digest_of(layer)[7:] for layer in IMAGE.layers)
    with tarfile.open(tmp_path / "x") as archive:
        assert archive.getnames() == ["manifest.json", f"{config}.json", *(f"{layer}.tar" for layer in layers)]
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest) == [
            {
                "Config": f"{config}.json",
                "RepoTags": ["docker.io/library/busybox:1"],
                "Layers": [f"{layer}.tar" for layer in layers],
            }
        ]


def test_a_new_compressed_layer_is_named_by_its_packed_digest_until_the_archive_is_written(
    tmp_path: Path, layout: str
) -> None:
    extra = tar({"new": b"content"})
    config = to_json(
        {
            **json.loads(IMAGE.config),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in (*IMAGE.layers, extra)]},
        }
    )
    packed = gzipped(extra)
    (tmp_path / "blob").write_bytes(packed)
    location = f"docker-archive:{tmp_path}/x:x:2"
    with (
        opened_source(ImageLocation.parse(layout), no_registry) as source,
        opened_destination(ImageLocation.parse(location), no_registry) as destination,
    ):
        manifest = json.loads(adapted(source.document(), source, destination).data)
        layer_type = "application/vnd.oci.image.layer.v1.tar+gzip"
        layer = Descriptor(media_type=layer_type, digest=digest_of(packed), size=len(packed))
        destination.write(layer, tmp_path / "blob")
        settings = Descriptor(media_type=manifest["config"]["mediaType"], digest=digest_of(config), size=len(config))
        destination.write(settings, config)
        manifest["layers"].append({"mediaType": layer_type, "digest": layer.digest, "size": layer.size})
        manifest["config"] |= {"digest": settings.digest, "size": settings.size}
        assert destination.finish(Document(source.document().media_type, to_json(manifest))) == settings.digest
    assert {config, extra, *IMAGE.layers} < set(read(location).values())


def test_a_saved_image_with_other_layers_than_its_configuration_lists_is_refused(tmp_path: Path) -> None:
    manifest = json.loads(IMAGE.document.data)
    manifest["layers"].reverse()
    document = Document(IMAGE.document.media_type, to_json(manifest))
    wrong = Image(
        config=IMAGE.config,
        layers=IMAGE.layers,
        blobs={**IMAGE.blobs, document.digest: document.data},
        document=document,
    )
    write_files(tmp_path / "wrong", layout_files({"": wrong}))
    with pytest.raises(InputError, match="layer 1 unpacks to sha256:"):
        copy(f"oci:{tmp_path}/wrong", f"docker-archive:{tmp_path}/x")
    assert not (tmp_path / "x").exists()


def test_a_layer_that_cannot_be_decompressed_is_refused(tmp_path: Path) -> None:
    broken = gzipped(IMAGE.layers[0])[:-9]
    manifest = json.loads(IMAGE.document.data)
    manifest["layers"][0] |= {"digest": digest_of(broken), "size": len(broken)}
    document = Document(IMAGE.document.media_type, to_json(manifest))
    wrong = Image(
        config=IMAGE.config,
        layers=IMAGE.layers,
        blobs={**IMAGE.blobs, digest_of(broken): broken, document.digest: document.data},
        document=document,
    )
    write_files(tmp_path / "wrong", layout_files({"": wrong}))
    with pytest.raises(InputError, match="truncated"):
        copy(f"oci:{tmp_path}/wrong", f"docker-archive:{tmp_path}/x")


def test_a_docker_archive_holds_no_index_and_nothing_that_was_not_brought(tmp_path: Path) -> None:
    with opened_destination(ImageLocation.parse(f"docker-archive:{tmp_path}/x"), no_registry) as destination:
        with pytest.raises(InputError, match="one platform only"):
            destination.finish(Document(OCI_INDEX, b'{"manifests": []}'))
        with pytest.raises(BuildError, match="lacks the blob"):
            destination.finish(IMAGE.document)
    assert list(tmp_path.iterdir()) == []


def test_an_image_with_a_layer_twice_is_saved_with_it_once(tmp_path: Path) -> None:
    twice = make_image(b"same")
    config = json.loads(twice.config)
    config["rootfs"]["diff_ids"] *= 2
    config["history"] *= 2
    data = to_json(config)
    manifest = json.loads(twice.document.data)
    manifest["layers"] *= 2
    manifest["config"] |= {"digest": digest_of(data), "size": len(data)}
    document = Document(twice.document.media_type, to_json(manifest))
    blobs = {**twice.blobs, digest_of(data): data, document.digest: document.data}
    image = Image(config=data, layers=twice.layers * 2, blobs=blobs, document=document)
    write_files(tmp_path / "twice", layout_files({"": image}))
    copy(f"oci:{tmp_path}/twice", f"docker-archive:{tmp_path}/x")
    with opened_source(ImageLocation.parse(f"docker-archive:{tmp_path}/x"), no_registry) as source:
        assert [blob.digest for blob in listed_blobs(source.document())][1:] == [digest_of(twice.layers[0])] * 2
