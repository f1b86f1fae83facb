# SPDX-License-Identifier: Apache-2.0
"""What an image is made of, as digests: the reason to build it again, or not to."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from stxbuildah.errors import InputError
from stxbuildah.job.images.work import ImageWork
from stxbuildah.layer.documents import as_object, parsed
from stxbuildah.model.imagesrun import INPUTS_LABEL
from stxbuildah.model.stored import StoredImage

# Raised when the same inputs give another image by a change of this program.
_REVISION = "1"


def digest_of_values(*values: str) -> str:
    """Give one digest of several texts, of which none can run into the next."""
    return "sha256:" + hashlib.sha256(json.dumps(values).encode()).hexdigest()


def common_inputs(work: ImageWork) -> dict[str, str]:
    """Give the digests of what every image is made of: its directives, the images it is built from, the settings.

    Its time of creation (SOURCE_DATE_EPOCH) is no reason to build it again.
    """
    from stxbuildah.job.imagescan import read_directives_file

    keys = read_directives_file(work.image.directives.file).keys
    inputs = {"directives": digest_of_values(*(text for pair in keys for text in pair))}
    inputs["settings"] = digest_of_values(_REVISION, work.request.compression.value)
    for label, image in work.parents.items():
        inputs[f"image {label}"] = f"sha256:{image.image_id}"
    return inputs


def written_inputs(inputs: Mapping[str, str]) -> str:
    """Give the value of the label that keeps the digests of an image's inputs."""
    return json.dumps(dict(sorted(inputs.items())), separators=(",", ":"))


def labels_of(image: StoredImage) -> dict[str, str]:
    """Give the labels of an image; none when its configuration cannot be read."""
    try:
        config = parsed(image.documents.config, "configuration")
        settings = as_object(config.get("config") or {}, "config of the configuration")
        labels = as_object(settings.get("Labels") or {}, "labels of the configuration")
    except InputError:
        return {}
    return {name: value for name, value in labels.items() if isinstance(value, str)}


def recorded_inputs(image: StoredImage) -> dict[str, str]:
    """Give the digests of the inputs that an image was built of; none when it does not say."""
    try:
        found = json.loads(labels_of(image).get(INPUTS_LABEL) or "{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def reason_to_build(earlier: StoredImage | None, inputs: Mapping[str, str], *, force: bool) -> str:
    """Say why an image has to be built; empty when the one that is there was built of the same.

    Args:
        earlier: the image of that name in the local store; None when there is none.
        inputs: digest of each component of its inputs now.
        force: build it whatever it was built of.
    """
    if earlier is None:
        return "it is not in the local store"
    if force:
        return "--force"
    before = recorded_inputs(earlier)
    if not before:
        return "the one in the local store does not say what it was built of"
    changed = [name for name in sorted({*before, *inputs}) if before.get(name) != inputs.get(name)]
    return f"{_listed(changed)} changed" if changed else ""


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
