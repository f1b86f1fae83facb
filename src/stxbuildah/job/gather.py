# SPDX-License-Identifier: Apache-2.0
"""From a request to its inputs: directives read, wildcards matched, files looked for. Nothing is changed."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

import attrs

from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.names import settle_names
from stxbuildah.model.update import UpdateDirectives, UpdateInputs, UpdateRequest
from stxbuildah.plan.update import is_url

COMMAND_LINE = "command line"


def read_text(path: Path, what: str) -> str:
    """Read a text file that the user named.

    Raises:
        InputError: the file is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the {what} {path} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def read_directives(path: Path | None) -> UpdateDirectives:
    """Read the update directives file, or give empty directives when there is none.

    Raises:
        InputError: the file cannot be read, or holds mistakes (all of them are told).
    """
    if path is None:
        return UpdateDirectives()
    from stxbuildah.directive.update import parse_update_directives

    return parse_update_directives(read_text(path, "directives file"), str(path), path.parent)


def update_inputs(request: UpdateRequest) -> UpdateInputs:
    """Find everything that an update is to be made with.

    Raises:
        ProblemsError: files that are missing, unreadable or match nothing; all of them at once.
        InputError: see ``read_directives`` and ``settle_names``.
    """
    directives = read_directives(request.directives_file)
    names = settle_names(request, directives)
    source = str(request.directives_file) if request.directives_file else COMMAND_LINE
    problems: list[Problem] = []

    def files(ours: Iterable[str], theirs: Iterable[str], what: str) -> tuple[str, ...]:
        found = [path for text in theirs for path in match_files(text, what, source, problems)]
        found += [path for text in ours for path in match_files(text, what, COMMAND_LINE, problems)]
        return tuple(dict.fromkeys(found))

    changes = request.changes
    inputs = UpdateInputs(
        base=names.base,
        target=names.target,
        source=names.source,
        destination=names.destination,
        wheels=files(changes.wheels, directives.wheels, "wheel"),
        packages=files(changes.packages, directives.dist_packages, "package"),
        extra_files=files(changes.extra_files, directives.extra_files, "extra file"),
        module_sources=(*directives.module_src, *changes.module_sources),
    )
    for text in inputs.module_sources:
        _check_module_source(text, source if text in directives.module_src else COMMAND_LINE, problems)
    if script := changes.customization_script or directives.customization_script:
        named_in = COMMAND_LINE if changes.customization_script else source
        if _readable(Path(script), "customization script", named_in, problems):
            inputs = attrs.evolve(inputs, customization_script=Path(script))
    if problems:
        raise ProblemsError(problems)
    return inputs


def match_files(text: str, what: str, source: str, problems: list[Problem]) -> tuple[str, ...]:
    """Give the files that a path, a wildcard or a URL names; a URL stands for itself.

    Args:
        text: path, shell wildcard, or http(s) URL.
        what: what the file is, for the message.
        source: where the text stands, for the message.
        problems: gets one problem for each file that is missing, unreadable or matches nothing.
    """
    if is_url(text):
        return (text,)
    if any(mark in text for mark in "*?[") and not os.path.lexists(text):
        matches = sorted(glob.glob(text))  # noqa: PTH207 # the user's wildcard, absolute or relative, as a shell reads it
        if not matches:
            problems.append(Problem(source, f"the wildcard {text} matches no {what}"))
    else:
        matches = [text]
    return tuple(path for path in matches if _readable(Path(path), what, source, problems))


def _readable(path: Path, what: str, source: str, problems: list[Problem]) -> bool:
    if not path.exists():
        problems.append(Problem(source, f"the {what} {path} does not exist"))
    elif not path.is_file():
        problems.append(Problem(source, f"the {what} {path} is not a file"))
    elif not os.access(path, os.R_OK):
        problems.append(Problem(source, f"the {what} {path} is not readable by this account"))
    else:
        return True
    return False


def _check_module_source(text: str, source: str, problems: list[Problem]) -> None:
    from stxbuildah.directive.modulesource import parse_module_source

    try:
        parse_module_source(text, Path.cwd())
    except InputError as error:
        problems.append(Problem(source, error.message))
