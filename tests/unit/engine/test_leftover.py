# SPDX-License-Identifier: Apache-2.0
"""What bears a mark is ended with all that it has started, and nothing else."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxbuildah.engine.leftover import MARK_VARIABLE, end_programs


@pytest.fixture
def buildah(tmp_path: Path) -> Path:
    """A program of that name."""
    path = tmp_path / "buildah"
    path.symlink_to(sys.executable)
    return path


@pytest.fixture
def started(buildah: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Programs that are killed at the end."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


PYTHON = """
import os, signal, subprocess, sys
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
def tidy(*_):
    print("tidied", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, {"tidy": tidy, "deaf": signal.SIG_IGN}.get(sys.argv[2], signal.SIG_DFL))
print(child.pid, flush=True)
while True:
    signal.pause()
"""


def start(buildah: Path, mark: str, manner: str) -> tuple["subprocess.Popen[str]", int]:
    """Start a program with a child that leaves its process group; give both."""
    process = subprocess.Popen(
        [str(buildah), "-c", PYTHON, f"id={mark},src=x", manner], stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def has_ended(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def await_end(number: int) -> None:
    # A pidfd can be read when its process has ended.
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 300)[0]
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("manner", "grace", "said"), [("tidy", 300.0, "tidied\n"), ("deaf", 0.2, ""), ("tidy", 0.0, "")]
)
def test_what_has_the_mark_is_ended(
    buildah: Path, started: list["subprocess.Popen[str]"], manner: str, grace: float, said: str
) -> None:
    process, child = start(buildah, "stxb-one", manner)
    other, others_child = start(buildah, "stxb-two", "deaf")
    started += [process, other]
    end_programs("stxb-one", grace=grace)
    await_end(child)
    assert process.wait() in {0, -9}
    assert process.stdout is not None
    assert process.stdout.read() == said
    assert other.poll() is None
    assert not has_ended(others_child)
    end_programs("stxb-two")
    await_end(others_child)


def test_what_has_the_mark_in_its_environment_is_ended_wherever_it_went(
    started: list["subprocess.Popen[str]"],
) -> None:
    script = "setsid sleep 1000 & echo $!; trap 'echo tidied; exit 0' TERM; while :; do sleep 0.1; done"
    process = subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, MARK_VARIABLE: "stxb-one"}
    )
    started.append(process)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    end_programs("stxb-two", grace=300.0)
    assert process.poll() is None
    end_programs("stxb-one", grace=300.0)
    await_end(child)
    assert process.stdout.read() == "tidied\n"


def test_nothing_happens_where_nothing_has_the_mark() -> None:
    end_programs("stxb-nobody", grace=300.0)
