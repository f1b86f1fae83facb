# SPDX-License-Identifier: Apache-2.0
"""``stxb images``: what image directives files say, and which images a product has."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.errors import InputError, Problem, ProblemsError

if TYPE_CHECKING:
    from stxbuildah.model.imagebuild import ReadDirectives, SelectedImage

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_COMMA_LIST: dict[str, Any] = {"multiple": True, "metavar": "NAME[,NAME]"}


@click.group(context_settings=_SETTINGS)
def command() -> None:
    """The images of a whole product."""


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
@click.option(
    "--repo-root",
    "--repo_root",
    "roots",
    type=options.FILE,
    multiple=True,
    metavar="DIR",
    help="A repository, or the folder that repositories lie in. Repeatable [default: MY_REPO].",
)
@click.option("--os", "os_name", default="", metavar="NAME", help="Operating system [default: this machine's].")
@click.option("--os-codename", "--os_codename", default="", metavar="NAME", help="Its release, as trixie.")
@click.option("--stream", "--release", default="stable", show_default=True, metavar="NAME", help="Build stream.")
@click.option("--only", help="Labels or projects that alone are built. Repeatable.", **_COMMA_LIST)
@click.option("--skip", help="Labels or projects that are not built. Repeatable.", **_COMMA_LIST)
@click.option("--all", "everything", is_flag=True, help="In JSON, also tell of what is left out, and why.")
@columns.FORMAT
@options.verbosity_options
def list_command(**given: Any) -> None:
    """Show which images would be built, from which file, and why something is not.

    Mistakes are told after what was found, all at once, and then the exit status is 2.
    """
    from stxbuildah import jobs
    from stxbuildah.model.imagebuild import SelectionRequest

    roots = given["roots"] or tuple(Path(root) for root in (os.environ.get("MY_REPO"),) if root)
    if not roots:
        raise InputError("no folder to search is named", hint="name the repositories with --repo-root, or set MY_REPO")
    selection = jobs.select_images(
        SelectionRequest(
            roots=roots, os=given["os_name"].lower(), codename=given["os_codename"].lower(), stream=given["stream"],
            only=_names(given["only"]), skip=_names(given["skip"]),
        )
    )  # fmt: skip
    if given["output_format"] == "json":
        images = selection.images if given["everything"] else selection.built
        click.echo(columns.as_json([_image_object(image, everything=given["everything"]) for image in images]))
    else:
        rows = [(i.label, i.builder.value, str(i.file), i.listed, i.left_out or "built") for i in selection.images]
        click.echo(columns.table(("LABEL", "BUILDER", "FILE", "LISTED IN", ""), rows))
    _tell(selection.problems)


def _names(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for text in texts for name in text.replace(",", " ").split())


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
