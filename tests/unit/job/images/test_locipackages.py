# SPDX-License-Identifier: Apache-2.0
"""What bindep chooses for the system of an image, which is not the one that the tests run on."""

import itertools

import pytest
from bindep.depends import Depends  # type: ignore[import-untyped] # the oracle

from stxbuildah.errors import InputError
from stxbuildah.job.images.locipackages import _may_count, platform_profiles, selected
from stxbuildah.model.inventory import OsRelease
from stxbuildah.recipes import recipe

TRIXIE = OsRelease(id="debian", version_id="13", codename="trixie")
BULLSEYE = OsRelease(id="debian", version_id="11", codename="bullseye")
CENTOS = OsRelease(id="centos", id_like=("rhel", "fedora"), version_id="9")
BINDEP = recipe("containers", "loci", "bindep.txt").read_text()
PYDEP = recipe("containers", "loci", "pydep.txt").read_text()
WORDS = ["nova", "ceph", "platform:dpkg"]


def test_profiles_are_those_of_the_image() -> None:
    assert platform_profiles(TRIXIE) == {
        "platform:debian", "platform:debian-13", "platform:debian-trixie", "platform:dpkg", "platform:base-py3",
    }  # fmt: skip
    assert platform_profiles(OsRelease(id="ubuntu", id_like=("debian",), version_id="22.04", codename="jammy")) == {
        "platform:ubuntu", "platform:ubuntu-22", "platform:ubuntu-22.04", "platform:ubuntu-jammy",
        "platform:dpkg", "platform:base-py3",
    }  # fmt: skip
    assert {"platform:centos-9", "platform:rpm", "platform:redhat", "platform:base-py3"} <= platform_profiles(CENTOS)
    assert "platform:base-py2" in platform_profiles(OsRelease(id="centos", version_id="7"))
    assert platform_profiles(OsRelease(id="sles", version_id="15.5")) >= {"platform:sles-15", "platform:suse"}
    assert platform_profiles(OsRelease()) == frozenset()


@pytest.mark.parametrize(
    ("system", "words", "some", "none"),
    [
        (TRIXIE, ("nova", "ceph", "openvswitch"), {"ceph-common", "openvswitch-switch", "libvirt0", "sudo"}, {"ipset"}),
        (BULLSEYE, ("keystone", "ldap", "apache"), {"libldap-2.4-2", "libpython3.9", "apache2"}, {"libldap2", "httpd"}),
        (CENTOS, ("horizon", "apache"), {"httpd", "python3-mod_wsgi", "sudo"}, {"apache2", "netbase", "libpython3.13"}),
    ],
)
def test_the_shipped_rules(system: OsRelease, words: tuple[str, ...], some: set[str], none: set[str]) -> None:
    found = selected(BINDEP, {*words, "python3", *platform_profiles(system)}, "bindep.txt")
    assert some <= set(found)
    assert not none & set(found)
    assert len(found) == len(set(found))


def test_an_unknown_project_is_given_no_service() -> None:
    profiles = {"demo", "python3", *platform_profiles(TRIXIE)}
    assert set(selected(BINDEP, profiles, "b")) == {"ca-certificates", "lsb-release", "netbase", "python3", "sudo"}
    assert selected(PYDEP, profiles, "p") == ()
    assert "pymysql" in selected(PYDEP, {*profiles, "nova"}, "p")


def test_a_line_that_is_no_rule_is_told() -> None:
    with pytest.raises(InputError, match=r"own\.txt cannot be read"):
        selected("good [nova]\n!bad\n", {"nova"}, "own.txt")


def test_a_line_that_may_not_count_never_does() -> None:
    words = [f"{sign}{word}" for word in WORDS for sign in ("", "!")]
    pairs = [f"{first} {second}" for first, second in itertools.combinations(words, 2)]
    selectors = [*words, *pairs, *(f"({pair})" for pair in pairs), *(f"({pair}) nova" for pair in pairs), ""]
    rules = {f"package-{number}": f"package-{number} [{text}]" for number, text in enumerate(selectors)}
    oracle = Depends("".join(f"{rule}\n" for rule in rules.values()))
    left_out = 0
    for count in range(len(WORDS) + 1):
        for profiles in itertools.combinations(WORDS, count):
            active = {rule[0] for rule in oracle.active_rules(profiles)}
            passed = {name for name, rule in rules.items() if _may_count(rule, profiles)}
            assert active <= passed
            left_out += len(rules) - len(passed)
    assert left_out
