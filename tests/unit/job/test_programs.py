# SPDX-License-Identifier: Apache-2.0
"""Several programs in one start, run by a real bash on this machine in the place of a container."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.process import Completed, Runner
from stxbuildah.errors import BuildError
from stxbuildah.job.programs import Program, run_programs

BASH = shutil.which("bash") or "/bin/bash"


class Container:
    """Runs programs here, with the folder of the only volume in the place of its target."""

    def __init__(self) -> None:
        self.starts: list[tuple[str, ...]] = []
        self.output = ""

    def __call__(self, argv: Sequence[str], volumes: Sequence[str], environment: Mapping[str, str]) -> Completed:
        self.starts.append(tuple(argv))
        words = list(argv)
        for volume in volumes:
            source, _, target = volume.partition(":")
            words = [word.replace(target, source) for word in words]
        completed = Runner().run(words, extra=environment, check=False)
        self.output += completed.stdout.decode("utf-8", "surrogateescape")
        return completed


def program(name: str, *argv: str) -> Program:
    return Program(argv=argv, failed=lambda completed: BuildError(f"{name} ended with {completed.returncode}"))


@pytest.mark.parametrize(("bash", "starts"), [(BASH, 1), ("", 2)])
def test_two_programs(tmp_path: Path, bash: str, starts: int) -> None:
    container = Container()
    first, second = program("first", "printf", "one $HOME `x`;"), program("second", "sh", "-c", 'printf "$ADDED"')
    run_programs((first, second), container, bash=bash, environment={"ADDED": "two"}, folder=tmp_path)
    assert (len(container.starts), container.output) == (starts, "one $HOME `x`;two")


@pytest.mark.parametrize("bash", [BASH, ""])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_one_that_fails_is_told_and_ends_it(tmp_path: Path, bash: str, failing: int) -> None:
    container = Container()
    programs = [program(str(n), "sh", "-c", f"printf {n}; exit {7 if n == failing else 0}") for n in range(3)]
    with pytest.raises(BuildError, match=f"^{failing} ended with 7$"):
        run_programs(programs, container, bash=bash, environment={}, folder=tmp_path)
    assert container.output == "".join(str(n) for n in range(failing + 1))


WORDS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=4)


@given(WORDS, WORDS)
def test_words_arrive_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]
) -> None:
    container = Container()
    show = ("sh", "-c", r'printf "<%s>" "$@"', "sh")
    programs = [program("first", *show, *first), program("second", *show, *second)]
    run_programs(programs, container, bash=BASH, environment={}, folder=tmp_path_factory.mktemp("state"))
    shown = ["".join(f"<{word}>" for word in words) or "<>" for words in (first, second)]
    assert container.output == "".join(shown)
