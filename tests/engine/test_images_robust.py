# SPDX-License-Identifier: Apache-2.0
"""Runs of images that are killed, interrupted, or whose builds hang: what was finished stays, nothing else does."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Stxb

pytestmark = pytest.mark.engine

FROM = "ARG BASE\nFROM ${BASE}\n"
QUICK = f"{FROM}COPY file /etc/quick\n"
SLOW = f"{FROM}COPY file /etc/slow\nRUN sleep 600\n"
PATIENCE = 120.0


def write_product(root: Path, **containerfiles: str) -> Path:
    """Write a repository of docker images."""
    for label, text in containerfiles.items():
        context = root / label / "debian/all/docker"
        context.mkdir(parents=True, exist_ok=True)
        (context / "Dockerfile").write_text(text)
        (context / "file").write_text(f"{label}\n")
        (context.parent / f"{label}.stable_docker_image").write_text(f"BUILDER=docker\nLABEL={label}\n")
    (root / "debian_stable_docker_images.inc").write_text("".join(f"{label}\n" for label in containerfiles))
    return root


def options(root: Path, base: ImageReference) -> tuple[object, ...]:
    """Give the options of a run."""
    system = ("--os", "debian", "--os-codename", "trixie", "--os-arch", "amd64")
    return ("images", "--repo-root", root, *system, "--base", base, "--user", root.parent.name.lower(), "--jobs", "2")


def states(stxb: Stxb) -> dict[str, str]:
    """Give what the records say; they are whole whenever they are read."""
    file = stxb.folder / "stxb-out/build-images/build.json"
    if not file.exists():
        return {}
    return {image["label"]: image["state"] for image in json.loads(file.read_text())["images"]}


def all_containers(runner: Runner) -> set[str]:
    """Give the names of all working containers of the store, buildah's own too."""
    listed = json.loads(runner.run(["buildah", "containers", "--all", "--json"]).stdout)
    return {container["containername"] for container in listed or []}


def wait_for(what: str, holds: Callable[[], bool], process: "subprocess.Popen[bytes]", stxb: Stxb) -> None:
    """Wait until something holds while a command runs."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert process.poll() is None, f"it ended before {what}: {stxb.said.read_text()}"
        assert time.monotonic() < until, f"no end of waiting for {what}: {stxb.said.read_text()}"
        time.sleep(0.05)


def begun(stxb: Stxb, label: str) -> bool:
    """Tell whether the last program of an image's build runs."""
    log = stxb.folder / f"stxb-out/build-images/docker-{label}-debian-trixie-amd64-stable.log"
    return log.exists() and "RUN sleep" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_goes_on_where_it_was(
    stxb: Stxb, runner: Runner, base_image: ImageReference, tmp_path: Path, number: signal.Signals
) -> None:
    root = write_product(tmp_path / "repo", quick=QUICK, slow=SLOW)
    before = all_containers(runner)
    process = stxb.start(*options(root, base_image))
    wait_for("the first image", lambda: states(stxb).get("quick") == "built", process, stxb)
    wait_for("the second build", lambda: begun(stxb, "slow"), process, stxb)
    process.send_signal(number)
    status = process.wait(PATIENCE)

    assert status == (-signal.SIGKILL if number is signal.SIGKILL else 130), stxb.said.read_text()
    if number is signal.SIGINT:
        assert all_containers(runner) == before
    write_product(root, quick=QUICK, slow=SLOW.replace("600", "0"))
    ended = stxb.done(*options(root, base_image), "--format", "json")

    assert {image["label"]: image["state"] for image in ended.json["images"]} == {
        "quick": "unchanged", "slow": "built",
    }  # fmt: skip
    assert states(stxb) == {"quick": "unchanged", "slow": "built"}
    assert all_containers(runner) == before
    assert not [name for name in (stxb.folder / "cache/stxb/work").glob("stxb-*") if name.is_dir()]


def test_a_build_that_hangs_is_ended_and_others_are_built(
    stxb: Stxb, runner: Runner, base_image: ImageReference, tmp_path: Path
) -> None:
    root = write_product(tmp_path / "repo", quick=QUICK, slow=SLOW)
    before = all_containers(runner)
    ended = stxb.run(*options(root, base_image), "--timeout", "25", "--format", "json")
    found = {image["label"]: (image["state"], image["reason"]) for image in ended.json["images"]}

    assert ended.status == 1
    assert found["quick"][0] == "built"
    assert found["slow"][0] == "failed"
    assert found["slow"][1] == "it was not built within 25 seconds"
    assert all_containers(runner) == before


def test_what_is_wrong_with_one_image_is_told_of_it(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    root = write_product(tmp_path / "repo", quick=QUICK, free="FROM scratch\nCOPY file /\n")
    source = tmp_path / "source"
    source.mkdir()
    for words in (["init", "--quiet", "--initial-branch", "master"], ["add", "."]):
        (source / "Dockerfile").write_text(QUICK)
        subprocess.run(["git", "-C", str(source), *words], check=True)
    commit = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(source), "commit", "-qm", "one"]
    subprocess.run(commit, check=True)
    directives = root / "quick/debian/all/quick.stable_docker_image"
    directives.write_text(f"BUILDER=docker\nLABEL=quick\nDOCKER_REPO=file://{source}\nDOCKER_PATCHES=no.patch\n")
    (directives.parent / "no.patch").write_text("this is no patch\n")
    ended = stxb.run(*options(root, base_image), "--format", "json")
    found = {image["label"]: image for image in ended.json["images"]}

    assert ended.status == found["quick"]["exit_code"]
    assert found["quick"]["state"] == "failed"
    assert "no.patch" in found["quick"]["reason"]
    assert found["free"]["state"] == "built"
