# SPDX-License-Identifier: Apache-2.0
"""What a registry's answer is taken for: values in, a document or a clear refusal out."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.documents import KNOWN_TYPES, read_document, target_of
from tests.unit.registry_client.memory import digest_of

NAMED = ImageReference.parse("quay.example/a/b:1")
MANIFEST = {"schemaVersion": 2, "config": {}, "layers": []}
INDEX = {"schemaVersion": 2, "manifests": []}


def read(content: object, told: str = "", **headers: str) -> Document:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_document(data, {"Content-Type": told, **headers}, NAMED)


@pytest.mark.parametrize("media_type", KNOWN_TYPES)
def test_the_type_is_what_the_header_says(media_type: str) -> None:
    content = INDEX if "index" in media_type or "list" in media_type else MANIFEST
    assert read(content, f"{media_type}; charset=utf-8").media_type == media_type
    assert read({**content, "mediaType": media_type}, media_type.upper()).media_type == media_type


@pytest.mark.parametrize("told", ["", "application/json", "text/plain; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (MANIFEST, OCI_MANIFEST),
        (INDEX, OCI_INDEX),
        ({**MANIFEST, "mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST),
    ],
    ids=["manifest", "index", "own type"],
)
def test_without_a_header_that_tells_the_document_does(told: str, content: object, media_type: str) -> None:
    assert read(content, told).media_type == media_type


@pytest.mark.parametrize(
    ("content", "told", "sentence"),
    [
        (b"<html>", "text/html", "the manifest of quay.example/a/b:1 is no JSON"),
        (b"[" * 100_000, OCI_MANIFEST, "is no JSON"),
        (b"\xff\xfe", OCI_MANIFEST, "is no JSON"),
        ([], OCI_MANIFEST, "is no JSON object"),
        ({}, "", "is neither the manifest of an image nor an index"),
        ({**MANIFEST, **INDEX}, OCI_MANIFEST, "is ambiguous"),
        ({**INDEX, "config": {}}, OCI_INDEX, "is ambiguous"),
        ({**MANIFEST, "mediaType": OCI_INDEX}, OCI_MANIFEST, f"says that it is {OCI_INDEX}, and its registry that"),
        ({"schemaVersion": 1, "fsLayers": []}, "application/json", "Docker's old format"),
        ({}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "Docker's old format"),
    ],
)
def test_what_is_refused(content: object, told: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        read(content, told)


def test_a_digest_that_the_registry_names_is_checked() -> None:
    data = json.dumps(MANIFEST).encode()
    good = {"Docker-Content-Digest": digest_of(data)}
    assert read(data, OCI_MANIFEST, **good).digest == digest_of(data)
    assert read(data, OCI_MANIFEST, **{"Docker-Content-Digest": "sha512:00"}).data == data
    with pytest.raises(InputError, match="is damaged: its digest is"):
        read(data + b" ", OCI_MANIFEST, **good)


@given(
    st.binary(max_size=200)
    | st.dictionaries(st.text(max_size=9), st.integers()).map(lambda it: json.dumps(it).encode())
)
def test_anything_else_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(InputError, match=r"quay\.example/a/b:1"):
        read_document(data, {}, NAMED)


def test_what_names_an_image() -> None:
    digest = digest_of(b"")
    assert target_of(NAMED) == "1"
    assert target_of(ImageReference.parse("quay.example/a/b")) == "latest"
    assert target_of(ImageReference.parse(f"quay.example/a/b:1@{digest}")) == digest
    with pytest.raises(InputError, match="is named by a digest that is not sha256"):
        target_of(ImageReference.parse("quay.example/a/b@sha512:" + "0" * 128))
