# SPDX-License-Identifier: Apache-2.0
"""``stxb wheels``: the wheels that images are built with, listed, built and packed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.cli.wheelsoptions import build_options, fetch_options, list_options, make_request, pack_options
from stxbuildah.errors import BuildError

if TYPE_CHECKING:
    from stxbuildah.model.wheelbuild import WheelSource

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS, invoke_without_command=True)
@pack_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Build the Python wheels that images are built with, and pack them into a tarball.

    Each wheel of the lists is downloaded, or built from its source in a container of its own. Nothing that an earlier
    run built from the same is built again. When one fails, the others are still built, and there is no tarball.
    """
    if ctx.invoked_subcommand is None:
        _build(ctx, given, tarball=True)


@command.command("build", context_settings=_SETTINGS)
@build_options
@click.pass_context
def build_command(ctx: click.Context, /, **given: Any) -> None:
    """Build the wheels of the lists, or some of them, without packing them."""
    _build(ctx, given, tarball=False)


def _build(ctx: click.Context, given: dict[str, Any], *, tarball: bool) -> None:
    from stxbuildah import jobs
    from stxbuildah.cli import wheelsreport

    request = make_request(given, tarball=tarball)
    as_json = given["output_format"] == "json"
    if given["dry_run"]:
        plan = jobs.plan_wheels(request)
        click.echo(wheelsreport.plan_json(plan) if as_json else wheelsreport.plan_text(plan))
        return
    quiet = options.is_quiet(ctx)
    result = jobs.build_wheels(request, wheelsreport.progress(quiet=quiet))
    if not quiet:
        wheelsreport.summary(result)
    if as_json:
        click.echo(wheelsreport.result_json(result))
    if result.failures:
        raise BuildError(
            f"{len(result.failures)} of {len(result.outcomes)} wheels failed",
            hint="the others are there; run it again to try only these",
            details=wheelsreport.failures_text(result.failures),
        )
    if not as_json:
        click.echo(wheelsreport.result_text(result))


@command.command("lock", context_settings=_SETTINGS)
@list_options
@fetch_options
@click.pass_context
def lock_command(ctx: click.Context, /, **given: Any) -> None:
    """Fetch what all wheels are made of, and write its digests and commits to the lock file."""
    from stxbuildah import jobs
    from stxbuildah.cli import wheelsreport

    result = jobs.lock_wheels(make_request(given), wheelsreport.progress(quiet=options.is_quiet(ctx)))
    failures = tuple(outcome for outcome in result.outcomes if outcome.error)
    if failures:
        raise BuildError(
            f"{len(failures)} of {len(result.outcomes)} sources cannot be had, and {result.file} was not written",
            details=wheelsreport.failures_text(failures),
        )
    click.echo(wheelsreport.locked_json(result) if given["output_format"] == "json" else str(result.file))


@command.command("check", context_settings=_SETTINGS)
@list_options
@click.option("--tarball", type=options.FILE, metavar="FILE", help="Tarball to look into [default: the run's own].")
@click.pass_context
def check_command(ctx: click.Context, /, **given: Any) -> None:
    """Show the constraints of a tarball that no wheel in it meets, and fail when wheels of the lists are missing."""
    from stxbuildah import jobs
    from stxbuildah.cli import wheelsreport

    result = jobs.check_wheels(make_request(given), given["tarball"])
    if given["output_format"] == "json":
        click.echo(wheelsreport.checked_json(result))
    else:
        for line in result.unmet:
            click.echo(line)
        if not options.is_quiet(ctx):
            click.echo(f"{result.wheels} wheels; {len(result.unmet)} constraints that none of them meets", err=True)
    if result.missing:
        raise BuildError(
            f"{len(result.missing)} wheels of the lists are not in {result.tarball}", details=result.missing
        )


@command.command("list", context_settings=_SETTINGS)
@click.option(
    "--config",
    "configs",
    type=options.FILE,
    multiple=True,
    required=True,
    metavar="FILE",
    help="A wheels.cfg, as stable-wheels.cfg. Repeatable.",
)
@click.argument("more", type=options.FILE, nargs=-1, metavar="[FILE]...")
@columns.FORMAT
@options.verbosity_options
def list_command(configs: tuple[Path, ...], more: tuple[Path, ...], output_format: str) -> None:
    """Show the wheels that configuration files list, in their order.

    All mistakes of all files are told at once, each with line and column, and then nothing is listed.
    """
    from stxbuildah import jobs

    files = (*configs, *more)
    wheels = jobs.list_wheels(files)
    if output_format == "json":
        click.echo(columns.as_json([_wheel_object(wheel, several=len(files) > 1) for wheel in wheels]))
        return
    rows = [_wheel_row(wheel) for wheel in wheels]
    click.echo(columns.table(("WHEEL", "SOURCE", "REF", "BASEDIR", "", "URL"), rows))
    for name, sources in _repeated(wheels).items():
        shown = ", ".join(source.wheel for source in sources)
        click.echo(f"{click.style('note:', fg='yellow')} {name} is listed {len(sources)} times: {shown}", err=True)


def _wheel_object(wheel: "WheelSource", *, several: bool) -> dict[str, object]:
    found: dict[str, object] = {
        "wheel": wheel.wheel,
        "source": wheel.kind.value,
        "url": wheel.url,
        "basedir": wheel.basedir,
        "ref": wheel.ref,
        "fix_setup": wheel.fix_setup,
        "line": wheel.line,
    }
    if wheel.sha256:
        found["sha256"] = wheel.sha256
    if several:
        found["file"] = wheel.source
    return found


def _wheel_row(wheel: "WheelSource") -> tuple[str, ...]:
    fix = "fix_setup" if wheel.fix_setup else ""
    return (wheel.wheel, wheel.kind.value, wheel.ref, wheel.basedir, fix, wheel.shown_url)


def _repeated(wheels: "tuple[WheelSource, ...]") -> "dict[str, tuple[WheelSource, ...]]":
    from stxbuildah.model.wheelbuild import repeated_modules

    return repeated_modules(wheels)
