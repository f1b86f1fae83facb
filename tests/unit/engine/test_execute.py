# SPDX-License-Identifier: Apache-2.0
"""The ready queue: what runs when, what is left out, and how it ends."""

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.execute import Execution, Postponed
from stxbuildah.errors import InputError


def graph(**parents: str) -> dict[str, frozenset[str]]:
    """Give a graph of members with one letter: ``c="ab"`` is made from a and b."""
    return {name: frozenset(named) for name, named in parents.items()}


def execute(
    parents: Mapping[str, frozenset[str]], run: Callable[[str], str], *, jobs: int = 2, **more: Any
) -> dict[str, str]:
    """Carry a graph out whose results are words; those that begin with an exclamation mark are failures."""
    return Execution(
        parents=parents,
        run=run,
        failed=lambda result: result.startswith("!"),
        left_out=lambda label, ancestor: f"! {label} without {ancestor}",
        refused=lambda _, error: f"! {error.message}",
        jobs=jobs,
        **more,
    ).carry_out()


@attrs.define
class Watched:
    """Carries members out and looks at who runs with whom."""

    parents: Mapping[str, frozenset[str]]
    failing: frozenset[str] = frozenset()
    late: Mapping[str, frozenset[str]] = attrs.field(factory=dict)
    begun: list[str] = attrs.field(factory=list)
    ended: set[str] = attrs.field(factory=set)
    together: int = 0
    most: int = 0
    early: set[str] = attrs.field(factory=set)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def __call__(self, label: str) -> str:
        with self.lock:
            if not self.parents[label] <= self.ended:
                self.early.add(label)
            lacking = self.late.get(label, frozenset()) - self.ended
            if lacking:
                raise Postponed(tuple(lacking))
            self.begun.append(label)
            self.together += 1
            self.most = max(self.most, self.together)
        with self.lock:
            self.together -= 1
            if label in self.failing:
                return "! broken"
            self.ended.add(label)
            return "well"


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, frozenset[str]]:
    """Give a graph whose members have parents before them in a random order."""
    order = draw(st.permutations("abcdefghijkl"))[: draw(st.integers(0, 12))]
    found: dict[str, frozenset[str]] = {}
    for place, name in enumerate(order):
        found[name] = draw(st.frozensets(st.sampled_from(order[:place]))) if place else frozenset()
    return found


def ancestors(parents: Mapping[str, frozenset[str]], label: str) -> frozenset[str]:
    above = parents[label]
    return above.union(*(ancestors(parents, parent) for parent in above))


@given(data=st.data(), parents=acyclic(), jobs=st.integers(1, 4))
def test_any_graph(data: st.DataObject, parents: dict[str, frozenset[str]], jobs: int) -> None:
    failing = data.draw(st.frozensets(st.sampled_from(sorted(parents)))) if parents else frozenset()
    # Some of a member's parents are only found out when it is begun.
    late = {
        label: data.draw(st.frozensets(st.sampled_from(sorted(above)))) for label, above in parents.items() if above
    }
    known = {label: above - late.get(label, frozenset()) for label, above in parents.items()}
    watched = Watched(known, failing, late)
    results = execute(known, watched, jobs=jobs)
    assert results.keys() == parents.keys()
    assert sorted(watched.begun) == sorted(set(watched.begun))
    assert watched.early == set()
    assert watched.most <= jobs
    for label, result in results.items():
        broken = ancestors(parents, label) & failing
        if broken:
            assert label not in watched.begun
            assert result.startswith(f"! {label} without ")
            assert result[-1] in broken
        else:
            assert label in watched.begun
            assert result == ("! broken" if label in failing else "well")


def test_members_begin_in_the_order_of_their_names_behind_their_parents() -> None:
    watched = Watched(graph(d="", c="d", b="", a="c", e=""))
    execute(watched.parents, watched, jobs=1)
    assert watched.begun == ["b", "d", "c", "a", "e"]


def test_as_many_run_at_once_as_may() -> None:
    meeting = threading.Barrier(3)

    def run(_: str) -> str:
        # It would never be passed by fewer, and the fourth comes with the next two.
        meeting.wait()
        return "well"

    assert len(execute(graph(a="", b="", c="", d="a", e="a", f="c"), run, jobs=3)) == 6


def test_a_child_begins_while_others_still_run() -> None:
    begun = threading.Event()

    def run(label: str) -> str:
        if label == "slow":
            begun.wait()
        if label == "child":
            begun.set()
        return "well"

    parents = {"parent": frozenset[str](), "slow": frozenset[str](), "child": frozenset({"parent"})}
    assert set(execute(parents, run).values()) == {"well"}


def test_a_failure_leaves_out_only_what_is_made_from_it() -> None:
    watched = Watched(graph(a="", b="a", c="b", d="", e="cd", f="d"), failing=frozenset("b"))
    assert execute(watched.parents, watched) == {
        "a": "well", "b": "! broken", "c": "! c without b", "d": "well", "e": "! e without b", "f": "well",
    }  # fmt: skip


