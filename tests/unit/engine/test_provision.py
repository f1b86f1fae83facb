# SPDX-License-Identifier: Apache-2.0
"""The commands that bring an image up to its repositories, and what their ends mean."""

import pytest

from stxbuildah.engine.packages import PackageManager
from stxbuildah.engine.process import Completed
from stxbuildah.engine.provision import Provisioning, provision_error
from stxbuildah.errors import BuildError, DiskFullError, InputError, RegistryError, StxbError

QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "LC_ALL=C")


def test_apt() -> None:
    apt = Provisioning(
        manager=PackageManager(name="apt-get", suffix=".deb"),
        folder="/m",
        has_preferences=True,
        attempts=3,
        ca_bundle="/c",
    )
    common = (
        *QUIETLY, "apt-get", "--yes", "--no-install-recommends", "-o", "APT::Update::Error-Mode=any",
        "-o", "APT::Sandbox::User=root", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confdef",
        "-o", "Dpkg::Options::=--force-confold", "-o", "Dir::Etc::sourcelist=/m/sources.list",
        "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Acquire::Retries=3",
        "-o", "Dir::Etc::preferences=/m/preferences", "-o", "Acquire::https::CAInfo=/c",
    )  # fmt: skip
    assert apt.upgrade() == ((*common, "update"), (*common, "upgrade", "--with-new-pkgs"))
    assert apt.install(["a", "b"]) == ((*common, "install", "a", "b"),)


@pytest.mark.parametrize(
    ("name", "further", "settings"),
    [
        ("dnf", {}, ()),
        ("dnf5", {"attempts": 2, "ca_bundle": "/c"}, ("retries=2", "sslcacert=/c")),
        (
            "yum",
            {"repositories": ("a", "b"), "only_given": True},
            (
                "skip_missing_names_on_install=False", "reposdir=/m/repositories", "a.skip_if_unavailable=0",
                "b.skip_if_unavailable=0",
            ),
        ),
        (
            "dnf",
            {"repositories": ("a",)},
            ("reposdir=/etc/yum.repos.d,/m/repositories", "a.skip_if_unavailable=0"),
        ),
    ],
)  # fmt: skip
def test_dnf_and_yum(name: str, further: dict[str, object], settings: tuple[str, ...]) -> None:
    manager = PackageManager(name=name, suffix=".rpm")
    provisioning = Provisioning(manager=manager, folder="/m", **further)  # type: ignore[arg-type] # of the table
    words = ("install_weak_deps=False", *settings)
    common = (*QUIETLY, name, "--assumeyes", *(f"--setopt={setting}" for setting in words))
    assert provisioning.upgrade() == ((*common, "upgrade"),)
    assert provisioning.install(["a"]) == ((*common, "install", "a"),)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (InputError, "E: Unable to locate package stx-none"),
        (InputError, "Error: Unable to find a match: stx-none"),
        (InputError, "E: The repository 'http://x.example trixie Release' does not have a Release file."),
        (InputError, "E: Failed to fetch http://x.example/Packages  404  Not Found [IP: 127.0.0.1 80]"),
        (InputError, 'Error: There are no enabled repositories in "/etc/yum.repos.d".'),
        (InputError, "W: GPG error: http://x.example ./ Release: The following signatures: NO_PUBKEY 1234"),
        (InputError, "  - Status code: 404 for http://x.example/repodata/repomd.xml (IP: 127.0.0.1)"),
        (RegistryError, "  - Status code: 503 for http://x.example/repodata/repomd.xml (IP: 127.0.0.1)"),
        (RegistryError, "E: Failed to fetch http://x.example/Packages  Could not connect to 127.0.0.1:1"),
        (RegistryError, "  - Curl error (7): Couldn't connect to server for http://127.0.0.1:1/repodata/repomd.xml"),
        (RegistryError, "  Certificate verification failed: The certificate is NOT trusted. [IP: 127.0.0.1 443]"),
        (RegistryError, "  - Curl error (60): SSL peer certificate or SSH remote key was not OK for https://x.example"),
        (DiskFullError, "E: You don't have enough free space in /var/cache/apt/archives/."),
        (BuildError, "Error: nothing provides libfoo >= 2 needed by stx-tool-1-1.noarch"),
        (BuildError, "something else"),
    ],
)  # fmt: skip
def test_what_the_end_of_a_manager_means(kind: type[StxbError], line: str) -> None:
    error = provision_error(
        "upgrading X", Completed(argv=("dnf",), returncode=100, stdout=b"", tail=("before", line, "after"))
    )
    assert type(error) is kind
    assert error.message.startswith("upgrading X failed")
