# SPDX-License-Identifier: Apache-2.0
"""The lane of an update: where the work is done, chosen from what was asked and found, with the reason."""

from stxbuildah.errors import HostError, InputError
from stxbuildah.model.update import Lane, PullPolicy, UpdateFacts, UpdateInputs, UpdateRequest

# What podman and buildah put before the names of images made here; no registry answers to it without a port.
LOCAL = "localhost"


def session_needs(request: UpdateRequest, inputs: UpdateInputs) -> tuple[str, ...]:
    """Say what of an update needs a working container, one reason each."""
    needs = []
    if inputs.packages:
        needs.append("distribution packages are installed by the image's own package manager")
    if inputs.customization_script is not None:
        needs.append("a customization script runs in the image")
    if request.install.compile_bytecode and (inputs.wheels or inputs.module_sources):
        needs.append("bytecode is compiled by the image's own Python")
    return tuple(needs)


def is_delivered(request: UpdateRequest, inputs: UpdateInputs) -> bool:
    """Say whether the result goes elsewhere than to the local store alone."""
    return request.push or inputs.destination is not None


def asks_registry(request: UpdateRequest, inputs: UpdateInputs) -> bool:
    """Say whether FROM's registry has to be asked before the lane can be chosen."""
    if inputs.source is not None or session_needs(request, inputs):
        return False
    if request.lanes.lane is not None:
        return request.lanes.lane is Lane.REGISTRY
    if request.pull is PullPolicy.NEVER or inputs.base.registry == LOCAL:
        return False
    return is_delivered(request, inputs)


def choose_lane(request: UpdateRequest, inputs: UpdateInputs, facts: UpdateFacts) -> tuple[Lane, str]:
    """Choose how the layer comes about, and say why.

    Raises:
        InputError: nothing was asked to be changed, or the lane asked for cannot do it.
        HostError: module sources are to be built, and no engine works here.
    """
    needs = session_needs(request, inputs)
    if not needs and not inputs.wheels and not inputs.module_sources:
        raise InputError(
            f"nothing to change in {inputs.source or inputs.base}",
            hint="name at least one of --wheel, --module-src, --pkg or --customize, or a directives file that does",
        )
    lane, reason = _asked_for(request, inputs, needs) if request.lanes.lane else _found(request, inputs, facts, needs)
    if lane is Lane.REGISTRY:
        _check_registry_lane(request, inputs, facts)
    return lane, reason


def _found(
    request: UpdateRequest, inputs: UpdateInputs, facts: UpdateFacts, needs: tuple[str, ...]
) -> tuple[Lane, str]:
    if needs:
        _refuse_source_file(inputs, "; ".join(needs))
        return Lane.SESSION, "a working container is needed: " + "; ".join(needs)
    if inputs.source is not None:
        return Lane.REGISTRY, "the image lies in a file, so its new layer is computed and nothing of it is unpacked"
    if facts.engine_fault:
        return Lane.REGISTRY, f"only wheels change, and no engine works here ({facts.engine_fault})"
    if facts.in_registry and is_delivered(request, inputs):
        return Lane.REGISTRY, "only wheels change and the result is delivered, so nothing is pulled, unpacked or run"
    reason = "only wheels change, so the layer is computed and nothing of the image runs"
    if facts.registry_fault:
        reason += f"; not in the registry: {facts.registry_fault}"
    return Lane.COMPUTED, reason


def _asked_for(request: UpdateRequest, inputs: UpdateInputs, needs: tuple[str, ...]) -> tuple[Lane, str]:
    lane = request.lanes.lane
    assert lane is not None  # noqa: S101 # asked by the caller
    if needs and lane is not Lane.SESSION:
        raise InputError(f"--lane {lane.value} cannot do it: {'; '.join(needs)}", hint="leave --lane out")
    if lane is not Lane.REGISTRY:
        _refuse_source_file(inputs, f"--lane {lane.value}")
    return lane, f"--lane {lane.value}"


def _refuse_source_file(inputs: UpdateInputs, reason: str) -> None:
    if inputs.source is not None:
        raise InputError(
            f"{inputs.source} has to be in the local store for this update: {reason}",
            hint=f"bring it there with: skopeo copy {inputs.source} containers-storage:localhost/NAME:TAG",
        )


def _check_registry_lane(request: UpdateRequest, inputs: UpdateInputs, facts: UpdateFacts) -> None:
    if not is_delivered(request, inputs) and inputs.source is None:
        raise InputError(
            "the registry lane keeps nothing on this machine, so the result needs a place",
            hint="give --push, or --to with an image, a layout or an archive",
        )
    if inputs.module_sources and facts.engine_fault:
        raise HostError(
            f"module sources are built in a container, and none can be made here: {facts.engine_fault}",
            hint="build the wheel elsewhere and give it by --wheel",
        )
    if inputs.source is None and facts.in_registry is False:
        raise InputError(
            f"the image {inputs.base} is not in its registry"
            + (f": {facts.registry_fault}" if facts.registry_fault else ""),
            hint="the registry lane reads it there; leave --lane out to take it from the local store",
        )
