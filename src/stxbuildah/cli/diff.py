# SPDX-License-Identifier: Apache-2.0
"""``stxb diff``: what two images have in common, and what not."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, imagenames
from stxbuildah.cli.lookoptions import look_options, make_request, say
from stxbuildah.cli.report import size_text

if TYPE_CHECKING:
    from stxbuildah.model.comparison import Changed, Comparison, ImageFacts

_TITLES = {"python": "Python packages", "deb": "Debian packages", "rpm": "RPM packages"}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("before", metavar="IMAGE", shell_complete=imagenames.complete)
@click.argument("after", metavar="IMAGE", shell_complete=imagenames.complete)
@click.option("--files", is_flag=True, help="Compare the files, too, by kind, mode, owner, size and time.")
@click.option("--format", "output_format", type=click.Choice(["table", "json", "markdown"]), default="table",
              show_default=True, help="How it is told; markdown is for a review.")  # fmt: skip
@look_options
@click.pass_context
def command(ctx: click.Context, /, *, before: str, after: str, files: bool, output_format: str, **given: Any) -> None:
    """Show what differs between two images: packages, layers, settings, and files when that is asked for.

    IMAGE is an image of the local store or else of its registry, docker://IMAGE, oci:DIR[:TAG], oci-archive:FILE or
    docker-archive:FILE. Nothing of an image is run, and none is pulled.
    """
    from stxbuildah import jobs

    found = jobs.compare(make_request((before, after), given, packages=True, files=files), say(ctx))
    if output_format == "json":
        click.echo(json.dumps(_object(found), indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo("\n".join(_markdown(found)))
    else:
        click.echo("\n".join(_text(found)))


def _sections(found: "Comparison") -> Iterator[tuple[str, "Sequence[Changed]"]]:
    for kind, changes in found.packages.items():
        yield _TITLES[str(kind)], changes
    yield "Settings", found.settings
    if found.files is not None:
        yield "Files", found.files


def _summary(found: "Comparison") -> Iterator[tuple[str, "ImageFacts", str]]:
    for sign, facts in (("-", found.before), ("+", found.after)):
        own = facts.layers[found.shared :]
        layers = f"{len(facts.layers)} layers, {len(own)} of its own with {size_text(sum(layer.size for layer in own))}"
        yield sign, facts, layers


def _text(found: "Comparison") -> Iterator[str]:
    for sign, facts, layers in _summary(found):
        yield f"{sign} {columns.printable(facts.name)}  {facts.digest}  {layers}"
    if found.same:
        yield "they are the same image"
        return
    for title, changes in _sections(found):
        if changes:
            yield ""
            yield click.style(title, bold=True)
            yield from map(_line, changes)


def _line(change: "Changed") -> str:
    name, before, after = (columns.printable(text or "") for text in (change.name, change.before, change.after))
    if change.before is None:
        return f"+ {name} {after}".rstrip()
    if change.after is None:
        return f"- {name} {before}".rstrip()
    return f"~ {name} {before} → {after}"


def _markdown(found: "Comparison") -> Iterator[str]:
    yield "| | image | digest | layers |"
    yield "|---|---|---|---|"
    for sign, facts, layers in _summary(found):
        yield f"| {sign} | {_code(facts.name)} | {_code(facts.digest)} | {layers} |"
    for title, changes in _sections(found):
        if changes:
            yield ""
            yield f"**{title}**"
            yield ""
            yield "| | before | after |"
            yield "|---|---|---|"
            for change in changes:
                yield f"| {_code(change.name)} | {_code(change.before)} | {_code(change.after)} |"


def _code(text: str | None) -> str:
    """Give a text that nothing of is read as Markdown, nor ends a cell of a table."""
    if not text:
        return "" if text is None else " "
    plain = columns.printable(text).replace("\n", " ").replace("`", "'").replace("|", "\\|")
    return f"`{plain}`"


def _object(found: "Comparison") -> dict[str, object]:
    def image(facts: "ImageFacts") -> dict[str, object]:
        return {
            "name": facts.name,
            "digest": facts.digest,
            "id": facts.image_id,
            "platform": facts.platform,
            "layers": [
                {"diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size} for layer in facts.layers
            ],
        }

    def changes(several: "Sequence[Changed]") -> list[dict[str, str | None]]:
        return [{"name": one.name, "before": one.before, "after": one.after} for one in several]

    told: dict[str, object] = {
        "before": image(found.before),
        "after": image(found.after),
        "same": found.same,
        "shared_layers": found.shared,
        "packages": {str(kind): changes(several) for kind, several in found.packages.items()},
        "settings": changes(found.settings),
    }
    if found.files is not None:
        told["files"] = changes(found.files)
    return told
