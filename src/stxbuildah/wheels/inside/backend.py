# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel of the project in the working folder by its PEP 517 back end.

Started as ``python3 backend.py REQUEST`` with the request as JSON: ``backend``, ``path`` (folders of the project that
hold it), ``out`` (folder for the wheel), ``asked`` (file for what is missing; empty not to ask for that). Ends with
status 75 when the back end wants distributions that are not there; ``asked`` then holds their requirements, as JSON.
"""

import importlib
import json
import os
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

MISSING = 75


def main(request: dict[str, Any]) -> int:
    """Build the wheel, and give the exit status."""
    # In place of this file's own folder, which is nobody's business.
    sys.path[:1] = [str(Path(folder).absolute()) for folder in request["path"]]
    backend = load(request["backend"])
    missing = [line for line in asked_apart(backend) if not is_met(line)] if request["asked"] else []
    if missing:
        Path(request["asked"]).write_text(json.dumps(missing), encoding="utf-8")
        return MISSING
    compile_side_by_side()
    backend.build_wheel(request["out"])
    return 0


def load(name: str) -> Any:  # whatever a project names
    """Give the back end's object."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for attribute in path.split(".") if path else ():
        found = getattr(found, attribute)
    return found


def compile_side_by_side() -> None:
    """Let setuptools compile a project's extensions at the same time, on all CPUs.

    Not when two of them share a source: both would write the same object file.
    """
    try:
        # Setuptools brings the distutils that its own commands, and those of projects, are made from.
        importlib.import_module("setuptools")
        command = importlib.import_module("distutils.command.build_ext").build_ext
    except ImportError:
        return
    one_after_the_other = command.build_extensions

    def build_extensions(self: Any) -> None:
        sources = [Path(name).with_suffix("") for one in self.extensions for name in one.sources]
        if self.parallel is None and len(sources) == len(set(sources)):
            self.parallel = os.cpu_count()
        one_after_the_other(self)

    command.build_extensions = build_extensions


def asked_apart(backend: Any) -> list[str]:  # whatever a project names
    """Ask the back end what it needs, in a process of its own: PEP 517 lets a process call one hook."""
    if not hasattr(backend, "get_requires_for_build_wheel"):
        return []
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        answer(backend, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(1)
    return [str(line) for line in json.loads(text)]


def answer(backend: Any, writing: int) -> None:  # whatever a project names
    """Write what the back end needs as JSON, and end the process, whatever the hook does."""
    status = 1
    try:
        needed = json.dumps([str(line) for line in backend.get_requires_for_build_wheel()])
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            stream.write(needed)
        status = 0
    except BaseException:  # noqa: BLE001 # the process ends here, also when the hook wants it to
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def is_met(line: str) -> bool:
    """Tell whether a requirement is met by what can be imported here."""
    requirement = requirement_of(line)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return bool(requirement.specifier.contains(version(requirement.name), prereleases=True))
    except PackageNotFoundError:
        return False


def requirement_of(line: str) -> Any:  # the class of whichever packaging there is
    """Read a requirement with the packaging library of the image, which pip and setuptools bring along."""
    for name in ("packaging", "setuptools._vendor.packaging", "pip._vendor.packaging"):
        try:
            return importlib.import_module(name + ".requirements").Requirement(line)
        except ImportError:
            continue
    sys.exit("the image has neither packaging, setuptools nor pip")


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
