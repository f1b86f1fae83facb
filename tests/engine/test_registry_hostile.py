# SPDX-License-Identifier: Apache-2.0
"""Images and inventories in a registry that were made to do harm: refused, or not believed, and nothing is left."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import zstandard

from stxbuildah.job.artifact import ARTIFACT_TYPE, INDEX_TYPE, LAYER_ANNOTATION
from stxbuildah.layer.indexformat import BLOCK, HEADER_REST, HEADER_SIZE, HEADER_START, MAGIC, VERSION
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST
from tests.engine import faulttable
from tests.engine.faultplaces import IMAGE, Place, left, make_place, run_here, seen, with_temporary_folder, words
from tests.engine.faultserver import running_fault_server
from tests.engine.pythonimages import Member, PythonImage, as_tar, file, folder, make_image, push_blob, python
from tests.engine.registries import Registry
from tests.engine.stxb import Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

TAR = as_tar([folder("opt"), file("opt/data", bytes(100_000))])


@pytest.fixture
def stxb(stxb: Stxb) -> Stxb:
    """The command, with a folder of temporary files of its own."""
    return with_temporary_folder(stxb)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "stx-safe", "1.0")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def with_layer(blob: bytes, diff_id: str) -> PythonImage:
    """Give the image whose second layer has these bytes, of which its manifest tells the truth."""
    config = json.loads(IMAGE.config)
    config["rootfs"]["diff_ids"][1] = diff_id
    encoded = json.dumps(config).encode()
    manifest = json.loads(IMAGE.document.data)
    manifest["layers"][1].update(digest=digest_of(blob), size=len(blob))
    manifest["config"].update(digest=digest_of(encoded), size=len(encoded))
    blobs = {**IMAGE.blobs, digest_of(blob): blob, digest_of(encoded): encoded}
    return PythonImage(document=Document(OCI_MANIFEST, json.dumps(manifest).encode()), config=encoded, blobs=blobs)


def deep_folders() -> PythonImage:
    return make_image(python(), [file(f"{number}/{'a/' * 2000}x") for number in range(200)])


HOSTILE: Mapping[str, Callable[[], PythonImage]] = {
    "a layer ends in its middle, and its digest is right": lambda: with_layer(
        gzip.compress(TAR)[:-200], digest_of(TAR)
    ),
    "a layer is no tar": lambda: with_layer(gzip.compress(bytes(range(256)) * 100), digest_of(TAR)),
    "a layer's tar is not what the configuration says": lambda: with_layer(gzip.compress(TAR), digest_of(TAR[:-1])),
    "a layer's compressed stream is followed by something else": lambda: with_layer(
        zstandard.ZstdCompressor().compress(TAR) + b"more", digest_of(TAR)
    ),
    "a path in a layer is longer than Linux has it": lambda: make_image(python(), [file("a/" * 3000 + "x")]),
    "a layer of a few kilobytes makes folders without end": deep_folders,
    "a layer is more than 16 GiB and 200 times its blob": lambda: with_layer(gzip.compress(Tar.huge()), digest_of(TAR)),
    "a layer leads out of the image": lambda: make_image(python(), [Member("../../etc/passwd", content=b"x")]),
}


class Tar:
    @staticmethod
    def huge() -> bytes:
        """Give the beginning of a tar with one file of a tebibyte."""
        header = bytearray(as_tar([file("huge")])[:512])
        header[124:136] = b"\x80" + (1 << 40).to_bytes(11, "big")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + bytes(1024)


@pytest.mark.parametrize("happens", HOSTILE)
def test_a_layer_that_does_harm(happens: str, stxb: Stxb, registry: Registry, wheel: Path) -> None:
    image = HOSTILE[happens]()
    number = [*HOSTILE].index(happens)
    place = make_place(registry, f"hostile/{number}", image)
    with running_fault_server(registry.address) as server:
        ended = run_here(stxb, *words(place, server, wheel))
        requests = len(server.asked("GET", f"/blobs/{image.layers[1]['digest']}"))
        assert (ended.status, requests, ended.out) == (2, 1, ""), ended.err
        assert left(stxb) == []
        place.check_unchanged()
        faulttable.check(happens, "stops; nothing of the layer is kept", seen(ended, place, 1))


@attrs.frozen(kw_only=True)
class Beside:
    """What is stored beside an image: its inventory, which tests replace by another one.

    Attributes:
        place: the image's repository; its tag ``new`` is the image.
        subject: the image's manifest.
        indexes: the index of each of its layers, as its maker had it.
    """

    place: Place
    subject: bytes
    indexes: Mapping[str, bytes]

    @property
    def layers(self) -> list[str]:
        return [*self.indexes]

    def replace(self, indexes: Mapping[str, bytes]) -> None:
        """Put another inventory there, of these indexes for these layers; the registry serves exactly that."""
        blobs = [self._pushed(zstandard.ZstdCompressor().compress(index)) for index in indexes.values()]
        listed = [
            {"mediaType": INDEX_TYPE, **blob, "annotations": {LAYER_ANNOTATION: layer}}
            for layer, blob in zip(indexes, blobs, strict=True)
        ]
        empty = {"mediaType": "application/vnd.oci.empty.v1+json", **self._pushed(b"{}")}
        subject = {"mediaType": OCI_MANIFEST, "digest": digest_of(self.subject), "size": len(self.subject)}
        kind = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": ARTIFACT_TYPE}
        manifest = json.dumps({**kind, "config": empty, "layers": listed, "subject": subject}).encode()
        self._put(digest_of(manifest), manifest, OCI_MANIFEST)
        entry = {"mediaType": OCI_MANIFEST, "digest": digest_of(manifest), "size": len(manifest)}
        listing: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX}
        listing["manifests"] = [{**entry, "artifactType": ARTIFACT_TYPE}]
        self._put(digest_of(self.subject).replace(":", "-"), json.dumps(listing).encode(), OCI_INDEX)

    def _pushed(self, data: bytes) -> dict[str, object]:
        push_blob(self.place.registry, self.place.repository, digest_of(data), data)
        return {"digest": digest_of(data), "size": len(data)}

    def _put(self, name: str, document: bytes, kind: str) -> None:
        self.place.registry.put_manifest(self.place.repository, name, document, kind)


def image_with_inventory(stxb: Stxb, registry: Registry, repository: str, wheel: Path) -> Beside:
    """Update an image, whose inventory is then stored beside it and known here."""
    place = make_place(registry, repository)
    with running_fault_server(registry.address) as server:
        ended = run_here(stxb, *words(place, server, wheel))
    assert ended.status == 0, ended.err
    subject = registry.manifest(repository, "new")
    cache = Path(stxb.environment["XDG_CACHE_HOME"]) / "stxb/layers"
    layers = [str(layer["digest"]) for layer in json.loads(subject)["layers"]]
    indexes = {layer: next(cache.glob(f"{layer.replace(':', '-')}*.index")).read_bytes() for layer in layers}
    return Beside(place=place, subject=subject, indexes=indexes)


def updated(stxb: Stxb, beside: Beside, wheel: Path, *options: str, cache: Path) -> tuple[Any, set[str], str]:
    """Update that image once more; give the new layer, the layers that were read, and what was said."""
    place = beside.place
    fresh = attrs.evolve(stxb, environment={**stxb.environment, "XDG_CACHE_HOME": str(cache)})
    with running_fault_server(place.registry.address) as server:
        command = words(place, server, wheel, base="new", result=("--tag", "newer"))
        ended = run_here(fresh, *command, "--no-inventory-artifact", "--format", "json", *options)
        read = {layer for layer in beside.layers if server.asked("GET", f"/blobs/{layer}")}
    assert ended.status == 0, ended.err
    return ended.json["layer"], read, ended.err


def summed(data: bytearray) -> bytes:
    """Give a changed index with the checksum that its maker would have written."""
    end = HEADER_SIZE + int(HEADER_REST.unpack_from(data, HEADER_START.size)[0])
    checksum = zlib.crc32(data[HEADER_START.size : HEADER_SIZE], zlib.crc32(data[HEADER_SIZE:end]))
    HEADER_START.pack_into(data, 0, MAGIC, VERSION, checksum)
    return bytes(data)


def malformed(index: bytes) -> bytes:
    """Give an index whose root says that it has more entries than there are, with a right checksum."""
    data = bytearray(index)
    length, flags, count = BLOCK.unpack_from(data, HEADER_SIZE)
    BLOCK.pack_into(data, HEADER_SIZE, length, flags, count + 1_000_000)
    return summed(data)


def test_an_inventory_that_does_harm_is_not_believed(
    stxb: Stxb, registry: Registry, wheel: Path, tmp_path: Path
) -> None:
    beside = image_with_inventory(stxb, registry, "hostile/inventory", wheel)
    other = make_wheel(tmp_path, "stx-safe", "2.0")
    everything = set(beside.layers)
    right, read, _ = updated(stxb, beside, other, cache=tmp_path / "right")
    assert read == set()  # the inventory was found and saved the streams
    first, second, third = beside.layers
    one, two, three = beside.indexes.values()
    harmful = {
        "damaged": {first: one[:-1], second: two, third: three},
        "malformed": {first: malformed(one), second: two, third: three},
        "of another layer": {first: two, second: two, third: three},
        "no index": {first: b"{}", second: two, third: three},
        "too few layers": {first: one, second: two},
        "other layers": {first: one, third: three, second: two},
    }
    for name, indexes in harmful.items():
        beside.replace(indexes)
        layer, read, said = updated(stxb, beside, other, cache=tmp_path / name)
        assert (layer, read) == (right, everything), name
        assert "inventory.artifact.ignored" in said, name
    believed = faulttable.Seen(requests=0, status=0, said="")
    does = "does not believe it, says so, and reads the layers"
    faulttable.check("the inventory beside FROM is damaged, or of other layers", does, believed)


def test_an_inventory_is_believed_in_its_own_repository_alone(
    stxb: Stxb, registry: Registry, wheel: Path, tmp_path: Path
) -> None:
    """Who may write to one repository has no say about another one that shares layers."""
    beside = image_with_inventory(stxb, registry, "hostile/own", wheel)
    elsewhere = image_with_inventory(stxb, registry, "hostile/elsewhere", wheel)
    assert elsewhere.layers == beside.layers
    other = make_wheel(tmp_path, "stx-safe", "2.0")
    right, _, _ = updated(stxb, elsewhere, other, "--no-trust-inventory", cache=tmp_path / "right")
    # Of the layer that has the module it says what is true of another one, in a sound index with the right diff ID.
    _, second, third = beside.layers
    forged = bytearray(beside.indexes[second])
    *fields, _ = HEADER_REST.unpack_from(forged, HEADER_START.size)
    *_, diff_id = HEADER_REST.unpack_from(beside.indexes[third], HEADER_START.size)
    HEADER_REST.pack_into(forged, HEADER_START.size, *fields, diff_id)
    beside.replace({**beside.indexes, third: summed(forged)})
    wrong, read, _ = updated(stxb, beside, other, cache=tmp_path / "shared")
    assert (wrong != right, read) == (True, set())
    layer, read, _ = updated(stxb, elsewhere, other, cache=tmp_path / "shared")
    assert (layer, read) == (right, set())
