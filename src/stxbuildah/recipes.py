# SPDX-License-Identifier: Apache-2.0
"""Where the shipped recipes are: the folders ``containers`` and ``wheels``.

They stand at the top of the repository, where people edit them, and travel inside the wheel as ``stxbuildah/recipes``.
"""

from pathlib import Path

from stxbuildah.errors import HostError, InputError

_PACKAGE = Path(__file__).resolve().parent
_REPOSITORY = _PACKAGE.parents[1]
_FOLDERS = ("containers", "wheels")


def recipe(*parts: str) -> Path:
    """Give the path of a shipped recipe.

    Args:
        parts: folder and names below it, as ``"containers", "debian-trixie", "packages"``.

    Returns:
        An existing file or folder; read it, never write it.

    Raises:
        InputError: no recipe of this name is shipped.
        HostError: this installation holds no recipes at all.
    """
    top = _top()
    path = top.joinpath(*parts)
    if parts and parts[0] in _FOLDERS and path.exists() and path.resolve().is_relative_to(top / parts[0]):
        return path
    raise InputError(
        f"no recipe {'/'.join(parts)} is shipped with stxb",
        hint=f"the recipes are in {top / 'containers'} and {top / 'wheels'}",
    )


def _top() -> Path:
    """Give the folder that holds ``containers`` and ``wheels``: of the installed wheel, else of the checkout."""
    for top in (_PACKAGE / "recipes", _REPOSITORY):
        if all((top / name).is_dir() for name in _FOLDERS):
            return top
    raise HostError(
        f"the recipes that belong to stxb are neither in {_PACKAGE / 'recipes'} nor in {_REPOSITORY}",
        hint="install stxbuildah again, from a wheel or with pip install --editable in a checkout",
    )
