# SPDX-License-Identifier: Apache-2.0
"""The layer does to an environment what pip does, seen on two real virtual environments."""

import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stxbuildah.layer.content import wheel_content
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.wheelfile import read_wheel
from tests.unit.layer.directory_tree import DirectoryTree
from tests.unit.layer.wheel_maker import EXECUTABLE, make_wheel

pytest.importorskip("pip")

OLD_FILES = {
    "sample/__init__.py": b"version = 1\n",
    "sample/gone/__init__.py": b"",
    "sample_single.py": b"",
    "sample-1.0.data/scripts/sample-old": b"#!python\n",
    "sample-1.0.data/data/share/sample/old.txt": b"",
}
NEW_FILES = {
    "sample/__init__.py": b"version = 2\ndef main(): print(version)\n",
    "sample/tool.sh": b"#!/bin/sh\n",
    "sample/data/caf\u00e9, with comma.txt": b"",
    "sample_single/__init__.py": b"",
    "sample-2.0.data/scripts/sample-script": b"#!python -E\nimport sample\nprint(sample.version)\n",
    "sample-2.0.data/scripts/sample-shell": b"#!/bin/sh\n",
    "sample-2.0.data/headers/sample.h": b"",
    "sample-2.0.data/data/share/sample/new.txt": b"",
    "sample-2.0.data/platlib/sample/plat.py": b"",
}
EXECUTABLE_FILES = (
    "sample/tool.sh",
    "sample-2.0.data/scripts/sample-script",
    "sample-2.0.data/scripts/sample-shell",
)
ENTRY_POINTS = "[console_scripts]\nsample = sample:main\n[gui_scripts]\nsample-window = sample:main\n"


def make_environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def pip(environment: Path, *arguments: str | Path) -> None:
    command: list[str | Path] = [sys.executable, "-m", "pip", "--python", environment / "bin/python3", *arguments]
    subprocess.run([*command, "--quiet", "--disable-pip-version-check"], check=True)


def pip_install(environment: Path, wheel: Path) -> None:
    pip(environment, "install", "--no-compile", "--no-deps", "--no-index", "--no-cache-dir", wheel)


def layer_install(environment: Path, wheel: Path, work: Path) -> None:
    """Compute the layer with this machine's root as the image, and put it there as a container's storage does."""
    tree = DirectoryTree()
    inventory = take_inventory(tree, "", str(environment / "bin/python3"))
    content = wheel_content(tree, inventory, [read_wheel(wheel)]).content
    write_layer(content, work, timestamp=0)
    with tarfile.open(work) as archive:
        for member in archive:
            path = Path("/", member.name)
            assert path.is_relative_to(environment) or member.isdir()
            if path.name.startswith(".wh."):
                gone = path.with_name(path.name.removeprefix(".wh."))
                if gone.is_dir() and not gone.is_symlink():
                    shutil.rmtree(gone)
                else:
                    gone.unlink()
            elif member.isdir():
                path.mkdir(exist_ok=True)
            else:
                source = archive.extractfile(member)
                assert source is not None
                path.write_bytes(source.read())
                path.chmod(member.mode)


def snapshot(environment: Path) -> dict[str, tuple[int, bytes]]:
    """Give mode and content of each installed file by relative path, without the installer's name and the folder's."""
    found = {}
    for folder, names, files in os.walk(environment):
        if "__pycache__" in names:
            names.remove("__pycache__")
        for name in files:
            path = Path(folder, name)
            # pip notes that it was given a file; the others are of the environment itself.
            if path.is_symlink() or name in {"pyvenv.cfg", "direct_url.json"} or name.lower().startswith("activate"):
                continue
            content = path.read_bytes().replace(str(environment).encode(), b"ENVIRONMENT")
            if name == "INSTALLER":
                content = b""
            elif name == "RECORD":
                # A script's line has the hash of a text with the environment's path in it.
                rows = sorted(line.split(b",sha256")[0] for line in content.splitlines())
                content = b"\n".join(row for row in rows if b"direct_url" not in row)
            elif "bin" in Path(folder).parts[-1:] and content.startswith(b"#!ENVIRONMENT/bin/python"):
                # pip and installer word the text that calls an entry point in their own way.
                content = content.splitlines()[-1].replace(b"'", b'"')
            found[str(path.relative_to(environment))] = (stat.S_IMODE(path.stat().st_mode), content)
    return found


def test_an_update_leaves_the_environment_as_pip_leaves_it(tmp_path: Path) -> None:
    old = make_wheel(
        tmp_path, "sample", "1.0", files=OLD_FILES, entry_points="[console_scripts]\nsample-gone = sample:main\n"
    )
    new = make_wheel(
        tmp_path,
        "sample",
        "2.0",
        files=NEW_FILES,
        entry_points=ENTRY_POINTS,
        modes=dict.fromkeys(EXECUTABLE_FILES, EXECUTABLE),
    )
    by_pip, by_layer = make_environment(tmp_path / "by-pip"), tmp_path / "by-layer"
    pip_install(by_pip, old)
    shutil.copytree(by_pip, by_layer, symlinks=True)

    pip_install(by_pip, new)
    layer_install(by_layer, new, tmp_path / "layer")

    assert snapshot(by_layer) == snapshot(by_pip)
    for script in ("sample", "sample-script"):
        ran = subprocess.run([by_layer / "bin" / script], capture_output=True, text=True, check=True)
        assert ran.stdout == "2\n"
    question = "import importlib.metadata as m; print([(d.name, d.version) for d in m.distributions()])"
    told = subprocess.run([by_layer / "bin/python3", "-c", question], capture_output=True, text=True, check=True)
    assert told.stdout == "[('sample', '2.0')]\n"


def test_pip_can_remove_what_a_layer_installed(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment")
    before = snapshot(environment)
    layer_install(
        environment,
        make_wheel(tmp_path, "sample", "2.0", files=NEW_FILES, entry_points=ENTRY_POINTS),
        tmp_path / "layer",
    )
    assert snapshot(environment) != before

    pip(environment, "uninstall", "--yes", "sample")

    assert snapshot(environment) == before
