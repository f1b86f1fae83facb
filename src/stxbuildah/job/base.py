# SPDX-License-Identifier: Apache-2.0
"""``stxb base``: a base image of the distribution's packages alone, or of an image of a registry."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.directive.baseconfig import BaseConfig, default_config_names, parse_base_config
from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.directive.basetemplate import KNOWN_NAMES, template_field
from stxbuildah.engine.debootstrap import find_keyring, signed_by
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.basedelivery import deliver
from stxbuildah.job.basework import BaseWork
from stxbuildah.job.engine import opened_engine
from stxbuildah.job.gather import read_text
from stxbuildah.job.repositories import find_lists
from stxbuildah.job.system import complete_system
from stxbuildah.job.textfile import read_whole
from stxbuildah.job.workspace import work_folder
from stxbuildah.model.base import BaseRequest, BaseSystem
from stxbuildah.model.baseplan import BasePlan, BaseRecipe, BaseResult, BaseTemplates, Template
from stxbuildah.plan.base import plan_base
from stxbuildah.plan.baseorigin import COMMAND_LINE
from stxbuildah.recipes import recipe

Say = Callable[[str], None]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def plan(request: BaseRequest) -> BasePlan:
    """Gather what is needed and make the plan; nothing is changed.

    Raises:
        InputError: an option, the configuration file, a template or the recipe is not what is needed.
    """
    return _planned(request)[1]


def run(request: BaseRequest, say: Say) -> BaseResult:
    """Make a base image.

    Args:
        request: what to make.
        say: told what is being done, a sentence at a time.

    Raises:
        StxbError: it could not be made; images of the same names are as they were, unless they were replaced whole.
    """
    request, planned, how = _planned(request)
    sources: tuple[str, ...] = ()
    if planned.from_image is None:
        keyring = find_keyring(how.keyring_files, how.keyring_package)
        sources = tuple(signed_by(line, keyring) for line in planned.origin.sources)
    epoch = request.source_date_epoch
    with (
        opened_engine(request.host, request.access, request.retry) as engine,
        work_folder(engine.folders, keep=request.keep) as folder,
    ):
        work = BaseWork(
            request=request, plan=planned, engine=engine, folder=folder, say=say,
            timestamp=int(time.time()) if epoch is None else epoch,
        )  # fmt: skip
        if planned.from_image is None:
            from stxbuildah.job.basebootstrap import bootstrapped

            return deliver(work, bootstrapped(work, sources))
        from stxbuildah.job.basesession import provisioned

        return deliver(work, provisioned(work, planned.from_image))


def _planned(request: BaseRequest) -> tuple[BaseRequest, BasePlan, BaseRecipe]:
    request = attrs.evolve(request, system=complete_system(named_release(request.system)))
    request = with_config(request, read_config(request))
    how = find_recipe(request.system)
    how = attrs.evolve(how, templates=with_templates(how.templates, request.content.templates))
    return request, plan_base(request, how, found_layers=find_layers(request)), how


def named_release(system: BaseSystem) -> BaseSystem:
    """Call the release by its number where no codename was given, and the system has a recipe for such."""
    if system.codename or not system.os or not system.version:
        return system
    named = attrs.evolve(system, codename=system.version)
    return named if _recipe_file(named) is not None else system


def read_config(request: BaseRequest) -> BaseConfig:
    """Read the configuration file that was named, else the default one if it is there.

    Raises:
        InputError: the file cannot be read or holds mistakes.
    """
    path = request.config_file
    if path is None:
        system = request.system
        names = default_config_names(system.os, system.codename, request.naming.stream)
        path = next(filter(Path.is_file, (request.config_folder / name for name in names)), None)
        if path is None:
            return BaseConfig()
        log.info("base.config.found", file=str(path))
    return parse_base_config(read_text(path, "configuration file"), str(path))


def with_config(request: BaseRequest, config: BaseConfig) -> BaseRequest:
    """Give the request with what a configuration file adds; the command line wins, and repositories are added up."""
    naming, content = request.naming, request.content
    return attrs.evolve(
        request,
        naming=attrs.evolve(
            naming,
            version=naming.version or config.version,
            user=naming.user or config.user,
            registry=naming.registry or config.registry,
        ),
        content=attrs.evolve(content, repositories=(*content.repositories, *config.repositories)),
        proxy=request.proxy or config.proxy,
    )


def find_recipe(system: BaseSystem) -> BaseRecipe:
    """Read the shipped recipe of a system: that of the release by its codename or number, else one for all releases.

    Raises:
        InputError: there is none.
    """
    file = _recipe_file(system)
    folder = recipe("containers", "base")
    if file is None:
        known = sorted(path.parent.name.replace("-", " ", 1) for path in folder.glob("*/recipe.toml"))
        raise InputError(
            f"no recipe makes a base image of {system.os} {system.codename}",
            hint=f"there are recipes of {', '.join(known)}",
        )
    return read_base_recipe(file, folder, system.os)


def _recipe_file(system: BaseSystem) -> Path | None:
    folder = recipe("containers", "base")
    names = [f"{system.os}-{release}" for release in (system.codename, system.version.partition(".")[0]) if release]
    found = (folder / name / "recipe.toml" for name in (*names, system.os) if _NAME.fullmatch(name))
    return next(filter(Path.is_file, found), None)


def with_templates(shipped: BaseTemplates, given: tuple[Path, ...]) -> BaseTemplates:
    """Put the user's templates in the places of the shipped ones.

    Args:
        shipped: the recipe's.
        given: files, or folders that are searched for files with the names of templates.

    Raises:
        ProblemsError: a file has another name, is there twice for one place, or cannot be read; a folder has none.
    """
    problems: list[Problem] = []
    fields: dict[str, Template] = {}
    for path in given:
        for file in _template_files(path, problems):
            field = template_field(file.name)
            if not field:
                problems.append(
                    Problem(COMMAND_LINE, f"{file} is no template: it is called {' or '.join(KNOWN_NAMES)}")
                )
            elif field in fields:
                problems.append(Problem(COMMAND_LINE, f"{file} and {fields[field].source} are templates of the same"))
            else:
                try:
                    fields[field] = Template(text=read_whole(file, "template"), source=str(file), given=True)
                except InputError as error:
                    problems.append(Problem(COMMAND_LINE, error.message))
    if problems:
        raise ProblemsError(problems)
    return attrs.evolve(shipped, **fields)


def _template_files(path: Path, problems: list[Problem]) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        files = sorted(file for file in path.iterdir() if template_field(file.name))
    except OSError as error:
        problems.append(Problem(COMMAND_LINE, f"the folder {path} cannot be read: {error.strerror}"))
        return []
    if not files:
        problems.append(Problem(COMMAND_LINE, f"the folder {path} has no template: {', '.join(KNOWN_NAMES)}"))
    return files


def find_layers(request: BaseRequest) -> tuple[str, ...]:
    """Give the build's layers that its checkouts list in ``<os>_build_layer.cfg``, sorted.

    Raises:
        InputError: a folder is not there, or a list cannot be read.
    """
    lists = find_lists(request.roots, (f"{request.system.os}_build_layer.cfg",))
    lines = (line for file in lists for line in read_whole(file, "list of layers").splitlines())
    return tuple(sorted({word for line in lines for word in line.partition("#")[0].split()}))
