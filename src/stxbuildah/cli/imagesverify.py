# SPDX-License-Identifier: Apache-2.0
"""``stxb images verify``: do images start, and hold what they should."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.cli.imagesoptions import records_option, selection_options
from stxbuildah.cli.lookoptions import say
from stxbuildah.errors import BuildError

if TYPE_CHECKING:
    from stxbuildah.model.verify import CheckResult, VerifiedImage, VerifyRequest

_COLOURS = {"ok": "green", "failed": "red", "skipped": "bright_black"}
_DETAILS_SHOWN = 10


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    return options.together(
        click.option("--file", "files", type=options.FILE, multiple=True, metavar="DIRECTIVES",
                     help="Image directives file, which says what its image should hold. Repeatable."),
        selection_options,
        click.option("--user", default="", metavar="NAME", help="Account in the images' names, as of the build."),
        click.option("--prefix", default="dev", show_default=True, metavar="NAME", help="First part of their tags."),
        click.option("--os-arch", "--os_arch", default="", metavar="ARCH", help="Architecture in their tags."),
        click.option("--os-label", "--os_label", default="", metavar="NAME", help="Label of the system in their tags."),
        click.option("--base", default="", metavar="IMAGE",
                     help="What they were built from [default: what records or images say]."),
        click.option("--no-run", is_flag=True, help="Run no program of an image; only read its files."),
        click.option("--seconds", type=click.FloatRange(min=0.1, max=600), default=5.0, show_default=True,
                     metavar="SECONDS", help="How long a program that goes on is watched."),
        click.option("--jobs", "-j", type=click.IntRange(1, 256), default=None, metavar="N",
                     help="Images verified at a time [default: the CPUs]."),
        records_option,
        columns.FORMAT,
        options.registry_options,
        options.retry_options,
        options.host_options,
        options.verbosity_options,
    )(function)  # fmt: skip


@click.command("verify", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@_options
@click.pass_context
def command(ctx: click.Context, /, *, images: tuple[str, ...], **given: Any) -> None:
    """Verify images of the local store: that they start, and hold what their directives files say and nothing else.

    Without IMAGE, those of --file and of the product that --repo-root finds; else those of the records of stxb images;
    else of the product in MY_REPO. Every check of every image is told; the exit status is 1 when one fails.
    """
    from stxbuildah import jobs

    found = jobs.verify_images(_request(images, given), say(ctx))
    if given["output_format"] == "json":
        click.echo(columns.as_json([report_object(image) for image in found]))
    elif not options.is_quiet(ctx):
        click.echo("\n".join(report_text(found)))
    bad = [image.label or image.image for image in found if not image.ok]
    if bad:
        raise BuildError(
            f"{len(bad)} of {len(found)} images are not as they should be: {', '.join(bad)}",
            hint="the rows marked failed say why",
        )


def _request(images: tuple[str, ...], given: dict[str, Any]) -> "VerifyRequest":
    from stxbuildah.model.imagebuild import SelectionRequest
    from stxbuildah.model.imagesrun import RECORDS_FOLDER, ImageNaming
    from stxbuildah.model.verify import VerifyRequest

    only, skip = (options.names(given[name]) for name in ("only", "skip"))
    return VerifyRequest(
        images=images,
        files=given["files"],
        selection=SelectionRequest(
            roots=given["roots"], os=given["os_name"].lower(), codename=given["os_codename"].lower(),
            stream=given["stream"], only=only, skip=skip,
        ),
        fallback=tuple(Path(root) for root in (os.environ.get("MY_REPO"),) if root),
        naming=ImageNaming(
            user=given["user"], account=options.account(), prefix=given["prefix"], arch=given["os_arch"],
            os_label=given["os_label"],
        ),
        records=(given["output"] or options.output_folder()) / RECORDS_FOLDER,
        only=only,
        skip=skip,
        base=given["base"],
        run=not given["no_run"],
        seconds=given["seconds"],
        jobs=given["jobs"] or 0,
        host=options.host(given),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
    )  # fmt: skip


def report_text(found: "Sequence[VerifiedImage]") -> Iterator[str]:
    """Give the lines that tell of images: a row for each check, then what stands behind those that failed."""
    rows = [
        (columns.printable(image.label or image.image), result.check.value, result.verdict.value,
         _line(result.sentence))
        for image in found
        for result in image.results
    ]  # fmt: skip
    table = columns.table(("IMAGE", "CHECK", "", ""), rows).split("\n")
    yield table[0]
    for line, (_, _, verdict, _) in zip(table[1:], rows, strict=True):
        yield click.style(line, fg=_COLOURS[verdict])
    for image in found:
        for result in image.results:
            yield from _details(image, result)


def _details(image: "VerifiedImage", result: "CheckResult") -> Iterator[str]:
    """Give what stands behind a check that failed for several things."""
    if len(result.details) > 1:
        yield ""
        yield click.style(f"{image.label or image.image}, {result.check.value}:", bold=True)
        yield from (f"  {_line(detail)}" for detail in result.details[:_DETAILS_SHOWN])
        if len(result.details) > _DETAILS_SHOWN:
            yield f"  and {len(result.details) - _DETAILS_SHOWN} more; --format json tells all"


def _line(text: str) -> str:
    return " ".join(columns.printable(text).split())


def report_object(image: "VerifiedImage") -> dict[str, object]:
    """Give what was found in an image, for machines."""
    return {
        "image": image.image,
        "digest": image.digest,
        "label": image.label,
        "file": str(image.file or ""),
        "base": image.base,
        "ok": image.ok,
        "checks": [
            {"check": one.check.value, "result": one.verdict.value, "sentence": one.sentence,
             "details": list(one.details)}
            for one in image.results
        ],
    }  # fmt: skip
