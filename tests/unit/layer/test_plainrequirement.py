# SPDX-License-Identifier: Apache-2.0
"""What the text of a requirement shows at once is what the library says of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from stxbuildah.layer.plainrequirement import is_plainly_met

numbers = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
signs = st.sampled_from(["<", "<=", "==", "!=", ">=", ">", "~=", "===", "=", "=<"])
space = st.sampled_from(["", " ", "\t", "\n"])
names = st.sampled_from(["six", "Six", "zope.interface", "jaraco_text", "a-b", "b-", "-b", "é"])
odd = st.sampled_from(["1.0rc1", "1.0.post1", "1!1.0", "1.0+local", "01.0", "1.*", "v1", "", "9" * 5000])
bounds = st.lists(st.tuples(signs, space, numbers | odd).map("".join), max_size=3).map(",".join)
minors = st.tuples(st.integers(2, 3), st.integers(0, 13))
markers = st.one_of(
    st.just(""),
    st.tuples(signs, space, minors, st.sampled_from(["'", '"'])).map(
        lambda parts: f";{parts[1]}python_version{parts[0]}{parts[3]}{parts[2][0]}.{parts[2][1]}{parts[3]}"
    ),
    st.just("; sys_platform == 'win32'"),
    st.just("; python_version < '3' and extra == 'x'"),
)
lines = st.one_of(
    st.tuples(space, names, space, bounds, space, markers).map("".join),
    st.tuples(names, space, bounds, markers).map(lambda parts: f"{parts[0]}{parts[1]}({parts[2]}){parts[3]}"),
    st.tuples(names, st.just("[extra]"), bounds).map("".join),
    st.text(max_size=20),
)


def library_says(line: str, python: tuple[int, int], version: str | None) -> bool:
    requirement = Requirement(line)
    environment = {"python_version": f"{python[0]}.{python[1]}", "extra": ""}
    if requirement.marker is not None and not requirement.marker.evaluate(environment):
        return True
    return version is not None and requirement.specifier.contains(version, prereleases=True)


@given(lines, minors, st.none() | numbers | odd)
@example("six>=1.0", (3, 13), "1")
@example("six!=1.0.0", (3, 13), "1")
@example("six>1;python_version=='3.0'", (3, 0), "1.0.1")
def test_what_is_plainly_met_is_met(line: str, python: tuple[int, int], version: str | None) -> None:
    if is_plainly_met(line, python, lambda _: version):
        assert library_says(line, python, version)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("six", "1.17.0"),
        ("six>=1.5", "1.17.0"),
        ("urllib3 (<3,>=1.21.1)", "2.5.0"),
        ("charset_normalizer <4 , >= 2", "3"),
        ('typing-extensions; python_version < "3.9"', None),
        ("jaraco.context >=4.1; python_version>='3.8'", "6.0.1"),
    ],
)
def test_most_requirements_are_plain(line: str, version: str | None) -> None:
    asked: list[str] = []

    def version_of(name: str) -> str | None:
        asked.append(name)
        return version

    assert is_plainly_met(line, (3, 13), version_of)
    assert asked == ([line[: len(asked[0])]] if version else [])


@pytest.mark.parametrize(
    ("line", "version"),
    [("six>=2", "1.17.0"), ("six", None), ("six==1.17", "1.17.0rc1"), ("six~=1.0", "1.17"), ("six==1.*", "1.17")],
)
def test_the_rest_is_for_the_library(line: str, version: str | None) -> None:
    assert not is_plainly_met(line, (3, 13), lambda _: version)
