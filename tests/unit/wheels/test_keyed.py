# SPDX-License-Identifier: Apache-2.0
"""Folders kept under a key: whole or not there, and made by one at a time."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from stxbuildah.wheels.keyed import KeyedFolders

KEY = "ab" * 32


def test_kept_found_and_forgotten(tmp_path: Path) -> None:
    folders = KeyedFolders(top=tmp_path / "top")
    assert folders.find(KEY) is None
    with folders.held(KEY) as slot:
        (slot.draft / "file").write_text("one")
        assert folders.find(KEY) is None
        slot.keep()
        assert slot.is_there
    found = folders.find(KEY)
    assert found is not None
    assert (found / "file").read_text() == "one"
    with folders.held(KEY) as slot:
        (slot.draft / "file").write_text("two")
        slot.keep()
    assert (found / "file").read_text() == "two"
    with folders.held(KEY) as slot:
        slot.forget()
    assert folders.find(KEY) is None


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    folders = KeyedFolders(top=tmp_path)
    with pytest.raises(RuntimeError), folders.held(KEY) as slot:  # noqa: PT012 # the draft is written first
        (slot.draft / "half").touch()
        raise RuntimeError
    assert folders.find(KEY) is None
    assert [path.suffix for path in (tmp_path / KEY[:2]).iterdir()] == [".lock"]


def _count(top: Path, rounds: int) -> None:
    folders = KeyedFolders(top=top)
    for _ in range(rounds):
        with folders.held(KEY) as slot:
            before = int((slot.folder / "count").read_text()) if slot.is_there else 0
            (slot.draft / "count").write_text(str(before + 1))
            slot.keep()


def _killed_inside(top: Path) -> None:
    with KeyedFolders(top=top).held(KEY) as slot:
        (slot.draft / "count").write_text("half done")
        os.kill(os.getpid(), signal.SIGKILL)


def test_processes_take_turns_and_one_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    killed = spawn.Process(target=_killed_inside, args=(tmp_path,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert KeyedFolders(top=tmp_path).find(KEY) is None
    counting = [spawn.Process(target=_count, args=(tmp_path, 20)) for _ in range(3)]
    for process in counting:
        process.start()
    for process in counting:
        process.join()
    found = KeyedFolders(top=tmp_path).find(KEY)
    assert found is not None
    assert (found / "count").read_text() == "60"
