# SPDX-License-Identifier: Apache-2.0
"""The plan of an update: values in, values out."""

from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import (
    Action,
    InstallOptions,
    Lane,
    PullPolicy,
    UpdateFacts,
    UpdateInputs,
    UpdatePlan,
    UpdateRequest,
)
from stxbuildah.plan.update import plan_update

BASE = ImageReference("registry.example/a", "1")
INPUTS = UpdateInputs(base=BASE, target=ImageReference("registry.example/a", "1.1"))
WHEELS = attrs.evolve(INPUTS, wheels=("six.whl",))
EVERYTHING = attrs.evolve(
    INPUTS,
    wheels=("six.whl", "https://files.example/attrs.whl"),
    module_sources=("/src/aodh",),
    packages=("tool.deb",),
    customization_script=Path("customize.sh"),
    extra_files=("notes.txt",),
)


def made(inputs: UpdateInputs, *, base_in_store: bool = True, **request: Any) -> UpdatePlan:
    asked = attrs.evolve(UpdateRequest(), **request)
    return plan_update(asked, inputs, UpdateFacts(in_store=base_in_store), records=Path("records"))


def actions(plan: UpdatePlan) -> list[Action]:
    return [step.action for step in plan.steps]


def test_wheels_alone_are_computed() -> None:
    plan = made(WHEELS)
    assert plan.lane is Lane.COMPUTED
    assert actions(plan) == [Action.INSTALL_WHEELS, Action.WRITE_LAYER, Action.STORE, Action.RECORD]


def test_everything_at_once_in_its_order() -> None:
    plan = made(EVERYTHING, base_in_store=False, push=True, clean=True, install=InstallOptions(with_dependencies=True))
    assert plan.lane is Lane.SESSION
    assert actions(plan) == [
        Action.PULL,
        Action.DOWNLOAD,
        Action.BUILD_MODULE,
        Action.FETCH_REQUIREMENTS,
        Action.OPEN_CONTAINER,
        Action.INSTALL_PACKAGES,
        Action.INSTALL_WHEELS,
        Action.CUSTOMIZE,
        Action.WRITE_LAYER,
        Action.STORE,
        Action.PUSH,
        Action.RECORD,
        Action.CLEAN,
    ]
    assert all(step.reason for step in plan.steps)


@pytest.mark.parametrize(
    ("inputs", "install", "word"),
    [
        (attrs.evolve(INPUTS, packages=("a.deb",)), InstallOptions(), "package manager"),
        (attrs.evolve(INPUTS, customization_script=Path("c.sh")), InstallOptions(), "customization script"),
        (WHEELS, InstallOptions(compile_bytecode=True), "bytecode"),
    ],
)
def test_reasons_for_a_session(inputs: UpdateInputs, install: InstallOptions, word: str) -> None:
    plan = made(inputs, install=install)
    assert plan.lane is Lane.SESSION
    assert word in plan.reason


@pytest.mark.parametrize(
    ("policy", "in_store", "pulls"),
    [
        (PullPolicy.MISSING, True, False),
        (PullPolicy.MISSING, False, True),
        (PullPolicy.ALWAYS, True, True),
        (PullPolicy.NEVER, True, False),
    ],
)
def test_when_from_is_pulled(policy: PullPolicy, in_store: bool, pulls: bool) -> None:
    plan = made(WHEELS, base_in_store=in_store, pull=policy)
    assert (plan.steps[0].action is Action.PULL) is pulls


def test_from_that_is_missing_and_may_not_be_pulled() -> None:
    with pytest.raises(InputError, match=r"registry\.example/a:1 is not in the local store"):
        made(WHEELS, base_in_store=False, pull=PullPolicy.NEVER)


def test_a_name_of_this_machine_is_not_looked_for_elsewhere() -> None:
    here = attrs.evolve(WHEELS, base=ImageReference("localhost/a", "1"))
    with pytest.raises(InputError, match="localhost/a:1 is not in the local store"):
        made(here, base_in_store=False)
    with_port = attrs.evolve(WHEELS, base=ImageReference("localhost:5000/a", "1"))
    assert actions(made(with_port, base_in_store=False))[0] is Action.PULL


def test_nothing_to_change() -> None:
    with pytest.raises(InputError, match="nothing to change"):
        made(attrs.evolve(INPUTS, extra_files=("notes.txt",)))


def test_clean_without_push_keeps_the_only_copy() -> None:
    assert Action.CLEAN not in actions(made(WHEELS, clean=True))
