# SPDX-License-Identifier: Apache-2.0
"""An update from its request: the facts, the plan, and its execution where the plan says."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from importlib import import_module
from pathlib import Path
from threading import Event

from stxbuildah import log
from stxbuildah.errors import HostError, InputError
from stxbuildah.job.found import Found, found_out
from stxbuildah.job.gather import update_inputs
from stxbuildah.job.records import check_records, records_folder
from stxbuildah.job.workspace import work_folder
from stxbuildah.model.update import Lane, UpdateInputs, UpdatePlan, UpdateRequest, UpdateResult
from stxbuildah.model.wheel import Wheel
from stxbuildah.plan.lane import asks_registry
from stxbuildah.plan.update import plan_update

Say = Callable[[str], None]


def plan(request: UpdateRequest) -> UpdatePlan:
    """Gather the facts of an update and make its plan; nothing is changed.

    Raises:
        StxbError: an input is wrong, or this machine or the store cannot be used.
    """
    inputs = update_inputs(request)
    with ThreadPoolExecutor(4) as pool, found_out(request, inputs, pool) as found:
        found.check_expected(request.lanes.expect_digest)
        return plan_update(request, inputs, found.facts, records=records_folder(request))


def run(request: UpdateRequest, say: Say) -> UpdateResult:
    """Change an image by one layer.

    Args:
        request: what to do.
        say: told what is being done, a sentence at a time.

    Raises:
        StxbError: it could not be done; the base, the records and the store are as they were.
    """
    inputs = update_inputs(request)
    records = records_folder(request)
    check_records(records)
    with ThreadPoolExecutor(4) as pool, ExitStack() as stack:
        # While the store and the registry are asked for the image, another thread reads the wheels: not before, since
        # threads take turns, and then it would be the question that waits.
        asking = Event()
        stack.callback(asking.set)
        reading = pool.submit(copy_context().run, _made_ready, request, inputs, asking)
        found = stack.enter_context(found_out(request, inputs, pool, asking))
        found.check_expected(request.lanes.expect_digest)
        wheels = reading.result()
        made = plan_update(request, inputs, found.facts, records=records)
        log.info("update.planned", lane=made.lane.value, reason=made.reason)
        folder = stack.enter_context(work_folder(found.folders, keep=request.keep))
        return _carried_out(
            request, made, found, wheels, folder=folder, records=records, pool=pool, stack=stack, say=say
        )


def _made_ready(request: UpdateRequest, inputs: UpdateInputs, asking: Event) -> list[Wheel]:
    """Read the wheels, and load what will most likely carry the update out; another lane is loaded when it is known."""
    asking.wait()
    from stxbuildah.job.sources import read_wheels

    wheels = read_wheels(inputs.wheels)
    if inputs.source is not None or asks_registry(request, inputs):
        import_module("stxbuildah.job.registry")
    else:
        import_module("stxbuildah.job.steps")
    return wheels


def _carried_out(
    request: UpdateRequest,
    plan: UpdatePlan,
    found: Found,
    wheels: list[Wheel],
    *,
    folder: Path,
    records: Path,
    pool: ThreadPoolExecutor,
    stack: ExitStack,
    say: Say,
) -> UpdateResult:
    from stxbuildah.job.sources import Sources

    sources = Sources(engine=found.engine, request=request, inputs=plan.inputs, folder=folder, say=say, wheels=wheels)
    if plan.lane is Lane.REGISTRY:
        from stxbuildah.job.registry import RegistryUpdate

        if found.remote is None or found.client is None:
            raise InputError(f"the image {plan.inputs.base} was not found: {found.facts.registry_fault}")
        return RegistryUpdate(
            request=request, plan=plan, base=found.remote, client=found.client, folders=found.folders, folder=folder,
            sources=sources, records=records, pool=pool, stack=stack, say=say,
        ).execute()  # fmt: skip
    from stxbuildah.job.steps import UpdateSteps

    if found.engine is None:
        raise HostError(f"the {plan.lane.value} lane needs an engine: {found.facts.engine_fault}")
    return UpdateSteps(
        request=request, plan=plan, engine=found.engine, say=say, folder=folder, stack=stack, pool=pool,
        sources=sources, records=records, found=found.stored,
    ).execute()  # fmt: skip
