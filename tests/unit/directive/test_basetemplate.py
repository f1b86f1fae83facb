# SPDX-License-Identifier: Apache-2.0
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.basetemplate import KNOWN_NAMES, filled, filled_lines, is_entry, template_field
from stxbuildah.model.baseplan import BaseTemplates, Template

if TYPE_CHECKING:
    from stxbuildah.errors import Problem

NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="@", exclude_categories=["C", "Z"]), max_size=12)


def test_known_names_are_those_of_places_for_templates() -> None:
    fields = {template_field(name) for name in KNOWN_NAMES}
    assert fields == {"debian_list", "stx_list", "layer_list", "preferences"}
    assert all(hasattr(BaseTemplates(), field) for field in fields)
    assert template_field("stx.sources.list") == "stx_list"
    assert template_field("other.list.in") == ""


@given(st.lists(st.one_of(TEXTS, NAMES.map(lambda name: f"@{name}@")), max_size=6), st.dictionaries(NAMES, TEXTS))
def test_each_token_becomes_its_value_or_is_told(parts: list[str], values: dict[str, str]) -> None:
    problems: list[Problem] = []
    text = " ".join(parts)
    (line,) = filled_lines(Template(text=f"x {text}", source="t", given=True), values, problems)
    tokens = [part[1:-1] for part in parts if part.startswith("@")]
    lacking = [token for token in tokens if not values.get(token)]
    assert [problem.message.partition(" ")[0] for problem in problems] == [f"@{token}@" for token in lacking]
    if lacking:
        assert line is None
    else:
        assert line == "x " + " ".join(values[part[1:-1]] if part.startswith("@") else part for part in parts)


def test_a_value_is_not_filled_in_again_and_shipped_templates_leave_lines_out() -> None:
    problems: list[Problem] = []
    template = Template(text="a @A@\nb @B@\nmail@example @lower@\n", source="shipped")
    assert filled(template, {"A": "@B@", "B": ""}, problems) == "a @B@\nmail@example @lower@\n"
    assert problems == []


@pytest.mark.parametrize(
    ("line", "found"), [("deb x", True), ("", False), (" # x", False), (None, False), (" ", False)]
)
def test_entries(line: str | None, found: bool) -> None:
    assert is_entry(line) is found
