# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a field of wheels.cfg: each function gives a sentence, or nothing when the field is right."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from stxbuildah.directive.modulesource import check_ref, parse_module_source
from stxbuildah.errors import InputError
from stxbuildah.model.module import ModuleSource

_UNREADABLE = re.compile(r"[\x00-\x20\x7f]")
_WILDCARDS = re.compile(r"[*?\[]")
# A module's name as a wheel spells it, then anything that the rest of a name or a wildcard may hold.
_WITH_WILDCARD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?-[A-Za-z0-9._+!*?\[\]^-]+\.whl")
# A list that is handed on may leave the server open, as @PYPI_FILES@/packages/...
_MARK = re.compile(r"@[A-Z][A-Z0-9_]*@/.+")


def wheel_mistake(name: str) -> str:
    """Tell what is wrong with a wheel's name, after PEP 427; version and tags may hold wildcards."""
    if not name:
        return "the wheel's name is missing"
    if not name.endswith(".whl"):
        return f"{name[:80]!r} is not the name of a wheel, which ends in .whl"
    if _WILDCARDS.search(name):
        good = _WITH_WILDCARD.fullmatch(name)
        return "" if good else f"{name!r}: a wildcard may stand for version and tags only, as in neutron_lib-*.whl"
    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        return f"{name!r} is not the name of a wheel: {error}"
    return ""


def url_mistake(url: str) -> str:
    """Tell what is wrong with the URL of an archive or a wheel."""
    shown = ModuleSource(text=url).shown
    if not url or _UNREADABLE.search(url):
        return f"{shown!r} is no URL: it holds a blank" if url else "the URL is missing"
    if _MARK.fullmatch(url):
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return f"{shown!r} is no URL: {error}"
    if parts.scheme == "file":
        good = not host and len(parts.path) > 1
    elif parts.scheme in {"http", "https"}:
        good = bool(host and parts.path.strip("/"))
    else:
        return f"{shown!r} is no URL that a file can be fetched from: http://, https:// or file://"
    return "" if good else f"{shown!r} names no file"


def git_url_mistake(url: str) -> str:
    """Tell what is wrong with the URL of a git repository."""
    if not url:
        return "the repository's URL is missing"
    shown = ModuleSource(text=url).shown
    if _UNREADABLE.search(url):
        return f"{shown!r} is no URL: it holds a blank"
    try:
        source = parse_module_source(url, Path("/"))
    except InputError as error:
        return error.message
    if source.folder is not None and not url.startswith("/"):
        return f"{shown!r} is no git repository: https://, http://, ssh://, file:// or user@host:path"
    return ""


def ref_mistake(ref: str) -> str:
    """Tell what is wrong with the name of a branch, tag or commit."""
    if not ref:
        return "the branch, tag or commit is missing"
    try:
        check_ref(ref)
    except InputError as error:
        return error.message
    return ""


def basedir_mistake(basedir: str) -> str:
    """Tell what is wrong with a folder inside a source: it must not lead out of it."""
    path = PurePosixPath(basedir)
    if path.is_absolute() or ".." in path.parts or "\\" in basedir or re.search(r"[\x00-\x1f\x7f]", basedir):
        return f"{basedir!r} is no folder inside the source: a relative path without .. is expected"
    return ""
