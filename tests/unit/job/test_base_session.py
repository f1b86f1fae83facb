# SPDX-License-Identifier: Apache-2.0
"""What is asked of an image that a base image is made of, and what becomes of its lists and settings."""

from typing import Any

import pytest

from stxbuildah.errors import BuildError, InputError
from stxbuildah.job import base
from stxbuildah.job.basesession import check_platform, check_system, image_lists, settings
from stxbuildah.layer.append import empty_image
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.base import BaseContent, BaseNaming, BaseRequest, BaseSystem
from stxbuildah.model.baseplan import BasePlan
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage

LISTS = "/etc/apt/sources.list.d"
REPOSITORY = "deb [trusted=yes] http://repo.example/x trixie main"


def plan(os: str = "debian", codename: str = "trixie", **content: Any) -> BasePlan:
    return base.plan(
        BaseRequest(
            system=BaseSystem(os=os, codename=codename, arch="amd64"),
            naming=BaseNaming(user="u"),
            content=BaseContent(from_image="from.example/x:1", **content),
        )
    )


def image(architecture: str = "amd64", **config: Any) -> StoredImage:
    return StoredImage(
        reference=ImageReference.parse("from.example/x:1"),
        documents=empty_image(architecture=architecture, config=config),
    )


def system(release: str, *programs: str) -> MemoryTree:
    return MemoryTree({"/etc/os-release": release.encode(), **{f"/usr/bin/{name}": b"" for name in programs}})


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (system('ID=debian\nVERSION_CODENAME=trixie\nVERSION_ID="13"', "apt-get"), ("debian", "trixie")),
        (system("ID=debian\nPRETTY_NAME=unstable", "apt-get"), ("debian", "trixie")),
        (system('ID="centos"\nVERSION_ID="9"', "dnf"), ("centos", "stream9")),
        (system('ID="rocky"\nVERSION_ID="9.4"', "microdnf", "yum"), ("rocky", "9.2")),
    ],
)
def test_an_image_of_the_system_that_was_asked_for(found: MemoryTree, wanted: tuple[str, str]) -> None:
    check_system(found, image(), plan(*wanted))


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        (
            system('ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"', "apt-get"),
            ("debian", "trixie"),
            "is Debian 12, not debian trixie",
        ),
        (system("ID=ubuntu", "apt-get"), ("debian", "trixie"), "is ubuntu, not debian trixie"),
        (system("ID=centos\nVERSION_ID=8", "dnf"), ("centos", "stream9"), "is centos 8, not centos stream9"),
        (MemoryTree({}), ("centos", "stream9"), "is of an unknown system, not centos"),
        (system("ID=debian", "dpkg"), ("debian", "trixie"), "no program that installs packages from repositories"),
        (system("ID=centos\nVERSION_ID=9"), ("centos", "stream9"), r"no program that installs \.rpm packages"),
    ],
)
def test_an_image_that_is_something_else(found: MemoryTree, wanted: tuple[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_system(found, image(), plan(*wanted))


def test_an_image_for_another_architecture() -> None:
    check_platform(image(), plan())
    with pytest.raises(InputError, match="is for arm64, not for amd64"):
        check_platform(image("arm64"), plan())


def test_froms_lists_are_switched_off_and_those_of_an_earlier_base_are_replaced() -> None:
    tree = MemoryTree(
        {
            "/etc/apt/sources.list": b"deb http://main",
            f"{LISTS}/debian.sources": b"URIs: http://deb822",
            f"{LISTS}/empty.list": b"",
            f"{LISTS}/linked.list": symlink("/etc/passwd"),
            f"{LISTS}/debian.list": b"old",
            f"{LISTS}/stx.list": b"old internal",
            f"{LISTS}/notes.txt": b"kept",
            "/etc/apt/preferences.d/stx": b"old",
        }
    )
    published = plan(repositories=(REPOSITORY,))
    ours = {path: text.encode() for path, text in published.origin.files}
    off = {f"{LISTS}/{name}": None for name in ("debian.sources", "empty.list", "linked.list", "debian.list")}
    kept = {
        "/etc/apt/sources.list.disabled": b"deb http://main",
        f"{LISTS}/debian.sources.disabled": b"URIs: http://deb822",
    }
    assert image_lists(tree, published) == {**ours, **off, **kept, "/etc/apt/sources.list": None}
    without = image_lists(tree, plan(repositories=(REPOSITORY,), private=True))
    assert {path for path, content in without.items() if content is None} == {
        *(f"{LISTS}/{name}" for name in ("debian.sources", "empty.list", "linked.list")),
        f"{LISTS}/stx.list", f"{LISTS}/stx.list.disabled",
        "/etc/apt/sources.list", "/etc/apt/preferences.d/stx",
    }  # fmt: skip
    assert b"internal" not in b"".join(content for content in without.values() if content)


def test_a_list_without_end() -> None:
    with pytest.raises(BuildError, match="is longer than 1000000 bytes"):
        image_lists(MemoryTree({"/etc/apt/sources.list": b"x" * 1_000_001}), plan())


def test_repo_files_stay() -> None:
    tree = MemoryTree({"/etc/yum.repos.d/centos.repo": b"x"})
    found = image_lists(tree, plan("centos", "stream9", repositories=("a,http://x",)))
    assert set(found) == {"/etc/yum.repos.d/stx.repo"}


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({}, {"Env": [plan().environment[0]], "Cmd": ["/bin/bash"]}),
        ({"Env": ["A=b", "PATH=/x"], "Cmd": ["sh"]}, {"Env": [plan().environment[0], "A=b"], "Cmd": ["/bin/bash"]}),
        ({"Entrypoint": ["/e"], "Cmd": ["sh"]}, {"Env": [plan().environment[0]]}),
    ],
)
def test_settings(config: dict[str, Any], changes: dict[str, Any]) -> None:
    assert settings(image(**config), plan()) == changes
