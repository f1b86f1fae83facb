# SPDX-License-Identifier: Apache-2.0
"""``stxb retag`` between its files and a real registry, which stands for docker.io by registries.conf."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.model.image import OCI_INDEX
from stxbuildah.model.stored import digest_of
from tests.engine.pythonimages import file, make_image
from tests.engine.registries import FaultProxy, Registry, Rule
from tests.engine.stxb import Stxb

pytestmark = pytest.mark.engine

NAMES = ("stx-nova", "stx-aodh", "stx-heat")
INDEX = "stx-index"


@attrs.frozen(kw_only=True)
class Tags:
    """A file of tags, and the registry that it is about.

    Attributes:
        stxb: the command, for which that registry is docker.io.
        registry: the registry.
        proxy: in front of it.
        folder: last part of what the repositories have in common.
        file: promotes the tag build-1 of each repository to v1.
    """

    stxb: Stxb
    registry: Registry
    proxy: FaultProxy
    folder: str
    file: Path

    def push(self, name: str, tag: str, content: str) -> str:
        """Push a small image, and give its digest."""
        image = make_image([file("content", content)])
        image.push(self.registry, f"{self.folder}/{name}:{tag}")
        return image.document.digest

    def digest(self, name: str, tag: str) -> str:
        """Give the digest of an image, or nothing."""
        read = self.registry.index if name == INDEX else self.registry.manifest
        return (
            digest_of(read(f"{self.folder}/{name}", tag)) if tag in self.registry.tags(f"{self.folder}/{name}") else ""
        )

    def done(self, *words: object) -> Any:
        """Promote, and give what was done by repository."""
        ended = self.stxb.done("retag", self.file, "--format", "json", *words)
        return {told["name"].rpartition("/")[2]: (told["state"], told["outcome"]) for told in ended.json}

    def fails(self, status: int, *words: object) -> str:
        """Run it, expect this exit status, and give everything it said."""
        ended = self.stxb.run("retag", *words)
        assert ended.status == status, f"{ended.status}: {ended.out}\n{ended.err}"
        assert "Traceback" not in ended.err
        return f"{ended.out}\n{ended.err}"

    def written(self) -> int:
        """Count the manifests that were written so far."""
        return sum(seen.method == "PUT" and "/manifests/" in seen.path for seen in self.proxy.seen)


@pytest.fixture
def tags(
    stxb: Stxb,
    registry: Registry,
    fault_proxy: Callable[..., FaultProxy],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Tags:
    proxy = fault_proxy()
    settings = tmp_path / "home/.config/containers"
    settings.mkdir(parents=True)
    (settings / "registries.conf").write_text(
        f'[[registry]]\nprefix = "docker.io"\nlocation = "{proxy.address}"\ninsecure = true\n'
    )
    folder = f"retag/{request.node.name.replace('_', '-').lower()}"
    text = "images:\n"
    for name in (*NAMES, INDEX):
        text += f"- name: docker.io/{folder}/{name}\n  src_build_tag: build-1\n  tag: v1\n"
    (tmp_path / "tags.yaml").write_text(text)
    environment = {**stxb.environment, "HOME": str(tmp_path / "home")}
    made = Tags(
        stxb=attrs.evolve(stxb, environment=environment), registry=registry, proxy=proxy, folder=folder,
        file=tmp_path / "tags.yaml",
    )  # fmt: skip
    for name in NAMES:
        made.push(name, "build-1", name)
    entries = []
    for architecture in ("amd64", "arm64"):
        image = make_image([file("content", architecture)], architecture=architecture)
        image.push(registry, f"{folder}/{INDEX}:{architecture}")
        described = {"mediaType": image.document.media_type, "digest": image.document.digest}
        platform = {"architecture": architecture, "os": "linux"}
        entries.append({**described, "size": len(image.document.data), "platform": platform})
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    registry.put_manifest(f"{folder}/{INDEX}", "build-1", json.dumps(index).encode(), OCI_INDEX)
    return made


def test_from_builds_to_drift(tags: Tags, tmp_path: Path) -> None:
    lock = tmp_path / "tags.lock"
    shown = tags.stxb.done("retag", tags.file, "--dryrun", "--lock", lock)
    assert [line.split()[0] for line in shown.out.splitlines()] == ["STATE", *["create"] * 4]
    assert tags.written() == 0
    assert not lock.exists()
    assert tags.done("--lock", lock) == dict.fromkeys((*NAMES, INDEX), ("create", "created"))
    for name in (*NAMES, INDEX):
        assert tags.digest(name, "v1") == tags.digest(name, "build-1") != ""
    # Nothing of an image but its manifest travels.
    assert not [seen for seen in tags.proxy.seen if "/blobs/" in seen.path]
    locked = {image["name"]: image["digest"] for image in json.loads(lock.read_text())["images"]}
    assert locked == {f"docker.io/{tags.folder}/{name}": tags.digest(name, "v1") for name in (*NAMES, INDEX)}

    assert tags.done("--lock", lock) == dict.fromkeys((*NAMES, INDEX), ("exists", "nothing"))
    tags.stxb.done("retag", "check", tags.file)
    assert tags.written() == 4

    moved = tags.push("stx-nova", "build-1", "another build")
    before = tags.digest("stx-nova", "v1")
    said = tags.fails(1, "check", tags.file)
    assert f"tags.yaml:2: docker.io/{tags.folder}/stx-nova:v1 is {before}, and build-1 is {moved}" in said
    said = tags.fails(1, tags.file)
    assert "1 of 4 tags are another image already" in said
    assert "--repush stx-nova" in said
    # The lock knows which of the two is right.
    assert f"build-1 is {moved} by now; the lock says {before}" in tags.fails(2, tags.file, "--lock", lock)
    assert "no entry has that name" in tags.fails(2, tags.file, "--repush", "nova")
    assert tags.digest("stx-nova", "v1") == before
    assert tags.done("--repush", "stx-nova,stx-aodh")["stx-nova"] == ("drift", "replaced")
    assert tags.digest("stx-nova", "v1") == moved
    assert tags.written() == 5


def test_all_or_nothing(tags: Tags) -> None:
    tags.file.write_text(
        tags.file.read_text().replace("stx-aodh\n  src_build_tag: build-1", "stx-aodh\n  src_build_tag: gone")
    )
    said = tags.fails(2, tags.file)
    assert f"tags.yaml:5: docker.io/{tags.folder}/stx-aodh:v1: there is no tag gone" in said
    assert "3 were not written because of that" in said
    assert tags.written() == 0
    said = tags.fails(2, tags.file, "--keep-going", "--quiet")
    assert "were not written" not in said
    assert [tags.digest(name, "v1") != "" for name in (*NAMES, INDEX)] == [True, False, True, True]


def test_what_could_not_be_looked_up_is_not_missing(tags: Tags) -> None:
    tags.proxy.rules.append(Rule(method="HEAD", path="stx-heat/manifests/", status=503, times=1000))
    said = tags.fails(5, tags.file, "--retry-delay", "0", "--attempts", "2")
    assert "1 entries could not be looked up" in said
    assert {line.split()[1] for line in said.splitlines()[1:5]} == {"create", "unknown"}
    assert tags.written() == 0
    tags.fails(5, "check", tags.file, "--retry-delay", "0", "--attempts", "2")


def test_a_registry_that_stops_in_the_middle(tags: Tags) -> None:
    stop = Rule(method="PUT", path="/manifests/", status=0, times=1000, skip=2)
    tags.proxy.rules.append(stop)
    said = tags.fails(5, tags.file, "--jobs", "1", "--retry-delay", "0", "--attempts", "2")
    assert "2 tags could not be written, and 2 were" in said
    assert [tags.digest(name, "v1") != "" for name in (*NAMES, INDEX)] == [True, True, False, False]
    tags.proxy.rules.clear()
    assert [outcome for _, outcome in tags.done().values()] == ["nothing", "nothing", "created", "created"]


def test_mistakes_of_all_files_at_once(tags: Tags, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("images:\n- name: a/b\n  src_build_tag: x\n  tga: y\n")
    said = tags.fails(2, tags.file, tmp_path / "more.yaml", tags.file)
    assert "did you mean tag?" in said
    assert f"docker.io/{tags.folder}/stx-nova:v1 is already made by line 2" in said
    assert tags.proxy.seen == []
