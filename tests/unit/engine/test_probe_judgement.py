# SPDX-License-Identifier: Apache-2.0
"""What follows from what was found: whether images can be updated, whether wheels can be built."""

import attrs
import pytest

from stxbuildah.engine.doctor import judge
from stxbuildah.engine.findings import Findings
from stxbuildah.engine.hostcache import PROGRAMS
from stxbuildah.engine.hostfacts import HostFacts
from stxbuildah.engine.trial import Outcome
from stxbuildah.engine.versions import Package
from stxbuildah.model.host import State, UserChoices
from stxbuildah.model.settings import HostChoices, Storage

WORKS, FAILS = Outcome(worked=True), Outcome(worked=False, said="it said no")
FACTS = HostFacts(
    uid=1000, account="me", system=("debian",), programs={name: f"/usr/bin/{name}" for name in PROGRAMS},
    subuids=65536, subgids=65536, free_subid=165536, namespace_switches=(), sys_resource=False, mknod=False,
    open_files=1024, processes=4096, cgroups="v2", cgroup_delegated=True, tun=True, fuse=True, container="",
)  # fmt: skip
GOOD = Findings(
    facts=FACTS,
    user=UserChoices(),
    choices=HostChoices(isolation="rootless", network="private", storage=Storage(driver="overlay", root="/store")),
    storage_conf_named=False,
    versions={"buildah": (1, 41), "podman": (5, 5), "skopeo": (1, 19), "crun": (1, 21), "runc": (1, 3)},
    package=Package(),
    namespace=Outcome(worked=True, said="65537"),
    isolations={"rootless": WORKS, "chroot": WORKS},
    podman=WORKS,
    skopeo=WORKS,
    overlay=WORKS,
    fuse_overlay=WORKS,
    private_network=WORKS,
    stores={"buildah": ("overlay", "/store"), "podman": ("overlay", "/store")},
    free_space={"/store": 10**11},
    certificates=("/etc/ssl/certs",),
)
ROOT = attrs.evolve(GOOD, facts=attrs.evolve(FACTS, uid=0, account="root", subuids=0, subgids=0), namespace=FAILS)


def test_a_good_machine_has_nothing_to_improve() -> None:
    report = judge(GOOD)
    assert report.able
    assert [row for row in report.capabilities if row.state is not State.OK or row.improve] == []


@pytest.mark.parametrize(
    ("findings", "updates", "wheels"),
    [
        (GOOD, True, True),
        (ROOT, True, True),
        (attrs.evolve(GOOD, skopeo=FAILS), False, True),
        (attrs.evolve(GOOD, podman=FAILS), True, False),
        (attrs.evolve(GOOD, namespace=FAILS), False, False),
        (attrs.evolve(GOOD, namespace=Outcome(worked=True, said="1")), False, False),
        (attrs.evolve(GOOD, isolations={"rootless": FAILS, "chroot": WORKS}), False, True),
        (attrs.evolve(GOOD, isolations={"rootless": WORKS, "chroot": FAILS}), True, True),
        (attrs.evolve(GOOD, overlay=FAILS), True, True),
        (attrs.evolve(GOOD, overlay=FAILS, fuse_overlay=FAILS), False, False),
        (
            attrs.evolve(
                GOOD,
                overlay=FAILS,
                fuse_overlay=FAILS,
                choices=attrs.evolve(GOOD.choices, storage=Storage(driver="vfs")),
            ),
            True,
            True,
        ),
        (attrs.evolve(GOOD, private_network=FAILS, stores={}, free_space={"/": 1}, versions={}), True, True),
    ],
)
def test_the_judgement_needs_exactly_what_the_work_needs(findings: Findings, updates: bool, wheels: bool) -> None:
    report = judge(findings)
    assert (report.updates, report.wheel_containers) == (updates, wheels)
    failed = [row.name for row in report.capabilities if row.state is State.FAIL]
    assert bool(failed) == (not report.able)


def test_what_a_rootless_account_needs_is_not_asked_of_root() -> None:
    names = {row.name for row in judge(GOOD).capabilities} - {row.name for row in judge(ROOT).capabilities}
    assert names == {
        "user namespaces", "newuidmap, newgidmap", "subordinate identities", "entering a user namespace",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("findings", "name", "improve"),
    [
        (
            attrs.evolve(GOOD, facts=attrs.evolve(FACTS, subuids=0), namespace=Outcome(worked=True, said="1")),
            "subordinate identities",
            "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 me && podman system migrate",
        ),
        (
            attrs.evolve(
                GOOD,
                facts=attrs.evolve(FACTS, namespace_switches=("kernel.unprivileged_userns_clone = 0",)),
                namespace=FAILS,
            ),
            "user namespaces",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            attrs.evolve(GOOD, private_network=FAILS, facts=attrs.evolve(FACTS, tun=False)),
            "network of a container's own",
            "sudo chmod 666 /dev/net/tun",
        ),
        (
            attrs.evolve(
                GOOD,
                private_network=Outcome(
                    worked=False, said="setup network: could not find pasta, the network namespace"
                ),
                facts=attrs.evolve(FACTS, programs={**FACTS.programs, "pasta": ""}, tun=False),
            ),
            "network of a container's own",
            "sudo apt-get install passt",
        ),
        (
            attrs.evolve(
                GOOD,
                private_network=Outcome(
                    worked=False, said="could not find slirp4netns, the network namespace can't be"
                ),
                facts=attrs.evolve(FACTS, programs={**FACTS.programs, "slirp4netns": ""}),
            ),
            "network of a container's own",
            "sudo apt-get install slirp4netns",
        ),
        (
            attrs.evolve(ROOT, skopeo=FAILS),
            "storing images",
            "podman run --cap-add=mknod ..., around this container",
        ),
        (
            attrs.evolve(GOOD, facts=attrs.evolve(FACTS, programs={**FACTS.programs, "skopeo": ""})),
            "skopeo",
            "sudo apt-get install skopeo",
        ),
    ],
)
def test_each_lack_names_its_remedy(findings: Findings, name: str, improve: str) -> None:
    (row,) = (row for row in judge(findings).capabilities if row.name == name)
    assert (row.state is State.OK, row.improve) == (False, improve)


def test_two_stores_are_told() -> None:
    found = {"buildah": ("overlay", "/store"), "podman": ("vfs", "/store")}
    (row,) = (row for row in judge(attrs.evolve(GOOD, stores=found)).capabilities if row.name == "image store")
    assert row.state is State.WARN
    assert row.consequence == "podman's database names another driver: what one puts there the other does not see"


def test_images_in_registries_need_nothing_but_certificates() -> None:
    nothing = attrs.evolve(GOOD, skopeo=FAILS, podman=FAILS, namespace=FAILS)
    (row,) = (row for row in judge(nothing).capabilities if row.name == "images in registries")
    assert row.state is State.OK
    assert "--push" in row.consequence
    (row,) = (
        row for row in judge(attrs.evolve(nothing, certificates=())).capabilities if row.name == "images in registries"
    )
    assert (row.state, row.improve) == (State.WARN, "sudo apt-get install ca-certificates")
