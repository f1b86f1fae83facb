# SPDX-License-Identifier: Apache-2.0
"""The plan of a base image: names, packages, where they come from, and what the image's apt lists say."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, urlsplit

import attrs

from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.model.base import BasePlan, BaseRecipe, BaseRequest, BaseStep, BaseSystem, base_references
from stxbuildah.model.reference import ImageReference

COMMAND_LINE = "command line"
_LISTS = "/etc/apt/sources.list.d"
_PREFERENCES = "/etc/apt/preferences.d/stx"
_OFF = ".disabled"
_TOKEN = re.compile(r"@([A-Z_]+)@")
_REPOSITORY = re.compile(
    r"deb(?:-src)?[ \t]+(?:\[(?P<options>[^\]\n]*)\][ \t]+)?(?P<url>[a-z][a-z0-9+.-]*:\S+)[ \t]+\S.*"
)
_MIRROR = re.compile(r"(?:https?|ftp|file|copy|mirror(?:\+[a-z]+)?)://?[^\s\[\]]+")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?")
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@attrs.frozen(kw_only=True)
class _Mirrors:
    """Servers that packages come from, and what the image's lists say in their place."""

    main: str
    security: str
    published_main: str
    published_security: str


def plan_base(request: BaseRequest, recipe: BaseRecipe) -> BasePlan:
    """Make the plan of a base image.

    Args:
        request: what was asked; its operating system is complete but for the version.
        recipe: how an image of this system is made.

    Raises:
        ProblemsError: packages, mirrors or repositories that are none; all of them at once.
        InputError: options that exclude each other, or a name that cannot be.
    """
    system = attrs.evolve(request.system, version=_version(request.system, recipe))
    references = base_references(system, request.naming)
    packages = _packages(request, recipe)
    mirrors = _mirrors(request, recipe)
    repositories = _repositories(request, recipe)
    _check(packages, mirrors, repositories)
    values = {"CODENAME": system.codename, "COMPONENTS": " ".join(recipe.components)}
    build_list = _filled(recipe.debian_list, {**values, "MIRROR": mirrors.main, "SECURITY_MIRROR": mirrors.security})
    sources = _lines(build_list)
    preferences = _preferences(request, recipe, repositories)
    published_list = _filled(
        recipe.debian_list,
        {**values, "MIRROR": mirrors.published_main, "SECURITY_MIRROR": mirrors.published_security},
    )
    published = _published_repositories(request, repositories)
    files = _apt_files(published_list, published, preferences if published else "")
    _refuse_published_passwords(files)
    plan = BasePlan(
        system=system,
        references=references,
        packages=packages,
        sources=sources,
        repositories=repositories,
        preferences=preferences,
        files=files,
        leave_out=recipe.leave_out,
        environment=recipe.environment,
        command=recipe.command,
        labels=_labels(system, references[0], request),
        secrets=tuple(password for line in (*sources, *repositories) for password in _passwords(line)),
    )
    return attrs.evolve(plan, steps=_steps(request, plan))


def _version(system: BaseSystem, recipe: BaseRecipe) -> str:
    if system.version and system.version.split(".")[0] != recipe.os_version:
        raise InputError(
            f"{system.os} {system.codename} is release {recipe.os_version}, not {system.version}",
            hint="a point release is chosen by a snapshot of that time as the --mirror; --version names the image",
        )
    return system.version or recipe.os_version


def _packages(request: BaseRequest, recipe: BaseRecipe) -> tuple[str, ...]:
    if request.content.packages is not None:
        return tuple(dict.fromkeys(request.content.packages))
    return recipe.minimal_packages if request.content.minimal else recipe.packages


def _mirrors(request: BaseRequest, recipe: BaseRecipe) -> _Mirrors:
    """Choose the mirrors.

    A mirror that was named without one for security updates means none of these: they would not be of the same time.
    """
    main = request.content.mirror or request.variables.snapshot
    security = request.content.security_mirror or request.variables.security_snapshot
    if not main and not security:
        security = recipe.security_mirror
    main = main or recipe.mirror
    if request.content.private:
        return _Mirrors(
            main=main,
            security=security,
            published_main=recipe.mirror,
            published_security=recipe.security_mirror,
        )
    return _Mirrors(main=main, security=security, published_main=main, published_security=security)


def _repositories(request: BaseRequest, recipe: BaseRecipe) -> tuple[str, ...]:
    given = tuple(line.strip() for line in request.content.repositories)
    if not request.content.local:
        return given
    if given:
        raise InputError("--local and --repo exclude each other", hint="name all repositories with --repo")
    variables = request.variables
    if not variables.repomgr_url or not variables.distribution:
        raise InputError(
            "--local uses the build's own repositories, which the environment does not name",
            hint="set REPOMGR_DEPLOY_URL and DEBIAN_DISTRIBUTION, or name the repositories with --repo",
        )
    values = {"REPOMGR_URL": variables.repomgr_url.rstrip("/"), "DISTRIBUTION": variables.distribution}
    return _lines(_filled(recipe.stx_list, values))


