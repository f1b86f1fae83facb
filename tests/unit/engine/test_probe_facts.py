# SPDX-License-Identifier: Apache-2.0
"""What a machine says of itself, read from a copy of its files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.hostfacts import HostFacts, free_start, identities, read_facts
from stxbuildah.engine.remedy import install_command, upgrade_command


def machine(root: Path, files: dict[str, str]) -> HostFacts:
    uid = os.geteuid()
    for name, text in {"etc/passwd": f"root:x:0:0::/:/bin/sh\nme:x:{uid}:{uid}::/home/me:/bin/sh\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_facts({"PATH": ""}, root)


def test_a_bare_machine_says_nothing_good(tmp_path: Path) -> None:
    facts = machine(tmp_path, {})
    assert (facts.subuids, facts.subgids, facts.cgroups, facts.container, facts.system) == (0, 0, "none", "", ())
    assert (facts.tun, facts.fuse, facts.sys_resource, facts.cgroup_delegated) == (False, False, False, False)
    assert set(facts.programs.values()) == {""}


def test_a_good_machine_is_read_whole(tmp_path: Path) -> None:
    account = "root" if os.geteuid() == 0 else "me"
    facts = machine(
        tmp_path,
        {
            "etc/os-release": 'NAME="Some Linux"\nID=ubuntu\nID_LIKE="debian other"\n',
            "etc/subuid": f"{account}:100000:65536\n{os.geteuid()}:300000:10\nother:165536:65536\nbroken\n",
            "etc/subgid": f"{account}:100000:65536\n",
            "proc/self/status": "Name:\tx\nCapEff:\t0000000001000000\n",
            "proc/self/cgroup": "0::/user.slice\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/user.slice/cgroup.procs": "",
            "proc/sys/kernel/unprivileged_userns_clone": "1\n",
            "run/.containerenv": "",
        },
    )
    assert facts.account == account
    assert facts.system == ("ubuntu", "debian", "other")
    assert (facts.subuids, facts.subgids, facts.free_subid) == (65546, 65536, 300010)
    assert (facts.cgroups, facts.cgroup_delegated, facts.sys_resource) == ("v2", True, True)
    assert (facts.container, facts.namespace_switches) == ("podman", ())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("kernel/unprivileged_userns_clone", "0", ("kernel.unprivileged_userns_clone = 0",)),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            ("kernel.apparmor_restrict_unprivileged_userns = 1",),
        ),
        ("user/max_user_namespaces", "0", ("user.max_user_namespaces = 0",)),
        ("user/max_user_namespaces", "15000", ()),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", ()),
    ],
)
def test_switches_that_forbid_namespaces_are_told(tmp_path: Path, name: str, value: str, told: tuple[str, ...]) -> None:
    assert machine(tmp_path, {f"proc/sys/{name}": f"{value}\n"}).namespace_switches == told


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"sys/fs/cgroup/cgroup.controllers": ""}, "v2"),
        ({"sys/fs/cgroup/unified/cgroup.controllers": ""}, "hybrid"),
        ({"sys/fs/cgroup/memory/tasks": ""}, "v1"),
    ],
)
def test_control_groups_are_told_apart(tmp_path: Path, files: dict[str, str], version: str) -> None:
    assert machine(tmp_path, files).cgroups == version


def test_a_plain_file_is_no_device(tmp_path: Path) -> None:
    assert machine(tmp_path, {"dev/net/tun": "", "dev/fuse": ""}).tun is False


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)))
def test_no_line_of_subuid_is_an_error(lines: list[str]) -> None:
    assert identities(lines, "me", 1000) >= 0
    assert free_start(lines) >= 100000


@pytest.mark.parametrize(
    ("system", "install", "upgrade"),
    [
        (("debian",), "sudo apt-get install uidmap", "sudo apt-get install --only-upgrade buildah"),
        (("ubuntu", "debian"), "sudo apt-get install uidmap", "sudo apt-get install --only-upgrade buildah"),
        (("fedora",), "sudo dnf install shadow-utils", "sudo dnf upgrade buildah"),
        (("rocky", "rhel", "centos", "fedora"), "sudo dnf install shadow-utils", "sudo dnf upgrade buildah"),
        (("opensuse-leap", "suse"), "sudo zypper install shadow-utils", "sudo zypper upgrade buildah"),
        (("plan9",), "", ""),
        ((), "", ""),
    ],
)
def test_remedies_are_in_the_words_of_the_distribution(system: tuple[str, ...], install: str, upgrade: str) -> None:
    assert install_command(system, "newuidmap") == install
    assert upgrade_command(system, "buildah") == upgrade
