# SPDX-License-Identifier: Apache-2.0
"""``stxb wheels`` with a real podman: wheels of every kind of source, built in containers without a network."""

import json
import os
import re
import signal
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stxbuildah.engine.podman import PodmanService
from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import HostChoices
from stxbuildah.recipes import recipe
from stxbuildah.wheels.builder import BuilderRecipe, list_recipe
from tests.engine.builders import CODENAME, HOST_CERTIFICATES, provide_builder
from tests.engine.conftest import EngineStore
from tests.engine.registries import Registry
from tests.engine.stxb import PROGRAM, Ended, Stxb, StxbMaker
from tests.engine.wheelhouse import make_wheel
from tests.engine.wheelsources import (
    FILLS,
    HANGS,
    NOSY,
    OWN_BACKEND,
    Sources,
    hostile_sources,
    packaged_wheel,
    release_files,
    sound_sources,
)

pytestmark = pytest.mark.engine

PAGE = Path(__file__).resolve().parents[2] / "docs/wheels.md"
EXAMPLE = re.compile(r"^<!-- tested -->\n```sh\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    folder = tmp_path / "sources"
    folder.mkdir()
    return Sources(folder=folder)


@pytest.fixture(scope="module")
def builders(stores: dict[str, EngineStore], engine_folder: Path) -> dict[str, str]:
    """The builder image in the store of each driver."""
    found = {}
    for driver, store in stores.items():
        with PodmanService(store.runner, store.choices, engine_folder / f"state-wheels-{driver}") as service:
            found[driver] = provide_builder(store.runner, service)
    return found


@pytest.fixture
def nothing_left(choices: HostChoices, runner: Runner) -> Iterator[None]:
    yield
    assert runner.run(["podman", "ps", "--all", "--quiet"]).stdout == b""


def wait_until(process: subprocess.Popen[bytes], said: Path, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.05)


@contextmanager
def started(stxb: Stxb, *words: object) -> Iterator[subprocess.Popen[bytes]]:
    process = stxb.start("wheels", *words)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wheels(stxb: Stxb, builder: str, config: Path, *words: object) -> Ended:
    building = ("--builder", builder) if builder else ()
    return stxb.run("wheels", *words, "--config", config, *building, "--output", stxb.folder / "std")


def told(ended: Ended) -> dict[str, dict[str, Any]]:
    return {one["asked"]: one for one in ended.json["wheels"]}


@pytest.fixture
def everything(sources: Sources, runner: Runner) -> tuple[object, ...]:
    """Options for a run with a release, packages and a folder of further wheels."""
    sound_sources(sources)
    release_files(sources)
    repository, packages = packaged_wheel(sources.folder, runner)
    extra = make_wheel(sources.folder / "extra", "extra", "7.0").parent
    return (
        "--repo-root",
        repository,
        "--packages",
        packages,
        "--extra-wheels-dir",
        extra,
        "--locked",
        "--format",
        "json",
    )


def test_the_examples_of_the_guide(
    stxb: Stxb, builders: dict[str, str], runner: Runner, tmp_path: Path, nothing_left: None
) -> None:
    # In place of the image for whole lists, which takes minutes to make and holds more of the same.
    below = BuilderRecipe(folder=recipe("containers", "wheel-builder", f"debian-{CODENAME}"), codename=CODENAME)
    runner.run(["podman", "tag", builders["overlay"], list_recipe(below).reference])
    repository, _ = packaged_wheel(tmp_path, runner)
    lists = Sources(folder=repository / "build-tools/build-wheels/debian-trixie")
    lists.folder.mkdir(parents=True)
    release_files(lists)
    ready = make_wheel(lists.folder, "Ready", "5.0")
    lists.lines.append(f"{ready.name}|pypi|file://{ready}")
    lists.config()
    top = tmp_path / "std/build-wheels-debian-trixie-stable"
    found: list[set[str]] = []
    for example in EXAMPLE.finditer(PAGE.read_text()):
        environment = {
            "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
            "USER": "builder",
            **stxb.environment,
            **({"STXB_BUILD_CA_BUNDLE": str(HOST_CERTIFICATES)} if HOST_CERTIFICATES.exists() else {}),
            "MY_WORKSPACE": str(tmp_path),
            **({"MY_REPO": str(repository)} if found else {}),
            "OS": "debian",
            "BUILD_STREAM": "stable",
        }
        argv = ["/bin/bash", "-c", example["text"]]
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{example['text']}\n{ended.stdout}\n{ended.stderr}"
        assert ended.stdout == f"{top}/stx-debian-stable-wheels.tar\n"
        found.append({path.name for path in (top / "tarball").iterdir()})
    texts = {"global-requirements.txt", "upper-constraints.txt"}
    shipped = {
        "six-1.17.0-py2.py3-none-any.whl", "pyparsing-3.2.5-py3-none-any.whl", "docopt-0.6.2-py2.py3-none-any.whl",
        "simplejson-3.20.2-cp313-cp313-linux_x86_64.whl",
    }  # fmt: skip
    assert found == [texts | shipped, texts | {ready.name, "stx_module-6.0-py3-none-any.whl"}]


def check_first_run(first: Ended) -> None:
    assert first.status == 0, first.err
    assert {name: (one["wheel"], one["state"]) for name, one in told(first).items()} == {
        "pure_module-1.5-py2.py3-none-any.whl": ("pure_module-1.5-py3-none-any.whl", "built"),
        "fast-2-cp313-cp313-linux_x86_64.whl": ("fast-2-cp313-cp313-linux_x86_64.whl", "built"),
        "zipped-*.whl": ("zipped-3.0-py3-none-any.whl", "built"),
        "cloned-4.0-py3-none-any.whl": ("cloned-4.0-py3-none-any.whl", "built"),
        "Ready-5.0-py3-none-any.whl": ("Ready-5.0-py3-none-any.whl", "downloaded"),
    }
    asked = "pure_module-1.5-py2.py3-none-any.whl was asked for, and pure_module-1.5-py3-none-any.whl came out"
    assert asked in first.err
    with tarfile.open(first.json["tarball"]) as tar:
        names = tar.getnames()
        constraints = tar.extractfile("upper-constraints.txt")
        assert constraints is not None
        lines = constraints.read().decode().splitlines()
    assert names == sorted(names)
    assert {"stx_module-6.0-py3-none-any.whl", "extra-7.0-py3-none-any.whl", "global-requirements.txt"} <= set(names)
    assert lines[:3] == ["Pure.Module===1.5", "Ready===5.0;python_version>='3'", "absent===1"]


def test_all_kinds_of_sources_to_a_tarball_that_installs(
    stxb: Stxb, make_stxb: StxbMaker, builders: dict[str, str], sources: Sources, everything: tuple[object, ...],
    runner: Runner, nothing_left: None,
) -> None:  # fmt: skip
    config, builder = sources.config(), builders["overlay"]
    locking = stxb.run("wheels", "lock", "--config", config)
    assert (locking.status, locking.out) == (0, f"{sources.folder}/wheels.lock\n"), locking.err
    first = wheels(stxb, builder, config, *everything)
    check_first_run(first)
    checked = stxb.run("wheels", "check", "--config", config, "--output", stxb.folder / "std", "--format", "json")
    assert checked.status == 0, checked.err
    assert (checked.json["unmet"], checked.json["missing"], checked.json["wheels"]) == (["absent===1"], [], 7)

    # Nothing changed: no container.
    rerun = wheels(stxb, builder, config, *everything)
    assert (rerun.status, rerun.json["containers"], rerun.json["sha256"]) == (0, 0, first.json["sha256"])

    # Nothing kept, on another storage driver: the same bytes.
    other = wheels(make_stxb("vfs"), builders["vfs"], config, "build", "--only", "pure-module", "--format", "json")
    assert other.status == 0, other.err
    pure = next(iter(told(other)))
    assert (told(other)[pure]["state"], told(other)[pure]["sha256"]) == ("built", told(first)[pure]["sha256"])

    # It installs where there is no network.
    install = (
        "python3 -m pip install --quiet --no-index --find-links /w -c /w/upper-constraints.txt --target /tmp/t "
        "pure-module fast zipped cloned ready stx-module extra && PYTHONPATH=/tmp/t python3 -c "
        "'import pure_module, fast, zipped, cloned.deep, stx_module, extra'"
    )
    volume = f"{Path(first.json['tarball']).parent}/tarball:/w:ro"
    runner.run(["podman", "run", "--rm", "--network", "none", "--volume", volume, builder, "sh", "-c", install])

    # A lock file that says something else.
    lock = json.loads((sources.folder / "wheels.lock").read_text())
    lock["wheels"][1].update(commit="0" * 40)
    (sources.folder / "wheels.lock").write_text(json.dumps(lock))
    refused = wheels(stxb, builder, config, *everything)
    assert refused.status == 1
    assert "is not what the lock file says" in refused.err


def test_the_tarball_as_an_image_that_another_stream_takes_its_wheels_from(
    stxb: Stxb, sources: Sources, registry: Registry, nothing_left: None
) -> None:
    ready = make_wheel(sources.folder, "Ready", "5.0")
    other = make_wheel(sources.folder, "other", "1.0")
    sources.lines.extend(f"{wheel.name}|pypi|file://{wheel}" for wheel in (ready, other))
    config = sources.config()
    pushing = ("--push", "--registry", registry.address, "--user", "me", "--version", "1", "--tls-verify", "false")
    first = wheels(stxb, "", config, *pushing, "--format", "json")
    assert first.status == 0, first.err
    image = first.json["images"][0].rpartition("@sha256:")[0]
    assert image == f"{registry.address}/me/stx-debian-stable-wheels:1"
    release_files(sources, "MASTER")
    newer = make_wheel(sources.folder, "other", "2.0")
    sources.lines[:] = [f"{newer.name}|pypi|file://{newer}"]
    words = ("--stream", "dev", "--wheels-image", image, "--tls-verify", "false", "--format", "json")
    second = wheels(stxb, "", sources.config(), *words)
    assert second.status == 0, second.err
    # Of a module that a list has, the image's wheel does not count.
    assert (second.json["further"], second.json["containers"]) == ([ready.name], 0)
    stable = wheels(stxb, "", sources.config(), "--format", "json")
    assert (stable.status, stable.out) == (2, "")
    assert "names no constraints for the stream stable" in stable.err


def test_one_failure_stops_nothing_else_and_nothing_leaks_from_one_build_to_the_next(
    stxb: Stxb, builders: dict[str, str], sources: Sources, nothing_left: None
) -> None:
    hostile_sources(sources)
    config = sources.config()
    words = ("--build-timeout", 8, "--build-memory", "1g", "--jobs", 2, "--format", "json")
    ended = wheels(stxb, builders["overlay"], config, *words)
    assert ended.status == 1
    outcomes = told(ended)
    failures = {name.partition("-")[0]: one["error"] for name, one in outcomes.items() if one["state"] == "failed"}
    assert failures.pop("eats").startswith("the build failed with exit status")
    assert (
        failures.pop("misnamed")
        == "misnamed-1.0-py3-none-any.whl was asked for, and other-1.0-py3-none-any.whl came out: another module"
    )
    assert failures.pop("hangs") == "the build did not end within 8 seconds"
    assert failures.pop("fails") == "the build failed with exit status 1"
    assert failures.pop("bare") == "there is neither pyproject.toml nor setup.py to build it by"
    assert "leads out of the archive" in failures.pop("escapes")
    assert "absent.tar.gz is no file" in failures.pop("absent")
    assert "is not what it should be" in failures.pop("wrong")
    assert failures == {}
    assert outcomes["eats-1.0-py3-none-any.whl"]["hint"] == "it had too little memory: --build-memory"
    assert "the compiler is on strike" in ended.err
    top = stxb.folder / "std/build-wheels-debian-trixie-stable"
    assert (top / "logs/hangs-1.0-py3-none-any.log").read_text() == "begun\n"
    failed = [line.partition("|")[0] for line in sources.lines if line.partition("-")[0] not in {"nosy", "curious"}]
    assert (top / "failed.lst").read_text().splitlines() == failed
    assert ended.json["tarball"] is None
    # Each saw its own source, a folder for the wheel and our program, no network, and no trace of another build.
    for name in ("nosy", "curious"):
        with zipfile.ZipFile(top / f"base/{name}-1.0-py3-none-any.whl") as wheel:
            saw = wheel.read(f"{name}-1.0.dist-info/METADATA").decode().splitlines()[-3:]
        assert saw == ["/build:out,programs,source", "/tmp:", "net:lo"]
    assert not list(stxb.folder.parent.glob("**/escaped"))


def test_a_killed_run_leaves_nothing_and_the_next_goes_on_where_it_was(
    stxb: Stxb, builders: dict[str, str], sources: Sources, runner: Runner, nothing_left: None
) -> None:
    for name in ("nosy", "curious"):
        sources.tar(
            f"{name}-1.0",
            {"pyproject.toml": OWN_BACKEND, "backend.py": NOSY, "name": name},
            wheel=f"{name}-1.0-py3-none-any.whl",
        )
    sources.tar("hangs-1.0", {"pyproject.toml": OWN_BACKEND, "backend.py": HANGS}, wheel="hangs-1.0-py3-none-any.whl")
    config = sources.config()
    top = stxb.folder / "std/build-wheels-debian-trixie-stable"
    log = top / "logs/hangs-1.0-py3-none-any.log"
    words = ("--config", config, "--builder", builders["overlay"], "--output", stxb.folder / "std", "--jobs", 1)
    with started(stxb, "build", *words) as process:
        wait_until(process, stxb.said, lambda: log.exists() and log.read_text() == "begun\n")
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 60
    while runner.run(["podman", "ps", "--all", "--quiet"]).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = {path.name for path in (top / "base").iterdir()}
    assert all(zipfile.ZipFile(top / "base" / name).testzip() is None for name in before)
    ended = wheels(
        stxb, builders["overlay"], config, "build", "--only", "nosy", "--only", "curious", "--format", "json"
    )
    assert ended.status == 0, ended.err
    states = {one["wheel"]: one["state"] for one in ended.json["wheels"]}
    assert {name for name, state in states.items() if state == "kept"} == before
    state = Path(stxb.environment["XDG_STATE_HOME"]) / "stxb"
    assert not [path for path in state.rglob("*") if path.is_socket()]


def test_a_source_for_python_2(
    stxb: Stxb, builders: dict[str, str], sources: Sources, runner: Runner, nothing_left: None
) -> None:
    # Its successor in its place: what is tried is who is called, and what for.
    container = runner.run(["buildah", "from", builders["overlay"]]).stdout.decode().strip()
    runner.run(["buildah", "run", "--isolation", "chroot", container, "ln", "-s", "python3", "/usr/bin/python2"])
    runner.run(["buildah", "commit", "--quiet", "--rm", container, "localhost/tests/python2:1"])
    setup = "import setuptools, sys\nprint(sys.argv)\nsetuptools.setup(name='old', version='1.0', py_modules=['old'])\n"
    sources.tar("old-1.0", {"setup.py": setup, "old.py": ""}, wheel="old-1.0-*.whl")
    config = sources.config()
    refused = wheels(stxb, "", config, "--python2")
    assert refused.status == 2
    assert "no builder image is shipped for Python 2" in refused.err
    ended = wheels(stxb, "localhost/tests/python2:1", config, "--python2", "--format", "json")
    assert ended.status == 0, ended.err
    top = stxb.folder / "std/build-wheels-debian-trixie-stable"
    assert ended.json["tarball"] == f"{top}/stx-debian-stable-wheels-py2.tar"
    log = (top / "logs-py2/old-1.0-_.log").read_text()
    assert log.startswith("['setup.py', 'bdist_wheel', '--dist-dir', '/build/out']\n")


def test_interrupted_it_ends_within_seconds(
    stxb: Stxb, builders: dict[str, str], sources: Sources, nothing_left: None
) -> None:
    sources.tar("hangs-1.0", {"pyproject.toml": OWN_BACKEND, "backend.py": HANGS}, wheel="hangs-1.0-py3-none-any.whl")
    log = stxb.folder / "std/build-wheels-debian-trixie-stable/logs/hangs-1.0-py3-none-any.log"
    words = ("--config", sources.config(), "--builder", builders["overlay"], "--output", stxb.folder / "std")
    with started(stxb, *words) as process:
        wait_until(process, stxb.said, lambda: log.exists() and log.read_text() == "begun\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


# In podman's user namespace even an ordinary account may mount a disk; podman knows that it is there by variables.
SMALL_DISK = """\
set -e
disk=$1; shift
mkdir "$disk" "$disk.bin"
printf '#!/bin/sh\\nexport %s %s %s\\nexec %s "$@"\\n' \
  "_CONTAINERS_USERNS_CONFIGURED=$_CONTAINERS_USERNS_CONFIGURED" "_CONTAINERS_ROOTLESS_UID=$_CONTAINERS_ROOTLESS_UID" \
  "_CONTAINERS_ROOTLESS_GID=$_CONTAINERS_ROOTLESS_GID" "$(command -v podman)" > "$disk.bin/podman"
chmod 755 "$disk.bin/podman"
PATH=$disk.bin:$PATH
export PATH TMPDIR="$disk"
mount -t tmpfs -o size=64m none "$disk"
"$@" && status=0 || status=$?
find "$disk" -mindepth 2 > "$disk.left"
mount -o remount,size=512m "$disk"
"$@" >&2
exit "$status"
"""


def test_a_full_disk_in_the_middle_of_a_build(
    stxb: Stxb, builders: dict[str, str], sources: Sources, tmp_path: Path, nothing_left: None
) -> None:
    files = {"pyproject.toml": OWN_BACKEND, "backend.py": FILLS, "name": "fills"}
    sources.tar("fills-1.0", files, wheel="fills-1.0-py3-none-any.whl")
    words = ("wheels", "build", "--config", sources.config(), "--builder", builders["overlay"], "--output", "std")
    disk = tmp_path / "disk"
    shell = ("podman", "unshare", "unshare", "--mount", "sh", "-c", SMALL_DISK, "sh", disk)
    completed = subprocess.run(
        [*map(str, (*shell, PROGRAM, *words))],
        cwd=stxb.folder,
        env={"PATH": os.environ["PATH"], **stxb.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert completed.returncode == 6, completed.stderr
    assert completed.stdout == ""
    [error] = [line for line in completed.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: no space is left in {disk}/")
    assert Path(f"{disk}.left").read_text() == ""
    # The second run, once there is room, went well: the status would have been its own otherwise.
    base = stxb.folder / "std/build-wheels-debian-trixie-stable/base"
    assert [path.name for path in base.iterdir()] == ["fills-1.0-py3-none-any.whl"]
