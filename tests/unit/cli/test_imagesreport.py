# SPDX-License-Identifier: Apache-2.0
"""How a run of images is told: plan, summary, JSON."""

import json
from pathlib import Path

import attrs
import click

from stxbuildah.cli import imagesreport
from stxbuildah.errors import Problem
from stxbuildah.model.imagesrun import ImagesResult, ImageState
from stxbuildah.model.reference import ImageReference
from tests.unit.job.images.outcomes import built, failed, planned, product

BASE, NOVA, KEYSTONE, HORIZON = (planned(label) for label in ("stx-base", "stx-nova", "stx-keystone", "stx-horizon"))
CHILD = planned("stx-child", parents=("stx-horizon",))
RECORDS = Path("stxb-out/build-images")
PLAN = product(
    RECORDS, BASE, NOVA, KEYSTONE, HORIZON, CHILD, base=ImageReference.parse("registry.example:5000/base:1"),
    wheels="wheels.tar", jobs=3, remarks=("stx-base: its Containerfile does not use BASE",),
    problems=(Problem("stx-x.stable_docker_image", "LABEL is missing", 3, 1),),
)  # fmt: skip
RESULT = ImagesResult(
    plan=PLAN,
    outcomes=(
        built(NOVA, pushed=True),
        attrs.evolve(built(BASE), state=ImageState.UNCHANGED),
        attrs.evolve(
            built(KEYSTONE), state=ImageState.PUSH_FAILED, reason="the registry is down", hint="try again", exit_code=5
        ),
        attrs.evolve(failed(HORIZON, "one", "\x1b[31mtwo"), log=RECORDS / "docker-stx-horizon.log"),
        attrs.evolve(
            failed(CHILD), state=ImageState.LEFT_OUT, reason="it is built from stx-horizon, which failed", hint="",
            tail=(),
        ),
    ),
    started=1_763_753_703.0,
    seconds=95.5,
    records=(RECORDS / "build.json",),
)  # fmt: skip


def test_the_summary_tells_first_what_went_well_and_last_what_needs_somebody() -> None:
    text = click.unstyle(imagesreport.summary_text(RESULT))
    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        "Built (1)", "Unchanged (1)", "Pushed (4)", "Left out (1)", "Push failed (1)", "Failed (1)",
        f"records: {RECORDS}", "5 images: 1 built, 1 unchanged, 1 left out, 1 push failed, 1 failed; 1:35",
    ]  # fmt: skip
    assert "  localhost/starlingx/stx-nova:debian-trixie-amd64-stable-build (49.2 MB, 0:14)\n" in text
    assert "      because: it is not in the local store\n" in text
    assert f"@sha256:{'a' * 64}" in text
    assert (
        "apt-get ended with exit status 100\n      one\n      \\x1b[31mtwo\n"
        "      hint: look for the name of the package that is missing\n"
        f"      all of it: {RECORDS}/docker-stx-horizon.log\n"
    ) in text
    assert "\x1b" not in text


def test_a_run_without_images() -> None:
    empty = ImagesResult(plan=product(RECORDS), outcomes=(), started=0.0, seconds=0.2)
    assert imagesreport.summary_text(empty) == "0 images: nothing to do; 0:00"


def test_the_result_for_machines() -> None:
    told = json.loads(imagesreport.result_json(RESULT))
    assert (told["version"], told["started"], told["seconds"]) == (1, "2025-11-21T19:35:03Z", 95.5)
    assert (told["failed"], told["exit_code"], told["records"]) == (True, 1, [f"{RECORDS}/build.json"])
    assert [(image["label"], image["state"]) for image in told["images"]] == [
        ("stx-base", "unchanged"), ("stx-child", "left out"), ("stx-horizon", "failed"),
        ("stx-keystone", "push failed"), ("stx-nova", "built"),
    ]  # fmt: skip
    assert told["images"][2]["log"] == f"{RECORDS}/docker-stx-horizon.log"
    assert told["images"][4]["pushed"][0]["digest"] == f"sha256:{'a' * 64}"


def test_the_plan_to_read() -> None:
    lines = click.unstyle(imagesreport.plan_text(PLAN)).splitlines()
    assert lines[:5] == [
        "base     registry.example:5000/base:1", "wheels   wheels.tar", f"records  {RECORDS}", "jobs     3", "images",
    ]  # fmt: skip
    assert lines[5:8] == [
        "  1. stx-base (docker, repository/stx-base.stable_docker_image)",
        "     name: localhost/starlingx/stx-base:debian-trixie-amd64-stable-build",
        "     in the registry: registry.example:5000/starlingx/stx-base:debian-trixie-amd64-stable-1.0.0",
    ]
    assert lines[-2:] == ["     built from: stx-horizon", "note: stx-base: its Containerfile does not use BASE"]


def test_the_plan_for_machines() -> None:
    told = json.loads(imagesreport.plan_json(PLAN))
    assert {name: told[name] for name in ("base", "wheels", "records", "jobs", "stream", "os_labels")} == {
        "base": "registry.example:5000/base:1", "wheels": "wheels.tar", "records": str(RECORDS), "jobs": 3,
        "stream": "stable", "os_labels": ["debian-trixie-amd64", "debian"],
    }  # fmt: skip
    assert told["problems"] == [
        {"source": "stx-x.stable_docker_image", "line": 3, "column": 1, "message": "LABEL is missing"}
    ]
    assert told["images"][4] == {
        "label": "stx-child", "builder": "docker", "file": "repository/stx-child.stable_docker_image", "project": None,
        "parents": ["stx-horizon"],
        "reference": "localhost/starlingx/stx-child:debian-trixie-amd64-stable-build",
        "versioned": [str(name) for name in CHILD.names.versioned],
        "latest": [str(name) for name in CHILD.names.latest],
    }  # fmt: skip
