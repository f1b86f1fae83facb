# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` asked to stop in the middle: exit status 130, and everything cleaned up within a few seconds."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stxbuildah.engine.guard import SERVICE_LABEL
from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

# So long all that is stopped here would go on; unlike any other sleep of this machine.
LONG = f"{7000 + os.getpid() % 1000}.25"
GRACE = 10.0
BACKEND = f"""\
import subprocess
def build_wheel(folder, settings=None, metadata=None):
    subprocess.run(["sleep", "{LONG}"])
"""
PYPROJECT = """\
[project]
name = "stx-slow"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def sleeping() -> list[int]:
    """Give the processes that sleep for ``LONG``, in whatever namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().endswith(b"sleep\0" + LONG.encode() + b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.02)


class StallingRegistry:
    """Takes connections and never answers."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def stalling() -> Iterator[StallingRegistry]:
    with closing(StallingRegistry()) as registry:
        yield registry


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "long.sh"
    path.write_text(f"sleep {LONG}\n")
    return path


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "stx-slow"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def stop(process: subprocess.Popen[bytes], number: signal.Signals, *, group: bool) -> float:
    """Send a signal and give the seconds until the end."""
    start = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, number)
    process.wait(GRACE)
    return time.monotonic() - start


def check_stopped(stxb: Stxb, process: subprocess.Popen[bytes], images: Images) -> None:
    """The command ended as interrupted programs do, said so in one paragraph, and left nothing."""
    said = stxb.said.read_text()
    assert process.returncode == 130, said
    assert "error: ended by SIG" in said
    assert "Traceback" not in said
    assert "Exception" not in said
    assert images.containers() == []
    assert sleeping() == []
    assert podman_containers(images) == []
    left = json.loads(stxb.done("clean", "--dry-run", "--no-caches", "--format", "json").out)
    assert (left["containers"], left["folders"]) == ([], [])
    assert list((stxb.folder / "cache/stxb/work").glob("*")) == []
    assert list((stxb.folder / "state/stxb").rglob("stxb-*")) == []
    assert not (stxb.folder / "stxb-out").exists()


def podman_containers(images: Images) -> list[str]:
    return images.runner.run(["podman", "ps", "--all", "--quiet"]).stdout.decode().split()


BOTH = pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)],
    ids=["term", "interrupt-from-the-terminal", "term-to-all", "hang-up"],
)


@BOTH
def test_in_the_middle_of_a_script(
    stxb: Stxb, images: Images, base_image: ImageReference, script: Path, number: signal.Signals, *, group: bool
) -> None:
    process = stxb.start("update", "--from", base_image, "--customize", script, "--tag", "stopped")
    wait_for(sleeping, process, stxb.said)
    assert stop(process, number, group=group) < GRACE
    check_stopped(stxb, process, images)


@BOTH
def test_in_the_middle_of_a_push(
    stxb: Stxb, images: Images, base_image: ImageReference, stalling: StallingRegistry, tmp_path: Path,
    number: signal.Signals, *, group: bool,
) -> None:  # fmt: skip
    wheel = make_wheel(tmp_path, "stx-stopped", "1.0")
    process = stxb.start(
        "update", "--from", base_image, "--wheel", wheel, "--registry", stalling.address, "--user", "u", "--push"
    )
    wait_for(lambda: stalling.connections, process, stxb.said)
    assert stop(process, number, group=group) < GRACE
    check_stopped(stxb, process, images)


@BOTH
def test_in_the_middle_of_a_module_build(
    stxb: Stxb, images: Images, base_image: ImageReference, module: Path, number: signal.Signals, *, group: bool
) -> None:
    words = ("update", "--from", base_image, "--module-src", module, "--builder", base_image, "--network", "none")
    process = stxb.start(*words)
    wait_for(sleeping, process, stxb.said)
    assert stop(process, number, group=group) < GRACE
    check_stopped(stxb, process, images)


def guards_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Give the children of a command that end its containers when it is killed."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if SERVICE_LABEL in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "guard killed, too"])
def test_a_build_whose_owner_was_killed(
    stxb: Stxb, images: Images, base_image: ImageReference, module: Path, guarded: bool
) -> None:
    words = ("update", "--from", base_image, "--module-src", module, "--builder", base_image, "--network", "none")
    process = stxb.start(*words)
    wait_for(sleeping, process, stxb.said)
    [guard] = guards_of(process)
    if not guarded:
        os.kill(guard, signal.SIGKILL)
    stop(process, signal.SIGKILL, group=False)
    if guarded:
        deadline = time.monotonic() + 60
        while Path(f"/proc/{guard}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    else:
        listed = json.loads(stxb.done("clean", "--dry-run", "--format", "json").out)["containers"]
        assert len(podman_containers(images)) == 1
        removed = json.loads(stxb.done("clean", "--format", "json").out)["containers"]
        assert removed == listed
        assert len([name for name in removed if name.startswith("stxb-")]) == len(removed) > 0
    assert podman_containers(images) == []
    assert sleeping() == []
    stxb.done("clean")
    assert list((stxb.folder / "state/stxb").rglob("stxb-*")) == []
