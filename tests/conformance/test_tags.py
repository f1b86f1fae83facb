# SPDX-License-Identifier: Apache-2.0
import shutil
from pathlib import Path

import pytest
import yaml

from stxbuildah.directive.tags import read_tags, repeated_targets
from tests.engine.pythonimages import file, make_image
from tests.engine.registries import running_proxy, running_registry
from tests.engine.stxb import Stxb


def test_the_real_tags_file(corpus: Path) -> None:
    text = (corpus / "tags" / "image-tags-trixie.yaml").read_text(encoding="utf-8")
    entries, problems = read_tags(text, "image-tags-trixie.yaml")
    assert (problems, repeated_targets(entries)) == ((), ())
    images = [image for document in yaml.safe_load_all(text) for image in document["images"]]
    assert len(entries) == 20
    assert [
        {"name": entry.name, "src_build_tag": entry.build_tag, "src_ref": entry.origin, "tag": entry.tag}
        for entry in entries
    ] == images
    lines = text.splitlines()
    assert all(lines[entry.line - 1] == f"  - name: {entry.name}" for entry in entries)


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")
def test_the_real_tags_are_promoted(corpus: Path, tmp_path: Path) -> None:
    file_of_tags = corpus / "tags" / "image-tags-trixie.yaml"
    settings = tmp_path / "home/.config/containers"
    settings.mkdir(parents=True)
    stxb = Stxb(
        folder=tmp_path,
        environment={
            "HOME": str(tmp_path / "home"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
    )
    with running_registry(tmp_path / "registry") as registry, running_proxy(registry) as proxy:
        (settings / "registries.conf").write_text(
            f'[[registry]]\nprefix = "docker.io"\nlocation = "{proxy.address}"\ninsecure = true\n'
        )
        entries, _ = read_tags(file_of_tags.read_text(encoding="utf-8"), "tags")
        for entry in entries:
            image = make_image([file("name", entry.name)])
            image.push(registry, f"{entry.name.removeprefix('docker.io/')}:{entry.build_tag}")
        first = stxb.done("retag", file_of_tags, "--format", "json").json
        assert [told["outcome"] for told in first] == ["created"] * 20
        for entry in entries:
            repository = entry.name.removeprefix("docker.io/")
            assert registry.manifest(repository, entry.tag) == registry.manifest(repository, entry.build_tag)
        written = len(proxy.seen)
        again = stxb.done("retag", file_of_tags, "--format", "json").json
        assert [told["outcome"] for told in again] == ["nothing"] * 20
        assert {seen.method for seen in proxy.seen[written:]} <= {"GET", "HEAD"}
        moved = entries[3]
        other = make_image([file("name", "of another build")])
        other.push(registry, f"{moved.name.removeprefix('docker.io/')}:{moved.build_tag}")
        drift = stxb.run("retag", "check", file_of_tags)
        assert drift.status == 1
        assert f":{moved.line}: {moved.name}:{moved.tag} is " in drift.err
        assert drift.err.count(": docker.io/") == 1
