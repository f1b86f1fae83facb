# SPDX-License-Identifier: Apache-2.0
"""A user namespace that is kept open for many programs.

Each program that an ordinary account runs on its image store first makes a user namespace: it starts itself a second
time, and newuidmap and newgidmap. In a namespace that is there all of this falls away.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stxbuildah import log
from stxbuildah.engine.process import PIPE, Entrance, Runner, shut_down
from stxbuildah.errors import StxbError

_PROGRAMS = frozenset({"buildah", "skopeo"})
# It ends when its standard input does, whatever ends us.
_HOLDER = "echo $$ && exec cat"


@contextmanager
def opened_namespace(runner: Runner) -> Iterator[Entrance | None]:
    """Hold a user namespace open for the time of the block, and tell how programs get into it.

    Args:
        runner: runs buildah, which makes the namespace.

    Yields:
        The way in; None for root, who needs no namespace, and where there is no way into one.
    """
    if os.geteuid() == 0 or shutil.which("nsenter") is None:
        yield None
        return
    # An interrupt from the terminal must not end it: programs that clean up still need it.
    holder = runner.start(["buildah", "unshare", "sh", "-c", _HOLDER], stdin=PIPE, apart=True)
    assert holder.stdin is not None and holder.stdout is not None and holder.stderr is not None  # noqa: S101, PT018 # opened as pipes by start()
    try:
        said = holder.stdout.readline().decode("ascii", "replace").strip()
        entrance = _entrance(said) if said.isdecimal() else None
        yield entrance if entrance is not None and _is_open(runner, entrance) else None
    finally:
        for stream in (holder.stdin, holder.stdout, holder.stderr):
            with suppress(OSError):
                stream.close()
        shut_down(holder)


def _entrance(process: str) -> Entrance | None:
    try:
        here = Path.cwd()
    except OSError:
        return None
    return Entrance(
        programs=_PROGRAMS,
        # Another mount namespace begins at its root, and relative paths of the user's are to stay what they are.
        words=("nsenter", "--target", process, "--user", "--mount", f"--wdns={here}", "--"),
        # By these buildah and skopeo know that they are where they would go (containers/storage, pkg/unshare).
        variables=(
            ("_CONTAINERS_USERNS_CONFIGURED", "done"),
            ("_CONTAINERS_ROOTLESS_UID", str(os.getuid())),
            ("_CONTAINERS_ROOTLESS_GID", str(os.getgid())),
        ),
    )


def _is_open(runner: Runner, entrance: Entrance) -> bool:
    try:
        runner.run([*entrance.words, "true"])
    except StxbError as error:
        log.info("namespace.closed", reason=error.message, lines=error.details)
        return False
    return True
