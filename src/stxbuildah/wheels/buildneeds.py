# SPDX-License-Identifier: Apache-2.0
"""What a project's files say of its build: PEP 517 and PEP 518, and setup.py where there is nothing else.

Nothing of the project is executed; what only its execution can tell is asked in the container.
"""

import ast
import configparser
import tomllib
from collections.abc import Iterator
from pathlib import Path

import attrs
from packaging.requirements import InvalidRequirement, Requirement

from stxbuildah.errors import InputError

_LARGEST = 4 * 2**20
# What pip takes where a project does not say (PEP 517, "Source trees").
_LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
_LEGACY_REQUIRES = ("setuptools>=40.8.0", "wheel")
_PYPROJECT, _SETUP, _SETUP_CONFIG = "pyproject.toml", "setup.py", "setup.cfg"


@attrs.frozen(kw_only=True)
class BuildNeeds:
    """How a project is built.

    Attributes:
        backend: the back end's object, as ``flit_core.buildapi`` or ``module:object.inner``.
        backend_path: folders of the project that hold the back end.
        requires: what it needs to be built.
        asks: whether only the back end itself can tell all that is needed.
    """

    backend: str
    backend_path: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    asks: bool = True


def read_needs(folder: Path) -> BuildNeeds:
    """Read how a project is built.

    Args:
        folder: holds pyproject.toml or setup.py; not trusted.

    Raises:
        InputError: it has neither, or says something that cannot be understood.
    """
    table = _build_system(folder)
    if not _is_plain(folder / _SETUP) and not _is_plain(folder / _PYPROJECT):
        raise InputError(
            f"there is neither {_PYPROJECT} nor {_SETUP} to build it by",
            hint="check the field basedir; an archive's own folder is mostly NAME-VERSION",
        )
    table = table or {}
    lines = _texts(table.get("requires", list(_LEGACY_REQUIRES)), "requires")
    backend = table.get("build-backend", _LEGACY_BACKEND)
    if not isinstance(backend, str) or not all(part.isidentifier() for part in backend.replace(":", ".").split(".")):
        raise InputError(f"{_PYPROJECT}: build-backend {backend!r} is no name of an object")
    paths = _texts(table.get("backend-path", []), "backend-path")
    # PEP 517: relative, and inside the source.
    if any(path.startswith("/") or ".." in Path(path).parts for path in paths):
        raise InputError(f"{_PYPROJECT}: backend-path leads out of the source")
    asks = True
    if backend.startswith("setuptools"):
        lines = (*lines, *_setup_requires(folder))
        asks = _mentions_setup_requires(folder)
    return BuildNeeds(backend=backend, backend_path=paths, requires=tuple(map(parse_need, lines)), asks=asks)


def parse_need(line: str) -> Requirement:
    """Read one build requirement, which must be one that an index can meet.

    Raises:
        InputError: it is none.
    """
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise InputError(f"the build requires {line[:200]!r}, which is no requirement: {error}") from error
    if requirement.url:
        raise InputError(f"the build requires {requirement.name} from a URL, which is not fetched")
    return requirement


def _build_system(folder: Path) -> dict[str, object] | None:
    text = _text(folder / _PYPROJECT)
    if text is None:
        return None
    try:
        table = tomllib.loads(text).get("build-system")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{_PYPROJECT} cannot be read: {error}") from error
    if table is None or isinstance(table, dict):
        return table
    raise InputError(f"{_PYPROJECT}: build-system is no table")


def _texts(value: object, key: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise InputError(f"{_PYPROJECT}: {key} of build-system is no list of texts")


def _setup_requires(folder: Path) -> tuple[str, ...]:
    """Give what setup.py and setup.cfg write out as setup_requires; a guess that spares asking in the container."""
    found = [*_of_setup(_text(folder / _SETUP) or ""), *_of_config(_text(folder / _SETUP_CONFIG) or "")]
    return tuple(line for line in found if _is_requirement(line))


def _mentions_setup_requires(folder: Path) -> bool:
    """Tell whether setuptools might ask for more; to answer, it carries setup.py out, half a small build's time."""
    files = [*folder.glob("*.py"), folder / _SETUP_CONFIG]
    return any("setup_requires" in (_text(path) or "") for path in files)


def _of_setup(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "setup_requires":
            value = node.value
            elements = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
            for element in elements:
                if isinstance(element, ast.Constant) and isinstance(element.value, str):
                    yield element.value


def _of_config(text: str) -> Iterator[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    value = parser.get("options", "setup_requires", fallback="")
    # One a line, or parted by semicolons; a marker has one, too, and such a line is left to the container.
    yield from (line.strip() for line in value.splitlines() if line.strip() and ";" not in line)


def _is_requirement(line: str) -> bool:
    try:
        return Requirement(line).url is None
    except InvalidRequirement:
        return False


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _text(path: Path) -> str | None:
    if not _is_plain(path):
        return None
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path.name} has more than {_LARGEST} bytes")
    return path.read_text(encoding="utf-8", errors="replace")
