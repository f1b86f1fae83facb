# SPDX-License-Identifier: Apache-2.0
"""``stxb clean``: what killed runs left, and never anything else."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.job.room import opened_room
from stxbuildah.job.workspace import Folders
from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.engine

LONG = f"{8000 + os.getpid() % 1000}.5"


@pytest.fixture
def words(base_image: ImageReference, tmp_path: Path) -> tuple[object, ...]:
    script = tmp_path / "long.sh"
    script.write_text(f"sleep {LONG}\n")
    return ("update", "--from", base_image, "--customize", script, "--tag", "cleaned")


def sleeping() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == f"sleep\0{LONG}\0".encode():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Ends what a failed test left running."""
    yield
    for number in sleeping():
        os.kill(number, signal.SIGKILL)


def started(stxb: Stxb, *words: object, count: int = 1) -> "subprocess.Popen[bytes]":
    """Start an update and wait until its script runs."""
    process = stxb.start(*words)
    deadline = time.monotonic() + 60
    while len(sleeping()) < count:
        assert process.poll() is None, stxb.said.read_text()
        assert time.monotonic() < deadline, stxb.said.read_text()
        time.sleep(0.02)
    return process


def killed(stxb: Stxb, *words: object, group: bool = True, count: int = 1) -> None:
    process = started(stxb, *words, count=count)
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait(10)


@pytest.fixture
def foreign(images: Images, base_image: ImageReference) -> Iterator[str]:
    """A working container of another program, with a name like ours."""
    name = "stxb-0123456789abcdef"
    images.runner.run(["buildah", "from", "--pull-never", "--name", name, str(base_image)])
    yield name
    images.runner.run(["buildah", "rm", name])


def test_nothing_to_do(stxb: Stxb) -> None:
    # Rooms of killed base builds are the account's, and may be there from before.
    stxb.done("clean", "--all-caches")
    ended = stxb.done("clean", "--no-caches")
    assert (ended.out, ended.err) == ("", "nothing is left behind\n")
    nothing = {"containers": [], "folders": [], "caches": [], "busy": [], "size": 0}
    assert stxb.done("clean", "--no-caches", "--format", "json").json == nothing


def test_the_room_of_a_killed_base_build(stxb: Stxb) -> None:
    folders = Folders.from_environment({"HOME": str(stxb.folder)})
    with opened_room(Runner(), folders) as room:
        left = room.with_name(f"{room.name}-killed")
        (left / "mmdebstrap.planted").mkdir(parents=True)
        (left / "owner.lock").touch()
        here = {"TMPDIR": tempfile.gettempdir()}
        (left / "owner.lock").write_text("123")
        for words in (("--dry-run",), ()):
            folders_told = stxb.done("clean", *words, "--format", "json", extra=here).json["folders"]
            assert {"path": str(left), "size": 3} in folders_told
        assert not left.exists()
        assert room.exists()


def test_a_dry_run_lists_and_a_run_removes(stxb: Stxb, images: Images, words: tuple[object, ...], foreign: str) -> None:
    killed(stxb, *words)
    before = set(images.containers())
    listed = stxb.done("clean", "--dry-run")
    assert set(images.containers()) == before
    left = sorted(before - {foreign})
    (folder,) = (stxb.folder / "cache/stxb/work").glob("stxb-*")
    assert [line.split()[:2] for line in listed.out.splitlines()[1:]] == [
        *(["container", name] for name in left),
        ["folder", str(folder)],
    ]
    assert left
    assert stxb.done("clean").out == listed.out
    assert images.containers() == [foreign]
    assert not folder.exists()
    assert stxb.done("clean").out == ""


def test_what_has_an_owner_stays(stxb: Stxb, images: Images, words: tuple[object, ...], foreign: str) -> None:
    owner = started(stxb, *words)
    kept = set(images.containers())
    assert len(kept) > 1
    assert stxb.done("clean").out == ""
    # Another update clears away what a third one left, and nothing of the first.
    killed(stxb, *words, count=2)
    orphans = sorted(set(images.containers()) - kept)
    removed = stxb.done("clean").out.splitlines()
    assert [line.split() for line in removed if line.startswith("container")] == [
        ["container", name] for name in orphans
    ]
    assert orphans
    assert set(images.containers()) == kept
    owner.send_signal(signal.SIGTERM)
    assert owner.wait(10) == 130
    assert images.containers() == [foreign]


def test_the_program_of_a_killed_run_is_ended(stxb: Stxb, images: Images, words: tuple[object, ...]) -> None:
    killed(stxb, *words, group=False)
    assert len(sleeping()) == 1
    stxb.done("clean")
    assert images.containers() == []
    deadline = time.monotonic() + 5
    while sleeping() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sleeping() == []


def test_what_was_kept_on_purpose_stays(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    quick = tmp_path / "quick.sh"
    quick.write_text("true > /etc/kept\n")
    said = stxb.done("update", "--from", base_image, "--customize", quick, "--tag", "kept", "--keep").err
    (folder,) = (stxb.folder / "cache/stxb/work").iterdir()
    assert str(folder) in said
    assert stxb.done("clean").out == ""
    assert folder.is_dir()
    (container,) = images.containers()
    assert f"buildah rm {container}" in said
    images.runner.run(["buildah", "rm", container])


def test_caches_go_when_they_are_not_used(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    cache = stxb.folder / "cache/stxb"
    stxb.update("--from", base_image, "--wheel", make_wheel(tmp_path, "stx-cleaned", "1.0"), "--tag", "cleaned")
    (record,) = (cache / "trees").glob("*.json")
    foreign = cache / "trees" / "of somebody else.json"
    foreign.write_text("{}")

    def told(*words: str) -> dict[str, tuple[int, int]]:
        caches = stxb.done("clean", "--format", "json", *words).json["caches"]
        return {one["name"]: (one["entries"], one["kept_entries"]) for one in caches}

    assert told()["records of images"] == (0, 1)
    old = time.time() - 31 * 86400
    os.utime(record, (old, old))
    assert told("--dry-run")["records of images"] == (1, 0)
    assert told("--dry-run", "--unused-for", "32")["records of images"] == (0, 1)
    assert told("--no-caches") == {}
    # Whoever uses it again keeps it.
    stxb.update("--from", base_image, "--wheel", make_wheel(tmp_path, "stx-cleaned", "2.0"), "--tag", "cleaned-2")
    assert told()["records of images"] == (0, 1)
    said = stxb.done("clean", "--all-caches")
    assert "cache  records of images: 1 of 1" in said.out
    assert not record.exists()
    assert foreign.exists()
    for tag in ("cleaned", "cleaned-2"):
        stxb_image = base_image.with_tag(tag)
        Runner(extra=tuple(stxb.environment.items())).run(["buildah", "rmi", str(stxb_image)])


def test_another_store_is_left_alone(stxb: Stxb, images: Images, words: tuple[object, ...], tmp_path: Path) -> None:
    killed(stxb, *words)
    other = ("--root", tmp_path / "other", "--runroot", tmp_path / "run", "--storage-driver", "vfs")
    assert "container" not in stxb.done("clean", *other).out
    assert len(images.containers()) >= 1
    assert "container  stxb-" in stxb.done("clean").out
    assert images.containers() == []
