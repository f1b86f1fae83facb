# SPDX-License-Identifier: Apache-2.0
"""Passwords in the lines of lists: found, hidden, and never published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.plan.baseorigin import hide_passwords, passwords, published_password_problems, url_of

# What may stand before the @ of an authority (RFC 3986, 3.2.1), and what people write there nevertheless.
PASSWORDS = st.text(
    st.characters(codec="ascii", exclude_categories=["C", "Z"], exclude_characters="/?#@[]\\"), min_size=1
)
LINES = ("deb [arch=amd64 signed-by=/k] {} trixie main", "deb {} ./", "name,{}", "baseurl={}", "{}")


@given(PASSWORDS, st.sampled_from(LINES))
def test_a_password_is_found_and_hidden_in_every_kind_of_line(password: str, line: str) -> None:
    whole = line.format(f"https://user:{password}@repo.example:8080/x")
    assert passwords(whole) == (password,)
    assert hide_passwords(whole) == line.format("https://user:********@repo.example:8080/x")
    (problem,) = published_password_problems([("/etc/x", f"# comment\n{whole}\n{whole}\n")])
    assert hide_passwords(whole) in problem.message


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("deb [trusted=yes] http://repo.example/a@b:c trixie main", "repo.example"),
        ("stx:local,http://repo.example/x", "repo.example"),
        ("deb file:/srv/x ./", None),
        ("deb http://[broken/x ./", None),
        ("deb http://me:not-a/port@x ./", None),
        ("nonsense", None),
    ],
)
def test_hosts(line: str, host: str | None) -> None:
    assert url_of(line).hostname == host
    assert passwords(line) == ()
    assert hide_passwords(line) == line
