# SPDX-License-Identifier: Apache-2.0
"""``stxb history``: the layers of an image, and what made them."""

from typing import Any

import click

from stxbuildah.cli import columns, imagenames
from stxbuildah.cli.lookoptions import look_options, make_request, say
from stxbuildah.cli.report import size_text

_LONGEST = 60
_DIGEST_SHOWN = len("sha256:") + 12


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("image", metavar="IMAGE", shell_complete=imagenames.complete)
@columns.FORMAT
@look_options
@click.pass_context
def command(ctx: click.Context, /, *, image: str, output_format: str, **given: Any) -> None:
    """Show the layers of an image, the topmost first: size, what made them, what updates put into them.

    IMAGE is an image of the local store or else of its registry, docker://IMAGE, oci:DIR[:TAG], oci-archive:FILE or
    docker-archive:FILE. Only its documents are read.
    """
    from stxbuildah import jobs

    (facts,) = jobs.look(make_request((image,), given), say(ctx))
    layers = tuple(reversed(facts.layers))
    if output_format == "json":
        objects = [
            {
                "diff_id": layer.diff_id,
                "digest": layer.digest,
                "size": layer.size,
                "created": layer.created,
                "created_by": layer.created_by,
                "update": None if layer.update is None else list(layer.update),
            }
            for layer in layers
        ]
        click.echo(columns.as_json(objects))
        return
    rows = []
    for layer in layers:
        made = columns.printable(layer.created_by)
        short = made if len(made) <= _LONGEST else f"{made[: _LONGEST - 1]}…"
        rows.append((layer.diff_id[:_DIGEST_SHOWN], layer.created, size_text(layer.size), short.replace("\n", " ")))
    click.echo(columns.table(("LAYER", "CREATED", "SIZE", "MADE BY"), rows))
    if facts.base:
        click.echo(f"\nupdates of {columns.printable(facts.base)}")
