# SPDX-License-Identifier: Apache-2.0
"""Measure stxb against buildah, and write the tables of docs/performance.md: ``nox -s bench``."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import carry, cases, remote, report
from benchmarks.measure import MeasuredCommandError
from benchmarks.world import World, make_base, world

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
FEWEST_ROUNDS = 5


def main() -> int:
    """Run all measurements; the exit status is 1 when a command failed, 0 also when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measured runs of each command (default: 7)")
    parser.add_argument(
        "--archive", type=Path, help="tar of a Debian root file system with Python, in place of stxb base"
    )
    parser.add_argument(
        "--print", action="store_true", dest="only_print", help="print the tables, leave the page alone"
    )
    given = parser.parse_args()
    if given.rounds < FEWEST_ROUNDS:
        parser.error(f"a median of fewer than {FEWEST_ROUNDS} rounds says nothing")
    shared = Path("/dev/shm")  # noqa: S108 # a folder of our own is made below it
    parent = Path(os.environ["TMPDIR"]) if "TMPDIR" in os.environ else shared if shared.is_dir() else None
    with world(parent or Path(tempfile.gettempdir())) as bench:
        try:
            tables = measure(bench, given.rounds, given.archive)
        except MeasuredCommandError as error:
            sys.stderr.write(f"{error}\n{bench.log.read_text(encoding='utf-8', errors='replace')[-4000:]}")
            return 1
    sys.stdout.write(f"{tables}\n")
    if not given.only_print:
        report.write(PAGE, tables)
    return 0


def measure(bench: World, rounds: int, archive: Path | None) -> str:
    """Make the base images, run every case, and give the tables."""
    source = base_image(bench, archive)
    say("making base images of 300 MB, 1.5 GB and 40 layers")
    small = make_base(bench, source, "small", megabytes=300)
    large = make_base(bench, source, "large", megabytes=1500)
    many = make_base(bench, source, "many", megabytes=300, layers=40)
    six, django = bench.wheels("six"), bench.wheels("django")
    say("measuring against buildah bud")
    against = [
        cases.wheel_case(bench, "one small wheel (six)", small, six, rounds, limit=0.40, compiled=True),
        cases.wheel_case(bench, "the same, to pip without bytecode", small, six, rounds, limit=None),
        cases.wheel_case(bench, "Django with asgiref and sqlparse", small, django, rounds, limit=0.40, compiled=True),
        cases.wheel_case(bench, "the same, to pip without bytecode", small, django, rounds, limit=None),
        *cases.session_cases(bench, small, rounds),
        cases.wheel_case(bench, "six, base of 1.5 GB", large, six, rounds, limit=None),
        cases.wheel_case(bench, "six, base of 40 layers", many, six, rounds, limit=None),
    ]
    say("measuring updates in the registry")
    known = remote.with_inventory(bench, large, django[:1])
    remotely = [
        remote.known_case(bench, "one small wheel (six)", small, six, rounds, limit=0.30),
        remote.known_case(bench, "the same, the lane not named", small, six, rounds, lane=()),
        remote.known_case(bench, "Django with asgiref and sqlparse", small, django, rounds, limit=0.25),
        remote.known_case(bench, "six, base of 40 layers", many, six, rounds),
        *remote.cold_cases(bench, known, six, rounds),
        remote.distant_case(bench, small, six, rounds),
    ]
    say("measuring stxb against itself")
    itself = [
        cases.flat_case(bench, "base of 1.5 GB, to 300 MB", (large, small), six, rounds, push=True),
        cases.flat_case(bench, "40 layers, to 2; without push", (many, small), six, rounds, push=False),
        cases.flat_case(bench, "40 layers, to 2; with push", (many, small), six, rounds, push=True, limit=None),
        cases.first_update_case(bench, small, six, rounds),
    ]
    say("measuring archives and tags")
    saved = carry.make_image(bench, "saved", megabytes=300)
    after = carry.table(
        carry.archive_cases(bench, saved, "300 MB", rounds), carry.retag_case(bench, saved, 300, 10, rounds)
    )
    start = cases.start_case(bench, 3 * rounds)
    return "\n\n".join(
        [
            report.machine(bench, rounds),
            report.comparison_table(against, "buildah bud"),
            report.comparison_table(remotely, "buildah bud", update="update in the registry"),
            report.memory_line(known=remotely[0].ours, cold=remotely[4].ours),
            report.flat_table(itself),
            after,
            report.start_line(start),
        ]
    )


def base_image(bench: World, archive: Path | None) -> str:
    """Make the Debian image that all bases start from, and give its reference."""
    if archive is not None:
        bench.run("podman", "import", "--quiet", "--change", 'CMD ["python3"]', archive, "localhost/bench/source:1.0")
        return "localhost/bench/source:1.0"
    say("making a Debian base image with stxb base")
    made = bench.run(cases.STXB, "base", "--os", "debian", "--os-codename", "trixie", "--user", "bench")
    return made.splitlines()[-1].partition("@")[0]


def say(sentence: str) -> None:
    """Tell on standard error what comes next."""
    sys.stderr.write(f"bench: {sentence}\n")


if __name__ == "__main__":
    raise SystemExit(main())
