# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import attrs
import pytest

from stxbuildah.directive.baseconfig import BaseConfig
from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.job import base, room
from stxbuildah.model.base import BaseContent, BaseNaming, BaseRequest, BaseSystem
from stxbuildah.model.baseplan import Template

TRIXIE = BaseSystem(os="debian", codename="trixie", arch="amd64")


@pytest.mark.parametrize("name", ["arch rolling", "debian jessie", ".. trixie", "debian ../debian-trixie"])
def test_a_system_without_a_recipe(name: str) -> None:
    os, codename = name.split(" ", 1)
    with pytest.raises(InputError, match="no recipe makes a base image of") as caught:
        base.find_recipe(BaseSystem(os=os, codename=codename))
    assert "centos stream9, debian bookworm, debian bullseye, debian trixie, fedora, rocky" in caught.value.hint


@pytest.mark.parametrize(
    ("system", "release", "version"),
    [
        (BaseSystem(os="centos", codename="stream9"), "stream9", "9"),
        (BaseSystem(os="centos", version="7.5.1804"), "7.5.1804", "7"),
        (BaseSystem(os="rocky", version="9.4"), "9.4", ""),
        (BaseSystem(os="fedora", codename="42"), "42", ""),
    ],
)
def test_a_recipe_by_codename_by_release_and_for_every_release(system: BaseSystem, release: str, version: str) -> None:
    named = base.named_release(system)
    assert named.codename == release
    assert base.find_recipe(named).os_version == version


def test_a_number_is_no_codename_where_releases_have_names() -> None:
    assert base.named_release(BaseSystem(os="debian", version="13")) == BaseSystem(os="debian", version="13")


def test_the_command_line_wins_over_the_configuration_file() -> None:
    config = BaseConfig(version="1", user="file", proxy="http://p", registry="r.example", repositories=("deb b",))
    request = BaseRequest(
        naming=BaseNaming(user="me", account="acc"), content=BaseContent(repositories=("deb a",)), system=TRIXIE
    )
    assert base.with_config(request, config) == attrs.evolve(
        request,
        naming=BaseNaming(version="1", user="me", account="acc", registry="r.example"),
        content=BaseContent(repositories=("deb a", "deb b")),
        proxy="http://p",
    )


def test_the_default_configuration_file_is_read_when_it_is_there(tmp_path: Path) -> None:
    request = BaseRequest(system=TRIXIE, config_folder=tmp_path)
    assert base.read_config(request) == BaseConfig()
    (tmp_path / "base-image-build-debian-stable.cfg").write_text("version=6\n", encoding="utf-8")
    assert base.read_config(request) == BaseConfig(version="6")
    (tmp_path / "base-image-build-debian-trixie-stable.cfg").write_text("version=7\n", encoding="utf-8")
    assert base.read_config(request) == BaseConfig(version="7")
    (tmp_path / "mine.cfg").write_text("user=x\n", encoding="utf-8")
    assert base.read_config(attrs.evolve(request, config_file=tmp_path / "mine.cfg")) == BaseConfig(user="x")
    with pytest.raises(InputError, match="cannot be read"):
        base.read_config(attrs.evolve(request, config_file=tmp_path / "none.cfg"))


def test_a_plan_is_made_from_the_request_the_file_and_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "base.cfg"
    file.write_text("registry=r.example\nuser=u\n", encoding="utf-8")
    plan = base.plan(BaseRequest(system=TRIXIE, config_file=file))
    assert [str(name) for name in plan.references] == ["r.example/u/stx-debian:trixie-amd64-stable-13"]
    file.write_text("repo=nonsense\nuser=u\n", encoding="utf-8")
    with pytest.raises(ProblemsError, match=r"is no sources\.list line"):
        base.plan(BaseRequest(system=TRIXIE, config_file=file))


def test_templates_of_the_user_take_the_places_of_the_shipped_ones(tmp_path: Path) -> None:
    shipped = base.find_recipe(TRIXIE).templates
    folder = tmp_path / "apt"
    folder.mkdir()
    (folder / "stx.sources.list.in").write_text("deb @A@ b c\n", encoding="utf-8")
    (folder / "README").write_text("none", encoding="utf-8")
    single = tmp_path / "layer.list.in"
    single.write_text("deb l b c\n", encoding="utf-8")
    found = base.with_templates(shipped, (folder, single))
    stx = Template(text="deb @A@ b c\n", source=str(folder / "stx.sources.list.in"), given=True)
    layer = Template(text="deb l b c\n", source=str(single), given=True)
    assert found == attrs.evolve(shipped, stx_list=stx, layer_list=layer)


def test_what_is_no_template_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("stx.list.in", "stx.sources.list", "other.in"):
        (tmp_path / name).write_text("", encoding="utf-8")
    given = (
        *(tmp_path / name for name in ("stx.list.in", "stx.sources.list", "other.in", "empty", "stx.preferences")),
    )
    with pytest.raises(ProblemsError) as caught:
        base.with_templates(base.find_recipe(TRIXIE).templates, given)
    said = [problem.message for problem in caught.value.problems]
    assert [next(part for part in ("of the same", "is no template", "has no template", "cannot be read") if part in one)
            for one in said] == ["of the same", "is no template", "has no template", "cannot be read"]  # fmt: skip


def test_the_builds_layers_are_those_of_its_checkouts(tmp_path: Path) -> None:
    for name, text in (
        ("one", "flock common\n"),
        ("two", "distro # of the system\ncommon\n"),
        ("do-not-build", "never\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "debian_build_layer.cfg").write_text(text, encoding="utf-8")
    assert base.find_layers(BaseRequest(system=TRIXIE, roots=(tmp_path,))) == ("common", "distro", "flock")
    assert base.find_layers(BaseRequest(system=TRIXIE)) == ()


def test_a_folder_is_open_to_all_when_every_folder_above_it_is(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)
    assert not room._open_to_all(inner)
    assert not room._open_to_all(closed)
    assert not room._open_to_all(tmp_path / "none")
    assert room._open_to_all(Path("/tmp")) == all(
        path.stat().st_mode & 0o001 for path in (Path("/tmp").resolve(), Path("/"))
    )
