# SPDX-License-Identifier: Apache-2.0
"""The process that reads and writes a container's files, run on folders of our own."""

import io
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

from stxbuildah.engine.process import Runner
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import BuildError, HostError, InputError
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, Kind
from tests.unit.engine.trees import Directory, snapshot, trees, write

UID, GID = os.getuid(), os.getgid()
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def tree(root: Path) -> Iterator[ContainerTree]:
    with ContainerTree.of_folder(Runner(), root) as opened:
        yield opened


def entry(path: str, change: Change, content: bytes = b"", **fields: object) -> LayerEntry:
    opener = (lambda: io.BytesIO(content)) if change is Change.FILE else None
    made = LayerEntry(path=path, change=change, size=len(content), uid=UID, gid=GID, opener=opener)
    return attrs.evolve(made, **fields)  # type: ignore[arg-type]


@given(wanted=trees)
@SETTINGS
def test_everything_is_read_as_it_is(wanted: Directory, root: Path, tree: ContainerTree) -> None:
    with tempfile.TemporaryDirectory(dir=root) as folder:
        place = os.fsencode(folder) + b"/case"
        write(wanted, place)
        expected = snapshot(place)
        prefix = place.removeprefix(os.fsencode(root))
        found: dict[bytes, tuple[str, int, bytes]] = {}
        waiting = [os.fsdecode(prefix)]
        while waiting:
            path = waiting.pop()
            for name, seen in tree.scandir(path).items():
                full = f"{path}/{name}"
                assert tree.lstat(full) == seen
                assert (seen.uid, seen.gid) == (UID, GID)
                data = tree.read(full) if seen.kind is Kind.FILE else os.fsencode(seen.target)
                assert seen.size == (len(data) if seen.kind is Kind.FILE else 0)
                found[os.fsencode(full).removeprefix(prefix)] = (seen.kind.value, seen.mode, data)
                waiting += [full] if seen.kind is Kind.DIRECTORY else []
        assert found == expected


def test_links_lead_nowhere(root: Path, tree: ContainerTree) -> None:
    (root / "secret").mkdir()
    (root / "secret" / "file").write_text("x")
    (root / "link").symlink_to("secret")
    (root / "out").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    for path in ("/link/file", "/out/passwd", "/loop/x", "/secret/file/x", "/nowhere/x"):
        assert tree.lstat(path) is None
        assert tree.scandir(path) == {}
        with pytest.raises(FileNotFoundError):
            tree.read(path)
    for path in ("/link", "/out", "/loop"):
        seen = tree.lstat(path)
        assert seen is not None
        assert seen.kind is Kind.SYMLINK
        assert tree.scandir(path) == {}
        with pytest.raises(FileNotFoundError):
            tree.read(path)


@pytest.mark.parametrize("path", ["", "etc", "/..", "/a/../b", "/a//b", "/./a", "/a/"])
def test_a_path_that_is_not_normalized_is_refused(tree: ContainerTree, path: str) -> None:
    with pytest.raises(BuildError, match="not an absolute, normalized path"):
        tree.lstat(path)


def test_a_string_that_is_no_file_name_is_refused(tree: ContainerTree) -> None:
    with pytest.raises(InputError, match="cannot be a path"):
        tree.lstat("/\ud800")


def test_nothing_but_files_is_opened(root: Path, tree: ContainerTree, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "fifo")
    # The address of a socket is short, and that of a test's folder may not be.
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path in ("/fifo", "/socket", "/"):
            with pytest.raises(FileNotFoundError):
                tree.open_file(path)
    assert {name: seen.kind for name, seen in tree.scandir("/").items()} == {"fifo": Kind.OTHER, "socket": Kind.OTHER}


def test_the_root_is_a_directory(root: Path, tree: ContainerTree) -> None:
    root.chmod(0o751)
    os.utime(root, (1000, 1000))
    assert tree.lstat("/") == Entry(Kind.DIRECTORY, mode=0o751, uid=UID, gid=GID, mtime=1000)


