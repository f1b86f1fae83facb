# SPDX-License-Identifier: Apache-2.0
"""Read a wheel and find every mistake in it before anything is written.

Sources: "Binary distribution format" and "Recording installed projects" of the PyPA specifications. Every mistake
that can be seen is told at once.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.layer.archive import DamagedMemberError, member_chunks, read_archive
from stxbuildah.layer.metadata import read_headers
from stxbuildah.layer.record import RECORD_SIGNATURES, RecordLine, read_record, spelled
from stxbuildah.layer.scripts import read_entry_points
from stxbuildah.model.wheel import ArchiveMember, EntryPoint, Wheel, WheelMember

SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})
_DIST_INFO = ".dist-info"
_DATA = ".data"
_MAXIMUM_TEXT = 16 * 1024**2
_MAXIMUM_PROBLEMS = 20
_HEADERS = frozenset({"name", "version", "requires-dist", "requires-python"})
_WHEEL_HEADERS = frozenset({"wheel-version", "root-is-purelib"})
_SHA256 = "sha256"


def read_wheel(path: Path) -> Wheel:
    """Read a wheel and check it: its names, its metadata, and the hash of every file in it.

    Args:
        path: the wheel, named as the specification wants it; tools that rename wheels break them.

    Raises:
        InputError: it is missing, unreadable, no wheel, or has a mistake.
        ProblemsError: it has several mistakes.
    """
    name, version, build, tags = _parse_name(path)
    with _opened(path) as descriptor:
        reader = _Reader(path, descriptor)
        dist_info = reader.dist_info(name, version)
        reader.check_data_folders(name, version)
        record = reader.record(dist_info)
        members = tuple(reader.verified(dist_info, record))
        headers = read_headers(reader.text(f"{dist_info}/METADATA"), _HEADERS)
        reader.check_identity(headers, name, version)
        root_is_purelib = reader.root_is_purelib(dist_info)
        entry_points = reader.entry_points(dist_info)
        reader.raise_problems()
        return Wheel(
            path=path,
            sha256=_digest(descriptor),
            size=os.fstat(descriptor).st_size,
            name=name,
            display_name=headers["name"][0],
            version=version,
            build=build,
            tags=tags,
            requires=tuple(headers.get("requires-dist", ())),
            requires_python=headers.get("requires-python", [""])[0],
            root_is_purelib=root_is_purelib,
            entry_points=entry_points,
            top_level=_top_level(members),
            dist_info=dist_info,
            members=members,
        )


def _parse_name(path: Path) -> tuple[NormalizedName, Version, BuildTag, frozenset[Tag]]:
    try:
        return parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise InputError(
            f"{path} is not named as a wheel: {error}",
            hint="a wheel keeps the name it was built with: NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        # Not to wait for a writer, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(f"cannot read the wheel {path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path} is not a wheel but a folder or a device")
        yield descriptor
    finally:
        os.close(descriptor)


def _digest(descriptor: int) -> str:
    with open(descriptor, "rb", closefd=False) as stream:  # a descriptor has no path
        stream.seek(0)
        return hashlib.file_digest(stream, _SHA256).hexdigest()


@attrs.define
class _Reader:
    """A wheel while it is read, and the mistakes found so far."""

    path: Path
    descriptor: int
    members: dict[str, ArchiveMember] = attrs.field(init=False)
    problems: list[str] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        found = read_archive(self.path, self.descriptor, self.problems.append)
        self.members = {member.name: member for member in found}

    def raise_problems(self) -> None:
        """Raise what was found wrong so far, the first twenty of it."""
        if not self.problems:
            return
        shown = self.problems[:_MAXIMUM_PROBLEMS]
        if len(self.problems) > len(shown):
            shown.append(f"and {len(self.problems) - len(shown)} more mistakes")
        raise ProblemsError(
            [Problem(str(self.path), message) for message in shown], hint="download or build the wheel again"
        )

    def dist_info(self, name: NormalizedName, version: Version) -> str:
        """Give the name of the ``.dist-info`` folder, which must be the only one and hold the three files."""
        folders = self._top_folders(_DIST_INFO)
        if len(folders) != 1:
            found = ", ".join(folders) or "none"
            self.problems.append(f"a wheel has one .dist-info folder, this one has {found}")
            self.raise_problems()
        folder = folders[0]
        if not _is_of(folder.removesuffix(_DIST_INFO), name, version):
            self.problems.append(f"the folder {folder} is of another distribution or version than the file name")
        missing = [part for part in ("METADATA", "RECORD", "WHEEL") if f"{folder}/{part}" not in self.members]
        if missing:
            self.problems.append(f"{folder} lacks {', '.join(missing)}")
            self.raise_problems()
        return folder

    def check_data_folders(self, name: NormalizedName, version: Version) -> None:
        """Check that what is in a ``.data`` folder belongs to this wheel and to a scheme."""
        for folder in self._top_folders(_DATA):
            if not _is_of(folder.removesuffix(_DATA), name, version):
                self.problems.append(f"the folder {folder} is of another distribution or version than the file name")
            for member in self.members:
                parts = member.split("/", 2)
                if parts[0] == folder and (len(parts) <= len(("data", "scheme")) or parts[1] not in SCHEMES):
                    self.problems.append(f"{member} is of no scheme; a wheel knows {', '.join(sorted(SCHEMES))}")

    def text(self, name: str) -> bytes:
        """Give a metadata file's bytes."""
        member = self.members[name]
        if member.size > _MAXIMUM_TEXT:
            self.problems.append(f"{name} has {member.size} bytes, more than a file of metadata may have here")
            self.raise_problems()
        try:
            return b"".join(member_chunks(self.descriptor, member))
        except DamagedMemberError as error:
            self.problems.append(error.message)
            self.raise_problems()
            raise

    def record(self, dist_info: str) -> dict[str, RecordLine]:
        """Give RECORD's lines by path."""
        return read_record(self.text(f"{dist_info}/RECORD"), self.problems.append)

    def verified(self, dist_info: str, record: dict[str, RecordLine]) -> Iterator[WheelMember]:
        """Give the files to install, each found in RECORD with the right hash and size."""
        unlisted = {f"{dist_info}/{name}" for name in RECORD_SIGNATURES}
        for name in record.keys() - self.members.keys():
            self.problems.append(f"RECORD lists {name}, which is not in the archive")
        for name, member in self.members.items():
            if name in unlisted:
                continue
            line = record.get(name)
            if line is None:
                self.problems.append(f"{name} is not listed in RECORD")
            elif (sha256 := self._verified_hash(member, line)) and "/__pycache__/" not in f"/{name}":
                # Bytecode in a wheel is run in place of the source beside it, which nobody would see.
                yield WheelMember(stored=member, sha256=sha256)

    def check_identity(self, headers: dict[str, list[str]], name: NormalizedName, version: Version) -> None:
        """Check that METADATA is of the distribution that the file name promises."""
        for key in ("name", "version"):
            if len(headers.get(key, ())) != 1:
                self.problems.append(f"METADATA must have one {key.title()}")
                return
        said_name, said_version = headers["name"][0], headers["version"][0]
        if canonicalize_name(said_name) != name:
            self.problems.append(f"METADATA is of {said_name}, the file name says {name}")
        if _parsed(said_version) != version:
            self.problems.append(f"METADATA is of version {said_version}, the file name says {version}")

    def root_is_purelib(self, dist_info: str) -> bool:
        """Read the WHEEL file: check the format's version, tell where the root goes."""
        headers = read_headers(self.text(f"{dist_info}/WHEEL"), _WHEEL_HEADERS)
        version = headers.get("wheel-version", [""])[0]
        if version.partition(".")[0] != "1":
            self.problems.append(f"the wheel is of format version {version!r}; version 1 is known here")
        return headers.get("root-is-purelib", [""])[0].lower() == "true"

    def entry_points(self, dist_info: str) -> tuple[EntryPoint, ...]:
        """Give the commands to make scripts for."""
        name = f"{dist_info}/entry_points.txt"
        return read_entry_points(self.text(name), self.problems.append) if name in self.members else ()

    def _top_folders(self, suffix: str) -> list[str]:
        tops = {name.partition("/")[0] for name in self.members if "/" in name}
        return sorted(folder for folder in tops if folder.lower().endswith(suffix))

    def _verified_hash(self, member: ArchiveMember, line: RecordLine) -> str:
        """Give a member's SHA-256 as RECORD spells it; empty when it is not what RECORD says."""
        own = hashlib.sha256()
        listed = own if line.algorithm == _SHA256 else hashlib.new(line.algorithm)
        try:
            for chunk in member_chunks(self.descriptor, member):
                own.update(chunk)
                if listed is not own:
                    listed.update(chunk)
        except DamagedMemberError as error:
            self.problems.append(error.message)
            return ""
        sha256 = spelled(own.digest())
        found = sha256 if listed is own else spelled(listed.digest())
        if found != line.digest or line.size not in {None, member.size}:
            self.problems.append(f"{member.name} is not the file whose hash or size RECORD lists")
            return ""
        return sha256


def _is_of(stem: str, name: NormalizedName, version: Version) -> bool:
    """Say whether ``NAME-VERSION`` is of a distribution, in whichever spelling."""
    folder_name, _, folder_version = stem.rpartition("-")
    return canonicalize_name(folder_name) == name and _parsed(folder_version) == version


def _parsed(version: str) -> Version | None:
    try:
        # Some builders write the dash of a local or post version as an underscore.
        return Version(version.replace("_", "-"))
    except InvalidVersion:
        return None


def _top_level(members: tuple[WheelMember, ...]) -> tuple[str, ...]:
    tops = {member.stored.name.partition("/")[0] for member in members}
    return tuple(sorted({top.partition(".")[0] for top in tops if not top.endswith((_DIST_INFO, _DATA))}))
