# SPDX-License-Identifier: Apache-2.0
"""How a program's end is judged; the lines are what buildah 1.28 and runc 1.1 were seen to write."""

import pytest

from stxbuildah.engine.process import Completed
from stxbuildah.engine.startjudgement import judge_start

STATUS = "Error: while running runtime: exit status {}"
RUNC = 'time="2026-11-21T19:53:57Z" level=error msg="runc create failed: unable to start container process: exec: {}"'


def ended(status: int, *lines: str) -> Completed:
    return Completed(argv=("buildah",), returncode=status, stdout=b"", tail=lines)


@pytest.mark.parametrize(
    ("completed", "sentence"),
    [
        (ended(0), "ended with exit status 0"),
        (ended(1, "container exited on killed", STATUS.format(1), "no end after 2 seconds"),
         "still running after 2 seconds"),
        (ended(1, "hi", "subprocess exited on killed", "Error: exit status 1", "no end after 2 seconds"),
         "still running after 2 seconds"),
        (ended(7, STATUS.format(7)), "ended with exit status 7"),
        (ended(7, "subprocess exited with status 7", "Error: exit status 7"), "ended with exit status 7"),
        (ended(1, "no settings file", STATUS.format(1)), "ended with exit status 1: no settings file"),
    ],
)  # fmt: skip
def test_what_was_started(completed: Completed, sentence: str) -> None:
    start = judge_start(completed, 2)
    assert (start.good, start.sentence) == (True, sentence)


@pytest.mark.parametrize(
    ("completed", "sentence"),
    [
        (ended(1, "error running container: from /usr/bin/runc creating container for [/no/such]: level=warning",
               RUNC.format(r"\"/no/such\": stat /no/such: no such file or directory"), ": exit status 1"),
         'could not be started: exec: "/no/such": stat /no/such: no such file or directory'),
        (ended(1, RUNC.format(r"\"nosuch\": executable file not found in $PATH")),
         'could not be started: exec: "nosuch": executable file not found in $PATH'),
        (ended(1, "process failed to start with error: fork/exec /etc/passwd: permission denied"
                  "process exited with error: exec: not startedsubprocess exited with status 1", "Error: x"),
         "could not be started: fork/exec /etc/passwd: permission denied"),
        (ended(1, "exec /usr/local/bin/serve: no such file or directory", STATUS.format(1)),
         "could not be started: exec /usr/local/bin/serve: no such file or directory"),
        (ended(1, "exec /run-me: exec format error"), "could not be started: exec /run-me: exec format error"),
        (ended(125, 'Error: determining run uid: user: unknown user error looking up user "nosuchuser"'),
         'could not be started: user: unknown user error looking up user "nosuchuser"'),
        (ended(1, "container exited on segmentation fault", STATUS.format(1)),
         "was ended by a signal: segmentation fault"),
        (ended(1, "subprocess exited on segmentation fault", "subprocess exited with status 1"),
         "was ended by a signal: segmentation fault"),
        (ended(127, "python3: error while loading shared libraries: libz.so.1: cannot open shared object file"),
         "is broken: python3: error while loading shared libraries: libz.so.1: cannot open shared object file"),
        (ended(1, "Traceback (most recent call last):", "ModuleNotFoundError: No module named 'nova'", "Error: x"),
         "is broken: ModuleNotFoundError: No module named 'nova'"),
        (ended(127, "sh: 1: serve: not found"), "ended with exit status 127: sh: 1: serve: not found"),
        (ended(125, "Error: something else"), "ended with exit status 125"),
        (ended(-9), "ended with exit status -9"),
    ],
)  # fmt: skip
def test_what_was_not(completed: Completed, sentence: str) -> None:
    start = judge_start(completed, 2)
    assert (start.good, start.sentence) == (False, sentence)
