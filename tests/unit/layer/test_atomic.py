# SPDX-License-Identifier: Apache-2.0
"""What is written beside its place, and what killed runs left there."""

import os
import threading
from pathlib import Path

import pytest

from stxbuildah.layer.atomic import file_beside, folder_beside, remove_orphans, written_beside
from tests.unit.layer.killed import process_inside

NAME = ".target.0123456789abcdef.part"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("block", ["written_beside(folder / 'target')", "folder_beside(folder / 'target')"])
def test_what_a_killed_process_left_goes_with_the_next_one_and_not_before(tmp_path: Path, block: str) -> None:
    target = tmp_path / "target"
    with process_inside(block, tmp_path):
        [draft] = tmp_path.iterdir()
        if draft.is_dir():
            (draft / "part").write_bytes(b"half")
        remove_orphans(target)
        assert names(tmp_path) == {draft.name}
    assert names(tmp_path) == {draft.name}
    with written_beside(tmp_path / "other") as stream:
        stream.write(b"x")
    assert names(tmp_path) == {draft.name, "other"}
    with written_beside(target) as stream:
        stream.write(b"whole")
    assert names(tmp_path) == {"target", "other"}
    assert target.read_bytes() == b"whole"


def test_what_has_a_writer_in_this_process_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with file_beside(target) as (first, stream), folder_beside(target) as folder:
        stream.close()
        remove_orphans(target)
        assert names(tmp_path) == {first.name, folder.name}
    assert names(tmp_path) == set()


def test_nothing_else_is_taken_for_an_orphan(tmp_path: Path) -> None:
    (tmp_path / "else").write_bytes(b"kept")
    (tmp_path / NAME).symlink_to("else")
    os.mkfifo(tmp_path / ".target.0123456789abcdee.part")
    for name in (".target.part", ".target.0123456789abcde.part", "x.target.0123456789abcdef.part", ".target.x.part"):
        (tmp_path / name).write_bytes(b"kept")
    before = names(tmp_path)
    remove_orphans(tmp_path / "target")
    assert names(tmp_path) == before


def test_a_folder_that_was_renamed_stays(tmp_path: Path) -> None:
    with folder_beside(tmp_path / "target") as folder:
        (folder / "file").write_bytes(b"x")
        folder.rename(tmp_path / "target")
    assert names(tmp_path) == {"target"}
    assert names(tmp_path / "target") == {"file"}


def test_many_write_the_same_file_at_once(tmp_path: Path) -> None:
    target, failed = tmp_path / "target", []

    def write(number: int) -> None:
        try:
            for _ in range(50):
                with written_beside(target) as stream:
                    stream.write(b"%d" % number)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert names(tmp_path) == {"target"}
    assert target.read_bytes() in {b"0", b"1", b"2", b"3"}
