# SPDX-License-Identifier: Apache-2.0
"""What an updated image is called: the rule of StarlingX's incremental image updates."""

import re

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference

_UPDATE_NUMBER = re.compile(r"(?P<before>.*)\.(?P<number>[0-9]+)", re.DOTALL)
_VERSION = re.compile(r"[A-Za-z0-9_.-]{1,127}")
_FIRST_UPDATE = "1"


def check_version(version: str) -> None:
    """Make sure that a version can stand at the end of a tag.

    Raises:
        InputError: it holds what no tag may hold.
    """
    if not _VERSION.fullmatch(version):
        raise InputError(
            f"{version!r} cannot be the version of an image update",
            hint="it becomes the end of the tag: give a number, or letters, digits, dots, dashes and underscores",
        )


def check_owner(owner: str) -> None:
    """Make sure that an account or project can be part of a repository's name.

    Raises:
        InputError: it has upper-case letters. At the beginning of a name, these would be read as a registry's.
    """
    if owner != owner.lower():
        raise InputError(
            f"the account {owner!r} cannot be part of an image's name, which is lower case",
            hint="name the account or project in the registry with --user",
        )


def updated_reference(
    base: ImageReference, *, version: str = "", registry: str = "", user: str = "", account: str = "", tag: str = ""
) -> ImageReference:
    """Give the name of the image that an update of another image makes.

    A tag that ends in a dot and digits counts the updates: the number is replaced by ``version`` or grows by one,
    as wide as it was. Any other tag gets ``.<version>`` appended, ``.1`` when there is none. No tag means ``latest``.

    Args:
        base: the image to update.
        version: last part of the new tag. Empty counts on, and so does ``0``: that is the number of an image as it
            was first built, and the replaced script counts on as well.
        registry: registry of the new image, a trailing slash allowed; empty for the base's, unless ``user`` is given.
        user: account or path in the registry; empty for ``account`` when only a registry is given. Without a
            registry the new image is ``<user>/<label>``.
        account: this account's name.
        tag: the whole new tag, in place of the rule.

    Raises:
        InputError: a part is not valid, the base is known by digest only and no tag is given, or the result is the
            base itself.
    """
    result = _renamed(base, registry.rstrip("/"), user.strip("/"), account).with_tag(tag or _next_tag(base, version))
    if attrs.evolve(base, digest="").qualified == result.qualified and (base.tag or not base.digest):
        raise InputError(
            f"the updated image would be {result}, which is the image to update, and would overwrite it",
            hint="give another --version, --tag, --registry or --user",
        )
    return result


def _next_tag(base: ImageReference, version: str) -> str:
    if base.digest:
        raise InputError(
            f"{base} is given by digest, so the updated image's tag does not follow from it",
            hint="name the new tag with --tag",
        )
    if version:
        check_version(version)
    wanted = "" if version == "0" else version
    tag = base.tag or "latest"
    counted = _UPDATE_NUMBER.fullmatch(tag)
    if counted is None:
        return f"{tag}.{wanted or _FIRST_UPDATE}"
    number = counted["number"]
    return f"{counted['before']}.{wanted or str(int(number) + 1).zfill(len(number))}"


def _renamed(base: ImageReference, registry: str, user: str, account: str) -> ImageReference:
    if not registry and not user:
        return base
    owner = user or account
    if not owner:
        raise InputError(
            f"the registry {registry} is given, but no account in it", hint="name the account or project with --user"
        )
    check_owner(owner)
    return ImageReference.parse("/".join(part for part in (registry, owner, base.label) if part))
