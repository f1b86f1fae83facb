# SPDX-License-Identifier: Apache-2.0
"""The options of ``stxb images``, and the requests that they make."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.errors import InputError

if TYPE_CHECKING:
    from stxbuildah.model.imagebuild import SelectionRequest
    from stxbuildah.model.imagesrun import ImagesRequest, PushRequest

SECTIONS = {
    "Which images": ("roots", "os_name", "os_codename", "stream", "only", "skip"),
    "What they are made of": (
        "base", "no_pull_base", "wheels", "wheels_py2", "loci_bindep", "loci_pydep", "mirror", "build_ca_bundle",
        "allow_scripts",
    ),
    "What they are called": (
        "user", "registry", "prefix", "version", "os_arch", "os_label", "os_label_legacy", "latest", "latest_prefix",
    ),
    "How they are built": (
        "jobs", "timeout", "force", "cache", "compression_format", "keep", "dry_run",
    ),
    "What comes of it": ("push", "clean", "output", "report", "output_format"),
}  # fmt: skip
_TEXT: dict[str, Any] = {"default": ""}
_NAMES: dict[str, Any] = {"multiple": True, "metavar": "NAME[,NAME]"}


records_option = click.option(
    "--output", type=options.FILE, metavar="DIR",
    help="Folder above the records' own [default: $MY_WORKSPACE/std, else stxb-out].",
)  # fmt: skip


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which images are meant."""
    return options.together(
        click.option("--repo-root", "--repo_root", "roots", type=options.FILE, multiple=True, metavar="DIR",
                     help="A repository, or the folder that repositories lie in. Repeatable [default: MY_REPO]."),
        click.option("--os", "os_name", metavar="NAME", help="Operating system [default: this machine's].", **_TEXT),
        click.option("--os-codename", "--os_codename", metavar="NAME", help="Its release, as trixie.", **_TEXT),
        click.option("--stream", "--release", default="stable", show_default=True, metavar="NAME",
                     help="Build stream."),
        click.option("--only", help="Labels or projects that alone are built. Repeatable.", **_NAMES),
        click.option("--skip", help="Labels or projects that are not built. Repeatable.", **_NAMES),
    )(function)  # fmt: skip


def naming_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says what images are called."""
    return options.together(
        click.option("--user", metavar="NAME", help="Account in the registry [default: this account's name].", **_TEXT),
        click.option("--registry", metavar="HOST[:PORT]", help="Registry that images are pushed to.", **_TEXT),
        click.option("--prefix", default="dev", show_default=True, metavar="NAME",
                     help="First part of the tags; empty for none."),
        click.option("--version", metavar="VERSION", help="Version in the tags [default: the time in UTC].", **_TEXT),
        click.option("--os-arch", "--os_arch", metavar="ARCH", help="Architecture [default: this machine's].", **_TEXT),
        click.option("--os-label", "--os_label", metavar="NAME",
                     help="Label of the system in the tags [default: <os>-<codename>-<arch>].", **_TEXT),
        click.option("--os-label-legacy", "--os_label_legacy", is_flag=True,
                     help="Push under the system's plain name, too."),
        click.option("--latest", is_flag=True, help="Push under the tag that ends in latest, too."),
        click.option("--latest-prefix", "--latest_prefix", metavar="NAME",
                     help="First part of that tag [default: that of --prefix].", **_TEXT),
    )(function)  # fmt: skip


def build_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options of a build."""
    from stxbuildah.model.layer import Compression

    return options.together(
        selection_options,
        click.option("--base", metavar="IMAGE", help="Base image of docker and loci images.", **_TEXT),
        click.option("--no-pull-base", "--no_pull_base", "-N", is_flag=True,
                     help="Take the base image of the local store, without asking its registry."),
        click.option("--wheels", metavar="FILE|URL|IMAGE", help="Tarball of wheels, as stxb wheels makes it.", **_TEXT),
        click.option("--wheels-py2", "--wheels_py2", "--wheels-alternate", "--wheels_alternate",
                     metavar="FILE|URL|IMAGE", help="The same for images with PYTHON3=no.", **_TEXT),
        click.option("--loci-bindep", type=options.FILE, metavar="FILE",
                     help="List of distribution packages by profile [default: the shipped one]."),
        click.option("--loci-pydep", type=options.FILE, metavar="FILE",
                     help="List of Python packages by profile [default: the shipped one]."),
        click.option("--mirror", metavar="URL", help="Package index for what the tarball lacks [default: none].",
                     **_TEXT),
        click.option("--build-ca-bundle", type=options.FILE, envvar="STXB_BUILD_CA_BUNDLE", metavar="FILE",
                     help="Certificates for downloads, given to containers and never part of an image."),
        click.option("--allow-scripts", is_flag=True,
                     help="Run the scripts of BUILDER=script: on this machine, with your rights."),
        naming_options,
        click.option("--jobs", "-j", type=click.IntRange(1, 256), default=None, metavar="N",
                     help="Images built at a time [default: the CPUs]."),
        click.option("--timeout", type=click.FloatRange(min=1), default=None, metavar="SECONDS",
                     help="Time that building one image may take [default: no limit]."),
        click.option("--force", is_flag=True, help="Build also what is there already, made of the same."),
        click.option("--cache", is_flag=True, help="Let buildah use the layers of its earlier builds."),
        click.option("--compression-format", type=click.Choice([value.value for value in Compression]),
                     default="gzip", show_default=True, help="Compression of new layers."),
        click.option("--keep", is_flag=True, help="Keep working containers and the work folder."),
        click.option("--dry-run", "--dryrun", is_flag=True, help="Show the plan and do nothing."),
        click.option("--push", is_flag=True, help="Push each image as soon as it is built."),
        click.option("--clean", is_flag=True, help="After the push, remove them from the local store."),
        records_option,
        click.option("--report", type=options.FILE, metavar="FILE.html", help="Write a page that shows the run."),
        columns.RESULT_FORMAT,
        options.registry_options,
        options.retry_options,
        options.host_options,
        options.proxy_options,
        options.verbosity_options,
    )(function)  # fmt: skip


