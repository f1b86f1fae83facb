# SPDX-License-Identifier: Apache-2.0
"""Constraints of a release, made to agree with collected wheels."""

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version

from stxbuildah.wheels.constraints import (
    SERVICES,
    WheelVersion,
    parse_constraint,
    unmet_constraints,
    updated_constraints,
)

RELEASE = """\
# WARNING: of the release
PyYAML===6.0.3
nova===30.0.0
oslo.limit===2.10.0
Pint===0.23;python_version=='3.9'
Pint===0.24.4;python_version>='3.10'
networkx===3.2.1;python_version=='3.9'
networkx===3.4.2;python_version>='3.10'
six===1.17.0
"""


def wheel(name: str, version: str) -> WheelVersion:
    return WheelVersion(name=name, version=Version(version))


def test_the_rules() -> None:
    collected = [
        wheel("pyyaml", "6.0.2"), wheel("oslo_limit", "2.10"), wheel("pint", "0.24.4"), wheel("networkx", "3.5"),
        wheel("Nova", "31.0"), wheel("New.Module", "1.0"), wheel("another", "2.0"),
    ]  # fmt: skip
    assert updated_constraints(RELEASE, collected).splitlines() == [
        "# WARNING: of the release",
        "pyyaml===6.0.2",
        "oslo.limit===2.10.0",
        "Pint===0.23;python_version=='3.9'",
        "Pint===0.24.4;python_version>='3.10'",
        "networkx===3.5",
        "six===1.17.0",
        "another===2.0",
        "New.Module===1.0",
    ]


def test_two_versions_of_a_module() -> None:
    both = [wheel("six", "1.16.0"), wheel("six", "1.17.0"), wheel("pyyaml", "5.10"), wheel("pyyaml", "5.9")]
    lines = updated_constraints(RELEASE, both).splitlines()
    assert "six===1.17.0" in lines
    assert "pyyaml===5.10" in lines


def test_what_no_wheel_meets() -> None:
    there = [wheel("pyyaml", "6.0.3"), wheel("pint", "0.24.4"), wheel("six", "1.16")]
    unmet = unmet_constraints(RELEASE, there, {"python_version": "3.13"})
    assert [(one.name, one.version) for one in unmet] == [
        ("nova", "30.0.0"), ("oslo-limit", "2.10.0"), ("networkx", "3.4.2"), ("six", "1.17.0"),
    ]  # fmt: skip


def test_lines_that_settle_nothing() -> None:
    for line in ("", "# a===1", "-r other.txt", "a>=1", "a", "a==="):
        assert parse_constraint(line) is None
    commented = parse_constraint("A_b===1.0 ; python_version < '3' # why")
    assert commented is not None
    assert (commented.name, commented.version, commented.marker) == ("a-b", "1.0", "python_version < '3'")
    strange = parse_constraint("a===2014.2-gentoo; nonsense")
    assert strange is not None
    assert strange.counts_for({})
    assert not strange.is_met_by(Version("2014.2"))


NAMES = st.sampled_from(["a", "A", "a-b", "A_b", "a.B", "six", "nova", "Cinder"])
VERSIONS = st.sampled_from(["1", "1.0", "2.0rc1", "10"])
MARKERS = st.sampled_from(["", ";python_version<'3.9'"])


@given(
    lines=st.lists(st.builds("{}==={}{}".format, NAMES, VERSIONS, MARKERS), max_size=8),
    collected=st.lists(st.builds(wheel, NAMES, VERSIONS), max_size=8),
)
def test_every_module_that_was_collected_is_met_and_doing_it_again_changes_nothing(
    lines: list[str], collected: list[WheelVersion]
) -> None:
    text = updated_constraints("".join(f"{line}\n" for line in lines), collected)
    assert updated_constraints(text, collected) == text
    found = [parse_constraint(line) for line in text.splitlines()]
    for one in collected:
        of_module = [line for line in found if line is not None and line.name == one.key]
        met = any(line.is_met_by(other.version) for line in of_module for other in collected if other.key == one.key)
        assert met or one.key in SERVICES
    for line in found:
        assert line is not None
        assert line.name not in SERVICES
    untouched = {canonicalize_name(name) for name in ("six", "a", "a-b")} - {one.key for one in collected}
    before = [line for line in lines if (read := parse_constraint(line)) is not None and read.name in untouched]
    assert [line.text for line in found if line is not None and line.name in untouched] == before
