# SPDX-License-Identifier: Apache-2.0
"""What refers to an image: signatures, lists of packages, and other artifacts whose ``subject`` it is.

OCI distribution specification, "Listing Referrers", "Pushing Manifests with Subject" and "Unavailable Referrers API":
where a registry knows nothing of referrers an index under the tag ``sha256-HEX`` lists them, and clients keep it.
"""

import json
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from stxbuildah import log
from stxbuildah.errors import InputError, RegistryError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_INDEX
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.documents import MAXIMUM_DOCUMENT, parsed_object
from stxbuildah.registry.endpoint import Endpoint

if TYPE_CHECKING:
    from stxbuildah.registry.session import RegistrySession, Response

# Entries as JSON gave them: what is kept in the index must keep the fields that are not known here.
Entry = dict[str, object]

_OK, _NOT_FOUND = 200, 404
_MOST_PAGES = 100
# How often the tag's index is written again when others write it at the same time.
_MOST_WRITES = 10
_LONGEST_PAUSE = 0.5
_LINK = re.compile(r'<(?P<url>[^<>]*)>(?P<parameters>(?:\s*;\s*\w+\s*=\s*(?:"[^"]*"|[^\s",;]*))*)')
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\s*(?:;|$))', re.IGNORECASE)


def fallback_tag(digest: str) -> str:
    """Give the tag that lists an image's referrers where the registry does not."""
    return digest.replace(":", "-", 1)


def list_referrers(
    session: "RegistrySession", endpoint: Endpoint, reference: ImageReference, digest: str, artifact_type: str
) -> tuple[Descriptor, ...]:
    """List what refers to an image.

    Args:
        session: asks the registry.
        endpoint: the repository.
        reference: the image, for messages.
        digest: its digest.
        artifact_type: the type that is asked for; empty for all.

    Raises:
        InputError: the list is damaged.
        RegistryFault: it could not be asked for.
    """
    entries = _from_api(session, endpoint, reference, digest, artifact_type)
    if entries is None:
        found = _tagged(session, endpoint, reference, digest)
        entries = _entries(found) if found is not None else []
    described = [Descriptor.from_json(entry, f"a referrer of {reference}") for entry in entries]
    # A registry may apply the filter, and says so in OCI-Filters-Applied; applied twice it gives the same.
    return tuple(one for one in described if artifact_type in {"", one.artifact_type})


def _from_api(
    session: "RegistrySession", endpoint: Endpoint, reference: ImageReference, digest: str, artifact_type: str
) -> list[Entry] | None:
    path = f"{endpoint.repository}/referrers/{digest}"
    path += f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
    entries: list[Entry] = []
    for page in range(_MOST_PAGES):
        expect = frozenset({_OK, _NOT_FOUND} if page == 0 else {_OK})
        with session.request(endpoint, "GET", path, headers={"Accept": OCI_INDEX}, expect=expect) as response:
            if response.status == _NOT_FOUND or (page == 0 and _type(response) != OCI_INDEX):
                return None
            data = response.read(MAXIMUM_DOCUMENT)
            following = next_page(response.headers.get("Link", ""), response.url)
        entries += _entries(parsed_object(data, f"the list of referrers of {reference}"))
        if not following:
            return entries
        path = following
    raise InputError(f"the list of referrers of {reference} has more than {_MOST_PAGES} pages")


def next_page(link: str, url: str) -> str:
    """Give the URL of the next page that a Link header names (RFC 8288); empty when there is none.

    Args:
        link: the header.
        url: where it came from; a page elsewhere than on the same host is not followed.
    """
    for found in _LINK.finditer(link):
        if _NEXT.search(found["parameters"]):
            try:
                target = urljoin(url, found["url"])
                return target if urlsplit(target).netloc == urlsplit(url).netloc else ""
            except ValueError:
                return ""
    return ""


def _type(response: "Response") -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _entries(index: Entry) -> list[Entry]:
    listed = index.get("manifests")
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _tagged(session: "RegistrySession", endpoint: Endpoint, reference: ImageReference, digest: str) -> Entry | None:
    """Read the index under the tag; None when there is none."""
    path = f"{endpoint.repository}/manifests/{fallback_tag(digest)}"
    expect = frozenset({_OK, _NOT_FOUND})
    with session.request(endpoint, "GET", path, headers={"Accept": OCI_INDEX}, expect=expect) as response:
        if response.status == _NOT_FOUND:
            return None
        data = response.read(MAXIMUM_DOCUMENT)
    what = f"the list of referrers of {reference} under the tag {fallback_tag(digest)}"
    index = parsed_object(data, what)
    if not isinstance(index.get("manifests"), list):
        raise InputError(f"{what} is no index", hint="another program uses this tag for something else")
    return index


def add_to_fallback(
    session: "RegistrySession",
    endpoint: Endpoint,
    reference: ImageReference,
    *,
    document: Document,
    subject: str,
    put: Callable[[str, Document], str],
) -> None:
    """List a referrer under the tag of its subject.

    Registries cannot write only if nobody else did, so the list is read again after it was written; an entry that was
    seen once, and is missing then, was lost to another writer and is written again. Who read before that and writes
    after it still loses an entry; the specification's tag schema leaves no way to see that.

    Args:
        session: asks the registry.
        endpoint: the repository.
        reference: the image, for messages.
        document: the referrer.
        subject: digest of what it refers to.
        put: writes an index under a tag.

    Raises:
        InputError: the list that is there is damaged.
        RegistryError: others wrote it each time.
        RegistryFault: it could not be read.
    """
    entry = entry_of(document)
    seen: dict[object, Entry] = {}
    for written in range(_MOST_WRITES):
        if written > 1:
            time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 # spreads writers, guards nothing
        index = _tagged(session, endpoint, reference, subject) or {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [],
        }
        present = _entries(index)
        seen.update((known["digest"], known) for known in present if isinstance(known.get("digest"), str))
        seen.setdefault(document.digest, entry)
        digests = [known.get("digest") for known in present]
        missing = [known for digest, known in seen.items() if digest not in digests]
        if not missing:
            return
        if written:
            log.debug("registry.referrers_changed_meanwhile", image=str(reference), missing=len(missing))
        data = json.dumps({**index, "manifests": [*present, *missing]}).encode()
        put(fallback_tag(subject), Document(OCI_INDEX, data))
    raise RegistryError(
        f"{reference} has no list of referrers that stays: others write it at the same time",
        hint="try again when no other program attaches anything to this image",
    )


def entry_of(document: Document) -> Entry:
    """Give what a list of referrers says of a manifest: its descriptor, type of artifact and annotations.

    Raises:
        InputError: it is no JSON object.
    """
    manifest = parsed_object(document.data, "the referrer")
    config = manifest.get("config")
    untold = config.get("mediaType") if isinstance(config, dict) else None
    artifact_type, annotations = manifest.get("artifactType") or untold, manifest.get("annotations")
    return {
        "mediaType": document.media_type,
        "digest": document.digest,
        "size": len(document.data),
        **({"artifactType": artifact_type} if artifact_type else {}),
        **({"annotations": annotations} if annotations else {}),
    }
