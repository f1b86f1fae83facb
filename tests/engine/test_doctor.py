# SPDX-License-Identifier: Apache-2.0
"""The probe and the doctor with the real programs, in a home of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxbuildah.engine.probe import choose_host, examine
from stxbuildah.engine.process import Runner, parent_environment
from stxbuildah.engine.trial import opened_trials
from stxbuildah.model.host import HostReport, State, UserChoices
from stxbuildah.model.settings import Storage

pytestmark = pytest.mark.engine

TO_OVERRIDE = (
    *("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "STORAGE_OPTS", "BUILDAH_ISOLATION"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
)


@pytest.fixture(scope="module")
def environment(engine_folder: Path) -> Iterator[dict[str, str]]:
    """An account that has set nothing, with a home, runtime folder and temporary folder of its own."""
    folder = engine_folder / "doctor"
    made = {name: value for name, value in parent_environment().items() if name not in TO_OVERRIDE}
    for name, part in (("HOME", "home"), ("XDG_RUNTIME_DIR", "runtime"), ("TMPDIR", "temporary")):
        (folder / part).mkdir(mode=0o700, parents=True)
        made[name] = str(folder / part)
    yield made
    # The doctor asks podman about its store, and rootless podman leaves a process that keeps its user namespace.
    Runner(extra=tuple(made.items())).run(["podman", "system", "migrate"], check=False)


@pytest.fixture(scope="module")
def report(environment: dict[str, str]) -> HostReport:
    return examine(UserChoices(), environment)


def test_this_machine_is_able(report: HostReport) -> None:
    failed = [row for row in report.capabilities if row.state is State.FAIL]
    assert failed == []
    assert report.able
    assert report.choices.isolation in {"rootless", "chroot"}


def test_nothing_is_left_of_the_trials(report: HostReport, environment: dict[str, str]) -> None:
    left = [path for path in Path(environment["TMPDIR"]).iterdir() if path.name.startswith(".stxb-trial")]
    left += list(Path(environment["HOME"]).rglob(".stxb-trial*"))
    assert left == []


def test_no_process_is_left_of_a_trial(environment: dict[str, str]) -> None:
    with opened_trials(environment, {}) as trials:
        assert trials.podman_run(network="host").worked
        folder = str(trials.folder)
        assert not (trials.folder / "podman/tmp/pause.pid").exists()
    left = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if os.access(path, os.R_OK) and folder.encode() in path.read_bytes()
    ]
    assert left == []


def test_the_store_without_a_storage_conf_is_an_overlay_where_one_can_be_mounted(report: HostReport) -> None:
    rows = {row.name: row for row in report.capabilities}
    expected = "overlay" if rows["overlay"].state is State.OK else "vfs"
    assert report.choices.storage.driver == expected
    assert rows["image store"].found.count(f"{expected} in {report.choices.storage.root}") == 2


def test_the_doctors_choices_are_kept_for_the_next_command(report: HostReport, environment: dict[str, str]) -> None:
    durations = []
    for _ in range(10):
        start = time.perf_counter()
        assert choose_host(UserChoices(), environment) == report.choices
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.005


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_store_asked_for_by_flags_is_the_one_of_all_programs(
    environment: dict[str, str], engine_folder: Path, driver: str
) -> None:
    root = engine_folder / f"doctor-{driver}"
    user = UserChoices(storage=Storage(driver=driver, root=str(root)), isolation="chroot")
    choices = choose_host(user, environment)
    runner = Runner(extra=(*environment.items(), *choices.environment))
    name = f"localhost/doctor-{driver}:1"
    container = runner.run(["buildah", "from", "scratch"]).stdout.decode().strip()
    runner.run(["buildah", "commit", "--quiet", container, name])
    runner.run(["buildah", "rm", container])
    runner.run(["podman", "image", "exists", name])
    runner.run(["skopeo", "inspect", "--raw", f"containers-storage:{name}"])
    (image,) = json.loads((root / f"{driver}-images/images.json").read_text(encoding="utf-8"))
    assert image["names"] == [name]


def test_the_command_tells_all_of_it(report: HostReport, environment: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "stxbuildah", "doctor"]
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    for row in report.capabilities:
        assert row.name in ended.stdout
    assert ended.stdout.endswith("update images: yes\nbuild wheels in containers: yes\n")
