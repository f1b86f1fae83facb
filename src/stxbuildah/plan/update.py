# SPDX-License-Identifier: Apache-2.0
"""The plan of an update: from what was asked and found to a tuple of steps, each with its reason."""

from collections.abc import Iterator
from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import (
    Action,
    Lane,
    PullPolicy,
    Step,
    UpdateFacts,
    UpdateInputs,
    UpdatePlan,
    UpdateRequest,
)
from stxbuildah.plan.lane import LOCAL, choose_lane


def is_url(text: str) -> bool:
    """Say whether a file is named by an http(s) URL."""
    return text.lower().startswith(("http://", "https://"))


def plan_update(request: UpdateRequest, inputs: UpdateInputs, facts: UpdateFacts, *, records: Path) -> UpdatePlan:
    """Make the plan of an update.

    Args:
        request: what was asked.
        inputs: the files and names found for it.
        facts: what was found out about FROM and this machine.
        records: folder that the records are written to.

    Raises:
        InputError: nothing was asked to be changed, FROM is missing and may not be pulled, or the lane asked for
            cannot do it.
        HostError: it can only be done with an engine, and none works here.
    """
    lane, reason = choose_lane(request, inputs, facts)
    steps: list[Step] = []

    def add(action: Action, subjects: tuple[str, ...], why: str) -> None:
        steps.append(Step(action=action, subjects=subjects, reason=why))

    if lane is not Lane.REGISTRY:
        steps += _pull(request, inputs.base, in_store=facts.in_store)
    if urls := tuple(filter(is_url, (*inputs.wheels, *inputs.packages, *inputs.extra_files))):
        add(Action.DOWNLOAD, urls, "these inputs are named by URL")
    if lane is Lane.REGISTRY:
        add(Action.READ_LAYERS, (str(inputs.source or inputs.base),), "what is not known of the layers yet is streamed")
    if inputs.module_sources:
        add(Action.BUILD_MODULE, inputs.module_sources, "a source becomes a wheel in an ephemeral container")
    if request.install.with_dependencies and (inputs.wheels or inputs.module_sources):
        add(Action.FETCH_REQUIREMENTS, (), "--with-deps: requirements that the image does not meet are fetched")
    steps += _layer_steps(request, inputs, lane, reason)
    steps += _delivery_steps(request, inputs, lane)
    add(Action.RECORD, (str(records),), "package lists and the list of updated images")
    if request.clean and request.push and lane is not Lane.REGISTRY:
        add(Action.CLEAN, (str(inputs.target),), "--clean: the local store keeps nothing of this update")
    return UpdatePlan(inputs=inputs, lane=lane, reason=reason, steps=tuple(steps))


def _layer_steps(request: UpdateRequest, inputs: UpdateInputs, lane: Lane, reason: str) -> Iterator[Step]:
    """Give the steps from the sources to a layer."""
    if lane is Lane.SESSION:
        yield Step(action=Action.OPEN_CONTAINER, subjects=(str(inputs.base),), reason=reason)
    if inputs.packages:
        how = "with the image's repositories" if request.install.allow_repositories else "offline"
        yield Step(action=Action.INSTALL_PACKAGES, subjects=inputs.packages, reason=f"one transaction, {how}")
    if inputs.wheels or inputs.module_sources:
        subjects = (*inputs.wheels, *inputs.module_sources)
        yield Step(action=Action.INSTALL_WHEELS, subjects=subjects, reason="files of the wheels, old versions out")
    if inputs.customization_script is not None:
        subjects = (str(inputs.customization_script), *inputs.extra_files)
        yield Step(action=Action.CUSTOMIZE, subjects=subjects, reason="after packages and wheels")
    why = "everything that changed, as one layer on the base"
    if request.replace_updates:
        why += ", in place of the layers of earlier updates (--replace-updates)"
    yield Step(action=Action.WRITE_LAYER, subjects=(request.compression.value,), reason=why)


def _delivery_steps(request: UpdateRequest, inputs: UpdateInputs, lane: Lane) -> Iterator[Step]:
    """Give the steps that bring the new image to where it is wanted."""
    target = str(inputs.target)
    if lane is not Lane.REGISTRY:
        yield Step(action=Action.STORE, subjects=(target,), reason="the result is kept in the local store")
    if request.push:
        why = "--push" if lane is not Lane.REGISTRY else "new layer, configuration and manifest alone are uploaded"
        yield Step(action=Action.PUSH, subjects=(target,), reason=why)
    elif inputs.destination is not None:
        why = "--to" if request.target.to else "beside the image it was made from"
        yield Step(action=Action.WRITE_IMAGE, subjects=(str(inputs.destination),), reason=why)


def _pull(request: UpdateRequest, base: ImageReference, *, in_store: bool) -> tuple[Step, ...]:
    if request.pull is PullPolicy.ALWAYS:
        return (Step(action=Action.PULL, subjects=(str(base),), reason="--pull always"),)
    if in_store:
        return ()
    hint = "podman images lists what is there"
    if request.pull is PullPolicy.NEVER:
        raise InputError(f"the image {base} is not in the local store, and --pull never forbids to fetch it", hint=hint)
    if base.registry == LOCAL:
        raise InputError(f"the image {base} is not in the local store, where names under {LOCAL}/ live", hint=hint)
    return (Step(action=Action.PULL, subjects=(str(base),), reason="it is not in the local store"),)
