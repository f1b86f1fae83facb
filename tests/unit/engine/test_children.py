# SPDX-License-Identifier: Apache-2.0
"""Programs of a run's threads, ended together."""

import queue
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from stxbuildah.engine.children import Children
from stxbuildah.engine.process import PIPE, Completed, ProcessError, Runner
from stxbuildah.errors import InterruptedByUserError

# The shell's own child holds the output open until it is ended, too.
WITH_A_CHILD = ["sh", "-c", "sleep 1000 & echo begun >&2; wait"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo begun >&2; while :; do sleep 1; done"]


class Running:
    """A program that runs in a thread of its own until it has ended."""

    def __init__(self, argv: Sequence[str], *, children: Children | None, tidying: bool = False) -> None:
        self.begun = threading.Event()
        self._answers: queue.SimpleQueue[Completed | BaseException] = queue.SimpleQueue()
        runner = Runner(on_line=lambda _: self.begun.set(), children=children, tidying=tidying)
        threading.Thread(target=self._run, args=(runner, argv), daemon=True).start()
        self.begun.wait()

    def _run(self, runner: Runner, argv: Sequence[str]) -> None:
        try:
            self._answers.put(runner.run(argv))
        except BaseException as error:  # noqa: BLE001 # it is what is asked for
            self._answers.put(error)

    def answer(self) -> Completed | BaseException:
        return self._answers.get()


def test_all_are_ended_with_what_they_have_started_and_say_so() -> None:
    children = Children()
    running = [Running(WITH_A_CHILD, children=children) for _ in range(3)]
    assert not children.ended
    children.end(grace=600)
    for one in running:
        error = one.answer()
        assert isinstance(error, InterruptedByUserError), error


def test_one_that_does_not_go_is_killed() -> None:
    children = Children()
    running = Running(STUBBORN, children=children)
    children.end(grace=0.1)
    assert isinstance(running.answer(), InterruptedByUserError)


def test_what_has_left_the_group_of_one_that_does_not_go_is_killed_too(tmp_path: Path) -> None:
    # As a container is: in a session of its own, with a parent that nothing ends but SIGKILL.
    number = tmp_path / "number"
    contained = f"setsid sh -c 'echo $$ > {number}; exec sleep 1000'"
    awaited = f"while [ ! -s {number} ]; do sleep 0.01; done"
    script = f"trap '' TERM; {contained} & {awaited}; echo begun >&2; while :; do sleep 1; done"
    children = Children()
    running = Running(["sh", "-c", script], children=children)
    children.end(grace=0.1)
    assert isinstance(running.answer(), InterruptedByUserError)
    # It is nobody's child any more; whoever takes such over may not have waited for it yet.
    status = Path(f"/proc/{number.read_text().strip()}/stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_nothing_more_is_started_but_what_cleans_up() -> None:
    children = Children()
    children.end()
    runner = Runner(children=children)
    with pytest.raises(InterruptedByUserError):
        runner.run(["true"])
    with pytest.raises(InterruptedByUserError):
        runner.start(["true"])
    tidying = Runner(children=children, tidying=True)
    assert tidying.run(["echo", "done"]).stdout == b"done\n"


def test_what_cleans_up_and_what_is_needed_for_it_runs_on(tmp_path: Path) -> None:
    children = Children()
    go = tmp_path / "go"
    waiting = ["sh", "-c", 'echo begun >&2; until test -e "$0"; do sleep 0.1; done; echo done', str(go)]
    cleaning = Running(waiting, children=children, tidying=True)
    needed = Runner(children=children).start(["cat"], stdin=PIPE, apart=True)
    assert needed.stdin is not None
    assert needed.stdout is not None
    children.end()
    go.touch()
    ended = cleaning.answer()
    assert isinstance(ended, Completed), ended
    assert ended.stdout == b"done\n"
    with closing(needed.stdin):
        needed.stdin.write(b"still here\n")
    with needed:
        assert needed.stdout.read() == b"still here\n"


def test_no_interrupt_of_a_terminal_reaches_them() -> None:
    code = "import os, sys; sys.exit(os.getpgrp() != os.getpid())"
    assert Runner(children=Children()).run(["python3", "-c", code]).returncode == 0


def test_a_program_that_takes_too_long_is_ended_with_what_it_has_started() -> None:
    with pytest.raises(ProcessError) as caught:
        Runner(children=Children()).run(WITH_A_CHILD, timeout=0.5)
    assert caught.value.details[-1] == "no end after 0.5 seconds"
