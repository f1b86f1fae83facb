# SPDX-License-Identifier: Apache-2.0
"""Containers that build one wheel after the other: nothing of one build is there for the next."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.podman import PodmanService
from stxbuildah.engine.process import Runner
from stxbuildah.model.container import Ended
from stxbuildah.model.settings import HostChoices
from stxbuildah.wheels.benches import Benches, BenchJob
from stxbuildah.wheels.sourcebuild import shared_benches
from tests.engine.builders import provide_builder
from tests.engine.hostilebuilds import LEAVES, LOOKS, LOOKS_BY_SETUP, LOWERS

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def service(runner: Runner, choices: HostChoices, engine_folder: Path) -> Iterator[PodmanService]:
    with PodmanService(runner, choices, engine_folder / "state-benches") as running:
        yield running


@pytest.fixture(scope="module")
def builder(runner: Runner, service: PodmanService) -> str:
    return provide_builder(runner, service)


@attrs.frozen(kw_only=True)
class Bench:
    """Builds in shared containers, and tells what the builds left in the folder for wheels."""

    benches: Benches
    folder: Path

    def build(self, program: str, *, name: str = "backend.py", **settings: float) -> tuple[Ended | None, Path]:
        folder = self.folder / str(sum(1 for _ in self.folder.glob("job-*")))
        folder = folder.with_name(f"job-{folder.name}")
        for inner in ("source", "out"):
            (folder / inner).mkdir(parents=True)
        (folder / "source" / name).write_text(program)
        by_setup = name == "setup.py"
        backend = "setuptools.build_meta:__legacy__" if by_setup else "backend"
        job = BenchJob(
            folders={"source": folder / "source", "out": folder / "out"},
            request={"backend": backend, "path": [] if by_setup else ["."], "out": "/build/out", "asked": ""},
            environment={"BUILD": "this one"},
            working_folder="/build/source",
            timeout=settings.get("timeout", 120.0),
            memory=int(settings.get("memory", 0)),
        )
        lines: list[str] = []
        ended = self.benches.run(job, lines.append)
        assert ended is None or tuple(lines[-len(ended.tail) :]) == ended.tail or ended.timed_out
        return ended, folder / "out"

    def seen(self, program: str, *, name: str = "backend.py") -> tuple[str, list[str]]:
        """Which container it was, and what a build saw in it."""
        ended, out = self.build(program, name=name)
        assert ended is not None
        assert (ended.status, ended.tail) == (0, ("looked",)), "\n".join(ended.tail)
        return (out / "container").read_text(), (out / "seen").read_text().splitlines()


@pytest.fixture
def bench(service: PodmanService, builder: str, runner: Runner, tmp_path: Path) -> Iterator[Bench]:
    benches = shared_benches(service, builder, tmp_path)
    try:
        yield Bench(benches=benches, folder=tmp_path)
    finally:
        benches.close()
    assert runner.run(["podman", "ps", "--all", "--quiet"]).stdout == b""
    assert list(tmp_path.glob("bench-*")) == []


def test_nothing_of_a_build_is_left_for_the_next(bench: Bench) -> None:
    # The first of each also makes whatever Python itself keeps.
    before = [bench.seen(LOOKS), bench.seen(LOOKS_BY_SETUP, name="setup.py")]
    ended, out = bench.build(LEAVES)
    assert ended is not None
    assert ended.status == 0, ended.tail
    left = (out / "told").read_text().splitlines()
    # It could leave all this, ...
    places = ("/tmp", "/run", "/var/tmp", "/dev", "/dev/shm", "/build/source", "/build/out")
    assert [line for line in left if line.startswith("filled")] == [f"filled {place}" for place in places]
    assert {"shmget: done", "semget: done", "msgget: done", "stays"} <= set(left)
    # ... and nothing elsewhere, least of all in the first process.
    assert {line for line in left if ": E" in line} == {
        "attach: EPERM", "write: EPERM", "memory: EACCES", "descriptor: EACCES", "/build/orders: EROFS",
        "/build/programs/bench.py: EROFS", "/etc/left: EROFS", "/usr/lib/python3/left: EROFS", "/root/left: EROFS",
    }  # fmt: skip
    assert [bench.seen(LOOKS), bench.seen(LOOKS_BY_SETUP, name="setup.py")] == before
    assert len({container for container, _ in before}) == 1
    assert all("remembered 0" in seen for _, seen in before)


def test_a_container_is_given_up_when_a_build_fails_hangs_or_changes_the_first_process(bench: Bench) -> None:
    containers = [bench.seen(LOOKS)[0]]
    failing = "def build_wheel(*words):\n    raise SystemExit('the compiler is on strike')\n"
    assert bench.build(failing)[0] == Ended(status=1, tail=("the compiler is on strike",))
    containers.append(bench.seen(LOOKS)[0])
    ended, _ = bench.build(LOWERS)
    assert ended == Ended(status=0, tail=())
    containers.append(bench.seen(LOOKS)[0])
    hanging = "import time\ndef build_wheel(*words):\n    print('begun', flush=True)\n    time.sleep(900)\n"
    ended, _ = bench.build(hanging, timeout=2.0)
    assert ended is not None
    assert (ended.timed_out, ended.tail[-1]) == (True, "no end after 2 seconds")
    containers.append(bench.seen(LOOKS)[0])
    assert len(set(containers)) == len(containers)
    eating = "def build_wheel(*words):\n    return bytearray(3 << 30)\n"
    ended, _ = bench.build(eating, memory=1 << 30)
    assert ended is not None
    assert (ended.status, ended.tail[-1]) == (1, "MemoryError")


def test_a_build_that_writes_into_the_image_is_for_a_container_of_its_own(bench: Bench) -> None:
    ended, out = bench.build("def build_wheel(*words):\n    open('half', 'w').close()\n    open('/usr/lib/new', 'w')\n")
    assert ended is None
    assert {path.name for path in (out.parent / "source").iterdir()} == {"backend.py", "half"}


def test_an_image_that_cannot_be_shared(service: PodmanService, builder: str, runner: Runner, tmp_path: Path) -> None:
    container = runner.run(["buildah", "from", builder]).stdout.decode().strip()
    refusing = (
        "printf '#!/bin/sh\\necho not today\\nexit 3\\n' > /usr/local/bin/python3; chmod 755 /usr/local/bin/python3"
    )
    runner.run(["buildah", "run", "--isolation", "chroot", container, "sh", "-c", refusing])
    runner.run(["buildah", "commit", "--quiet", "--rm", container, "localhost/tests/refusing:1"])
    bench = Bench(benches=shared_benches(service, "localhost/tests/refusing:1", tmp_path), folder=tmp_path)
    started = service.started
    assert bench.build(LOOKS)[0] is None
    assert bench.build(LOOKS)[0] is None
    # It is tried once.
    assert service.started == started + 1
