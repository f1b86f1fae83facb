# SPDX-License-Identifier: Apache-2.0
"""Manifests and indexes as a registry answers them: what they are, and whether they are what was asked for.

Rules: OCI distribution specification, "Pulling manifests"; OCI image specification, manifest.md and image-index.md.
"""

import hashlib
import json
import re
from collections.abc import Mapping

from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference

# The least that the specification asks registries to take, and what they and the programs limit documents to.
MAXIMUM_DOCUMENT = 4 * 2**20
KNOWN_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST)
# Registries answer with schema 1 only who does not refuse it; asked for it is nowhere.
ACCEPT = ", ".join(KNOWN_TYPES)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMA_1 = re.compile(r"application/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)")
_UNTOLD = frozenset({"", "application/json", "application/octet-stream", "text/plain", "binary/octet-stream"})


def target_of(reference: ImageReference) -> str:
    """Give what names the image in its repository: its digest, else its tag, else ``latest``.

    Raises:
        InputError: the digest is not of sha256.
    """
    if not reference.digest:
        return reference.tag or "latest"
    if not is_digest(reference.digest):
        raise InputError(
            f"{reference} is named by a digest that is not sha256: and 64 hexadecimal digits in lower case",
            hint="name the image by its sha256 digest, or by a tag",
        )
    return reference.digest


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of sha256, the only algorithm that is understood."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """Give the digest of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_document(data: bytes, headers: Mapping[str, str], reference: ImageReference) -> Document:
    """Read a manifest or an index from a registry's answer.

    A type that header and document name differently, and a document that could be both a manifest and an index, are
    refused: programs would disagree about what the image is (CVE-2021-41190).

    Args:
        data: the answer's body.
        headers: the answer's headers, by name in any case.
        reference: what was asked for.

    Raises:
        InputError: it is damaged, of Docker's schema 1, or no manifest and no index.
    """
    told = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    parsed = parsed_object(data, f"the manifest of {reference}")
    # First of all, since a registry's digest of a signed document of schema 1 is not that of its bytes.
    if _SCHEMA_1.fullmatch(told) or parsed.get("schemaVersion") == 1:
        raise InputError(
            f"{reference} is an image of Docker's old format (schema 1), which has no configuration",
            hint=f"skopeo copy --format oci docker://{reference} docker://NEW-NAME converts it",
        )
    _check_digest(data, headers, reference)
    own = parsed.get("mediaType")
    if "manifests" in parsed and ("layers" in parsed or "config" in parsed):
        raise InputError(f"the manifest of {reference} is ambiguous: it could be an image and an index as well")
    if told in _UNTOLD:
        return Document(own if isinstance(own, str) and own else _type_by_content(parsed, reference), data)
    if isinstance(own, str) and own and own.lower() != told:
        raise InputError(f"the manifest of {reference} says that it is {own}, and its registry that it is {told}")
    return Document(told, data)


def parsed_object(data: bytes, what: str) -> dict[str, object]:
    """Parse a JSON object.

    Args:
        data: its text.
        what: what it is, for the message.

    Raises:
        InputError: it is no JSON object.
    """
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is no JSON") from error
    if not isinstance(parsed, dict):
        raise InputError(f"{what} is no JSON object")
    return parsed


def _check_digest(data: bytes, headers: Mapping[str, str], reference: ImageReference) -> None:
    digest = digest_of(data)
    told = headers.get("Docker-Content-Digest", "")
    for expected in (reference.digest, told if is_digest(told) else ""):
        if expected and digest != expected:
            raise InputError(
                f"the manifest of {reference} is damaged: its digest is {digest}, and should be {expected}",
                hint="push the image again, or ask who runs the registry or its mirror",
            )


def _type_by_content(parsed: dict[str, object], reference: ImageReference) -> str:
    if isinstance(parsed.get("manifests"), list):
        return OCI_INDEX
    if isinstance(parsed.get("layers"), list):
        return OCI_MANIFEST
    raise InputError(f"what lies at {reference} is neither the manifest of an image nor an index")
