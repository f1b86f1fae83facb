# SPDX-License-Identifier: Apache-2.0
"""The plan of a base image: names, packages, where they come from, and what the image says of it."""

import re
from collections.abc import Iterable, Iterator

import attrs

from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.model.base import BaseRequest, BaseSystem, base_references
from stxbuildah.model.baseplan import BasePlan, BaseRecipe, BaseStep, PackageFamily
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import stored_names
from stxbuildah.model.update import PullPolicy
from stxbuildah.plan.baseapt import apt_sources
from stxbuildah.plan.baseorigin import COMMAND_LINE, hide_passwords
from stxbuildah.plan.baseyum import has_upstream, yum_sources

_PACKAGE = {
    # deb-version(7) and Debian's policy 5.6.1, with an architecture.
    PackageFamily.DEB: re.compile(r"[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?"),
    # Names with version, release and architecture, and groups: what dnf and yum call specifications.
    PackageFamily.RPM: re.compile(r"@?[A-Za-z0-9][A-Za-z0-9+._:~^-]*"),
}
_NAMED = {
    PackageFamily.DEB: "with or without =VERSION",
    PackageFamily.RPM: "with or without -VERSION, or @ and that of a group",
}


def plan_base(request: BaseRequest, recipe: BaseRecipe, *, found_layers: Iterable[str] = ()) -> BasePlan:
    """Make the plan of a base image.

    Args:
        request: what was asked; its operating system is complete but for the version.
        recipe: how an image of this system is made.
        found_layers: layers that the build's checkouts list.

    Raises:
        ProblemsError: options that exclude each other, and names, packages, mirrors or repositories that are none; all
            of them at once.
    """
    problems: list[Problem] = []
    system = attrs.evolve(request.system, version=_version(request.system, recipe, problems))
    references = _references(system, request, problems)
    from_image = _from_image(request, recipe, references, problems)
    packages = _packages(request, recipe, problems)
    if recipe.family is PackageFamily.DEB:
        origin = apt_sources(request, recipe, system, found_layers=found_layers, problems=problems)
    else:
        origin = yum_sources(request, recipe, system, problems=problems)
    if problems:
        raise ProblemsError(dict.fromkeys(problems))
    plan = BasePlan(
        system=system,
        family=recipe.family,
        references=references,
        from_image=from_image,
        pull=request.content.pull or PullPolicy.MISSING,
        first_packages=recipe.dev_packages if has_upstream(request) and request.content.packages is None else (),
        packages=packages,
        origin=origin,
        leave_out=recipe.leave_out,
        environment=recipe.environment,
        command=recipe.command,
        labels=_labels(system, references[0], request),
    )
    return attrs.evolve(plan, steps=tuple(_steps(request, plan)))


def _version(system: BaseSystem, recipe: BaseRecipe, problems: list[Problem]) -> str:
    if not recipe.os_version:
        return system.version or system.codename
    if system.version and system.version.split(".")[0] != recipe.os_version:
        message = (
            f"{system.os} {system.codename} is release {recipe.os_version}, not {system.version}: a point release is "
            "chosen by FROM, or by a snapshot of that time as the --mirror; --version names the image"
        )
        problems.append(Problem(COMMAND_LINE, message))
    return system.version or recipe.os_version


def _references(system: BaseSystem, request: BaseRequest, problems: list[Problem]) -> tuple[ImageReference, ...]:
    try:
        return base_references(system, request.naming)
    except InputError as error:
        problems.append(Problem(COMMAND_LINE, f"{error.message}: {error.hint}" if error.hint else error.message))
        return ()


