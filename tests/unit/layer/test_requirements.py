# SPDX-License-Identifier: Apache-2.0
import json

import attrs
import pytest
from packaging.markers import default_environment
from packaging.utils import canonicalize_name

from stxbuildah.layer.requirements import freeze, marker_environment, unmet
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment, SchemeKind

ENVIRONMENT = PythonEnvironment(
    interpreter="/usr/bin/python3",
    real_interpreter="/usr/bin/python3.11",
    version=(3, 11),
    kind=SchemeKind.PREFIX,
    prefix="/usr",
    purelib="/s",
    platlib="/s",
    scripts="/usr/bin",
    data="/usr",
    headers="/usr/include",
    search_path=("/s",),
    machine="x86_64",
)


def one(name: str, version: str = "1.0", *requires: str, url: object = None) -> Distribution:
    return Distribution(
        name=canonicalize_name(name),
        display_name=name,
        version=version,
        location="/s",
        metadata_path=f"/s/{name}-{version}.dist-info",
        format=MetadataFormat.DIST_INFO,
        requires=requires,
        direct_url=json.dumps(url) if url is not None else "",
    )


BUILD_BACKENDS = [one("pip"), one("setuptools"), one("wheel"), one("distribute"), one("wsgiref"), one("zope")]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((2, 7), ("zope==1.0",)),
        ((3, 11), ("zope==1.0",)),
        ((3, 12), ("distribute==1.0", "setuptools==1.0", "wheel==1.0", "zope==1.0")),
    ],
)
def test_freeze_leaves_out_what_pip_leaves_out(version: tuple[int, int], expected: tuple[str, ...]) -> None:
    assert freeze(BUILD_BACKENDS, attrs.evolve(ENVIRONMENT, version=version)) == expected


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (one("Zope.Interface", "5.04"), ("Zope.Interface==5.4",)),
        (one("a", "2.0.0-RC1"), ("a==2.0.0rc1",)),
        (one("a", "1!2.0.post1+local"), ("a==1!2.0.post1+local",)),
        (one("a", "not a version"), ("a===not a version",)),
        (
            one("a", url={"url": "file:///x/a.whl", "archive_info": {"hash": "sha256=12"}}),
            ("a @ file:///x/a.whl#sha256=12",),
        ),
        (
            one("a", url={"url": "https://h/a.zip", "archive_info": {}, "subdirectory": "b/c"}),
            ("a @ https://h/a.zip#subdirectory=b/c",),
        ),
        (
            one("a", url={"url": "https://u:p@h/a.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}),
            ("a @ git+https://h/a.git@12ab",),
        ),
        (
            one("a", url={"url": "ssh://git@h/a.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}),
            ("a @ git+ssh://git@h/a.git@12ab",),
        ),
        (one("a", url={"url": "https://${USER}:${TOKEN}@h/a"}), ("a @ https://${USER}:${TOKEN}@h/a",)),
        (
            one("a", url={"url": "file:///opt/my%20nova", "dir_info": {"editable": True}}),
            ("# Editable install with no version control (a==1.0)", "-e /opt/my nova"),
        ),
        (one("a", url={"url": "file:///opt/a", "dir_info": {}}), ("a @ file:///opt/a",)),
        (one("a", url=["url"]), ("a==1.0",)),
        (attrs.evolve(one("a"), direct_url="{"), ("a==1.0",)),
    ],
)
def test_each_form_of_a_line(distribution: Distribution, expected: tuple[str, ...]) -> None:
    assert freeze([distribution], ENVIRONMENT) == expected


def test_lines_are_in_pips_order() -> None:
    assert freeze([one("b"), one("C"), one("a_x"), one("A-b")], ENVIRONMENT) == (
        "A-b==1.0",
        "a_x==1.0",
        "b==1.0",
        "C==1.0",
    )


def test_requirements_that_hold_are_not_told() -> None:
    assert (
        unmet(
            [one("a", "1.0", "B.b>=1,<2", "b_B[extra] (>=1)", "b-b; python_version < '4'"), one("b-b", "1.5b1")],
            ENVIRONMENT,
        )
        == ()
    )


@pytest.mark.parametrize(
    "requirement",
    [
        "x; extra == 'test'",
        "x ; extra == 'test' and python_version > '3'",
        "x; python_version < '3'",
        "x; sys_platform == 'win32'",
        "x; platform_machine == 'aarch64'",
        "x; implementation_name == 'pypy' or platform_python_implementation == 'PyPy'",
        "x; python_full_version < '3.11.3'",
    ],
)
def test_requirements_of_other_environments_are_not_told(requirement: str) -> None:
    assert unmet([one("a", "1.0", requirement)], ENVIRONMENT) == ()


@pytest.mark.parametrize(
    ("requirement", "sentence"),
    [
        ("x", "A 1.0 requires x, which is not installed"),
        ("x>=1; extra == 'test' or python_version > '3'", "A 1.0 requires x>=1, which is not installed"),
        ("x; platform_machine == 'x86_64'", "A 1.0 requires x, which is not installed"),
        ("b>=2,!=3", "A 1.0 requires b!=3,>=2, but B 1.5 is installed"),
        ("legacy>=1", "A 1.0 requires legacy>=1, but legacy 2004d? is installed"),
        ("b >>> 1", "A 1.0 has a requirement that cannot be read: b >>> 1 ("),
    ],
)
def test_what_does_not_hold_is_told_in_a_sentence(requirement: str, sentence: str) -> None:
    (told,) = unmet([one("A", "1.0", requirement), one("B", "1.5"), one("legacy", "2004d?")], ENVIRONMENT)
    assert told.startswith(sentence) if sentence.endswith("(") else told == sentence


def test_only_what_an_update_touched_is_looked_at() -> None:
    everything = [one("a", "1.0", "b>=2", "missing"), one("b", "1.0", "gone"), one("c", "1.0", "missing")]
    assert unmet(everything, ENVIRONMENT, {canonicalize_name("B")}) == (
        "a 1.0 requires b>=2, but b 1.0 is installed",
        "b 1.0 requires gone, which is not installed",
    )
    assert unmet(everything, ENVIRONMENT, frozenset()) == ()


def test_every_marker_has_a_value() -> None:
    assert set(marker_environment(ENVIRONMENT)) == {*default_environment(), "extra"}
    assert marker_environment(attrs.evolve(ENVIRONMENT, version=(2, 7)))["sys_platform"] == "linux2"