def test_a_big_folder_comes_whole(root: Path, tree: ContainerTree) -> None:
    for number in range(2500):
        (root / f"{number:04}").touch()
    assert list(tree.scandir("/")) == [f"{number:04}" for number in range(2500)]


def test_big_files_are_read_piece_by_piece_and_beside_each_other(root: Path, tree: ContainerTree) -> None:
    one, two = os.urandom(3_500_000), os.urandom(1 << 20)
    (root / "one").write_bytes(one)
    (root / "two").write_bytes(two)
    with tree.open_file("/one") as first, tree.open_file("/two") as second:
        assert first.read(10) == one[:10]
        assert second.read() == two
        assert first.read() == one[10:]
    assert tree.read("/one") == one


def test_a_file_too_big_for_memory_is_refused_but_can_be_streamed(root: Path, tree: ContainerTree) -> None:
    with (root / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    seen = tree.lstat("/sparse")
    assert seen is not None
    assert seen.size == 1 << 40
    with pytest.raises(InputError, match="bigger than 256 MiB"):
        tree.read("/sparse")
    with tree.open_file("/sparse") as stream:
        assert stream.read(5_000_000) == bytes(5_000_000)


def test_a_file_is_replaced_whatever_it_replaces(root: Path, tree: ContainerTree) -> None:
    outside = root.parent / "outside"
    outside.write_text("untouched")
    (root / "link").symlink_to(outside)
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "other").write_text("shared")
    (root / "hard").hardlink_to(root / "other")
    os.mkfifo(root / "fifo")
    names = ["/fifo", "/folder", "/hard", "/link"]
    tree.apply(LayerContent(tuple(entry(name, Change.FILE, b"new", mode=0o4711) for name in names)), 77)
    expected = Entry(Kind.FILE, mode=0o4711, uid=UID, gid=GID, size=3, mtime=77)
    assert {name: tree.lstat(name) for name in names} == dict.fromkeys(names, expected)
    assert (root / "other").read_text() == "shared"
    assert outside.read_text() == "untouched"


def test_a_layer_is_written_with_everything_it_says(root: Path, tree: ContainerTree) -> None:
    big = os.urandom(2_500_000)
    (root / "kept").mkdir()
    (root / "kept" / "inside").write_text("stays")
    (root / "gone").mkdir()
    (root / "gone" / "x").mkdir()
    (root / "emptied").mkdir()
    (root / "emptied" / "old").write_text("old")
    content = LayerContent(
        (
            entry("/big", Change.FILE, big, mode=0o640),
            entry("/emptied", Change.OPAQUE),
            entry("/gone", Change.WHITEOUT),
            entry("/hard", Change.HARDLINK, target="/big"),
            entry("/kept", Change.DIRECTORY, mode=0o1777),
            entry("/link", Change.SYMLINK, target="/etc/passwd"),
            entry("/missing", Change.WHITEOUT),
            entry("/new", Change.DIRECTORY, mode=0o2750),
            entry("/new/file", Change.FILE, b"content", mode=0o755),
        )
    )
    tree.apply(content, 1000)
    assert snapshot(os.fsencode(root)) == {
        b"/big": ("file", 0o640, big),
        b"/emptied": ("directory", (root / "emptied").stat().st_mode & 0o7777, b""),
        b"/hard": ("file", 0o640, big),
        b"/kept": ("directory", 0o1777, b""),
        b"/kept/inside": ("file", (root / "kept/inside").stat().st_mode & 0o7777, b"stays"),
        b"/link": ("symlink", 0o777, b"/etc/passwd"),
        b"/new": ("directory", 0o2750, b""),
        b"/new/file": ("file", 0o755, b"content"),
    }
    assert (root / "hard").samefile(root / "big")
    written = ["big", "kept", "link", "new", "new/file"]
    assert [(root / name).lstat().st_mtime for name in written] == [1000] * 5


