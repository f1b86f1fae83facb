# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, under podman's names and the old scripts' spellings."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stxbuildah import log
from stxbuildah.errors import InputError
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry, Storage

if TYPE_CHECKING:
    from stxbuildah.model.update import HostOptions

Decorated = TypeVar("Decorated", bound=Callable[..., object])
# The last second that RFC 3339 can write, in which images tell their times.
_LAST_SECOND = 253_402_300_799
FILE = click.Path(path_type=Path)


def together(*options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Make one decorator of several, which show in the help in this order."""

    def decorate(function: Decorated) -> Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def verbosity_options(function: Decorated) -> Decorated:
    """Add the options that say how much is shown; they stand before the sub-command or after it."""
    return together(
        click.option("-v", "--verbose", count=True, expose_value=False, callback=_show,
                     help="Say what is decided and why; twice for everything."),
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_show,
                     help="Say nothing but results and errors."),
        click.option("--debug", is_flag=True, expose_value=False, callback=_show,
                     help="Show everything, and the traceback of an error."),
        click.option("--log-json", is_flag=True, expose_value=False, callback=_show,
                     help="Write log events as JSON lines."),
    )(function)  # fmt: skip


def _show(ctx: click.Context, parameter: click.Parameter, value: int) -> int:
    """Add what one place of the command line says to what the other said."""
    said: dict[str, int] = ctx.ensure_object(dict)
    if value:
        said[str(parameter.name)] = said.get(str(parameter.name), 0) + value
        verbose = said.get("verbose", 0)
        level = (
            log.Level.DEBUG if said.get("debug") or verbose > 1 else log.Level.INFO if verbose else log.Level.WARNING
        )
        settings = log.LogSettings(level=level, json=bool(said.get("log_json")), colour=colours_asked_for())
        ctx.with_resource(log.configured(settings))
    return value


def colours_asked_for() -> bool | None:
    """Tell what NO_COLOR (no-color.org) and FORCE_COLOR say; None when they leave it to each stream."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def is_quiet(ctx: click.Context) -> bool:
    """Tell whether ``--quiet`` was given."""
    return bool(ctx.ensure_object(dict).get("quiet"))


def is_verbose(ctx: click.Context) -> bool:
    """Tell whether log events are shown: ``--verbose``, ``--debug`` or ``--log-json`` was given."""
    said = ctx.ensure_object(dict)
    return any(said.get(name) for name in ("verbose", "debug", "log_json"))


def registry_options(function: Decorated) -> Decorated:
    """Add the options that say how registries are reached."""
    return together(
        click.option("--authfile", type=FILE, help="Credentials file [default: podman's own places]."),
        click.option("--creds", default="", metavar="USER[:PASSWORD]", help="Credentials for the registry."),
        click.option("--cert-dir", type=FILE, help="Folder of certificates for the registry."),
        click.option(
            "--tls-verify", type=bool, metavar="BOOL", help="false: accept plain HTTP and unknown certificates."
        ),
    )(function)


def retry_options(function: Decorated) -> Decorated:
    """Add the options that say how often a transient fault is tried again."""
    return together(
        click.option("--attempts", type=click.IntRange(1, 100), default=1, show_default=True, metavar="N",
                     help="How often a transient fault is tried in all."),
        click.option("--retry-delay", "--retry_delay", type=click.FloatRange(0, 86400), default=30.0, show_default=True,
                     metavar="SECONDS", help="Wait before the next attempt."),
    )(function)  # fmt: skip


def storage_options(function: Decorated) -> Decorated:
    """Add the options that name the image store."""
    return together(
        click.option("--root", default="", metavar="DIR", help="Folder of images and layers."),
        click.option("--runroot", default="", metavar="DIR", help="Folder of run-time state."),
        click.option("--storage-driver", default="", metavar="NAME", help="Storage driver, as overlay or vfs."),
    )(function)


def host_options(function: Decorated) -> Decorated:
    """Add the options that say how programs are run on this machine."""
    return together(
        storage_options,
        click.option("--isolation", type=click.Choice(["oci", "rootless", "chroot"]), help="Isolation of what runs."),
        click.option("--network", default="", metavar="MODE", help="Network of containers, as host or none."),
    )(function)


def proxy_options(function: Decorated) -> Decorated:
    """Add the proxy options, under both spellings."""
    return together(
        click.option("--http-proxy", "--http_proxy", default="", metavar="URL", help="Proxy for http downloads."),
        click.option("--https-proxy", "--https_proxy", default="", metavar="URL", help="Proxy for https downloads."),
        click.option("--no-proxy", "--no_proxy", default="", metavar="HOSTS", help="Hosts reached without a proxy."),
    )(function)


def registry_access(given: Mapping[str, Any]) -> RegistryAccess:
    """Make the value of ``registry_options``, and of STXB_REGISTRY_TIMEOUT.

    Args:
        given: all options of a command line.

    Raises:
        InputError: that is no number of seconds.
    """
    return RegistryAccess(
        authfile=given["authfile"],
        creds=given["creds"],
        cert_dir=given["cert_dir"],
        tls_verify=given["tls_verify"],
        timeout=_registry_timeout(),
    )


def _registry_timeout() -> float:
    text = os.environ.get("STXB_REGISTRY_TIMEOUT", "")
    if not text:
        return RegistryAccess().timeout
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", text, re.ASCII) or not float(text):
        raise InputError(
            f"STXB_REGISTRY_TIMEOUT is {text!r}, not a number of seconds between 0 and 100000",
            hint="write it as 120 or 7.5, or leave it out for 60",
        )
    return float(text)


def storage(root: str, runroot: str, storage_driver: str) -> Storage:
    """Make the value of the storage options."""
    return Storage(driver=storage_driver, root=root, runroot=runroot)


def host(given: Mapping[str, Any]) -> "HostOptions":
    """Make the value of ``storage_options``, and of ``host_options`` and ``proxy_options`` where a command has them.

    Args:
        given: all options of a command line.
    """
    from stxbuildah.model.update import HostOptions

    has_proxies = "http_proxy" in given
    return HostOptions(
        storage=storage(given["root"], given["runroot"], given["storage_driver"]),
        isolation=given.get("isolation") or "",
        network=given.get("network", ""),
        proxies=proxies(given["http_proxy"], given["https_proxy"], given["no_proxy"]) if has_proxies else Proxies(),
    )


def proxies(http_proxy: str, https_proxy: str, no_proxy: str) -> Proxies:
    """Make the value of ``proxy_options``; what is not given comes from the environment, in either case."""

    def either(given: str, name: str) -> str:
        return given or os.environ.get(name) or os.environ.get(name.upper()) or ""

    return Proxies(
        http=either(http_proxy, "http_proxy"), https=either(https_proxy, "https_proxy"), no=either(no_proxy, "no_proxy")
    )


def retry(attempts: int, retry_delay: float) -> Retry:
    """Make the value of ``retry_options``."""
    return Retry(attempts=attempts, delay=retry_delay)


def names(texts: Iterable[str]) -> tuple[str, ...]:
    """Read arguments of which each may be several names, with commas or blanks between them."""
    return tuple(name for text in texts for name in text.replace(",", " ").split())


def output_folder() -> Path:
    """Give the folder above all outputs: the workspace's when there is one, as the old scripts had it."""
    workspace = os.environ.get("MY_WORKSPACE")
    return Path(workspace) / "std" if workspace else Path("stxb-out")


def account() -> str:
    """Give this account's name, as the old scripts took it; empty when it has none."""
    if user := os.environ.get("USER"):
        return user
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def source_date_epoch() -> int | None:
    """Give SOURCE_DATE_EPOCH; None when it is not set.

    Raises:
        InputError: it is no whole number of seconds.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > _LAST_SECOND:
        raise InputError(
            f"SOURCE_DATE_EPOCH is {text!r}, not a whole number of seconds since 1970, before the year 10000"
        )
    return int(text)


def key_values(texts: tuple[str, ...], option: str) -> tuple[tuple[str, str], ...]:
    """Read ``NAME=VALUE`` arguments.

    Raises:
        click.BadParameter: an argument has no name.
    """
    pairs = []
    for text in texts:
        name, _, value = text.partition("=")
        if not name.strip():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
        pairs.append((name, value))
    return tuple(pairs)
