# SPDX-License-Identifier: Apache-2.0
"""Ephemeral containers on the real podman: what they are given, how they end, and that nothing stays behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.podman import PodmanService, remove_ephemeral_orphans
from stxbuildah.engine.probe import choose_host
from stxbuildah.engine.process import Runner
from stxbuildah.errors import BuildError, HostError
from stxbuildah.model.container import ContainerJob, Mount
from stxbuildah.model.host import UserChoices
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices
from tests.engine.stxb import signals_as_in_a_terminal

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def podman_choices(choices: HostChoices) -> HostChoices:
    """What the probe makes of this machine for the overlay store."""
    return choose_host(UserChoices(), {**os.environ, **dict(choices.environment)})


@pytest.fixture(scope="module")
def podman_runner(choices: HostChoices) -> Runner:
    return Runner(extra=choices.environment)


@pytest.fixture(scope="module")
def state(engine_folder: Path) -> Path:
    return engine_folder / "state-podman"


@pytest.fixture(scope="module")
def service(podman_runner: Runner, podman_choices: HostChoices, state: Path) -> Iterator[PodmanService]:
    with PodmanService(podman_runner, podman_choices, state) as running:
        yield running


@pytest.fixture
def image(base_image: ImageReference) -> str:
    return str(base_image)


def podman(runner: Runner, choices: HostChoices, *arguments: str) -> str:
    return runner.run(["podman", *arguments], extra=dict(choices.environment)).stdout.decode()


@pytest.fixture(autouse=True)
def nothing_left(podman_runner: Runner, podman_choices: HostChoices, state: Path) -> Iterator[None]:
    yield
    assert podman(podman_runner, podman_choices, "ps", "--all", "--quiet") == ""
    assert list((state / "ephemeral").glob("*")) == []


def test_output_comes_line_by_line_and_the_status_is_the_programs(
    service: PodmanService, image: str, tmp_path: Path
) -> None:
    lines: list[str] = []

    def answer(line: str) -> None:
        lines.append(line)
        (tmp_path / "heard").touch()

    # The program goes on only when its first line was heard; kept back until the end, it would never come.
    command = (
        "sh",
        "-c",
        "echo one; until [ -e /out/heard ]; do sleep 0.1; done; printf 'two\\r\\n'; printf three; exit 7",
    )
    out = Mount(source=tmp_path, target="/out")
    ended = service.run(ContainerJob(image=image, command=command, mounts=(out,), timeout=120.0), answer)
    assert (ended.status, ended.tail, ended.timed_out) == (7, ("one", "two", "three"), False)
    assert lines == ["one", "two", "three"]


def test_what_podman_was_really_told(
    service: PodmanService, image: str, tmp_path: Path, podman_runner: Runner, podman_choices: HostChoices
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    told: list[dict[str, object]] = []

    def look(line: str) -> None:
        if line == "started":
            ids = podman(podman_runner, podman_choices, "ps", "--quiet").split()
            told.extend(json.loads(podman(podman_runner, podman_choices, "inspect", *ids)))
            (tmp_path / "out/go").touch()

    # One stream for both outputs: podman reads two pipes, and may tell of the second first.
    program = """\
