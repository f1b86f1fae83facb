# SPDX-License-Identifier: Apache-2.0
"""Whether a wheel fits the Python of an image; told from the image's files, never from the Python that runs this.

Sources: "Platform compatibility tags" of the PyPA specifications (PEP 425, 600, 656) and the ``Requires-Python`` field
of "Core metadata specifications".
"""

from collections.abc import Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.version import InvalidVersion, Version

from stxbuildah import log
from stxbuildah.errors import Problem, ProblemsError
from stxbuildah.model.inventory import PythonEnvironment
from stxbuildah.model.wheel import Wheel

# The C library's minor version that the older names stand for (PEP 513, 571, 599), and the oldest there is (PEP 600).
_MANYLINUX_ALIASES = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
_OLDEST_GLIBC_ELSEWHERE = 17
# The last Python whose ABI tag names a build option: "m" for pymalloc, before that "mu" for four-byte characters too.
_LAST_WITH_PYMALLOC = (3, 7)
_LAST_WITH_UNICODE_WIDTH = (3, 2)


def check_compatible(wheel: Wheel, environment: PythonEnvironment) -> None:
    """Check that a wheel can be used by an image's Python.

    Raises:
        ProblemsError: none of its tags is of this Python and platform, or its Requires-Python excludes it.
    """
    mistake = incompatibility(wheel, environment)
    if mistake:
        raise ProblemsError(
            [Problem(str(wheel.path), mistake)],
            hint="build or download the wheel for the image's Python, or name another one with --python",
        )


def incompatibility(wheel: Wheel, environment: PythonEnvironment) -> str:
    """Say why a wheel cannot be used by an image's Python; empty when it can."""
    if not any(tag in wheel.tags for tag in supported_tags(environment, wheel.tags)):
        return f"is for {_shown(wheel.tags)}; the image has {described(environment)}"
    if not python_fits(wheel.requires_python, environment.version):
        return f"needs Python {wheel.requires_python}; the image has {described(environment)}"
    return ""


def supported_tags(environment: PythonEnvironment, asked: frozenset[Tag]) -> Iterator[Tag]:
    """Give the tags that an environment can use, best first.

    Args:
        environment: the Python; CPython, as every distribution's.
        asked: tags in question; platforms that none of them names are left out, for a quick answer.
    """
    named = {tag.platform for tag in asked}
    native = f"linux_{environment.machine}"
    # An empty list would make packaging take this machine's platforms.
    platforms = [platform for platform in _platforms(environment) if platform in named] or [native]
    yield from cpython_tags(environment.version, abis=_abis(environment.version), platforms=platforms)
    interpreter = f"cp{environment.version[0]}{environment.version[1]}"
    yield from compatible_tags(environment.version, interpreter=interpreter, platforms=platforms)


def python_fits(requires_python: str, version: tuple[int, int]) -> bool:
    """Tell whether a ``Requires-Python`` value allows some release of a Python version.

    An image tells its Python's minor version for certain, so a value fits that allows any release of it. A value that
    is none is passed over with a warning, as pip does.
    """
    if not requires_python:
        return True
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(requires_python)
    except InvalidSpecifier:
        log.warning("content.requires_python.invalid", value=requires_python)
        return True
    releases = {(*version, 0), (*version, 999)}
    for specifier in specifiers:
        try:
            named = Version(specifier.version.removesuffix(".*")).release
        except InvalidVersion:
            continue
        if named[:2] == version:
            releases.add((*version, named[2] if len(named) > len(version) else 0))
    return any(specifiers.contains(".".join(map(str, release)), prereleases=True) for release in releases)


def _platforms(environment: PythonEnvironment) -> Iterator[str]:
    machine = environment.machine
    if environment.glibc is not None:
        major, newest = environment.glibc
        for minor in range(newest, _OLDEST_GLIBC.get(machine, _OLDEST_GLIBC_ELSEWHERE) - 1, -1):
            yield f"manylinux_{major}_{minor}_{machine}"
            if minor in _MANYLINUX_ALIASES:
                yield f"{_MANYLINUX_ALIASES[minor]}_{machine}"
    if environment.musl is not None:
        major, newest = environment.musl
        for minor in range(newest, -1, -1):
            yield f"musllinux_{major}_{minor}_{machine}"
    yield f"linux_{machine}"


def _abis(version: tuple[int, int]) -> list[str]:
    base = f"cp{version[0]}{version[1]}"
    if version > _LAST_WITH_PYMALLOC:
        return [base]
    return [f"{base}m"] if version > _LAST_WITH_UNICODE_WIDTH else [f"{base}mu"]


def described(environment: PythonEnvironment) -> str:
    """Describe an environment for people."""
    library = ""
    if environment.glibc is not None:
        library = f" with glibc {environment.glibc[0]}.{environment.glibc[1]}"
    elif environment.musl is not None:
        library = f" with musl {environment.musl[0]}.{environment.musl[1]}"
    version = f"{environment.version[0]}.{environment.version[1]}"
    return f"Python {version} for {environment.machine}{library} ({environment.interpreter})"


def _shown(tags: frozenset[Tag]) -> str:
    return ", ".join(sorted(map(str, tags)))
