# SPDX-License-Identifier: Apache-2.0
"""The options of the commands of ``stxb wheels``, and the request that they make."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.errors import InputError

if TYPE_CHECKING:
    from stxbuildah.model.wheelsrun import FurtherWheels, WheelsRequest

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_DEV_STREAMS = frozenset({"dev", "master"})
# Where the replaced script has the dev stream's wheels from.
_DEV_IMAGE = "docker.io/loci/requirements:master-{os}"


def list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which wheels are meant: lists, system, stream, place of the output."""
    return options.together(
        click.option("--config", "configs", type=options.FILE, multiple=True, metavar="FILE",
                     help="A wheels.cfg [default: the shipped list of system and stream]. Repeatable."),
        click.option("--os", "os_name", default="debian", show_default=True, metavar="NAME", help="Operating system."),
        click.option("--os-codename", "--os_codename", default="trixie", show_default=True, metavar="NAME",
                     help="Its release."),
        click.option("--os-version", "--os_version", default="", metavar="N", help="Accepted; the release tells it."),
        click.option("--stream", "--release", default="stable", show_default=True, metavar="NAME",
                     help="Build stream."),
        click.option("--python2", is_flag=True, help="The variant for Python 2: names, list and constraints."),
        click.option("--output", type=options.FILE, metavar="DIR",
                     help="Folder above the wheels' own [default: $MY_WORKSPACE/std, else stxb-out]."),
        columns.RESULT_FORMAT,
        options.verbosity_options,
    )(function)  # fmt: skip


def fetch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how sources are fetched."""
    return options.together(
        click.option("--lock", type=options.FILE, metavar="FILE",
                     help="Lock file [default: wheels.lock beside the first list]."),
        click.option("--no-cache-wheels", is_flag=True, help="Fetch and build everything anew."),
        click.option("--build-ca-bundle", type=options.FILE, envvar="STXB_BUILD_CA_BUNDLE", metavar="FILE",
                     help="Certificates for downloads."),
        options.retry_options,
        options.proxy_options,
    )(function)  # fmt: skip


def build_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says how wheels are built."""
    return options.together(
        list_options,
        click.option("--only", multiple=True, metavar="NAME",
                     help="Only this wheel: its module, file name or a wildcard. Repeatable."),
        click.option("--locked", is_flag=True, help="Refuse every source that the lock file does not name."),
        fetch_options,
        click.option("--builder", default="", metavar="IMAGE", help="Image of the local store to build in."),
        click.option("--builder-base", default="", metavar="IMAGE",
                     help="Image that the builder image is made from [default: made of the distribution's packages]."),
        click.option("--mirror", default="", metavar="URL", help="Package mirror for the builder image."),
        click.option("--keep-image", is_flag=True, help="Accepted; the builder image is always kept."),
        click.option("--cache", is_flag=True, help="Accepted; a builder image of the same recipe is always used."),
        click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Builds at a time [default: the CPUs]."),
        click.option("--build-network", is_flag=True, help="Let builds reach the network."),
        click.option("--build-requires", type=options.FILE, metavar="FILE",
                     help="Versions of what builds need, as setuptools==78.1.1, one a line."),
        click.option("--build-memory", default="16g", show_default=True, metavar="SIZE",
                     help="Memory that each process of a build may have; 0 for no limit."),
        click.option("--build-timeout", type=click.FloatRange(min=1), default=3600.0, show_default=True,
                     metavar="SECONDS", help="Time that one build may take."),
        click.option("--index-url", default="", metavar="URL", help="Package index of what builds need."),
        click.option("--find-links", multiple=True, metavar="PLACE", help="Folder or page of further wheels."),
        click.option("--dry-run", "--dryrun", is_flag=True, help="Show the plan and do nothing."),
        options.storage_options,
    )(function)  # fmt: skip


