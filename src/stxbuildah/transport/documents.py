# SPDX-License-Identifier: Apache-2.0
"""What JSON documents from strangers list."""

from collections.abc import Iterable, Iterator

from stxbuildah.layer.documents import Json, as_list, as_object, parsed
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_MANIFEST

# What containers/image accepts of a manifest and of a configuration (internal/iolimits).
MAXIMUM_DOCUMENT = 4 * 1024**2
_MOST_SHOWN = 20
_LONGEST_SHOWN = 200


def objects_of(document: dict[str, Json], key: str) -> Iterator[dict[str, Json]]:
    """Give the objects of the list under a key of an image's document.

    Raises:
        InputError: there is no list, or one with anything else in it.
    """
    for entry in as_list(document.get(key), key):
        yield as_object(entry, f"entry of {key}")


def text_of(document: dict[str, Json], key: str) -> str:
    """Give the text under a key; empty when something else or nothing is there."""
    value = document.get(key)
    return value if isinstance(value, str) else ""


def listed_blobs(manifest: Document) -> Iterator[Descriptor]:
    """Give the configuration and the layers that a manifest lists; nothing of a document of another type.

    Raises:
        InputError: the manifest is damaged.
    """
    if manifest.media_type in {OCI_MANIFEST, DOCKER_MANIFEST}:
        content = parsed(manifest.data, "manifest")
        yield Descriptor.from_json(content.get("config"), "the configuration of the image")
        for number, layer in enumerate(objects_of(content, "layers"), 1):
            yield Descriptor.from_json(layer, f"layer {number} of the image")


def shown(text: str) -> str:
    """Give a stranger's text for a message: nothing in it moves the terminal's cursor, and it is not endless."""
    cut = text[:_LONGEST_SHOWN] + ("..." if len(text) > _LONGEST_SHOWN else "")
    return cut if cut.isprintable() else ascii(cut)


def shown_list(texts: Iterable[str]) -> str:
    """Give strangers' texts for a message, each once, in their order, as far as they are not too many."""
    distinct = list(dict.fromkeys(texts))
    more = [f"and {len(distinct) - _MOST_SHOWN} more"] if len(distinct) > _MOST_SHOWN else []
    return ", ".join([shown(text) for text in distinct[:_MOST_SHOWN]] + more)
