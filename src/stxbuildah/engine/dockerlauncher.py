# SPDX-License-Identifier: Apache-2.0
"""Putting a command ``docker`` of ours into a folder, for the PATH of a script."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from stxbuildah.engine.dockercommand.settings import Settings

_PROGRAM = Path(__file__).parent / "dockercommand" / "__main__.py"


def write_docker_command(folder: Path, settings: Settings, environment: Mapping[str, str]) -> Path:
    """Write the command, and what it has to know.

    Args:
        folder: a folder to make, for the PATH.
        settings: how programs are run.
        environment: variables that name store and settings; the script may have lost them.

    Returns:
        The command's folder.
    """
    folder.mkdir(parents=True)
    file = folder.with_name(f"{folder.name}.json")
    file.write_text(json.dumps(settings._asdict()), encoding="utf-8")
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    argv = [sys.executable, "-I", "-S", "-X", "utf8", str(_PROGRAM), str(file)]
    command = folder / "docker"
    command.write_text(f'#!/bin/sh\n{exports}exec {shlex.join(argv)} "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return folder
