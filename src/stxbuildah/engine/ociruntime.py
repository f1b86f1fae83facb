# SPDX-License-Identifier: Apache-2.0
"""A way to the OCI runtime that starts it only when there is something to do.

While a program runs in a container, buildah asks the runtime ten times a second whether it still does
(runUsingRuntime in buildah's run_linux.go). Starting runc that often takes a tenth of a processor for each build that
is under way. The file in which the runtime wrote the container's process tells as much.
"""

import os
from pathlib import Path

import attrs

from stxbuildah.model.settings import HostChoices

# buildah runs it in the container's bundle, where it had the runtime write the file ``pid``, and asks for the state
# after the start only; the process is then running in the sense of OCI's runtime specification, "State". That it has
# ended is seen by buildah itself, too, whose child it is. Whatever else is wanted, the runtime is started for.
_SCRIPT = """\
#!/bin/sh
if [ "$1" = state ] && [ $# = 2 ] && [ -f pid ]; then
    read -r process < pid
    case $process in
    '' | *[!0-9]*) ;;
    *)
        if [ -d "/proc/$process" ]; then
            printf '{"ociVersion":"1.0.2","id":"%s","status":"running","pid":%s}\\n' "$2" "$process"
            exit 0
        fi
        ;;
    esac
fi
exec "$0.program" "$@"
"""


def seldom_started(choices: HostChoices, folder: Path) -> HostChoices:
    """Give the same choices with a runtime that is not started to tell that a container runs.

    Args:
        choices: how programs are run; they are given back as they are when it is not certain which program the runtime
            is, or nothing can be run from the folder.
        folder: is written to; must be there as long as the choices are used.
    """
    if choices.isolation == "chroot" or not choices.runtime_path:
        return choices
    script = folder / Path(choices.runtime_path).name
    script.with_name(f"{script.name}.program").symlink_to(choices.runtime_path)
    script.write_text(_SCRIPT, encoding="ascii")
    script.chmod(0o700)
    if not os.access(script, os.X_OK):  # as where file systems are mounted with noexec
        return choices
    return attrs.evolve(choices, runtime=str(script))
