# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/images.md, which are those of the StarlingX guide, run as they stand there."""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from stxbuildah.directive.image import read_image_directives
from tests.engine.builders import HOST_CERTIFICATES
from tests.engine.registries import Registry
from tests.engine.stxb import PROGRAM, Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

PAGE = Path(__file__).resolve().parents[2] / "docs/images.md"
EXAMPLE = re.compile(r"^<!-- tested -->\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DIRECTIVES = re.compile(r"^<!-- directives: (\S+) -->\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LABEL = "debian-trixie-amd64-stable"
TAG = f"dev-{LABEL}"


def directives() -> dict[str, str]:
    """Give the page's directives files by LABEL."""
    return dict(DIRECTIVES.findall(PAGE.read_text()))


def test_the_directives_files_of_the_guide_are_read() -> None:
    found = {label: read_image_directives(text, Path(label)) for label, text in directives().items()}

    assert {label: read.problems for label, read in found.items()} == {
        "stx-libvirt": (), "stx-nova": (), "stx-nova-api-proxy": (),
    }  # fmt: skip
    assert {read.key("LABEL") for read in found.values()} == set(found)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """What the guide says lies in the workspace and in the source checkout."""
    texts = directives()
    for repository, folder, label in (
        ("stx-libvirt", "libvirt", "stx-libvirt"),
        ("stx-nfv", "nova-api-proxy", "stx-nova-api-proxy"),
    ):
        place = tmp_path / "repo" / repository / folder / "debian/all"
        place.mkdir(parents=True)
        (place / f"{label}.stable_docker_image").write_text(texts[label])
        (tmp_path / "repo" / repository / "debian_stable_docker_images.inc").write_text(f"{folder}\n")
    docker = tmp_path / "repo/stx-libvirt/libvirt/debian/all/docker"
    docker.mkdir()
    (docker / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo libvirt > /etc/made-by-docker\n")
    packages = read_image_directives(texts["stx-nova-api-proxy"], Path("x")).key("PIP_PACKAGES").split()
    house = tmp_path / "house"
    for name in packages:
        make_wheel(house, name, "1.0")
    (house / "upper-constraints.txt").write_text("".join(f"{name}===1.0\n" for name in packages))
    (house / "global-requirements.txt").write_text("")
    tarball = tmp_path / "workspace/std/build-wheels-debian-trixie-stable/stx-debian-stable-wheels.tar"
    tarball.parent.mkdir(parents=True)
    with tarfile.open(tarball, "w") as tar:
        for path in sorted(house.iterdir()):
            tar.add(path, path.name)
    return tmp_path


def test_the_examples_of_the_guide(
    stxb: Stxb, images: Images, registry: Registry, base_layout: Path, workspace: Path
) -> None:
    settings = workspace / "home/.config/containers"
    shutil.copytree(Path(stxb.environment["XDG_CONFIG_HOME"]) / "containers", settings)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
    base = f"docker://{registry.address}/starlingx/stx-debian:trixie-amd64-stable-latest"
    copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{base_layout}:base", base]
    images.runner.run(copy)
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
    }
    examples = EXAMPLE.findall(PAGE.read_text())
    assert len(examples) == 2
    for example in examples:
        argv = ["/bin/bash", "-e", "-c", example]
        ended = subprocess.run(argv, env=environment, cwd=workspace, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{example}\n{ended.stdout}\n{ended.stderr}"

    records = workspace / "workspace/std/build-images"
    for label in ("stx-libvirt", "stx-nova-api-proxy"):
        tags = registry.tags(f"mydockerid/{label}")
        assert f"{TAG}-latest" in tags
        assert any(re.fullmatch(TAG + r"-\d{4}\.\d\d\.\d\d\.\d\d\.\d\d\.0", tag) for tag in tags)
    latest = (records / f"images-{LABEL}-latest.lst").read_text().splitlines()
    assert latest == [
        f"{registry.address}/mydockerid/{name}:{TAG}-latest" for name in ("stx-libvirt", "stx-nova-api-proxy")
    ]
    installed = (records / f"stx-nova-api-proxy-{LABEL}.piplst").read_text()
    assert "keystonemiddleware==1.0\n" in installed
    # The first run cleaned up, the second kept what it built; other tests have images of their own in this store.
    names = {name for listed in images.listed() for name in listed}
    ours = {name for name in names if "/stx-libvirt:" in name or "/stx-nova-api-proxy:" in name}
    assert ours == {f"localhost/builder/stx-libvirt:{TAG}-build"}
