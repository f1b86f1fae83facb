# SPDX-License-Identifier: Apache-2.0
"""Names of images, for shells that complete command lines."""

import click

from stxbuildah.errors import StxbError

_LOCAL = "localhost/"


def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Give the images of the local store whose name begins so; none where it cannot be asked.

    Args:
        ctx: what was given before.
        parameter: the argument that is completed.
        incomplete: what was typed of it.
    """
    from stxbuildah import jobs
    from stxbuildah.cli import options

    del parameter
    given = (str(ctx.params.get(name) or "") for name in ("root", "runroot", "storage_driver"))
    try:
        names = jobs.image_names(options.storage(*given))
    except StxbError:
        return []
    # What was built here is also found without the name of its registry.
    short = [name.removeprefix(_LOCAL) for name in names if incomplete and name.startswith(_LOCAL)]
    return sorted({name for name in (*names, *short) if name.startswith(incomplete)})
