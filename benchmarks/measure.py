# SPDX-License-Identifier: Apache-2.0
"""Time and memory of commands, measured so that two of them can be compared.

Commands are run in turns (A B A B ...), so that whatever else the machine does hits all alike, and medians are given.
Memory is the largest resident size that any one process of the command reached, as the kernel counts it for a child
and the children it has waited for (``wait4``).
"""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Sample:
    """One run of a command.

    Attributes:
        seconds: wall-clock time.
        kibibytes: resident size of the largest process.
    """

    seconds: float
    kibibytes: int


@attrs.frozen(kw_only=True)
class Command:
    """One side of a comparison.

    Attributes:
        name: how it is called in the tables.
        script: lines of argv, run one after the other and measured together.
        prepare: called before each run with the run's number, unmeasured.
        variables: environment variables of this side alone.
    """

    name: str
    script: tuple[tuple[str, ...], ...]
    prepare: Callable[[int], None] | None = None
    variables: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Summary:
    """The runs of one command.

    Attributes:
        name: how the command is called in the tables.
        samples: the runs, in order.
    """

    name: str
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """Median wall-clock time."""
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest wall-clock time."""
        times = [sample.seconds for sample in self.samples]
        return min(times), max(times)

    @property
    def mebibytes(self) -> float:
        """Median of the largest process's resident size."""
        return statistics.median(sample.kibibytes for sample in self.samples) / 1024


class MeasuredCommandError(Exception):
    """A command of a comparison failed, so there is nothing to compare."""


def ratio(ours: Summary, theirs: Summary) -> float:
    """Give the median of the paired ratios of two commands that were run in turns."""
    pairs = zip(ours.samples, theirs.samples, strict=True)
    return statistics.median(one.seconds / other.seconds for one, other in pairs)


def interleave(
    commands: Sequence[Command], *, rounds: int, environment: Mapping[str, str], log: Path, epochs: Iterator[int]
) -> tuple[Summary, ...]:
    """Run each command once unmeasured, then ``rounds`` times in turns.

    Args:
        commands: what is compared.
        rounds: measured runs of each.
        environment: the whole environment of the commands; each round adds a SOURCE_DATE_EPOCH of its own, so that
            no round finds its layer in the registry already, not even one of another comparison.
        log: file that what the commands write is added to.
        epochs: gives those.

    Raises:
        MeasuredCommandError: a command ended with another status than 0.
    """
    samples: dict[str, list[Sample]] = {command.name: [] for command in commands}
    for number in range(rounds + 1):
        epoch = str(next(epochs))
        for command in commands:
            if command.prepare is not None:
                command.prepare(number)
            sample = _run(command, {**environment, **command.variables, "SOURCE_DATE_EPOCH": epoch}, log)
            if number:
                samples[command.name].append(sample)
    return tuple(Summary(name=name, samples=tuple(found)) for name, found in samples.items())


def _run(command: Command, environment: Mapping[str, str], log: Path) -> Sample:
    largest = 0
    with log.open("ab") as output:
        started = time.perf_counter()
        for argv in command.script:
            process = subprocess.Popen(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            largest = max(largest, usage.ru_maxrss)
            if process.returncode != 0:
                raise MeasuredCommandError(f"{' '.join(argv)}: exit status {process.returncode}; see {log}")
        return Sample(seconds=time.perf_counter() - started, kibibytes=largest)
