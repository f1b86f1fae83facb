# SPDX-License-Identifier: Apache-2.0
"""Which Debian packages others need."""

from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.debdepends import automatic_packages, read_dependencies
from stxbuildah.layer.memory import MemoryTree

NAMES = ["a", "b", "c", "d", "virtual"]


def status(*stanzas: str) -> MemoryTree:
    return MemoryTree({"/var/lib/dpkg/status": "\n\n".join(stanzas).encode()})


def stanza(name: str, *fields: str, state: str = "installed") -> str:
    return "\n".join([f"Package: {name}", f"Status: install ok {state}", "Description: x", " Depends: none", *fields])


def test_dependencies_are_followed() -> None:
    found = read_dependencies(
        status(
            stanza("git", "Depends: libcurl (>= 7.56), perl:any, git-man (>> 1:2) | man"),
            stanza("libcurl", "Pre-Depends: libssl [amd64]"),
            stanza("libssl"),
            stanza("perl-base", "Provides: perl (= 5.40), other"),
            stanza("git-man"),
            stanza("man", state="config-files"),
            stanza("alone"),
        )
    )
    assert found.needed_by(["git", "nothing"]) == {"git", "libcurl", "libssl", "perl-base", "git-man"}
    assert found.needed_by(["perl"]) == {"perl-base"}
    assert "man" not in found.installed


def test_circles_end_and_no_database_has_no_packages() -> None:
    circle = read_dependencies(status(stanza("a", "Depends: b"), stanza("b", "Depends: a")))
    assert circle.needed_by(["a"]) == {"a", "b"}
    assert read_dependencies(MemoryTree({})).installed == frozenset()


def test_what_was_asked_for_is_told_from_what_came_with_it() -> None:
    states = "Package: libcurl\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: git\nAuto-Installed: 0\n\n\n"
    assert automatic_packages(MemoryTree({"/var/lib/apt/extended_states": states.encode()})) == {"libcurl"}
    assert automatic_packages(MemoryTree({})) == frozenset()


needs = st.dictionaries(st.sampled_from(NAMES[:4]), st.lists(st.sampled_from(NAMES), max_size=3), min_size=1)


@given(needs, st.sets(st.sampled_from(NAMES)))
def test_what_is_kept_lacks_nothing(wanted_by: dict[str, list[str]], wanted: set[str]) -> None:
    stanzas = [stanza(name, f"Depends: {', '.join(needed)}") for name, needed in wanted_by.items()]
    found = read_dependencies(status(*stanzas, stanza("real", "Provides: virtual")))
    kept = found.needed_by(wanted)
    assert kept <= found.installed
    assert wanted & found.installed <= kept
    for name in kept & wanted_by.keys():
        for needed in wanted_by[name]:
            installed = {"real"} if needed == "virtual" else {needed} & found.installed
            assert installed <= kept
