# SPDX-License-Identifier: Apache-2.0
"""The options of ``stxb wheels`` and ``stxb wheels build``, and the request that they make."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import options
from stxbuildah.errors import InputError

if TYPE_CHECKING:
    from stxbuildah.model.wheelsrun import WheelsRequest

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def build_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what both commands know."""
    return options.together(
        click.option("--config", "configs", type=options.FILE, multiple=True, metavar="FILE",
                     help="A wheels.cfg [default: the shipped list of system and stream]. Repeatable."),
        click.option("--only", multiple=True, metavar="NAME",
                     help="Only this wheel: its module, file name or a wildcard. Repeatable."),
        click.option("--os", "os_name", default="debian", show_default=True, metavar="NAME", help="Operating system."),
        click.option("--os-codename", "--os_codename", default="trixie", show_default=True, metavar="NAME",
                     help="Its release."),
        click.option("--os-version", "--os_version", default="", metavar="N", help="Accepted; the release tells it."),
        click.option("--stream", "--release", default="stable", show_default=True, metavar="NAME",
                     help="Build stream."),
        click.option("--output", type=options.FILE, metavar="DIR",
                     help="Folder above the wheels' own [default: $MY_WORKSPACE/std, else stxb-out]."),
        click.option("--builder", default="", metavar="IMAGE", help="Image of the local store to build in."),
        click.option("--builder-base", default="", metavar="IMAGE",
                     help="Image that the builder image is made from [default: made of the distribution's packages]."),
        click.option("--mirror", default="", metavar="URL", help="Package mirror for the builder image."),
        click.option("--keep-image", is_flag=True, help="Accepted; the builder image is always kept."),
        click.option("--cache", is_flag=True, help="Accepted; a builder image of the same recipe is always used."),
        click.option("--no-cache-wheels", is_flag=True, help="Fetch and build everything anew."),
        click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Builds at a time [default: the CPUs]."),
        click.option("--build-network", is_flag=True, help="Let builds reach the network."),
        click.option("--build-requires", type=options.FILE, metavar="FILE",
                     help="Versions of what builds need, as setuptools==78.1.1, one a line."),
        click.option("--build-memory", default="16g", show_default=True, metavar="SIZE",
                     help="Memory that each process of a build may have; 0 for no limit."),
        click.option("--build-timeout", type=click.FloatRange(min=1), default=3600.0, show_default=True,
                     metavar="SECONDS", help="Time that one build may take."),
        click.option("--build-ca-bundle", type=options.FILE, metavar="FILE", help="Certificates for downloads."),
        click.option("--index-url", default="", metavar="URL", help="Package index of what builds need."),
        click.option("--find-links", multiple=True, metavar="PLACE", help="Folder or page of further wheels."),
        click.option("--dry-run", "--dryrun", is_flag=True, help="Show the plan and do nothing."),
        click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text",
                     show_default=True, help="Form of the result on standard output."),
        options.retry_options,
        options.proxy_options,
        options.storage_options,
        options.verbosity_options,
    )(function)  # fmt: skip


def make_request(given: dict[str, Any], *, tarball: bool) -> "WheelsRequest":
    """Make the request from click's values.

    Args:
        given: the values.
        tarball: whether the wheels are to be packed.

    Raises:
        InputError: a value is not what is expected.
    """
    from stxbuildah.model.update import HostOptions
    from stxbuildah.model.wheelsrun import BuildRequires, WheelLimits, WheelsBuilder, WheelsRequest

    if given["builder"] and given["builder_base"]:
        raise InputError("--builder and --builder-base exclude each other")
    if tarball and given["only"]:
        raise InputError(
            "a tarball holds the wheels of the whole list, and --only leaves some out",
            hint="stxb wheels build --only ... builds them without packing",
        )
    return WheelsRequest(
        configs=given["configs"],
        only=given["only"],
        os_name=given["os_name"].lower(),
        codename=given["os_codename"].lower(),
        stream=given["stream"],
        output=given["output"] or options.output_folder(),
        builder=WheelsBuilder(image=given["builder"], base=given["builder_base"], mirror=given["mirror"]),
        limits=WheelLimits(
            network=given["build_network"],
            memory=parse_size(given["build_memory"]),
            timeout=given["build_timeout"],
        ),
        requires=BuildRequires(
            pins=given["build_requires"], index_url=given["index_url"], find_links=given["find_links"]
        ),
        ca_bundle=_readable(given["build_ca_bundle"]),
        jobs=given["jobs"] or len(os.sched_getaffinity(0)),
        use_cache=not given["no_cache_wheels"],
        tarball=tarball,
        host=HostOptions(
            storage=options.storage(given["root"], given["runroot"], given["storage_driver"]),
            proxies=options.proxies(given["http_proxy"], given["https_proxy"], given["no_proxy"]),
        ),
        retry=options.retry(given["attempts"], given["retry_delay"]),
    )


def parse_size(text: str) -> int:
    """Read a number of bytes, as ``512m`` or ``16g`` (powers of 1024).

    Raises:
        InputError: it is none.
    """
    number, unit = text.strip().lower().removesuffix("b").removesuffix("i"), ""
    if number and number[-1] in _UNITS:
        number, unit = number[:-1], number[-1]
    if not number.isascii() or not number.isdigit():
        raise InputError(f"{text!r} is no size: a number of bytes, or one with k, m, g or t, as 16g")
    return int(number) * _UNITS[unit]


def _readable(file: Path | None) -> Path | None:
    if file is not None and not file.is_file():
        raise InputError(f"--build-ca-bundle {file} is no file")
    return file
