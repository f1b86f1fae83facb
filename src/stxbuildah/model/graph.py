# SPDX-License-Identifier: Apache-2.0
"""Graphs of things that are made from one another, by name."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


def find_cycle(parents: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Give the members of one cycle, each a parent of the next and the last one of the first; empty when none is.

    Args:
        parents: the parents of each member.
    """
    try:
        TopologicalSorter({name: sorted(parents[name]) for name in sorted(parents)}).prepare()
    except CycleError as error:
        members: list[str] = error.args[1][:-1]
        first = members.index(min(members))
        return (*members[first:], *members[:first])
    return ()


def show_cycle(members: tuple[str, ...]) -> str:
    """Give a cycle as a line to read, as ``a, from c, from b, from a``."""
    return ", from ".join((members[0], *reversed(members)))


def parents_first(parents: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Give all members so that each stands behind its parents, and sorted where that leaves a choice.

    Args:
        parents: the parents of each member; those that are no member themselves are left out.

    Raises:
        ValueError: there is a cycle.
    """
    lacking = {name: {parent for parent in named if parent in parents} for name, named in parents.items()}
    children = defaultdict(list)
    for name, named in lacking.items():
        for parent in named:
            children[parent].append(name)
    ready = [name for name, named in lacking.items() if not named]
    heapq.heapify(ready)
    ordered = []
    while ready:
        name = heapq.heappop(ready)
        ordered.append(name)
        for child in children[name]:
            lacking[child].remove(name)
            if not lacking[child]:
                heapq.heappush(ready, child)
    if len(ordered) < len(parents):
        raise ValueError(f"a cycle: {show_cycle(find_cycle(parents))}")
    return tuple(ordered)
