# SPDX-License-Identifier: Apache-2.0
"""What ``pip freeze`` and ``pip check`` of an image's Python would say, from its distributions alone."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from packaging.utils import NormalizedName, canonicalize_name

from stxbuildah.layer.plainrequirement import is_plainly_met
from stxbuildah.model.inventory import Distribution, PythonEnvironment

# pip's own lists: what is part of old standard libraries, and what `pip freeze` leaves out; since Python 3.12, which
# has no setuptools of its own any more, only pip.
_STANDARD_LIBRARY = frozenset({"python", "wsgiref", "argparse"})
_INSTALLERS = frozenset({"pip", "setuptools", "distribute", "wheel"})
_FIRST_WITHOUT_SETUPTOOLS = (3, 12)

# A version that is its own normal form, as nearly all are.
_PLAIN_VERSION = re.compile(r"^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*$")
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# A requirement of an extra alone, which nobody asked for; quicker to see than to evaluate.
_OF_EXTRA = re.compile(r";(?!.*\bor\b).*\bextra\s*==")
_VARIABLE = re.compile(r"^\$\{[A-Za-z0-9_-]+\}(?::\$\{[A-Za-z0-9_-]+\})?$")
# An image does not say its Python's patch release without running it; it is taken to be one that has every fix.
_PATCH_RELEASE = 99


def freeze(distributions: Iterable[Distribution], environment: PythonEnvironment) -> tuple[str, ...]:
    """Give the lines that ``pip freeze`` prints for some distributions, in its order: by name without regard to case.

    Args:
        distributions: what is installed, each name once.
        environment: the Python environment they are in; its version decides what is left out.
    """
    lines: list[str] = []
    hidden = _STANDARD_LIBRARY | (_INSTALLERS if environment.version < _FIRST_WITHOUT_SETUPTOOLS else {"pip"})
    shown = (one for one in distributions if one.name not in hidden)
    for distribution in sorted(shown, key=lambda one: one.display_name.lower()):
        lines.extend(_frozen(distribution))
    return tuple(lines)


def unmet(
    distributions: Iterable[Distribution],
    environment: PythonEnvironment,
    touched: Collection[NormalizedName] | None = None,
) -> tuple[str, ...]:
    """Give what ``pip check`` reports: requirements that no installed distribution fulfils, one sentence each.

    Args:
        distributions: what is installed, each name once.
        environment: the Python environment they are in; markers are evaluated for it.
        touched: names of distributions that an update changed; when given, only requirements of these and on these.

    Returns:
        Sentences that name the distribution, its requirement and what is there instead, by the distribution's name.
    """
    installed = {one.name: one for one in distributions}
    sentences: list[str] = []
    for name in sorted(installed):
        wanted = installed[name].requires
        if touched is not None and name not in touched:
            wanted = tuple(line for line in wanted if _required_name(line) in touched)
        sentences.extend(_unmet_of(installed[name], wanted, installed, environment))
    return tuple(sentences)


def requiring(
    distributions: Iterable[Distribution], environment: PythonEnvironment, name: NormalizedName
) -> tuple[Distribution, ...]:
    """Give the distributions that require another one, as ``pip show`` does ("Required-by"): extras do not count.

    Args:
        distributions: what is installed.
        environment: the Python environment they are in; markers are evaluated for it.
        name: what may be required.
    """
    return tuple(
        one
        for one in distributions
        if one.name != name
        and any(_applies(line, environment) for line in one.requires if _required_name(line) == name)
    )


def marker_environment(environment: PythonEnvironment) -> dict[str, str]:
    """Give the values of PEP 508's environment markers for an image's Python."""
    major, minor = environment.version
    full = f"{major}.{minor}.{_PATCH_RELEASE}"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": environment.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": f"{major}.{minor}",
        "sys_platform": "linux" if major > 2 else "linux2",  # noqa: PLR2004 # Python 2 named the kernel's number
        "extra": "",
    }


def _applies(line: str, environment: PythonEnvironment) -> bool:
    """Tell whether a requirement counts in an environment; one that cannot be read does."""
    if ";" not in line:
        return True
    if _OF_EXTRA.search(line):
        return False
    from packaging.markers import UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        marker = Requirement(line).marker
        return marker is None or marker.evaluate(dict(marker_environment(environment)))
    except (InvalidRequirement, UndefinedEnvironmentName):
        return True


def _unmet_of(
    distribution: Distribution,
    wanted: Iterable[str],
    installed: Mapping[NormalizedName, Distribution],
    environment: PythonEnvironment,
) -> Iterator[str]:
    def version_of(name: str) -> str | None:
        there = installed.get(canonicalize_name(name))
        return there.version if there is not None else None

    lines = [
        line
        for line in wanted
        if not _OF_EXTRA.search(line) and not is_plainly_met(line, environment.version, version_of)
    ]
    if not lines:
        return
    from packaging.markers import UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    shown = f"{distribution.display_name} {distribution.version}"
    values = marker_environment(environment)
    for line in lines:
        try:
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate(dict(values)):
                continue
        except (InvalidRequirement, UndefinedEnvironmentName) as error:
            yield f"{shown} has a requirement that cannot be read: {line} ({str(error).splitlines()[0]})"
            continue
        there = installed.get(canonicalize_name(requirement.name))
        text = f"{requirement.name}{requirement.specifier}"
        if there is None:
            yield f"{shown} requires {text}, which is not installed"
            continue
        try:
            fits = requirement.specifier.contains(there.version, prereleases=True)
        except InvalidVersion:
            fits = False
        if not fits:
            yield f"{shown} requires {text}, but {there.display_name} {there.version} is installed"


def _required_name(line: str) -> NormalizedName:
    found = _NAME.match(line)
    return canonicalize_name(found[1]) if found else NormalizedName("")


def _frozen(distribution: Distribution) -> Iterator[str]:
    pinned = _pinned(distribution)
    origin = _direct_url(distribution.direct_url)
    url = origin.get("url")
    if not isinstance(url, str):
        yield pinned
        return
    from urllib.parse import unquote, urlsplit

    folder = origin.get("dir_info")
    if isinstance(folder, dict) and folder.get("editable") is True:
        yield f"# Editable install with no version control ({pinned})"
        yield f"-e {unquote(urlsplit(url).path)}"
        return
    yield f"{distribution.display_name} @ {_reference(origin, url)}"


def _pinned(distribution: Distribution) -> str:
    if _PLAIN_VERSION.match(distribution.version):
        return f"{distribution.display_name}=={distribution.version}"
    from packaging.version import InvalidVersion, Version

    try:
        return f"{distribution.display_name}=={Version(distribution.version)}"
    except InvalidVersion:
        return f"{distribution.display_name}==={distribution.version}"


def _direct_url(content: str) -> Mapping[str, object]:
    if not content:
        return {}
    try:
        origin = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return origin if isinstance(origin, dict) else {}


def _reference(origin: Mapping[str, object], url: str) -> str:
    """Give a direct_url.json as the URL of a requirement, as PEP 610 and pip do, without credentials."""
    vcs, archive = origin.get("vcs_info"), origin.get("archive_info")
    fragments: list[str] = []
    version_control = vcs.get("vcs") if isinstance(vcs, dict) else None
    shown = _without_credentials(url, is_git=version_control == "git")
    if isinstance(vcs, dict):
        shown = f"{version_control}+{shown}@{vcs.get('commit_id', '')}"
    elif isinstance(archive, dict) and isinstance(archive.get("hash"), str):
        fragments.append(archive["hash"])
    if isinstance(origin.get("subdirectory"), str):
        fragments.append(f"subdirectory={origin['subdirectory']}")
    return f"{shown}#{'&'.join(fragments)}" if fragments else shown


def _without_credentials(url: str, *, is_git: bool) -> str:
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    if not at or _VARIABLE.match(credentials) or (is_git and credentials == "git"):
        return url
    return urlunsplit(parts._replace(netloc=host))
