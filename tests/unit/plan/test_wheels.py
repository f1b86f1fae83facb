# SPDX-License-Identifier: Apache-2.0
"""The order of wheels, and where they go."""

from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import WheelsImage, WheelsLock, WheelsRequest
from stxbuildah.plan.wheels import plan_wheels


def source(wheel: str, kind: SourceKind = SourceKind.TAR, *, url: str = "https://h/a", line: int = 1) -> WheelSource:
    return WheelSource(wheel=wheel, kind=kind, url=url, source="a.cfg", line=line)


LOCK = Path("wheels.lock")
LISTED = (
    source("a-1-py3-none-any.whl", SourceKind.PYPI),
    source("quick-1-py3-none-any.whl"),
    source("slow-1-py3-none-any.whl"),
    source("new-1-py3-none-any.whl"),
)


def test_the_longest_builds_come_first_and_downloads_last() -> None:
    times = {"quick-1-py3-none-any.whl": 2.0, "slow-1-py3-none-any.whl": 60.0}
    plan = plan_wheels(WheelsRequest(), LISTED, "builder:1", times, LOCK)
    assert [(step.source.module, step.action, step.seconds) for step in plan.steps] == [
        ("slow", "build", 60.0), ("new", "build", None), ("quick", "build", 2.0), ("a", "download", None),
    ]  # fmt: skip
    assert plan.steps[0].reason == "it took 60.0 seconds the last time; the longest come first"


def test_places() -> None:
    request = WheelsRequest(output=Path("/std"), codename="bookworm", stream="dev", tarball=True)
    plan = plan_wheels(request, LISTED, "builder:1", {}, LOCK)
    top = Path("/std/build-wheels-debian-bookworm-dev")
    assert (plan.folder, plan.logs, plan.failed) == (top / "base", top / "logs", top / "failed.lst")
    assert plan.tarball == top / "stx-debian-dev-wheels.tar"
    assert (plan.further, plan.contents) == (top / "stx", top / "tarball")
    assert (plan.whole, plan.references, plan.lock) == (True, (), None)


def test_the_variant_for_python_2_and_its_image() -> None:
    image = WheelsImage(push=True, registry="registry.example:5000", user="me", version="1.0")
    lock = WheelsLock(enforced=True)
    request = WheelsRequest(output=Path("/std"), python2=True, tarball=True, image=image, lock=lock)
    plan = plan_wheels(request, LISTED, "builder:1", {}, LOCK)
    top = Path("/std/build-wheels-debian-trixie-stable")
    assert plan.tarball == top / "stx-debian-stable-wheels-py2.tar"
    assert (plan.folder, plan.failed, plan.lock) == (top / "base-py2", top / "failed-py2.lst", LOCK)
    assert [str(name) for name in plan.references] == [
        "registry.example:5000/me/stx-debian-stable-wheels-py2:1.0",
        "registry.example:5000/me/stx-debian-stable-wheels-py2:latest",
    ]


def test_some_of_them_by_module_file_name_or_wildcard() -> None:
    request = WheelsRequest(only=("Quick", "new-1-py3-none-any.whl", "sl*"))
    plan = plan_wheels(request, LISTED, "builder:1", {}, LOCK)
    assert {step.source.module for step in plan.steps} == {"quick", "new", "slow"}
    assert not plan.whole


def test_a_name_that_no_list_has() -> None:
    with pytest.raises(InputError, match="the lists have no wheel absent, none"):
        plan_wheels(WheelsRequest(only=("absent", "quick", "none")), LISTED, "builder:1", {}, LOCK)


def test_one_wheel_from_two_sources() -> None:
    other = attrs.evolve(LISTED[1], url="https://other/a", source="b.cfg", line=7)
    with pytest.raises(InputError, match=r"comes from two sources: a\.cfg:1 and b\.cfg:7"):
        plan_wheels(WheelsRequest(), (*LISTED, other), "builder:1", {}, LOCK)
