# SPDX-License-Identifier: Apache-2.0
"""Measurements take turns, count the largest process, and keep what people wrote around their tables."""

import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from benchmarks.measure import Command, MeasuredCommandError, Sample, Summary, interleave, ratio
from benchmarks.report import BEGIN, END, write

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def summary(name: str, *seconds: float) -> Summary:
    return Summary(name=name, samples=tuple(Sample(seconds=value, kibibytes=1) for value in seconds))


def test_commands_take_turns_after_one_unmeasured_round(tmp_path: Path) -> None:
    order: list[str] = []
    commands = [
        Command(name=name, script=(("true",),), prepare=lambda number, name=name: order.append(f"{name}{number}"))  # type: ignore[misc]
        for name in ("a", "b")
    ]
    found = interleave(commands, rounds=2, environment=ENVIRONMENT, log=tmp_path / "log", epochs=count(1_700_000_000))
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert [(one.name, len(one.samples)) for one in found] == [("a", 2), ("b", 2)]


def test_each_round_has_a_date_of_its_own(tmp_path: Path) -> None:
    command = Command(name="date", script=(("sh", "-c", "echo $SOURCE_DATE_EPOCH"),))
    interleave([command], rounds=2, environment=ENVIRONMENT, log=tmp_path / "log", epochs=count(1_700_000_000))
    assert (tmp_path / "log").read_text().split() == ["1700000000", "1700000001", "1700000002"]


MEASURED = """
import sys
from pathlib import Path
from benchmarks.measure import Command, interleave
hungry = "import os\\nif os.fork() == 0:\\n    x = b'1' * (120 << 20)\\nelse:\\n    os.wait()"
script = ((sys.executable, "-I", "-c", hungry), ("true",))
commands = [Command(name="hungry", script=script)]
(found,) = interleave(commands, rounds=1, environment={}, log=Path(sys.argv[1]), epochs=iter(range(9)))
print(found.mebibytes)
"""


def test_memory_is_that_of_the_largest_process_of_the_tree(tmp_path: Path) -> None:
    # By a small process: what is started counts what its parent had before it became another program.
    argv = [sys.executable, "-c", MEASURED, str(tmp_path / "log")]
    measured = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 120 < float(measured.stdout) < 240


def test_a_command_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    command = Command(name="failing", script=(("false",),))
    with pytest.raises(MeasuredCommandError, match="false: exit status 1"):
        interleave([command], rounds=1, environment=ENVIRONMENT, log=tmp_path / "log", epochs=count(1_700_000_000))


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert ratio(summary("ours", 1, 2, 9), summary("theirs", 2, 2, 3)) == 1


def test_only_the_part_between_the_markers_is_written(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert list(tmp_path.iterdir()) == [page]


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("before\n")
    with pytest.raises(ValueError, match="must hold the lines"):
        write(page, "new")
    assert page.read_text() == "before\n"
