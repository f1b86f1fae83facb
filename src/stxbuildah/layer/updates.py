# SPDX-License-Identifier: Apache-2.0
"""Which layers of an image earlier updates put on top of it, and what the image below them was.

An update is known by its step in the history: ``created_by`` begins with ``stxb update`` and ``comment`` with
``stxbuildah``. Steps without a layer change nothing but the configuration, which is kept as it is, so they may stand
between updates or above them. Any other layer ends the search: it may rely on the updates below it.
"""

import re
from collections.abc import Iterable, Sequence

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import (
    Json,
    as_list,
    as_object,
    check_agreement,
    documents_of,
    listed_diff_ids,
    manifest_kind,
    parsed,
)
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.value import Value

CREATED_BY = "stxb update "
COMMENT = "stxbuildah "
BASE_NAME_LABEL = "io.stxbuildah.update.base.name"
BASE_DIGEST_LABEL = "io.stxbuildah.update.base.digest"
# The OCI image specification's keys for the image that an image was made from (annotations.md).
OCI_BASE_NAME = "org.opencontainers.image.base.name"
OCI_BASE_DIGEST = "org.opencontainers.image.base.digest"

_DIFF_ID = re.compile(r"sha256:[0-9a-f]{64}")
# name_version_architecture.deb (deb(7)), name-version-release.architecture.rpm (rpm's own file names).
_DEB = re.compile(r"(?P<name>[^_]+)_[^_]+_(?P<architecture>[^_]+)\.deb")
_RPM = re.compile(r"(?P<name>.+)-[^-]+-[^-]+\.(?P<architecture>[^.-]+)\.rpm")


@attrs.frozen(kw_only=True)
class UpdateLayer(Value):
    """One layer that an update made.

    Attributes:
        descriptor: the blob, as the manifest describes it.
        diff_id: digest of its tar.
        installed: what the update installed, as ``six==1.17.0`` or the name of a package's file.
    """

    descriptor: Descriptor
    diff_id: str
    installed: tuple[str, ...]


@attrs.frozen(kw_only=True)
class BaseAndUpdates(Value):
    """An image taken apart.

    Attributes:
        below: documents of the image without the updates' layers and their steps of the history. Everything else is
            the updated image's, its labels and its time of creation too: an update keeps the time of its base, so
            a layer made anew gets the same time however many updates it replaces.
        updates: the updates' layers, lowest first; one at least.
        base_name: name of the image below, as far as it is known; else empty.
        base_digest: digest of the image below, as far as it is known; else empty.
    """

    below: ImageDocuments
    updates: tuple[UpdateLayer, ...]
    base_name: str
    base_digest: str


def split_updates(documents: ImageDocuments) -> BaseAndUpdates | None:
    """Take the topmost layers off an image as far as updates made them; None when its topmost layer is of another kind.

    The lowest layer is never taken off: an image that only has updates has none below.

    Args:
        documents: the image's manifest and configuration.

    Raises:
        InputError: the documents are damaged or contradict each other.
    """
    manifest = parsed(documents.manifest, "manifest")
    config = parsed(documents.config, "configuration")
    manifest_kind(manifest)
    check_agreement(manifest, config, documents)
    layers = as_list(manifest["layers"], "layers of the manifest")
    diff_ids = listed_diff_ids(config)
    history = as_list(config.get("history") or [], "history of the configuration")
    steps = _steps_of_updates(history)[: max(0, len(layers) - 1)]
    if not steps:
        return None
    lowest = len(layers) - len(steps)
    updates = tuple(
        UpdateLayer(
            descriptor=Descriptor.from_json(layers[number], f"layer {number + 1} of the image"),
            diff_id=_diff_id(diff_ids[number]),
            installed=_installed_by(history[step]),
        )
        for number, step in enumerate(reversed(steps), lowest)
    )
    base_name, base_digest = _original(_labels(config), len(updates))
    del layers[lowest:]
    del diff_ids[lowest:]
    config["history"] = [step for number, step in enumerate(history) if number not in set(steps)]
    below = documents_of(manifest, config)
    return BaseAndUpdates(below=below, updates=updates, base_name=base_name, base_digest=base_digest)


