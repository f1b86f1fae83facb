# SPDX-License-Identifier: Apache-2.0
"""How the plan and the result of a base image are shown."""

import json

import click

from stxbuildah.cli.report import size_text
from stxbuildah.model.baseplan import BasePlan, BaseResult


def plan_text(plan: BasePlan) -> str:
    """Write a plan for people."""
    system = plan.system
    lines = [f"system  {system.os} {system.codename} {system.version} {system.arch}"]
    lines += [f"name    {reference}" for reference in plan.references]
    if plan.from_image is not None:
        lines.append(f"from    {plan.from_image}")
    lines.append("steps")
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"  {number}. {step.action}: {step.reason}")
        lines += [f"     {subject}" for subject in step.subjects]
    return "\n".join(lines)


def plan_json(plan: BasePlan) -> str:
    """Write a plan for machines."""
    system = plan.system
    return json.dumps(
        {
            "system": {
                "os": system.os,
                "codename": system.codename,
                "arch": system.arch,
                "version": system.version,
            },
            "references": [str(reference) for reference in plan.references],
            "from": str(plan.from_image) if plan.from_image else None,
            "packages": [*plan.first_packages, *plan.packages],
            "files": [path for path, _ in plan.origin.files],
            "labels": dict(plan.labels),
            "steps": [
                {"action": step.action, "subjects": list(step.subjects), "reason": step.reason} for step in plan.steps
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def result_text(result: BaseResult) -> str:
    """Write the image's names with its digest, one a line."""
    return "\n".join(f"{reference}@{result.digest}" for reference in result.references)


def result_json(result: BaseResult) -> str:
    """Write a result for machines."""
    layer = result.layer
    return json.dumps(
        {
            "image": str(result.references[0]),
            "references": [str(reference) for reference in result.references],
            "digest": result.digest,
            "pushed": result.pushed,
            "from": {"image": str(result.base), "digest": result.base_digest} if result.base else None,
            "layer": {
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "size": layer.size,
                "uncompressed_size": layer.uncompressed_size,
                "paths": result.paths,
            },
            "seconds": {step: round(seconds, 3) for step, seconds in result.seconds},
        },
        indent=2,
        ensure_ascii=False,
    )


def summary(result: BaseResult) -> None:
    """Show what was made, on standard error."""
    layer = result.layer
    on_top = f" on {result.base}" if result.base else ""
    sizes = f"{size_text(layer.size)} ({size_text(layer.uncompressed_size)} unpacked)"
    click.echo(
        f"  one layer{on_top}: {sizes}, {result.paths} paths",
        err=True,
    )
