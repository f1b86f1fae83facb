# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
from collections.abc import Callable

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.append import append_layer, created_time, empty_image, has_triggers, without_triggers
from stxbuildah.layer.documents import Json
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST, ImageDocuments
from stxbuildah.model.layer import Compression, LayerBlob

Document = dict[str, Json]
BLOB = LayerBlob(
    diff_id="sha256:" + "d" * 64,
    digest="sha256:" + "b" * 64,
    size=123,
    uncompressed_size=1024,
    compression=Compression.GZIP,
)
ZSTD_BLOB = attrs.evolve(BLOB, compression=Compression.ZSTD)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config_document() -> Document:
    return {
        "created": "2024-01-02T03:04:05.678901234Z",
        "architecture": "amd64",
        "os": "linux",
        "x-unknown": {"kept": [1, 2.5, None, "<&>"]},
        "config": {"Env": ["PATH=/bin"], "Labels": {"old": "1", "both": "base"}, "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64, "sha256:" + "2" * 64]},
        "history": [
            {"created_by": "base"},
            {"created_by": "ENV", "empty_layer": True},
            {"created_by": "second", "empty_layer": False},
        ],
    }


def manifest_document(kind: str = OCI_MANIFEST) -> Document:
    layer = {
        OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
        DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }[kind]
    return {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": OCI_CONFIG, "digest": "", "size": 0},
        "layers": [
            {"mediaType": layer, "digest": "sha256:" + "3" * 64, "size": 3},
            {"mediaType": layer, "digest": "sha256:" + "4" * 64, "size": 4},
        ],
    }


def image(config: Document, manifest: Document) -> ImageDocuments:
    data = json.dumps(config).encode()
    manifest["config"] = {"mediaType": OCI_CONFIG, "digest": digest(data), "size": len(data)}
    return ImageDocuments(manifest=json.dumps(manifest, indent=3).encode(), config=data)


def test_the_new_documents_differ_in_what_was_asked_and_nothing_else() -> None:
    base = image(config_document(), {**manifest_document(), "annotations": {"old": "1", "both": "base"}})

    made = append_layer(
        base,
        BLOB,
        timestamp=1_700_000_000,
        created_by="stxb update",
        comment="six 1.17",
        labels={"both": "new", "more": "2"},
        annotations={"both": "new"},
        config_changes={"Cmd": None, "User": "nobody"},
    )

    expected = config_document()
    expected["created"] = "2023-11-14T22:13:20Z"
    expected["config"] = {
        "Env": ["PATH=/bin"],
        "Labels": {"old": "1", "both": "new", "more": "2"},
        "User": "nobody",
    }
    expected["rootfs"] = {
        "type": "layers",
        "diff_ids": ["sha256:" + "1" * 64, "sha256:" + "2" * 64, BLOB.diff_id],
    }
    expected["history"] = [
        {"created_by": "base"},
        {"created_by": "ENV", "empty_layer": True},
        {"created_by": "second", "empty_layer": False},
        {"created": "2023-11-14T22:13:20Z", "created_by": "stxb update", "comment": "six 1.17"},
    ]
    layer = "application/vnd.oci.image.layer.v1.tar+gzip"
    expected_manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest(made.config), "size": len(made.config)},
        "layers": [
            {"mediaType": layer, "digest": "sha256:" + "3" * 64, "size": 3},
            {"mediaType": layer, "digest": "sha256:" + "4" * 64, "size": 4},
            {"mediaType": layer, "digest": BLOB.digest, "size": 123},
        ],
        "annotations": {"old": "1", "both": "new"},
    }
    # Compared as text: the order of the keys is kept too.
    assert made.config.decode() == json.dumps(expected, separators=(",", ":"))
    assert made.manifest.decode() == json.dumps(expected_manifest, separators=(",", ":"))


