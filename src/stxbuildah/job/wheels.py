# SPDX-License-Identifier: Apache-2.0
"""Builds the wheels of a list, and packs them."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import attrs

from stxbuildah import log, recipes
from stxbuildah.directive.pins import parse_pins
from stxbuildah.engine.process import parent_environment
from stxbuildah.errors import InputError
from stxbuildah.job.listing import list_wheels
from stxbuildah.job.textfile import read_whole
from stxbuildah.job.wheelpool import TwoStages
from stxbuildah.job.wheelshop import RunStoppedError, WheelShop
from stxbuildah.job.wheeltimes import read_times, write_times
from stxbuildah.job.wheelworker import ToBuild, WheelWorker
from stxbuildah.job.workspace import Folders, locked, replace_text, work_folder
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.wheelbuild import WheelSource
from stxbuildah.model.wheelsrun import (
    WheelOutcome,
    WheelsPlan,
    WheelsProgress,
    WheelsRequest,
    WheelsResult,
    WheelState,
    WheelStep,
)
from stxbuildah.plan.wheels import plan_wheels
from stxbuildah.wheels.builder import BuilderRecipe, list_recipe

# A server is asked for several files at a time; more make none of them faster.
_FETCHERS = 6


def plan(request: WheelsRequest) -> WheelsPlan:
    """Give the plan of a run; nothing is fetched.

    Raises:
        StxbError: a list is wrong, or no builder fits.
    """
    folders = Folders.from_environment(parent_environment())
    return _planned(request, list_wheels(_configs(request)), folders)


def run(request: WheelsRequest, on_progress: Callable[[WheelsProgress], None]) -> WheelsResult:
    """Build the wheels of the lists; one that fails stops no other.

    Args:
        request: what to build.
        on_progress: told how far the run is.

    Raises:
        StxbError: nothing could be begun, or nothing goes on: a list is wrong, no container can be made, a disk is
            full.
    """
    started = time.monotonic()
    sources = list_wheels(_configs(request))
    folders = Folders.from_environment(parent_environment())
    planned = _planned(request, sources, folders)
    pins = _pins(request)
    for folder in (planned.folder, planned.logs):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(locked(planned.folder.parent / ".lock"))
        work = stack.enter_context(work_folder(folders))
        shop = stack.enter_context(
            WheelShop(request=request, recipe=_recipe(request), pins=pins, folders=folders, work=work)
        )
        worker = WheelWorker(request=request, plan=planned, shop=shop, cache=folders.cache / "wheels", work=work)
        follower = _Follower(total=len(planned.steps), started=started, say=on_progress)
        stages = TwoStages[WheelStep, ToBuild, WheelOutcome](
            steps=planned.steps,
            fetch=worker.fetch,
            is_outcome=lambda found: isinstance(found, WheelOutcome),
            build=worker.build,
            fetchers=_FETCHERS,
            builders=request.jobs,
            stop=shop.stop,
        )
        try:
            stages.run(follower.begun, follower.ended)
        except RunStoppedError as stopped:
            raise stopped.error from stopped
        finally:
            write_times(folders.cache / "wheels", follower.outcomes.values())
        outcomes = tuple(follower.outcomes[source] for source in dict.fromkeys(sources) if source in follower.outcomes)
        stale = _cleared(planned, outcomes)
        _write_failures(planned.failed, outcomes)
        result = WheelsResult(
            outcomes=outcomes,
            folder=planned.folder,
            stale=stale,
            containers=shop.containers,
            seconds=time.monotonic() - started,
        )
        return _packed(planned, result)


def _configs(request: WheelsRequest) -> tuple[Path, ...]:
    if request.configs:
        return request.configs
    system = f"{request.os_name}-{request.codename}"
    try:
        return (recipes.recipe("wheels", system, f"{request.stream}-wheels.cfg"),)
    except InputError as error:
        raise InputError(
            f"no list of wheels is shipped for {system} {request.stream}", hint="name yours by --config"
        ) from error


def _planned(request: WheelsRequest, sources: Iterable[WheelSource], folders: Folders) -> WheelsPlan:
    builder = request.builder.image or list_recipe(_recipe(request)).reference
    return plan_wheels(request, sources, builder, read_times(folders.cache / "wheels"))


def _recipe(request: WheelsRequest) -> BuilderRecipe:
    system = f"{request.os_name}-{request.codename}"
    return BuilderRecipe(
        folder=recipes.recipe("containers", "wheel-builder", system),
        codename=request.codename,
        base=request.builder.base,
        mirror=request.builder.mirror,
    )


def _pins(request: WheelsRequest) -> str:
    """Give the text of the file of versions, once it is known to be right."""
    if request.requires.pins is None:
        return ""
    text = read_whole(request.requires.pins, "file of versions")
    parse_pins(text, str(request.requires.pins))
    return text


@attrs.define(kw_only=True)
class _Follower:
    """Knows what has begun and ended."""

    total: int
    started: float
    say: Callable[[WheelsProgress], None]
    outcomes: dict[WheelSource, WheelOutcome] = attrs.field(factory=dict)
    under_way: dict[str, None] = attrs.field(factory=dict)

    def begun(self, step: WheelStep) -> None:
        self.under_way[step.source.wheel] = None
        self._tell(None)

    def ended(self, outcome: WheelOutcome) -> None:
        self.under_way.pop(outcome.source.wheel, None)
        self.outcomes[outcome.source] = outcome
        if outcome.error:
            log.warning("wheels.failed", wheel=outcome.source.wheel, reason=outcome.error)
        self._tell(outcome)

    def _tell(self, latest: WheelOutcome | None) -> None:
        failed = sum(one.state is WheelState.FAILED for one in self.outcomes.values())
        self.say(
            WheelsProgress(
                done=len(self.outcomes) - failed,
                building=tuple(self.under_way),
                failed=failed,
                left=self.total - len(self.outcomes) - len(self.under_way),
                latest=latest,
                seconds=time.monotonic() - self.started,
            )
        )


def _cleared(planned: WheelsPlan, outcomes: Iterable[WheelOutcome]) -> tuple[str, ...]:
    """Delete the wheels that no list names any more, and give their names, sorted."""
    if not planned.whole:
        return ()
    wanted = {outcome.name for outcome in outcomes}
    stale = sorted(path for path in planned.folder.glob("*.whl") if path.name not in wanted)
    for path in stale:
        path.unlink()
    return tuple(path.name for path in stale)


def _write_failures(file: Path, outcomes: Iterable[WheelOutcome]) -> None:
    failed = [outcome.source.wheel for outcome in outcomes if outcome.state is WheelState.FAILED]
    if failed:
        replace_text(file, "".join(f"{name}\n" for name in failed))
    else:
        file.unlink(missing_ok=True)


def _packed(planned: WheelsPlan, result: WheelsResult) -> WheelsResult:
    """Pack the wheels, unless one failed: a tarball that lacks some would be taken for a whole one."""
    from stxbuildah.wheels.tarball import write_tarball

    if planned.tarball is None or result.failures:
        return result
    # Two lines may ask for one wheel under two names.
    files = sorted({planned.folder / outcome.name for outcome in result.outcomes})
    with written_beside(planned.tarball) as stream:
        digest = write_tarball(stream, files, {})
    log.info("wheels.tarball.written", file=str(planned.tarball), sha256=digest)
    return attrs.evolve(result, tarball=planned.tarball, sha256=digest)