def test_nothing_is_written_through_a_link(root: Path, tree: ContainerTree) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "old").write_text("old")
    (root / "way").symlink_to(outside)
    for change in (entry("/way/file", Change.FILE, b"x"), entry("/way/old", Change.WHITEOUT)):
        with pytest.raises((BuildError, FileNotFoundError)):
            tree.apply(LayerContent((change,)), 0)
    tree.apply(LayerContent((entry("/way", Change.OPAQUE),)), 0)
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("old", "old")]


def test_a_fault_names_the_path_and_the_next_layer_starts_afresh(root: Path, tree: ContainerTree) -> None:
    with pytest.raises(BuildError, match=r"cannot be written into the container: .*/no/such: No such file"):
        tree.apply(LayerContent((entry("/no/such", Change.FILE, b"x"), entry("/after", Change.FILE, b"y"))), 0)
    assert list(root.iterdir()) == []
    tree.apply(LayerContent((entry("/fine", Change.FILE, b"z"),)), 0)
    assert (root / "fine").read_bytes() == b"z"


def test_an_opener_that_fails_leaves_no_half_written_message(tree: ContainerTree) -> None:
    def broken() -> io.BytesIO:
        raise OSError(5, "the wheel is gone")

    with pytest.raises(OSError, match="the wheel is gone"):
        tree.apply(LayerContent((entry("/a", Change.FILE, opener=broken),)), 0)
    with pytest.raises(BuildError, match="no longer open"):
        tree.lstat("/a")


def test_a_process_that_dies_is_told_with_its_last_words(root: Path) -> None:
    missing = root / "missing"
    with pytest.raises(HostError, match="has gone") as caught:
        ContainerTree.of_folder(Runner(), missing)
    assert any(str(missing) in line for line in caught.value.details)


def test_a_killed_process_is_told_once_and_then_closed(tree: ContainerTree) -> None:
    tree._channel.child.kill()
    with pytest.raises(HostError, match="SIGKILL"):
        tree.read("/x")
    with pytest.raises(BuildError, match="no longer open"):
        tree.read("/x")


def test_an_interrupted_answer_is_not_taken_for_the_next(root: Path, tree: ContainerTree) -> None:
    for number in range(5000):
        (root / f"{number:04}").touch()
    answers = tree._channel.exchange(b"scandir", b"/")
    next(answers)
    answers.close()
    with pytest.raises(BuildError, match="no longer open"):
        tree.lstat("/")


def test_a_tree_closes_at_once_though_nobody_takes_the_answer(root: Path, tree: ContainerTree) -> None:
    (root / "big").write_bytes(bytes(1 << 20))
    tree._channel.send([b"open", b"/big"])
    tree._channel._flush()
    started = time.monotonic()
    tree.close()
    assert time.monotonic() - started < 20


def test_files_can_be_read_from_several_threads(root: Path, tree: ContainerTree) -> None:
    from concurrent.futures import ThreadPoolExecutor

    contents = {f"/{number}": os.urandom(1_200_000) for number in range(6)}
    for path, data in contents.items():
        (root / path[1:]).write_bytes(data)
    with ThreadPoolExecutor(4) as pool:
        assert dict(zip(contents, pool.map(tree.read, contents), strict=True)) == contents


def test_the_mode_of_what_is_made_does_not_depend_on_the_umask(root: Path) -> None:
    before = os.umask(0o077)
    try:
        with ContainerTree.of_folder(Runner(), root) as tree:
            tree.apply(
                LayerContent((entry("/d", Change.DIRECTORY, mode=0o777), entry("/d/f", Change.FILE, mode=0o666))), 0
            )
    finally:
        os.umask(before)
    assert [os.lstat(root / name).st_mode & 0o7777 for name in ("d", "d/f")] == [0o777, 0o666]
