# SPDX-License-Identifier: Apache-2.0
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah import log
from stxbuildah.layer import recorded
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.recorded import RecordedTree
from stxbuildah.model.tree import Entry, FileTree, Kind

IMAGE = MemoryTree(
    {
        "/etc/name": b"value",
        "/usr/bin/python3": symlink("python3.11"),
        "/usr/bin/python3.11": (
            Entry(Kind.FILE, mode=0o4755, uid=3, gid=4, mtime=1_700_000_000),
            b"\x7fELF" + b"x" * 100,
        ),
        "/odd/\udcff": b"\x00\xff",
        "/dev/null": Entry(Kind.OTHER, mode=0o666),
    }
)


class Counted(FileTree):
    """A tree that writes down what it is asked."""

    def __init__(self, real: FileTree) -> None:
        self.asked: list[str] = []
        self._real = real

    def lstat(self, path: str) -> Entry | None:
        self.asked.append(f"lstat {path}")
        return self._real.lstat(path)

    def scandir(self, path: str) -> Mapping[str, Entry]:
        self.asked.append(f"scandir {path}")
        return self._real.scandir(path)

    def read(self, path: str) -> bytes:
        self.asked.append(f"read {path}")
        return self._real.read(path)

    def read_start(self, path: str, size: int) -> bytes:
        self.asked.append(f"read_start {path} {size}")
        return self._real.read_start(path, size)


def never() -> FileTree:
    raise AssertionError("the image was opened")


def ask_everything(tree: FileTree) -> list[object]:
    answers: list[object] = [
        tree.lstat("/etc/name"),
        tree.lstat("/none"),
        tree.lstat("/"),
        tree.scandir("/usr/bin"),
        tree.lstat("/usr/bin/python3"),
        tree.lstat("/usr/bin/none"),
        tree.scandir("/none"),
        tree.scandir("/odd"),
        tree.read("/etc/name"),
        tree.read("/odd/\udcff"),
        tree.read_start("/usr/bin/python3.11", 4),
        tree.read_start("/etc/name", 3),
        tree.lstat("/dev/null"),
    ]
    with pytest.raises(FileNotFoundError):
        tree.read("/usr/bin/python3")
    return answers


def test_a_second_run_gets_the_same_answers_without_the_image(tmp_path: Path) -> None:
    store = tmp_path / "new" / "sha256-1"
    first = RecordedTree(lambda: IMAGE, store)
    answers = ask_everything(first)
    first.save()
    assert answers == ask_everything(IMAGE)
    second = RecordedTree(never, store)
    assert ask_everything(second) == answers
    assert (first.is_open, second.is_open) == (True, False)
    assert [path.name for path in store.parent.iterdir()] == ["sha256-1"]


def test_each_question_is_asked_once(tmp_path: Path) -> None:
    counted = Counted(IMAGE)
    tree = RecordedTree(lambda: counted, None)
    ask_everything(tree)
    ask_everything(tree)
    assert counted.asked == [
        "lstat /etc/name",
        "lstat /none",
        "lstat /",
        "scandir /usr/bin",
        "scandir /none",
        "scandir /odd",
        "read /etc/name",
        "read /odd/\udcff",
        "read_start /usr/bin/python3.11 4",
        "lstat /dev/null",
        "read /usr/bin/python3",
    ]


def test_new_questions_are_added_to_what_was_known(tmp_path: Path) -> None:
    store = tmp_path / "record"
    first = RecordedTree(lambda: IMAGE, store)
    first.read("/etc/name")
    first.read_start("/usr/bin/python3.11", 4)
    first.save()
    counted = Counted(IMAGE)
    second = RecordedTree(lambda: counted, store)
    assert second.read("/etc/name") == b"value"
    assert second.read_start("/usr/bin/python3.11", 5) == b"\x7fELFx"
    assert second.scandir("/usr/bin") == IMAGE.scandir("/usr/bin")
    second.save()
    assert counted.asked == ["read_start /usr/bin/python3.11 5", "scandir /usr/bin"]
    third = RecordedTree(never, store)
    assert third.read("/etc/name") == b"value"
    assert third.read_start("/usr/bin/python3.11", 5) == b"\x7fELFx"
    assert third.lstat("/usr/bin/python3") == symlink("python3.11")


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path) -> None:
    store = tmp_path / "record"
    RecordedTree(never, store).save()
    assert not store.exists()


