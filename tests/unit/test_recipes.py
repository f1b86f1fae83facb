# SPDX-License-Identifier: Apache-2.0
"""The shipped recipes are found in a checkout and in an installed package, and nothing else is given out."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stxbuildah import recipes
from stxbuildah.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_a_checkout_gives_the_folders_at_its_top() -> None:
    assert recipes.recipe("containers") == ROOT / "containers"
    assert recipes.recipe("wheels") == ROOT / "wheels"


@pytest.mark.parametrize("parts", [(), ("src",), ("containers", "no-such-recipe"), ("containers", "..", "src")])
def test_anything_else_is_no_recipe(parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="is shipped with stxb"):
        recipes.recipe(*parts)


def installed(folder: Path, *, with_recipes: bool) -> Path:
    """A copy of the package as a wheel lays it down."""
    package = folder / "site-packages" / "stxbuildah"
    shutil.copytree(ROOT / "src" / "stxbuildah", package, ignore=shutil.ignore_patterns("__pycache__"))
    if with_recipes:
        for name in ("containers", "wheels"):
            shutil.copytree(ROOT / name, package / "recipes" / name)
    return package


def ask(package: Path, expression: str) -> str:
    code = (
        f"from stxbuildah import errors, recipes\ntry:\n print({expression})\nexcept errors.HostError as e:\n print(e)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return completed.stdout.strip()


def test_an_installed_package_gives_its_own(tmp_path: Path) -> None:
    package = installed(tmp_path, with_recipes=True)
    assert ask(package, "recipes.recipe('containers')") == str(package / "recipes" / "containers")


def test_an_installation_without_recipes_says_so(tmp_path: Path) -> None:
    package = installed(tmp_path, with_recipes=False)
    said = ask(package, "recipes.recipe('containers')")
    assert said == f"the recipes that belong to stxb are neither in {package / 'recipes'} nor in {tmp_path}"
