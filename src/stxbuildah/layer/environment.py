# SPDX-License-Identifier: Apache-2.0
"""Finding the Python of an image, and where its installer puts files, without running it.

The rules are CPython's own (``getpath``, ``site``, ``sysconfig``), those of ``venv`` and of virtualenv before
version 20, Debian's dist-packages, and Fedora's /usr/local for what no rpm installed.
"""

from stxbuildah.errors import InputError
from stxbuildah.layer import scheme
from stxbuildah.layer.elf import CLibrary, c_library, find_loader, program_at
from stxbuildah.layer.installation import Installation, find_installation
from stxbuildah.layer.paths import entry_at, resolve
from stxbuildah.layer.sitepath import search_path
from stxbuildah.layer.virtualenv import VirtualEnvironment, find_virtual_environment
from stxbuildah.model.inventory import PythonEnvironment
from stxbuildah.model.tree import FileTree, Kind

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EXECUTABLE = 0o111


def find_environment(tree: FileTree, path_variable: str, python: str = "") -> PythonEnvironment | None:
    """Give the Python environment of an image.

    Args:
        tree: the image.
        path_variable: PATH of the image's configuration; the usual default when empty.
        python: interpreter to take: an absolute path, or a name to look up on PATH; empty for the first ``python3`` on
            PATH, else the first ``python`` there.

    Returns:
        The environment; its folders are canonical. None when the image has no Python and none was asked for.

    Raises:
        InputError: the interpreter asked for is not there, or its version cannot be told.
    """
    interpreter = find_interpreter(tree, path_variable, python)
    if interpreter is None:
        return None
    real = resolve(tree, interpreter) or interpreter
    virtual = find_virtual_environment(tree, interpreter)
    if virtual is None:
        installation = find_installation(tree, real)
        layout = scheme.of_installation(tree, installation)
        folders = layout.folders
    else:
        layout = scheme.of_virtual_environment(tree, virtual)
        folders = (*layout.folders, *_system_folders(tree, virtual))
    program = program_at(tree, real)
    loader = program.loader if program and program.loader else find_loader(tree)
    library = c_library(tree, loader) if loader else CLibrary()
    return PythonEnvironment(
        interpreter=interpreter,
        real_interpreter=real,
        version=layout.version,
        kind=layout.kind,
        prefix=layout.prefix,
        purelib=layout.purelib,
        platlib=layout.platlib,
        scripts=layout.scripts,
        data=layout.data,
        headers=layout.headers,
        search_path=search_path(tree, folders),
        machine=program.machine if program else "",
        glibc=library.glibc,
        musl=library.musl,
    )


def find_interpreter(tree: FileTree, path_variable: str, python: str = "") -> str | None:
    """Give the path of the interpreter as it is found, links not followed; arguments as of ``find_environment``.

    Raises:
        InputError: the interpreter asked for is not there.
    """
    folders = [folder.rstrip("/") for folder in (path_variable or DEFAULT_PATH).split(":") if folder.startswith("/")]
    if not python:
        return _on_path(tree, folders, "python3") or _on_path(tree, folders, "python")
    if python.startswith("/"):
        if _is_executable(tree, python):
            return python
        raise InputError(f"the image has no executable {python}", hint="name the image's own Python with --python")
    if "/" in python:
        raise InputError(
            f"{python} is neither an absolute path nor a name", hint="--python takes /path/of/python3 or python3.11"
        )
    found = _on_path(tree, folders, python)
    if found is None:
        raise InputError(
            f"the image has no {python} on its PATH ({':'.join(folders)})",
            hint="name the image's own Python by its absolute path with --python",
        )
    return found


def _on_path(tree: FileTree, folders: list[str], name: str) -> str | None:
    return next((path for folder in folders if _is_executable(tree, path := f"{folder}/{name}")), None)


def _is_executable(tree: FileTree, path: str) -> bool:
    entry = entry_at(tree, path)
    return entry is not None and entry.kind is Kind.FILE and bool(entry.mode & _EXECUTABLE)


def _system_folders(tree: FileTree, virtual: VirtualEnvironment) -> tuple[str, ...]:
    if not virtual.system_packages or not virtual.base_interpreter:
        return ()
    real = resolve(tree, virtual.base_interpreter)
    if real is None:
        return ()
    base: Installation = find_installation(tree, real)
    return scheme.of_installation(tree, base).folders
