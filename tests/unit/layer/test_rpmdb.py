# SPDX-License-Identifier: Apache-2.0
"""The rpm database read from files: headers built by hand, SQLite and Berkeley DB files made by their own programs."""

import shutil
import sqlite3
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.rpmdb import rpm_owner_of, rpm_packages
from stxbuildah.layer.rpmheader import read_header

Value = str | list[str] | list[int]


def header(tags: dict[int, Value]) -> bytes:
    """Build a header as rpm's own code lays it out."""
    index, data = b"", b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, str):
            kind, count, encoded = 6, 1, value.encode() + b"\0"
        elif value and isinstance(value[0], int):
            kind, count, encoded = 4, len(value), struct.pack(f">{len(value)}I", *value)
            data += b"\0" * (-len(data) % 4)
        else:
            kind, count, encoded = 8, len(value), b"".join(str(text).encode() + b"\0" for text in value)
        index += struct.pack(">iIII", tag, kind, len(data), count)
        data += encoded
    return struct.pack(">II", len(tags), len(data)) + index + data


def package(name: str, architecture: str = "noarch", files: tuple[str, ...] = ()) -> bytes:
    tags: dict[int, Value] = {1000: name, 1001: "1.2", 1002: "3.el7"}
    if architecture:
        tags[1022] = architecture
    if files:
        folders = sorted({f"{file.rpartition('/')[0]}/" for file in files})
        tags[1118] = folders
        tags[1117] = [file.rpartition("/")[2] for file in files]
        tags[1116] = [folders.index(f"{file.rpartition('/')[0]}/") for file in files]
    return header(tags)


BLOBS = (
    package("perl-Data-Dumper", "x86_64", ("/usr/lib64/perl5/Dumper.pm", "/usr/share/doc/perl/README")),
    package("gpg-pubkey", ""),
)


def sqlite_file(folder: Path, blobs: tuple[bytes, ...], *, write_ahead: bool) -> bytes:
    path = folder / "rpmdb.sqlite"
    connection = sqlite3.connect(path)
    if write_ahead:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
    connection.commit()
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("write_ahead", [False, True])
@pytest.mark.parametrize("folder", ["/var/lib/rpm", "/usr/lib/sysimage/rpm"])
def test_sqlite_database(tmp_path: Path, folder: str, write_ahead: bool) -> None:
    tree = MemoryTree({f"{folder}/rpmdb.sqlite": sqlite_file(tmp_path, BLOBS, write_ahead=write_ahead)})
    assert rpm_packages(tree) == ("gpg-pubkey-1.2-3.el7", "perl-Data-Dumper-1.2-3.el7.x86_64")
    assert rpm_owner_of(tree, "/usr/share/doc/perl/README") == "perl-Data-Dumper"
    assert rpm_owner_of(tree, "/usr/share/doc/README") == ""


def test_berkeley_database(tmp_path: Path) -> None:
    loader = shutil.which("db5.3_load") or shutil.which("db_load")
    if loader is None:
        pytest.skip("db_load (Debian's db-util) makes the Berkeley DB file, and it is not installed")
    lines = ["VERSION=3", "format=bytevalue", "type=hash", "db_pagesize=4096", "HEADER=END"]
    lines += [" 00000000", " 02000000"]
    for number, blob in enumerate((*BLOBS, package("big", files=tuple(f"/usr/share/{i}/f" for i in range(2000)))), 1):
        padded = blob if len(blob) > 2000 else blob + b"\0" * 2000
        lines += [f" {struct.pack('<I', number).hex()}", f" {padded.hex()}"]
    path = tmp_path / "Packages"
    subprocess.run([loader, str(path)], input="\n".join([*lines, "DATA=END", ""]).encode(), check=True)
    tree = MemoryTree({"/var/lib/rpm/Packages": path.read_bytes()})
    assert rpm_packages(tree) == (
        "big-1.2-3.el7.noarch",
        "gpg-pubkey-1.2-3.el7",
        "perl-Data-Dumper-1.2-3.el7.x86_64",
    )
    assert rpm_owner_of(tree, "/usr/share/1999/f") == "big"


def test_image_without_rpm_database() -> None:
    assert rpm_packages(MemoryTree({"/etc/os-release": b""})) == ()


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages"])
def test_file_that_is_no_database(name: str) -> None:
    with pytest.raises(InputError, match="rpm database"):
        rpm_packages(MemoryTree({f"/var/lib/rpm/{name}": b"x" * 5000}))


def assert_read_or_told(blob: bytes) -> None:
    """Any other exception than the one the user is told fails the test."""
    with suppress(InputError):
        assert isinstance(str(read_header(blob)), str)


@given(st.binary(max_size=200))
def test_damaged_headers_are_told(blob: bytes) -> None:
    assert_read_or_told(blob)


@given(st.integers(0, len(BLOBS[0]) - 1), st.integers(0, 255))
def test_headers_with_one_wrong_byte_never_crash(place: int, value: int) -> None:
    blob = bytearray(BLOBS[0])
    blob[place] = value
    assert_read_or_told(bytes(blob))
