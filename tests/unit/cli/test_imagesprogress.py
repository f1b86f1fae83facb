# SPDX-License-Identifier: Apache-2.0
"""How a run of images is followed: by lines, and by a table on a terminal."""

import io
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from stxbuildah.cli.imagesprogress import Table, shown
from stxbuildah.model.imagesrun import ImageProgress, ImageState

ROOT = Path(__file__).parents[3]
EVENTS = (
    ImageProgress(label="a", state=ImageState.WAITING),
    ImageProgress(label="b", state=ImageState.WAITING),
    ImageProgress(label="a", state=ImageState.BUILDING, seconds=2, reason="base changed"),
    ImageProgress(label="a", state=ImageState.BUILDING, seconds=3, step="installing\tpackages"),
    ImageProgress(label="a", state=ImageState.BUILT, seconds=65),
    ImageProgress(label="a", state=ImageState.PUSHING, seconds=65),
    ImageProgress(label="a", state=ImageState.BUILT, seconds=70),
    ImageProgress(label="b", state=ImageState.FAILED, seconds=71, reason="it \x1b[31mfails\nfor many reasons"),
)


@pytest.mark.parametrize(
    ("quiet", "verbose", "lines"),
    [
        (True, False, []),
        (
            False, False,
            ["0:02 building a: base changed", "1:05 built a", "1:05 pushing a", "1:10 built a",
             "1:11 failed b: it \\x1b[31mfails"],
        ),
        (
            False, True,
            ["0:02 building a: base changed", "0:03 building a: installing packages", "1:05 built a",
             "1:05 pushing a", "1:10 built a", "1:11 failed b: it \\x1b[31mfails"],
        ),
    ],
)  # fmt: skip
def test_without_a_terminal_each_change_has_a_line(
    quiet: bool, verbose: bool, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with shown(quiet=quiet, verbose=verbose) as follow:
        for event in EVENTS:
            follow(event)
    told = capsys.readouterr()
    assert (told.out, told.err.splitlines()) == ("", lines)


def drawn(table: Table, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, legacy_windows=False)
    with console.capture() as captured:
        console.print(table, height=height)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_table_shows_first_what_something_happens_to() -> None:
    table = Table()
    for event in (
        *EVENTS,
        ImageProgress(label="c", state=ImageState.WAITING),
        ImageProgress(label="d", state=ImageState.BUILDING, reason="it is not in the local store"),
        ImageProgress(label="e", state=ImageState.PUSHING),
        ImageProgress(label="[bold]f", state=ImageState.LEFT_OUT, reason="it is built from b, which failed"),
    ):
        table.tell(event)
    head, *rows = drawn(table)
    assert head == "0:00  1 building, 1 pushing, 1 failed, 1 left out, 1 waiting, 1 built"
    assert rows == [
        "building  d         0:00  it is not in the local store",
        "pushing   e         0:00",
        "failed    b               it \\x1b[31mfails",
        "left out  [bold]f         it is built from b, which failed",
        "waiting   c",
        "built     a         0:00",
    ]


def test_as_many_rows_as_fit() -> None:
    table = Table()
    for number in range(30):
        table.tell(ImageProgress(label=f"stx-{number:02}", state=ImageState.WAITING))
    table.tell(ImageProgress(label="stx-29", state=ImageState.BUILDING, step="installing " + "very " * 30))
    lines = drawn(table, width=40, height=8)
    assert len(lines) == 7
    assert max(map(len, lines)) <= 40
    assert lines[1].startswith("building  stx-29   0:00  installing")
    assert lines[1].endswith("…")
    assert [line.split() for line in lines[2:6]] == [["waiting", f"stx-{number:02}"] for number in range(4)]
    assert lines[6] == "and 25 waiting"


ON_A_TERMINAL = """
import threading
from stxbuildah.cli.imagesprogress import shown
from stxbuildah.model.imagesrun import ImageProgress, ImageState
def work(label):
    for step in ("one", "two", "three"):
        follow(ImageProgress(label=label, state=ImageState.BUILDING, step=step))
with shown(quiet=False) as follow:
    threads = [threading.Thread(target=work, args=(f"stx-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("ended")
"""


def test_on_a_terminal_the_table_goes_when_the_run_has_ended() -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL], stdout=slave, stderr=slave, cwd=ROOT, env=environment
    ) as process:
        os.close(slave)
        shown_on_it = b""
        # A terminal whose other end has gone is an error to read.
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            shown_on_it += piece
    os.close(master)
    assert process.returncode == 0, shown_on_it
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown_on_it.decode())
    assert "8 building" in text
    assert all(re.search(rf"building +stx-{number} +0:\d\d +three", text) for number in range(8)), text
    assert shown_on_it.rstrip().endswith(b"ended")


def test_what_is_told_from_many_threads_is_all_there(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(quiet=False) as follow:
        threads = [
            threading.Thread(target=follow, args=(ImageProgress(label=f"{number}", state=ImageState.BUILT),))
            for number in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(capsys.readouterr().err.splitlines()) == sorted(f"0:00 built {number}" for number in range(20))
