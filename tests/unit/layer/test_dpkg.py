# SPDX-License-Identifier: Apache-2.0
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from stxbuildah.layer.dpkg import dpkg_packages, files_of_package, owner_of
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.ownership import package_of
from stxbuildah.model.inventory import Distribution, MetadataFormat
from stxbuildah.model.tree import Entry, Kind
from tests.unit.layer.directory_tree import DirectoryTree

STATUS = b"""Package: zlib1g
Status: install ok installed
Multi-Arch: same
Architecture: amd64
Version: 1:1.3
Description: a library
 Package: not this

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.41-12

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.41-12

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: half
Status: install ok half-configured
Version: 1
"""


def test_installed_packages_are_sorted_and_others_left_out() -> None:
    assert dpkg_packages(MemoryTree({"/var/lib/dpkg/status": STATUS})) == (
        ("libc6", "2.41-12", "amd64"),
        ("libc6", "2.41-12", "i386"),
        ("zlib1g", "1:1.3", "amd64"),
    )


def test_distroless_images_have_a_file_for_each_package() -> None:
    tree = MemoryTree(
        {
            "/var/lib/dpkg/status.d/base": b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
            "/var/lib/dpkg/status.d/base.md5sums": b"0123  usr/share/doc/base\n4567  /etc/x y\n",
            "/var/lib/dpkg/status.d/folder": Entry(Kind.DIRECTORY),
        }
    )
    assert dpkg_packages(tree) == (("base-files", "12.4", "amd64"),)
    assert owner_of(tree, "/usr/share/doc/base") == "base"
    assert owner_of(tree, "/etc/x y") == "base"
    assert files_of_package(tree, "base") == ("/usr/share/doc/base", "/etc/x y")


def test_without_dpkg_there_is_nothing() -> None:
    tree = MemoryTree({"/etc/passwd": b""})
    assert (dpkg_packages(tree), owner_of(tree, "/etc/passwd"), files_of_package(tree, "x")) == ((), "", ())


LISTS = {
    "/var/lib/dpkg/info/aaa.list": b"/.\n/lib\n/usr/lib/systemd/x\n",
    "/var/lib/dpkg/info/libfoo:amd64.list": b"/.\n/lib/libfoo.so\n",
    "/var/lib/dpkg/info/python3-yaml.list": b"/usr/lib/python3/dist-packages/PyYAML-6.0.dist-info\n",
    "/var/lib/dpkg/info/python3-yaml.md5sums": b"/usr/lib/other\n",
}


def test_the_owner_is_found_under_both_names_of_a_merged_usr() -> None:
    merged = MemoryTree({**LISTS, "/lib": symlink("usr/lib"), "/usr/lib/libfoo.so": b""})
    assert owner_of(merged, "/usr/lib/libfoo.so") == "libfoo"
    assert owner_of(merged, "/usr/lib/libfoo") == ""
    assert owner_of(merged, "/usr/lib/other") == ""
    apart = MemoryTree({**LISTS, "/lib/libfoo.so": b""})
    assert owner_of(apart, "/lib/libfoo.so") == "libfoo"
    assert owner_of(apart, "/usr/lib/libfoo.so") == ""


class Reads(MemoryTree):
    """A tree that writes down what is read of it."""

    def read(self, path: str) -> bytes:
        self.__dict__.setdefault("paths", []).append(path)
        return super().read(path)


def test_lists_of_likely_names_are_read_first() -> None:
    tree = Reads(LISTS)
    assert owner_of(tree, "/usr/lib/python3/dist-packages/PyYAML-6.0.dist-info") == "python3-yaml"
    assert tree.__dict__["paths"] == ["/var/lib/dpkg/info/python3-yaml.list"]


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="no dpkg to compare with")
def test_this_machines_packages_are_those_of_dpkg() -> None:
    wanted = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"
    done = subprocess.run(
        ["/usr/bin/dpkg-query", "--show", f"--showformat={wanted}"], check=True, capture_output=True, text=True
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    theirs = sorted((name, version, arch) for state, name, version, arch in lines if state == "installed")
    assert list(dpkg_packages(DirectoryTree())) == theirs
    assert owner_of(DirectoryTree(), "/usr/bin/dpkg-query") == "dpkg"


def installed(folder: str, installer: str = "") -> Distribution:
    return Distribution(
        name=canonicalize_name("one"),
        display_name="one",
        version="1.0",
        location=folder,
        metadata_path=f"{folder}/one-1.0.dist-info",
        format=MetadataFormat.DIST_INFO,
        installer=installer,
    )


@pytest.mark.parametrize(
    ("folder", "installer", "expected"),
    [
        ("/usr/lib/python3/dist-packages", "debian", "python3-one"),
        ("/usr/lib/python3/dist-packages", "pip", "python3-one"),
        ("/opt/venv/lib/python3.11/site-packages", "", "venv-one"),
        ("/opt/venv/lib/python3.11/site-packages", "pip", ""),
        ("/usr/local/lib/python3.11/dist-packages", "", ""),
    ],
)
def test_the_package_of_a_distribution(folder: str, installer: str, expected: str) -> None:
    tree = MemoryTree(
        {
            "/var/lib/dpkg/info/python3-one.list": b"/usr/lib/python3/dist-packages/one-1.0.dist-info\n",
            "/var/lib/dpkg/info/venv-one.list": b"/opt/venv/lib/python3.11/site-packages/one-1.0.dist-info\n",
        }
    )
    assert package_of(tree, installed(folder, installer)) == expected
