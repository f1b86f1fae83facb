# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.tags import Tag
from packaging.version import Version

from stxbuildah.errors import InputError
from stxbuildah.layer import archive
from stxbuildah.layer.archive import DamagedMemberError, open_member
from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.wheel import EntryPoint
from tests.unit.layer.wheel_maker import EXECUTABLE, FIFO, SYMLINK, make_wheel, record_hash

METADATA = """\
Name: Sample.Name
Version: 1.0-1
Requires-Python: >=3.8
Requires-Dist: six
Requires-Dist: pbr>=2

Requires-Dist: no
"""
ENTRY_POINTS = (
    "[console_scripts]\nRun-It = sample.main : go.now [extra]\n[gui_scripts]\nwin=sample:win\n[other]\nx = y\n"
)


def messages(path: Path) -> list[str]:
    """Give what is said of a wheel's mistakes, without its path."""
    with pytest.raises(InputError) as caught:
        read_wheel(path)
    assert str(path) in caught.value.message or caught.value.details
    lines = caught.value.details or (caught.value.message,)
    return [line.replace(str(path), "WHEEL").removeprefix("WHEEL: ") for line in lines]


def test_a_sound_wheel_gives_its_whole_value(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "Sample_Name",
        "1.0.post1",
        tag="2-cp311.cp312-abi3-manylinux_2_17_x86_64",
        files={
            "sample/__init__.py": b"",
            "sample/tool": b"#!/bin/sh\n",
            "sample/__pycache__/__init__.cpython-311.pyc": b"bytecode",
            "_native.abi3.so": b"\x7fELF",
            "Sample_Name-1.0.post1.data/scripts/run": b"#!python\n",
        },
        modes={"sample/tool": EXECUTABLE},
        wheel="Wheel-Version: 1.9\nRoot-Is-Purelib: False\n",
        metadata=METADATA,
        entry_points=ENTRY_POINTS,
    )

    wheel = read_wheel(path)

    assert (wheel.name, wheel.display_name, wheel.version, wheel.build) == (
        "sample-name",
        "Sample.Name",
        Version("1.0.post1"),
        (2, ""),
    )
    assert wheel.tags == {
        Tag("cp311", "abi3", "manylinux_2_17_x86_64"),
        Tag("cp312", "abi3", "manylinux_2_17_x86_64"),
    }
    assert (wheel.requires, wheel.requires_python, wheel.root_is_purelib) == (("six", "pbr>=2"), ">=3.8", False)
    assert wheel.entry_points == (
        EntryPoint(name="Run-It", module="sample.main", attribute="go.now"),
        EntryPoint(name="win", module="sample", attribute="win"),
    )
    assert (wheel.top_level, wheel.dist_info) == (("_native", "sample"), "Sample_Name-1.0.post1.dist-info")
    assert (wheel.sha256, wheel.size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    assert [(member.stored.name, member.stored.size, member.stored.executable) for member in wheel.members] == [
        ("Sample_Name-1.0.post1.dist-info/METADATA", len(METADATA), False),
        ("Sample_Name-1.0.post1.dist-info/WHEEL", 42, False),
        ("Sample_Name-1.0.post1.dist-info/entry_points.txt", len(ENTRY_POINTS), False),
        ("sample/__init__.py", 0, False),
        ("sample/tool", 10, True),
        ("_native.abi3.so", 4, False),
        ("Sample_Name-1.0.post1.data/scripts/run", 9, False),
    ]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [0, 1, 100, archive._CHUNK, archive._CHUNK + 1, 3 * archive._CHUNK + 7])
def test_members_are_read_back_whole(tmp_path: Path, method: int, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]

    wheel = read_wheel(make_wheel(tmp_path, files={"data.bin": content}, method=method))
    member = next(member for member in wheel.members if member.stored.name == "data.bin")

    assert f"sha256={member.sha256}" == record_hash(content)
    with open_member(wheel.path, member.stored) as stream:
        assert stream.read() == content


def test_hashes_better_than_sha256_are_checked_and_sha256_is_given(tmp_path: Path) -> None:
    wheel = read_wheel(make_wheel(tmp_path, files={"a.py": b"a"}, algorithm="sha512"))

    assert [f"sha256={member.sha256}" for member in wheel.members if member.stored.name == "a.py"] == [
        record_hash(b"a")
    ]


