# SPDX-License-Identifier: Apache-2.0
"""Files of registries.conf that are read without a parser of TOML say what that would say."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stxbuildah.registry.registriesfile import only_aliases

words = st.sampled_from(
    ["a", "fedora/tools", "quay.io/fedora/fedora", "host:5000/x", "", "a\\u0041", "ä", "\x7f", " ", "\\"]
)
quotes = st.sampled_from(['"', "'", '"""', ""])
pairs = st.tuples(quotes, words, words, st.sampled_from(["", " # why", "#\x00", "#\u2028"])).map(
    lambda parts: f"{parts[0]}{parts[1]}{parts[0]} = {parts[0]}{parts[2]}{parts[0]}{parts[3]}"
)
others = st.sampled_from(
    ["", "  ", "# comment", "#\t\r", "[aliases]", " [aliases]", "[other]", "[[registry]]", "x = 1", "\r", "\x0c"]
)
texts = st.lists(pairs | others, max_size=6).flatmap(
    lambda lines: st.sampled_from(["\n".join(lines), "\n".join(["[aliases]", *lines])])
)


@given(texts)
@example('[aliases]\n"a"="b"\n"a"="c"')
@example("[aliases]\n[aliases]")
def test_what_is_read_quickly_is_what_toml_says(text: str) -> None:
    quickly = only_aliases(text)
    if quickly is not None:
        assert quickly == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", {}),
        ('# unqualified-search-registries = ["example.com"]\n#\n\n# [[registry]]\n', {}),
        (
            '[aliases]\n  # almalinux\n  "almalinux" = "docker.io/library/almalinux"\n  "ubi8/node"="q.io/x" # x\n',
            {"aliases": {"almalinux": "docker.io/library/almalinux", "ubi8/node": "q.io/x"}},
        ),
    ],
)
def test_what_distributions_ship_is_read_quickly(text: str, content: dict[str, object]) -> None:
    assert only_aliases(text) == content == tomllib.loads(text)


@pytest.mark.parametrize("text", ['short-name-mode = "enforcing"', '"a" = "b"', "[aliases]\na = 'b'", "[[registry]]"])
def test_anything_else_is_for_the_parser(text: str) -> None:
    assert only_aliases(text) is None