def _published_repositories(request: BaseRequest, repositories: tuple[str, ...]) -> tuple[str, ...]:
    """Give the repositories as the image's apt list names them."""
    deployed, published = request.variables.repomgr_url.rstrip("/"), request.content.publish_url.rstrip("/")
    if published and not deployed:
        raise InputError(
            "--repomgr-publish-url stands for the build's own repositories, which the environment does not name",
            hint="set REPOMGR_DEPLOY_URL to where they are while the image is made",
        )
    if published:
        replaced = tuple(line.replace(deployed, published) for line in repositories)
        # With --private-repos, only what has a published place of its own is named.
        return tuple(
            new for old, new in zip(repositories, replaced, strict=True) if old != new or not request.content.private
        )
    return () if request.content.private else repositories


def _preferences(request: BaseRequest, recipe: BaseRecipe, repositories: Iterable[str]) -> str:
    """Pin the origin of a build's own repositories, else each server of the given ones."""
    origin = request.variables.repomgr_origin
    pins = [f"release o={origin}"] if origin else [f'origin "{_url(line).hostname or ""}"' for line in repositories]
    if "\n" in origin:
        raise InputError("REPOMGR_ORIGIN has more than one line")
    return "\n".join(_filled(recipe.preferences, {"PIN": pin}) for pin in dict.fromkeys(pins)) if repositories else ""


def _apt_files(debian_list: str, repositories: tuple[str, ...], preferences: str) -> tuple[tuple[str, str], ...]:
    """Give the image's apt lists.

    When there are repositories of a build, theirs is on and the distribution's is off; each is also kept switched off
    under the name that image builds switch it on from.
    """
    files = {f"{_LISTS}/debian.list{_OFF}": debian_list}
    if repositories:
        stx_list = "".join(f"{line}\n" for line in repositories)
        files[f"{_LISTS}/stx.list"] = stx_list
        files[f"{_LISTS}/stx.list{_OFF}"] = stx_list
    else:
        files[f"{_LISTS}/debian.list"] = debian_list
    if preferences:
        files[_PREFERENCES] = preferences
    return tuple(sorted(files.items()))


def _labels(system: BaseSystem, name: ImageReference, request: BaseRequest) -> tuple[tuple[str, str], ...]:
    labels = {
        "org.opencontainers.image.title": name.label,
        "org.opencontainers.image.version": request.naming.version or system.version,
        "org.opencontainers.image.description": f"{system.os} {system.codename} for {system.arch}",
        **dict(request.labels),
    }
    return tuple(sorted(labels.items()))


def _steps(request: BaseRequest, plan: BasePlan) -> tuple[BaseStep, ...]:
    shown = tuple(hide_passwords(line) for line in (*plan.sources, *plan.repositories))
    names = tuple(map(str, plan.references))
    steps = [
        BaseStep(action="install", subjects=plan.packages, reason="on top of the essential packages and apt"),
        BaseStep(action="from", subjects=shown, reason="the repositories while installing"),
        BaseStep(action="write into the image", subjects=tuple(path for path, _ in plan.files), reason="its apt lists"),
        BaseStep(action="write layer", subjects=(request.compression.value,), reason="the whole system as one layer"),
        BaseStep(action="store", subjects=names, reason="the result is kept in the local store"),
    ]
    if request.push:
        steps.append(BaseStep(action="push", subjects=names, reason="--push"))
        if request.clean:
            steps.append(
                BaseStep(action="clean", subjects=names, reason="--clean: the local store keeps nothing of it")
            )
    return tuple(steps)


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Fill a template in; a line with a token that has no value is left out."""
    lines = [
        _TOKEN.sub(lambda match: values[match[1]], line)
        for line in template.splitlines()
        if all(values[name] for name in _TOKEN.findall(line))
    ]
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def _url(line: str) -> SplitResult:
    match = _REPOSITORY.fullmatch(line)
    return urlsplit(match["url"] if match else line)


def _passwords(line: str) -> tuple[str, ...]:
    password = _url(line).password
    return (password,) if password else ()


def hide_passwords(line: str) -> str:
    """Give a sources.list line with asterisks for the passwords of its URL."""
    for password in _passwords(line):
        line = line.replace(f":{password}@", ":********@")
    return line


def _refuse_published_passwords(files: Iterable[tuple[str, str]]) -> None:
    for path, text in files:
        for line in text.splitlines():
            if not line.startswith("#") and _passwords(line):
                raise InputError(
                    f"the image's {path} would hold a password: {hide_passwords(line)}",
                    hint="--private-repos leaves the repositories and mirrors that were given out of the image",
                )


def _check(packages: Iterable[str], mirrors: _Mirrors, repositories: Iterable[str]) -> None:
    problems = [
        Problem(COMMAND_LINE, f"{package!r} is not the name of a package, with or without =VERSION")
        for package in packages
        if not _PACKAGE.fullmatch(package)
    ]
    problems += [
        Problem(COMMAND_LINE, f"{hide_passwords(mirror)!r} is not the URL of a mirror")
        for mirror in dict.fromkeys((mirrors.main, mirrors.security))
        if mirror and not _MIRROR.fullmatch(mirror)
    ]
    problems += [
        Problem(
            COMMAND_LINE,
            f"the repository {hide_passwords(line)!r} is no sources.list line: deb [options] URL suite component",
        )
        for line in repositories
        if not _REPOSITORY.fullmatch(line) or not line.isprintable()
    ]
    if problems:
        raise ProblemsError(problems)
