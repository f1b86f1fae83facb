# SPDX-License-Identifier: Apache-2.0
"""Do what a script asks docker for, with buildah and podman.

Started as ``python3 -I -S -X utf8 dockercommand/__main__.py SETTINGS WORD...`` by the launcher that
``engine.dockerlauncher`` writes. Only the standard library is there.
"""

import json
import os
import subprocess
import sys

# Isolated mode (-I) and the missing site (-S) leave our package off the path. It goes last: the standard library wins.
sys.path.append(__file__.rsplit("/", 4)[0])

from stxbuildah.engine.dockercommand.chrootrun import run_in_chroot
from stxbuildah.engine.dockercommand.settings import Settings
from stxbuildah.engine.dockercommand.translation import Refusal, translate, without_global_options

_LOCAL = b"localhost/"
_FAILED = 1


def main(arguments: list[str]) -> int:
    """Carry one command out, give its exit status."""
    with open(arguments[0], encoding="utf-8") as stream:  # noqa: PTH123 # pathlib would double the time to start
        settings = Settings(**json.load(stream))
    words = without_global_options(arguments[1:])
    if words[:1] == ["rmi"] or words[:2] in (["image", "rm"], ["image", "remove"]):
        names = words[1 if words[0] == "rmi" else 2 :]
        return _forget(settings, [settings.mapped(name) for name in names if not name.startswith("-")])
    if settings.isolation == "chroot" and words[:1] == ["run"]:
        ended = run_in_chroot(settings, words[1:])
        return _refused(ended) if isinstance(ended, Refusal) else _status(ended)
    command = translate(settings, words)
    if isinstance(command, Refusal):
        return _refused(command)
    if not command.argv:
        return 0
    if not command.as_docker_names:
        return _status(subprocess.call(command.argv))
    done = subprocess.run(command.argv, stdout=subprocess.PIPE, check=False)
    # Docker knows no localhost/ before the names of images that were built here.
    sys.stdout.buffer.write(done.stdout.replace(_LOCAL, b""))
    return _status(done.returncode)


def _refused(refusal: Refusal) -> int:
    print(f"docker: {refusal.sentence}", file=sys.stderr)  # noqa: T201 # a program of its own
    return refusal.status


def _forget(settings: Settings, names: list[str]) -> int:
    """Take images' names away; the run removes the images at its end, since other builds may be reading layers now."""
    status = 0
    podman = ["podman", *settings.podman]
    for name in names:
        shown = subprocess.run(
            [*podman, "image", "inspect", "--format", "{{json .RepoTags}}", name], stdout=subprocess.PIPE, check=False
        )
        if shown.returncode:
            status = _FAILED
            continue
        kept = f"{settings.temporary_name}:{os.urandom(8).hex()}"
        with open(settings.temporary_file, "a", encoding="utf-8") as stream:  # noqa: PTH123 # as above
            stream.write(f"{kept}\n")
        status = subprocess.call([*podman, "tag", name, kept]) or status
        tags = [tag for tag in json.loads(shown.stdout) or [] if _names(name, tag)]
        for tag in tags or json.loads(shown.stdout) or []:
            status = subprocess.call([*podman, "untag", tag, tag]) or status
            print(f"Untagged: {tag.removeprefix('localhost/')}", flush=True)  # noqa: T201 # as docker tells it
    return _status(status)


def _names(name: str, tag: str) -> bool:
    """Tell whether a word is a name of the image, and not its id."""
    return tag in {f"{prefix}{name}{suffix}" for prefix in ("", "localhost/") for suffix in ("", ":latest")}


def _status(returncode: int) -> int:
    """Give an exit status; a signal's is 128 and its number, as a shell gives it."""
    return returncode if returncode >= 0 else 128 - returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
