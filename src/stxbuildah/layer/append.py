# SPDX-License-Identifier: Apache-2.0
"""Put one more layer on an image's two documents, and leave everything else in them as it is.

Sources: the OCI image specification (manifest.md, config.md) and Docker's "Image Manifest Version 2, Schema 2".
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import (
    SCHEMA_VERSION,
    Json,
    as_list,
    as_object,
    check_agreement,
    documents_of,
    encoded,
    listed_diff_ids,
    manifest_kind,
    parsed,
)
from stxbuildah.model.image import OCI_CONFIG, OCI_MANIFEST, ImageDocuments
from stxbuildah.model.layer import Compression, LayerBlob
from stxbuildah.model.stored import digest_of

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
    manifest = parsed(base.manifest, "manifest")
    config = parsed(base.config, "configuration")
    kind = manifest_kind(manifest)
    check_agreement(manifest, config, base)
    created = rfc3339(timestamp)

    _append_to_config(config, blob, created=created, created_by=created_by, comment=comment)
    _change_settings(config, labels or {}, config_changes or {})
    layers = as_list(manifest["layers"], "layers of the manifest")
    layers.append({"mediaType": _layer_type(kind, blob.compression), "digest": blob.digest, "size": blob.size})
    _annotate(manifest, kind, annotations)
    return documents_of(manifest, config)


def with_settings(
    image: ImageDocuments,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    config_changes: Mapping[str, Json] | None = None,
) -> ImageDocuments:
    """Give the documents of an image that differs in what it says of itself alone; its layers and history stay.

    Args:
        image: the image.
        labels: as for ``append_layer``.
        annotations: as for ``append_layer``.
        config_changes: as for ``append_layer``.

    Raises:
        InputError: the documents are damaged or contradict each other.
    """
    manifest = parsed(image.manifest, "manifest")
    config = parsed(image.config, "configuration")
    kind = manifest_kind(manifest)
    check_agreement(manifest, config, image)
    _change_settings(config, labels or {}, config_changes or {})
    _annotate(manifest, kind, annotations)
    return documents_of(manifest, config)


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
    document = encoded(
        {**platform, "config": dict(config or {}), "rootfs": {"type": "layers", "diff_ids": []}, "history": []}
    )
    manifest: dict[str, Json] = {
        "schemaVersion": SCHEMA_VERSION,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(document), "size": len(document)},
        "layers": [],
    }
    return ImageDocuments(manifest=encoded(manifest), config=document)


def has_triggers(documents: ImageDocuments) -> bool:
    """Say whether an image has ONBUILD triggers, which whoever builds on it carries out."""
    return any(settings.get("OnBuild") for _, settings in _all_settings(parsed(documents.config, "configuration")))


def without_triggers(documents: ImageDocuments) -> ImageDocuments:
    """Give the documents of an image that differs in having no ONBUILD triggers.

    Raises:
        InputError: the documents are damaged.
    """
    manifest = parsed(documents.manifest, "manifest")
    config = parsed(documents.config, "configuration")
    for key, settings in _all_settings(config):
        config[key] = {name: value for name, value in settings.items() if name != "OnBuild"}
    return documents_of(manifest, config)


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
    created = parsed(config, "configuration").get("created")
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
    diff_ids = listed_diff_ids(config)
    history = as_list(config.get("history") or [], "history of the configuration")
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
    settings = as_object(config.get("config") or {}, "config of the configuration")
    for key, value in changes.items():
        if value is None:
            settings.pop(key, None)
        else:
            settings[key] = value
    if labels:
        settings["Labels"] = {**as_object(settings.get("Labels") or {}, "labels of the configuration"), **labels}
    config["config"] = settings


def _annotate(manifest: dict[str, Json], kind: str, annotations: Mapping[str, str] | None) -> None:
    if annotations and kind == OCI_MANIFEST:
        existing = as_object(manifest.get("annotations") or {}, "annotations of the manifest")
        manifest["annotations"] = {**existing, **annotations}


def _layer_type(kind: str, compression: Compression) -> str:
    if kind == OCI_MANIFEST:
        return f"{_OCI_LAYER}+{compression}"
    if compression is not Compression.GZIP:
        raise InputError(
            f"the image has a Docker manifest, which knows no layers compressed by {compression}",
            hint="leave the compression format at gzip",
        )
    return _DOCKER_LAYER
