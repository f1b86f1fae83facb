# SPDX-License-Identifier: Apache-2.0
"""Who owns a working container, told by locks."""

import os
import re
from pathlib import Path

import pytest

from stxbuildah.engine.locks import OwnerLock, adopted, lock_files, orphan_names
from stxbuildah.engine.orphans import find_orphans, remove_orphans
from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import HostChoices, Storage


def test_a_living_owner_has_no_orphans(tmp_path: Path) -> None:
    lock = OwnerLock.take(tmp_path / "state", "store")
    assert re.fullmatch("stxb-[0-9a-f]{16}", lock.name)
    assert [path.name for path in lock_files(tmp_path / "state")] == [f"{lock.name}.lock"]
    assert orphan_names(tmp_path / "state", "store") == ()
    lock.release(container_gone=True)
    assert list((tmp_path / "state").iterdir()) == []


def test_what_is_left_locked_by_nobody_is_an_orphan_of_its_own_store(tmp_path: Path) -> None:
    lock = OwnerLock.take(tmp_path, "store")
    lock.release(container_gone=False)
    assert orphan_names(tmp_path, "store") == (lock.name,)
    assert orphan_names(tmp_path, "another store") == ()


def test_an_orphan_is_adopted_by_one_alone(tmp_path: Path) -> None:
    OwnerLock.take(tmp_path, "store").release(container_gone=False)
    [path] = lock_files(tmp_path)
    with adopted(path, "store") as first, adopted(path, "store") as second:
        assert first is not None
        assert second is None


def test_the_lock_of_a_killed_process_can_be_taken(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        OwnerLock.take(tmp_path, "store")
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert len(orphan_names(tmp_path, "store")) == 1


@pytest.mark.parametrize("name", ["stxb-x.lock", "stxb-.lock", "stxb-0123456789abcdeg.lock", "other.lock"])
def test_other_names_are_nobodys_orphans(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("store")
    assert orphan_names(tmp_path, "store") == ()


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("store")
    (tmp_path / "stxb-0123456789abcdef.lock").symlink_to(tmp_path / "target")
    assert orphan_names(tmp_path, "store") == ()


def test_without_orphans_no_program_runs(tmp_path: Path) -> None:
    nowhere = Runner(extra=(("PATH", str(tmp_path)),))
    assert remove_orphans(nowhere, HostChoices(), tmp_path / "missing") == ()


def test_orphans_are_told_apart_by_their_store(tmp_path: Path) -> None:
    one, other = (HostChoices(storage=Storage(driver="vfs", root=root)) for root in ("/one", "/other"))
    OwnerLock.take(tmp_path, "vfs /one").release(container_gone=False)
    assert len(find_orphans(one, tmp_path)) == 1
    assert find_orphans(other, tmp_path) == ()
