# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/update.md, which are those of the StarlingX guide, run as they stand there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.builders import HOST_CERTIFICATES
from tests.engine.registries import Registry
from tests.engine.stxb import PROGRAM, Images, Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

PAGE = Path(__file__).resolve().parents[2] / "docs/update.md"
EXAMPLE = re.compile(r"^<!-- tested(?:: (?P<status>\d+))? -->\n```sh\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
SCRIPT = re.compile(r"^```bash\n(?P<text>#!/bin/bash\n.*?)^```$", re.DOTALL | re.MULTILINE)
PYPROJECT = '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "{name}"\nversion = "{version}"\n'


def git(folder: Path, *words: str) -> None:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *words]
    subprocess.run(argv, check=True, capture_output=True)


def module(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name, version=version))
    (folder / f"{name}.py").write_text(f"VERSION = {version!r}\n")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """What the guide says lies in the workspace and in the source checkout."""
    page = SCRIPT.search(PAGE.read_text())
    assert page is not None
    updates = tmp_path / "workspace/updates"
    (updates / "dist-packages").mkdir(parents=True)
    (updates / "customize.sh").write_text(page["text"])
    make_wheel(updates / "pip-packages/wheels", "tsconfig", "1.0.0")
    make_wheel(updates / "pip-packages/wheels", "cgcs-patch", "1.0")
    make_deb(tmp_path, "stx-data-dumper", "2.145").rename(updates / "dist-packages/stx-data-dumper.deb")
    module(updates / "pip-packages/modules/aodh", "aodh", "8.1.0.dev28")
    nova = module(tmp_path / "nova", "nova", "20.0.0")
    git(nova, "init", "--quiet", "--initial-branch", "stx/stein.1")
    git(nova, "add", ".")
    git(nova, "commit", "--quiet", "--message", "nova")
    for name in ("build-docker-images/build-stx-base.sh", "build-wheels/build-base-wheels.sh"):
        path = tmp_path / "repo/build-tools" / name
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/bash\n")
    return tmp_path


def test_the_examples_of_the_guide(
    stxb: Stxb, images: Images, base_image: ImageReference, registry: Registry, base_layout: Path, workspace: Path
) -> None:
    settings = workspace / "home/.config/containers"
    shutil.copytree(Path(stxb.environment["XDG_CONFIG_HOME"]) / "containers", settings)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
    for name in ("stx-aodh", "stx-nova"):
        source = f"oci:{base_layout}:base"
        target = f"docker://{registry.address}/starlingx/{name}:20191203T153530Z.0"
        images.runner.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, target])
    environment = {
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        "USER": "builder",
        **stxb.environment,
        "HOME": str(workspace / "home"),
        "XDG_CONFIG_HOME": str(settings.parent),
        **({"STXB_BUILD_CA_BUNDLE": str(HOST_CERTIFICATES)} if HOST_CERTIFICATES.exists() else {}),
        "MY_WORKSPACE": str(workspace / "workspace"),
        "MY_REPO": str(workspace / "repo"),
        "DOCKER_USER": "mydockerid",
        "DOCKER_REGISTRY": registry.address,
        "STX_AODH": f"{registry.address}/starlingx/stx-aodh:20191203T153530Z.0",
        "STX_NOVA": f"{registry.address}/starlingx/stx-nova:20191203T153530Z.0",
        "BASE_VERSION": "20191203T153530Z.0",
        "NOVA_SOURCE": f"file://{workspace}/nova",
    }
    outputs = []
    for example in EXAMPLE.finditer(PAGE.read_text()):
        argv = ["/bin/bash", "-c", example["text"]]
        ended = subprocess.run(argv, env=environment, cwd=workspace, capture_output=True, text=True, check=False)
        assert ended.returncode == int(example["status"] or 0), f"{example['text']}\n{ended.stdout}\n{ended.stderr}"
        outputs.append(ended.stdout)
    assert len(outputs) == 7

    updated = f"{registry.address}/mydockerid/stx-aodh:20191203T153530Z"
    assert outputs[0].startswith(f"{updated}.1@sha256:")
    assert outputs[2].splitlines()[-1].startswith("> ")
    base_layers = len(images.config(str(base_image))["rootfs"]["diff_ids"])
    for number in (1, 2, 3, 4):
        manifest = json.loads(registry.manifest("mydockerid/stx-aodh", f"20191203T153530Z.{number}"))
        assert len(manifest["layers"]) == base_layers + number
    listing = images.run(f"{updated}.1", "cat", "/etc/example-update-dirlst.txt").splitlines()
    assert {"/image-update/extras/build-stx-base.sh", "/image-update/extras/build-base-wheels.sh"} <= set(listing)
    records = workspace / "workspace/std/update-images"
    assert (records / "example.1/image-updates.lst").read_text() == f"{updated}.1\n"
    assert "aodh==8.1.0.dev28\n" in (records / "example.3/stx-aodh-20191203T153530Z.3.piplst").read_text()
    assert "stx-data-dumper 2.145 all\n" in (records / "example.4/stx-aodh-20191203T153530Z.4.deblst").read_text()
    assert "nova==20.0.0\n" in (records / "example.nova/stx-nova-20191203T153530Z.1.piplst").read_text()
