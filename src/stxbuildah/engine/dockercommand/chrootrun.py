# SPDX-License-Identifier: Apache-2.0
"""``docker run`` where no OCI runtime works: a working container of buildah's, which needs none (chroot isolation)."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from stxbuildah.engine.dockercommand.settings import Settings
from stxbuildah.engine.dockercommand.translation import Refusal

# Options of docker run that buildah run has, too, by docker's name for them.
_KEPT = {
    "-v": "--volume", "--volume": "--volume", "-e": "--env", "--env": "--env", "-w": "--workingdir",
    "--workdir": "--workingdir", "-u": "--user", "--user": "--user", "--mount": "--mount", "--cap-add": "--cap-add",
    "--cap-drop": "--cap-drop", "-h": "--hostname", "--hostname": "--hostname",
}  # fmt: skip
_LEFT_OUT_WITH_VALUE = frozenset(
    {
        "--name", "--network", "--net", "-l", "--label", "--platform", "-m", "--memory", "--memory-swap", "--cpus",
        "--add-host", "--ulimit", "--security-opt", "--tmpfs", "-p", "--publish", "--pull", "--shm-size", "--restart",
        "--log-driver", "--log-opt", "--cpuset-cpus", "--device", "--dns", "--ipc", "--pid", "--userns", "--env-file",
    }
)  # fmt: skip
_BACKGROUND = frozenset({"-d", "--detach", "--detach=true"})


class RunOrder(NamedTuple):
    """What is to run.

    Attributes:
        options: for ``buildah run``.
        entrypoint: in place of the image's; None for that.
        image: its name.
        arguments: in place of the image's command; empty for that.
        background: nobody waits for its end.
    """

    options: list[str]
    entrypoint: str | None
    image: str
    arguments: list[str]
    background: bool


def read_run(words: list[str]) -> RunOrder:
    """Read the words after ``docker run``."""
    options: list[str] = []
    entrypoint: str | None = None
    background = False
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("--") and word[:2] in _KEPT and len(word) > len("-x") and not equals:
            name, equals, value = word[:2], "=", word[2:]
        background = background or word in _BACKGROUND
        if name in _KEPT or name in _LEFT_OUT_WITH_VALUE or name == "--entrypoint":
            value = value if equals else rest.pop(0) if rest else ""
        if name == "--entrypoint":
            entrypoint = value
        elif name in _KEPT:
            options += [_KEPT[name], value]
    return RunOrder(
        options=options, entrypoint=entrypoint, image=rest[0] if rest else "", arguments=rest[1:], background=background
    )


def run_in_chroot(settings: Settings, words: list[str]) -> int | Refusal:
    """Run a program in a container that is removed at its end; give its exit status."""
    order = read_run([settings.mapped(word) for word in words])
    if order.background:
        return Refusal("run --detach needs an OCI runtime, and none works on this machine (stxb doctor says why)")
    if not order.image:
        return Refusal("run: an image is missing")
    config = _config(settings, order.image)
    if config is None:
        return Refusal(f"run: there is no image {order.image}")
    # Whoever removes what the script has left knows the container by its name.
    name = f"{settings.label.partition('=')[2]}-{os.urandom(4).hex()}"
    buildah = ["buildah", *settings.buildah]
    made = subprocess.call([*buildah, "from", "--pull-never", "--name", name, order.image], stdout=subprocess.DEVNULL)
    if made:
        return made
    try:
        argv = [*_command(order, config)]
        return subprocess.call(
            [*buildah, "run", "--isolation", "chroot", "--network", "host", *order.options, name, "--", *argv]
        )
    finally:
        subprocess.call([*buildah, "rm", name], stdout=subprocess.DEVNULL)


def _command(order: RunOrder, config: dict[str, object]) -> Iterator[str]:
    """Give the program and its arguments (OCI image configuration: Entrypoint, then Cmd)."""
    if order.entrypoint is not None:
        yield from [order.entrypoint] if order.entrypoint else []
        yield from order.arguments
        return
    yield from _words(config.get("Entrypoint"))
    yield from order.arguments or _words(config.get("Cmd"))


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _config(settings: Settings, image: str) -> dict[str, object] | None:
    podman = ["podman", *settings.podman]
    inspect = [*podman, "image", "inspect", "--format", "{{json .Config}}", image]
    done = subprocess.run(inspect, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode and not subprocess.call([*podman, "pull", "--quiet", image], stdout=subprocess.DEVNULL):
        done = subprocess.run(inspect, stdout=subprocess.PIPE, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else None
    return found if isinstance(found, dict) else None
