# SPDX-License-Identifier: Apache-2.0
"""Manifests that name plain layers."""

import json

import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.plainmanifest import plain_manifest, with_plain_layers
from stxbuildah.model.image import ImageDocuments
from tests.unit.transport.images import DOCKER_TAR, OCI_TAR, digest_of, make_image


def documents(*, docker: bool = False, packed: bool = True) -> ImageDocuments:
    image = make_image(b"one", b"two", docker=docker, packed=packed)
    return ImageDocuments(manifest=image.document.data, config=image.config)


@pytest.mark.parametrize(("docker", "layer_type"), [(False, OCI_TAR), (True, DOCKER_TAR)])
def test_layers_become_plain_and_all_else_stays(docker: bool, layer_type: str) -> None:
    image = documents(docker=docker)
    before = json.loads(image.manifest) | {"annotations": {"kept": "yes"}}
    image = ImageDocuments(manifest=json.dumps(before).encode(), config=image.config)
    diff_ids = json.loads(image.config)["rootfs"]["diff_ids"]
    plain = with_plain_layers(image, dict(zip(diff_ids, (7, 8), strict=True)))
    assert plain.config == image.config
    assert json.loads(plain.manifest) == before | {
        "layers": [
            {"mediaType": layer_type, "digest": diff_id, "size": size}
            for diff_id, size in zip(diff_ids, (7, 8), strict=True)
        ]
    }
    # What is plain stays, byte for byte.
    assert with_plain_layers(plain, {}) is plain


def test_documents_that_contradict_each_other_are_refused() -> None:
    image = documents()
    with pytest.raises(InputError, match="its manifest says"):
        with_plain_layers(ImageDocuments(manifest=image.manifest, config=image.config + b" "), {})


def test_a_manifest_is_made_of_a_configuration() -> None:
    config = documents().config
    manifest = json.loads(plain_manifest(config, [("a" * 64, 3), ("b" * 64, 4)]))
    assert manifest["config"]["digest"] == digest_of(config)
    assert [(layer["digest"], layer["size"]) for layer in manifest["layers"]] == [
        (f"sha256:{'a' * 64}", 3),
        (f"sha256:{'b' * 64}", 4),
    ]
