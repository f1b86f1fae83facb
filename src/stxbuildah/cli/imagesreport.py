# SPDX-License-Identifier: Apache-2.0
"""How a run of images is shown: its plan before, its summary after, both also as JSON for machines."""

import json
import time
from typing import TYPE_CHECKING

import click

from stxbuildah.cli.columns import printable
from stxbuildah.cli.wheelsreport import clock
from stxbuildah.model.sizes import size_text

if TYPE_CHECKING:
    from stxbuildah.errors import Problem
    from stxbuildah.model.imagesrun import ImageOutcome, ImagesPlan, ImagesResult, PlannedImage

_GOOD = (("built", "Built", "green"), ("unchanged", "Unchanged", "cyan"))
# Told last, where the eye is: here somebody has to do something.
_BAD = (("left out", "Left out", "yellow"), ("push failed", "Push failed", "red"), ("failed", "Failed", "red"))


def plan_text(plan: "ImagesPlan") -> str:
    """Write a plan for people."""
    lines = [f"base     {plan.base}"] if plan.base is not None else []
    lines += [f"wheels   {printable(plan.wheels)}"] if plan.wheels else []
    lines += [f"records  {plan.records}", f"jobs     {plan.jobs}", "images"]
    for number, image in enumerate(plan.images, 1):
        directives = image.directives
        lines.append(f"  {number}. {image.label} ({directives.builder.value}, {printable(str(directives.file))})")
        lines.append(f"     name: {image.names.build}")
        lines += [f"     in the registry: {name}" for name in (*image.names.versioned, *image.names.latest)]
        lines += [f"     built from: {', '.join(image.parents)}"] if image.parents else []
    lines += [f"{click.style('note:', fg='yellow')} {printable(remark)}" for remark in plan.remarks]
    return "\n".join(lines)


def plan_json(plan: "ImagesPlan") -> str:
    """Write a plan for machines."""
    return _dump(
        {
            "base": str(plan.base) if plan.base is not None else None,
            "wheels": plan.wheels or None,
            "records": str(plan.records),
            "jobs": plan.jobs,
            "stream": plan.stream,
            "os_labels": list(plan.os_labels),
            "images": [_planned(image) for image in plan.images],
            "remarks": list(plan.remarks),
            "problems": [_problem(problem) for problem in plan.problems],
        }
    )


def summary_text(result: "ImagesResult") -> str:
    """Write what came of every image, sorted, with the end of the log of each failure."""
    outcomes = sorted(result.outcomes, key=lambda outcome: outcome.label)
    lines = [line for section in _GOOD for line in _section(outcomes, *section)]
    pushed = sorted(f"{name}@{digest}" for outcome in outcomes for name, digest in outcome.pushed)
    if pushed:
        lines += [click.style(f"Pushed ({len(pushed)})", fg="green", bold=True), *(f"  {name}" for name in pushed)]
    lines += [line for section in _BAD for line in _section(outcomes, *section)]
    lines += [f"records: {result.plan.records}"] if result.records else []
    numbers = {state: sum(outcome.state.value == state for outcome in outcomes) for state, _, _ in (*_GOOD, *_BAD)}
    counts = ", ".join(f"{count} {state}" for state, count in numbers.items() if count) or "nothing to do"
    plural = "" if len(outcomes) == 1 else "s"
    lines.append(f"{len(outcomes)} image{plural}: {counts}; {clock(result.seconds)}")
    return "\n".join(lines)


def result_json(result: "ImagesResult") -> str:
    """Write what came of every image for machines."""
    from stxbuildah.model.imagesjson import outcome_object

    return _dump(
        {
            "version": 1,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(result.started)),
            "seconds": round(result.seconds, 3),
            "failed": result.failed,
            "exit_code": result.exit_code,
            "records": [str(path) for path in result.records],
            "images": [
                {**outcome_object(outcome), "log": str(outcome.log or "")}
                for outcome in sorted(result.outcomes, key=lambda one: one.label)
            ],
        }
    )


def _section(outcomes: "list[ImageOutcome]", state: str, title: str, colour: str) -> list[str]:
    found = [outcome for outcome in outcomes if outcome.state.value == state]
    if not found:
        return []
    heading = click.style(f"{title} ({len(found)})", fg=colour, bold=True)
    return [heading, *(line for outcome in found for line in _outcome_text(outcome))]


def _outcome_text(outcome: "ImageOutcome") -> list[str]:
    if outcome.state.good:
        seconds = sum(step for _, step in outcome.seconds)
        took = f", {clock(seconds)}" if outcome.state.value == "built" else ""
        lines = [f"  {outcome.reference or outcome.label} ({size_text(outcome.size)}{took})"]
        if outcome.state.value == "built" and outcome.reason:
            lines.append(f"      because: {printable(outcome.reason)}")
        return lines
    lines = [f"  {outcome.label}: {printable(outcome.reason)}"]
    lines += [f"      {printable(line)}" for line in outcome.tail]
    lines += [f"      hint: {printable(outcome.hint)}"] if outcome.hint else []
    lines += [f"      all of it: {outcome.log}"] if outcome.log is not None else []
    return lines


def _planned(image: "PlannedImage") -> dict[str, object]:
    return {
        "label": image.label,
        "builder": image.directives.builder.value,
        "file": str(image.directives.file),
        "project": image.directives.project or None,
        "parents": list(image.parents),
        "reference": str(image.names.build),
        "versioned": [str(name) for name in image.names.versioned],
        "latest": [str(name) for name in image.names.latest],
    }


def _problem(problem: "Problem") -> dict[str, object]:
    return {
        "source": problem.source, "line": problem.line, "column": problem.column, "message": problem.message,
    }  # fmt: skip


def _dump(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
