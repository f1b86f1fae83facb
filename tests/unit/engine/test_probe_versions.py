# SPDX-License-Identifier: Apache-2.0
"""Versions, and the holes that an old buildah has."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.process import Runner
from stxbuildah.engine.versions import (
    BUILDAH_HOLES,
    Package,
    cves_in,
    installed_package,
    open_holes,
    parse_version,
    version_text,
)

ALL = ("CVE-2024-1753", "CVE-2024-9407", "CVE-2024-9675", "CVE-2024-11218")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)", (1, 28, 2)),
        ("podman version 4.3.1", (4, 3, 1)),
        ("skopeo version 1.9.3\n", (1, 9, 3)),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1", (1, 1, 5)),
        ("crun version 1.21\ncommit: 10269840aa07", (1, 21)),
        ("buildah version v1.41.0-dev", (1, 41, 0)),
        ("no number here: 7", ()),
        ("", ()),
    ],
)
def test_a_version_is_found_in_what_a_program_says(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=4))
def test_a_version_written_is_read_back(numbers: list[int]) -> None:
    assert parse_version(f"program version {version_text(tuple(numbers))}") == tuple(numbers)


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ((1, 28, 2), ALL),
        ((1, 23, 1), ALL),
        ((1, 29, 2), ALL),
        ((1, 29, 3), ALL[1:]),
        ((1, 33, 6), ALL),
        ((1, 33, 7), ALL[1:]),
        ((1, 33, 10), ("CVE-2024-11218",)),
        ((1, 33, 12), ()),
        ((1, 34, 3), ALL[1:]),
        ((1, 35, 0), ALL),
        ((1, 35, 1), ALL[1:]),
        ((1, 35, 5), ("CVE-2024-9407",)),
        ((1, 36, 0), ALL[1:]),
        ((1, 37, 3), ALL[1:]),
        ((1, 37, 4), ("CVE-2024-9675", "CVE-2024-11218")),
        ((1, 37, 5), ("CVE-2024-11218",)),
        ((1, 37, 6), ()),
        ((1, 38, 0), ("CVE-2024-11218",)),
        ((1, 38, 1), ()),
        ((1, 39, 3), ()),
        ((2, 0), ()),
    ],
)
def test_each_release_has_the_holes_of_its_line(version: tuple[int, ...], found: tuple[str, ...]) -> None:
    assert tuple(hole.cve for hole in open_holes(version)) == found


def test_what_the_distribution_has_patched_is_no_hole() -> None:
    assert [hole.cve for hole in open_holes((1, 28, 2), ["CVE-2024-1753", "CVE-2024-9407", "CVE-2024-9675"])] == [
        "CVE-2024-11218"
    ]


@given(st.tuples(st.integers(1, 2), st.integers(20, 45), st.integers(0, 15)))
def test_a_fix_is_never_lost_within_a_line(version: tuple[int, int, int]) -> None:
    later = (version[0], version[1], version[2] + 1)
    for hole in BUILDAH_HOLES:
        assert hole.is_in(version) or not hole.is_in(later)


def test_the_changelog_of_a_debian_package_tells_its_patches(tmp_path: Path) -> None:
    folder = tmp_path / "buildah"
    folder.mkdir()
    text = (
        "golang-github-containers-buildah (1.28.2+ds1-3+deb12u2) bookworm-security; urgency=high\n\n"
        "  * Fix CVE-2024-1753 and (CVE-2024-9407).\n\n -- A Person <a@example.org>  Mon, 27 Jan 2025 18:43:31 +0000\n"
    )
    path = folder / "changelog.Debian.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert installed_package("buildah", Runner(), tmp_path) == Package(
        told_by=str(path), version="1.28.2+ds1-3+deb12u2", patched=frozenset({"CVE-2024-1753", "CVE-2024-9407"})
    )


def test_a_package_that_nobody_knows_tells_nothing(tmp_path: Path) -> None:
    empty = Runner(extra=(("PATH", str(tmp_path)),))
    assert installed_package("buildah", empty, tmp_path) == Package()


def test_a_broken_changelog_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "buildah").mkdir()
    (tmp_path / "buildah" / "changelog.Debian.gz").write_bytes(b"no gzip")
    assert installed_package("buildah", Runner(extra=(("PATH", str(tmp_path)),)), tmp_path) == Package()


def test_only_whole_numbers_count() -> None:
    assert cves_in("CVE-2024-1753, XCVE-2024-1, CVE-2024-112189 CVE-24-1") == {"CVE-2024-1753", "CVE-2024-112189"}
