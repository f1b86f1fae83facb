# SPDX-License-Identifier: Apache-2.0
"""``stxb clean``: remove what killed runs left behind, and what caches keep in vain."""

import json
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.cli.report import size_text

if TYPE_CHECKING:
    from stxbuildah.model.clean import Cleaned


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--dry-run", "--dryrun", is_flag=True, help="Show what would be removed.")
@click.option("--unused-for", type=click.FloatRange(0, 36500), default=30, show_default=True, metavar="DAYS",
              help="Of the caches goes what was not used for so long.")  # fmt: skip
@click.option("--all-caches", is_flag=True, help="All of the caches goes.")
@click.option("--no-caches", is_flag=True, help="Leave the caches alone.")
@columns.FORMAT
@options.storage_options
@options.verbosity_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Remove working containers and work folders whose run has ended, and what caches keep in vain.

    Only what stxb itself made, and what no running stxb owns any more: never an image, never another program's
    container. Every other command removes the containers and work folders when it starts.
    """
    from stxbuildah import jobs
    from stxbuildah.model.clean import CleanRequest

    if given["all_caches"] and given["no_caches"]:
        raise click.UsageError("--all-caches and --no-caches exclude each other")
    cleaned = jobs.clean(
        CleanRequest(
            unused_days=0 if given["all_caches"] else given["unused_for"],
            caches=not given["no_caches"],
            dry_run=given["dry_run"],
            host=options.host(given),
        )
    )
    if given["output_format"] == "json":
        click.echo(json.dumps(_as_json(cleaned), indent=2))
        return
    rows = _rows(cleaned)
    if rows:
        click.echo(columns.table(("kind", "what", "size"), rows))
    if options.is_quiet(ctx):
        return
    for name in cleaned.busy:
        click.echo(f"left alone, another stxb is at work: {name}", err=True)
    done = "would go" if given["dry_run"] else "went"
    click.echo(f"{size_text(cleaned.size)} {done}" if rows else "nothing is left behind", err=True)


def _rows(cleaned: "Cleaned") -> list[tuple[str, str, str]]:
    caches = [cache for cache in cleaned.caches if cache.entries]
    return [
        *(("container", name, "") for name in cleaned.containers),
        *(("folder", str(folder.path), size_text(folder.size)) for folder in cleaned.folders),
        *(("cache", f"{cache.name}: {cache.entries} of {cache.entries + cache.kept_entries}", size_text(cache.size))
          for cache in caches),
    ]  # fmt: skip


def _as_json(cleaned: "Cleaned") -> dict[str, object]:
    return {
        "containers": list(cleaned.containers),
        "folders": [{"path": str(folder.path), "size": folder.size} for folder in cleaned.folders],
        "caches": [
            {
                "name": cache.name,
                "folder": str(cache.folder),
                "entries": cache.entries,
                "size": cache.size,
                "kept_entries": cache.kept_entries,
                "kept_size": cache.kept_size,
            }
            for cache in cleaned.caches
        ],
        "busy": list(cleaned.busy),
        "size": cleaned.size,
    }