exec 2>&1; echo started; while [ ! -e /out/go ]; do sleep 0.1; done; touch /in/x; echo written > /out/file
echo "$COLOUR"; pwd; ulimit -v; grep -E '^(CapBnd|NoNewPrivs)' /proc/self/status; ls /sys/class/net"""
    job = ContainerJob(
        image=image,
        command=("sh", "-c", program),
        mounts=(
            Mount(source=tmp_path / "in", target="/in"),
            Mount(source=tmp_path / "out", target="/out", writable=True),
        ),
        environment={"COLOUR": "blue"},
        working_folder="/usr",
        memory=8 << 30,
        labels=(("stxbuildah.test", "yes"),),
    )
    ended = service.run(job, look)
    assert ended.status == 0
    assert ended.tail == (
        "started",
        "touch: cannot touch '/in/x': Read-only file system",
        "blue",
        "/usr",
        str((8 << 30) // 1024),
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "lo",
    )
    assert (tmp_path / "out/file").read_text() == "written\n"
    assert (tmp_path / "out/file").stat().st_uid == os.getuid()
    [container] = told
    host, config = container["HostConfig"], container["Config"]
    assert isinstance(host, dict)
    assert isinstance(config, dict)
    assert host["NetworkMode"] == "none"
    assert {"Name": "RLIMIT_AS", "Soft": 8 << 30, "Hard": 8 << 30} in host["Ulimits"]
    assert config["Labels"]["stxbuildah.test"] == "yes"
    mounts = container["Mounts"]
    assert isinstance(mounts, list)
    assert {(mount["Destination"], mount["RW"]) for mount in mounts} == {("/in", False), ("/out", True)}


def test_host_network_is_the_hosts(service: PodmanService, image: str) -> None:
    ended = service.run(ContainerJob(image=image, command=("ls", "/sys/class/net"), network="host"))
    assert sorted(ended.tail) == sorted(path.name for path in Path("/sys/class/net").iterdir())


def test_a_container_that_takes_too_long_is_killed(service: PodmanService, image: str) -> None:
    start = time.monotonic()
    ended = service.run(ContainerJob(image=image, command=("sleep", "600"), timeout=1))
    assert (ended.status, ended.tail, ended.timed_out) == (137, ("no end after 1 seconds",), True)
    assert time.monotonic() - start < 120


def test_an_unknown_image_and_an_unknown_program(service: PodmanService, image: str) -> None:
    with pytest.raises(BuildError, match=r"podman says: .*localhost/nowhere:1: image not known"):
        service.run(ContainerJob(image="localhost/nowhere:1", command=("true",)))
    with pytest.raises(BuildError, match=r"podman says: .*no such file or directory"):
        service.run(ContainerJob(image=image, command=("/no/such/program",)))


def test_images_are_found(service: PodmanService, image: str) -> None:
    assert service.has_image(image)
    assert not service.has_image("localhost/nowhere:1")


def test_an_error_in_the_listener_removes_the_container(service: PodmanService, image: str) -> None:
    def stumble(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="here"):
        service.run(ContainerJob(image=image, command=("sh", "-c", "echo here; sleep 60")), stumble)


def test_two_containers_at_once(service: PodmanService, image: str) -> None:
    statuses: dict[int, int] = {}

    def run(number: int) -> None:
        command = ("sh", "-c", f"sleep 0.5; exit {number}")
        statuses[number] = service.run(ContainerJob(image=image, command=command)).status

    threads = [threading.Thread(target=run, args=(number,)) for number in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {3: 3, 4: 4}


def test_a_service_that_dies_at_once_fails_at_once(
    podman_runner: Runner, podman_choices: HostChoices, state: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "containers.conf"
    broken.write_text("this is no TOML\n")
    environment = {**dict(podman_choices.environment), "CONTAINERS_CONF": str(broken)}
    choices = attrs.evolve(podman_choices, environment=tuple(environment.items()))
    start = time.monotonic()
    with pytest.raises(HostError, match="ended at once") as caught, PodmanService(podman_runner, choices, state):
        pass
    assert caught.value.details
    assert time.monotonic() - start < 25


def test_the_socket_is_private_and_gone_afterwards(
    podman_runner: Runner, podman_choices: HostChoices, state: Path, tmp_path: Path
) -> None:
    with PodmanService(podman_runner, podman_choices, state) as running:
        folder = running.folder
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(folder.iterdir()) == [folder / "podman.sock"]
        assert folder.is_relative_to(state)
    assert not folder.exists()
    deep = tmp_path / ("deep" * 20)
    with PodmanService(podman_runner, podman_choices, deep) as running:
        assert len(str(running.folder)) < 80
        assert running.folder.stat().st_mode & 0o777 == 0o700
    assert not running.folder.exists()


def serving(folder: Path) -> list[str]:
    """The processes that were started with a socket in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_no_process_outlives_the_block(
    image: str, podman_runner: Runner, podman_choices: HostChoices, state: Path, tmp_path: Path
) -> None:
    # The first podman of a runtime folder makes a user namespace, and goes on in a child.
    environment = {**dict(podman_choices.environment), "XDG_RUNTIME_DIR": str(tmp_path)}
    tmp_path.chmod(0o700)
    choices = attrs.evolve(podman_choices, environment=tuple(environment.items()))
    start = time.monotonic()
    with PodmanService(podman_runner, choices, state) as running:
        assert running.has_image(image)
        assert serving(running.folder)
    assert serving(running.folder) == []
    assert time.monotonic() - start < 25


KILLED = """
import sys
from pathlib import Path
from stxbuildah.engine.podman import PodmanService
from stxbuildah.model.container import ContainerJob
from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import HostChoices
pairs = tuple(word.split("=", 1) for word in sys.argv[3:])
choices = HostChoices(environment=pairs)
with PodmanService(Runner(), choices, Path(sys.argv[1])) as service:
    print(service.folder, flush=True)
    job = ContainerJob(image=sys.argv[2], command=("sh", "-c", "echo started; sleep 60"))
    service.run(job, lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_nothing(
    service: PodmanService,
    image: str,
    podman_runner: Runner,
    podman_choices: HostChoices,
    state: Path,
    number: signal.Signals,
) -> None:
    environment = {**dict(podman_runner.extra), **dict(podman_choices.environment)}
    pairs = [f"{name}={value}" for name, value in environment.items()]
    choices = HostChoices(environment=tuple(environment.items()))
    argv = [sys.executable, "-c", KILLED, str(state), image, *pairs]
    with signals_as_in_a_terminal():
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().rstrip())
        assert process.stdout.readline() == b"started\n"
        assert remove_ephemeral_orphans(podman_runner, choices, state) == ()
        process.send_signal(number)
        process.wait()
    # No next run is needed for that.
    deadline = time.monotonic() + 60
    while podman(podman_runner, podman_choices, "ps", "--all", "--quiet") or serving(folder) or folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    remove_ephemeral_orphans(podman_runner, choices, state)
    # What is left are the lock and the folder of this module's own service, which runs.
    assert sorted((state / "services").iterdir()) == sorted([service.folder, service.folder.with_suffix(".lock")])
