# SPDX-License-Identifier: Apache-2.0
"""Documents from strangers: whatever they hold, they are read or refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.errors import InputError, StxbError
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST
from stxbuildah.transport.archivefiles import ArchiveFiles
from stxbuildah.transport.dockerarchive import DockerArchiveSource
from stxbuildah.transport.documents import listed_blobs, shown, shown_list
from stxbuildah.transport.files import ImageFiles
from stxbuildah.transport.membertable import read_members
from stxbuildah.transport.ocilayout import LayoutSource
from stxbuildah.transport.platforms import indexed_images, replaced_index
from tests.unit.transport.images import Json, docker_archive_files, layout_files, make_image, tar, to_json

IMAGE = make_image(b"content")
DIGEST = IMAGE.document.digest
KEYS = st.sampled_from(
    [
        *("manifests", "mediaType", "digest", "size", "annotations", "platform", "os", "architecture", "variant"),
        *("config", "layers", "rootfs", "diff_ids", "Config", "Layers", "RepoTags", "imageLayoutVersion"),
        *("org.opencontainers.image.ref.name", "vnd.docker.reference.type", "vnd.docker.reference.digest"),
    ]
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**70), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from([DIGEST, "1.0.0", "attestation-manifest", OCI_MANIFEST, "manifest.json", "../x"]),
)  # fmt: skip
VALUES: st.SearchStrategy[Json] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


def mutated(value: Json, choice: st.DataObject) -> Json:
    """Give a value with something in it replaced."""
    if isinstance(value, dict) and value and choice.draw(st.booleans()):
        key = choice.draw(st.sampled_from(sorted(value)))
        return {**value, key: mutated(value[key], choice)}
    if isinstance(value, list) and value and choice.draw(st.booleans()):
        place = choice.draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(value[place], choice), *value[place + 1 :]]
    return choice.draw(VALUES)


@contextmanager
def in_memory(files: dict[str, bytes]) -> Iterator[ArchiveFiles]:
    descriptor = os.memfd_create("archive")
    try:
        os.write(descriptor, tar(files))
        yield ArchiveFiles(descriptor, read_members(descriptor, "x"), "x")
    finally:
        os.close(descriptor)


def read_layout(files: ImageFiles) -> None:
    document = LayoutSource(files, "x").document()
    list(listed_blobs(document))


@settings(deadline=None)
@given(st.data(), st.sampled_from(["index.json", "oci-layout"]))
def test_whatever_a_layout_says_is_read_or_refused(choice: st.DataObject, name: str) -> None:
    files = layout_files({"1.0": IMAGE})
    before: Json = {"imageLayoutVersion": "1.0.0"}
    if name == "index.json":
        entry: Json = {"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": len(IMAGE.document.data)}
        before = {"schemaVersion": 2, "manifests": [entry], "annotations": {}}
    with in_memory({**files, name: to_json(mutated(before, choice))}) as changed:
        try:
            read_layout(changed)
        except StxbError:
            return


@settings(deadline=None)
@given(st.data())
def test_whatever_a_docker_archive_says_is_read_or_refused(choice: st.DataObject) -> None:
    files = docker_archive_files({"x:1": IMAGE})
    config, layer = sorted(set(files) - {"manifest.json"}, key=lambda name: name.endswith(".tar"))
    manifest: Json = [{"Config": config, "RepoTags": ["x:1"], "Layers": [layer]}]
    configuration: Json = {"os": "linux", "rootfs": {"diff_ids": [f"sha256:{layer[:64]}"]}}
    changed = (
        {"manifest.json": to_json(mutated(manifest, choice))}
        if choice.draw(st.booleans())
        else {config: to_json(mutated(configuration, choice))}
    )
    with in_memory({**files, **changed}) as archive:
        try:
            DockerArchiveSource(archive, "x").document()
        except StxbError:
            return


@settings(deadline=None)
@given(VALUES)
def test_whatever_an_index_says_is_read_or_refused(value: Json) -> None:
    for index in (Document(OCI_INDEX, to_json(value)), Document(OCI_INDEX, to_json({"manifests": [value]}))):
        try:
            indexed_images(index)
            replaced_index(index, {DIGEST: None})
        except InputError:
            continue


@settings(deadline=None)
@given(VALUES)
def test_whatever_a_manifest_says_is_read_or_refused(value: Json) -> None:
    for content in (value, {"config": value, "layers": [value]}):
        try:
            list(listed_blobs(Document(OCI_MANIFEST, to_json(content))))
        except InputError:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", "1.0"),
        ("\x1b[2J", r"'\x1b[2J'"),
        ("a\nb", r"'a\nb'"),
        ("\ud800", r"'\ud800'"),
        ("\u202etxt", r"'\u202etxt'"),
        ("x" * 300, "x" * 200 + "..."),
    ],
)
def test_a_strangers_text_does_nothing_to_a_terminal(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_of_many_texts_some_are_shown() -> None:
    assert shown_list(["b", "a", "b"]) == "b, a"
    assert shown_list(str(number) for number in range(100)).endswith("18, 19, and 80 more")
