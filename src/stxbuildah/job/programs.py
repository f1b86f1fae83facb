# SPDX-License-Identifier: Apache-2.0
"""Several programs in one start of a working container.

Starting a container costs a fifth of a second or more, so programs that follow each other share one start where the
image has bash to run them in turn. What they are given stays apart: bash gets their words as arguments and a script
that never changes, so no text of a user is ever read as shell.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from stxbuildah.engine.process import Completed
from stxbuildah.errors import StxbError

# In /run, of which nothing comes into a layer.
_STATE = "/run/stxb"
# Arguments: for each program how many words it has, then these words. The place of one that failed is written down.
_IN_TURN = f"""\
place=0
while (( $# )); do
  count=$1
  shift
  "${{@:1:count}}"
  status=$?
  if (( status )); then
    echo "$place" > {_STATE}/failed
    exit "$status"
  fi
  shift "$count"
  (( place += 1 ))
done
"""

Run = Callable[[Sequence[str], Sequence[str], Mapping[str, str]], Completed]


@attrs.frozen(kw_only=True)
class Program:
    """A program to run in a working container.

    Attributes:
        argv: program and arguments inside the container.
        failed: makes the error of what it said when it ended with another status than 0.
    """

    argv: tuple[str, ...]
    failed: Callable[[Completed], StxbError]


def run_programs(
    programs: Sequence[Program], run: Run, *, bash: str, environment: Mapping[str, str], folder: Path
) -> None:
    """Run programs one after the other; the first that fails ends it.

    Args:
        programs: in order.
        run: runs an argv in the container with further volumes and variables, and raises for no exit status.
        bash: path of bash in the container; empty when it has none, and each program is started for itself.
        environment: variables of all of them.
        folder: existing folder on this machine for what the script writes down.

    Raises:
        StxbError: what the failed program makes of it.
    """
    if len(programs) < 2 or not bash:  # noqa: PLR2004 # one needs no turns
        for program in programs:
            completed = run(program.argv, (), environment)
            if completed.returncode != 0:
                raise program.failed(completed)
        return
    words = [word for program in programs for word in (str(len(program.argv)), *program.argv)]
    noted = folder / "failed"
    noted.unlink(missing_ok=True)
    argv = [bash, "--noprofile", "--norc", "-c", _IN_TURN, "bash", *words]
    completed = run(argv, (f"{folder}:{_STATE}",), environment)
    if completed.returncode != 0:
        place = int(noted.read_text(encoding="ascii")) if noted.exists() else 0
        raise programs[place].failed(completed)
