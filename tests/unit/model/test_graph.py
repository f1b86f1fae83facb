# SPDX-License-Identifier: Apache-2.0
"""Orders and cycles of what is made from one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.model.graph import find_cycle, parents_first, show_cycle

names = st.sampled_from("abcdefgh")
graphs = st.dictionaries(names, st.frozensets(names))


def test_without_a_cycle_nothing_is_found() -> None:
    assert find_cycle({"b": {"a"}, "a": set(), "c": {"a", "b"}}) == ()


def test_a_cycle_is_told_from_its_first_member() -> None:
    cycle = find_cycle({"c": {"b"}, "a": {"c"}, "b": {"a"}, "alone": set()})
    assert cycle == ("a", "b", "c")
    assert show_cycle(cycle) == "a, from c, from b, from a"


def test_who_is_made_from_itself_is_a_cycle() -> None:
    assert show_cycle(find_cycle({"a": {"a"}})) == "a, from a"


def test_where_there_is_a_choice_the_order_is_sorted() -> None:
    graph = {"d": {"b"}, "c": set(), "b": {"e"}, "e": set(), "a": {"e"}}
    assert parents_first(graph) == ("c", "e", "a", "b", "d")


def test_parents_that_are_no_members_are_left_out() -> None:
    assert parents_first({"a": {"base"}}) == ("a",)


@given(graphs)
def test_either_there_is_an_order_or_a_cycle(graph: dict[str, frozenset[str]]) -> None:
    cycle = find_cycle(graph)
    if cycle:
        assert cycle[0] == min(cycle)
        assert all(cycle[i - 1] in graph[member] for i, member in enumerate(cycle))
        with pytest.raises(ValueError, match="a cycle: "):
            parents_first(graph)
        return
    ordered = parents_first(graph)
    assert sorted(ordered) == sorted(graph)
    places = {name: place for place, name in enumerate(ordered)}
    assert all(places[parent] < places[name] for name in graph for parent in graph[name] & places.keys())
