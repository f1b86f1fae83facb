# SPDX-License-Identifier: Apache-2.0
"""Content from strangers as it passes by: held to its descriptor."""

import hashlib
from collections.abc import Iterable, Iterator

from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Descriptor


def verified(chunks: Iterable[bytes], descriptor: Descriptor, name: str) -> Iterator[bytes]:
    """Pass content on; it comes to an orderly end only when its size and digest are right.

    Args:
        chunks: the content; no more of it is asked for once it is too large.
        descriptor: what it should be.
        name: the image as a message names it.

    Raises:
        InputError: it is not what the descriptor says.
    """
    digest, left = hashlib.sha256(), descriptor.size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise _damaged(name, descriptor, f"has more than its {descriptor.size} bytes")
        digest.update(chunk)
        yield chunk
    if left:
        raise _damaged(name, descriptor, f"ends after {descriptor.size - left} of {descriptor.size} bytes")
    found = f"sha256:{digest.hexdigest()}"
    if found != descriptor.digest:
        raise _damaged(name, descriptor, f"has the digest {found}")


def _damaged(name: str, descriptor: Descriptor, what: str) -> InputError:
    return InputError(f"{name} is damaged: its blob {descriptor.digest} {what}", hint="copy or build the image again")
