# SPDX-License-Identifier: Apache-2.0
"""Which lane an update takes, and why: values in, values out."""

from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.errors import HostError, InputError, StxbError
from stxbuildah.model.location import ImageLocation
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import (
    Action,
    Lane,
    LaneOptions,
    PullPolicy,
    UpdateFacts,
    UpdateInputs,
    UpdatePlan,
    UpdateRequest,
)
from stxbuildah.plan.lane import asks_registry
from stxbuildah.plan.update import plan_update

BASE = ImageReference("registry.example/a", "1")
WHEELS = UpdateInputs(base=BASE, target=BASE.with_tag("1.1"), wheels=("six.whl",))
FILE = attrs.evolve(WHEELS, source=ImageLocation.parse("oci:out:1"), destination=ImageLocation.parse("oci:out:1.1"))
TO_FILE = attrs.evolve(WHEELS, destination=ImageLocation.parse("oci:out:1.1"))
PACKAGES = attrs.evolve(WHEELS, packages=("a.deb",))
MODULES = attrs.evolve(WHEELS, module_sources=("/src/aodh",))
THERE = UpdateFacts(in_registry=True)
NO_ENGINE = UpdateFacts(in_registry=True, engine_fault="skopeo is not installed")


def made(inputs: UpdateInputs, facts: UpdateFacts, *, lane: Lane | None = None, **request: Any) -> UpdatePlan:
    asked = attrs.evolve(UpdateRequest(), lanes=LaneOptions(lane=lane), **request)
    return plan_update(asked, inputs, facts, records=Path("records"))


@pytest.mark.parametrize(
    ("inputs", "facts", "push", "lane"),
    [
        (WHEELS, THERE, True, Lane.REGISTRY),
        (WHEELS, attrs.evolve(THERE, in_store=True), True, Lane.REGISTRY),
        (WHEELS, THERE, False, Lane.COMPUTED),
        (TO_FILE, THERE, False, Lane.REGISTRY),
        (FILE, UpdateFacts(in_registry=True), False, Lane.REGISTRY),
        (WHEELS, UpdateFacts(in_store=True, in_registry=False, registry_fault="gone"), True, Lane.COMPUTED),
        (WHEELS, NO_ENGINE, True, Lane.REGISTRY),
        (PACKAGES, attrs.evolve(THERE, in_store=True), True, Lane.SESSION),
        (MODULES, THERE, True, Lane.REGISTRY),
    ],
)
def test_the_lane_that_is_chosen(inputs: UpdateInputs, facts: UpdateFacts, push: bool, lane: Lane) -> None:
    plan = made(inputs, facts, push=push)
    assert plan.lane is lane
    assert plan.reason


def test_the_reason_names_what_does_not_work_here() -> None:
    assert "skopeo is not installed" in made(WHEELS, NO_ENGINE, push=True).reason


def test_the_reason_says_why_it_is_not_the_registry() -> None:
    facts = UpdateFacts(in_store=True, in_registry=False, registry_fault="the local store has another image")
    assert "the local store has another image" in made(WHEELS, facts, push=True).reason


def test_the_steps_in_a_registry() -> None:
    plan = made(WHEELS, THERE, push=True, clean=True)
    assert [step.action for step in plan.steps] == [
        Action.READ_LAYERS,
        Action.INSTALL_WHEELS,
        Action.WRITE_LAYER,
        Action.PUSH,
        Action.RECORD,
    ]


def test_the_steps_of_a_file() -> None:
    plan = made(FILE, THERE)
    assert [step.action for step in plan.steps][-2:] == [Action.WRITE_IMAGE, Action.RECORD]
    assert plan.steps[-2].subjects == ("oci:out:1.1",)


@pytest.mark.parametrize("lane", [Lane.COMPUTED, Lane.SESSION, Lane.REGISTRY])
def test_a_lane_that_is_asked_for(lane: Lane) -> None:
    plan = made(WHEELS, attrs.evolve(THERE, in_store=True), lane=lane, push=True)
    assert (plan.lane, plan.reason) == (lane, f"--lane {lane.value}")


@pytest.mark.parametrize(
    ("inputs", "facts", "lane", "push", "error", "word"),
    [
        (PACKAGES, THERE, Lane.REGISTRY, True, InputError, "package manager"),
        (PACKAGES, THERE, Lane.COMPUTED, True, InputError, "package manager"),
        (WHEELS, THERE, Lane.REGISTRY, False, InputError, "--push"),
        (WHEELS, NO_ENGINE, None, False, InputError, "--push"),
        (WHEELS, UpdateFacts(in_registry=False), Lane.REGISTRY, True, InputError, "not in its registry"),
        (MODULES, NO_ENGINE, None, True, HostError, "wheel elsewhere"),
        (attrs.evolve(FILE, packages=("a.deb",)), THERE, None, False, InputError, "skopeo copy oci:out:1"),
        (FILE, THERE, Lane.SESSION, False, InputError, "skopeo copy oci:out:1"),
        (attrs.evolve(WHEELS, wheels=()), THERE, None, True, InputError, "nothing to change"),
    ],
)
def test_what_no_lane_can_do(
    inputs: UpdateInputs, facts: UpdateFacts, lane: Lane | None, push: bool, error: type[StxbError], word: str
) -> None:
    with pytest.raises(error) as caught:
        made(inputs, facts, lane=lane, push=push)
    assert word in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("inputs", "request_", "asks"),
    [
        (WHEELS, {}, False),
        (WHEELS, {"push": True}, True),
        (TO_FILE, {}, True),
        (PACKAGES, {"push": True}, False),
        (FILE, {}, False),
        (WHEELS, {"push": True, "pull": PullPolicy.NEVER}, False),
        (attrs.evolve(WHEELS, base=ImageReference("localhost/a", "1")), {"push": True}, False),
        (WHEELS, {"push": True, "lanes": LaneOptions(lane=Lane.COMPUTED)}, False),
        (WHEELS, {"lanes": LaneOptions(lane=Lane.REGISTRY)}, True),
    ],
)
def test_when_the_registry_is_asked(inputs: UpdateInputs, request_: dict[str, Any], asks: bool) -> None:
    assert asks_registry(attrs.evolve(UpdateRequest(), **request_), inputs) is asks