def _from_image(
    request: BaseRequest, recipe: BaseRecipe, references: tuple[ImageReference, ...], problems: list[Problem]
) -> ImageReference | None:
    """Read the name of the image to start from."""
    text, system = request.content.from_image, request.system
    if not text:
        if recipe.family is not PackageFamily.DEB:
            message = (
                f"a base image of {system.os} starts from an image of a registry or of the local store: name it with "
                f"--from-image, as registry.example/{system.os}:{system.codename}"
            )
            problems.append(Problem(COMMAND_LINE, message))
        if request.content.pull is not None:
            problems.append(Problem(COMMAND_LINE, "--pull says how --from-image is fetched, which is not given"))
        return None
    try:
        reference = ImageReference.parse(text)
    except InputError as error:
        problems.append(Problem(COMMAND_LINE, f"--from-image: {error.message}: {error.hint}"))
        return None
    results = {name for result in references for name in (result.qualified, *stored_names(result))}
    if results & {reference.qualified, *stored_names(reference)}:
        problems.append(Problem(COMMAND_LINE, f"the result would be called like --from-image: {reference}"))
    return reference


def _packages(request: BaseRequest, recipe: BaseRecipe, problems: list[Problem]) -> tuple[str, ...]:
    content = request.content
    if content.packages is None:
        return recipe.minimal_packages if content.minimal else recipe.packages
    if content.minimal:
        problems.append(Problem(COMMAND_LINE, "--packages and --minimal exclude each other"))
    packages = tuple(dict.fromkeys(content.packages))
    problems.extend(
        Problem(COMMAND_LINE, f"{package!r} is not the name of a package, {_NAMED[recipe.family]}")
        for package in packages
        if not _PACKAGE[recipe.family].fullmatch(package)
    )
    return packages


def _labels(system: BaseSystem, name: ImageReference, request: BaseRequest) -> tuple[tuple[str, str], ...]:
    labels = {
        "org.opencontainers.image.title": name.label,
        "org.opencontainers.image.version": request.naming.version or system.version,
        "org.opencontainers.image.description": f"{system.os} {system.codename} for {system.arch}",
        **dict(request.labels),
    }
    return tuple(sorted(labels.items()))


def _steps(request: BaseRequest, plan: BasePlan) -> Iterator[BaseStep]:
    names = tuple(map(str, plan.references))
    yield from _bootstrap_steps(plan) if plan.from_image is None else _session_steps(plan, plan.from_image)
    files = tuple(path for path, _ in plan.origin.files)
    if files:
        lists = "apt lists" if plan.family is PackageFamily.DEB else "repositories"
        yield BaseStep(action="write into the image", subjects=files, reason=f"its {lists}")
    whole = "the whole system as one layer" if plan.from_image is None else "all that changed, as one layer on FROM"
    yield BaseStep(action="write layer", subjects=(request.compression.value,), reason=whole)
    yield BaseStep(action="store", subjects=names, reason="the result is kept in the local store")
    if request.push:
        yield BaseStep(action="push", subjects=names, reason="--push")
        if request.clean:
            yield BaseStep(action="clean", subjects=names, reason="--clean: the local store keeps nothing of it")


def _shown(plan: BasePlan) -> tuple[str, ...]:
    return tuple(hide_passwords(line) for line in (*plan.origin.sources, *plan.origin.repositories))


def _bootstrap_steps(plan: BasePlan) -> Iterator[BaseStep]:
    yield BaseStep(action="install", subjects=plan.packages, reason="on top of the essential packages and apt")
    yield BaseStep(action="from", subjects=_shown(plan), reason="the repositories while installing")


def _session_steps(plan: BasePlan, image: ImageReference) -> Iterator[BaseStep]:
    reasons = {
        PullPolicy.MISSING: "unless the local store has it (--pull missing)",
        PullPolicy.ALWAYS: "--pull always",
    }
    if plan.pull in reasons:
        yield BaseStep(action="pull", subjects=(str(image),), reason=reasons[plan.pull])
    yield BaseStep(action="open container", subjects=(str(image),), reason="packages are installed in it")
    where = "the repositories while installing"
    if not plan.origin.only_given:
        where += ", besides FROM's own"
    yield BaseStep(action="from", subjects=_shown(plan), reason=where)
    if plan.first_packages:
        yield BaseStep(action="install first", subjects=plan.first_packages, reason="brings upstream's repositories")
    yield BaseStep(action="upgrade", subjects=(), reason="FROM's packages are brought up to the repositories' versions")
    if plan.packages:
        yield BaseStep(action="install", subjects=plan.packages, reason="on top of FROM")
