# SPDX-License-Identifier: Apache-2.0
"""The plan of an update: from what was asked and found to a tuple of steps, each with its reason."""

from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import Action, Lane, PullPolicy, Step, UpdateInputs, UpdatePlan, UpdateRequest

# What podman and buildah put before the names of images made here; no registry answers to it without a port.
_LOCAL = "localhost"


def is_url(text: str) -> bool:
    """Say whether a file is named by an http(s) URL."""
    return text.lower().startswith(("http://", "https://"))


def choose_lane(request: UpdateRequest, inputs: UpdateInputs) -> tuple[Lane, str]:
    """Choose how the layer comes about, and say why.

    Raises:
        InputError: nothing was asked to be changed.
    """
    needs = []
    if inputs.packages:
        needs.append("distribution packages are installed by the image's own package manager")
    if inputs.customization_script is not None:
        needs.append("a customization script runs in the image")
    if request.install.compile_bytecode and (inputs.wheels or inputs.module_sources):
        needs.append("bytecode is compiled by the image's own Python")
    if needs:
        return Lane.SESSION, "a working container is needed: " + "; ".join(needs)
    if inputs.wheels or inputs.module_sources:
        return Lane.COMPUTED, "only wheels change, so the layer is computed and nothing of the image runs"
    raise InputError(
        f"nothing to change in {inputs.base}",
        hint="name at least one of --wheel, --module-src, --pkg or --customize, or a directives file that does",
    )


def plan_update(request: UpdateRequest, inputs: UpdateInputs, *, base_in_store: bool, records: Path) -> UpdatePlan:
    """Make the plan of an update.

    Args:
        request: what was asked.
        inputs: the files and names found for it.
        base_in_store: whether FROM is in the local store.
        records: folder that the records are written to.

    Raises:
        InputError: nothing was asked to be changed, or FROM is missing and may not be pulled.
    """
    lane, reason = choose_lane(request, inputs)
    base, target = str(inputs.base), str(inputs.target)
    steps = [*_pull(request, inputs.base, in_store=base_in_store)]

    def add(action: Action, subjects: tuple[str, ...], why: str) -> None:
        steps.append(Step(action=action, subjects=subjects, reason=why))

    if urls := tuple(filter(is_url, (*inputs.wheels, *inputs.packages, *inputs.extra_files))):
        add(Action.DOWNLOAD, urls, "these inputs are named by URL")
    if inputs.module_sources:
        add(Action.BUILD_MODULE, inputs.module_sources, "a source becomes a wheel in an ephemeral container")
    if request.install.with_dependencies and (inputs.wheels or inputs.module_sources):
        add(Action.FETCH_REQUIREMENTS, (), "--with-deps: requirements that the image does not meet are fetched")
    if lane is Lane.SESSION:
        add(Action.OPEN_CONTAINER, (base,), reason)
    if inputs.packages:
        how = "with the image's repositories" if request.install.allow_repositories else "offline"
        add(Action.INSTALL_PACKAGES, inputs.packages, f"one transaction, {how}")
    if inputs.wheels or inputs.module_sources:
        add(Action.INSTALL_WHEELS, (*inputs.wheels, *inputs.module_sources), "files of the wheels, old versions out")
    if inputs.customization_script is not None:
        add(Action.CUSTOMIZE, (str(inputs.customization_script), *inputs.extra_files), "after packages and wheels")
    add(Action.WRITE_LAYER, (request.compression.value,), "everything that changed, as one layer on the base")
    add(Action.STORE, (target,), "the result is kept in the local store")
    if request.push:
        add(Action.PUSH, (target,), "--push")
    add(Action.RECORD, (str(records),), "package lists and the list of updated images")
    if request.clean and request.push:
        add(Action.CLEAN, (target,), "--clean: the local store keeps nothing of this update")
    return UpdatePlan(inputs=inputs, lane=lane, reason=reason, steps=tuple(steps))


def _pull(request: UpdateRequest, base: ImageReference, *, in_store: bool) -> tuple[Step, ...]:
    if request.pull is PullPolicy.ALWAYS:
        return (Step(action=Action.PULL, subjects=(str(base),), reason="--pull always"),)
    if in_store:
        return ()
    hint = "podman images lists what is there"
    if request.pull is PullPolicy.NEVER:
        raise InputError(f"the image {base} is not in the local store, and --pull never forbids to fetch it", hint=hint)
    if base.registry == _LOCAL:
        raise InputError(f"the image {base} is not in the local store, where names under {_LOCAL}/ live", hint=hint)
    return (Step(action=Action.PULL, subjects=(str(base),), reason="it is not in the local store"),)
