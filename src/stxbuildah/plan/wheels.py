# SPDX-License-Identifier: Apache-2.0
"""Which wheels are fetched and built, in what order, and where they go; values in, values out."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from packaging.utils import canonicalize_name

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import WheelsImage, WheelsPlan, WheelsRequest, WheelStep

# What a build is taken to last that was never seen.
_UNKNOWN_SECONDS = 10.0


def plan_wheels(
    request: WheelsRequest, sources: Iterable[WheelSource], builder: str, times: Mapping[str, float], lock: Path
) -> WheelsPlan:
    """Plan a run.

    What has to be built comes first, the longest first, so that no long build is left alone at the end; downloads fill
    the gaps.

    Args:
        request: what was asked.
        sources: what the lists say, in their order.
        builder: the image that wheels are built in.
        times: seconds that builds took the last time, by the wheel as it is asked for.
        lock: where the lock file is.

    Raises:
        InputError: ``only`` names a wheel that no list has, or one file name has several sources.
    """
    listed = tuple(sources)
    _check_repeated(listed)
    chosen = _chosen(listed, request.only)
    steps = sorted((_step(source, times) for source in chosen), key=_rank)
    folder = request.output / f"build-wheels-{request.os_name}-{request.codename}-{request.stream}"
    suffix = "-py2" if request.python2 else ""
    name = f"stx-{request.os_name}-{request.stream}-wheels{suffix}"
    return WheelsPlan(
        steps=tuple(steps),
        builder=builder,
        folder=folder / f"base{suffix}",
        logs=folder / f"logs{suffix}",
        failed=folder / f"failed{suffix}.lst",
        tarball=folder / f"{name}.tar" if request.tarball else None,
        further=folder / f"stx{suffix}",
        contents=folder / f"tarball{suffix}",
        references=_references(request.image, name),
        lock=lock if request.lock.enforced else None,
        whole=not request.only,
    )


def _references(image: WheelsImage, name: str) -> tuple[ImageReference, ...]:
    """Give the names of the tarball's image, as ``docker import`` gave them: by version, and latest."""
    if not image.push:
        return ()
    repository = "/".join(part for part in (image.registry, image.user, name) if part)
    return tuple(ImageReference.parse(f"{repository}:{tag}") for tag in (image.version, "latest"))


def _chosen(sources: tuple[WheelSource, ...], only: tuple[str, ...]) -> tuple[WheelSource, ...]:
    if not only:
        return sources
    unknown = [name for name in only if not any(_is_named(source, name) for source in sources)]
    if unknown:
        raise InputError(f"the lists have no wheel {', '.join(unknown)}", hint="stxb wheels list shows what they have")
    return tuple(source for source in sources if any(_is_named(source, name) for name in only))


def _is_named(source: WheelSource, name: str) -> bool:
    by_module = canonicalize_name(source.module) == canonicalize_name(name)
    return by_module or source.wheel == name or fnmatchcase(source.wheel, name)


def _check_repeated(sources: tuple[WheelSource, ...]) -> None:
    """Refuse one file name from two sources, which lists of several files may have."""
    first: dict[str, WheelSource] = {}
    for source in sources:
        earlier = first.setdefault(source.wheel, source)
        if (earlier.url, earlier.ref, earlier.basedir) != (source.url, source.ref, source.basedir):
            places = " and ".join(f"{one.source}:{one.line}" for one in (earlier, source))
            raise InputError(
                f"{source.wheel} comes from two sources: {places}",
                hint="keep one of them",
            )


def _step(source: WheelSource, times: Mapping[str, float]) -> WheelStep:
    if source.kind is SourceKind.PYPI:
        return WheelStep(source=source, action="download", reason="it is taken as it is, after the builds have begun")
    seconds = times.get(source.wheel)
    told = "it was never built here" if seconds is None else f"it took {seconds:.1f} seconds the last time"
    return WheelStep(source=source, action="build", reason=f"{told}; the longest come first", seconds=seconds)


def _rank(step: WheelStep) -> tuple[bool, float, str]:
    seconds = _UNKNOWN_SECONDS if step.seconds is None else step.seconds
    return step.action == "download", -seconds, step.source.wheel