def test_who_waits_for_what_has_failed_is_left_out_with_its_children() -> None:
    watched = Watched(graph(a="", b="", c="b"), failing=frozenset("a"), late=graph(b="a"))
    assert execute(watched.parents, watched, jobs=1) == {
        "a": "! broken", "b": "! b without a", "c": "! c without a",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("late", "sentence"),
    [
        ({"a": ("x", "b")}, "a is made from x, not among what is made"),
        ({"a": ("a",)}, "nothing can be made from itself: a, from a"),
        ({"a": ("c",)}, "nothing can be made from itself: a, from c, from b, from a"),
        ({"a": ()}, "a waits for nothing, and was begun after that"),
        ({"b": ("a",)}, "b waits for a, and was begun after that"),
    ],
)
def test_who_waits_for_what_cannot_be_is_refused(late: dict[str, tuple[str, ...]], sentence: str) -> None:
    def run(label: str) -> str:
        if label in late:
            raise Postponed(late[label])
        return "well"

    results = execute(graph(a="", b="a", c="b", d=""), run)
    refused = next(iter(late))
    assert results[refused] == f"! {sentence}"
    assert results["c"] == f"! c without {refused}"
    assert results["d"] == "well"


def test_two_that_wait_for_each_other() -> None:
    others = {"a": "b", "b": "a"}

    def run(label: str) -> str:
        raise Postponed((others[label],))

    results = execute(graph(a="", b=""), run, jobs=1)
    assert results == {"a": "! a without b", "b": "! nothing can be made from itself: a, from b, from a"}


@pytest.mark.parametrize(
    ("parents", "sentence"),
    [
        (graph(a="b", b="c", c="a", d=""), "nothing can be made from itself: a, from b, from c, from a"),
        (graph(a="", b="ax"), "b is made from x, which is not among what is made"),
    ],
)
def test_a_graph_that_cannot_be_begins_nothing(parents: dict[str, frozenset[str]], sentence: str) -> None:
    watched = Watched(parents)
    with pytest.raises(InputError, match=sentence):
        execute(parents, watched)
    assert watched.begun == []


def test_once_it_is_stopped_nothing_more_is_begun() -> None:
    stop = threading.Event()

    def run(label: str) -> str:
        if label == "b":
            stop.set()
        return "well"

    assert execute(graph(a="", b="", c="", d=""), run, jobs=1, stop=stop) == {"a": "well", "b": "well"}


def test_an_error_ends_what_runs_and_begins_nothing_more() -> None:
    ending = threading.Event()
    ended: list[str] = []

    def run(label: str) -> str:
        if label == "a":
            raise LookupError("a fault")
        ending.wait()
        ended.append(label)
        return "well"

    with pytest.raises(LookupError, match="a fault"):
        execute(graph(a="", b="", c=""), run, end_running=ending.set)
    assert ended == ["b"]


def test_an_interrupt_in_the_thread_that_follows_ends_what_runs() -> None:
    ending = threading.Event()
    ended: list[str] = []

    def run(label: str) -> str:
        if label == "a":
            return "! fails"
        ending.wait()
        ended.append(label)
        return "well"

    def interrupted(label: str, ancestor: str) -> str:
        raise KeyboardInterrupt

    execution = Execution(
        parents=graph(a="", b="", c="a"), run=run, failed=lambda result: result.startswith("!"), left_out=interrupted,
        refused=lambda _, error: error.message, jobs=2, end_running=ending.set,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        execution.carry_out()
    assert ended == ["b"]


def test_members_see_the_callers_context() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("told")
    assert execute(graph(a=""), lambda _: variable.get()) == {"a": "told"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_another_begins_in_the_place_that_one_has_left(jobs: int) -> None:
    parents = graph(a="", b="", c="", d="", e="a")
    lock, all_begun = threading.Lock(), threading.Event()
    running: set[str] = set()
    most: list[int] = []

    def run(label: str) -> str:
        with lock:
            running.add(label)
            most.append(len(running))
            if len(running) == 2 * jobs:
                all_begun.set()
        execution.leave_place(label)
        # Without its place being taken, the first would wait for ever.
        assert all_begun.wait(60)
        with lock:
            running.remove(label)
        return label

    execution = Execution(
        parents=parents, run=run, failed=lambda _: False, left_out=lambda label, _: label,
        refused=lambda label, _: label, jobs=jobs,
    )  # fmt: skip
    assert sorted(execution.carry_out()) == sorted(parents)
    assert max(most) == 2 * jobs


def test_a_member_that_left_its_place_may_fail() -> None:
    def run(label: str) -> str:
        execution.leave_place(label)
        return "! fails" if label == "a" else "well"

    execution = Execution(
        parents=graph(a="", b="a", c=""), run=run, failed=lambda result: result.startswith("!"),
        left_out=lambda label, ancestor: f"! {label} without {ancestor}", refused=lambda label, _: label, jobs=1,
    )  # fmt: skip
    assert execution.carry_out() == {"a": "! fails", "b": "! b without a", "c": "well"}
