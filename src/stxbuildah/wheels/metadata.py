# SPDX-License-Identifier: Apache-2.0
"""What a wheel says of itself, and how it is made to report another version.

The format is https://packaging.python.org/en/latest/specifications/binary-distribution-format/.
"""

import base64
import csv
import hashlib
import io
import re
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import IO, TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from stxbuildah.errors import BuildError
from stxbuildah.model.module import BuiltModule

if TYPE_CHECKING:
    from zipfile import ZipFile

_LARGEST_METADATA = 8 * 2**20
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_VERSION_LINE = re.compile(rb"^Version[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


def read_metadata(wheel: Path) -> bytes:
    """Give the METADATA file of a wheel.

    Raises:
        BuildError: the file is no wheel, or one without readable metadata.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(wheel) as archive:
            return _metadata(archive, _dist_info(archive, wheel), wheel)
    except (BadZipFile, OSError, EOFError) as error:
        raise BuildError(f"{wheel.name} is no readable wheel: {error}") from error


def examine(wheel: Path) -> BuiltModule:
    """Read name, version and tags of a wheel; the file's name and its metadata must agree.

    Raises:
        BuildError: they do not agree, or cannot be read.
    """
    return examine_named(wheel)[0]


def examine_named(wheel: Path) -> tuple[BuiltModule, str]:
    """Do as ``examine``, and also give the name as the metadata spell it."""
    # The description behind the first empty line may be long, and is nobody's business here.
    headers = BytesHeaderParser().parsebytes(_EMPTY_LINE.split(read_metadata(wheel), maxsplit=1)[0])
    shown = headers["Name"] or ""
    try:
        name, version, _, tags = parse_wheel_filename(wheel.name)
        told_name, told_version = canonicalize_name(shown), Version(headers["Version"] or "")
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise BuildError(f"{wheel.name}: {error}") from error
    if (told_name, told_version) != (name, version):
        raise BuildError(f"{wheel.name}: its metadata are those of {told_name} {told_version}")
    return BuiltModule(wheel=wheel, name=name, version=version, tags=tags), shown


def with_version(wheel: Path, version: Version, folder: Path) -> Path:
    """Write a wheel again, so that it reports another version.

    The file's name, the folders ``.dist-info`` and ``.data``, METADATA and RECORD change; every other file, its mode
    and its date stay. Signatures of RECORD are left out, since they no longer hold.

    Args:
        wheel: the wheel; it is not changed.
        version: what the new one reports.
        folder: where the new one is written; not the folder of ``wheel``.

    Returns:
        The new wheel.

    Raises:
        BuildError: the file is no readable wheel.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(wheel) as source:
            old = _dist_info(source, wheel).removesuffix(".dist-info")
            new = f"{old.partition('-')[0]}-{version}"
            metadata = _reported(_metadata(source, f"{old}.dist-info", wheel), version)
            # Build number and tags, as the old name has them after name and version.
            target = folder / "-".join((new, *wheel.name.split("-")[2:]))
            draft = folder / f".{target.name}.part"
            try:
                with ZipFile(draft, "w") as out:
                    _rewrite(source, out, old, new, metadata)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
    except (BadZipFile, OSError, EOFError) as error:
        raise BuildError(f"the version of {wheel.name} cannot be changed: {error}") from error
    return target


def _rewrite(source: "ZipFile", out: "ZipFile", old: str, new: str, metadata: bytes) -> None:
    """Copy a wheel's files under their new names, and write RECORD last, as the format recommends."""
    import copy
    from zipfile import ZipInfo

    dist_info = f"{old}.dist-info"
    skipped = {f"{dist_info}/{name}" for name in _SIGNATURES}
    rows: list[tuple[str, str, str]] = []
    record: ZipInfo | None = None
    for entry in source.infolist():
        if entry.filename in skipped:
            continue
        renamed = copy.copy(entry)
        renamed.filename = _renamed(entry.filename, old, new)
        if entry.filename == f"{dist_info}/RECORD":
            record = renamed
            continue
        if entry.is_dir():
            out.writestr(renamed, b"")
            continue
        content: IO[bytes] = io.BytesIO(metadata) if entry.filename == f"{dist_info}/METADATA" else source.open(entry)
        with content, out.open(renamed, "w") as written:
            rows.append((renamed.filename, *_copied(content, written)))
    name = f"{new}.dist-info/RECORD"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows, (name, "", "")])
    out.writestr(record or ZipInfo(name), text.getvalue())


def _renamed(name: str, old: str, new: str) -> str:
    top, slash, rest = name.partition("/")
    for ending in (".dist-info", ".data"):
        if top == old + ending:
            return new + ending + slash + rest
    return name


def _copied(content: IO[bytes], written: IO[bytes]) -> tuple[str, str]:
    """Copy a file, and give its digest and size as RECORD has them."""
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(1 << 20):
        digest.update(chunk)
        size += len(chunk)
        written.write(chunk)
    return "sha256=" + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii"), str(size)


def _reported(metadata: bytes, version: Version) -> bytes:
    """Give metadata with another version; a line that looks like a header in the description stays."""
    head, blank, description = metadata.partition(b"\n\n")
    return _VERSION_LINE.sub(b"Version: " + str(version).encode("ascii"), head, count=1) + blank + description


def _dist_info(archive: "ZipFile", wheel: Path) -> str:
    """Give the name of the one ``.dist-info`` folder."""
    tops = {name.partition("/")[0] for name in archive.namelist() if "/" in name}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(found) != 1:
        raise BuildError(f"{wheel.name} has {len(found)} .dist-info folders where a wheel has one")
    return found[0]


def _metadata(archive: "ZipFile", dist_info: str, wheel: Path) -> bytes:
    try:
        entry = archive.getinfo(f"{dist_info}/METADATA")
    except KeyError as error:
        raise BuildError(f"{wheel.name} has no METADATA file") from error
    if entry.file_size > _LARGEST_METADATA:
        raise BuildError(f"{wheel.name}: its METADATA file has {entry.file_size} bytes")
    return archive.read(entry)
