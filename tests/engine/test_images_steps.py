# SPDX-License-Identifier: Apache-2.0
"""BUILDER=docker: what happens while the steps of a build are carried out."""

from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.ociruntime import seldom_started
from stxbuildah.job.images import docker
from stxbuildah.model.imagebuild import ImageDirectives
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices
from tests.engine.conftest import EngineStore
from tests.engine.imageworks import make_work, read_directives
from tests.engine.repositories import write_files

pytestmark = pytest.mark.engine

STAGES = "ARG BASE\nFROM $BASE AS first\nRUN true\nFROM $BASE\nCOPY --from=first /etc/hostname /there\nRUN true\n"


def image_of(folder: Path, label: str, containerfile: str, more: str = "") -> ImageDirectives:
    """An image of a Containerfile."""
    write_files(folder / "docker", {"Dockerfile": containerfile})
    return read_directives(folder / f"{label}.stable_docker_image", f"BUILDER=docker\nLABEL={label}\n{more}")


def test_a_place_is_left_when_only_the_storing_is_to_come(
    stores: dict[str, EngineStore], base_image: ImageReference, tmp_path: Path
) -> None:
    store = stores["overlay"]
    told: list[str] = []

    def build(label: str, facts: dict[str, str], more: str = "") -> list[str]:
        told.clear()
        image = image_of(tmp_path / label, label, STAGES, more)
        work = make_work(store, tmp_path, image, base=base_image)
        docker.build_docker(attrs.evolve(work, tell=told.append, built=lambda: told.append("left")), facts)
        return told

    assert build("stx-a", {"told": "yes"})[-2:] == ['STEP 4/4: LABEL "told"="yes"', "left"]
    assert told.count("left") == 1
    assert "left" not in build("stx-b", {})
    assert "left" not in build("stx-c", {"told": "yes"}, "CUSTOMIZATION='true'\n")


LOGGED = '#!/bin/sh\necho "$1" >> "{folder}/asked"\nexec "{program}" "$@"\n'


def test_a_runtime_is_not_started_to_tell_that_a_step_goes_on(
    stores: dict[str, EngineStore], base_image: ImageReference, tmp_path: Path
) -> None:
    store = stores["overlay"]
    if store.choices.isolation == "chroot":
        pytest.skip("no OCI runtime works here")
    program, logging = store.choices.runtime_path, tmp_path / "logging" / "runc"
    assert program, "one of runc and crun must be known"
    logging.parent.mkdir()
    logging.write_text(LOGGED.format(folder=tmp_path, program=program))
    logging.chmod(0o755)
    image = image_of(tmp_path, "stx-image", "ARG BASE\nFROM $BASE\nRUN sleep 1\nRUN true > /there\n")
    work = make_work(store, tmp_path, image, base=base_image)

    def started(runtime: HostChoices) -> list[str]:
        docker.build_docker(attrs.evolve(work, engine=attrs.evolve(work.engine, choices=runtime)))
        words = (tmp_path / "asked").read_text().split()
        (tmp_path / "asked").unlink()
        return words

    always = started(attrs.evolve(store.choices, runtime=str(logging)))
    assert always.count("state") > 4
    (tmp_path / "seldom").mkdir()
    direct = attrs.evolve(store.choices, runtime_path=str(logging))
    seldom = started(seldom_started(direct, tmp_path / "seldom"))
    # A process that has just ended may be asked for.
    assert seldom.count("state") <= 2
    assert [word for word in seldom if word != "state"] == [word for word in always if word != "state"]
    assert {"create", "start", "delete"} <= set(seldom)
