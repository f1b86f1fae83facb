# SPDX-License-Identifier: Apache-2.0
"""Writes what the Python of an image is, and what is installed for it, as ``facts.json`` into a folder."""

import importlib
import json
import platform
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path
from typing import Any


def packaging(name: str) -> Any:  # a module of whichever packaging there is
    """Give a module of the image's packaging library, which pip and setuptools bring along."""
    for place in ("packaging", "setuptools._vendor.packaging", "pip._vendor.packaging"):
        try:
            return importlib.import_module(f"{place}.{name}")
        except ImportError:
            continue
    sys.exit("the image has neither packaging, setuptools nor pip")


def main(folder: Path) -> None:
    """Write the facts."""
    found: dict[str, object] = {}
    for one in distributions():
        name = one.metadata["Name"]
        if name and name not in found:
            found[name] = {"name": name, "version": one.version, "requires": list(one.requires or ())}
    facts = {
        "shown": f"Python {platform.python_version()} of {platform.machine()}",
        "version": platform.python_version(),
        "markers": packaging("markers").default_environment(),
        "tags": [str(tag) for tag in packaging("tags").sys_tags()],
        "installed": list(found.values()),
        "compiler_flags": sysconfig.get_config_var("CFLAGS") or "",
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