def pack_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says what else is in the tarball, and where it goes."""
    return options.together(
        build_options,
        click.option("--openstack-config", type=options.FILE, metavar="FILE",
                     help="An openstack.cfg [default: the one beside the first list, if there is one]."),
        click.option("--repo-root", "--repo_root", "roots", type=options.FILE, multiple=True, metavar="DIR",
                     help="A repository, or the folder that repositories lie in, with lists of packages that hold "
                     "wheels. Repeatable [default: MY_REPO]."),
        click.option("--packages", type=options.FILE, multiple=True, metavar="DIR",
                     help="Folder of those packages. Repeatable [default: $MY_WORKSPACE/std]."),
        click.option("--extra-wheels-dir", "--extra_wheels_dir", type=options.FILE, metavar="DIR",
                     help="Folder of further wheels."),
        click.option("--wheels-image", metavar="IMAGE",
                     help="Image with further wheels [default for the dev stream: loci/requirements]; empty for none."),
        click.option("--push", is_flag=True, help="Push the tarball as an image of one layer."),
        click.option("--registry", default="", metavar="HOST[:PORT]", help="Registry of that image."),
        click.option("--user", default="", metavar="NAME", help="Account in it [default: this account's name]."),
        click.option("--version", default="", metavar="VERSION", help="Its tag, beside latest [default: the time]."),
        click.option("--clean", is_flag=True, help="Accepted; the image is in no local store."),
        options.registry_options,
    )(function)  # fmt: skip


def make_request(given: dict[str, Any], *, tarball: bool = False) -> "WheelsRequest":
    """Make the request from click's values, those of options that a command does not have left out.

    Args:
        given: the values.
        tarball: whether the wheels are to be packed.

    Raises:
        InputError: a value is not what is expected.
    """
    from stxbuildah.model.update import HostOptions
    from stxbuildah.model.wheelsrun import BuildRequires, WheelLimits, WheelsBuilder, WheelsLock, WheelsRequest

    if given.get("builder") and given.get("builder_base"):
        raise InputError("--builder and --builder-base exclude each other")
    if tarball and given["only"]:
        raise InputError(
            "a tarball holds the wheels of the whole list, and --only leaves some out",
            hint="stxb wheels build --only ... builds them without packing",
        )
    request = WheelsRequest(
        configs=given["configs"],
        only=given.get("only", ()),
        os_name=given["os_name"].lower(),
        codename=given["os_codename"].lower(),
        stream=given["stream"],
        python2=given["python2"],
        output=given["output"] or options.output_folder(),
        builder=WheelsBuilder(
            image=given.get("builder", ""), base=given.get("builder_base", ""), mirror=given.get("mirror", "")
        ),
        limits=WheelLimits(
            network=given.get("build_network", False),
            memory=parse_size(given.get("build_memory", "0")),
            timeout=given.get("build_timeout", 0.0),
        ),
        requires=BuildRequires(
            pins=given.get("build_requires"),
            index_url=given.get("index_url", ""),
            find_links=given.get("find_links", ()),
        ),
        ca_bundle=_readable(given.get("build_ca_bundle")),
        jobs=given.get("jobs") or len(os.sched_getaffinity(0)),
        use_cache=not given.get("no_cache_wheels", False),
        lock=WheelsLock(file=given.get("lock"), enforced=given.get("locked", False)),
        tarball=tarball,
        host=HostOptions(
            storage=options.storage(given.get("root", ""), given.get("runroot", ""), given.get("storage_driver", "")),
            proxies=options.proxies(
                given.get("http_proxy", ""), given.get("https_proxy", ""), given.get("no_proxy", "")
            ),
        ),
        retry=options.retry(given.get("attempts", 1), given.get("retry_delay", 30.0)),
    )
    return _with_packing(request, given) if tarball else request


def _with_packing(request: "WheelsRequest", given: dict[str, Any]) -> "WheelsRequest":
    import time

    import attrs

    from stxbuildah.model.wheelsrun import WheelsImage

    return attrs.evolve(
        request,
        openstack=given["openstack_config"],
        further=_further(request, given),
        image=WheelsImage(
            push=given["push"],
            registry=given["registry"],
            user=given["user"] or options.account(),
            version=given["version"] or time.strftime("%Y.%m.%d.%H.%M", time.gmtime()),
        ),
        access=options.registry_access(given),
    )


def _further(request: "WheelsRequest", given: dict[str, Any]) -> "FurtherWheels":
    from stxbuildah.model.wheelsrun import FurtherWheels

    def folders(name: str, variable: str, below: str) -> tuple[Path, ...]:
        default = os.environ.get(variable)
        return given[name] or ((Path(default, below),) if default else ())

    image = given["wheels_image"]
    if image is None:
        image = _DEV_IMAGE.format(os=request.os_name) if request.stream in _DEV_STREAMS else ""
    return FurtherWheels(
        roots=folders("roots", "MY_REPO", ""),
        packages=folders("packages", "MY_WORKSPACE", "std"),
        folder=given["extra_wheels_dir"],
        image=image,
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
