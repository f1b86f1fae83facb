# SPDX-License-Identifier: Apache-2.0
"""The recipe of a base image: a TOML file, and templates of package lists."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.model.baseplan import BaseRecipe, BaseTemplates, PackageFamily, Template

_FAMILIES = {"deb": PackageFamily.DEB, "rpm": PackageFamily.RPM}


def read_base_recipe(file: Path, folder: Path, os: str) -> BaseRecipe:
    """Read a recipe.

    Args:
        file: its ``recipe.toml``.
        folder: folder of all recipes. ``<os>`` in it has the templates of apt (``debian.list.in``, ``stx.list.in``,
            ``layer.list.in``, ``stx.preferences.in``), ``rpm`` those of dnf and yum (``stx.repo.in``,
            ``local.repos.in``).
        os: the system, as ``debian``.

    Raises:
        InputError: a file is missing or damaged, or lacks what is needed.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        if _family(document) is PackageFamily.RPM:
            return _rpm_recipe(document, folder / "rpm")
        return _deb_recipe(document, folder / os)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {file} cannot be read: {error}") from error
    except KeyError as error:
        raise InputError(f"the recipe {file} does not set {error.args[0]} as it should") from error


def _family(document: Mapping[str, object]) -> PackageFamily:
    name = _value(document, "os", "family")
    family = PackageFamily.DEB if name is None else _FAMILIES.get(str(name))
    if family is None:
        raise KeyError("family in [os]")
    return family


def _deb_recipe(document: Mapping[str, object], templates: Path) -> BaseRecipe:
    debian_list = _template(templates, "debian.list.in")
    return BaseRecipe(
        family=PackageFamily.DEB,
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
        templates=BaseTemplates(
            debian_list=debian_list,
            public_list=debian_list,
            stx_list=_template(templates, "stx.list.in"),
            layer_list=_template(templates, "layer.list.in"),
            preferences=_template(templates, "stx.preferences.in"),
        ),
    )


def _rpm_recipe(document: Mapping[str, object], templates: Path) -> BaseRecipe:
    return BaseRecipe(
        family=PackageFamily.RPM,
        os_version=_text(document, "os", "version"),
        packages=_texts(document, "packages", "full"),
        minimal_packages=_texts(document, "packages", "minimal"),
        dev_packages=_texts(document, "packages", "dev") if _value(document, "packages", "dev") is not None else (),
        environment=_texts(document, "image", "environment"),
        command=_texts(document, "image", "command"),
        templates=BaseTemplates(
            repository=_template(templates, "stx.repo.in"), local=_template(templates, "local.repos.in")
        ),
    )


def _template(folder: Path, name: str) -> Template:
    return Template(text=(folder / name).read_text(encoding="utf-8"), source=name)


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
