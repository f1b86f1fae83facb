# SPDX-License-Identifier: Apache-2.0
"""Where the packages of a Debian base image come from, and what the image's apt lists say."""

import re
from collections.abc import Iterable

import attrs

from stxbuildah.directive.basetemplate import filled, filled_lines, has_token, is_entry, joined
from stxbuildah.errors import Problem
from stxbuildah.model.base import BaseRequest, BaseSystem
from stxbuildah.model.baseplan import BaseRecipe, PackageSources, Template
from stxbuildah.plan.baseorigin import (
    COMMAND_LINE,
    URL,
    hide_passwords,
    passwords,
    published,
    published_password_problems,
    publishing_problems,
    url_of,
)

LISTS = "/etc/apt/sources.list.d"
PREFERENCES = "/etc/apt/preferences.d/stx"
OFF = ".disabled"
_REPOSITORY = re.compile(rf"deb(?:-src)?[ \t]+(?:\[[^\]\n]*\][ \t]+)?{URL}[ \t]+\S.*")
_MIRROR = re.compile(r"(?:https?|ftp|file|copy|mirror(?:\+[a-z]+)?)://?[^\s\[\]]+")
_LAYER = re.compile(r"[a-z0-9][a-z0-9+._-]*")
_TAKEN = frozenset({"debian", "stx"})


def apt_sources(
    request: BaseRequest,
    recipe: BaseRecipe,
    system: BaseSystem,
    *,
    found_layers: Iterable[str],
    problems: list[Problem],
) -> PackageSources:
    """Settle the repositories of a Debian base image.

    Args:
        request: what was asked.
        recipe: how an image of this system is made, with the user's templates in their places.
        system: complete.
        found_layers: layers that the build's checkouts list; passed over when the build's repositories are not named.
        problems: gets every mistake.
    """
    return _Apt(request=request, recipe=recipe, system=system, problems=problems).settled(tuple(found_layers))


