# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that look at images."""

from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import options

if TYPE_CHECKING:
    from stxbuildah.model.comparison import LookRequest


def look_options(function: Any) -> Any:
    """Add the options that say where images are and how registries are reached."""
    return options.together(
        options.registry_options, options.retry_options, options.proxy_options, options.storage_options,
        options.verbosity_options,
    )(function)  # fmt: skip


def make_request(
    images: tuple[str, ...], given: dict[str, Any], *, packages: bool = False, files: bool = False
) -> "LookRequest":
    """Make the request of a command line."""
    from stxbuildah.model.comparison import LookRequest

    return LookRequest(
        images=images,
        packages=packages,
        files=files,
        host=options.host(given),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
    )


def say(ctx: click.Context) -> Any:
    """Give what tells of progress on standard error, unless that is not wanted."""
    if options.is_quiet(ctx):
        return lambda _: None
    return lambda sentence: click.echo(f"· {sentence}", err=True)
