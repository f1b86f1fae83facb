# SPDX-License-Identifier: Apache-2.0
"""DIST_REPOS: what package managers see of an image's lists while it is built."""

from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.job.images.locirepositories import apt_lists, dnf_options, write_apt_settings
from stxbuildah.layer.memory import MemoryTree

APT = "/etc/apt/sources.list.d"
IMAGE = MemoryTree(
    {
        f"{APT}/debian.list.disabled": b"deb of the system\n",
        f"{APT}/stx.list": b"deb of the build\n",
        f"{APT}/extra.sources": b"Types: deb\n",
        f"{APT}/extra2.sources.disabled": b"Types: deb\n",
        f"{APT}/remarks.txt": b"",
    }
)
YUM = MemoryTree(
    {
        "/etc/yum.repos.d/stx.repo": b"[local-std]\nname=x\n[local-rt]\n",
        "/etc/yum.repos.d/centos.repo": b"[baseos]\n\n [appstream] \nbaseurl=[none]\n",
    }
)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("", {"stx.list", "extra.sources"}),
        ("OS", {"debian.list", "stx.list", "extra.sources"}),
        ("OS -STX", {"debian.list", "extra.sources"}),
        ("+extra2 -extra", {"stx.list", "extra2.sources"}),
        ("-gone stx", {"stx.list", "extra.sources"}),
    ],
)
def test_lists_are_switched(words: str, shown: set[str]) -> None:
    assert set(apt_lists(IMAGE, words.split())) == shown


def test_a_list_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(InputError, match="no package list ceph") as refused:
        apt_lists(IMAGE, ["ceph"])
    assert "debian.list.disabled" in refused.value.hint


def test_the_systems_own_lists_may_have_any_name() -> None:
    assert apt_lists(MemoryTree({"/etc/apt/sources.list": b"deb x\n"}), ["OS"]) == {}
    with pytest.raises(InputError, match="no package list OS"):
        apt_lists(MemoryTree({"/etc/apt/sources.list": b""}), ["OS", "-STX"])


def test_apt_is_told_by_a_file(tmp_path: Path) -> None:
    write_apt_settings(tmp_path, "/run/x", {"debian.list": b"deb y\n"})
    assert 'Dir::Etc::sourceparts "/run/x/lists";' in (tmp_path / "apt.conf").read_text().splitlines()
    assert (tmp_path / "lists/debian.list").read_bytes() == b"deb y\n"


def test_without_lists_the_images_count(tmp_path: Path) -> None:
    write_apt_settings(tmp_path, "/run/x", None)
    assert "sourceparts" not in (tmp_path / "apt.conf").read_text()


def test_repositories_of_dnf_are_switched_by_options() -> None:
    assert dnf_options(YUM, ["OS", "-STX"]) == (
        "--enablerepo=baseos", "--enablerepo=appstream", "--disablerepo=local-std", "--disablerepo=local-rt",
    )  # fmt: skip
    assert dnf_options(YUM, ["local-rt", "-gone"]) == ("--enablerepo=local-rt",)
    with pytest.raises(InputError, match="no repository epel"):
        dnf_options(YUM, ["epel"])
