# SPDX-License-Identifier: Apache-2.0
"""The options of ``stxb base``, under the names of the script that it replaces."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stxbuildah.cli import columns, options
from stxbuildah.model.layer import Compression
from stxbuildah.model.update import PullPolicy

Decorated = TypeVar("Decorated", bound=Callable[..., object])
_TEXT: dict[str, Any] = {"default": "", "show_default": False}
SECTIONS = {
    "The system": (
        "os_name", "os_codename", "os_arch", "os_version", "from_image", "pull", "mirror", "security_mirror",
        "repositories", "local", "hostname", "packages", "minimal", "proxy", "build_ca_bundle", "config_file",
    ),
    "What the image says of repositories": (
        "publish_repos", "private_repos", "repomgr_publish_url", "templates", "variables", "build_layers", "roots",
    ),
    "The image": (
        "version", "stream", "prefix", "registry", "user", "latest", "latest_tag", "push", "clean", "labels",
        "compression_format", "digestfile", "output_format",
    ),
    "What is done at all": ("dry_run", "keep", "cache"),
}  # fmt: skip


def system_options(function: Decorated) -> Decorated:
    """Add the options that say what system it is and what it is made of."""
    return options.together(
        click.option("--os", "os_name", metavar="NAME", help="Operating system [default: this machine's].", **_TEXT),
        click.option("--os-codename", "--os_codename", metavar="NAME", help="Its release, as trixie.", **_TEXT),
        click.option("--os-arch", "--os_arch", metavar="ARCH", help="Architecture [default: this machine's].", **_TEXT),
        click.option("--os-version", "--os_version", metavar="N", help="Its number [default: the recipe's].", **_TEXT),
        click.option(
            "--from-image",
            "--from_image",
            metavar="IMAGE",
            help="Image of a registry or the local store to start from [default: none, where packages suffice].",
            **_TEXT,
        ),
        click.option(
            "--pull",
            type=click.Choice([policy.value for policy in PullPolicy]),
            help="When that image is fetched from its registry [default: missing].",
        ),
        click.option(
            "--config-file",
            "--config_file",
            type=options.FILE,
            metavar="FILE",
            help="File of version=, user=, proxy=, registry= and repo= lines"
            " [default: base-image-build-<os>-<codename>-<stream>.cfg, if it is there].",
        ),
    )(function)


def package_options(function: Decorated) -> Decorated:
    """Add the options that say which packages there are and where they come from."""
    return options.together(
        click.option(
            "--repo",
            "repositories",
            multiple=True,
            metavar="LINE",
            help="Package repository: a sources.list line, or NAME,URL for dnf and yum. Repeatable.",
        ),
        click.option("--local", is_flag=True, help="Use the build's own repositories, which the environment names."),
        click.option(
            "--hostname",
            metavar="HOST",
            help="With --local, the host that serves them to dnf and yum [default: this one]; no use with apt.",
            **_TEXT,
        ),
        click.option(
            "--mirror", metavar="URL", help="The distribution's mirror [default: DEBIAN_SNAPSHOT, or public].", **_TEXT
        ),
        click.option("--security-mirror", metavar="URL", help="Mirror of its security updates.", **_TEXT),
        click.option(
            "--packages",
            multiple=True,
            metavar="A,B",
            help="Packages in place of the recipe's; empty for none. Repeatable.",
        ),
        click.option("--minimal", is_flag=True, help="Only the recipe's short list of packages."),
        click.option("--proxy", metavar="URL", help="Proxy for downloads.", **_TEXT),
        click.option(
            "--build-ca-bundle",
            type=options.FILE,
            envvar="STXB_BUILD_CA_BUNDLE",
            show_envvar=True,
            metavar="FILE",
            help="Certificates for downloads in the working container, for the run only.",
        ),
    )(function)


def publishing_options(function: Decorated) -> Decorated:
    """Add the options that say what the image is told of repositories."""
    return options.together(
        click.option(
            "--publish-repos",
            "--publish_repos",
            type=bool,
            default=True,
            metavar="BOOL",
            help="no: given repositories and mirrors stay out of the image [default: yes].",
        ),
        click.option("--private-repos", is_flag=True, help="The same as --publish-repos no."),
        click.option(
            "--repomgr-publish-url",
            "--repomgr_publish_url",
            metavar="URL",
            help="What the image names in place of REPOMGR_DEPLOY_URL.",
            **_TEXT,
        ),
        click.option(
            "--apt-template",
            "--apt_template",
            "templates",
            type=options.FILE,
            multiple=True,
            metavar="FILE",
            help="Apt list or preferences with @VARIABLES@, as stx.sources.list.in, or a folder of such. Repeatable.",
        ),
        click.option(
            "--var",
            "variables",
            multiple=True,
            metavar="NAME=VALUE",
            help="Value of such a variable [default: the environment's]. Repeatable.",
        ),
        click.option(
            "--build-layer",
            "build_layers",
            multiple=True,
            metavar="NAME",
            help="Layer of the build that gets a list of its own, switched off. Repeatable"
            " [default: those in the checkouts' <os>_build_layer.cfg].",
        ),
        click.option(
            "--repo-root",
            "--repo_root",
            "roots",
            type=options.FILE,
            multiple=True,
            metavar="DIR",
            help="Checkout, or the folder that checkouts lie in. Repeatable [default: MY_REPO].",
        ),
    )(function)


def image_options(function: Decorated) -> Decorated:
    """Add the options that say what the image is called and where it goes."""
    return options.together(
        click.option(
            "--version", metavar="VERSION", help="Last part of the tag [default: the system's number].", **_TEXT
        ),
        click.option(
            "--stream", "--release", default="stable", show_default=True, metavar="NAME", help="Build stream."
        ),
        click.option("--prefix", metavar="NAME", help="First part of the tag.", **_TEXT),
        click.option("--registry", metavar="HOST[:PORT]", help="Registry of the image.", **_TEXT),
        click.option("--user", metavar="NAME", help="Account in it [default: this account's name].", **_TEXT),
        click.option("--latest", is_flag=True, help="Also give and push the name that ends in the latest tag."),
        click.option(
            "--latest-tag", "--latest_tag", default="latest", show_default=True, metavar="TAG", help="That end."
        ),
        click.option("--push", is_flag=True, help="Push every name; prints reference@digest."),
        click.option("--clean", is_flag=True, help="After the push, keep nothing in the local store."),
        click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label of the image. Repeatable."),
        click.option(
            "--compression-format",
            type=click.Choice([value.value for value in Compression]),
            default="gzip",
            show_default=True,
            help="Compression of the layer.",
        ),
        click.option("--digestfile", type=options.FILE, metavar="FILE", help="Write the image's digest to a file."),
        columns.RESULT_FORMAT,
    )(function)
