# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.errors import InputError
from stxbuildah.model.baseplan import PackageFamily
from stxbuildah.recipes import recipe

FOLDER = recipe("containers", "base")
SHIPPED = sorted(path.parent.name for path in FOLDER.glob("*/recipe.toml"))


def test_these_are_shipped() -> None:
    deb = ["debian-bookworm", "debian-bullseye", "debian-trixie"]
    assert sorted([*deb, "almalinux", "centos-7", "centos-stream9", "fedora", "rocky"]) == SHIPPED


@pytest.mark.parametrize("name", [name for name in SHIPPED if not name.startswith("debian-")])
def test_shipped_recipes_of_rpm_systems_are_whole(name: str) -> None:
    found = read_base_recipe(FOLDER / name / "recipe.toml", FOLDER, name.partition("-")[0])
    assert found.family is PackageFamily.RPM
    assert {"python3", "python3-pip", "python3-setuptools", "openssh-clients", "ca-certificates"} <= set(found.packages)
    assert set(found.minimal_packages) < set(found.packages)
    assert list(found.packages) == sorted(found.packages)
    assert found.os_version == {"centos-7": "7", "centos-stream9": "9"}.get(name, "")
    assert [bool(found.dev_packages)] == [name.startswith("centos")]
    assert "baseurl=@URL@" in found.templates.repository.text
    assert "@HOSTNAME@" in found.templates.local.text


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("debian-")])
def test_shipped_recipes_of_debian_are_whole(name: str) -> None:
    found = read_base_recipe(FOLDER / name / "recipe.toml", FOLDER, "debian")
    assert found.family is PackageFamily.DEB
    assert found.templates.public_list == found.templates.debian_list
    assert "@LAYER@" in found.templates.layer_list.text
    assert {"python3", "python3-pip", "python3-wheel", "python3-setuptools", "ca-certificates"} <= set(found.packages)
    assert set(found.minimal_packages) < set(found.packages)
    assert list(found.packages) == sorted(found.packages)
    assert found.os_version == {"bookworm": "12", "bullseye": "11", "trixie": "13"}[name.partition("-")[2]]
    assert found.environment == ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


def test_a_recipe_that_lacks_something_says_what(tmp_path: Path) -> None:
    text = (FOLDER / "debian-trixie/recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(text.replace("minimal =", "tiny ="), encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.toml does not set minimal in \[packages\] as it should"):
        read_base_recipe(tmp_path / "recipe.toml", FOLDER, "debian")


def test_a_family_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[os]\nfamily = "pacman"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.toml does not set family in \[os\] as it should"):
        read_base_recipe(tmp_path / "recipe.toml", FOLDER, "arch")


@pytest.mark.parametrize("text", [None, "[os", "[os]\nversion = 13\n"])
def test_a_recipe_that_is_missing_or_damaged(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.toml (?:cannot be read|does not set version in \[os\])"):
        read_base_recipe(tmp_path / "recipe.toml", FOLDER, "debian")
