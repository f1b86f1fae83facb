# SPDX-License-Identifier: Apache-2.0
"""How plans and results are shown: text for people, JSON for machines."""

import json
from collections.abc import Callable

import click

from stxbuildah.model.packages import PackageLists, difference
from stxbuildah.model.sizes import size_text as size_text  # noqa: PLC0414 # its users know it from here
from stxbuildah.model.update import ImageChange, UpdatePlan, UpdateResult


def progress(*, quiet: bool) -> Callable[[str], None]:
    """Give a function that shows what is being done, on standard error."""
    return _silent if quiet else _say


def _silent(text: str) -> None:
    del text


def _say(text: str) -> None:
    click.echo(f"{click.style('·', fg='cyan')} {text}", err=True)


def plan_text(plan: UpdatePlan) -> str:
    """Write a plan for people."""
    lines = [
        f"from    {plan.inputs.base}",
        f"target  {plan.inputs.target}",
        f"lane    {plan.lane.value}: {plan.reason}",
        "steps",
    ]
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"  {number}. {step.action.value}: {', '.join(step.subjects) or '-'}")
        lines.append(f"     because: {step.reason}")
    return "\n".join(lines)


def plan_json(plan: UpdatePlan) -> str:
    """Write a plan for machines."""
    return _dump(
        {
            "from": str(plan.inputs.base),
            "target": str(plan.inputs.target),
            "lane": plan.lane.value,
            "reason": plan.reason,
            "steps": [
                {"action": step.action.value, "subjects": list(step.subjects), "reason": step.reason}
                for step in plan.steps
            ],
        }
    )


def package_changes(before: PackageLists, after: PackageLists) -> dict[str, tuple[str, ...]]:
    """Give the lines that went and came, for each kind of package."""
    return {
        "python": difference(before.python, after.python),
        "deb": difference(before.deb, after.deb),
        "rpm": difference(before.rpm, after.rpm),
    }


def update_json(result: UpdateResult) -> str:
    """Write an update's result for machines."""
    first = _image(result.images[0])
    several = [{"platform": str(image.platform), **_image(image)} for image in result.images if image.platform]
    return _dump(
        {
            "image": str(result.location or result.reference),
            "digest": result.digest,
            "reference": result.shown,
            "pushed": result.pushed,
            "from": {"image": str(result.base), "digest": result.base_digest},
            "lane": result.lane.value,
            "reason": result.reason,
            "layer": first["layer"],
            "changes": first["changes"],
            "unmet_requirements": first["unmet_requirements"],
            **({"images": several} if several else {}),
            "records": [str(path) for path in result.records],
            "seconds": {step: round(seconds, 3) for step, seconds in result.seconds},
        }
    )


def _image(image: ImageChange) -> dict[str, object]:
    return {
        "digest": image.digest,
        "from": image.base_digest,
        "layer": {
            "digest": image.layer.digest,
            "diff_id": image.layer.diff_id,
            "size": image.layer.size,
            "uncompressed_size": image.layer.uncompressed_size,
            "paths": image.paths,
            "whiteouts": image.whiteouts,
            "replaced_layers": image.replaced,
        },
        "changes": {kind: list(lines) for kind, lines in package_changes(image.before, image.after).items()},
        "unmet_requirements": list(image.unmet),
    }


def update_summary(result: UpdateResult) -> None:
    """Show what changed, on standard error."""
    for image in result.images:
        if image.platform is not None:
            click.echo(f"  {image.platform}", err=True)
        _image_summary(image)


def _image_summary(image: ImageChange) -> None:
    changes = package_changes(image.before, image.after)
    for kind, lines in changes.items():
        for line in lines:
            click.echo(click.style(f"  {kind:<6} {line}", fg="green" if line.startswith("+") else "red"), err=True)
    if not any(changes.values()):
        click.echo("  no package changed", err=True)
    for sentence in image.unmet:
        click.echo(f"{click.style('warning:', fg='yellow')} {sentence}", err=True)
    layer = image.layer
    replaced = f", in place of {image.replaced} of earlier updates" if image.replaced else ""
    click.echo(
        f"  one layer: {size_text(layer.size)} ({size_text(layer.uncompressed_size)} unpacked), "
        f"{image.paths} paths, {image.whiteouts} whiteouts{replaced}",
        err=True,
    )


def _dump(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
