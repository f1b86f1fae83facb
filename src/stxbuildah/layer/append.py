# SPDX-License-Identifier: Apache-2.0
"""Put one more layer on an image's two documents, and leave everything else in them as it is.

Sources: the OCI image specification (manifest.md, config.md) and Docker's "Image Manifest Version 2, Schema 2".
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from stxbuildah.errors import InputError
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST, ImageDocuments
from stxbuildah.model.layer import Compression, LayerBlob
from stxbuildah.model.stored import digest_of

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_SCHEMA_VERSION = 2
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def append_layer(
    base: ImageDocuments,
    blob: LayerBlob,
    *,
    timestamp: int,
    created_by: str,
    comment: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    config_changes: Mapping[str, Json] | None = None,
) -> ImageDocuments:
    """Give the documents of the image that has one more layer than ``base``.

    The same arguments give the same bytes. What the base says of itself, keys unknown to us too, stays in its place.

    Args:
        base: the image to build on; its manifest's type is kept.
        blob: the new layer.
        timestamp: creation time of the image and of its layer, in seconds since the epoch.
        created_by: the history's word for the command that made the layer.
        comment: the history's remark; left out when empty.
        labels: labels to add or replace.
        annotations: annotations of the manifest to add or replace; Docker's manifests have none and get none.
        config_changes: keys of the configuration's ``config`` to set, as ``{"Cmd": ["sh"]}``; None removes a key.

    Raises:
        InputError: the base's documents are damaged or contradict each other, are of another kind than an image of
            one platform, or cannot have a layer compressed like this one.
    """
    manifest = _document(base.manifest, "manifest")
    config = _document(base.config, "configuration")
    kind = _manifest_kind(manifest)
    _check_agreement(manifest, config, base)
    created = rfc3339(timestamp)

    _append_to_config(config, blob, created=created, created_by=created_by, comment=comment)
    _change_settings(config, labels or {}, config_changes or {})
    new_config = _encoded(config)

    descriptor = _object(manifest["config"], "config of the manifest")
    descriptor["digest"] = digest_of(new_config)
    descriptor["size"] = len(new_config)
    layers = _list(manifest["layers"], "layers of the manifest")
    layers.append({"mediaType": _layer_type(kind, blob.compression), "digest": blob.digest, "size": blob.size})
    if annotations and kind == OCI_MANIFEST:
        existing = _object(manifest.get("annotations") or {}, "annotations of the manifest")
        manifest["annotations"] = {**existing, **annotations}
    return ImageDocuments(manifest=_encoded(manifest), config=new_config)


def empty_image(*, architecture: str, variant: str = "", config: Mapping[str, Json] | None = None) -> ImageDocuments:
    """Give the documents of an OCI image for Linux without any layer, to append the first one to.

    Args:
        architecture: Go's name for it, as ``amd64``.
        variant: Go's name for the processor's variant, as ``v8``; left out when empty.
        config: the configuration's ``config``, as ``{"Cmd": ["sh"]}``.
    """
    platform: dict[str, Json] = {"architecture": architecture, "os": "linux"}
    if variant:
        platform["variant"] = variant
    document = _encoded(
        {**platform, "config": dict(config or {}), "rootfs": {"type": "layers", "diff_ids": []}, "history": []}
    )
    manifest: dict[str, Json] = {
        "schemaVersion": _SCHEMA_VERSION,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(document), "size": len(document)},
        "layers": [],
    }
    return ImageDocuments(manifest=_encoded(manifest), config=document)


def has_triggers(documents: ImageDocuments) -> bool:
    """Say whether an image has ONBUILD triggers, which whoever builds on it carries out."""
    return any(settings.get("OnBuild") for _, settings in _all_settings(_document(documents.config, "configuration")))


def without_triggers(documents: ImageDocuments) -> ImageDocuments:
    """Give the documents of an image that differs in having no ONBUILD triggers.

    Raises:
        InputError: the documents are damaged.
    """
    manifest = _document(documents.manifest, "manifest")
    config = _document(documents.config, "configuration")
    for key, settings in _all_settings(config):
        config[key] = {name: value for name, value in settings.items() if name != "OnBuild"}
    new_config = _encoded(config)
    descriptor = _object(manifest.get("config"), "config of the manifest")
    descriptor["digest"] = digest_of(new_config)
    descriptor["size"] = len(new_config)
    return ImageDocuments(manifest=_encoded(manifest), config=new_config)


def _all_settings(config: dict[str, Json]) -> list[tuple[str, dict[str, Json]]]:
    """Give the settings of containers in a configuration: those that count, and Docker's of the build's last step."""
    found = ((key, config.get(key)) for key in ("config", "container_config"))
    return [(key, settings) for key, settings in found if isinstance(settings, dict)]


def rfc3339(timestamp: int) -> str:
    """Write a time as images' documents do, in UTC.

    Args:
        timestamp: whole seconds since the epoch.
    """
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def created_time(config: bytes) -> int:
    """Give the time at which an image says it was created, in whole seconds since the epoch; 0 when it does not say.

    Args:
        config: the configuration's bytes.

    Raises:
        InputError: the configuration is damaged, or its ``created`` is no time of RFC 3339.
    """
    created = _document(config, "configuration").get("created")
    if not created:
        return 0
    try:
        # Python 3.11 reads RFC 3339; Docker's nanoseconds are more digits than it takes, so it reads them cut off.
        moment = datetime.fromisoformat(str(created))
    except ValueError as error:
        raise InputError(f"the image says that it was created at {created!r}, which is no time of RFC 3339") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Go's zero time, the year 1, stands for no time at all.
    return max(0, int(moment.timestamp()))


def _append_to_config(config: dict[str, Json], blob: LayerBlob, *, created: str, created_by: str, comment: str) -> None:
    diff_ids = _diff_ids(config)
    history = _list(config.get("history") or [], "history of the configuration")
    if not history:
        # Readers pair the history with the layers from the first on, so the base's layers need an entry each.
        history = [{} for _ in diff_ids]
    step: dict[str, Json] = {"created": created, "created_by": created_by}
    if comment:
        step["comment"] = comment
    config["created"] = created
    config["history"] = [*history, step]
    diff_ids.append(blob.diff_id)


def _change_settings(config: dict[str, Json], labels: Mapping[str, str], changes: Mapping[str, Json]) -> None:
    if not labels and not changes:
        return
    settings = _object(config.get("config") or {}, "config of the configuration")
    for key, value in changes.items():
        if value is None:
            settings.pop(key, None)
        else:
            settings[key] = value
    if labels:
        settings["Labels"] = {**_object(settings.get("Labels") or {}, "labels of the configuration"), **labels}
    config["config"] = settings


def _manifest_kind(manifest: dict[str, Json]) -> str:
    """Give the manifest's media type, which OCI allows it to leave out."""
    if manifest.get("schemaVersion") != _SCHEMA_VERSION:
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


