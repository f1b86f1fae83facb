# SPDX-License-Identifier: Apache-2.0
import errno
import os
import threading
import time
from pathlib import Path

import pytest

from stxbuildah.errors import DiskFullError, HostError, InputError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.layer.layerindex import index_layer
from tests.layerstacks import Member, tar_of
from tests.unit.layer.killed import process_inside

TAR = tar_of(
    [Member(path="etc/os-release", kind="file", content=b"ID=x"), Member(path="data", kind="file", content=b"1")]
)
HOUR = 3600


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def make(cache: IndexCache, number: int, *, age: float = 0) -> None:
    with cache.making(digest(number)) as path:
        index_layer([TAR], what="layer", diff_id="", target=path)
    used = time.time() - age
    os.utime(cache.path(digest(number)), (used, used))


def test_an_index_is_found_by_its_layer(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path / "layers")
    assert cache.find(digest(1)) is None
    make(cache, 1)
    found = cache.find(digest(1))
    assert found is not None
    assert found.content("/etc/os-release") == b"ID=x"
    assert cache.find(digest(2)) is None


def test_an_index_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    with pytest.raises(InputError), cache.making(digest(1)) as path:
        index_layer([TAR[:512]], what="layer", diff_id="", target=path)
    with pytest.raises(HostError, match="cannot be written"), cache.making(digest(1)):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = IndexCache(tmp_path / "file" / "layers")
    assert cache.find(digest(1)) is None
    with pytest.raises(HostError, match=f"{tmp_path}/file/layers: Not a directory"), cache.making(digest(1)):
        pass


def test_a_full_disk_is_told_with_the_folder_that_can_be_changed(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(DiskFullError, match=rf"^no space left in {tmp_path} for the index of a layer$") as caught,
        IndexCache(tmp_path).making(digest(1)) as path,
        written_beside(path),
    ):
        raise full
    assert "XDG_CACHE_HOME" in caught.value.hint
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_index_is_removed(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    make(cache, 1)
    path = cache.path(digest(1))
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.find(digest(1)) is None
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:../../../../etc/passwd", f"sha256:{'a' * 64}/x", "a" * 64])
def test_what_is_no_digest_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="is no digest"):
        IndexCache(tmp_path).find(text)


def test_what_was_used_least_recently_goes_first_and_nothing_young(tmp_path: Path) -> None:
    make(IndexCache(tmp_path), 0)
    size = IndexCache(tmp_path).path(digest(0)).stat().st_size
    cache = IndexCache(tmp_path, maximum_bytes=3 * size)
    make(cache, 1, age=3 * HOUR)
    make(cache, 2, age=2 * HOUR)
    assert cache.find(digest(1)) is not None  # used just now
    make(cache, 3)
    assert [cache.path(digest(number)).exists() for number in range(4)] == [True, True, False, True]
    make(cache, 4)
    assert all(cache.path(digest(number)).exists() for number in (0, 1, 3, 4))


def test_drafts_of_killed_runs_go(tmp_path: Path) -> None:
    with process_inside("IndexCache(folder).making('sha256:' + '0' * 64)", tmp_path):
        assert len([*tmp_path.iterdir()]) == 1
    cache = IndexCache(tmp_path)
    with cache.making(digest(1)) as own:
        assert [*tmp_path.iterdir()] == [own.parent]
        make(cache, 2)  # which is no reason to remove what is under way
        index_layer([TAR], what="layer", diff_id="", target=own)
    assert {*tmp_path.iterdir()} == {cache.path(digest(1)), cache.path(digest(2))}


def test_more_contents_are_kept(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    make(cache, 1)
    index = cache.find(digest(1))
    assert index is not None
    cache.extend(digest(1), index, {"/data": b"1"})
    again = cache.find(digest(1))
    assert again is not None
    assert again.content("/data") == b"1"
    assert index.content("/etc/os-release") == b"ID=x"  # what is open stays readable
    assert len([*tmp_path.iterdir()]) == 1


def test_more_contents_than_the_cache_has_room_for_are_not_kept(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    make(cache, 1)
    index = cache.find(digest(1))
    assert index is not None
    before = cache.path(digest(1)).read_bytes()
    IndexCache(tmp_path, maximum_bytes=8).extend(digest(1), index, {"/data": b"1"})
    assert cache.path(digest(1)).read_bytes() == before


def test_many_make_the_same_index_at_once(tmp_path: Path) -> None:
    cache = IndexCache(tmp_path)
    threads = [threading.Thread(target=make, args=(cache, 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.find(digest(1)) is not None
    assert [*tmp_path.iterdir()] == [cache.path(digest(1))]
