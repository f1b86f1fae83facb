# SPDX-License-Identifier: Apache-2.0
"""``stxb base``: flags to a request, one call into jobs, a report."""

from typing import Any

import click

from stxbuildah import log
from stxbuildah.cli import baseoptions, options
from stxbuildah.cli.baserequest import make_request
from stxbuildah.cli.sections import SectionedCommand

_EXAMPLES = """\b
Examples:
  stxb base --os debian --os-codename trixie
  stxb base --os debian --os-codename trixie --version 1.0 --registry registry.example --user starlingx --push --latest
  stxb base --os-codename bookworm --repo "deb [trusted=yes] http://build.example/repo bookworm main" --publish-repos no
  stxb base --os centos --os-codename stream9 --from-image quay.io/centos/centos:stream9 --repo stx,http://build.example/rpm
"""


@click.command(
    cls=SectionedCommand,
    sections=baseoptions.SECTIONS,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@baseoptions.system_options
@baseoptions.package_options
@baseoptions.publishing_options
@baseoptions.image_options
@click.option(
    "--cache", is_flag=True, help="Accepted without effect: nothing is kept of earlier builds to be used again."
)
@click.option("--keep", is_flag=True, help="Keep the work folder and the working container.")
@click.option("--dry-run", "--dryrun", is_flag=True, help="Show the plan and do nothing.")
@options.registry_options
@options.retry_options
@options.host_options
@options.verbosity_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Make the base OS image stx-<os>, from the distribution's packages alone or of another image.

    The image is <registry>/<user>/stx-<os>:[<prefix>-]<codename>-<arch>-<stream>-<version>. Made of packages it has one
    layer; with the same snapshot as mirror and the same SOURCE_DATE_EPOCH it is the same image, byte for byte. Made of
    an image (--from-image), its packages are upgraded and others installed in a working container, and all that
    changed is one layer on top.
    """
    from stxbuildah import jobs
    from stxbuildah.cli import basereport, report

    request = make_request(given)
    _tell_without_effect(given, apt=request.system.os == "debian")
    as_json = given["output_format"] == "json"
    if given["dry_run"]:
        plan = jobs.plan_base(request)
        click.echo(basereport.plan_json(plan) if as_json else basereport.plan_text(plan))
        return
    quiet = options.is_quiet(ctx)
    if given["digestfile"]:
        jobs.check_writable(given["digestfile"])
    result = jobs.build_base(request, report.progress(quiet=quiet))
    if given["digestfile"]:
        jobs.write_text(given["digestfile"], f"{result.digest}\n")
    if not quiet:
        basereport.summary(result)
    click.echo(basereport.result_json(result) if as_json else basereport.result_text(result))


def _tell_without_effect(given: dict[str, Any], *, apt: bool) -> None:
    """Say of options of the replaced script that nothing remains for them to do."""
    if given["cache"]:
        log.warning(
            "option.without_effect",
            option="--cache",
            reason="nothing is kept of earlier builds, so there is nothing to use again, and nothing out of date",
        )
    if given["hostname"] and (apt or not given["local"]):
        log.warning(
            "option.without_effect",
            option="--hostname",
            reason="only --local for dnf and yum names a host; REPOMGR_DEPLOY_URL has its own",
        )