def test_signatures_need_no_line_in_record(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path, extra=[("sample-1.0.dist-info/RECORD.jws", b"{}"), ("sample-1.0.dist-info/RECORD.p7s", b"")]
    )

    assert [member.stored.name for member in read_wheel(path).members] == [
        "sample-1.0.dist-info/METADATA",
        "sample-1.0.dist-info/WHEEL",
        "sample.py",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.py", "leads outside the wheel"),
        ("a/../../evil.py", "leads outside the wheel"),
        ("a//b.py", "leads outside the wheel"),
        ("./b.py", "leads outside the wheel"),
        ("/etc/passwd", "is not relative with slashes"),
        ("..\\evil.py", "is not relative with slashes"),
        ("C:/evil.py", "is not relative with slashes"),
        ("a\nb.py", "has control characters"),
        ("a/.wh.etc", "would remove files from an image"),
        (".wh..wh..opq", "would remove files from an image"),
        ("a" * 256, "has a part of more than 255 bytes"),
        ("sample-1.0.data/evil/x", "is of no scheme"),
        ("sample-1.0.data/purelib", "is of no scheme"),
        ("other-1.0.data/scripts/x", "other-1.0.data is of another distribution"),
        ("sample.py/below.py", "sample.py is both a file and the folder of another file"),
    ],
)
def test_a_name_that_could_land_elsewhere_is_refused(tmp_path: Path, name: str, message: str) -> None:
    path = make_wheel(
        tmp_path, files={"sample.py": b"", name: b"evil"}, record={name: f'"{name}",{record_hash(b"evil")},4'}
    )

    assert any(message in line for line in messages(path))


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"sample.py": b"", "evilXname": b"evil"})
    path.write_bytes(path.read_bytes().replace(b"evilX", b"evil\0"))

    assert any(r"'evil\x00name' has control characters" in line for line in messages(path))


@pytest.mark.parametrize(
    ("mode", "message"), [(SYMLINK, "a.py is a symbolic link"), (FIFO, "a.py is neither a file nor a folder")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, mode: int, message: str) -> None:
    path = make_wheel(tmp_path, files={"a.py": b"/etc/passwd"}, modes={"a.py": mode})

    assert any(message in line for line in messages(path))


def test_a_doubled_member_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = make_wheel(tmp_path, extra=[("sample.py", b"evil")])

    assert messages(path) == ["sample.py is in the archive twice"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"sample.py": None}, ["sample.py is not listed in RECORD"]),
        ({"sample.py": "sample.py,,"}, ["RECORD has no hash for sample.py", "sample.py is not listed in RECORD"]),
        (
            {"sample.py": "sample.py,md5=aGVsbG8,6"},
            [
                "RECORD has a hash of kind 'md5' for sample.py, where sha256 or better is needed",
                "sample.py is not listed in RECORD",
            ],
        ),
        (
            {"sample.py": f"sample.py,{record_hash(b'y')},6"},
            ["sample.py is not the file whose hash or size RECORD lists"],
        ),
        (
            {"sample.py": f"sample.py,{record_hash(b'x = 1' + bytes([10]))},7"},
            ["sample.py is not the file whose hash or size RECORD lists"],
        ),
        ({"gone.py": "gone.py,sha256=x,1"}, ["RECORD lists gone.py, which is not in the archive"]),
        ({"x": "sample.py,sha256=x,1"}, ["RECORD lists sample.py twice"]),
        ({"x": "one,two"}, ["line 5 of RECORD has 2 fields, not 3"]),
    ],
)
def test_a_record_that_is_not_true_is_refused(
    tmp_path: Path, record: dict[str, str | None], expected: list[str]
) -> None:
    assert messages(make_wheel(tmp_path, record=record)) == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("../evil", "a:b", "names a script '../evil'"),
        ("a/b", "a:b", "names a script 'a/b'"),
        ("..", "a:b", "names a script '..'"),
        (".wh.bin", "a:b", "names a script '.wh.bin'"),
        ("x\x07y", "a:b", r"names a script 'x\x07y'"),
        ("run", "module", "has 'module' for the script run"),
        ("run", "os:system('x')", "has \"os:system('x')\" for the script run"),
        ("run", "a b:c", "has 'a b:c' for the script run"),
    ],
)
def test_an_entry_point_that_makes_no_plain_script_is_refused(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    path = make_wheel(tmp_path, entry_points=f"[console_scripts]\n{name} = {value}\n")

    assert [message in line for line in messages(path)] == [True]


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        ("sample.zip", "is not named as a wheel"),
        ("sample-1.0.whl", "is not named as a wheel"),
        ("sample-one-py3-none-any.whl", "is not named as a wheel"),
        ("other-1.0-py3-none-any.whl", "sample-1.0.dist-info is of another distribution or version"),
        ("sample-2.0-py3-none-any.whl", "METADATA is of version 1.0, the file name says 2.0"),
    ],
)
def test_a_renamed_wheel_is_refused(tmp_path: Path, filename: str, message: str) -> None:
    assert any(message in line for line in messages(make_wheel(tmp_path, filename=filename)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wheel": "Wheel-Version: 2.0\n"}, "the wheel is of format version '2.0'"),
        ({"wheel": ""}, "the wheel is of format version ''"),
        ({"metadata": "Name: sample\n"}, "METADATA must have one Version"),
        ({"metadata": "Name: other\nVersion: 1.0\n"}, "METADATA is of other, the file name says sample"),
        ({"entry_points": "no section"}, "entry_points.txt cannot be read"),
        ({"extra": [("b-2.dist-info/METADATA", b"")]}, "one .dist-info folder, this one has b-2.dist-info, sample-1.0"),
    ],
)
def test_metadata_that_do_not_hold_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert any(message in line for line in messages(make_wheel(tmp_path, **change)))