def _layer_type(kind: str, compression: Compression) -> str:
    if kind == OCI_MANIFEST:
        return f"{_OCI_LAYER}+{compression}"
    if compression is not Compression.GZIP:
        raise InputError(
            f"the image has a Docker manifest, which knows no layers compressed by {compression}",
            hint="leave the compression format at gzip",
        )
    return _DOCKER_LAYER


def _check_agreement(manifest: dict[str, Json], config: dict[str, Json], base: ImageDocuments) -> None:
    digest = _object(manifest["config"], "config of the manifest").get("digest")
    found = digest_of(base.config)
    if digest != found:
        raise InputError(f"the image is damaged: its configuration has the digest {found}, its manifest says {digest}")
    layers = len(_list(manifest["layers"], "layers of the manifest"))
    diff_ids = len(_diff_ids(config))
    if layers != diff_ids:
        raise InputError(
            f"the image is damaged: its manifest lists {layers} layers, its configuration {diff_ids} diff IDs"
        )
    history = _list(config.get("history") or [], "history of the configuration")
    steps = sum(1 for step in history if not _object(step, "a step of the history").get("empty_layer"))
    if history and steps != layers:
        raise InputError(f"the image is damaged: its history tells of {steps} layers, its manifest lists {layers}")


def _diff_ids(config: dict[str, Json]) -> list[Json]:
    rootfs = _object(config.get("rootfs"), "rootfs of the configuration")
    return _list(rootfs.get("diff_ids"), "diff IDs of the configuration")


def _document(data: bytes, name: str) -> dict[str, Json]:
    try:
        value: Json = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the image's {name} is not JSON: {error}") from error
    return _object(value, name)


def _object(value: Json, name: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise InputError(f"the image is damaged: where the {name} should be stands {json.dumps(value)[:60]}")
    return value


def _list(value: Json, name: str) -> list[Json]:
    if not isinstance(value, list):
        raise InputError(f"the image is damaged: where the {name} should be stands {json.dumps(value)[:60]}")
    return value


def _encoded(document: dict[str, Json]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")