def push_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a push that goes on with an earlier run's."""
    return options.together(
        click.option("--only", help="Labels that alone are pushed. Repeatable.", **_NAMES),
        click.option("--jobs", "-j", type=click.IntRange(1, 256), default=None, metavar="N",
                     help="Images pushed at a time [default: the CPUs]."),
        click.option("--clean", is_flag=True, help="After the push, remove them from the local store."),
        records_option,
        columns.RESULT_FORMAT,
        options.registry_options,
        options.retry_options,
        options.storage_options,
        options.verbosity_options,
    )(function)  # fmt: skip


def make_push_request(given: dict[str, Any]) -> "PushRequest":
    """Make the value of ``push_options``."""
    from stxbuildah.model.imagesrun import RECORDS_FOLDER, PushRequest

    return PushRequest(
        records=(given["output"] or options.output_folder()) / RECORDS_FOLDER,
        only=options.names(given["only"]),
        host=options.host(given),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
        jobs=given["jobs"] or 0,
        clean=given["clean"],
    )


def make_selection(given: dict[str, Any]) -> "SelectionRequest":
    """Make the value of ``selection_options``.

    Raises:
        InputError: no folder to search is named.
    """
    from stxbuildah.model.imagebuild import SelectionRequest

    roots = given["roots"] or tuple(Path(root) for root in (os.environ.get("MY_REPO"),) if root)
    if not roots:
        raise InputError("no folder to search is named", hint="name the repositories with --repo-root, or set MY_REPO")
    return SelectionRequest(
        roots=roots, os=given["os_name"].lower(), codename=given["os_codename"].lower(), stream=given["stream"],
        only=options.names(given["only"]), skip=options.names(given["skip"]),
    )  # fmt: skip


def make_request(given: dict[str, Any]) -> "ImagesRequest":
    """Make the request from click's values.

    Raises:
        InputError: a value is not what is expected.
    """
    from stxbuildah.model.imagesrun import ImageMaterial, ImageNaming, ImagesRequest
    from stxbuildah.model.layer import Compression

    for option in ("loci_bindep", "loci_pydep", "build_ca_bundle"):
        if given[option] is not None and not given[option].is_file():
            raise InputError(f"--{option.replace('_', '-')} {given[option]} is no file")
    return ImagesRequest(
        selection=make_selection(given),
        naming=ImageNaming(
            user=given["user"], account=options.account(), registry=given["registry"], prefix=given["prefix"],
            version=given["version"], arch=given["os_arch"], os_label=given["os_label"],
            os_label_legacy=given["os_label_legacy"], latest=given["latest"], latest_prefix=given["latest_prefix"],
        ),
        material=ImageMaterial(
            base=given["base"], pull_base=not given["no_pull_base"], wheels=given["wheels"],
            wheels_python2=given["wheels_py2"], bindep=given["loci_bindep"], pydep=given["loci_pydep"],
            build_ca_bundle=given["build_ca_bundle"], mirror=given["mirror"],
        ),
        host=options.host(given),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
        jobs=given["jobs"] or 0,
        timeout=given["timeout"] or 0.0,
        push=given["push"], clean=given["clean"], cache=given["cache"], force=given["force"],
        allow_scripts=given["allow_scripts"], keep=given["keep"],
        compression=Compression(given["compression_format"]),
        output=given["output"] or options.output_folder(),
        report=given["report"],
        source_date_epoch=options.source_date_epoch(),
    )  # fmt: skip
