# SPDX-License-Identifier: Apache-2.0
"""Which packages a LOCI image is given: chosen by bindep's rules, for the image's system and not for this machine's."""

import functools
import re
from collections.abc import Collection, Iterable, Sequence

from stxbuildah.errors import InputError
from stxbuildah.model.inventory import OsRelease

_DEBIAN = frozenset({"debian", "ubuntu"})
# As bindep calls the families of systems; where ID is not among them, ID_LIKE may be.
_REDHAT = frozenset({"rhel", "centos", "fedora", "rocky", "almalinux", "ol", "oracle"})
_SUSE = frozenset({"suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed"})
_SELECTOR = re.compile(r"\[([^\]]*)\]")


def platform_profiles(system: OsRelease) -> frozenset[str]:
    """Give bindep's platform profiles of a system, as bindep would find them on it.

    Args:
        system: what the image says of its system.
    """
    name = "".join(system.id.split()).lower()
    family = {name, *system.id_like}
    atoms = {name, *_steps(name, system.version_id.lower().split(".")), *_steps(name, [system.codename], "-")}
    if family & _DEBIAN:
        atoms |= {"dpkg", "base-py3"}
    elif family & _REDHAT:
        old = system.version_id.partition(".")[0] in {"6", "7"} and "fedora" not in name
        atoms |= {"rpm", "redhat", "base-py2" if old else "base-py3"}
    elif family & _SUSE:
        atoms |= {"rpm", "suse"}
    return frozenset(f"platform:{atom}" for atom in atoms if atom)


def _steps(name: str, parts: Sequence[str], joint: str = ".") -> set[str]:
    """Give a release and what it is part of, as debian-12 and debian-12.4."""
    return {f"{name}-{joint.join(parts[: count + 1])}" for count in range(len(parts)) if parts[count]}


def selected(text: str, profiles: Collection[str], source: str) -> tuple[str, ...]:
    """Give the packages that a bindep file names for some profiles, in its order.

    Args:
        text: the file.
        profiles: those that are on, the platform's among them.
        source: the file's name, for messages.

    Raises:
        InputError: a line that may count is none of bindep's.
    """
    lines = tuple(line for line in _rules(text) if _may_count(line, profiles))
    if not lines:
        return ()
    return tuple(dict.fromkeys(_active(lines, frozenset(profiles), source)))


def _rules(text: str) -> Iterable[str]:
    for line in text.splitlines():
        rule = line.partition("#")[0].rstrip()
        if rule:
            yield rule


def _may_count(line: str, profiles: Collection[str]) -> bool:
    """Tell whether a rule may hold; most of a file's need not be given to bindep, whose parser is slow.

    A rule whose profiles are all asked for, and none of which is on, cannot.
    """
    selector = _SELECTOR.search(line)
    if selector is None or "!" in selector[1]:
        return True
    words = [word for word in re.split(r"[\s()]+", selector[1]) if word and not word.startswith("platform:")]
    return not words or any(word in profiles for word in words)


@functools.lru_cache(maxsize=256)
def _active(lines: tuple[str, ...], profiles: frozenset[str], source: str) -> tuple[str, ...]:
    # A fifth of a second, and its grammar two more: for whoever has rules.
    from bindep.depends import Depends, DependsException  # type: ignore[import-untyped]

    try:
        rules = Depends("".join(f"{line}\n" for line in lines), source).active_rules(profiles)
    except DependsException as error:
        raise InputError(
            f"{source} cannot be read: {str(error).strip().splitlines()[-1]}",
            hint="a line is PACKAGE [PROFILE ...], see bindep's documentation",
        ) from error
    return tuple(str(name) for name, *_ in rules)
