# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.errors import InputError
from stxbuildah.recipes import recipe

FOLDER = recipe("containers", "base")
SHIPPED = sorted(path.parent.name for path in FOLDER.glob("*/recipe.toml"))


def test_these_are_shipped() -> None:
    assert SHIPPED == ["debian-bookworm", "debian-bullseye", "debian-trixie"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_whole(name: str) -> None:
    found = read_base_recipe(FOLDER / name, FOLDER / "debian")
    assert {"python3", "python3-pip", "python3-wheel", "python3-setuptools", "ca-certificates"} <= set(found.packages)
    assert set(found.minimal_packages) < set(found.packages)
    assert list(found.packages) == sorted(found.packages)
    assert found.os_version == {"bookworm": "12", "bullseye": "11", "trixie": "13"}[name.partition("-")[2]]
    assert found.environment == ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


def test_a_recipe_that_lacks_something_says_what(tmp_path: Path) -> None:
    text = (FOLDER / "debian-trixie/recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(text.replace("minimal =", "tiny ="), encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.toml does not set minimal in \[packages\] as it should"):
        read_base_recipe(tmp_path, FOLDER / "debian")


@pytest.mark.parametrize("text", [None, "[os", "[os]\nversion = 13\n"])
def test_a_recipe_that_is_missing_or_damaged(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.toml (?:cannot be read|does not set version in \[os\])"):
        read_base_recipe(tmp_path, FOLDER / "debian")
