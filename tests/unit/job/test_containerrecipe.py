# SPDX-License-Identifier: Apache-2.0
"""What is known of a docker image before it is built: its parents, what is missing, what is worth a remark."""

import os
from pathlib import Path

import pytest

from stxbuildah.directive.image import read_image_directives
from stxbuildah.errors import InputError
from stxbuildah.job.images import docker
from stxbuildah.job.images.checkout import scratch_copy
from stxbuildah.job.images.containerrecipe import find_containerfile, label_of
from stxbuildah.model.imagebuild import ImageDirectives
from stxbuildah.model.settings import Proxies

LABELS = {"stx-foo", "stx-bar"}


def directives(folder: Path, containerfile: str | None, more: str = "") -> ImageDirectives:
    if containerfile is not None:
        (folder / "docker").mkdir()
        (folder / "docker/Dockerfile").write_text(containerfile)
    text = f"BUILDER=docker\nLABEL=stx-image\n{more}"
    (folder / "image").write_text(text)
    found = read_image_directives(text, folder / "image").directives
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("stx-foo", "stx-foo"),
        ("stx-foo:latest", "stx-foo"),
        ("localhost/stx-foo:1.0", "stx-foo"),
        ("localhost/builder/stx-foo:debian-trixie-amd64-stable-build", "stx-foo"),
        ("builder/stx-foo:dev-debian-stable-build", "stx-foo"),
        ("starlingx/stx-foo:master-debian-stable-latest", ""),
        ("docker.io/starlingx/stx-foo:debian-stable-build", ""),
        ("stx-foo@sha256:" + "0" * 64, ""),
        ("stx-other", ""),
        ("<base>", ""),
        ("", ""),
    ],
)
def test_an_image_of_the_product_is_known_by_its_name(image: str, label: str) -> None:
    assert label_of(image, LABELS) == label


def test_what_can_be_known_before(tmp_path: Path) -> None:
    text = "ARG BASE\nARG OTHER=stx-foo\nFROM ${OTHER} AS o\nFROM debian:12\nCOPY --from=stx-bar /x /x\n"
    image = directives(tmp_path, text)
    assert docker.parents(image, LABELS) == ("stx-bar", "stx-foo")
    assert not docker.uses_base(image)
    assert docker.problems(image) == []
    assert docker.remarks(image) == [
        f"stx-image: {tmp_path}/docker/Dockerfile has no FROM ${{BASE}}: it is built on debian:12, stx-foo"
    ]
    assert docker.remarks(image, LABELS) == []


@pytest.mark.parametrize(
    ("containerfile", "more", "told"),
    [
        (None, "", "image: the folder {folder}/docker is not there: the build context"),
        (None, "DOCKER_CONTEXT=other\n", "image:3: the folder {folder}/other is not there: the build context"),
        ("FROM a", "DOCKER_FILE=x\n", "image:3: the file {folder}/x is not there: the Containerfile"),
        ("# nothing", "", "docker/Dockerfile: there is no FROM: nothing is built"),
        ("FROM a\nFROM ${BASE}\n", "", "docker/Dockerfile:2: ${{BASE}} is empty: write ARG BASE before the first FROM"),
        ("FROM $X\n", "", "docker/Dockerfile:1: $X is empty: declare it by ARG, with a value, before the first FROM"),
        ("FROM a\nRUN <<E\n", "", "docker/Dockerfile:2: the here-document <<E has no end"),
        ("FROM a", "DOCKER_CONTEXT=''\n", ""),
        ("ARG WHEELS\nFROM $WHEELS", "", ""),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_with_its_line(tmp_path: Path, containerfile: str | None, more: str, told: str) -> None:
    found = [str(problem) for problem in docker.problems(directives(tmp_path, containerfile, more))]
    assert found == ([f"{tmp_path}/{told.format(folder=tmp_path)}"] if told else [])


def test_a_patch_that_is_not_there_is_told(tmp_path: Path) -> None:
    more = "DOCKER_REPO=https://example.org/x\nDOCKER_PATCHES='one.patch two.patch'\n"
    (tmp_path / "one.patch").write_text("")
    image = directives(tmp_path, None, more)
    assert [str(problem) for problem in docker.problems(image)] == [
        f"{tmp_path}/image: the patch {tmp_path}/two.patch is not there"
    ]
    assert docker.parents(image, LABELS) == ()
    assert docker.remarks(image) == []


def test_the_containerfile_of_a_checkout(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in ("z/Dockerfile", "b/c/Dockerfile", "d/Containerfile", ".git/Dockerfile"):
        (checkout / name).parent.mkdir(parents=True)
        (checkout / name).write_text("FROM a")
    for name in ("d/Containerfile", "z/Dockerfile", "b/c/Dockerfile"):
        assert find_containerfile(checkout) == checkout / name
        (checkout / name).unlink()
    with pytest.raises(InputError, match="no Dockerfile and no Containerfile"):
        find_containerfile(checkout)
    (tmp_path / "outside").write_text("FROM a")
    (checkout / "Dockerfile").symlink_to("../outside")
    (checkout / "Containerfile").write_text("FROM a")
    assert find_containerfile(checkout).name == "Containerfile"
    (checkout / "Dockerfile").unlink()
    (checkout / "Dockerfile").symlink_to("Containerfile")
    assert find_containerfile(checkout).name == "Dockerfile"


def test_passwords_of_proxies_are_secrets() -> None:
    proxies = Proxies(http="http://me:one@host:1", https="me:two@host:2", no="a:b@c")
    assert docker.proxy_secrets(proxies) == ("one", "two")
    assert docker.proxy_secrets(Proxies(http="http://host:1")) == ()


def test_what_cannot_be_copied_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    os.mkfifo(tmp_path / "one/pipe")
    with pytest.raises(InputError, match="one cannot be copied into the work folder") as caught:
        scratch_copy(tmp_path / "one", tmp_path / "copy")
    assert "pipe" in caught.value.details[0]