def base_labels(documents: ImageDocuments, name: str, digest: str, *, replace: bool = False) -> dict[str, str]:
    """Give the labels and annotations by which an update says what it was made from.

    ``io.stxbuildah.update.base.*`` names the image below all updates and is handed on from one update to the next;
    empty where it is not known, as above several updates that did not say. ``org.opencontainers.image.base.*`` names
    the image whose layers the result begins with (annotations.md of the OCI image specification): that which was
    updated, or, when its updates are replaced, the image below them, if known.

    Args:
        documents: the image to update.
        name: its name.
        digest: its digest.
        replace: its updates are replaced.
    """
    split = split_updates(documents)
    lowest = (name, digest) if split is None else (split.base_name, split.base_digest)
    base = lowest if replace and any(lowest) else (name, digest)
    return {
        OCI_BASE_NAME: base[0],
        OCI_BASE_DIGEST: base[1],
        BASE_NAME_LABEL: lowest[0],
        BASE_DIGEST_LABEL: lowest[1],
    }


def installed_names(updates: Iterable[UpdateLayer], new: Sequence[str]) -> tuple[str, ...]:
    """Give what an update has installed once it has replaced others: their words and its own, sorted.

    What came later takes the place of the same module, or package, that came earlier, whichever version is higher.

    Args:
        updates: the updates that are replaced, lowest first.
        new: what is installed now, as ``six==1.17.0`` or the name of a package's file.
    """
    found: dict[tuple[str, ...], str] = {}
    for words in (*(update.installed for update in updates), new):
        found.update((_subject(word), word) for word in words)
    return tuple(sorted(found.values()))


def _steps_of_updates(history: Sequence[Json]) -> list[int]:
    """Give the positions of the updates' steps in the history, topmost first."""
    found: list[int] = []
    for number in range(len(history) - 1, -1, -1):
        step = as_object(history[number], "a step of the history")
        if step.get("empty_layer"):
            continue
        if not (_begins(step, "created_by", CREATED_BY) and _begins(step, "comment", COMMENT)):
            break
        found.append(number)
    return found


def _begins(step: dict[str, Json], key: str, start: str) -> bool:
    value = step.get(key)
    return isinstance(value, str) and value.startswith(start)


def _installed_by(step: Json) -> tuple[str, ...]:
    """Give the words of a step; the labels have the same, but of the last update only."""
    created_by = as_object(step, "a step of the history").get("created_by")
    return tuple(str(created_by).removeprefix(CREATED_BY).split())


def _diff_id(value: Json) -> str:
    if isinstance(value, str) and _DIFF_ID.fullmatch(value):
        return value
    raise InputError("the image is damaged: a diff ID of its configuration is no sha256 digest")


def _labels(config: dict[str, Json]) -> dict[str, str]:
    settings = as_object(config.get("config") or {}, "config of the configuration")
    labels = as_object(settings.get("Labels") or {}, "labels of the configuration")
    return {name: value for name, value in labels.items() if isinstance(value, str)}


def _original(labels: dict[str, str], updates: int) -> tuple[str, str]:
    """Give name and digest of the image below the updates; empty what is not known."""
    if BASE_NAME_LABEL in labels or BASE_DIGEST_LABEL in labels:
        return labels.get(BASE_NAME_LABEL, ""), labels.get(BASE_DIGEST_LABEL, "")
    if updates == 1:
        # Every update has always named the image it was made from.
        return labels.get(OCI_BASE_NAME, ""), labels.get(OCI_BASE_DIGEST, "")
    return "", ""


def _subject(word: str) -> tuple[str, ...]:
    """Give what a word is a version of: a module, a package of one architecture, or just itself."""
    name, found, _ = word.partition("==")
    if found:
        return "module", name
    for kind, pattern in (("deb", _DEB), ("rpm", _RPM)):
        package = pattern.fullmatch(word)
        if package:
            return kind, package["name"], package["architecture"]
    return "file", word
