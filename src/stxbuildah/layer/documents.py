# SPDX-License-Identifier: Apache-2.0
"""Reading and writing the two JSON documents of an image, which may hold anything, with checks where it matters."""

import json
from typing import TypeAlias

from stxbuildah.errors import InputError
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_MANIFEST, ImageDocuments
from stxbuildah.model.stored import digest_of

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

SCHEMA_VERSION = 2


def manifest_kind(manifest: dict[str, Json]) -> str:
    """Give the manifest's media type, which OCI allows it to leave out.

    Raises:
        InputError: it is a list of manifests, or no manifest of an image with layers.
    """
    if manifest.get("schemaVersion") != SCHEMA_VERSION:
        raise InputError(
            f"the image's manifest has schema version {manifest.get('schemaVersion')!r}, where 2 is needed",
            hint="push the image again with a current docker, podman or skopeo, which write version 2",
        )
    if "manifests" in manifest:
        raise InputError(
            "the image is a list of images for several platforms",
            hint="name the image of one platform, by its digest or its tag",
        )
    kind = manifest.get("mediaType") or OCI_MANIFEST
    if kind not in {OCI_MANIFEST, DOCKER_MANIFEST} or not {"config", "layers"} <= manifest.keys():
        raise InputError(f"the image's manifest, of type {kind}, is not one of an image with layers")
    return str(kind)


def check_agreement(manifest: dict[str, Json], config: dict[str, Json], documents: ImageDocuments) -> None:
    """Make sure that an image's two documents belong together.

    Args:
        manifest: the parsed manifest.
        config: the parsed configuration.
        documents: both, byte for byte.

    Raises:
        InputError: the configuration is another one, or they tell of different numbers of layers.
    """
    digest = as_object(manifest["config"], "config of the manifest").get("digest")
    found = digest_of(documents.config)
    if digest != found:
        raise InputError(f"the image is damaged: its configuration has the digest {found}, its manifest says {digest}")
    layers = len(as_list(manifest["layers"], "layers of the manifest"))
    diff_ids = len(listed_diff_ids(config))
    if layers != diff_ids:
        raise InputError(
            f"the image is damaged: its manifest lists {layers} layers, its configuration {diff_ids} diff IDs"
        )
    history = as_list(config.get("history") or [], "history of the configuration")
    steps = sum(1 for step in history if not as_object(step, "a step of the history").get("empty_layer"))
    if history and steps != layers:
        raise InputError(f"the image is damaged: its history tells of {steps} layers, its manifest lists {layers}")


def listed_diff_ids(config: dict[str, Json]) -> list[Json]:
    """Give the list of diff IDs in a configuration, to read or to change.

    Raises:
        InputError: it has none.
    """
    rootfs = as_object(config.get("rootfs"), "rootfs of the configuration")
    return as_list(rootfs.get("diff_ids"), "diff IDs of the configuration")


def diff_ids_of(config: bytes) -> tuple[str, ...]:
    """Give the digests of an image's layers as plain tars, the lowest first.

    Args:
        config: its configuration.

    Raises:
        InputError: it is damaged.
    """
    return tuple(str(diff_id) for diff_id in listed_diff_ids(parsed(config, "configuration")))


def parsed(data: bytes, name: str) -> dict[str, Json]:
    """Read a document.

    Args:
        data: its bytes.
        name: what it is, for the message.

    Raises:
        InputError: it is no JSON object.
    """
    try:
        value: Json = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the image's {name} is not JSON: {error}") from error
    return as_object(value, name)


def as_object(value: Json, name: str) -> dict[str, Json]:
    """Give a value that has to be an object.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, dict):
        raise InputError(f"the image is damaged: where the {name} should be stands {json.dumps(value)[:60]}")
    return value


def as_list(value: Json, name: str) -> list[Json]:
    """Give a value that has to be a list.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, list):
        raise InputError(f"the image is damaged: where the {name} should be stands {json.dumps(value)[:60]}")
    return value


def encoded(document: dict[str, Json]) -> bytes:
    """Write a document; the same value gives the same bytes."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def documents_of(manifest: dict[str, Json], config: dict[str, Json]) -> ImageDocuments:
    """Write both documents of an image; the manifest is made to name this configuration.

    Raises:
        InputError: the manifest describes no configuration.
    """
    new_config = encoded(config)
    descriptor = as_object(manifest.get("config"), "config of the manifest")
    descriptor["digest"] = digest_of(new_config)
    descriptor["size"] = len(new_config)
    return ImageDocuments(manifest=encoded(manifest), config=new_config)
