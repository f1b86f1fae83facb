# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` of an index: the platforms that are chosen are updated, all else of it stays."""

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.model.image import OCI_INDEX
from stxbuildah.model.stored import digest_of
from tests.engine.pythonimages import PythonImage, make_image, module, push_blob, python
from tests.engine.registries import Registry
from tests.engine.stxb import Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

PLAIN = ("--tls-verify", "false")
REPOSITORY = "platforms/base"
ARCHITECTURES = ("amd64", "arm64")


@attrs.frozen(kw_only=True)
class Platforms:
    """An index of two images with what BuildKit attests of each, in a registry."""

    images: dict[str, PythonImage]
    index: dict[str, Any]

    def entry(self, architecture: str) -> Any:
        """What the index says of an image."""
        return next(one for one in self.index["manifests"] if one["platform"]["architecture"] == architecture)


def described(data: bytes, media_type: str, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def attestation(registry: Registry, image: PythonImage) -> dict[str, object]:
    """Push what BuildKit attests of an image, and give its entry of an index."""
    statement = json.dumps({"subject": image.document.digest}).encode()
    settings = b'{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
    for data in (statement, settings):
        push_blob(registry, REPOSITORY, f"sha256:{hashlib.sha256(data).hexdigest()}", data)
    document = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described(settings, "application/vnd.oci.image.config.v1+json"),
            "layers": [described(statement, "application/vnd.in-toto+json")],
        }
    ).encode()
    media_type = "application/vnd.oci.image.manifest.v1+json"
    registry.put_manifest(REPOSITORY, digest_of(document), document, media_type)
    notes = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.document.digest,
    }
    platform = {"architecture": "unknown", "os": "unknown"}
    return described(document, media_type, annotations=notes, platform=platform)


@pytest.fixture
def platforms(registry: Registry) -> Platforms:
    images = {
        name: make_image(python(name), module("stxfile", "1.0"), architecture=name, title=name)
        for name in ARCHITECTURES
    }
    entries: list[dict[str, object]] = []
    for name, image in images.items():
        image.push(registry, f"{REPOSITORY}:{name}")
        entries.append(
            described(image.document.data, image.document.media_type, platform={"architecture": name, "os": "linux"})
        )
    entries += [attestation(registry, image) for image in images.values()]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "annotations": {"kept": "yes"}}
    registry.put_manifest(REPOSITORY, "1", json.dumps(index).encode(), OCI_INDEX)
    return Platforms(images=images, index=index)


def index_of(registry: Registry, tag: str) -> Any:
    return json.loads(registry.index(REPOSITORY, tag))


@pytest.mark.parametrize(
    ("words", "changed"),
    [((), ["amd64"]), (("--platform", "linux/arm64"), ["arm64"]), (("--platform", "all"), ["amd64", "arm64"])],
    ids=["default", "one", "all"],
)
def test_chosen_platforms(
    stxb: Stxb, registry: Registry, platforms: Platforms, tmp_path: Path, words: tuple[str, ...], changed: list[str]
) -> None:
    wheel = make_wheel(tmp_path, "stxfile", "2.0")
    base = f"{registry.address}/{REPOSITORY}:1"
    result = stxb.update("--from", base, "--wheel", wheel, "--push", *PLAIN, "--lane", "registry", *words)
    assert result["digest"] == digest_of(registry.index(REPOSITORY, "1.1"))
    assert [image["platform"] for image in result["images"]] == [f"linux/{name}" for name in changed]
    new = index_of(registry, "1.1")
    assert (new["mediaType"], new["annotations"]) == (OCI_INDEX, {"kept": "yes"})
    found = {entry["platform"]["architecture"]: entry for entry in new["manifests"] if "annotations" not in entry}
    assert list(found) == list(ARCHITECTURES)
    for name in ARCHITECTURES:
        manifest = json.loads(registry.manifest(REPOSITORY, found[name]["digest"]))
        layers = platforms.images[name].layers
        assert manifest["layers"][: len(layers)] == layers
        assert len(manifest["layers"]) == len(layers) + (name in changed)
        if name not in changed:
            assert found[name] == platforms.entry(name)
    # An attestation of an image that is no longer there would attest nothing.
    attested = [entry for entry in new["manifests"] if "annotations" in entry]
    assert attested == [
        entry
        for entry in platforms.index["manifests"]
        if "annotations" in entry
        and entry["annotations"]["vnd.docker.reference.digest"]
        in {platforms.images[name].document.digest for name in ARCHITECTURES if name not in changed}
    ]


@pytest.mark.parametrize(
    ("words", "tag", "said"),
    [
        (("--platform", "linux/s390x"), "py3-none-any", "linux/s390x"),
        (("--platform", "all"), "cp313-cp313-linux_x86_64", "for aarch64"),
        (("--platform", "amd64/linux/x/y"), "py3-none-any", "amd64/linux/x/y"),
    ],
    ids=["absent", "a wheel of another", "no platform"],
)
def test_platforms_that_cannot_be_updated(
    stxb: Stxb, registry: Registry, platforms: Platforms, tmp_path: Path, words: tuple[str, ...], tag: str, said: str
) -> None:
    wheel = make_wheel(tmp_path, "stxfile", "2.0", tag=tag)
    base = f"{registry.address}/{REPOSITORY}:1"
    message = stxb.refused(
        2, "--from", base, "--wheel", wheel, "--push", *PLAIN, "--tag", "none", "--lane", "registry", *words
    )
    assert said in message
    assert "none" not in registry.tags(REPOSITORY)
    assert platforms.index == index_of(registry, "1")
