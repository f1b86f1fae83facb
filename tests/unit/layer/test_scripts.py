# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest

from stxbuildah.layer.record import read_record, write_record
from stxbuildah.layer.scripts import entry_point_script, read_entry_points, shebang, with_interpreter
from stxbuildah.model.wheel import EntryPoint

LONGEST = "/" + "p" * 123


@pytest.mark.parametrize(
    ("interpreter", "first_line"),
    [
        ("/usr/bin/python3", b"#!/usr/bin/python3"),
        (LONGEST, b"#!" + LONGEST.encode()),
        (LONGEST + "p", b"#!/bin/sh"),
        ("/a b/python3", b"#!/bin/sh"),
    ],
)
def test_the_first_line_is_one_that_linux_reads(interpreter: str, first_line: bytes) -> None:
    assert shebang(interpreter).splitlines()[0] == first_line


@pytest.mark.parametrize("folder", ["plain", "with blank and 'quote'", "long" * 40])
def test_scripts_run_by_their_first_line(tmp_path: Path, folder: str) -> None:
    interpreter = tmp_path / folder / "python3"
    interpreter.parent.mkdir()
    interpreter.symlink_to(sys.executable)
    rewritten, generated = tmp_path / "rewritten", tmp_path / "generated"
    rewritten.write_bytes(with_interpreter(b"#!python\nimport sys\nprint(sys.argv[1:])\n", str(interpreter)))
    point = EntryPoint(name="generated", module="platform", attribute="python_implementation")
    generated.write_bytes(entry_point_script(point, str(interpreter)))
    for script in (rewritten, generated):
        script.chmod(0o755)

    ran = subprocess.run([rewritten, "a b", "c"], capture_output=True, text=True, check=True)
    returned = subprocess.run([generated], capture_output=True, text=True, check=False)

    assert ran.stdout == "['a b', 'c']\n"
    # An entry point that returns a text ends with it on standard error.
    assert (returned.returncode, returned.stderr) == (1, "CPython\n")


@pytest.mark.parametrize("script", [b"", b"#!/bin/sh\n", b"\x7fELF", b"# python\n"])
def test_a_script_of_another_language_stays(script: bytes) -> None:
    assert with_interpreter(script, "/usr/bin/python3") == script


def test_names_of_entry_points_keep_their_case_and_percent_signs() -> None:
    problems: list[str] = []

    found = read_entry_points(b"[console_scripts]\nRun%(x)s: it = a:B\n\n; comment\n[x]\ny=z\n", problems.append)

    assert (found, problems) == ((EntryPoint(name="Run%(x)s: it", module="a", attribute="B"),), [])


def test_record_is_sorted_and_quoted_and_read_back() -> None:
    rows = [("b,c.py", "hash", 2), ("a.py", "other", 1)]

    written = write_record(rows, "x-1.dist-info/RECORD")

    assert written == b'a.py,sha256=other,1\n"b,c.py",sha256=hash,2\nx-1.dist-info/RECORD,,\n'
    problems: list[str] = []
    assert {path: (line.digest, line.size) for path, line in read_record(written, problems.append).items()} == {
        "a.py": ("other", 1),
        "b,c.py": ("hash", 2),
    }
    assert problems == []
