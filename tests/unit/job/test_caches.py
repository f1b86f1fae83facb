# SPDX-License-Identifier: Apache-2.0
"""What lies in the caches, and what of it goes."""

import os
import time
from pathlib import Path

import pytest

from stxbuildah.job.caches import caches_of, size_of
from stxbuildah.job.workspace import Folders, living_work_folders, work_folder
from stxbuildah.layer.atomic import file_beside
from stxbuildah.wheels.keyed import KeyedFolders

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(cache=tmp_path / "cache", state=tmp_path / "state", work=tmp_path / "work")


def names(folders: Folders) -> dict[str, list[str]]:
    found = {cache.name: sorted(entry.name for entry in cache.entries()) for cache in caches_of(folders)}
    return {name: entries for name, entries in found.items() if entries}


def test_nothing_is_made_by_looking(folders: Folders) -> None:
    assert names(folders) == {}
    assert not folders.cache.exists()


def test_only_what_has_our_names_counts(folders: Folders, tmp_path: Path) -> None:
    for place in ("trees/0abc.json", "layers/sha256-ab.v1.index", "host-0123abcd.json", "wheels/times.json"):
        (folders.cache / place).parent.mkdir(parents=True, exist_ok=True)
        (folders.cache / place).write_text("12345")
    for place in ("trees/notes.txt", "layers/mine", "host.json", "storage-0123.conf", "wheels/other.json"):
        (folders.cache / place).write_text("foreign")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sha256-cd.v1.index").touch()
    (folders.cache / "packed").symlink_to(elsewhere)
    assert names(folders) == {
        "records of images": ["0abc.json"],
        "indexes of layers": ["sha256-ab.v1.index"],
        "findings about this machine": ["host-0123abcd.json"],
        "times of builds": ["times.json"],
    }
    for cache in caches_of(folders):
        for entry in cache.entries():
            assert entry.size == 5
            assert cache.remove(entry)
    assert names(folders) == {}
    assert (elsewhere / "sha256-cd.v1.index").exists()
    assert sorted(path.name for path in folders.cache.rglob("*") if path.is_file() and not path.is_symlink()) == [
        "host.json", "mine", "notes.txt", "other.json", "storage-0123.conf",
    ]  # fmt: skip


def test_a_draft_that_is_written_stays(folders: Folders) -> None:
    trees = folders.cache / "trees"
    trees.mkdir(parents=True)
    (trees / ".x.json.0123456789abcdef.part").touch()
    with file_beside(trees / "y.json") as (draft, _):
        cache = caches_of(folders)[0]
        removed = {entry.name: cache.remove(entry) for entry in cache.entries()}
        assert removed == {".x.json.0123456789abcdef.part": True, draft.name: False}
        assert draft.exists()


def test_keyed_folders_go_unless_somebody_holds_them(folders: Folders) -> None:
    built = KeyedFolders(top=folders.cache / "wheels" / "built")
    for key in (KEY, OTHER):
        with built.held(key) as slot:
            (slot.draft / "file").write_text("123")
            slot.keep()
    (built.top / "ab" / "readme").touch()
    [cache] = [cache for cache in caches_of(folders) if cache.name == "wheels that were built"]
    entries = {entry.name: entry for entry in cache.entries()}
    assert {key: entry.size for key, entry in entries.items()} == {KEY: 3, OTHER: 3}
    with built.held(KEY):
        assert not cache.remove(entries[KEY])
    assert cache.remove(entries[OTHER])
    assert built.find(KEY) is not None
    assert built.find(OTHER) is None
    assert sorted(path.name for path in (built.top / "cd").iterdir()) == []
    # What was removed can be made again, and what is found counts as used.
    with built.held(OTHER) as slot:
        slot.keep()
    os.utime(built.top / "cd" / OTHER, (1, 1))
    assert built.find(OTHER) is not None
    [used] = [entry.used for entry in cache.entries() if entry.name == OTHER]
    assert used > time.time() - 3600


def test_a_run_that_goes_on_is_known(folders: Folders) -> None:
    assert living_work_folders(folders) == ()
    with work_folder(folders) as folder:
        assert living_work_folders(folders) == (folder,)
    assert living_work_folders(folders) == ()


def test_sizes_do_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "below" / "file").write_text("1234")
    (tmp_path / "large").write_text("x" * 1000)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "large")
    assert size_of(tmp_path / "tree") == 4 + len(str(tmp_path / "large"))
    assert size_of(tmp_path / "absent") == 0
