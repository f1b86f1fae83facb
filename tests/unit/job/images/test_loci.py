# SPDX-License-Identifier: Apache-2.0
"""What LOCI images are made of, by their directives."""

from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Store
from stxbuildah.errors import InputError
from stxbuildah.job.engine import Engine
from stxbuildah.job.images.loci import _with_options
from stxbuildah.job.images.locisources import BINDEP, PYDEP, _consoles, _project, recipe_file, wheels_of
from stxbuildah.job.images.work import ImageWork, RunMaterial, WheelsTarball
from stxbuildah.job.workspace import Folders
from stxbuildah.model.imagebuild import Builder, ImageDirectives, LociBuild, SelectionRequest
from stxbuildah.model.imagesrun import ImageMaterial, ImageNames, ImagesRequest, PlannedImage
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices

THREE = WheelsTarball(folder=Path("/wheels/3"), digest="sha256:3", text="three")
TWO = WheelsTarball(folder=Path("/wheels/2"), digest="sha256:2", text="two")


def work_of(
    build: LociBuild, *, project: str = "demo", material: RunMaterial | None = None, wanted: ImageMaterial | None = None
) -> ImageWork:
    runner, nowhere = Runner(), Path("/nowhere")
    file = Path("/product/images/demo.stable_docker_image")
    directives = ImageDirectives(file=file, builder=Builder.LOCI, label="demo", project=project, build=build)
    return ImageWork(
        engine=Engine(
            choices=HostChoices(isolation="chroot", runtime="", network="host"),
            runner=runner,
            store=Store(runner=runner),
            folders=Folders(cache=nowhere, state=nowhere, work=nowhere),
        ),
        request=ImagesRequest(selection=SelectionRequest(roots=()), material=wanted or ImageMaterial()),
        image=PlannedImage(
            directives=directives, names=ImageNames(build=ImageReference.parse("localhost/demo:1"), versioned=())
        ),
        material=material or RunMaterial(),
        folder=nowhere,
        tell=lambda _: None,
        timestamp=0,
    )


@pytest.mark.parametrize(
    ("build", "source"),
    [
        (LociBuild(project_repo="https://h/p.git", project_ref="v1"), ("https://h/p.git", "v1")),
        (LociBuild(project_repo="https://h/p.git"), ("https://h/p.git", "")),
        (LociBuild(project_repo="/src/my p", project_ref="v1", mirror_local=True), ("file:///src/my%20p", "")),
        (LociBuild(project_repo="file:///src/p", mirror_local=True), ("file:///src/p", "")),
        (LociBuild(project_repo="../p", mirror_local=True), ("file:///product/images/../p", "")),
    ],
)
def test_where_the_project_comes_from(build: LociBuild, source: tuple[str, str]) -> None:
    assert _project(work_of(build)) == source
    assert _project(work_of(build, project="infra")) is None


def test_nova_alone_has_consoles() -> None:
    own = LociBuild(spice_repo="https://h/spice.git", spice_ref="v9")
    assert _consoles(work_of(own)) == {}
    usual, changed = _consoles(work_of(LociBuild(), project="nova")), _consoles(work_of(own, project="nova"))
    assert usual["/usr/share/spice-html5"][1] == "spice-html5-0.1.6"
    assert changed == {**usual, "/usr/share/spice-html5": ("https://h/spice.git", "v9")}


def test_each_python_has_its_wheels() -> None:
    both, one = RunMaterial(wheels=THREE, wheels_python2=TWO), RunMaterial(wheels=THREE)
    old = LociBuild(python3=False)
    assert wheels_of(work_of(LociBuild(), material=both)) == THREE
    assert wheels_of(work_of(old, material=both)) == TWO
    assert wheels_of(work_of(old, material=one)) == THREE
    with pytest.raises(InputError, match="tarball of wheels") as refused:
        wheels_of(work_of(LociBuild()))
    assert "--wheels" in refused.value.hint


def test_recipes_of_the_users_own_stand_in_for_those_shipped() -> None:
    wanted = ImageMaterial(bindep=Path("/own/rules"))
    work = work_of(LociBuild(), wanted=wanted)
    assert recipe_file(work, BINDEP) == Path("/own/rules")
    assert recipe_file(work, PYDEP).parts[-3:] == ("containers", "loci", "pydep.txt")
    assert recipe_file(attrs.evolve(work, request=work_of(LociBuild()).request), BINDEP).is_file()


def test_options_stand_in_front_of_the_command() -> None:
    options = ("--enablerepo=stx",)
    assert _with_options(("env", "dnf", "install", "x"), options) == ("env", "dnf", *options, "install", "x")
    assert _with_options(("apt-get", "update"), options) == ("apt-get", "update")
