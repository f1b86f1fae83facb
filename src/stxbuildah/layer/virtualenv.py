# SPDX-License-Identifier: Apache-2.0
"""Virtual environments: ``venv``, virtualenv from version 20 (both write pyvenv.cfg), and virtualenv before it."""

import re

import attrs

from stxbuildah.layer.installation import find_installation, library_versions, version_in_name
from stxbuildah.layer.paths import base_name, is_file, join, parent, read_file, resolve
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

_VERSION = re.compile(r"^(\d)\.(\d{1,2})(?:\D|$)")


@attrs.frozen(kw_only=True)
class VirtualEnvironment(Value):
    """A virtual environment.

    Attributes:
        prefix: its folder, canonical.
        version: major and minor version of its Python.
        base_interpreter: path of the interpreter it was made from; empty when it is not said.
        system_packages: packages of the Python it was made from are visible in it.
    """

    prefix: str
    version: tuple[int, int]
    base_interpreter: str
    system_packages: bool


def find_virtual_environment(tree: FileTree, interpreter: str) -> VirtualEnvironment | None:
    """Give the virtual environment an interpreter belongs to, or None.

    As CPython does, looks beside and one above the interpreter's own folder, before following the last link: a link
    elsewhere that points to a virtual environment's python is not that environment.

    Args:
        tree: the image.
        interpreter: absolute path of the interpreter as found.

    Raises:
        InputError: the version of its Python cannot be told.
    """
    folder = resolve(tree, parent(interpreter))
    if folder is None:
        return None
    for prefix in (folder, parent(folder)):
        content = read_file(tree, join(prefix, "pyvenv.cfg"))
        if content is not None:
            # CPython looks beside the program too, but lib/ is always one above it.
            return _from_settings(tree, parent(folder), interpreter, parse_settings(content))
    return _from_legacy(tree, parent(folder))


def parse_settings(content: bytes) -> dict[str, str]:
    """Give the keys of a pyvenv.cfg, in lower case, and their values; the first of a key wins."""
    values: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values.setdefault(key.strip().lower(), value.strip())
    return values


def _from_settings(tree: FileTree, prefix: str, interpreter: str, settings: dict[str, str]) -> VirtualEnvironment:
    real = resolve(tree, interpreter) or interpreter
    written = _VERSION.match(settings.get("version_info", "") or settings.get("version", ""))
    version = (int(written[1]), int(written[2])) if written else version_in_name(base_name(real))
    present = library_versions(tree, resolve(tree, f"{prefix}/lib") or "")
    # A venv whose system Python was replaced keeps an old number in its settings: what is there decides.
    if len(present) == 1 and present[0] != version:
        version = present[0]
    if version is None:
        version = find_installation(tree, real).version
    home = settings.get("home", "")
    beside = [f"python{version[0]}.{version[1]}", f"python{version[0]}", "python"]
    candidates = [
        settings.get("base-executable", ""),
        settings.get("executable", ""),
        *(f"{home}/{name}" for name in beside if home),
        real,
    ]
    base = next((path for path in candidates if path.startswith("/") and is_file(tree, path)), "")
    return VirtualEnvironment(
        prefix=prefix,
        version=version,
        base_interpreter=base,
        system_packages=settings.get("include-system-site-packages", "").lower() == "true",
    )


def _from_legacy(tree: FileTree, prefix: str) -> VirtualEnvironment | None:
    library = resolve(tree, join(prefix, "lib"))
    if library is None:
        return None
    for version in library_versions(tree, library):
        name = f"python{version[0]}.{version[1]}"
        original = read_file(tree, f"{library}/{name}/orig-prefix.txt")
        if original is None:
            continue
        base = original.decode("utf-8", "replace").strip()
        return VirtualEnvironment(
            prefix=prefix,
            version=version,
            base_interpreter=f"{base}/bin/{name}" if base.startswith("/") else "",
            system_packages=not is_file(tree, f"{library}/{name}/no-global-site-packages.txt"),
        )
    return None
