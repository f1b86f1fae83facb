# SPDX-License-Identifier: Apache-2.0
"""Checks of what an image should not hold: rights that surprise, and what a build has left behind."""

import json
import re
from collections.abc import Callable, Iterator, Mapping

import attrs

from stxbuildah.layer.documents import Json
from stxbuildah.layer.imagechecks import result
from stxbuildah.layer.paths import is_below, read_file
from stxbuildah.layer.removal import package_owning
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.value import Value
from stxbuildah.model.verify import Check, CheckResult

_OTHERS_MAY_WRITE, _STICKY, _SET_ID = 0o002, 0o1000, 0o6000
# Made anew for each container, whatever the image has there.
_NOT_THE_IMAGE = ("/dev", "/proc", "/sys", "/run")
_PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"})
_PROXY_IN_HISTORY = re.compile(r"\b(?P<name>(?:https?|ftp|all)_proxy)=[\"']?\w", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class BaseImage(Value):
    """What an image is compared with.

    Attributes:
        tree: its files.
        documents: its manifest and configuration.
    """

    tree: FileTree
    documents: ImageDocuments


@attrs.frozen
class _Left:
    """A place where builds leave something behind.

    Attributes:
        pattern: of absolute paths; of a folder, its own path is not among them.
        what: what is there.
        allowed: of paths that may be there all the same.
    """

    pattern: re.Pattern[str]
    what: str
    allowed: re.Pattern[str] = re.compile(r"(?!)")


_LEFT = (
    _Left(re.compile(r"/var/lib/apt/lists/[^/]+"), "a list of apt's", re.compile(r".*/(?:lock|partial|auxfiles)")),
    _Left(re.compile(r"/var/cache/apt/(?:archives/[^/]+\.deb|(?:src)?pkgcache\.bin)"), "a cache of apt's"),
    _Left(re.compile(r"/var/cache/(?:dnf|libdnf5|yum)/[^/]+"), "a cache of dnf's"),
    _Left(re.compile(r"/(?:var/)?tmp/[^/]+"), "a temporary file"),
    _Left(re.compile(r"/root/\.cache/[^/]+"), "a cache of root's"),
    _Left(re.compile(r"/(?:home|var/lib)/[^/]+/\.cache/(?:pip|uv)"), "a cache of pip's"),
    _Left(re.compile(r"/usr/sbin/policy-rc\.d"), "what keeps services from starting"),
    _Left(re.compile(r"/(?:image-update|run/stxb)[^/]*"), "a mount point of the build"),
    _Left(re.compile(r"/etc/rpm/macros\.stxb"), "a mount point of the build"),
)
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_COMPILED = re.compile(r"/(?:usr|var)/(?:.*/)?(?:__pycache__|[^/]+\.pyc)")


def check_permissions(tree: FileTree, files: Mapping[str, Entry], base: BaseImage | None) -> CheckResult:
    """Check that no file may be written by everybody, and that nothing new runs with the rights of its owner.

    What the base image has so already is no surprise, nor a program with its owner's rights that a package of the
    operating system has brought.

    Args:
        tree: the image.
        files: all its paths.
        base: what it was built from; None when that is not known.
    """

    def new(path: str, bits: int) -> bool:
        before = base.tree.lstat(path) if base is not None else None
        return before is None or not before.mode & bits

    wrong = []
    for path in sorted(files):
        entry = files[path]
        if entry.kind not in {Kind.FILE, Kind.DIRECTORY} or _is_made_anew(path):
            continue
        free = entry.mode & _OTHERS_MAY_WRITE and not (entry.kind is Kind.DIRECTORY and entry.mode & _STICKY)
        if free and new(path, _OTHERS_MAY_WRITE):
            wrong.append(f"everybody may write to {path}: its mode is {entry.mode:04o}")
        taken = entry.kind is Kind.FILE and entry.mode & _SET_ID
        if taken and new(path, _SET_ID) and not package_owning(tree, path):
            wrong.append(f"{path} runs with its owner's rights (mode {entry.mode:04o}), and no package has brought it")
    return result(
        Check.PERMISSIONS, wrong, f"none of {len(files)} paths has rights that surprise", "rights that surprise"
    )


def check_leftovers(
    tree: FileTree, files: Mapping[str, Entry], documents: ImageDocuments, base: BaseImage | None, *, compiled: bool
) -> CheckResult:
    """Check that nothing is there that only the build needed, or that it came by on its way.

    What the base image has already was not left by this build.

    Args:
        tree: the image.
        files: all its paths.
        documents: its manifest and configuration.
        base: what it was built from; None when that is not known.
        compiled: compiled Python files are leftovers, too.
    """

    def new(path: str) -> bool:
        return base is None or base.tree.lstat(path) is None

    wrong = [*_left_paths(files, new), *_machine_ids(tree, base)]
    if compiled:
        wrong += [f"{path} is compiled Python" for path in _topmost(files, _COMPILED) if new(path)]
    wrong += _proxies(documents, base.documents if base is not None else None)
    return result(Check.LEFTOVERS, wrong, "the build has left nothing behind", "the build has left something behind")


def _is_made_anew(path: str) -> bool:
    return any(path == folder or is_below(path, folder) for folder in _NOT_THE_IMAGE)


def _left_paths(files: Mapping[str, Entry], new: Callable[[str], bool]) -> Iterator[str]:
    for path in sorted(files):
        for left in _LEFT:
            if left.pattern.fullmatch(path) and not left.allowed.fullmatch(path) and new(path):
                yield f"{path} is {left.what}"


def _topmost(files: Mapping[str, Entry], pattern: re.Pattern[str]) -> Iterator[str]:
    """Give the paths that match, without those below another one."""
    last = ""
    for path in sorted(path for path in files if pattern.fullmatch(path)):
        if not last or not is_below(path, last):
            last = path
            yield path


def _machine_ids(tree: FileTree, base: BaseImage | None) -> Iterator[str]:
    """Give the files that name one machine; empty ones are filled when a machine starts (machine-id(5))."""
    for path in _MACHINE_IDS:
        content = read_file(tree, path)
        if content and content.strip() not in {b"", b"uninitialized"}:
            before = read_file(base.tree, path) if base is not None else None
            if before != content:
                yield f"{path} names one machine"


def _proxies(documents: ImageDocuments, base: ImageDocuments | None) -> Iterator[str]:
    """Give the proxies that a configuration tells of; never their values, which may hold a password."""
    config = _config(documents)
    known = _config(base) if base is not None else {}
    before = set(_environment(known))
    for variable in _environment(config):
        name = variable.partition("=")[0]
        if name.lower() in _PROXIES and variable not in before:
            yield f"the variable {name} is set in its configuration"
    old = {_created_by(step) for step in _list(known.get("history"))}
    for number, step in enumerate(_list(config.get("history")), start=1):
        text = _created_by(step)
        found = _PROXY_IN_HISTORY.search(text)
        if found and text not in old:
            yield f"step {number} of its history tells {found['name']}"


def _config(documents: ImageDocuments) -> dict[str, Json]:
    found: Json = json.loads(documents.config)
    return found if isinstance(found, dict) else {}


def _environment(config: Mapping[str, Json]) -> list[str]:
    settings = config.get("config")
    return [str(one) for one in _list(settings.get("Env") if isinstance(settings, dict) else None)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _created_by(step: Json) -> str:
    return str(step.get("created_by") or "") if isinstance(step, dict) else ""
