# SPDX-License-Identifier: Apache-2.0
"""``stxb retag``: which tags a tag-management file promotes."""

from pathlib import Path

import click

from stxbuildah.cli import columns, options

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
def command() -> None:
    """Tags that are promoted: the tag of a build gets another one beside it."""


@command.command("list", context_settings=_SETTINGS)
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@columns.FORMAT
@options.verbosity_options
def list_command(files: tuple[Path, ...], output_format: str) -> None:
    """Show the entries of tag-management files, in their order. No registry is asked.

    All mistakes of all files are told at once, each with its line, and then nothing is listed.
    """
    from stxbuildah import jobs

    entries = jobs.list_retags(files)
    if output_format == "json":
        objects = [
            {
                "name": entry.name,
                "src_build_tag": entry.build_tag,
                "src_ref": entry.origin,
                "tag": entry.tag,
                "file": entry.source,
                "line": entry.line,
            }
            for entry in entries
        ]
        click.echo(columns.as_json(objects))
        return
    rows = [(entry.name, entry.tag, entry.build_tag, entry.origin) for entry in entries]
    click.echo(columns.table(("NAME", "TAG", "FROM TAG", "BUILT FROM"), rows))
