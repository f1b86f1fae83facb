# SPDX-License-Identifier: Apache-2.0
"""Where an installer puts files, for each kind of Python environment.

Sources: ``sysconfig`` and ``site`` of CPython 2.7 and 3.7 to 3.14; Debian's patches of both (dist-packages, scheme
``posix_local`` since 3.10 and ``unix_local`` before, with the same folders); Fedora's patch 00251, by which root's
pip installs to /usr/local unless an rpm is being built; pip for the headers' folder, which sysconfig has no name for.
"""

import attrs

from stxbuildah.layer.installation import Installation
from stxbuildah.layer.paths import is_directory, join, read_file, real_path
from stxbuildah.layer.virtualenv import VirtualEnvironment
from stxbuildah.model.inventory import SchemeKind
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

_DPKG = "/var/lib/dpkg"
# Python's own name for the folder of its headers lost its "m" with 3.8, whose builds have no pymalloc flag any more.
_LAST_WITH_FLAG = (3, 7)
# From here on, pip asks sysconfig, where these systems keep headers of /usr, in place of distutils.
_FIRST_WITH_SYSCONFIG = (3, 10)


@attrs.frozen(kw_only=True)
class Layout(Value):
    """Folders of one environment; meanings as in ``PythonEnvironment``.

    Attributes:
        kind: how the environment is laid out.
        version: major and minor version.
        prefix: ``sys.prefix``.
        purelib: folder of pure-Python modules.
        platlib: folder of compiled modules.
        scripts: folder of console scripts.
        data: prefix for a wheel's data files.
        headers: folder for a wheel's headers.
        folders: what ``site`` adds to the search path, before ``.pth`` files.
    """

    kind: SchemeKind
    version: tuple[int, int]
    prefix: str
    purelib: str
    platlib: str
    scripts: str
    data: str
    headers: str
    folders: tuple[str, ...]


def of_virtual_environment(tree: FileTree, virtual: VirtualEnvironment) -> Layout:
    """Give the folders of a virtual environment."""
    prefix, name = virtual.prefix, _python(virtual.version)
    purelib = f"{prefix}/lib/{name}/site-packages"
    wide = f"{prefix}/lib64/{name}"
    platlib = f"{wide}/site-packages" if is_directory(tree, wide) else purelib
    return _canonical(
        tree,
        Layout(
            kind=SchemeKind.VENV,
            version=virtual.version,
            prefix=prefix,
            purelib=purelib,
            platlib=platlib,
            scripts=join(prefix, "bin"),
            data=prefix,
            headers=f"{prefix}/include/site/{name}",
            folders=(platlib, purelib),
        ),
    )


def of_installation(tree: FileTree, installation: Installation) -> Layout:
    """Give the folders of a Python that is not a virtual environment."""
    if installation.prefix == "/usr":
        # What a distribution changed in its Python stands in the text of site.py; a slim image may have dropped both.
        site = read_file(tree, f"/usr/{installation.platlibdir}/{_python(installation.version)}/site.py")
        is_debian = is_directory(tree, _DPKG) if site is None else b"dist-packages" in site
        if is_debian:
            return _canonical(tree, _debian(installation))
        if site is not None and b"RPM_BUILD_ROOT" in site and b"/usr/local" in site:
            return _canonical(tree, _prefix(installation, "/usr/local"))
    return _canonical(tree, _prefix(installation, installation.prefix))


def _python(version: tuple[int, int]) -> str:
    return f"python{version[0]}.{version[1]}"


def _headers(version: tuple[int, int]) -> str:
    return _python(version) + ("m" if (3, 0) <= version <= _LAST_WITH_FLAG else "")


def _debian(installation: Installation) -> Layout:
    version, name = installation.version, _python(installation.version)
    local = f"/usr/local/lib/{name}/dist-packages"
    shared = ("/usr/lib/python3/dist-packages",) if version >= (3, 0) else ()
    headers = "/usr/include" if version >= _FIRST_WITH_SYSCONFIG else "/usr/local/include"
    return Layout(
        kind=SchemeKind.DEBIAN,
        version=version,
        prefix="/usr",
        purelib=local,
        platlib=local,
        scripts="/usr/local/bin",
        data="/usr/local",
        headers=f"{headers}/{_headers(version)}",
        folders=(local, *shared, f"/usr/lib/{name}/dist-packages"),
    )


def _prefix(installation: Installation, base: str) -> Layout:
    """Give the layout of a plain prefix, whose installer puts files below ``base``."""
    version, name, wide = installation.version, _python(installation.version), installation.platlibdir
    include = installation.prefix if version >= _FIRST_WITH_SYSCONFIG else base
    folders = tuple(
        f"{prefix.rstrip('/')}/{library}/{name}/site-packages"
        for prefix in dict.fromkeys((base, installation.prefix))
        for library in dict.fromkeys((wide, "lib"))
    )
    return Layout(
        kind=SchemeKind.PREFIX,
        version=version,
        prefix=installation.prefix,
        purelib=f"{base.rstrip('/')}/lib/{name}/site-packages",
        platlib=f"{base.rstrip('/')}/{wide}/{name}/site-packages",
        scripts=join(base, "bin"),
        data=base,
        headers=f"{include.rstrip('/')}/include/{_headers(version)}",
        folders=folders,
    )


def _canonical(tree: FileTree, layout: Layout) -> Layout:
    def real(path: str) -> str:
        return real_path(tree, path) or path

    return attrs.evolve(
        layout,
        prefix=real(layout.prefix),
        purelib=real(layout.purelib),
        platlib=real(layout.platlib),
        scripts=real(layout.scripts),
        data=real(layout.data),
        headers=real(layout.headers),
    )