def test_a_docker_image_stays_one_and_gets_no_annotations() -> None:
    base = image(config_document(), manifest_document(DOCKER_MANIFEST))

    made = json.loads(append_layer(base, BLOB, timestamp=0, created_by="x", annotations={"a": "b"}).manifest)

    assert made["mediaType"] == DOCKER_MANIFEST
    assert "annotations" not in made
    assert made["layers"][-1]["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip"


def test_zstd_has_a_type_in_oci_and_none_in_docker() -> None:
    oci = append_layer(image(config_document(), manifest_document()), ZSTD_BLOB, timestamp=0, created_by="x")
    docker = image(config_document(), manifest_document(DOCKER_MANIFEST))

    assert json.loads(oci.manifest)["layers"][-1]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"
    with pytest.raises(InputError, match="Docker manifest, which knows no layers compressed by zstd"):
        append_layer(docker, ZSTD_BLOB, timestamp=0, created_by="x")


def test_a_manifest_without_media_type_is_read_as_oci_and_gets_none() -> None:
    manifest = manifest_document()
    del manifest["mediaType"]

    made = json.loads(append_layer(image(config_document(), manifest), BLOB, timestamp=0, created_by="x").manifest)

    assert "mediaType" not in made
    assert len(made["layers"]) == 3


def test_layers_without_history_get_an_entry_each() -> None:
    config = config_document()
    del config["history"]

    made = json.loads(append_layer(image(config, manifest_document()), BLOB, timestamp=0, created_by="x").config)

    assert made["history"] == [{}, {}, {"created": "1970-01-01T00:00:00Z", "created_by": "x"}]


def test_labels_come_to_an_image_whose_settings_are_null() -> None:
    config = config_document()
    config["config"] = {"Labels": None}

    made = append_layer(image(config, manifest_document()), BLOB, timestamp=0, created_by="x", labels={"a": "1"})

    assert json.loads(made.config)["config"] == {"Labels": {"a": "1"}}


def test_a_first_layer_on_an_empty_image() -> None:
    base = empty_image(architecture="arm64", variant="v8", config={"Cmd": ["sh"]})

    made = append_layer(base, BLOB, timestamp=5, created_by="stxb base")

    assert json.loads(made.config) == {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [BLOB.diff_id]},
        "history": [{"created": "1970-01-01T00:00:05Z", "created_by": "stxb base"}],
        "created": "1970-01-01T00:00:05Z",
    }
    assert len(json.loads(made.manifest)["layers"]) == 1


def set_key(key: str, value: Json) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document[key] = value

    return change


@pytest.mark.parametrize(
    ("in_config", "in_manifest", "message"),
    [
        (None, set_key("schemaVersion", 1), "schema version 1, where 2 is needed"),
        (None, set_key("manifests", []), "list of images for several platforms"),
        (None, set_key("mediaType", "application/x-other"), "type application/x-other, is not one"),
        (None, set_key("layers", []), "manifest lists 0 layers, its configuration 2 diff IDs"),
        (None, set_key("layers", "none"), 'layers of the manifest should be stands "none"'),
        (set_key("rootfs", None), None, "rootfs of the configuration should be stands null"),
        (set_key("history", [{}]), None, "history tells of 1 layers, its manifest lists 2"),
        (set_key("history", [1]), None, "a step of the history should be stands 1"),
    ],
)
def test_a_base_that_contradicts_itself_is_refused(
    in_config: Callable[[Document], None] | None, in_manifest: Callable[[Document], None] | None, message: str
) -> None:
    config, manifest = config_document(), manifest_document()
    if in_config is not None:
        in_config(config)
    if in_manifest is not None:
        in_manifest(manifest)

    with pytest.raises(InputError) as caught:
        append_layer(image(config, manifest), BLOB, timestamp=0, created_by="x")

    assert message in caught.value.message


def test_a_configuration_of_another_image_is_refused() -> None:
    base = attrs.evolve(image(config_document(), manifest_document()), config=b"{}")

    with pytest.raises(InputError, match="damaged: its configuration has the digest sha256:44136fa"):
        append_layer(base, BLOB, timestamp=0, created_by="x")


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"not json"])
def test_a_document_that_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is not JSON"):
        append_layer(ImageDocuments(manifest=data, config=b"{}"), BLOB, timestamp=0, created_by="x")


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T22:13:20.999999999Z", 1_700_000_000),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000),
        ("0001-01-01T00:00:00Z", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_the_time_of_creation_is_read(created: Json, expected: int) -> None:
    assert created_time(json.dumps({"created": created}).encode()) == expected


def test_an_image_that_does_not_say_when_it_was_made_is_of_time_zero() -> None:
    assert created_time(b"{}") == 0


def test_a_time_that_is_none_is_an_error() -> None:
    with pytest.raises(InputError, match="created at 'yesterday'"):
        created_time(b'{"created":"yesterday"}')


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_triggers_alone_are_taken_out(kind: str) -> None:
    plain = config_document()
    triggered = config_document()
    settings = triggered["config"]
    assert isinstance(settings, dict)
    settings["OnBuild"] = ["RUN touch /x"]
    triggered["container_config"] = {"OnBuild": ["COPY . /"], "Cmd": ["sh"]}
    before = image(triggered, manifest_document(kind))
    after = without_triggers(before)
    assert (has_triggers(before), has_triggers(after)) == (True, False)
    assert json.loads(after.config) == plain | {"container_config": {"Cmd": ["sh"]}}
    manifest = json.loads(after.manifest)
    assert manifest["config"] == {"mediaType": OCI_CONFIG, "digest": digest(after.config), "size": len(after.config)}
    assert {**manifest, "config": 0} == {**json.loads(before.manifest), "config": 0}


def test_an_image_without_settings_has_no_triggers() -> None:
    assert not has_triggers(empty_image(architecture="amd64"))
    assert not has_triggers(image({**config_document(), "config": None}, manifest_document()))
