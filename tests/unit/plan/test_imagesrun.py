# SPDX-License-Identifier: Apache-2.0
"""The plan of a run of images: names, order, and what keeps it from beginning."""

from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError, Problem
from stxbuildah.model.base import BaseSystem
from stxbuildah.model.imagebuild import (
    Builder,
    Checkout,
    DockerBuild,
    ImageDirectives,
    LociBuild,
    ScriptBuild,
    SelectionRequest,
)
from stxbuildah.model.imagesrun import ImageMaterial, ImageNaming, ImagesPlan, ImagesRequest
from stxbuildah.model.reference import ImageReference
from stxbuildah.plan.imagesrun import Examined, plan_images

TRIXIE = BaseSystem(os="debian", codename="trixie", arch="amd64")
BULLSEYE = BaseSystem(os="debian", codename="bullseye", arch="amd64")
REQUEST = ImagesRequest(
    selection=SelectionRequest(roots=(Path("/repo"),)),
    naming=ImageNaming(user="starlingx", registry="registry.example:5000", version="2026.11.21.10.00"),
    material=ImageMaterial(base="localhost/stx-debian:1", wheels="wheels.tar", wheels_python2="wheels-py2.tar"),
    jobs=2,
)


def image(label: str, *parents: str, build: LociBuild | ScriptBuild | None = None, update_version: int = 0) -> Examined:
    builders = {LociBuild: Builder.LOCI, ScriptBuild: Builder.SCRIPT}
    directives = ImageDirectives(
        file=Path(f"/repo/{label}.stable_docker_image"),
        builder=builders.get(type(build), Builder.DOCKER),
        label=label,
        build=build or DockerBuild(),
        update_version=update_version,
    )
    return Examined(directives=directives, parents=parents)


def planned(*images: Examined, request: ImagesRequest = REQUEST, system: BaseSystem = TRIXIE) -> ImagesPlan:
    return plan_images(request, images, system=system)


def names(*texts: str) -> tuple[ImageReference, ...]:
    return tuple(map(ImageReference.parse, texts))


def test_the_replaced_tools_names() -> None:
    found = planned(image("stx-nova", update_version=3)).images[0].names

    assert found.build == ImageReference.parse("localhost/starlingx/stx-nova:debian-trixie-amd64-stable-build")
    assert found.versioned == names(
        "registry.example:5000/starlingx/stx-nova:debian-trixie-amd64-stable-2026.11.21.10.00.3"
    )
    assert found.latest == ()


def test_prefixes_labels_and_latest() -> None:
    naming = attrs.evolve(
        REQUEST.naming, prefix="dev", latest=True, latest_prefix="master", os_label="deb", os_label_legacy=True
    )
    found = planned(image("stx-nova"), request=attrs.evolve(REQUEST, naming=naming)).images[0].names
    start = "registry.example:5000/starlingx/stx-nova"

    assert str(found.build) == "localhost/starlingx/stx-nova:dev-deb-stable-build"
    assert found.versioned == names(
        f"{start}:dev-deb-stable-2026.11.21.10.00.0", f"{start}:dev-debian-stable-2026.11.21.10.00.0"
    )
    assert found.latest == names(f"{start}:master-deb-stable-latest", f"{start}:master-debian-stable-latest")


def test_bullseye_for_amd64_keeps_its_legacy_names_unasked() -> None:
    plan = planned(image("stx-nova"), system=BULLSEYE)

    assert plan.os_labels == ("debian-bullseye-amd64", "debian")
    assert [name.tag for name in plan.images[0].names.versioned] == [
        "debian-bullseye-amd64-stable-2026.11.21.10.00.0", "debian-stable-2026.11.21.10.00.0",
    ]  # fmt: skip


def test_without_registry_and_user_the_account_on_docker_hub_is_meant() -> None:
    naming = ImageNaming(account="ada", version="1")
    found = planned(image("a"), request=attrs.evolve(REQUEST, naming=naming)).images[0].names

    assert str(found.versioned[0].qualified) == "docker.io/ada/a:debian-trixie-amd64-stable-1.0"


def test_no_account_is_an_error() -> None:
    with pytest.raises(InputError, match="no account is known"):
        planned(image("a"), request=attrs.evolve(REQUEST, naming=ImageNaming(version="1")))


def test_parents_stand_before_children_and_earlier_ones_are_named() -> None:
    plan = planned(image("a", "c"), image("b", "stx-base-of-all"), image("c", "b"))

    assert [one.label for one in plan.images] == ["b", "c", "a"]
    assert plan.earlier == (
        (
            "stx-base-of-all",
            ImageReference.parse("localhost/starlingx/stx-base-of-all:debian-trixie-amd64-stable-build"),
        ),
    )
    assert plan.problems == ()


def test_a_circle_is_a_mistake_that_names_its_members() -> None:
    plan = planned(image("a", "b"), image("b", "a"), image("c"))

    assert [one.label for one in plan.images] == ["a", "b", "c"]
    assert [str(one) for one in plan.problems] == [
        "command line: no image of a circle can be the first: a, from b, from a"
    ]


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_in_which_images_are_found_does_not_matter(order: list[str]) -> None:
    parents = {"a": ("d",), "b": (), "c": ("a",), "d": ("b",)}
    plan = planned(*(image(label, *parents[label]) for label in order))

    assert [one.label for one in plan.images] == ["b", "d", "a", "c"]


def test_all_that_is_lacking_is_told_at_once() -> None:
    script = ScriptBuild(checkout=Checkout(url="https://git.example/a"), script=Path("/repo/build.sh"))
    plan = plan_images(
        attrs.evolve(REQUEST, material=ImageMaterial()),
        (
            image("a"),
            image("b", build=LociBuild()),
            image("c", build=LociBuild(python3=False)),
            attrs.evolve(image("d", build=script), uses_base=False),
        ),
        system=TRIXIE,
        problems=(Problem("/repo/x.inc", "no such folder", 3),),
    )

    assert [str(one) for one in plan.problems] == [
        "/repo/x.inc:3: no such folder",
        "command line: no base image is named: give it with --base, for a, b, c",
        "command line: no tarball of wheels is named: give it with --wheels, for b",
        "command line: no tarball of Python 2's wheels is named: give it with --wheels-py2, for c",
        (
            "/repo/d.stable_docker_image: BUILDER=script runs a script on this machine, with this account's rights: "
            "allow it with --allow-scripts, or leave the image out with --skip d"
        ),
    ]


def test_a_run_of_some_images_is_not_whole() -> None:
    some = attrs.evolve(REQUEST, selection=attrs.evolve(REQUEST.selection, only=("a",)))

    assert planned(image("a")).whole
    assert not planned(image("a"), request=some).whole
