# SPDX-License-Identifier: Apache-2.0
"""Places, flags and mistakes of the parser; the values are compared with bash in a file of their own."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.shellvars import MAXIMUM_LENGTH, Assignment, parse_assignments
from stxbuildah.errors import ProblemsError

NEEDS = "this file is read, not executed: write the value out"


def mistakes(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ProblemsError) as caught:
        parse_assignments(text, "d.cfg")
    assert {problem.source for problem in caught.value.problems} == {"d.cfg"}
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


def test_every_assignment_is_given_with_its_place() -> None:
    assert parse_assignments("\nA=1  B='x\ny'\n export A+=$B$NONE\n", "f") == (
        Assignment(key="A", value="1", line=2, column=1),
        Assignment(key="B", value="x\ny", line=2, column=6),
        Assignment(key="A", value="1x\ny", line=4, column=9, appended=True, missing=("NONE",)),
    )


def test_empty_differs_from_absent() -> None:
    assert parse_assignments('A=""\nB=\n', "f") == (
        Assignment(key="A", value="", line=1, column=1),
        Assignment(key="B", value="", line=2, column=1),
    )


def test_closing_parenthesis_on_the_line_that_ends_a_document() -> None:
    (only,) = parse_assignments("A=\"$(base64 -w0 <<'EOL'\nhello\nEOL)\"", "f")
    assert only.value == base64.b64encode(b"hello\n").decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=$(date)", (1, 3, f"a command substitution needs a shell; {NEEDS}")),
        ('A="x $(cat "y z" \')\')"', (1, 6, f"a command substitution needs a shell; {NEEDS}")),
        ("A=`date`", (1, 3, f"a command substitution needs a shell; {NEEDS}")),
        ('A="`a \\` b`"', (1, 4, f"a command substitution needs a shell; {NEEDS}")),
        ("A=$((1+1))", (1, 3, f"arithmetic needs a shell; {NEEDS}")),
        ("A=$[1+1]", (1, 3, f"arithmetic needs a shell; {NEEDS}")),
        ("A=${B:-x}", (1, 3, f"only ${{NAME}} is understood here; {NEEDS}")),
        ('A="${B%"}"}"', (1, 4, f"only ${{NAME}} is understood here; {NEEDS}")),
        ("A=$1", (1, 3, f"$1 needs a shell; {NEEDS}")),
        ("A=$$", (1, 3, f"$$ needs a shell; {NEEDS}")),
        ("A=x${HOME}", (1, 4, f"$HOME is set by a shell; {NEEDS}")),
        ("A=(b\nc)", (1, 3, f"an array needs a shell; {NEEDS}")),
        ("A=b | c 'd\ne'", (1, 5, "'|' needs a shell; quote it if it belongs to the value")),
        ("A=b>c", (1, 4, "'>' needs a shell; quote it if it belongs to the value")),
        ("A=1&", (1, 4, "'&' needs a shell; quote it if it belongs to the value")),
        ("A=~/x", (1, 3, "a shell replaces this tilde by a folder; write it out, or quote it")),
        ("A=b:~", (1, 5, "a shell replaces this tilde by a folder; write it out, or quote it")),
        ("A = b", (1, 1, "'A' is a command; only KEY=value is allowed here, with no blank before =")),
        ("A=a b", (1, 5, "'b' is not KEY=value; quote the whole value if it belongs to the one before")),
        ("A=a =b", (1, 5, "no blank may stand before =")),
        ("A-B=1", (1, 1, "'A-B=1' does not begin with the name of a key")),
        ("'A'=1", (1, 1, "'A=1' does not begin with the name of a key")),
        ("rm -rf /", (1, 1, "'rm' is a command; only KEY=value is allowed here, with no blank before =")),
        ("export -p", (1, 8, "export is understood with KEY=value and KEY only")),
        ("export A={a,b}", (1, 8, "export expands braces: quote the value")),
        ("PATH=/x", (1, 1, "PATH belongs to the shell and cannot be a key")),
        ("A='x\n\n", (1, 3, "the single quote that opens here is never closed")),
        ('A=\n B="x\n', (2, 4, "the double quote that opens here is never closed")),
        ("A=$'x", (1, 3, "the quote that opens here is never closed")),
        ("A=`x", (1, 3, f"a command substitution needs a shell; {NEEDS}")),
        ("A=x\\", (1, 4, "a backslash ends the file")),
        ("A=1\r\nB=2", (1, 4, "a carriage return: save the file with Unix line ends")),
        ("A=1;;B=2", (1, 4, "two semicolons end no assignment")),
        ("; A=1", (1, 1, "nothing stands before this semicolon")),
        ("A=$'\\xff'", (1, 5, "this escape stands for no single character: write the character itself")),
        ("A=$'\\0'", (1, 5, "this escape stands for no single character: write the character itself")),
        ("A=$'\\c\\'", (1, 5, "this control character is not understood: write it as \\x and two digits")),
        ("\ufeffA=1", (1, 1, "a byte order mark begins the file: save it as UTF-8 without one")),
        ("A=1\nB=\0", (2, 3, "a zero byte: this is no text file")),
        ("A=$(base64 -w0 <<EOL\nx\nEOL\n)", (1, 3, f"a command substitution needs a shell; {NEEDS}")),
        ("A=$(base64 -w0 <<'EOL'\nx\n)", (1, 3, f"a command substitution needs a shell; {NEEDS}")),
        ("A=$(base64 -w0 <<'E'\nx\nE\nrm /)", (1, 3, f"a command substitution needs a shell; {NEEDS}")),
    ],
)
def test_what_needs_a_shell_is_told_with_its_place(text: str, expected: tuple[int, int, str]) -> None:
    assert mistakes(text)[0] == expected


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "A=$(x)\nB=fine\nfoo bar\nC=`y` D=~ E=(1\n2) F='not seen'\nG=ok\nH=\"\n"
    assert [(line, column) for line, column, _ in mistakes(text)] == [(1, 3), (3, 1), (4, 3), (4, 9), (4, 13), (7, 3)]


def test_a_file_without_end_is_refused_at_once() -> None:
    assert mistakes("#" * (MAXIMUM_LENGTH + 1)) == [
        (1, 1, f"longer than {MAXIMUM_LENGTH} characters: this is no file of assignments")
    ]


@given(st.text("A=$(){}[]`'\"\\;&|<>#~\n e0xu\0\r"))
def test_any_text_gives_assignments_or_mistakes_within_the_file(text: str) -> None:
    lines = text.split("\n")
    try:
        assignments = parse_assignments(text, "f")
    except ProblemsError as error:
        places = [(problem.line, problem.column) for problem in error.problems]
        assert places
    else:
        places = [(assignment.line, assignment.column) for assignment in assignments]
    assert places == sorted(places)
    assert all(1 <= column <= len(lines[line - 1]) + 1 for line, column in places)
