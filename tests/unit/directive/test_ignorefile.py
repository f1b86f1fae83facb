# SPDX-License-Identifier: Apache-2.0
"""Ignore files match as Docker's reference says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.ignorefile import read_ignore_file


@pytest.mark.parametrize(
    ("text", "path", "ignored"),
    [
        # The examples of Docker's reference.
        ("*/temp*", "somedir/temporary.txt", True),
        ("*/temp*", "somedir/temp", True),
        ("*/temp*", "temp", False),
        ("*/temp*", "a/b/temp", False),
        ("*/*/temp*", "somedir/subdir/temporary.txt", True),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("**/*.go", "a/b/c.go", True),
        ("**/*.go", "c.go", True),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README.md", "other.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
        # A pattern holds for everything below.
        ("folder", "folder/a/b", True),
        ("folder/", "folder/a", True),
        ("/folder", "folder/a", True),
        ("./folder/../other", "other", True),
        ("folder\n!folder/a", "folder/a", False),
        ("folder\n!folder/a", "folder/a/b", False),
        ("folder\n!folder/a", "folder/b", True),
        ("**", "a", True),
        ("*\n!src", "src/a", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a**", "ab/c", True),
        ("[a-c].txt", "b.txt", True),
        ("[^a-c].txt", "b.txt", False),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("a.b", "axb", False),
        ("a+(b)", "a+(b)", True),
        ("# a\n \n#b", "a", False),
        ("[", "[", True),
        ("Folder", "folder", False),
    ],
)
def test_a_path_is_ignored_or_not(text: str, path: str, ignored: bool) -> None:
    assert read_ignore_file(text).ignores(path) is ignored


NAMES = st.text("ab.*", min_size=1, max_size=3).filter(lambda name: name.strip("."))
PATHS = st.lists(st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip(".")), min_size=1, max_size=3)


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=4), PATHS)
def test_what_is_below_something_ignored_is_ignored_too(patterns: list[list[str]], path: list[str]) -> None:
    found = read_ignore_file("\n".join("/".join(pattern) for pattern in patterns))
    if found.ignores("/".join(path)):
        assert found.ignores("/".join([*path, "c"]))


@given(PATHS)
def test_a_path_written_out_ignores_itself_and_an_exception_takes_that_back(path: list[str]) -> None:
    text = "/".join(path)
    assert read_ignore_file(text).ignores(text)
    assert not read_ignore_file(f"{text}\n!{text}").ignores(text)
    assert not read_ignore_file(text).ignores(f"{text}c")


@given(st.text("ab[]!\\*?-^{}()|&~#/ \n", max_size=30), st.text("ab[]!\\*?-^/", min_size=1, max_size=10))
def test_any_text_is_an_ignore_file(text: str, path: str) -> None:
    assert read_ignore_file(text).ignores(path) in {True, False}
