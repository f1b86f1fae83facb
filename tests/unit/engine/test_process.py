# SPDX-License-Identifier: Apache-2.0
"""The door to other programs, tried on real ones."""

import os
import pwd
import signal
import sys
import time
from pathlib import Path

import pytest

from stxbuildah.engine.process import TAIL_LINES, ProcessError, Runner, child_environment, describe_exit
from stxbuildah.errors import HostError

PYTHON = sys.executable


def test_output_is_kept_and_the_last_line_needs_no_newline() -> None:
    seen: list[str] = []
    runner = Runner(on_line=seen.append)
    completed = runner.run([PYTHON, "-c", "import sys; print('out'); sys.stderr.write('one\\ntwo')"])
    assert (completed.returncode, completed.stdout, completed.tail) == (0, b"out\n", ("one", "two"))
    assert seen == ["one", "two"]


def test_only_the_last_lines_are_kept_for_the_error() -> None:
    code = "import sys\nfor n in range(100): print(n, file=sys.stderr)\nsys.exit(3)"
    with pytest.raises(ProcessError) as caught:
        Runner().run([PYTHON, "-c", code])
    assert caught.value.completed.tail == tuple(str(n) for n in range(100 - TAIL_LINES, 100))
    assert "exit status 3" in caught.value.message


def test_secrets_are_hidden_in_lines_and_in_the_command() -> None:
    runner = Runner(secrets=("hunter2",))
    with pytest.raises(ProcessError) as caught:
        runner.run([PYTHON, "-c", "import sys; sys.exit('login hunter2 failed')", "--creds", "me:hunter2"])
    shown = f"{caught.value} {caught.value.hint} {caught.value.details}"
    assert "hunter2" not in shown
    assert "me:********" in shown


def test_a_child_sees_the_allow_list_and_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_TOKEN", "secret")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    completed = Runner(extra=(("CONTAINERS_CONF", "/c"),)).run(["env"], extra={"ONE": "1"})
    seen = dict(line.split("=", 1) for line in completed.stdout.decode().splitlines())
    assert "REGISTRY_TOKEN" not in seen
    assert (seen["https_proxy"], seen["CONTAINERS_CONF"], seen["ONE"]) == ("http://proxy.example:3128", "/c", "1")


def test_the_account_is_told_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    assert child_environment()["USER"] == pwd.getpwuid(os.getuid()).pw_name


def test_standard_input_is_closed_or_fed() -> None:
    code = "import sys; print(len(sys.stdin.read()))"
    assert Runner().run([PYTHON, "-c", code]).stdout == b"0\n"
    assert Runner().run([PYTHON, "-c", code], stdin=b"x" * 200_000).stdout == b"200000\n"


def test_a_child_that_does_not_read_its_input() -> None:
    assert Runner().run(["true"], stdin=b"x" * 1_000_000).returncode == 0


def test_a_child_that_takes_too_long_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(ProcessError) as caught:
        Runner().run(["sleep", "600"], timeout=0.2)
    assert time.monotonic() - start < 120
    assert caught.value.completed.returncode == -signal.SIGTERM
    assert "no end after 0.2 seconds" in caught.value.details


def test_a_program_gets_its_own_options_each_time() -> None:
    runner = Runner(options=(("echo", ("--one", "1")),))
    assert runner.run(["echo", "two"]).stdout == b"--one 1 two\n"
    assert runner.run(["printf", "two"]).stdout == b"two"


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="not installed"):
        Runner().run(["no-such-program-anywhere"])
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(HostError, match="may not be run"):
        Runner().run([script])


def test_merged_output_is_progress_in_its_order() -> None:
    code = "import os; os.write(1, b'a\\n'); os.write(2, b'b\\n'); os.write(1, b'c\\n')"
    completed = Runner().run([PYTHON, "-c", code], stream_stdout=True)
    assert (completed.stdout, completed.tail) == (b"", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("returncode", "sentence"),
    [
        (1, "skopeo ended with exit status 1"),
        (-9, "skopeo was ended by SIGKILL"),
        (-99, "skopeo was ended by signal 99"),
    ],
)
def test_each_ending_has_its_sentence(returncode: int, sentence: str) -> None:
    assert describe_exit("/usr/bin/skopeo", returncode) == sentence
