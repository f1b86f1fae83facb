# SPDX-License-Identifier: Apache-2.0
"""``stxb load``: the images of an archive in the local store."""

from pathlib import Path

import click

from stxbuildah.cli import columns, options
from stxbuildah.model.update import HostOptions


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("file", type=options.FILE)
@columns.TEXT_OR_JSON
@options.storage_options
@options.verbosity_options
def command(*, file: Path, output_format: str, root: str, runroot: str, storage_driver: str) -> None:
    """Load the images of an archive into the local store.

    FILE is a docker-archive or an oci-archive, compressed or not.
    """
    from stxbuildah import jobs

    host = HostOptions(storage=options.storage(root, runroot, storage_driver))
    images = jobs.load(file, host)
    if output_format == "json":
        told = [{"reference": image.reference, "id": image.image_id, "digest": image.digest} for image in images]
        click.echo(columns.as_json(told))
        return
    for image in images:
        click.echo(image.reference)
