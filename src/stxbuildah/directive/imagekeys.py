# SPDX-License-Identifier: Apache-2.0
"""The keys of image directives files, and what is wrong with a key's value by itself."""

import re
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from stxbuildah.directive.modulesource import check_ref, parse_module_source
from stxbuildah.errors import InputError
from stxbuildah.model.imagebuild import Builder
from stxbuildah.model.reference import ImageReference

MOST_DIGITS = 10
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
# A user's name after the rules of Debian's adduser, which also becomes a folder.
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:-]*")
_REPOSITORY_LIST = re.compile(r"[+-]?[A-Za-z0-9][A-Za-z0-9._-]*")


def repository_mistake(text: str) -> str:
    """Tell what is wrong with the URL of a git repository."""
    try:
        source = parse_module_source(text, Path("/"))
    except InputError as error:
        return error.message
    if "|" in text or re.search(r"\s", text):
        return f"{source.shown!r} is no git repository: one URL expected"
    if source.folder is not None and not text.startswith("/"):
        return f"{source.shown!r} is no git repository: https://, http://, ssh://, file:// or user@host:path"
    return ""


def _builder(text: str) -> str:
    known = [builder.value for builder in Builder]
    return "" if text in known else f"{text!r} is no builder: {', '.join(known)}"


def _label(text: str) -> str:
    # It also becomes part of the names of logs and package lists.
    if ImageReference.parse(text).label != text:
        return f"{text!r} is more than the name of an image: no registry, account, tag or digest expected"
    return ""


def account_mistake(text: str) -> str:
    """Tell why LOCI could not make an account and folders of a project's name."""
    good = _ACCOUNT.fullmatch(text)
    return "" if good else f"{text!r} cannot be the name of the project's account: lower case, digits, - and _"


def _number(text: str) -> str:
    good = text.isascii() and text.isdigit() and len(text) < MOST_DIGITS
    return "" if good else f"{text!r} is no whole number"


def _yes_or_no(text: str) -> str:
    return "" if text in {"yes", "no"} else f"{text!r} is neither yes nor no"


def _ref(text: str) -> str:
    check_ref(text)
    return ""


def _command(text: str) -> str:
    return "" if text == "bash" else f"{text!r} cannot be used: bash expected"


def _path(text: str) -> str:
    return f"{text!r} is no path" if _UNPRINTABLE.search(text) else ""


def _script(text: str) -> str:
    # The script is copied into the checkout under this name.
    if Path(text).is_absolute() or ".." in Path(text).parts:
        return f"{text!r} leads out of the folder of this file"
    return _path(text)


def _pip_package(text: str) -> str:
    if "://" in text or "@" in text:
        return "" if not text.startswith("-") else f"{text!r} is no Python package"
    try:
        Requirement(text)
    except InvalidRequirement:
        return f"{text!r} is no Python package, as name, name[extra] or name==1.0"
    return ""


def _os_package(text: str) -> str:
    return f"{text!r} is no package: a program would read it as an option" if text.startswith("-") else ""


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    return lambda text: "" if pattern.fullmatch(text) else f"{text!r} is no {what}"


def _anything(text: str) -> str:
    del text
    return ""


_SINGLE: dict[str, Callable[[str], str]] = {
    "BUILDER": _builder,
    "LABEL": _label,
    # These two are looked at together, for LOCI alone.
    "PROJECT": _anything,
    "PROJECT_REPO": _anything,
    "PROJECT_REF": _ref,
    "PROJECT_UID": _number,
    "PROJECT_GID": _number,
    "PYTHON3": _yes_or_no,
    "MIRROR_LOCAL": _yes_or_no,
    "SPICE_REPO": repository_mistake,
    "SPICE_REF": _ref,
    "NON_UNIQUE_SYSTEM_ACCOUNT": _yes_or_no,
    "UPDATE_SYSTEM_ACCOUNT": _yes_or_no,
    "CUSTOMIZATION": _anything,
    "IMAGE_UPDATE_VER": _number,
    "POSTBUILD_COMMAND": _anything,
    "DOCKER_REPO": repository_mistake,
    "DOCKER_REF": _ref,
    "DOCKER_CONTEXT": _path,
    "DOCKER_FILE": _path,
    "SOURCE_REPO": repository_mistake,
    "SOURCE_REF": _ref,
    "COMMAND": _command,
    "SCRIPT": _script,
    "ARGS": _anything,
}
# Their values are words, and each word is looked at.
_LISTS: dict[str, Callable[[str], str]] = {
    "PIP_PACKAGES": _pip_package,
    "UPGRADE_PIP_PACKAGES": _pip_package,
    "DIST_PACKAGES": _os_package,
    "PROFILES": _matching(_PROFILE, "profile of bindep"),
    "DIST_REPOS": _matching(_REPOSITORY_LIST, "name of package lists, as OS or -STX"),
    "POSTBUILD_REMOVE_PYTHON_PACKAGES": _pip_package,
    "POSTBUILD_REMOVE_OS_PACKAGES": _os_package,
    "DOCKER_PATCHES": _path,
    "SOURCE_PATCHES": _path,
}
KEYS = (*_SINGLE, *_LISTS)


def mistake(key: str, value: str) -> str:
    """Tell what is wrong with a value that is not empty; nothing of a key that is not known."""
    try:
        if key in _SINGLE:
            return _SINGLE[key](value.strip())
        if key in _LISTS:
            return next((found for word in value.split() if (found := _LISTS[key](word))), "")
    except InputError as error:
        return error.message
    return ""
