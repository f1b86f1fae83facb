# SPDX-License-Identifier: Apache-2.0
"""Updates in the registry, against ``buildah bud``, which pulls, runs pip and pushes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import attrs

from benchmarks.cases import STXB, Comparison, build_with_pip, compare, wheel_flags
from benchmarks.distance import delayed
from benchmarks.measure import Command, interleave
from benchmarks.world import World, make_store

# Seconds to a registry and back, as to another continent's shore.
ROUND_TRIP = 0.05


def update_in_registry(
    name: str, base: str, wheels: Sequence[Path], *, lane: Sequence[str] = ("--lane", "registry")
) -> Command:
    """Give the command ``stxb update`` where the image lies, which makes ``:1.1`` of a base image ``:1.0``."""
    argv = (STXB, "--quiet", "update", "--from", base, *wheel_flags(wheels), "--push", "--tls-verify", "false", *lane)
    return Command(name=name, script=(argv,))


def known_case(
    bench: World,
    title: str,
    base: str,
    wheels: Sequence[Path],
    rounds: int,
    *,
    limit: float | None = None,
    lane: Sequence[str] = ("--lane", "registry"),
) -> Comparison:
    """Compare an update of an image that both sides know: its base is pulled, or its layers were read before.

    Args:
        bench: the store and the registry.
        title: what the row is called.
        base: the image to update.
        wheels: what is installed.
        rounds: measured runs of each side.
        limit: the goal, or None.
        lane: flags that choose the lane.
    """
    ours = update_in_registry("stxb update", base, wheels, lane=lane)
    return compare(bench, title, (ours, build_with_pip(bench, base, wheels, compiled=True)), rounds, limit)


def cold_cases(bench: World, base: str, wheels: Sequence[Path], rounds: int) -> tuple[Comparison, Comparison]:
    """Compare the update of an image that neither side has seen: with empty caches, and an empty store.

    Three commands run in turns: stxb, which reads all layers; stxb, which takes the inventory that is stored beside the
    image; and the peer, which pulls.

    Args:
        bench: the store and the registry.
        base: an image that an earlier update has stored an inventory of.
        wheels: what is installed.
        rounds: measured runs of each side.
    """
    store = make_store(bench.folder / "cold")
    reading = update_in_registry(
        "stxb, all layers read", base, wheels, lane=("--lane", "registry", "--no-trust-inventory")
    )
    fresh = update_in_registry("stxb, inventory taken", base, wheels)
    pulling = build_with_pip(bench, base, wheels, compiled=True)

    def empty_the_store(_: int) -> None:
        bench.run("buildah", "rmi", "--all", "--force", variables=store)

    summaries = interleave(
        (
            _forgetful(bench, reading, "cold-reading"),
            _forgetful(bench, fresh, "cold-fresh"),
            attrs.evolve(pulling, name="pull, bud, push", prepare=empty_the_store, variables=store),
        ),
        rounds=rounds,
        environment=bench.environment,
        log=bench.log,
        epochs=bench.epochs,
    )
    read, taken, theirs = summaries
    return (
        Comparison(title="six, base of 1.5 GB, nothing known", ours=read, theirs=theirs, limit=0.5),
        Comparison(title="the same, the inventory beside it", ours=taken, theirs=theirs, limit=0.05),
    )


def _forgetful(bench: World, command: Command, name: str) -> Command:
    """Give a command that finds its cache empty in each round."""
    cache = bench.folder / name
    return attrs.evolve(
        command,
        prepare=lambda _: shutil.rmtree(cache, ignore_errors=True),
        variables={"XDG_CACHE_HOME": str(cache)},
    )


def with_inventory(bench: World, base: str, wheels: Sequence[Path]) -> str:
    """Update an image so that its inventory is stored beside the result, and give the result's reference."""
    result = f"{base.rpartition('/')[0]}/known:1.0"
    argv = (STXB, "--quiet", "update", "--from", base, *wheel_flags(wheels), "--to", result, "--lane", "registry")
    bench.run(*argv, "--tls-verify", "false")
    return result


def distant_case(bench: World, base: str, wheels: Sequence[Path], rounds: int) -> Comparison:
    """Compare the same update with a registry that is far away."""
    host, _, path = base.partition("/")
    with delayed(int(host.rpartition(":")[2]), ROUND_TRIP) as port:
        there = f"localhost:{port}/{path}"
        bench.run("buildah", "pull", "--quiet", "--tls-verify=false", there)
        title = f"six, the registry {ROUND_TRIP * 1000:.0f} ms away"
        return known_case(bench, title, there, wheels, rounds)
