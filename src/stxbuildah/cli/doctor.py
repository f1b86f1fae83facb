# SPDX-License-Identifier: Apache-2.0
"""``stxb doctor``: what this machine allows, what follows, and what would improve it."""

import json
import sys
from typing import TYPE_CHECKING

import click

from stxbuildah.cli import options
from stxbuildah.errors import HostError

if TYPE_CHECKING:
    from stxbuildah.model.host import Capability, HostReport

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@options.host_options
@click.option("--runtime", default="", metavar="NAME", help="OCI runtime, as runc or crun, or its path.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="How it is told.")
@options.verbosity_options
def command(
    *,
    root: str,
    runroot: str,
    storage_driver: str,
    isolation: str | None,
    network: str,
    runtime: str,
    form: str,
) -> None:
    """Try out what this machine allows, and say what follows.

    Ends with 0 when images can be updated and wheels be built in containers here, with 3 when not. What it finds is
    kept for the other commands until the machine, a program or a settings file changes.
    """
    from stxbuildah import jobs
    from stxbuildah.model.update import HostOptions

    host = HostOptions(
        storage=options.storage(root, runroot, storage_driver), isolation=isolation or "", network=network
    )
    report = jobs.examine_host(host, runtime)
    click.echo(report_json(report) if form == "json" else _table(report))
    lacking = [what for what, can in abilities(report) if not can]
    if lacking:
        raise HostError(f"this machine cannot {' nor '.join(lacking)}", hint="the rows marked fail say why")


def abilities(report: "HostReport") -> list[tuple[str, bool]]:
    """Give what this program needs a machine for, and whether this one can."""
    return [("update images", report.updates), ("build wheels in containers", report.wheel_containers)]


def report_json(report: "HostReport") -> str:
    """Write what was found for machines."""
    choices = report.choices
    return json.dumps(
        {
            "updates": report.updates,
            "wheel_containers": report.wheel_containers,
            "choices": {
                "isolation": choices.isolation,
                "runtime": choices.runtime,
                "network": choices.network,
                "storage": {
                    "driver": choices.storage.driver,
                    "root": choices.storage.root,
                    "runroot": choices.storage.runroot,
                },
                "environment": dict(choices.environment),
                "reasons": list(choices.reasons),
            },
            "capabilities": [
                {
                    "name": row.name,
                    "probed_by": row.probed_by,
                    "found": row.found,
                    "state": row.state.value,
                    "consequence": row.consequence,
                    "improve": row.improve,
                }
                for row in report.capabilities
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _table(report: "HostReport") -> str:
    import shutil

    width = max(60, shutil.get_terminal_size((100, 0)).columns) if sys.stdout.isatty() else 100
    return report_text(report, width)


def report_text(report: "HostReport", width: int) -> str:
    """Write what was found for people: state, capability, and beside it what was found, how, and what follows.

    Args:
        report: what was found.
        width: columns to fill.
    """
    column = max(len(row.name) for row in report.capabilities)
    lines: list[str] = []
    for row in report.capabilities:
        lines += _row_lines(row, column, width)
    lines += ["", "so programs are run like this:"]
    for reason in report.choices.reasons:
        lines += _wrapped(reason, "  ", width)
    lines.append("")
    for what, can in abilities(report):
        lines.append(f"{what}: {click.style('yes', fg='green') if can else click.style('no', fg='red')}")
    return "\n".join(lines)


def _row_lines(row: "Capability", column: int, width: int) -> list[str]:
    indent = " " * (column + 8)
    lines = _wrapped(f"{row.found} ({row.probed_by})", indent, width)
    state = click.style(f"{row.state.value:<4}", fg=_COLOURS[row.state.value], bold=row.state.value != "ok")
    lines[0] = f"{state}  {click.style(f'{row.name:<{column}}', bold=True)}  {lines[0][len(indent) :]}"
    lines += _wrapped(f"so: {row.consequence}", indent, width)
    # A command stays on one line, to be copied.
    return [*lines, f"{indent}improve: {row.improve}"] if row.improve else lines


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
