# SPDX-License-Identifier: Apache-2.0
"""``stxb update``: flags to a request, one call into jobs, a report."""

from typing import Any

import click

from stxbuildah.cli import options
from stxbuildah.cli.sections import SectionedCommand
from stxbuildah.cli.updateoptions import EXAMPLES, SECTIONS, update_options
from stxbuildah.cli.updaterequest import make_request


@click.command(
    cls=SectionedCommand,
    sections=SECTIONS,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@update_options
@options.verbosity_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Change an existing image by one thin layer.

    Wheels and module sources need nothing of the image to run: the layer is computed. Packages and a customization
    script run in a working container. Whatever was installed, the result has exactly one layer more than IMAGE and
    its configuration. The result's tag is IMAGE's with its last number raised by one, or with `.1` added.
    """
    from stxbuildah import jobs
    from stxbuildah.cli import report

    request = make_request(given)
    as_json = given["output_format"] == "json"
    if given["print_target"]:
        click.echo(str(jobs.update_target(request)))
        return
    if given["dry_run"]:
        show = report.plan_json if as_json else report.plan_text
        click.echo(show(jobs.plan_update(request)))
        return
    if given["digestfile"]:
        jobs.check_writable(given["digestfile"])
    quiet = options.is_quiet(ctx)
    result = jobs.update(request, report.progress(quiet=quiet))
    if given["digestfile"]:
        jobs.write_text(given["digestfile"], f"{result.digest}\n")
    if not quiet:
        report.update_summary(result)
    click.echo(report.update_json(result) if as_json else result.shown)
