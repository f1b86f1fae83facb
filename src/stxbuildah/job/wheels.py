# SPDX-License-Identifier: Apache-2.0
"""Builds the wheels of a list, and packs them."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs
from packaging.utils import canonicalize_name

from stxbuildah import log, recipes
from stxbuildah.directive.pins import parse_pins
from stxbuildah.directive.wheelslock import format_lock, parse_lock
from stxbuildah.engine.process import parent_environment
from stxbuildah.errors import InputError
from stxbuildah.job.furtherwheels import collect_of_image, collect_packaged, copy_extra
from stxbuildah.job.listing import list_wheels
from stxbuildah.job.textfile import read_whole
from stxbuildah.job.wheelpool import TwoStages
from stxbuildah.job.wheelshop import RunStoppedError, WheelShop
from stxbuildah.job.wheelspack import ReleaseFiles, pack, read_release
from stxbuildah.job.wheelspush import push_tarball
from stxbuildah.job.wheeltimes import read_times, write_times
from stxbuildah.job.wheelworker import ToBuild, WheelWorker
from stxbuildah.job.workspace import Folders, check_writable, replace_text, work_folder
from stxbuildah.job.workspace import locked as locked_file
from stxbuildah.model.wheelbuild import WheelSource
from stxbuildah.model.wheelsrun import (
    LockedSource,
    WheelOutcome,
    WheelsLocked,
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
# Builds that are made ready while others run: their sources unpacked, their containers made.
_READY = 2
LOCK = "wheels.lock"


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
    configs = _configs(request)
    folders = Folders.from_environment(parent_environment())
    planned = _planned(request, list_wheels(configs), folders)
    pins = _pins(request)
    locked = _locked_sources(planned)
    release = read_release(request, configs) if planned.tarball is not None else ReleaseFiles()
    for folder in (planned.folder, planned.logs):
        folder.mkdir(parents=True, exist_ok=True)
    with locked_file(planned.folder.parent / ".lock"), work_folder(folders) as work:
        shop = WheelShop(request=request, recipe=_recipe(request), pins=pins, folders=folders, work=work)
        with shop:
            worker = WheelWorker(
                request=request, plan=planned, shop=shop, cache=folders.cache / "wheels", work=work, locked=locked
            )
            outcomes = _carried_out(worker, started, on_progress)
            write_times(folders.cache / "wheels", outcomes)
        result = WheelsResult(
            outcomes=outcomes,
            folder=planned.folder,
            stale=_cleared(planned, outcomes),
            containers=shop.containers,
        )
        _write_failures(planned.failed, outcomes)
        if not result.failures and planned.whole:
            replace_text(planned.folder.parent / LOCK, format_lock(_sources(outcomes)))
        if planned.tarball is not None and not result.failures:
            # A tarball that lacks some would be taken for a whole one.
            result = _packed(request, planned, result, release, work)
        return attrs.evolve(result, seconds=time.monotonic() - started)


def lock(request: WheelsRequest, on_progress: Callable[[WheelsProgress], None]) -> WheelsLocked:
    """Fetch what all wheels of the lists are made of, and write the lock file; nothing is built.

    Args:
        request: lists and lock file.
        on_progress: told how far the run is.

    Raises:
        StxbError: a list is wrong, or no space is left.
    """
    started = time.monotonic()
    folders = Folders.from_environment(parent_environment())
    # All of them, and by nothing but the lists.
    request = attrs.evolve(request, only=(), lock=attrs.evolve(request.lock, enforced=False))
    file = _lock_file(request)
    planned = _planned(request, list_wheels(_configs(request)), folders)
    with work_folder(folders) as work:
        shop = WheelShop(request=request, recipe=_recipe(request), pins="", folders=folders, work=work)
        worker = WheelWorker(
            request=request, plan=planned, shop=shop, cache=folders.cache / "wheels", work=work, only_fetch=True
        )
        outcomes = _carried_out(worker, started, on_progress)
    if not any(outcome.error for outcome in outcomes):
        check_writable(file)
        replace_text(file, format_lock(_sources(outcomes)))
    return WheelsLocked(file=file, outcomes=outcomes)


def _carried_out(
    worker: WheelWorker, started: float, on_progress: Callable[[WheelsProgress], None]
) -> tuple[WheelOutcome, ...]:
    """Do what all steps of a plan need, and give what came of them, by file and line of the lists."""
    steps = worker.plan.steps
    follower = _Follower(total=len(steps), started=started, say=on_progress)
    stages = TwoStages[WheelStep, ToBuild, WheelOutcome](
        steps=steps,
        fetch=worker.fetch,
        is_outcome=lambda found: isinstance(found, WheelOutcome),
        build=worker.build,
        fetchers=_FETCHERS,
        builders=worker.request.jobs + _READY,
        stop=worker.shop.stop,
    )
    try:
        stages.run(follower.begun, follower.ended)
    except RunStoppedError as stopped:
        raise stopped.error from stopped
    found = follower.outcomes
    return tuple(found[source] for source in sorted(found, key=lambda source: (source.source, source.line)))


def _sources(outcomes: Iterable[WheelOutcome]) -> Iterator[LockedSource]:
    for outcome in outcomes:
        kind, _, value = outcome.material.partition(":")
        digest = {"commit": value} if kind == "git" else {"sha256": value}
        yield LockedSource(wheel=outcome.source.wheel, url=outcome.source.shown_url, **digest)


def _lock_file(request: WheelsRequest) -> Path:
    return request.lock.file or _configs(request)[0].parent / LOCK


def _locked_sources(planned: WheelsPlan) -> dict[str, LockedSource] | None:
    if planned.lock is None:
        return None
    return parse_lock(read_whole(planned.lock, "lock file of wheels"), str(planned.lock))


def _configs(request: WheelsRequest) -> tuple[Path, ...]:
    if request.configs:
        return request.configs
    system = f"{request.os_name}-{request.codename}"
    try:
        return (recipes.recipe("wheels", system, f"{request.stream}-wheels{'-py2' if request.python2 else ''}.cfg"),)
    except InputError as error:
        raise InputError(
            f"no list of wheels is shipped for {system} {request.stream}", hint="name yours by --config"
        ) from error


def _planned(request: WheelsRequest, sources: Iterable[WheelSource], folders: Folders) -> WheelsPlan:
    builder = request.builder.image or list_recipe(_recipe(request)).reference
    return plan_wheels(request, sources, builder, read_times(folders.cache / "wheels"), _lock_file(request))


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


def _packed(
    request: WheelsRequest, planned: WheelsPlan, result: WheelsResult, release: ReleaseFiles, work: Path
) -> WheelsResult:
    """Collect the other wheels, pack all of them, and push the image when that is asked for."""
    shutil.rmtree(planned.further, ignore_errors=True)
    planned.further.mkdir()
    # Two lines may ask for one wheel under two names.
    own = sorted({planned.folder / outcome.name for outcome in result.outcomes})
    of_image: tuple[Path, ...] = ()
    if request.further.image:
        folder = planned.further / "image"
        folder.mkdir()
        of_image = collect_of_image(request, folder, {canonicalize_name(path.name.partition("-")[0]) for path in own})
    packaged = collect_packaged(request, planned.further)
    extra: tuple[Path, ...] = ()
    if request.further.folder is not None:
        folder = planned.further / "extra"
        folder.mkdir()
        extra = copy_extra(request.further.folder, folder)
    packed = pack(planned, (of_image, own, packaged, extra), release)
    result = attrs.evolve(
        result,
        tarball=planned.tarball,
        sha256=packed.sha256,
        notes=packed.notes,
        further=tuple(path.name for path in (*of_image, *packaged, *extra)),
    )
    if not planned.references:
        return result
    digest = push_tarball(request, planned, work)
    return attrs.evolve(result, images=tuple(f"{name.qualified}@{digest}" for name in planned.references))
