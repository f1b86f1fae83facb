# SPDX-License-Identifier: Apache-2.0
"""``stxb clean``: remove what killed runs left behind."""

import json
from typing import Any

import click

from stxbuildah.cli import options
from stxbuildah.model.update import HostOptions


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--dry-run", "--dryrun", is_flag=True, help="Show what would be removed.")
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@options.storage_options
@options.verbosity_options
def command(**given: Any) -> None:
    """Remove working containers and work folders whose run has ended.

    Only what stxb itself made and no running stxb owns any more: never an image, never another program's container.
    Every other command does the same for itself when it starts.
    """
    from stxbuildah import jobs

    host = HostOptions(storage=options.storage(given["root"], given["runroot"], given["storage_driver"]))
    cleaned = jobs.clean(host, dry_run=given["dry_run"])
    if given["output_format"] == "json":
        click.echo(
            json.dumps(
                {"containers": list(cleaned.containers), "folders": [str(folder) for folder in cleaned.folders]},
                indent=2,
            )
        )
        return
    for container in cleaned.containers:
        click.echo(f"container {container}")
    for folder in cleaned.folders:
        click.echo(f"folder {folder}")
    if not cleaned.containers and not cleaned.folders:
        click.echo("nothing is left behind", err=True)
