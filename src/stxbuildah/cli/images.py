# SPDX-License-Identifier: Apache-2.0
"""``stxb images``: the images of a product: what their directives files say, which there are, built and pushed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, imagesverify, options
from stxbuildah.cli.imagesoptions import (
    SECTIONS,
    build_options,
    make_push_request,
    make_request,
    make_selection,
    push_options,
    selection_options,
)
from stxbuildah.cli.sections import SectionedCommand, SectionedGroup
from stxbuildah.errors import Problem, ProblemsError

if TYPE_CHECKING:
    from stxbuildah.model.imagebuild import ReadDirectives, SelectedImage
    from stxbuildah.model.imagesrun import ImagesResult

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=SectionedGroup, sections=SECTIONS, context_settings=_SETTINGS, invoke_without_command=True)
@build_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Build the images of a whole product, in parallel, and push and record them.

    Each image has a directives file. An image that is there already and was made of the same is not built again. When
    one fails, only those that are built from it are left out.
    """
    if ctx.invoked_subcommand is None:
        _build(ctx, given)


command.add_command(imagesverify.command)


@command.command("build", cls=SectionedCommand, sections=SECTIONS, context_settings=_SETTINGS)
@build_options
@click.pass_context
def build_command(ctx: click.Context, /, **given: Any) -> None:
    """Build the images, as stxb images does without a command."""
    _build(ctx, given)


def _build(ctx: click.Context, given: dict[str, Any]) -> None:
    from stxbuildah import jobs
    from stxbuildah.cli import imagesprogress, imagesreport

    request = make_request(given)
    as_json, quiet = given["output_format"] == "json", options.is_quiet(ctx)
    if given["dry_run"]:
        plan = jobs.plan_images(request)
        click.echo(imagesreport.plan_json(plan) if as_json else imagesreport.plan_text(plan))
        _tell(plan.problems)
        return
    with imagesprogress.shown(quiet=quiet, verbose=options.is_verbose(ctx)) as follow:
        result = jobs.build_images(request, follow)
    _end(result, as_json=as_json, quiet=quiet)


@command.command("push", cls=SectionedCommand, sections=SECTIONS, context_settings=_SETTINGS)
@push_options
@click.pass_context
def push_command(ctx: click.Context, /, **given: Any) -> None:
    """Push what was built and could not be pushed, as the records have it; nothing is built."""
    from stxbuildah import jobs
    from stxbuildah.cli import imagesprogress

    quiet = options.is_quiet(ctx)
    with imagesprogress.shown(quiet=quiet) as follow:
        result = jobs.push_images(make_push_request(given), follow)
    _end(result, as_json=given["output_format"] == "json", quiet=quiet)


def _end(result: "ImagesResult", *, as_json: bool, quiet: bool) -> None:
    """Show what came of a run, and end with the exit status of what went wrong."""
    from stxbuildah.cli import imagesreport

    if as_json:
        click.echo(imagesreport.result_json(result))
    elif not quiet:
        click.echo(imagesreport.summary_text(result))
    raise click.exceptions.Exit(result.exit_code)


@command.command("show", context_settings=_SETTINGS)
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@columns.FORMAT
@options.verbosity_options
def show_command(files: tuple[Path, ...], output_format: str) -> None:
    """Show the keys that image directives files set, with the values that bash would assign.

    The files are read, never executed. Mistakes are part of what is shown, and then the exit status is 2.
    """
    from stxbuildah import jobs

    found = jobs.read_image_directives(files)
    if output_format == "json":
        click.echo(columns.as_json([_file_object(one) for one in found]))
    else:
        click.echo("\n\n".join(_file_text(one) for one in found))
    _tell([problem for one in found for problem in one.problems])


@command.command("list", context_settings=_SETTINGS)
@selection_options
@click.option("--all", "everything", is_flag=True, help="In JSON, also tell of what is left out, and why.")
@columns.FORMAT
@options.verbosity_options
def list_command(**given: Any) -> None:
    """Show which images would be built, from which file, and why something is not.

    Mistakes are told after what was found, all at once, and then the exit status is 2.
    """
    from stxbuildah import jobs

    selection = jobs.select_images(make_selection(given))
    if given["output_format"] == "json":
        images = selection.images if given["everything"] else selection.built
        click.echo(columns.as_json([_image_object(image, everything=given["everything"]) for image in images]))
    else:
        rows = [(i.label, i.builder.value, str(i.file), i.listed, i.left_out or "built") for i in selection.images]
        click.echo(columns.table(("LABEL", "BUILDER", "FILE", "LISTED IN", ""), rows))
    _tell(selection.problems)


def _tell(problems: "list[Problem] | tuple[Problem, ...]") -> None:
    if problems:
        raise ProblemsError(problems)


def _file_object(found: "ReadDirectives") -> dict[str, object]:
    errors = [{"line": one.line, "column": one.column, "message": one.message} for one in found.problems]
    return {"file": str(found.file), "keys": dict(found.keys), "errors": errors}


def _file_text(found: "ReadDirectives") -> str:
    lines = [click.style(str(found.file), bold=True)]
    for key, value in found.keys:
        first, *others = columns.printable(value).split("\n")
        lines += [f"  {key}={first}", *(f"  {'':{len(key)}} {other}" for other in others)]
    return "\n".join(lines)


def _image_object(image: "SelectedImage", *, everything: bool) -> dict[str, object]:
    found: dict[str, object] = {"label": image.label, "file": str(image.file), "builder": image.builder.value}
    if everything:
        found |= {"built": not image.left_out, "reason": image.left_out, "listed": image.listed}
    return found
