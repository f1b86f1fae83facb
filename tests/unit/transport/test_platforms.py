# SPDX-License-Identifier: Apache-2.0
"""Indexes of images."""

import json
import platform

import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Document, Platform
from stxbuildah.model.image import DOCKER_MANIFEST_LIST, OCI_INDEX
from stxbuildah.transport.platforms import chosen_image, indexed_images, is_index, replaced_index, this_platform
from tests.unit.transport.images import Image, Json, index_of, make_image, to_json


def on(text: str) -> dict[str, Json]:
    """Give an entry's platform."""
    wanted = Platform.parse(text)
    value: dict[str, Json] = {"os": wanted.os, "architecture": wanted.architecture}
    if wanted.variant:
        value["variant"] = wanted.variant
    return {"platform": value}


def attesting(image: Image) -> dict[str, Json]:
    return {
        **on("unknown/unknown"),
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image.document.digest,
        },
    }


def made(*platforms: str) -> tuple[Document, dict[str, str]]:
    """Give an index of an image for each platform, and the platforms by digest."""
    images = {name: make_image(name.encode()) for name in platforms}
    index = index_of(*((image, on(name)) for name, image in images.items()))
    return index, {image.document.digest: name for name, image in images.items()}


@pytest.mark.parametrize(
    ("wanted", "listed", "expected"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/amd64", "linux/arm64"], "linux/arm64"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"),
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm"], "linux/arm"),
        ("linux/arm", ["linux/arm/v6", "linux/arm"], "linux/arm"),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64/v1"], "linux/amd64/v1"),
        ("linux/riscv64/other", ["linux/riscv64"], "linux/riscv64"),
    ],
)
def test_the_image_that_suits_best_is_chosen(wanted: str, listed: list[str], expected: str) -> None:
    index, platforms = made(*listed)
    chosen = chosen_image(indexed_images(index), Platform.parse(wanted), "x")
    assert platforms[chosen.digest] == expected


@pytest.mark.parametrize(
    ("wanted", "listed"),
    [
        ("linux/amd64", ["linux/arm64"]),
        ("windows/amd64", ["linux/amd64"]),
        # Not every processor of amd64 runs the third level.
        ("linux/amd64", ["linux/amd64/v3"]),
        ("linux/arm/v6", ["linux/arm/v7"]),
    ],
)
def test_no_suitable_image_is_an_error_that_lists_the_platforms(wanted: str, listed: list[str]) -> None:
    index, _ = made(*listed)
    with pytest.raises(InputError, match=f"x has no image for {wanted}") as caught:
        chosen_image(indexed_images(index), Platform.parse(wanted), "x")
    assert listed[0] in caught.value.hint


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("armv6l", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("ppc64le", "linux/ppc64le"),
        ("s390x", "linux/s390x"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_the_names_of_machines_are_turned_into_those_of_go(machine: str, expected: str) -> None:
    assert str(this_platform(machine)) == expected


def test_this_machine_is_what_the_system_says() -> None:
    assert this_platform() == this_platform(platform.machine())


def test_attestations_and_others_are_no_images() -> None:
    image, other = make_image(b"image"), make_image(b"other")
    nested: dict[str, Json] = {"mediaType": OCI_INDEX, **on("linux/amd64")}
    index = index_of(
        (image, on("linux/amd64")), (make_image(b"proof"), attesting(image)), (other, {}), (make_image(b"n"), nested)
    )
    found = indexed_images(index)
    assert [(descriptor.digest, str(listed)) for descriptor, listed in found.images] == [
        (image.document.digest, "linux/amd64")
    ]
    assert [dict(one.annotations)["vnd.docker.reference.digest"] for one in found.attestations] == [
        image.document.digest
    ]
    assert [one.media_type for one in found.others] == [other.document.media_type, OCI_INDEX]


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_MANIFEST_LIST])
def test_a_replaced_index_differs_in_what_was_replaced_alone(media_type: str) -> None:
    old, kept, new = make_image(b"old"), make_image(b"kept"), make_image(b"new")
    entries = index_of(
        (old, {**on("linux/amd64"), "annotations": {"a": "b"}, "data": "b2xk", "x-unknown": [1, {"b": None}]}),
        (make_image(b"proof"), attesting(old)),
        (kept, {**on("linux/arm64/v8")}),
        (make_image(b"other proof"), attesting(kept)),
    )
    content = {**json.loads(entries.data), "mediaType": media_type, "annotations": {"z": "1", "a": "\u00e9"}, "x": 1.5}
    index = Document(media_type, to_json(content))

    changed = replaced_index(index, {old.document.digest: new.document})

    listed = content["manifests"]
    expected = {
        **content,
        "manifests": [
            {
                **{key: value for key, value in listed[0].items() if key != "data"},
                "digest": new.document.digest,
                "size": len(new.document.data),
            },
            listed[2],
            listed[3],
        ],
    }
    assert changed.media_type == media_type
    assert is_index(changed)
    assert json.loads(changed.data) == expected
    assert list(json.loads(changed.data)) == list(content)


def test_a_manifest_can_be_taken_out_of_an_index() -> None:
    index, platforms = made("linux/amd64", "linux/arm64")
    gone, stays = platforms
    assert [one.digest for one, _ in indexed_images(replaced_index(index, {gone: None})).images] == [stays]


def test_an_index_without_changes_keeps_its_attestations() -> None:
    image = make_image(b"image")
    index = index_of((image, on("linux/amd64")), (make_image(b"proof"), attesting(image)))
    same = replaced_index(index, {image.document.digest: image.document})
    assert json.loads(same.data) == json.loads(index.data)


def test_what_the_index_lacks_cannot_be_replaced() -> None:
    index, _ = made("linux/amd64")
    with pytest.raises(InputError, match="does not list sha256:1"):
        replaced_index(index, {"sha256:1": None})


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"manifests": {}}', b'{"manifests": [1]}', b'{"manifests": [{"digest": []}]}']
)
def test_a_damaged_index_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        indexed_images(Document(OCI_INDEX, data))
    with pytest.raises(InputError):
        replaced_index(Document(OCI_INDEX, data), {"sha256:1": None})
