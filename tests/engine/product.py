# SPDX-License-Identifier: Apache-2.0
"""A product of ten images, as StarlingX's repositories hold them: every builder, a parent and its child, a failure."""

import subprocess
import tarfile
import textwrap
from collections.abc import Mapping
from pathlib import Path

import attrs

from tests.engine.wheelhouse import make_wheel

SETUP = """\
from setuptools import setup
setup(name="service", version="1.4", py_modules=["service"], install_requires=["helper"],
      entry_points={"console_scripts": ["service = service:main"]})
"""
BUILD = """\
#!/bin/bash
set -e
printf 'ARG BASE\\nFROM %s\\nRUN echo "from a script" > /etc/scripted\\n' "$1" > Dockerfile
docker build --tag "$2" .
docker inspect "$2" > /dev/null
"""
PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Tests <tests@example.org>
Date: Mon, 1 Sep 2025 00:00:00 +0000
Subject: [PATCH] Say more

---
 image/words | 1 +
 1 file changed, 1 insertion(+)

diff --git a/image/words b/image/words
--- a/image/words
+++ b/image/words
@@ -1 +1,2 @@
 one
+two
--
2.39
"""
GOOD = ("stx-alpha", "stx-beta", "stx-delta", "stx-free", "stx-gamma", "stx-infra", "stx-script", "stx-service")


@attrs.frozen(kw_only=True)
class Product:
    """A source tree to build images from.

    Attributes:
        root: the repository that has the list of images.
        wheels: tarball of wheels.
    """

    root: Path
    wheels: Path

    def directives(self, label: str) -> Path:
        """Give where the directives of an image are."""
        return self.root / label / f"debian/all/{label}.stable_docker_image"


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, as somebody."""
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """Make a git repository whose branch ``master`` has one commit with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "--quiet", "--initial-branch", "master")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def make_product(folder: Path, base: str) -> Product:
    """Write the whole product.

    Args:
        folder: where it goes.
        base: image that the script's Containerfile starts from.
    """
    root = folder / "repo"
    service = make_repository(
        folder / "service.git", {"setup.py": SETUP, "service.py": "def main():\n    print('service')\n"}
    )
    words = make_repository(
        folder / "words.git",
        {"image/words": "one\n", "image/Dockerfile": "ARG BASE\nFROM ${BASE}\nCOPY words /etc/words\n"},
    )
    scripted = make_repository(folder / "scripted.git", {"README": "built by a script\n"})
    product = Product(root=root, wheels=_wheels(folder))
    docker = "BUILDER=docker\n"
    _image(product, "stx-alpha", docker, "ARG BASE\nFROM ${BASE}\nCOPY file /etc/alpha\nUSER 1000:1000\n")
    _image(product, "stx-beta", docker, "FROM stx-alpha\nUSER root\nRUN cp /etc/alpha /etc/beta\n")
    _image(product, "stx-free", docker, "FROM scratch\nCOPY file /only\n")
    _image(product, "stx-broken", docker, "ARG BASE\nFROM ${BASE}\nRUN echo it breaks here; exit 3\n")
    _image(product, "stx-below", docker, "FROM stx-broken\nRUN true\n")
    _image(
        product,
        "stx-gamma",
        f"BUILDER=docker\nDOCKER_REPO=file://{words}\nDOCKER_PATCHES=more.patch\n"
        "CUSTOMIZATION=\"grep two /etc/words\n  echo '*' > /etc/gamma\"\n",
    )
    (product.directives("stx-gamma").parent / "more.patch").write_text(PATCH)
    _image(product, "stx-infra", "BUILDER=loci\nPROJECT=infra\nPROJECT_REPO=nil\nPIP_PACKAGES=helper\n")
    _image(product, "stx-delta", "BUILDER=loci\nPROJECT=infra\nPIP_PACKAGES='helper tools'\nIMAGE_UPDATE_VER=2\n")
    _image(
        product, "stx-service", f"BUILDER=loci\nPROJECT=service\nPROJECT_REPO=file://{service}\nPROJECT_REF=master\n"
    )
    _image(
        product,
        "stx-script",
        f"BUILDER=script\nSOURCE_REPO=file://{scripted}\nSCRIPT=build.sh\nARGS={base}\n",
    )
    (product.directives("stx-script").parent / "build.sh").write_text(BUILD)
    names = sorted(path.name for path in root.iterdir())
    (root / "debian_stable_docker_images.inc").write_text("# all images\n" + "".join(f"{name}\n" for name in names))
    return product


def _image(product: Product, label: str, directives: str, containerfile: str = "") -> None:
    file = product.directives(label)
    file.parent.mkdir(parents=True)
    file.write_text(f"LABEL={label}\n{textwrap.dedent(directives)}")
    if containerfile:
        context = file.parent / "docker"
        context.mkdir()
        (context / "Dockerfile").write_text(containerfile)
        (context / "file").write_text(f"{label}\n")


def _wheels(folder: Path) -> Path:
    """Make a tarball of wheels as ``stxb wheels`` packs it."""
    house = folder / "wheelhouse"
    make_wheel(house, "helper", "2.0")
    make_wheel(house, "tools", "3.1", requires=("helper",), entry_points="[console_scripts]\ntools = tools:main\n")
    (house / "upper-constraints.txt").write_text("helper===2.0\ntools===3.1\nservice===1.0\n")
    (house / "global-requirements.txt").write_text("helper\ntools\n")
    tarball = folder / "stx-debian-stable-wheels.tar"
    with tarfile.open(tarball, "w") as tar:
        for path in sorted(house.iterdir()):
            tar.add(path, path.name)
    return tarball
