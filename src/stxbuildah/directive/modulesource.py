# SPDX-License-Identifier: Apache-2.0
"""``DIR[|version]`` and ``URL[|ref][|version]``: the text of ``--module-src`` and MODULE_SRC.

The fields are those of StarlingX's update-stx-image.sh. What names a git repository is decided by the text alone,
so that nothing is asked of the disk or a server here.
"""

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

from packaging.version import InvalidVersion, Version

from stxbuildah.errors import InputError
from stxbuildah.model.module import ModuleSource

# ``git`` (no encryption, no authentication) is not among them, nor is any remote helper, as ``ext::``.
SCHEMES = ("file", "http", "https", "ssh")

_FORM = "write DIR, DIR|version, URL, URL|ref or URL|ref|version"
_SCHEMES_HINT = "a git repository is named by file://, http://, https:// or ssh://, or as user@host:path"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_REMOTE_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_SCP_FORM = re.compile(
    r"(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^/:-].*|/.*)"
)
# What git-check-ref-format(1) forbids in a name, and the start that git would read as an option.
_BAD_REF = re.compile(r"^[-/.]|[\s~^:?*\[\\\x00-\x20\x7f]|\.\.|//|@\{|/\.|\.lock(?:/|$)|[/.]$|^@$")


def parse_module_source(text: str, base: Path) -> ModuleSource:
    """Read one module source.

    Args:
        text: ``DIR[|version]`` or ``URL[|ref][|version]``. Of a URL with two fields the second is the ref; an empty
            ref is the repository's HEAD. A folder whose name ends in ``.git`` is a git repository.
        base: the folder that a relative DIR is looked for in.

    Raises:
        InputError: the text is neither, names a scheme that is not allowed, or has a bad ref or version.
    """
    place, *fields = (field.strip() for field in text.split("|"))
    if not place or _UNPRINTABLE.search(text):
        raise InputError(f"{_hide(text)!r} is not a module source", hint=_FORM)
    url = _git_url(place, base)
    most = 2 if url else 1
    if len(fields) > most:
        hint = _FORM if url else f"{_FORM}; for a ref of a local repository write file://DIR|ref|version"
        raise InputError(f"the module source {_hide(text)!r} has {len(fields) - most} field(s) too many", hint=hint)
    ref = fields[0] if url and fields else ""
    version = "".join(fields[1:] if url else fields)
    if ref:
        check_ref(ref)
    return ModuleSource(
        text=text,
        folder=None if url else base / place,
        url=url,
        ref=ref,
        version=_version(version, text) if version else None,
    )


def check_ref(ref: str) -> None:
    """Check the name of a branch, tag, commit or full reference.

    Raises:
        InputError: git would read it as an option, or it can be no name after git-check-ref-format(1).
    """
    if ref.startswith("-"):
        raise InputError(
            f"the git ref {ref!r} starts with a dash: git would read it as an option",
            hint="name a branch, a tag or a commit",
        )
    if _BAD_REF.search(ref):
        raise InputError(f"{ref!r} is no name of a git ref", hint="name a branch, a tag or a commit")


def _git_url(place: str, base: Path) -> str:
    """Give the repository that ``place`` names, or an empty text when it is a folder."""
    if _REMOTE_HELPER.match(place):
        raise InputError(
            f"the module source {_hide(place)!r} names a git remote helper, which may run any program",
            hint=_SCHEMES_HINT,
        )
    if "://" in place:
        return _checked_url(place)
    if _SCP_FORM.fullmatch(place):
        return place
    before_colon, colon, _ = place.partition(":")
    if colon and "/" not in before_colon:
        raise InputError(
            f"the module source {place!r} is neither a folder nor a git repository",
            hint=f"{_SCHEMES_HINT}; a folder with a colon in its name is written ./{place}",
        )
    if Path(place).name.endswith(".git"):
        return "file://" + quote(str((base / place).absolute()))
    return ""


def _checked_url(place: str) -> str:
    try:
        parts = urlsplit(place)
        host, user, _ = parts.hostname or "", parts.username or "", parts.port
    except ValueError as error:
        raise InputError(f"{_hide(place)!r} is no URL: {error}", hint=_SCHEMES_HINT) from error
    if parts.scheme not in SCHEMES:
        raise InputError(f"module sources are not fetched by {parts.scheme or 'an empty scheme'!r}", hint=_SCHEMES_HINT)
    if parts.scheme == "file":
        if host not in {"", "localhost"} or not parts.path.startswith("/"):
            raise InputError(f"{place!r} names no folder of this machine", hint="write file:///absolute/path")
    elif not host or host.startswith("-") or user.startswith("-") or "%" in host:
        raise InputError(f"{_hide(place)!r} names no server", hint=_SCHEMES_HINT)
    elif not parts.path.strip("/"):
        raise InputError(f"{_hide(place)!r} names a server but no repository", hint=_SCHEMES_HINT)
    return place


def _hide(place: str) -> str:
    return ModuleSource(text=place).shown


def _version(text: str, source: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise InputError(
            f"{text!r} in the module source {_hide(source)!r} is no version after PEP 440",
            hint="as 1.2.3, 1.2.3.dev4 or 1.2.3+local.5",
        ) from error
