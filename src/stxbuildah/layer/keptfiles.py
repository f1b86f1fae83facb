# SPDX-License-Identifier: Apache-2.0
"""Which contents of a layer are kept with its index: what taking stock of an image and a wheel's update read.

Anything else that is asked for costs one more stream of the layer, so this is about time and never about what is found.
"""

import re

_KIB = 1024
_MIB = 1024 * _KIB

# Contents of one layer's index, in all.
MAXIMUM_CONTENTS = 256 * _MIB
# Read of a program: its ELF header and program headers (``layer.elf``).
PROGRAM_HEAD = 4 * _KIB
# A script of an entry point is smaller than this (``layer.installed_scripts``).
MAXIMUM_SCRIPT = 64 * _KIB

_METADATA_FOLDER = re.compile(r"(?:^|/)(?:[^/]+\.(?:dist-info|egg-info)|EGG-INFO)/", re.IGNORECASE)
_METADATA_FILES = {
    "METADATA": 4 * _MIB,
    "PKG-INFO": 4 * _MIB,
    "RECORD": 32 * _MIB,
    "INSTALLER": 64 * _KIB,
    "direct_url.json": 64 * _KIB,
    "entry_points.txt": 4 * _MIB,
    "installed-files.txt": 32 * _MIB,
    "namespace_packages.txt": 4 * _MIB,
    "requires.txt": 4 * _MIB,
    "SOURCES.txt": 4 * _MIB,
    "top_level.txt": 4 * _MIB,
}
_SUFFIXES = {".egg-info": 4 * _MIB, ".egg-link": 64 * _KIB, ".egg": 4 * _MIB, ".pth": _MIB}
_NAMES = {"pyvenv.cfg": 64 * _KIB, "EXTERNALLY-MANAGED": 64 * _KIB, "orig-prefix.txt": 64 * _KIB}
# By the whole path, for the first that matches.
_PATHS = (
    (re.compile(r"(?:^|/)[^/]*os-release[^/]*$"), 64 * _KIB),
    (re.compile(r"(?:^|/)var/lib/dpkg/(?:status|status\.d/[^/]+|info/[^/]+\.list)$"), 16 * _MIB),
    (re.compile(r"(?:^|/)(?:var/lib|usr/lib/sysimage|usr/share)/rpm/(?:Packages|rpmdb\.sqlite)$"), 24 * _MIB),
    # What Debian and Fedora changed in their Python.
    (re.compile(r"(?:^|/)lib\d*/python\d[^/]*/site\.py$"), 256 * _KIB),
    # The loader, which holds the version of the C library.
    (re.compile(r"(?:^|/)ld(?:-linux[-\w]*|64|-musl-\w+)\.so\.\d$"), 4 * _MIB),
)
_PROGRAM = re.compile(r"(?:^|/)(?:s?bin|libexec)/[^/]+$")
_PYTHON = re.compile(r"(?:^|/)(?:platform-)?(?:python|pypy)[^/]*$")


def kept_bytes(path: str, size: int) -> int:
    """Give how many bytes of a regular file's start are to be looked at for being kept.

    Args:
        path: relative path in the layer's tar.
        size: of the file.
    """
    name = path.rpartition("/")[2]
    if _METADATA_FOLDER.search(path):
        limit = _METADATA_FILES.get(name, 0)
    elif _PROGRAM.search(path):
        if size > MAXIMUM_SCRIPT and _PYTHON.search(path):
            return PROGRAM_HEAD
        limit = MAXIMUM_SCRIPT
    else:
        limit = _NAMES.get(name) or _SUFFIXES.get(f".{name.rpartition('.')[2].lower()}") or _by_path(path)
    return size if size <= limit else 0


def _by_path(path: str) -> int:
    return next((limit for pattern, limit in _PATHS if pattern.search(path)), 0)


def worth_keeping(path: str, content: bytes) -> bytes:
    """Give what of a file's looked-at start is worth keeping: of programs scripts, and the head of a Python.

    Args:
        path: relative path in the layer's tar.
        content: as many bytes as ``kept_bytes`` asked for.
    """
    if not _PROGRAM.search(path) or content.startswith(b"#!"):
        return content
    return content[:PROGRAM_HEAD] if _PYTHON.search(path) else b""
