# SPDX-License-Identifier: Apache-2.0
"""A small process that outlives ours when that is killed, and ends what it had under way: service and containers.

It waits for the end of its standard input. A word there says that all is in order; the end without it, that we were
killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stxbuildah.engine.process import PIPE, Runner

# Containers of one service are known by this label; its value is the name of the service's folder.
SERVICE_LABEL = "stxbuildah.service"
_DONE = b"done\n"
# Nothing of it is made of input: what it works on comes as arguments. The service goes first, so that none is started.
_SCRIPT = """\
exec > /dev/null 2>&1
read -r word
[ "$word" = done ] && exit 0
service=$1; label=$2; folder=$3; shift 3
kill -KILL "$service"
for name in $("$@" ps --all --quiet --filter "label=$label"); do
    "$@" rm --force --time=0 --volumes --ignore "$name"
done
rm -rf -- "$folder"
"""


@contextmanager
def guarded(runner: Runner, service: int, folder: Path) -> Iterator[None]:
    """Have a service and its containers ended even when this process is killed inside the block.

    Args:
        runner: runs podman, with the environment that names store and settings.
        service: process id of the service.
        folder: the service's folder, which is removed, too; containers have its name as label.

    Raises:
        HostError: there is no shell.
    """
    podman = ("podman", *dict(runner.options).get("podman", ()))
    words = ["sh", "-c", _SCRIPT, "sh", str(service), f"{SERVICE_LABEL}={folder.name}", str(folder), *podman]
    process = runner.start(words, stdin=PIPE, merge=True, apart=True)
    assert process.stdin is not None  # noqa: S101 # opened as a pipe
    assert process.stdout is not None  # noqa: S101 # opened as a pipe
    try:
        yield
    finally:
        with suppress(OSError), process.stdin:
            process.stdin.write(_DONE)
        process.stdout.close()
        process.wait()
