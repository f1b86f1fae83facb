# SPDX-License-Identifier: Apache-2.0
"""``stxb update --replace-updates``: one layer more than the base, and nothing in the image is another than without."""

import gzip
import io
import json
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.pythonimages import LOCAL, file, make_image, module, python
from tests.engine.registries import Registry
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

PLAIN = ("--tls-verify", "false")
REPOSITORY = "replace/base"


def manifest(registry: Registry, tag: str) -> Any:
    return json.loads(registry.manifest(REPOSITORY, tag))


def blob(registry: Registry, digest: str) -> bytes:
    url = f"http://{registry.address}/v2/{REPOSITORY}/blobs/{digest}"
    with urllib.request.urlopen(url) as answer:  # the registry on loopback
        content: bytes = answer.read()
    return content


def config(registry: Registry, tag: str) -> Any:
    return json.loads(blob(registry, manifest(registry, tag)["config"]["digest"]))


def flattened(registry: Registry, tag: str) -> dict[str, tuple[object, ...]]:
    """Give what an image has at each path, by the rules of the image specification's layer.md, simply told."""
    found: dict[str, tuple[object, ...]] = {}
    for layer in manifest(registry, tag)["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(registry, layer["digest"])))) as tar:
            members = {member.name.strip("/"): member for member in tar}
            for name in members:
                above, _, last = name.rpartition("/")
                gone = f"{above}/" if last == ".wh..wh..opq" else f"{above}/{last[4:]}" if last[:4] == ".wh." else None
                for path in list(found) if gone is not None else ():
                    if path == gone or path.startswith(f"{str(gone).rstrip('/')}/"):
                        del found[path]
            for name, member in members.items():
                if not name.rpartition("/")[2].startswith(".wh."):
                    stream = tar.extractfile(member) if member.isfile() else None
                    content = stream.read() if stream else member.linkname
                    found[name] = (member.type, member.mode, member.uid, member.gid, member.mtime, content)
    return found


def test_the_same_files_in_one_layer(stxb: Stxb, registry: Registry, tmp_path: Path) -> None:
    """In the registry and in the computed lane, update for update, the latter from what the former has made."""
    image = make_image(python(), module("stxa", "1.0"), [file("etc/other", "stays\n")])
    base = image.push(registry, f"{REPOSITORY}:1")
    updates = [
        [make_wheel(tmp_path / "1", "stxa", "2.0")],
        [make_wheel(tmp_path / "2", "stxb", "1.0")],
        # What the first update brought is replaced, and what it took out of the base stays away.
        [make_wheel(tmp_path / "3", "stxa", "3.0"), make_wheel(tmp_path / "3", "stxb", "2.0")],
    ]
    stacked = one = base
    for number, wheels in enumerate(updates, 1):
        words = [word for wheel in wheels for word in ("--wheel", wheel)]
        words += [*PLAIN, "--push"]
        plain = stxb.update("--from", stacked, *words, "--tag", f"stacked.{number}", "--lane", "registry")
        there = stxb.update("--from", one, *words, "--tag", f"one.{number}", "--lane", "registry", "--replace-updates")
        here = stxb.update(
            "--from", one, *words, "--tag", f"here.{number}", "--lane", "computed", "--replace-updates",
            "--pull", "always", "--clean",
        )  # fmt: skip
        assert here["digest"] == there["digest"]
        assert there["changes"] == plain["changes"]
        stacked, one = base.with_tag(f"stacked.{number}"), base.with_tag(f"one.{number}")
        assert len(manifest(registry, one.tag)["layers"]) == len(image.layers) + 1
        assert len(manifest(registry, stacked.tag)["layers"]) == len(image.layers) + number
        assert manifest(registry, one.tag)["layers"][:-1] == image.layers
    assert flattened(registry, one.tag) == flattened(registry, stacked.tag)
    assert f"{LOCAL}/stxa/old_1_0.py" not in flattened(registry, one.tag)
    of_base, of_one = config(registry, "1"), config(registry, one.tag)
    assert len(of_one["history"]) == len(of_base["history"]) + 1
    labels = of_one["config"]["Labels"]
    assert labels["org.opencontainers.image.base.digest"] == image.document.digest
    # What was stacked becomes one layer, too, whenever it is asked for.
    late = stxb.update(
        "--from", stacked, "--wheel", make_wheel(tmp_path / "5", "stxd", "1"), *PLAIN, "--push", "--tag", "late",
        "--lane", "registry", "--replace-updates",
    )  # fmt: skip
    assert len(manifest(registry, "late")["layers"]) == len(image.layers) + 1
    assert late["changes"]["python"] == ["+ stxd==1"]
    kept = flattened(registry, "late")
    assert {path: kept.get(path) for path in flattened(registry, stacked.tag)} == flattened(registry, stacked.tag)


LISTING = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /captured -o -path /run -o -path /tmp -o "
    "-path /etc/hosts -o -path /etc/resolv.conf \\) -prune -o "
    # How large a folder is depends on how it came about.
    "\\( -type d -printf '%y %m %U %G %p\\n' -o -printf '%y %m %U %G %s %l %p\\n' \\) | sort"
)


def test_in_a_session(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    first, second = tmp_path / "first.sh", tmp_path / "second.sh"
    first.write_text("mkdir -p /opt/a/b && echo 1 > /opt/a/b/one && rm /etc/issue && ln -s one /opt/a/b/two\n")
    second.write_text("rm -r /opt/a/b && echo 2 > /opt/a/b && rm /etc/issue.net && chmod 700 /opt\n")
    name = base_image.name
    stxb.update("--from", base_image, "--customize", first, "--tag", "replace.1")
    words = ("--from", f"{name}:replace.1", "--customize", second, "--wheel", make_wheel(tmp_path, "stxa", "1"))
    stacked = stxb.update(*words, "--tag", "replace.2")
    merged = stxb.update(*words, "--tag", "replace.3", "--replace-updates")
    assert (stacked["lane"], merged["lane"]) == ("session", "session")
    assert merged["changes"] == stacked["changes"]
    layers = {tag: len(images.config(f"{name}:{tag}")["rootfs"]["diff_ids"]) for tag in ("1", "replace.2", "replace.3")}
    assert layers == {"1": layers["1"], "replace.2": layers["1"] + 2, "replace.3": layers["1"] + 1}
    listings = [images.run(f"{name}:{tag}", "sh", "-c", LISTING) for tag in ("replace.2", "replace.3")]
    assert " /opt/a/b\n" in listings[0]
    assert "/etc/issue" not in listings[0]
    assert listings[1].splitlines() == listings[0].splitlines()
    # The whiteouts of both updates stand in the one layer.
    paths = {member.name for member in images.top_layer(f"{name}:replace.3")}
    assert {"etc/.wh.issue", "etc/.wh.issue.net", "opt/a/b"} <= paths
    assert not {path for path in paths if path.startswith("opt/a/b/")}
    images.runner.run(["buildah", "rmi", *(f"{name}:replace.{number}" for number in (3, 2, 1))])
