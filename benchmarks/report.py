# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/performance.md: the part between two markers is written, the rest is kept."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from benchmarks.cases import Comparison
from benchmarks.measure import Summary
from benchmarks.world import World

BEGIN = "<!-- begin of what the benchmark wrote -->"
END = "<!-- end of what the benchmark wrote -->"


def machine(bench: World, rounds: int) -> str:
    """Give the sentence that says where and how it was measured."""
    versions = ", ".join(f"{program} {version(bench, program)}" for program in ("buildah", "podman", "skopeo"))
    release = platform.release().partition("-")[0]
    return (
        f"{os.cpu_count()} processors, Linux {release}, Python {platform.python_version()}, {versions}; medians of "
        f"{rounds} rounds, the two sides in turns; ratios are medians of the rounds' ratios; stores and registry on a "
        f"tmpfs; load average at the end {os.getloadavg()[0]:.1f}. Memory is the largest resident size of any one "
        "process of the command."
    )


def version(bench: World, program: str) -> str:
    """Give a container program's version, as ``1.28.2``."""
    words = bench.run(program, "--version").split()
    return words[words.index("version") + 1]


def comparison_table(comparisons: Iterable[Comparison], other: str, *, update: str = "update") -> str:
    """Write a table with one comparison a line.

    Args:
        comparisons: what it holds.
        other: what the other side is called.
        update: heads the first column.
    """
    lines = [
        f"| {update} | stxb, s | {other}, s | ratio | goal | | stxb, MiB | {other}, MiB |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    for case in comparisons:
        goal = f"{case.limit:.2f}" if case.limit is not None else ""
        cells = [
            case.title, seconds(case.ours.seconds, case.ours.spread), seconds(case.theirs.seconds, case.theirs.spread),
            f"{case.ratio:.2f}", goal, verdict(case.ratio, case.limit),
            f"{case.ours.mebibytes:.0f}", f"{case.theirs.mebibytes:.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def flat_table(comparisons: Iterable[Comparison]) -> str:
    """Write a table of stxb against itself, on a harder and on an easier image."""
    lines = ["| the same update | harder, s | easier, s | ratio | goal | |", "|---|---:|---:|---:|---:|---|"]
    for case in comparisons:
        goal = f"{case.limit:.2f}" if case.limit is not None else ""
        cells = [
            case.title, seconds(case.ours.seconds, case.ours.spread), seconds(case.theirs.seconds, case.theirs.spread),
            f"{case.ratio:.2f}", goal, verdict(case.ratio, case.limit),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def memory_line(*, known: Summary, cold: Summary) -> str:
    """Say how much memory updates in the registry take: of a known image, and while its layers are read."""
    said = [
        f"{megabytes:.0f} MB {when} (goal {limit} MB: {verdict(megabytes, limit)})"
        for megabytes, when, limit in (
            (known.mebibytes * 2**20 / 1e6, "when the image is known", 100),
            (cold.mebibytes * 2**20 / 1e6, "while 1.5 GB of layers are read", 150),
        )
    ]
    return f"An update in the registry takes {' and '.join(said)}."


def start_line(case: Comparison) -> str:
    """Say how long the shortest command takes, and how long it may."""
    allowed = 3 * case.theirs.seconds + 0.060
    return (
        f"`stxb --help` takes {case.ours.seconds * 1000:.0f} ms, "
        f"`python3 -I -c pass` {case.theirs.seconds * 1000:.0f} ms. "
        f"The goal is three times that and 60 ms more, {allowed * 1000:.0f} ms: {verdict(case.ours.seconds, allowed)}."
    )


def seconds(median: float, spread: tuple[float, float]) -> str:
    """Write a median and in brackets the shortest and longest time."""
    return f"{median:.2f} ({spread[0]:.2f}-{spread[1]:.2f})"


def verdict(value: float, limit: float | None) -> str:
    """Say whether a goal is reached."""
    if limit is None:
        return ""
    return "reached" if value <= limit else "missed"


def write(page: Path, generated: str) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        ValueError: the page lacks a marker.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} must hold the lines {BEGIN} and {END}")
    beside = page.with_suffix(".new")
    beside.write_text(f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}", encoding="utf-8")
    beside.replace(page)
