# SPDX-License-Identifier: Apache-2.0
"""What the parser accepts, bash reads the same way: tried on generated files with the real bash."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stxbuildah.directive.shellvars import parse_assignments
from stxbuildah.errors import Problem, ProblemsError

BASH = shutil.which("bash") or ""
BASE64_FOLDER = Path(shutil.which("base64") or "/usr/bin/base64").parent
SET_BY_BASH = frozenset({"PWD", "SHLVL", "_", "OLDPWD", "LC_ALL", "PATH"})

pytestmark = pytest.mark.skipif(not BASH, reason="bash is not installed")


def by_bash(text: str, *, path: str = "/nonexistent") -> dict[str, str]:
    """Source a file in an empty environment. PATH holds no program, so that nothing is ever run by accident."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "file")
        file.write_bytes(text.encode())
        completed = subprocess.run(
            [BASH, "--norc", "-c", 'set -a; . "$0" || exit; exec /usr/bin/env -0', file],
            cwd=folder,
            env={"LC_ALL": "C.UTF-8", "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
    assert (completed.returncode, completed.stderr) == (0, b""), completed.stderr
    pairs = (entry.split("=", 1) for entry in completed.stdout.decode().split("\0") if entry)
    return {key: value for key, value in pairs if key not in SET_BY_BASH}


def by_us(text: str) -> dict[str, str]:
    return {assignment.key: assignment.value for assignment in parse_assignments(text, "file")}


KEYS = st.sampled_from(["A", "B", "_c1", "WHEELS"])
BLANKS = st.text(" \t", min_size=1, max_size=2)
PLAIN = st.text("ab1/.,=:#{}[]!*?^%@+-é ", max_size=6)
PIECES = st.one_of(
    st.text("ab1/.,=[]!*?^%@+-é{}", min_size=1, max_size=6),
    PLAIN.map(lambda text: f"'{text}'"),
    st.text("ab #;&|()<>\n~é'", max_size=6).map(lambda text: f'"{text}"'),
    st.sampled_from([r"\ ", r"\"", r"\'", r"\\", r"\$", r"\#", r"\a", "\\\n", "$,"]),
    st.sampled_from([r'"\$\`\"\\\a"', '"\\\n"', '"$"', '"\'"', '"$A"', '"${B}x"', "$A", "${_c1}", "${A}$B"]),
    st.sampled_from([r"$'a\n\t\\\''", r"$'\x41\101\u00e9\q\cA'", "$'a\\\nb'", '$"hello $A"']),
)
VALUES = st.lists(PIECES, max_size=4).map("".join)
ASSIGNMENTS = st.builds("{}{}{}".format, KEYS, st.sampled_from(["=", "=", "=", "+="]), VALUES)
COMMENTS = st.text("ab'\"`$()\\;# ", max_size=8).map(lambda text: f" #{text}")
COMMANDS = st.one_of(
    st.lists(ASSIGNMENTS, min_size=1, max_size=3).flatmap(lambda words: BLANKS.map(lambda blank: blank.join(words))),
    ASSIGNMENTS,
    COMMENTS,
)
LINES = st.tuples(COMMANDS, st.sampled_from(["\n", "\n", "\n\n", " ;\\\n", " # c\n", " \\\n \n"])).map("".join)


@given(st.lists(LINES, max_size=5).map("".join))
@settings(max_examples=150, deadline=None)
@example("A=\\\n\nB=x\\\n#y # z\nA+=$B")
def test_files_of_the_supported_kind_read_as_bash_reads_them(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        assert by_us(text) == by_bash(text)
    except ProblemsError as error:
        problems = error.problems
    # The generator can put a semicolon where none may stand; nothing else.
    assert {problem.message for problem in problems} <= {"nothing stands before this semicolon"}


@given(st.text("AB==='\"\\$# ;:~\n{}ax+", max_size=24))
@settings(max_examples=400, deadline=None)
@example('A="$B"~')
@example("A=x:'~'~")
@example("export A=1 B=$A\n")
def test_whatever_is_accepted_reads_as_bash_reads_it(text: str) -> None:
    try:
        ours = by_us(text)
    except ProblemsError:
        return
    assert ours == by_bash(text)


@pytest.mark.parametrize(
    "text",
    [
        "A=1 B=$A C=$B$C\nA=2; export D=$A E=$D\nexport A D\n",
        "export A='{a,b}' B=\"{1..3}\" C=\\{\n",
        "A={a,b} B=* C=[ab]* D=a\\{b\n",
        "A=a=~ B=a~b C='~' D=\"~/x\" E=\\~ F=':~'\n",
        "A=x\\\ny\\\n\nB=\"x\\\n  y\"\nC='x\\\ny'\n",
        "A=\"a\n\tb\n\"; B='\n'\n",
        "A= # comment\nB=x#y # comment \\\nC= # 'not open\n",
        "\n\n  # only\n\tA=1\t\n ",
        "A\\\n=1\nex\\\nport B=2\nC=$\\\nA$\\\n{A}\n",
        "A=1;B=2 ;C=3;\n",
        "A=\\\"quoted\\\" B=\\\\ C='it'\\''s' D=a\\ b\n",
        "A=\ud7ff\U0001f600é\n",
        "",
    ],
)
def test_table(text: str) -> None:
    assert by_us(text) == by_bash(text)


@pytest.mark.parametrize("quoted", ["'EOL'", '"EOL"', "\\EOL"])
@pytest.mark.parametrize("tabs", ["", "-"])
def test_encoded_document(quoted: str, tabs: str) -> None:
    text = (
        f'A="echo $(base64 -w0 <<{tabs}{quoted}\n\tif [ "x" = $y ]; then \\\n  echo `it\'s`)\nEOLx\nfi\nEOL\n'
        f') | base64 -d > /x"\nB=$(base64 --wrap=0 << {quoted}\n{"z" * 100}\nEOL\n)\n'
    )
    expected = by_bash(text, path=str(BASE64_FOLDER))
    assert by_us(text) == expected
    assert len(expected["B"]) > 76