@attrs.frozen(kw_only=True)
class _Apt:
    request: BaseRequest
    recipe: BaseRecipe
    system: BaseSystem
    problems: list[Problem]

    def settled(self, found_layers: tuple[str, ...]) -> PackageSources:
        self.problems.extend(publishing_problems(self.request))
        self._check_mirrors()
        templates = self.recipe.templates
        sources = self._entries(templates.debian_list, self._values())
        if templates.debian_list.given:
            self._check_lines(templates.debian_list.source, sources)
        repositories = self._repositories()
        shown = tuple(filter(None, (published(line, self.request) for line in repositories)))
        files = {f"{LISTS}/debian.list{OFF}": self._published_list()}
        if shown:
            files[f"{LISTS}/stx.list"] = files[f"{LISTS}/stx.list{OFF}"] = joined(shown)
            files[PREFERENCES] = self._preferences(shown, self._values(public=True))
        else:
            files[f"{LISTS}/debian.list"] = files[f"{LISTS}/debian.list{OFF}"]
        files |= self._layer_files(found_layers)
        self.problems.extend(published_password_problems(files.items()))
        return PackageSources(
            sources=sources,
            repositories=repositories,
            preferences=self._preferences(repositories, self._values()) if repositories else "",
            only_given=True,
            files=tuple(sorted(files.items())),
            secrets=tuple(password for line in (*sources, *repositories) for password in passwords(line)),
        )

    def _mirrors(self) -> tuple[str, str]:
        """Choose the servers of the distribution's packages and of its security updates.

        A mirror named without one for security updates means none of these: they would not be of the same time.
        """
        content, variables = self.request.content, self.request.variables
        main = content.mirror or variables.snapshot
        security = content.security_mirror or variables.security_snapshot
        if not main and not security:
            security = self.recipe.security_mirror
        return main or self.recipe.mirror, security

    def _values(self, *, public: bool = False, **further: str) -> dict[str, str]:
        """Give the value of each token: the recipes' own, those of the replaced script, and the user's.

        Args:
            public: as the image is to show it.
            further: tokens of one use alone.
        """
        request, variables = self.request, self.request.variables
        main, security = self._mirrors()
        if public and request.content.private:
            main, security = self.recipe.mirror, self.recipe.security_mirror
        server = ((public and request.content.publish_url) or variables.repomgr_url).rstrip("/")
        return {
            **dict(variables.further),
            "CODENAME": self.system.codename,
            "COMPONENTS": " ".join(self.recipe.components),
            "MIRROR": main,
            "SECURITY_MIRROR": security,
            "REPOMGR_URL": server,
            "DISTRIBUTION": variables.distribution,
            "DEBIAN_SNAPSHOT": main,
            "DEBIAN_SECURITY_SNAPSHOT": security,
            "DEBIAN_DISTRIBUTION": variables.distribution or self.system.codename,
            "REPOMGR_DEPLOY_URL": server,
            "REPOMGR_PUBLISH_URL": server,
            "REPOMGR_HOST": url_of(server).hostname or "",
            "REPOMGR_ORIGIN": variables.repomgr_origin,
            **further,
        }

    def _entries(self, template: Template, values: dict[str, str]) -> tuple[str, ...]:
        lines = filled_lines(template, values, self.problems)
        return tuple(line.strip() for line in lines if line is not None and is_entry(line))

    def _published_list(self) -> str:
        """Give the distribution's list as the image has it.

        When what was given stays secret, it is the shipped one: a template of the user's own may name servers outright.
        """
        templates, private = self.recipe.templates, self.request.content.private
        return filled(templates.public_list if private else templates.debian_list, self._values(public=True), [])

    def _repositories(self) -> tuple[str, ...]:
        """Give the repositories besides the distribution's."""
        content, template = self.request.content, self.recipe.templates.stx_list
        given = tuple(line.strip() for line in content.repositories)
        if given and (content.local or template.given):
            other = "--local" if content.local else f"the template {template.source}"
            self._wrong(f"{other} and --repo exclude each other: name all repositories with --repo")
        if given:
            self._check_lines(COMMAND_LINE, given)
            return given
        if template.given or (content.local and self._are_named("--local")):
            lines = self._entries(template, self._values())
            self._check_lines(template.source, lines)
            return lines
        return ()

    def _are_named(self, option: str) -> bool:
        """Tell whether the build's own repositories are named; a mistake if not."""
        if self._has_repositories():
            return True
        self._wrong(
            f"{option} uses the build's own repositories, which neither the environment nor --var names: set "
            "REPOMGR_DEPLOY_URL and DEBIAN_DISTRIBUTION, or name the repositories with --repo"
        )
        return False

    def _has_repositories(self) -> bool:
        return bool(self.request.variables.repomgr_url and self.request.variables.distribution)

    def _layer_files(self, found: tuple[str, ...]) -> dict[str, str]:
        """Give one list of packages for each layer of the build, switched off."""
        template, named = self.recipe.templates.layer_list, self.request.content.build_layers
        layers = sorted({*named, *found})
        for layer in layers:
            if not _is_layer(layer):
                self._wrong(f"{layer!r} is not the name of a layer: lower-case letters, digits, dots, dashes")
        if not template.given and not (self._are_named("--build-layer") if named else self._has_repositories()):
            return {}
        files = {}
        for layer in filter(_is_layer, layers):
            lines = self._entries(template, self._values(LAYER=layer))
            self._check_lines(template.source, lines)
            if shown := [new for line in lines if (new := published(line, self.request))]:
                files[f"{LISTS}/{layer}.list{OFF}"] = joined(shown)
        return files

    def _preferences(self, repositories: Iterable[str], values: dict[str, str]) -> str:
        """Pin the origin of a build's own repositories, else each server of the given ones."""
        template, origin = self.recipe.templates.preferences, self.request.variables.repomgr_origin
        pins = (
            [f"release o={origin}"] if origin else [f'origin "{url_of(line).hostname or ""}"' for line in repositories]
        )
        if not has_token(template, "PIN"):
            return filled(template, values, self.problems)
        texts = (filled(template, {**values, "PIN": pin}, self.problems) for pin in dict.fromkeys(pins))
        return "\n".join(texts)

    def _check_mirrors(self) -> None:
        for mirror in dict.fromkeys(self._mirrors()):
            if mirror and not (_MIRROR.fullmatch(mirror) and url_of(mirror).scheme):
                self._wrong(f"{hide_passwords(mirror)!r} is not the URL of a mirror")
        if not self.request.variables.repomgr_origin.isprintable():
            self._wrong("REPOMGR_ORIGIN has more than one line")

    def _check_lines(self, source: str, lines: Iterable[str]) -> None:
        self.problems.extend(
            Problem(
                source,
                f"the repository {hide_passwords(line)!r} is no sources.list line: deb [options] URL suite component",
            )
            for line in lines
            if not (_REPOSITORY.fullmatch(line) and line.isprintable() and url_of(line).scheme)
        )

    def _wrong(self, message: str) -> None:
        self.problems.append(Problem(COMMAND_LINE, message))


def _is_layer(name: str) -> bool:
    return bool(_LAYER.fullmatch(name)) and name not in _TAKEN