def test_a_wheel_without_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("sample-1.0.dist-info/WHEEL", "")

    assert messages(path) == ["sample-1.0.dist-info lacks METADATA, RECORD"]


def test_what_cannot_be_read_is_told_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "folder-1.0-py3-none-any.whl"
    folder.mkdir()
    pipe = tmp_path / "pipe-1.0-py3-none-any.whl"
    os.mkfifo(pipe)
    text = tmp_path / "text-1.0-py3-none-any.whl"
    text.write_text("not a wheel")

    assert messages(tmp_path / "gone-1.0-py3-none-any.whl") == [
        "cannot read the wheel WHEEL: No such file or directory"
    ]
    for path in (folder, pipe):
        assert messages(path) == ["WHEEL is not a wheel but a folder or a device"]
    assert messages(text) == ["WHEEL is not a zip archive, as a wheel is, or is cut off: File is not a zip file"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_wheel_is_refused_or_gives_the_same_value(
    tmp_path: Path, place: float, noise: bytes, cut: bool
) -> None:
    path = make_wheel(tmp_path, files={"sample.py": b"x = 1\n" * 50}, entry_points="[console_scripts]\na = b:c\n")
    whole = path.read_bytes()
    sound = read_wheel(path)
    start = int(place * len(whole))
    path.write_bytes(whole[:start] + (b"" if cut else noise + whole[start + len(noise) :]))

    try:
        found = read_wheel(path)
    except InputError:
        return
    # Bytes that mean nothing to a wheel, as a member's date, may change.
    assert [(member.stored.name, member.sha256) for member in found.members] == [
        (member.stored.name, member.sha256) for member in sound.members
    ]


def test_a_member_hidden_behind_another_name_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"sample.py": b"x", "other.py": b"y"})
    # The first of the two places a name stands at is the member's own header.
    path.write_bytes(path.read_bytes().replace(b"other.py", b"evil0.py", 1))

    assert messages(path)[0].startswith("other.py has another name at its place")


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"sample.py": b"x" * 100, "other.py": b"y"}, method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    entry = data.index(b"PK\x01\x02", entry + 1)
    assert data[entry + 46 : entry + 55] == b"sample.py"
    struct.pack_into("<II", data, entry + 20, 200, 200)
    path.write_bytes(data)

    assert "sample.py reaches into what comes after it in the archive" in messages(path)


def test_limits_hold_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = make_wheel(tmp_path, "bomb", files={"zeros": bytes(80 * 1024**2)})
    many = make_wheel(tmp_path, "many", files={f"{number}.py": b"" for number in range(20)})
    large = make_wheel(tmp_path, "large", files={"a": bytes(3000)})
    monkeypatch.setattr(archive, "MAXIMUM_MEMBERS", 15)
    monkeypatch.setattr(archive, "MAXIMUM_UNPACKED", 100 * 1024**2)

    assert "times its size, as only a trap does" in messages(bomb)[0]
    assert "WHEEL holds 23 files, more than the 15" in messages(many)[0]
    monkeypatch.setattr(archive, "MAXIMUM_UNPACKED", 2000)
    assert "would unpack to 0.0 GiB, more than" in messages(large)[0]


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"zeros": bytes(5_000_000)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 1000)))

    assert "zeros does not unpack to what the archive says of it" in messages(path)
    with path.open("rb") as stream:
        member = next(
            member for member in archive.read_archive(path, stream.fileno(), pytest.fail) if member.name == "zeros"
        )
        pieces = archive.member_chunks(stream.fileno(), member)
        with pytest.raises(DamagedMemberError):
            next(pieces)


@pytest.mark.parametrize("size", [100, 2 * archive._CHUNK])
def test_a_wheel_that_changed_since_it_was_read_is_noticed(tmp_path: Path, size: int) -> None:
    wheel = read_wheel(make_wheel(tmp_path, files={"a.py": b"a" * size}, method=zipfile.ZIP_STORED))
    member = next(member for member in wheel.members if member.stored.name == "a.py")
    wheel.path.write_bytes(wheel.path.read_bytes().replace(b"aaaa", b"bbbb"))

    def read_all() -> bytes:
        with open_member(wheel.path, member.stored) as stream:
            return stream.read()

    with pytest.raises(DamagedMemberError, match=r"1\.0-py3-none-any\.whl changed since it was read: a\.py does not"):
        read_all()


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        files={"../a": b"", "b.py": b""},
        record={"b.py": None},
        metadata="Name: sample\nVersion: 3\n",
        entry_points="[console_scripts]\n/x = a:b\n",
    )

    assert messages(path) == [
        "the name '../a' leads outside the wheel or is not plain",
        "RECORD lists ../a, which is not in the archive",
        "b.py is not listed in RECORD",
        "METADATA is of version 3, the file name says 1.0",
        "entry_points.txt names a script '/x', which is no plain file name",
    ]
