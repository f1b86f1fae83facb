# SPDX-License-Identifier: Apache-2.0
"""Where the packages of a base image of CentOS and its kin come from, and what the image's ``stx.repo`` says."""

import re

from stxbuildah.directive.basetemplate import filled, filled_lines, is_entry
from stxbuildah.errors import Problem
from stxbuildah.model.base import BaseRequest, BaseSystem
from stxbuildah.model.baseplan import BaseRecipe, PackageSources, Template
from stxbuildah.plan.baseorigin import (
    COMMAND_LINE,
    hide_passwords,
    passwords,
    published,
    published_password_problems,
    publishing_problems,
    url_of,
)

REPOSITORY_FILE = "/etc/yum.repos.d/stx.repo"
# In these streams packages come from upstream, as FROM and the recipe's first packages name it.
_UPSTREAM_STREAMS = frozenset({"dev", "master"})
# The characters of dnf's repository ids (libdnf, Repo::Impl::isValidId), and the URLs that dnf and yum both read.
_REPOSITORY = re.compile(r"(?P<name>[A-Za-z0-9_.:-]+)[ \t]*,[ \t]*(?P<url>(?:https?|ftp|file)://?[^\s,]+)")


def has_upstream(request: BaseRequest) -> bool:
    """Tell whether packages may come from upstream's repositories, too."""
    return request.naming.stream in _UPSTREAM_STREAMS


def yum_sources(
    request: BaseRequest, recipe: BaseRecipe, system: BaseSystem, *, problems: list[Problem]
) -> PackageSources:
    """Settle the repositories of a base image of CentOS and its kin.

    In the stream ``stable`` packages come from the given repositories alone, if there are any; in ``dev``, from FROM's
    too, as build-stx-base.sh had it.

    Args:
        request: what was asked.
        recipe: how an image of this system is made.
        system: complete.
        problems: gets every mistake.
    """
    problems += publishing_problems(request)
    problems += _foreign_options(request, system)
    given, source = _given(request, recipe, system, problems)
    named = [(match["name"], match["url"]) for line in given if (match := _valid(line, source, problems))]
    names = [name for name, _ in named]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        problems.append(Problem(source, f"two repositories are called {name}"))
    template = recipe.templates.repository
    shown = [(name, new) for name, url in named if (new := published(url, request))]
    files = ((REPOSITORY_FILE, _sections(template, shown, problems)),) if shown else ()
    problems += published_password_problems(files)
    return PackageSources(
        repositories=given,
        repository_file=_sections(template, named, problems),
        only_given=bool(given) and not has_upstream(request),
        files=files,
        secrets=tuple(password for line in given for password in passwords(line)),
    )


def repository_names(sources: PackageSources) -> tuple[str, ...]:
    """Give the names of the further repositories."""
    return tuple(match["name"] for line in sources.repositories if (match := _REPOSITORY.fullmatch(line)))


def _given(
    request: BaseRequest, recipe: BaseRecipe, system: BaseSystem, problems: list[Problem]
) -> tuple[tuple[str, ...], str]:
    """Give the further repositories, and where they are named."""
    content, variables = request.content, request.variables
    given = tuple(line.strip() for line in content.repositories)
    if not content.local:
        return given, COMMAND_LINE
    if given:
        problems.append(
            Problem(COMMAND_LINE, "--local and --repo exclude each other: name all repositories with --repo")
        )
    if not variables.workspace or not variables.checkout:
        message = (
            "--local uses the repositories of the build on this machine, which the environment does not name: set "
            "MY_WORKSPACE and MY_REPO, or name the repositories with --repo"
        )
        problems.append(Problem(COMMAND_LINE, message))
    values = {
        "OS": system.os,
        "HOSTNAME": variables.hostname,
        "MY_WORKSPACE": variables.workspace.rstrip("/"),
        "MY_REPO": variables.checkout.rstrip("/"),
    }
    template = recipe.templates.local
    lines = (line for line in filled_lines(template, values, problems) if line is not None)
    return tuple(line.strip() for line in lines if is_entry(line)), template.source


def _valid(line: str, source: str, problems: list[Problem]) -> re.Match[str] | None:
    match = _REPOSITORY.fullmatch(line) if line.isprintable() and url_of(line).scheme else None
    if match is None:
        message = f"the repository {hide_passwords(line)!r} is not NAME,URL, as stx-distro,http://host.example/folder"
        problems.append(Problem(source, message))
    return match


def _sections(template: Template, repositories: list[tuple[str, str]], problems: list[Problem]) -> str:
    texts = [filled(template, {"NAME": name, "URL": url}, problems) for name, url in repositories]
    return "\n".join(texts)


def _foreign_options(request: BaseRequest, system: BaseSystem) -> list[Problem]:
    """Give a problem for each option that speaks of apt."""
    content = request.content
    given = {
        "--mirror": content.mirror,
        "--security-mirror": content.security_mirror,
        "--apt-template": content.templates,
        "--build-layer": content.build_layers,
    }
    return [
        Problem(COMMAND_LINE, f"{option} is for apt, which {system.os} has not: name repositories by --repo NAME,URL")
        for option, value in given.items()
        if value
    ]
