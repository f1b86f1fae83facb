# SPDX-License-Identifier: Apache-2.0
"""The runtime is started for everything but to tell that a container's process is there."""

import json
import os
import subprocess
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.ociruntime import seldom_started
from stxbuildah.model.settings import HostChoices

NAME = "buildah-buildah123"
# Says what it was asked, and ends as if something had failed.
RUNTIME = '#!/bin/sh\necho "asked: $*"\nexit 7\n'


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    return folder


@pytest.fixture
def choices(tmp_path: Path) -> HostChoices:
    program = tmp_path / "a folder" / "runc"
    program.parent.mkdir()
    program.write_text(RUNTIME)
    program.chmod(0o755)
    return HostChoices(isolation="rootless", runtime_path=str(program))


@pytest.fixture
def runtime(choices: HostChoices, tmp_path: Path) -> str:
    folder = tmp_path / "run $x 'of mine'"
    folder.mkdir()
    found = seldom_started(choices, folder)
    assert found == attrs.evolve(choices, runtime=str(folder / "runc"))
    return found.runtime


def asked(runtime: str, bundle: Path, *words: str) -> tuple[int, str]:
    completed = subprocess.run([runtime, *words], cwd=bundle, capture_output=True, text=True, check=False)
    assert completed.stderr == ""
    return completed.returncode, completed.stdout


@pytest.mark.parametrize("end", ["", "\n"])
def test_of_a_process_that_is_there_it_says_itself_that_it_runs(runtime: str, bundle: Path, end: str) -> None:
    (bundle / "pid").write_text(f"{os.getpid()}{end}")
    status, said = asked(runtime, bundle, "state", NAME)
    assert status == 0
    assert json.loads(said) == {"ociVersion": "1.0.2", "id": NAME, "status": "running", "pid": os.getpid()}


def test_of_a_process_that_has_gone_the_runtime_tells(runtime: str, bundle: Path) -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    (bundle / "pid").write_text(str(child.pid))
    assert asked(runtime, bundle, "state", NAME) == (7, f"asked: state {NAME}\n")


@pytest.mark.parametrize("content", [None, "", "\n", "self", "1 2", "../1", "-1"])
def test_what_is_no_process_is_left_to_the_runtime(runtime: str, bundle: Path, content: str | None) -> None:
    if content is not None:
        (bundle / "pid").write_text(content)
    assert asked(runtime, bundle, "state", NAME) == (7, f"asked: state {NAME}\n")


@pytest.mark.parametrize(
    "words", [(), ("state",), ("--debug", "state", NAME), ("kill", NAME, "9"), ("create", "--bundle", "a b", NAME)]
)
def test_all_else_is_done_by_the_runtime(runtime: str, bundle: Path, words: tuple[str, ...]) -> None:
    (bundle / "pid").write_text(str(os.getpid()))
    assert asked(runtime, bundle, *words) == (7, f"asked: {' '.join(words)}\n")


def test_without_a_runtime_that_is_certain_nothing_is_changed(choices: HostChoices, tmp_path: Path) -> None:
    for same in (attrs.evolve(choices, isolation="chroot"), attrs.evolve(choices, runtime_path="")):
        assert seldom_started(same, tmp_path / "not there") is same
