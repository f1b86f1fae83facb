# SPDX-License-Identifier: Apache-2.0
"""A user namespace that is kept open: programs in it do what they do outside, and it ends with whoever opened it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.namespace import opened_namespace
from stxbuildah.engine.storefiles import StoreFiles
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.images import image_with

pytestmark = pytest.mark.engine

DEADLINE = 120.0  # seconds
IMAGE = ImageReference.parse("localhost/tests/namespace:1")
CONTAINER = "stxb-test-namespace"

KILLED = """
import sys
from stxbuildah.engine.namespace import opened_namespace
from stxbuildah.engine.process import Runner
with opened_namespace(Runner()) as entrance:
    print(*entrance.words, flush=True)
    sys.stdin.read()
"""


def holder_of(words: tuple[str, ...]) -> int:
    return int(words[words.index("--target") + 1])


def status_of(process: int) -> dict[str, str]:
    """What the kernel tells of a process; nothing when it has ended, though nobody has asked for its status."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {} if told["State"].startswith("Z") else told


def parents_of(process: int, *, until: int) -> list[int]:
    """The process and those that started it, below another one."""
    found = []
    while process != until:
        found.append(process)
        process = int(status_of(process)["PPid"])
    return found


def wait_for_end(processes: list[int]) -> None:
    deadline = time.monotonic() + DEADLINE
    while left := [process for process in processes if status_of(process)]:
        assert time.monotonic() < deadline, f"still there: {[status_of(process) for process in left]}"
        time.sleep(0.02)


def test_programs_do_in_it_what_they_do_outside(
    stores: dict[str, EngineStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = stores["overlay"]
    outside = engine.runner
    image_with(tmp_path / "made", "in the image")
    engine.store.import_image(f"dir:{tmp_path}/made/image", IMAGE)
    files = StoreFiles.of(engine.choices.storage)
    assert files is not None
    documents = files.documents(str(IMAGE))
    assert documents is not None
    monkeypatch.chdir(tmp_path)
    with opened_namespace(outside) as entrance:
        assert entrance is not None
        inside = attrs.evolve(outside, entrance=entrance)
        processes = parents_of(holder_of(entrance.words), until=os.getpid())
        assert len(processes) > 1
        for argv in (
            ["buildah", "images", "--json", "--no-trunc", str(IMAGE)],
            ["skopeo", "inspect", "--raw", f"containers-storage:{IMAGE}"],
            ["skopeo", "inspect", "--config", f"containers-storage:{IMAGE}"],
            ["skopeo", "inspect", "--raw", "dir:made/image"],
        ):
            answer = inside.run(argv).stdout
            assert answer == outside.run(argv).stdout
            assert answer
        assert inside.run(["buildah", "from", "--name", CONTAINER, str(IMAGE)]).stdout.decode().strip() == CONTAINER
        written = ["sh", "-c", 'echo new > "$ROOT/new" && chown 33:44 "$ROOT/new"']
        inside.run(["buildah", "unshare", "--mount", f"ROOT={CONTAINER}", *written])
        for runner in (inside, outside):
            with ContainerTree.of_container(runner, engine.choices, CONTAINER) as tree:
                found = tree.lstat("/new")
                assert found is not None
                assert (found.uid, found.gid, tree.read("/text")) == (33, 44, b"in the image")
            with ContainerTree.of_layers(runner, engine.choices, files.layer_folders(documents)) as tree:
                assert (tree.read("/text"), tree.lstat("/new")) == (b"in the image", None)
        outside.run(["buildah", "rm", CONTAINER])
        listed = ["buildah", "containers", "--json"]
        assert CONTAINER not in inside.run(listed).stdout.decode()
        inside.run(["buildah", "rmi", str(IMAGE)])
        assert engine.store.find(IMAGE) is None
    wait_for_end(processes)


def test_it_ends_with_a_process_that_is_killed(stores: dict[str, EngineStore]) -> None:
    """Which then can clear away nothing itself."""
    environment = {**os.environ, **dict(stores["overlay"].choices.environment)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as opener:
        assert opener.stdout is not None
        words = opener.stdout.readline().decode().split()
        assert words, "no namespace was opened"
        processes = parents_of(holder_of(tuple(words)), until=opener.pid)
        assert all(status_of(process) for process in processes)
        opener.send_signal(signal.SIGKILL)
        opener.wait()
        wait_for_end(processes)


def test_where_there_is_no_way_into_it_there_is_none(stores: dict[str, EngineStore], tmp_path: Path) -> None:
    """Programs are then run as ever."""
    program = tmp_path / "nsenter"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    runner = attrs.evolve(stores["overlay"].runner, extra=(*stores["overlay"].runner.extra, ("PATH", path)))
    with opened_namespace(runner) as entrance:
        assert entrance is None
