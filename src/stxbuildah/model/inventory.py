# SPDX-License-Identifier: Apache-2.0
"""What an image holds, as far as an update needs to know."""

from enum import StrEnum

import attrs
from packaging.utils import NormalizedName

from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class OsRelease(Value):
    """The image's ``os-release``; empty strings where the image does not say.

    Attributes:
        id: lower-case identifier, as ``debian``.
        id_like: identifiers of related systems.
        version_id: release number, as ``13``.
        codename: release name, as ``trixie``.
        pretty_name: the name for people.
    """

    id: str = ""
    id_like: tuple[str, ...] = ()
    version_id: str = ""
    codename: str = ""
    pretty_name: str = ""


class SchemeKind(StrEnum):
    """How a Python environment lays out what is installed into it."""

    VENV = "venv"
    DEBIAN = "debian"
    PREFIX = "prefix"


@attrs.frozen(kw_only=True)
class PythonEnvironment(Value):
    """One Python of an image and where its installer puts files.

    Attributes:
        interpreter: the interpreter as found, as ``/var/lib/openstack/bin/python3``; the scripts' ``#!`` line.
        real_interpreter: the file behind it after following links inside the image.
        version: major and minor version.
        kind: how the environment is laid out.
        prefix: ``sys.prefix``.
        purelib: folder of pure-Python modules.
        platlib: folder of compiled modules.
        scripts: folder of console scripts.
        data: prefix for a wheel's data files.
        headers: folder for a wheel's headers, without the distribution's name.
        search_path: folders in which installed distributions are found, first wins.
        machine: hardware name as in platform tags, as ``x86_64``.
        glibc: version of the image's C library; None when it is not glibc.
        musl: version of the image's musl; None when it is not musl.
    """

    interpreter: str
    real_interpreter: str
    version: tuple[int, int]
    kind: SchemeKind
    prefix: str
    purelib: str
    platlib: str
    scripts: str
    data: str
    headers: str
    search_path: tuple[str, ...]
    machine: str
    glibc: tuple[int, int] | None = None
    musl: tuple[int, int] | None = None


class MetadataFormat(StrEnum):
    """How an installed distribution is recorded."""

    DIST_INFO = "dist-info"
    EGG_INFO = "egg-info"
    EGG_INFO_FILE = "egg-info file"
    EGG = "egg"
    EGG_LINK = "egg-link"


@attrs.frozen(kw_only=True)
class Distribution(Value):
    """One installed Python distribution.

    Attributes:
        name: the name normalized after PEP 503.
        display_name: the name as the metadata spell it.
        version: the version as the metadata spell it.
        location: the search-path folder it was found in.
        metadata_path: path of its ``.dist-info`` or ``.egg-info`` folder or file, ``.egg`` or ``.egg-link``.
        format: how it is recorded.
        requires: its requirements (``Requires-Dist`` values, or lines of requires.txt turned into such).
        requires_python: its ``Requires-Python`` value, or empty.
        installer: content of INSTALLER, or empty.
        direct_url: content of direct_url.json, or empty; for an ``.egg-link``, what it would be.
    """

    name: NormalizedName
    display_name: str
    version: str
    location: str
    metadata_path: str
    format: MetadataFormat
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    installer: str = ""
    direct_url: str = ""


@attrs.frozen(kw_only=True)
class Inventory(Value):
    """What an update must know of an image.

    Attributes:
        os_release: the operating system.
        environment: the Python environment that wheels go into; None when the image has no Python.
        distributions: what is installed and visible there, each name once (the first on the search path wins).
    """

    os_release: OsRelease
    environment: PythonEnvironment | None
    distributions: tuple[Distribution, ...] = ()
