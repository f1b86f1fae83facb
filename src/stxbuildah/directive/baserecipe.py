# SPDX-License-Identifier: Apache-2.0
"""The recipe of a base image: a TOML file and three apt templates."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.model.base import BaseRecipe


def read_base_recipe(folder: Path, templates: Path) -> BaseRecipe:
    """Read a recipe.

    Args:
        folder: folder of the release, with ``recipe.toml``.
        templates: folder of the system, with ``debian.list.in``, ``stx.list.in`` and ``stx.preferences.in``.

    Raises:
        InputError: a file is missing or damaged, or lacks what is needed.
    """
    path = folder / "recipe.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return BaseRecipe(
            os_version=_text(document, "os", "version"),
            components=_texts(document, "os", "components"),
            mirror=_text(document, "mirrors", "main"),
            security_mirror=_text(document, "mirrors", "security"),
            keyring_package=_text(document, "keyring", "package"),
            keyring_files=_texts(document, "keyring", "files"),
            packages=_texts(document, "packages", "full"),
            minimal_packages=_texts(document, "packages", "minimal"),
            leave_out=_texts(document, "image", "leave_out"),
            environment=_texts(document, "image", "environment"),
            command=_texts(document, "image", "command"),
            debian_list=(templates / "debian.list.in").read_text(encoding="utf-8"),
            stx_list=(templates / "stx.list.in").read_text(encoding="utf-8"),
            preferences=(templates / "stx.preferences.in").read_text(encoding="utf-8"),
        )
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} cannot be read: {error}") from error
    except KeyError as error:
        raise InputError(f"the recipe {path} does not set {error.args[0]} as it should") from error


def _value(document: Mapping[str, object], table: str, key: str) -> object:
    content = document.get(table)
    return content.get(key) if isinstance(content, dict) else None


def _text(document: Mapping[str, object], table: str, key: str) -> str:
    value = _value(document, table, key)
    if not isinstance(value, str):
        raise KeyError(f"{key} in [{table}]")
    return value


def _texts(document: Mapping[str, object], table: str, key: str) -> tuple[str, ...]:
    value = _value(document, table, key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise KeyError(f"{key} in [{table}]")
    return tuple(value)