def test_a_large_file_is_given_and_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MAXIMUM_FILE", 10)
    counted = Counted(IMAGE)
    tree = RecordedTree(lambda: counted, tmp_path / "record")
    assert len(tree.read("/usr/bin/python3.11")) == len(tree.read("/usr/bin/python3.11")) == 104
    tree.read("/etc/name")
    tree.save()
    assert counted.asked == ["read /usr/bin/python3.11"] * 2 + ["read /etc/name"]
    assert (tmp_path / "record").stat().st_size < 300


def test_all_contents_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MAXIMUM_CONTENTS", 6)
    counted = Counted(IMAGE)
    tree = RecordedTree(lambda: counted, None)
    for _ in range(2):
        tree.read("/etc/name")
        tree.read("/odd/\udcff")
    assert counted.asked == ["read /etc/name", "read /odd/\udcff", "read /odd/\udcff"]


def good_record(tmp_path: Path) -> bytes:
    store = tmp_path / "good"
    tree = RecordedTree(lambda: IMAGE, store)
    ask_everything(tree)
    tree.save()
    return store.read_bytes()


def test_a_damaged_record_is_ignored_wherever_it_is_damaged(tmp_path: Path) -> None:
    good, store = good_record(tmp_path), tmp_path / "record"
    for place in range(0, len(good), 7):
        for damaged in (good[:place], good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]):
            store.write_bytes(damaged)
            assert ask_everything(RecordedTree(lambda: IMAGE, store)) == ask_everything(IMAGE)


def sealed(index: object, contents: bytes = b"") -> bytes:
    encoded = json.dumps(index).encode()
    return f"{recorded.MAGIC} {zlib.crc32(encoded + contents):08x} {len(encoded)}\n".encode() + encoded + contents


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        sealed([]),
        sealed({"lstat": []}),
        sealed({"lstat": {"/etc/name": ["x", 0, 0, 0, 0, 0, ""], "/none": ["file"]}}),
        sealed({"scandir": {"/usr/bin": {"python3": 7}, "/none": []}}),
        sealed({"read": {"/etc/name": [-1, 5], "/odd/\udcff": [0, 99]}}, b"12345"),
        sealed({"start": {"/etc/name": [0, 3], "/usr/bin/python3.11": [0, 2, "4"]}}, b"12345"),
        sealed({"read": {"/etc/name": "value"}, "other": {}}),
    ],
)
def test_a_foreign_record_gives_no_answers(content: bytes, tmp_path: Path) -> None:
    store = tmp_path / "record"
    store.write_bytes(content)
    tree = RecordedTree(lambda: IMAGE, store)
    assert ask_everything(tree) == ask_everything(IMAGE)
    tree.save()
    assert ask_everything(RecordedTree(never, store)) == ask_everything(IMAGE)


@given(st.binary(max_size=200))
def test_any_file_can_stand_in_the_records_place(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    store = tmp_path_factory.getbasetemp() / "any-record"
    store.write_bytes(content)
    assert RecordedTree(lambda: IMAGE, store).read("/etc/name") == b"value"


def test_a_record_that_cannot_be_written_is_logged_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    tree = RecordedTree(lambda: IMAGE, tmp_path / "file" / "record")
    tree.read("/etc/name")
    stream = io.StringIO()
    with log.configured(log.LogSettings(json=True, stream=stream)):
        tree.save()
    event = json.loads(stream.getvalue())
    assert (event["event"], event["path"]) == ("inventory.record.not_written", str(tmp_path / "file" / "record"))
