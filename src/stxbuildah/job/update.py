# SPDX-License-Identifier: Apache-2.0
"""An update from its request: the facts, the plan, and its execution by ``job.steps``."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context

from stxbuildah import log
from stxbuildah.job.engine import opened_engine
from stxbuildah.job.gather import update_inputs
from stxbuildah.job.records import check_records, records_folder
from stxbuildah.job.workspace import work_folder
from stxbuildah.model.update import UpdateFacts, UpdatePlan, UpdateRequest, UpdateResult
from stxbuildah.plan.update import plan_update

Say = Callable[[str], None]


def plan(request: UpdateRequest) -> UpdatePlan:
    """Gather the facts of an update and make its plan; nothing is changed.

    Raises:
        StxbError: an input is wrong, or this machine or the store cannot be used.
    """
    inputs = update_inputs(request)
    with opened_engine(request.host, request.access, request.retry) as engine:
        in_store = engine.store.find(inputs.base) is not None
    return plan_update(request, inputs, UpdateFacts(in_store=in_store), records=records_folder(request))


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
    with (
        opened_engine(request.host, request.access, request.retry) as engine,
        ThreadPoolExecutor(4) as pool,
        ExitStack() as stack,
    ):
        found = pool.submit(copy_context().run, engine.store.read, inputs.base)
        # While the store looks for the image, this side loads what comes next and reads the wheels.
        from stxbuildah.job.sources import Sources, read_wheels
        from stxbuildah.job.steps import UpdateSteps

        wheels = read_wheels(inputs.wheels)
        base = found.result()
        made = plan_update(request, inputs, UpdateFacts(in_store=base is not None), records=records)
        log.info("update.planned", lane=made.lane.value, reason=made.reason)
        folder = stack.enter_context(work_folder(engine.folders, keep=request.keep))
        sources = Sources(engine=engine, request=request, inputs=inputs, folder=folder, say=say, wheels=wheels)
        steps = UpdateSteps(
            request=request, plan=made, engine=engine, say=say, folder=folder, stack=stack, pool=pool,
            sources=sources, records=records, found=base,
        )  # fmt: skip
        return steps.execute()
