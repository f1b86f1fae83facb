# SPDX-License-Identifier: Apache-2.0
"""``stxb base``: flags to a request, one call into jobs, a report."""

from typing import Any

import click

from stxbuildah.cli import options
from stxbuildah.cli.baserequest import make_request
from stxbuildah.cli.sections import SectionedCommand
from stxbuildah.model.layer import Compression

_EXAMPLES = """\b
Examples:
  stxb base --os debian --os-codename trixie
  stxb base --os debian --os-codename trixie --version 1.0 --registry registry.example --user starlingx --push --latest
  stxb base --os-codename bookworm --repo "deb [trusted=yes] http://build.example/repo bookworm main" --private-repos
"""
_SECTIONS = {
    "The system": (
        "os_name", "os_codename", "os_arch", "os_version", "mirror", "security_mirror", "repositories", "local",
        "repomgr_publish_url", "private_repos", "packages", "minimal", "proxy", "config_file",
    ),
    "The image": (
        "version", "stream", "prefix", "registry", "user", "latest", "latest_tag", "push", "clean", "labels",
        "compression_format", "digestfile", "output_format",
    ),
    "What is done at all": ("dry_run", "keep"),
}  # fmt: skip
_TEXT: dict[str, Any] = {"default": "", "show_default": False}


@click.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--os", "os_name", metavar="NAME", help="Operating system [default: this machine's].", **_TEXT)
@click.option("--os-codename", "--os_codename", metavar="NAME", help="Its release, as trixie.", **_TEXT)
@click.option("--os-arch", "--os_arch", metavar="ARCH", help="Architecture [default: this machine's].", **_TEXT)
@click.option("--os-version", "--os_version", metavar="N", help="Its number [default: the recipe's].", **_TEXT)
@click.option("--version", metavar="VERSION", help="Last part of the tag [default: the system's number].", **_TEXT)
@click.option("--stream", "--release", default="stable", show_default=True, metavar="NAME", help="Build stream.")
@click.option("--prefix", metavar="NAME", help="First part of the tag.", **_TEXT)
@click.option("--registry", metavar="HOST[:PORT]", help="Registry of the image.", **_TEXT)
@click.option("--user", metavar="NAME", help="Account in it [default: this account's name].", **_TEXT)
@click.option("--latest", is_flag=True, help="Also give and push the name that ends in the latest tag.")
@click.option("--latest-tag", "--latest_tag", default="latest", show_default=True, metavar="TAG", help="That end.")
@click.option(
    "--repo",
    "repositories",
    multiple=True,
    metavar="LINE",
    help="Package repository, as a sources.list line. Repeatable.",
)
@click.option("--local", is_flag=True, help="Use the build's own repositories, which REPOMGR_DEPLOY_URL names.")
@click.option(
    "--repomgr-publish-url",
    "--repomgr_publish_url",
    metavar="URL",
    help="What the image's apt lists name in place of REPOMGR_DEPLOY_URL.",
    **_TEXT,
)
@click.option(
    "--private-repos", is_flag=True, help="Leave given repositories and mirrors out of the image's apt lists."
)
@click.option(
    "--mirror", metavar="URL", help="The distribution's mirror [default: DEBIAN_SNAPSHOT, or public].", **_TEXT
)
@click.option("--security-mirror", metavar="URL", help="Mirror of its security updates.", **_TEXT)
@click.option(
    "--packages", multiple=True, metavar="A,B", help="Packages in place of the recipe's; empty for none. Repeatable."
)
@click.option("--minimal", is_flag=True, help="Only the recipe's short list of packages.")
@click.option(
    "--config-file",
    "--config_file",
    type=options.FILE,
    metavar="FILE",
    help="File of version=, user=, proxy=, registry= and repo= lines"
    " [default: base-image-build-<os>-<codename>-<stream>.cfg, if it is there].",
)
@click.option("--proxy", metavar="URL", help="Proxy for downloads.", **_TEXT)
@click.option("--push", is_flag=True, help="Push every name; prints reference@digest.")
@click.option("--clean", is_flag=True, help="After the push, keep nothing in the local store.")
@click.option("--cache", is_flag=True, help="Accepted; nothing is cached, and nothing out of date can be used.")
@click.option("--hostname", metavar="HOST", help="Accepted; only CentOS builds name this host.", **_TEXT)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label of the image. Repeatable.")
@click.option(
    "--compression-format",
    type=click.Choice([value.value for value in Compression]),
    default="gzip",
    show_default=True,
    help="Compression of the layer.",
)
@click.option("--digestfile", type=options.FILE, metavar="FILE", help="Write the image's digest to a file.")
@click.option("--keep", is_flag=True, help="Keep the work folder.")
@click.option("--dry-run", "--dryrun", is_flag=True, help="Show the plan and do nothing.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the result on standard output.",
)
@options.registry_options
@options.retry_options
@options.storage_options
@options.verbosity_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Make the base OS image stx-<os> from the distribution's packages, without any other image.

    The image is <registry>/<user>/stx-<os>:[<prefix>-]<codename>-<arch>-<stream>-<version>. It has one layer; with the
    same snapshot as mirror and the same SOURCE_DATE_EPOCH it is the same image, byte for byte.
    """
    from stxbuildah import jobs
    from stxbuildah.cli import basereport, report

    request = make_request(given)
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
