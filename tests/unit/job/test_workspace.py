# SPDX-License-Identifier: Apache-2.0
"""Work folders, small files written whole, and places that are looked at first."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.job.workspace import (
    TEMPORARY_IMAGES,
    Folders,
    account_id,
    check_writable,
    locked,
    orphaned_work_folders,
    remove_plain_orphans,
    remove_work_folder,
    replace_text,
    work_folder,
)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(cache=tmp_path / "cache", state=tmp_path / "state", work=tmp_path / "work")


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert Folders.from_environment({"HOME": home}) == Folders(
        cache=tmp_path / ".cache/stxb", state=tmp_path / ".local/state/stxb", work=tmp_path / ".cache/stxb/work"
    )
    named = {"HOME": home, "XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s", "TMPDIR": "/t"}
    assert Folders.from_environment(named) == Folders(
        cache=Path("/c/stxb"), state=Path("/s/stxb"), work=Path(f"/t/stxb-{os.getuid()}")
    )


def test_a_work_folder_is_private_and_goes(folders: Folders) -> None:
    with work_folder(folders) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert orphaned_work_folders(folders) == ()
        (folder / "inner").mkdir()
    assert list(folders.work.iterdir()) == []


def test_a_kept_work_folder_is_no_orphan(folders: Folders) -> None:
    with work_folder(folders, keep=True) as folder:
        (folder / "result").write_text("x")
    (kept,) = folders.work.iterdir()
    assert (kept / "result").read_text() == "x"
    assert orphaned_work_folders(folders) == ()


def test_the_folder_of_a_killed_process_is_an_orphan(folders: Folders) -> None:
    program = """\
import os, signal, sys
from pathlib import Path
from stxbuildah.job.workspace import Folders, work_folder
where = Path(sys.argv[1])
with work_folder(Folders(cache=where, state=where, work=where)) as folder:
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    words = [sys.executable, "-c", program, str(folders.work)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == -9
    orphan = Path(said.stdout.strip())
    with work_folder(folders):
        assert orphaned_work_folders(folders) == (orphan,)
    remove_work_folder(orphan)
    assert orphaned_work_folders(folders) == ()


def test_a_folder_without_a_lock_is_an_orphan_when_it_is_old(folders: Folders) -> None:
    young, old = folders.work / "stxb-young", folders.work / "stxb-old"
    for folder in (young, old):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    assert orphaned_work_folders(folders) == (old,)


def test_without_an_engine_only_what_left_nothing_in_the_store_goes(folders: Folders) -> None:
    plain, other = folders.work / "stxb-plain", folders.work / "stxb-other"
    for folder in (plain, other):
        folder.mkdir(parents=True)
    (other / TEMPORARY_IMAGES).write_text("localhost/stxb-temporary:1\n")
    for folder in (plain, other):
        os.utime(folder, (0, 0))
    with work_folder(folders) as own:
        remove_plain_orphans(folders)
        assert {*folders.work.iterdir()} == {own, other}


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new/list.txt"
    replace_text(path, "one\n")
    before = path.stat().st_ino
    replace_text(path, "two\n")
    assert path.read_text() == "two\n"
    assert path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in path.parent.iterdir()] == ["list.txt"]


def test_a_file_that_cannot_be_replaced_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "list.txt").mkdir()
    (tmp_path / "list.txt/inner").mkdir()
    with pytest.raises(UnicodeEncodeError):
        replace_text(tmp_path / "other.txt", "\udc80")
    assert [found.name for found in tmp_path.iterdir()] == ["list.txt"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    replace_text(pipe, "digest\n")
    reader.join(5)
    assert read == ["digest\n"]
    assert pipe.is_fifo()


def test_looking_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "a/b/c.txt")
    check_writable(tmp_path / "c.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["folder", "file/below", "/proc/self/x"])
def test_places_where_nothing_can_be_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        check_writable(tmp_path / path)


def test_a_lock_file_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []
    entered = threading.Event()

    def other() -> None:
        entered.set()
        with locked(tmp_path / "lock"):
            order.append("second")

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(5)
        thread.join(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_in_a_namespace_an_account_keeps_its_number() -> None:
    code = "from stxbuildah.job.workspace import account_id; print(account_id())"
    argv = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    inside = subprocess.run(argv, capture_output=True, text=True, check=False)
    if inside.returncode:
        pytest.skip(f"no user namespace can be made here: {inside.stderr}")
    assert int(inside.stdout) == account_id() == os.getuid()
