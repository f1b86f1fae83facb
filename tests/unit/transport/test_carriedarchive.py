# SPDX-License-Identifier: Apache-2.0
"""Archives that carry images with their manifests: written, read by others, unpacked, and hostile ones refused."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.errors import BuildError, InputError
from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.deflate import compressed
from stxbuildah.model.image import DOCKER_MANIFEST, ImageDocuments
from stxbuildah.model.layer import Compression, LayerBlob
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.transfer import ArchiveForm
from stxbuildah.transport.archive import opened_oci_archive
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.carriedarchive import carried_archive
from stxbuildah.transport.carriedlayers import LayerRestorer
from stxbuildah.transport.carriedunpack import UnpackedImage, is_carried, unpacked_images
from stxbuildah.transport.dockerarchive import opened_docker_archive
from stxbuildah.transport.documents import listed_blobs
from tests.unit.transport.images import DOCKER_GZIP, Image, digest_of, gzipped, make_image, tar, to_json

NAME = "localhost/stx-nova:1"


@attrs.frozen(kw_only=True)
class Stored:
    """An image as the store has it, and its plain layers."""

    image: StoredImage
    layers: tuple[bytes, ...]

    @property
    def streamed(self) -> Iterator[tuple[str, int, Iterator[bytes]]]:
        """The layers as podman streams them, each in two pieces."""
        for layer in dict.fromkeys(self.layers):
            yield digest_of(layer)[7:], len(layer), iter((layer[:700], layer[700:]))


def theirs(image: Image, name: str = NAME) -> Stored:
    """An image that somebody else has made."""
    documents = ImageDocuments(manifest=image.document.data, config=image.config)
    return Stored(image=StoredImage(reference=ImageReference.parse(name), documents=documents), layers=image.layers)


def ours(*compressions: Compression, name: str = NAME, comment: str = "stxbuildah 1.0", repeat: int = 1) -> Stored:
    """An image whose layers this program has compressed."""
    documents, layers = empty_image(architecture="amd64"), []
    for number, compression in enumerate(compressions):
        layer = tar({f"opt/{number}": b"content of a layer " * 40 * repeat})
        packed = b"".join(compressed([layer], compression))
        blob = LayerBlob(
            diff_id=digest_of(layer),
            digest=digest_of(packed),
            size=len(packed),
            uncompressed_size=len(layer),
            compression=compression,
        )
        documents = append_layer(documents, blob, timestamp=0, created_by="stxb base", comment=comment)
        layers.append(layer)
    return Stored(image=StoredImage(reference=ImageReference.parse(name), documents=documents), layers=tuple(layers))


def archive_of(*images: Stored, form: ArchiveForm = ArchiveForm.DOCKER) -> bytes:
    layers = {layer[0]: layer for image in images for layer in image.streamed}
    return b"".join(carried_archive([image.image for image in images], layers.values(), form))


def unpacked(data: bytes, folder: Path) -> tuple[tuple[UnpackedImage, ...], BlobFolder]:
    blobs = BlobFolder(folder / "blobs", "x.tar")
    stream = ByteStream(iter((data[:333], data[333:])), limit=2**40, name="x.tar")
    assert is_carried(stream)
    return unpacked_images(stream, blobs, "x.tar"), blobs


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: stream.read() for member in archive if (stream := archive.extractfile(member))}


def test_it_is_a_docker_archive(tmp_path: Path) -> None:
    one, two = theirs(make_image(b"1", b"2")), theirs(make_image(b"1", docker=True), "localhost/two:2")
    again = attrs.evolve(one, image=attrs.evolve(one.image, reference=ImageReference.parse("localhost/again:3")))
    data = archive_of(one, two, again)
    assert archive_of(one, two, again) == data
    (tmp_path / "x.tar").write_bytes(data)
    listed = {tuple(image["RepoTags"]): image for image in json.loads(members(data)["manifest.json"])}
    assert list(listed) == [(NAME, "localhost/again:3"), ("localhost/two:2",)]
    for stored in (one, two, again):
        with opened_docker_archive(tmp_path / "x.tar", "x", stored.image.reference) as source:
            config, *layers = listed_blobs(source.document())
            for blob, content in zip((config, *layers), (stored.image.documents.config, *stored.layers), strict=True):
                with source.blob(blob) as chunks:
                    assert b"".join(chunks) == content


def test_it_is_an_image_layout_of_several_images(tmp_path: Path) -> None:
    plain = theirs(make_image(b"1", packed=False))
    packed, docker = theirs(make_image(b"2"), "localhost/two:2"), theirs(make_image(b"3", docker=True), "localhost/3:3")
    nameless = ours(Compression.GZIP, name=f"localhost/four@sha256:{'4' * 64}")
    data = archive_of(plain, packed, docker, nameless, form=ArchiveForm.OCI)
    (tmp_path / "x.tar").write_bytes(data)
    for stored in (plain, packed, docker):
        with opened_oci_archive(tmp_path / "x.tar", "x", str(stored.image.reference)) as source:
            document = source.document()
            for blob, content in zip(
                listed_blobs(document), (stored.image.documents.config, *stored.layers), strict=True
            ):
                with source.blob(blob) as chunks:
                    assert b"".join(chunks) == content
        assert (document.data == stored.image.documents.manifest) == (stored is plain)
    index = json.loads(members(data)["index.json"])["manifests"]
    assert [entry.get("annotations", {}).get("io.containerd.image.name") for entry in index] == [
        NAME, "localhost/two:2", "localhost/3:3", None,
    ]  # fmt: skip


def test_an_image_whose_layers_are_others_by_now_is_said() -> None:
    image = theirs(make_image(b"1", b"2")).image
    with pytest.raises(BuildError, match="was changed while it was saved"):
        list(carried_archive([image], [], ArchiveForm.DOCKER))


@pytest.mark.parametrize("form", ArchiveForm)
def test_what_this_program_has_compressed_is_made_anew(form: ArchiveForm, tmp_path: Path) -> None:
    both = ours(Compression.GZIP, Compression.ZSTD, Compression.GZIP)
    plain = theirs(make_image(b"plain", packed=False), "localhost/plain:1")
    docker = ours(Compression.GZIP, name="localhost/docker:1")
    manifest = json.loads(docker.image.documents.manifest) | {"mediaType": DOCKER_MANIFEST}
    manifest["layers"][0]["mediaType"] = DOCKER_GZIP
    documents = attrs.evolve(docker.image.documents, manifest=to_json(manifest))
    docker = attrs.evolve(docker, image=attrs.evolve(docker.image, documents=documents))
    images, blobs = unpacked(archive_of(both, plain, docker, form=form), tmp_path)
    assert [(image.reference, image.documents) for image in images] == [
        (stored.image.reference, stored.image.documents) for stored in (both, plain, docker)
    ]

    def nobody(diff_id: str, compression: Compression) -> str:
        raise AssertionError

    restorer = LayerRestorer(blobs, nobody)
    for image in images:
        assert restorer.restore(image)
        check_layers(image, blobs)


def check_layers(image: UnpackedImage, blobs: BlobFolder) -> None:
    for layer in json.loads(image.documents.manifest)["layers"]:
        assert digest_of(blobs.path(layer["digest"]).read_bytes()) == layer["digest"]


@attrs.frozen
class Others:
    """Compresses by zlib; knows what it was asked for."""

    blobs: BlobFolder
    asked: list[str] = attrs.field(factory=list)

    def recompress(self, diff_id: str, compression: Compression) -> str:
        assert compression is Compression.GZIP
        self.asked.append(diff_id)
        digest, _ = self.blobs.put_unknown([gzipped(self.blobs.path(diff_id).read_bytes())])
        return digest


def pushed(stored: Stored) -> Stored:
    """The same image with all its layers compressed by others."""
    packed = [gzipped(layer) for layer in stored.layers]
    manifest = json.loads(stored.image.documents.manifest)
    manifest["layers"] = [{**manifest["layers"][0], "digest": digest_of(layer), "size": len(layer)} for layer in packed]
    documents = attrs.evolve(stored.image.documents, manifest=to_json(manifest))
    return attrs.evolve(stored, image=attrs.evolve(stored.image, documents=documents))


def test_what_others_have_compressed_is_left_to_them(tmp_path: Path) -> None:
    made = (
        theirs(make_image(b"1", b"2")),
        theirs(make_image(b"1", b"3", docker=True), "localhost/docker:1"),
        pushed(ours(Compression.GZIP, Compression.GZIP, name="localhost/pushed:1")),
        ours(Compression.GZIP, comment="buildah", name="localhost/unmarked:1"),
    )
    images, blobs = unpacked(archive_of(*made), tmp_path)
    others = Others(blobs)
    restorer = LayerRestorer(blobs, others.recompress)
    assert [restorer.restore(image) for image in images] == [True, True, True, False]
    for image in images[:3]:
        check_layers(image, blobs)
    assert sorted(others.asked) == sorted({digest_of(layer) for stored in made for layer in stored.layers})


def test_the_smallest_layer_that_differs_is_the_last_that_is_made(tmp_path: Path) -> None:
    """The layers were made by this program, and the libraries make something else of them now."""
    image = theirs(make_image(b"x" * 100_000, b"y" * 70_000, b"small"))
    manifest = json.loads(image.image.documents.manifest)
    manifest["layers"][2]["digest"] = digest_of(b"by another zlib")
    documents = attrs.evolve(image.image.documents, manifest=to_json(manifest))
    stored = attrs.evolve(image, image=attrs.evolve(image.image, documents=documents))
    [found], blobs = unpacked(archive_of(stored), tmp_path)
    others = Others(blobs)
    assert not LayerRestorer(blobs, others.recompress).restore(found)
    assert others.asked == [found.diff_ids[2]]


def test_what_nobody_knows_is_not_tried(tmp_path: Path) -> None:
    image = theirs(make_image(b"1"))
    manifest = json.loads(image.image.documents.manifest)
    manifest["layers"][0]["mediaType"] += "+encrypted"
    documents = attrs.evolve(image.image.documents, manifest=to_json(manifest))
    [found], blobs = unpacked(
        archive_of(attrs.evolve(image, image=attrs.evolve(image.image, documents=documents))), tmp_path
    )
    others = Others(blobs)
    assert not LayerRestorer(blobs, others.recompress).restore(found)
    assert others.asked == []


@settings(max_examples=60)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_does_not_matter(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stored = ours(Compression.GZIP, Compression.ZSTD)
    whole = archive_of(stored)
    place = data.draw(st.integers(512, len(whole) - 1))
    if data.draw(st.booleans()):
        # Blocks of zeros end it, and only those.
        harmed = whole[: min(place, len(whole) - 1024)]
    else:
        harmed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    folder = tmp_path_factory.mktemp("damaged")
    try:
        images, blobs = unpacked(harmed, folder)
    except InputError:
        return
    assert len(harmed) == len(whole)
    [image] = images
    assert image.documents == stored.image.documents
    assert [blobs.path(diff_id).read_bytes() for diff_id in image.diff_ids] == list(stored.layers)


def listing(*images: object, version: int = 1) -> tuple[str, bytes]:
    return "stxbuildah.json", json.dumps({"schemaVersion": version, "images": images}).encode()


SOUND = make_image(b"1")
MANIFEST = SOUND.document.digest
BLOBS = [(f"blobs/sha256/{digest[7:]}", blob) for digest, blob in SOUND.blobs.items()]
LAYER = (f"blobs/sha256/{digest_of(SOUND.layers[0])[7:]}", SOUND.layers[0])
ENTRY = {"name": NAME, "manifest": MANIFEST}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("stxbuildah.json", b"{"), *BLOBS], "is not JSON"),
        ([("stxbuildah.json", b" " * 5_000_000), *BLOBS], "does not begin with"),
        ([listing(), *BLOBS, LAYER], "holds no images"),
        ([listing(*[ENTRY] * 10_001)], "or more than 10000"),
        ([listing(ENTRY, version=2), *BLOBS, LAYER], "another version of stxb"),
        ([listing({**ENTRY, "name": "UPPER case"}), *BLOBS, LAYER], "not an image reference"),
        ([listing({**ENTRY, "name": f"x@{MANIFEST}"}), *BLOBS, LAYER], "names an image by its digest"),
        ([listing({"name": NAME}), *BLOBS, LAYER], "has no blob ''"),
        ([listing({**ENTRY, "manifest": "sha256:../../etc/passwd"}), *BLOBS, LAYER], r"no blob 'sha256:\.\./"),
        ([listing({**ENTRY, "manifest": digest_of(b"absent")}), *BLOBS, LAYER], "has no blob"),
        ([listing({**ENTRY, "manifest": digest_of(SOUND.layers[0])}), *BLOBS, LAYER], "is not JSON"),
        ([listing({**ENTRY, "manifest": digest_of(SOUND.config)}), *BLOBS, LAYER], "schema version"),
        ([listing(ENTRY), *BLOBS], "has no blob"),
        ([listing(ENTRY), *BLOBS, (LAYER[0], b"something else")], "its blob .* has the digest"),
        ([listing(ENTRY), *BLOBS[:1], (BLOBS[1][0], b" " * 4_194_305)], "its blob .* has the digest"),
        ([listing(ENTRY), *[LAYER] * 10_001], "more than 10000 blobs"),
    ],
    ids=range(16),
)  # fmt: skip
def test_hostile_archives_are_refused(files: list[tuple[str, bytes]], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        unpacked(tar(files), tmp_path)


def test_nothing_but_blobs_is_written(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (listing(ENTRY), ("../escaped", b"x"), ("/absolute", b"x"), *BLOBS, LAYER):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name in ("blobs", f"blobs/sha256/{'a' * 64}", f"blobs/sha256/{MANIFEST[7:]}"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path)
            archive.addfile(info)
    outside = set(tmp_path.parent.iterdir())
    images, _ = unpacked(stream.getvalue(), tmp_path / "in")
    assert images[0].documents.manifest == SOUND.document.data
    written = {path.relative_to(tmp_path / "in").as_posix() for path in (tmp_path / "in").rglob("*")}
    assert written == {"blobs", *(name.replace("/sha256", "") for name, _ in (*BLOBS, LAYER))}
    assert set(tmp_path.parent.iterdir()) == outside


def test_other_archives_are_none_of_these() -> None:
    for data in (b"", b"stxbuildah.json", tar({"manifest.json": b"[]"}), tar({"stxbuildah.json5": b""})):
        stream = ByteStream([data], limit=2**40, name="x.tar")
        assert not is_carried(stream)
        assert b"".join(stream.rest()) == data
