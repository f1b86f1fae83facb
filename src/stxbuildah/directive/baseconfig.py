# SPDX-License-Identifier: Apache-2.0
"""The ``--config-file`` of ``stxb base``, as build-stx-base.sh has it: ``key=value`` lines, no quotes, no shell."""

import attrs

from stxbuildah.errors import Problem, ProblemsError

_KEYS = ("version", "user", "proxy", "registry", "repo")


@attrs.frozen(kw_only=True)
class BaseConfig:
    """What a configuration file sets; empty where it sets nothing.

    Attributes:
        version: last part of the tag.
        user: account in the registry.
        proxy: proxy for downloads.
        registry: registry.
        repositories: sources.list lines, or ``name,url``, one for each ``repo=``.
    """

    version: str = ""
    user: str = ""
    proxy: str = ""
    registry: str = ""
    repositories: tuple[str, ...] = ()


def default_config_names(os: str, codename: str, stream: str) -> tuple[str, ...]:
    """Give the names of the configuration file that is read when none is named: the first that is there.

    The second is that of before releases were part of it, which checkouts still have for CentOS.
    """
    return (f"base-image-build-{os}-{codename}-{stream}.cfg", f"base-image-build-{os}-{stream}.cfg")


def parse_base_config(text: str, source: str) -> BaseConfig:
    """Read a configuration file.

    Args:
        text: the whole file; a value is everything behind the first ``=``, blanks around it taken off.
        source: the file as the user named it, for messages.

    Raises:
        ProblemsError: every line that is no ``key=value`` of a known key, and every key but ``repo`` that comes twice.
    """
    problems: list[Problem] = []
    values: dict[str, str] = {}
    repositories: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in content.partition("="))
        column = len(line) - len(line.lstrip()) + 1
        if not equals or key not in _KEYS:
            message = f"{content!r} is not KEY=VALUE with one of the keys {', '.join(_KEYS)}"
            problems.append(Problem(source, message, number, column))
        elif key == "repo":
            repositories.append(value)
        elif key in values:
            problems.append(Problem(source, f"{key} is already set above", number, column))
        else:
            values[key] = value
    if problems:
        raise ProblemsError(problems)
    return BaseConfig(
        version=values.get("version", ""),
        user=values.get("user", ""),
        proxy=values.get("proxy", ""),
        registry=values.get("registry", ""),
        repositories=tuple(repositories),
    )
