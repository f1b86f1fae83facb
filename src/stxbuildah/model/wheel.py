# SPDX-License-Identifier: Apache-2.0
"""A wheel that was read and found sound."""

from pathlib import Path

import attrs
from packaging.tags import Tag
from packaging.utils import BuildTag, NormalizedName
from packaging.version import Version

from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class ArchiveMember(Value):
    """One file of a zip archive, and where its bytes are.

    Attributes:
        name: path inside the archive.
        size: bytes of its content.
        packed_size: bytes it takes in the archive.
        offset: where these begin.
        deflated: whether they are compressed.
        crc: CRC-32 of the content.
        executable: whether the archive says that the file may be run.
    """

    name: str
    size: int
    packed_size: int
    offset: int
    deflated: bool
    crc: int
    executable: bool = False


@attrs.frozen(kw_only=True)
class WheelMember(Value):
    """One file of a wheel.

    Attributes:
        stored: the file in the archive.
        sha256: digest of its content, spelled as in RECORD: base64 for URLs without padding.
    """

    stored: ArchiveMember
    sha256: str


@attrs.frozen(kw_only=True)
class EntryPoint(Value):
    """A command that an installer makes a script for.

    Attributes:
        name: the command.
        module: the module to import.
        attribute: what to call in it, as ``main`` or ``Program.run``.
    """

    name: str
    module: str
    attribute: str


@attrs.frozen(kw_only=True)
class Wheel(Value):
    """A wheel whose names, hashes and metadata were checked.

    Attributes:
        path: the file.
        sha256: digest of the file, in hexadecimal.
        size: bytes of the file.
        name: the distribution's name normalized after PEP 503.
        display_name: the name as the metadata spell it.
        version: the distribution's version.
        build: build tag; empty when there is none.
        tags: what it is for.
        requires: its ``Requires-Dist`` values.
        requires_python: its ``Requires-Python`` value, or empty.
        root_is_purelib: whether what stands at its root goes to purelib, not platlib.
        entry_points: its console and GUI scripts.
        top_level: names of the modules and packages at its root, sorted.
        dist_info: name of its ``.dist-info`` folder.
        members: its files in the archive's order; RECORD, signatures and ``__pycache__`` are left out.
    """

    path: Path
    sha256: str
    size: int
    name: NormalizedName
    display_name: str
    version: Version
    build: BuildTag = ()
    tags: frozenset[Tag]
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    root_is_purelib: bool = True
    entry_points: tuple[EntryPoint, ...] = ()
    top_level: tuple[str, ...] = ()
    dist_info: str
    members: tuple[WheelMember, ...] = attrs.field(default=(), repr=False)
