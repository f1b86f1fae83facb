# SPDX-License-Identifier: Apache-2.0
"""How the building of wheels is shown: lines while it goes on, failures at the end, JSON for machines."""

import json
from typing import TYPE_CHECKING

import click

from stxbuildah.cli.columns import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from stxbuildah.model.wheelsrun import (
        WheelOutcome,
        WheelsChecked,
        WheelsLocked,
        WheelsPlan,
        WheelsProgress,
        WheelsResult,
    )

_MINUTE = 60
_COLOURS = {"built": "green", "downloaded": "green", "kept": "cyan", "failed": "red"}


def progress(*, quiet: bool) -> "Callable[[WheelsProgress], None]":
    """Give a function that shows each wheel that has ended, on standard error."""

    def say(now: "WheelsProgress") -> None:
        latest = now.latest
        if quiet or latest is None:
            return
        state = click.style(latest.state.value, fg=_COLOURS[latest.state.value])
        total = now.done + now.failed + now.left + len(now.building)
        counts = f"{now.done + now.failed}/{total}, {len(now.building)} building, {now.failed} failed, {now.left} left"
        name = latest.name or latest.source.wheel
        click.echo(f"{clock(now.seconds)} {state} {name} in {latest.seconds:.1f} s ({counts})", err=True)

    return say


def clock(seconds: float) -> str:
    """Write a time as minutes and seconds."""
    whole = int(seconds)
    return f"{whole // _MINUTE}:{whole % _MINUTE:02d}"


def plan_text(plan: "WheelsPlan") -> str:
    """Write a plan for people."""
    lines = [f"builder  {plan.builder}", f"wheels   {plan.folder}"]
    lines += [f"tarball  {plan.tarball}"] if plan.tarball else []
    lines.append("steps")
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"  {number}. {step.action} {step.source.wheel} from {printable(step.source.shown_url)}")
        lines.append(f"     because: {step.reason}")
    return "\n".join(lines)


def plan_json(plan: "WheelsPlan") -> str:
    """Write a plan for machines."""
    return _dump(
        {
            "builder": plan.builder,
            "folder": str(plan.folder),
            "tarball": str(plan.tarball) if plan.tarball else None,
            "steps": [
                {"wheel": step.source.wheel, "action": step.action, "url": step.source.shown_url, "reason": step.reason}
                for step in plan.steps
            ],
        }
    )


def result_text(result: "WheelsResult") -> str:
    """Write what came out: the tarball and its images, else the folder."""
    return "\n".join([str(result.tarball or result.folder), *result.images])


def result_json(result: "WheelsResult") -> str:
    """Write what came out for machines."""
    return _dump(
        {
            "folder": str(result.folder),
            "tarball": str(result.tarball) if result.tarball else None,
            "sha256": result.sha256 or None,
            "containers": result.containers,
            "seconds": round(result.seconds, 2),
            "stale": list(result.stale),
            "further": list(result.further),
            "notes": list(result.notes),
            "images": list(result.images),
            "wheels": [_outcome(outcome) for outcome in result.outcomes],
        }
    )


def locked_json(result: "WheelsLocked") -> str:
    """Write what was locked for machines."""
    wheels = [{"wheel": one.source.wheel, "material": one.material} for one in result.outcomes]
    return _dump({"file": str(result.file), "wheels": wheels})


def checked_json(result: "WheelsChecked") -> str:
    """Write what a tarball lacks for machines."""
    return _dump(
        {
            "tarball": str(result.tarball),
            "wheels": result.wheels,
            "unmet": list(result.unmet),
            "missing": list(result.missing),
        }
    )


def summary(result: "WheelsResult") -> None:
    """Show counts, and what the user should know, on standard error."""
    counts: dict[str, int] = {}
    for outcome in result.outcomes:
        counts[outcome.state.value] = counts.get(outcome.state.value, 0) + 1
        if outcome.note:
            click.echo(f"{click.style('note:', fg='yellow')} {outcome.note}", err=True)
    for note in result.notes:
        click.echo(f"{click.style('note:', fg='yellow')} {printable(note)}", err=True)
    for name in result.stale:
        click.echo(f"{click.style('note:', fg='yellow')} {name} is in no list any more, and was deleted", err=True)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    click.echo(f"{len(result.outcomes)} wheels: {told}; {clock(result.seconds)}", err=True)


def failures_text(failures: "tuple[WheelOutcome, ...]") -> tuple[str, ...]:
    """Write the failures, the end of each log below its wheel."""
    lines: list[str] = []
    for outcome in failures:
        lines.append(
            f"{outcome.source.wheel} ({outcome.source.source}:{outcome.source.line}): {printable(outcome.error)}"
        )
        lines += [f"    {printable(line)}" for line in outcome.tail]
        lines += [f"    hint: {outcome.hint}"] if outcome.hint else []
        lines += [f"    all of it: {outcome.log}"] if outcome.log else []
    return tuple(lines)


def _outcome(outcome: "WheelOutcome") -> dict[str, object]:
    told: dict[str, object] = {
        "asked": outcome.source.wheel,
        "state": outcome.state.value,
        "wheel": outcome.name or None,
        "sha256": outcome.sha256 or None,
        "material": outcome.material or None,
        "seconds": round(outcome.seconds, 2),
    }
    optional = {
        "note": outcome.note,
        "error": outcome.error,
        "hint": outcome.hint,
        "tail": list(outcome.tail),
        "log": str(outcome.log or ""),
    }
    return told | {name: value for name, value in optional.items() if value}


def _dump(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
