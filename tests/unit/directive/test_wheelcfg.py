# SPDX-License-Identifier: Apache-2.0
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.wheelcfg import parse_wheels_config
from stxbuildah.errors import ProblemsError
from stxbuildah.model.wheelbuild import SourceKind, WheelSource, repeated_modules

SHA = "0123456789abcdef" * 4


def parse(text: str) -> tuple[WheelSource, ...]:
    return parse_wheels_config(text, "w.cfg")


def one(line: str) -> WheelSource:
    (wheel,) = parse(line)
    return wheel


def mistakes(text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_every_kind() -> None:
    assert parse(
        "# a comment\n"
        "\n"
        "a-1.0-cp313-cp313-linux_x86_64.whl|git|https://git.example/a.git|a/python|v1.0\n"
        "b-1.0-py3-none-any.whl|git|git@git.example:b|b|stable/1|fix_setup  # why\n"
        "c.d-2.post1-py2.py3-none-any.whl|tar|https://files.example/c.tar.bz2|c-2\n"
        "e-1-py3-none-any.whl|tar|http://files.example/e.tgz||fix_setup\n"
        "f-1-1-py3-none-any.whl|zip|file:///srv/f.zip|.\n"
        "g-1-py3-none-any.whl|pypi|https://files.example/g-1-py3-none-any.whl\n"
    ) == (
        WheelSource(wheel="a-1.0-cp313-cp313-linux_x86_64.whl", kind=SourceKind.GIT, url="https://git.example/a.git",
                    basedir="a/python", ref="v1.0", source="w.cfg", line=3),
        WheelSource(wheel="b-1.0-py3-none-any.whl", kind=SourceKind.GIT, url="git@git.example:b", basedir="b",
                    ref="stable/1", fix_setup=True, source="w.cfg", line=4),
        WheelSource(wheel="c.d-2.post1-py2.py3-none-any.whl", kind=SourceKind.TAR,
                    url="https://files.example/c.tar.bz2", basedir="c-2", source="w.cfg", line=5),
        WheelSource(wheel="e-1-py3-none-any.whl", kind=SourceKind.TAR, url="http://files.example/e.tgz",
                    fix_setup=True, source="w.cfg", line=6),
        WheelSource(wheel="f-1-1-py3-none-any.whl", kind=SourceKind.ZIP, url="file:///srv/f.zip", basedir=".",
                    source="w.cfg", line=7),
        WheelSource(wheel="g-1-py3-none-any.whl", kind=SourceKind.PYPI,
                    url="https://files.example/g-1-py3-none-any.whl", source="w.cfg", line=8),
    )  # fmt: skip


def test_whl_is_another_word_for_pypi() -> None:
    assert one("a-1-py3-none-any.whl|whl|https://h/a.whl") == one("a-1-py3-none-any.whl|pypi|https://h/a.whl")


@pytest.mark.parametrize(
    "line",
    [
        "a-1-py3-none-any.whl |tar|https://h/a.tgz|a",
        "\ta-1-py3-none-any.whl | tar | https://h/a.tgz | a |\r",
        "a-1-py3-none-any.whl|tar|https://h/a.tgz|a|# fix_setup",
    ],
)
def test_blanks_around_fields_empty_last_fields_and_foreign_line_ends_do_not_count(line: str) -> None:
    assert one(line) == one("a-1-py3-none-any.whl|tar|https://h/a.tgz|a")


def test_version_and_tags_may_be_a_wildcard() -> None:
    wheel = one("neutron_lib-*.whl|git|https://h/neutron-lib|neutron-lib|master")
    assert (wheel.module, wheel.has_wildcard) == ("neutron_lib", True)
    assert wheel.is_met_by("neutron_lib-3.1-py3-none-any.whl")
    assert not wheel.is_met_by("neutron-3.1-py3-none-any.whl")
    exact = one("a-1-py3-none-any.whl|whl|https://h/a.whl")
    assert exact.is_met_by("a-1-py3-none-any.whl")
    assert not exact.is_met_by("a-1-py2-none-any.whl")


@pytest.mark.parametrize("end", ["", " # comment", "#more"])
def test_a_digest_behind_the_url_is_kept(end: str) -> None:
    wheel = one(f"a-1-py3-none-any.whl|whl|https://h/a.whl#sha256={SHA.upper()}{end}")
    assert (wheel.url, wheel.sha256) == ("https://h/a.whl", SHA)
    wheel = one(f"a-1-py3-none-any.whl|tar|https://h/a.tgz#sha256={SHA}|a|fix_setup{end}")
    assert (wheel.url, wheel.sha256, wheel.basedir, wheel.fix_setup) == ("https://h/a.tgz", SHA, "a", True)


@pytest.mark.parametrize("comment", [f"#x#sha256={SHA}", f" #sha256={SHA}", f"#sha256={SHA}0", "#sha256=12", "#egg=a"])
def test_anything_else_behind_a_hash_is_a_comment(comment: str) -> None:
    wheel = one(f"a-1-py3-none-any.whl|whl|https://h/a.whl{comment}|x")
    assert (wheel.url, wheel.sha256) == ("https://h/a.whl", "")


def test_a_mark_for_the_server_is_left_open() -> None:
    wheel = one("a-1-py3-none-any.whl|whl|@PYPI_FILES@/packages/a.whl")
    assert (wheel.url, wheel.unfilled) == ("@PYPI_FILES@/packages/a.whl", "@PYPI_FILES@")
    assert one("a-1-py3-none-any.whl|whl|https://h/a.whl").unfilled == ""


def test_one_module_in_two_versions_is_told_and_no_mistake() -> None:
    wheels = parse(
        "Zope.x-1-py3-none-any.whl|whl|https://h/1.whl\nzope_x-2-py3-none-any.whl|whl|https://h/2.whl\n"
        "a-1-py3-none-any.whl|whl|https://h/a.whl\n"
    )
    assert repeated_modules(wheels) == {"zope-x": wheels[:2]}


def test_a_line_that_comes_twice_counts_once_and_another_source_is_a_mistake() -> None:
    line = "a-1-py3-none-any.whl|tar|https://h/a.tgz|a\n"
    assert one(line * 3).line == 1
    assert mistakes(line + "#\n" + line.replace("tgz|a", "tgz|b")) == [
        "w.cfg:3:1: a-1-py3-none-any.whl comes from another source in line 1"
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a-1-py3-none-any.whl", "1: 'a-1-py3-none-any.whl' has no '|': name.whl|kind|url... expected"),
        (" a-1-py3-none-any.whlpypi|https://h/a.whl",
         "22: a '|' is missing between a-1-py3-none-any.whl and pypi"),
        ("a-1-py3-none-any.whl|tar|https://h/a.tgz",
         "26: basedir is missing, or a '|': name.whl|tar|url|basedir[|fix_setup] expected"),
        ("a-1-py3-none-any.whl|tar|https://h/a.tgz|fix_setup",
         "42: basedir is missing, or a '|': name.whl|tar|url|basedir[|fix_setup] expected"),
        ("a-1-py3-none-any.whl|tar|https://h/a.tgz a|fix_setup",
         "44: basedir is missing, or a '|': name.whl|tar|url|basedir[|fix_setup] expected"),
        ("a-1-py3-none-any.whl|git|https://h/a|a|fix_setup",
         "40: branch is missing, or a '|': name.whl|git|repo-url|basedir|branch[|fix_setup] expected"),
        ("a-1-py3-none-any.whl|git|https://h/a|a", ("38: branch is missing, or a '|': "
         "name.whl|git|repo-url|basedir|branch[|fix_setup] expected")),
        ("a-1-py3-none-any.whl|git|https://h/a|a|", "40: the branch, tag or commit is missing"),
        ("a-1-py3-none-any.whl|git|https://h/a|a|-x",
         "40: the git ref '-x' starts with a dash: git would read it as an option"),
        ("a-1-py3-none-any.whl|git|ext::sh|a|x",
         "26: the module source 'ext::sh' names a git remote helper, which may run any program"),
        ("a-1-py3-none-any.whl|git|a/b|a|x",
         "26: 'a/b' is no git repository: https://, http://, ssh://, file:// or user@host:path"),
        ("a-1-py3-none-any.whl|Tar|https://h/a.tgz|a",
         "22: 'Tar' is no kind of source: git, tar, zip, pypi or whl expected; did you mean tar?"),
        ("a-1-py3-none-any.whl||https://h/a.tgz|a",
         "22: '' is no kind of source: git, tar, zip, pypi or whl expected"),
        ("a-1-py3-none-any.whl|pypi|https://h/a.whl|fix_setup",
         "43: 'fix_setup' is not expected here: name.whl|pypi|url"),
        ("a-1-py3-none-any.whl|zip|https://h/a.zip|a|fixsetup",
         "44: 'fixsetup' is not expected here: name.whl|zip|url|basedir[|fix_setup]"),
        ("a-1-py3-none-any.whl|zip|https://h/a.zip|a|fix_setup|x",
         "54: 'x' is not expected here: name.whl|zip|url|basedir[|fix_setup]"),
        ("a-1-py3-none-any.whl|whl|", "26: the URL is missing"),
        ("a-1-py3-none-any.whl|whl|https://u:secret@h/a b.whl", "26: 'https://h/a b.whl' is no URL: it holds a blank"),
        ("a-1-py3-none-any.whl|whl|ftp://h/a.whl",
         "26: 'ftp://h/a.whl' is no URL that a file can be fetched from: http://, https:// or file://"),
        ("a-1-py3-none-any.whl|whl|https:///a.whl", "26: 'https:///a.whl' names no file"),
        ("a-1-py3-none-any.whl|tar|https://h/a.tgz|../a",
         "42: '../a' is no folder inside the source: a relative path without .. is expected"),
        ("a-1-py3-none-any.whl|tar|https://h/a.tgz|/a",
         "42: '/a' is no folder inside the source: a relative path without .. is expected"),
        ("|whl|https://h/a.whl", "1: the wheel's name is missing"),
        ("a-1|whl|https://h/a.whl", "1: 'a-1' is not the name of a wheel, which ends in .whl"),
        ("*.whl|whl|https://h/a.whl",
         "1: '*.whl': a wildcard may stand for version and tags only, as in neutron_lib-*.whl"),
        ("a/b-*.whl|whl|https://h/a.whl",
         "1: 'a/b-*.whl': a wildcard may stand for version and tags only, as in neutron_lib-*.whl"),
        ("a|whl|b|c", ("1: 'a' is not the name of a wheel, which ends in .whl; "
         "column 9: 'c' is not expected here: name.whl|pypi|url")),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_one_mistake_with_its_column(line: str, expected: str) -> None:
    assert mistakes(f"#\n{line} # comment\n") == [f"w.cfg:2:{expected}"]


def test_many_lines_with_many_mistakes() -> None:
    good = [f"m{number}-1-py3-none-any.whl|whl|https://h/m{number}.whl" for number in range(2000)]
    lines = [line.replace("|whl|", "|wheel|") if number % 40 == 0 else line for number, line in enumerate(good)]
    found = mistakes("\n".join(lines))
    assert len(found) == 50
    assert found[1].startswith("w.cfg:41:24: 'wheel' is no kind of source")


NAME = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=5)
BLANK = st.text(" \t", max_size=2)


@given(
    st.lists(
        st.tuples(NAME, st.sampled_from(["git", "tar", "zip", "pypi", "whl"]), NAME, st.booleans(), BLANK),
        max_size=6,
        unique_by=lambda fields: fields[0],
    )
)
def test_what_is_written_is_read(lines: list[tuple[str, str, str, bool, str]]) -> None:
    text, expected = "", []
    for number, (name, kind, folder, fix, blank) in enumerate(lines, 1):
        url = f"https://h/{name}"
        fields = [f"{name}-1-py3-none-any.whl", kind, url]
        fields += [] if kind in {"pypi", "whl"} else [folder]
        fields += ["main"] if kind == "git" else []
        fixed = fix and kind not in {"pypi", "whl"}
        text += f"{blank}|{blank}".join(fields + ["fix_setup"] * fixed) + f"{blank}#x\n"
        expected.append((fields[0], kind.replace("whl", "pypi"), url, fixed, number))
    found = [(wheel.wheel, wheel.kind.value, wheel.url, wheel.fix_setup, wheel.line) for wheel in parse(text)]
    assert found == expected


@given(st.text("ab-1.whl|gitarzpy #*\t\n:/@", max_size=60))
def test_any_text_is_read_or_told(text: str) -> None:
    lines = text.split("\n")
    places: list[tuple[int, int]] = []
    try:
        parse(text)
    except ProblemsError as error:
        places = [(problem.line, problem.column) for problem in error.problems]
    assert len({line for line, _ in places}) == len(places)
    assert all(1 <= column <= len(lines[line - 1]) + 1 for line, column in places)
