# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

from stxbuildah.job.caches import caches_of
from stxbuildah.job.images.purgenotes import PurgeNotes
from stxbuildah.job.workspace import Folders

KEY = "ab" * 32


def test_a_note_is_kept_used_and_cleaned_away(tmp_path: Path) -> None:
    folders = Folders(cache=tmp_path, state=tmp_path / "state", work=tmp_path / "work")
    notes = PurgeNotes(folder=tmp_path / "removals")
    assert not notes.has(KEY)
    notes.add(KEY)
    path = tmp_path / f"removals/{KEY}.json"
    os.utime(path, (1, 1))
    [cache] = [cache for cache in caches_of(folders) if cache.folder == notes.folder]
    assert [entry.used for entry in cache.entries()] == [1]
    assert notes.has(KEY)
    [entry] = cache.entries()
    assert entry.used > 1
    assert cache.remove(entry)
    assert not notes.has(KEY)


def test_a_note_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "removals").write_text("")
    notes = PurgeNotes(folder=tmp_path / "removals")
    notes.add(KEY)
    assert not notes.has(KEY)
