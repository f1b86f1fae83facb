# SPDX-License-Identifier: Apache-2.0
"""Which installed Debian packages others need, and which were asked for, by what dpkg and apt keep of them."""

import re
from collections.abc import Collection, Iterator

import attrs

from stxbuildah.layer.paths import read_file
from stxbuildah.model.tree import FileTree

_STATUS = "/var/lib/dpkg/status"
APT_STATES = "/var/lib/apt/extended_states"
_AUTOMATIC = re.compile(r"^Package:[ \t]*(\S+)$(?=.*^Auto-Installed:[ \t]*1$)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^(Package|Status|Provides|Depends|Pre-Depends|Essential):[ \t]*(.*)$", re.MULTILINE)
_VERSION = re.compile(r"\([^)]*\)|\[[^\]]*\]")


@attrs.frozen(kw_only=True)
class DebDependencies:
    """The dependencies of installed packages, by their names.

    Attributes:
        installed: names of the packages.
        needs: of each package, its dependencies: of each the names that fulfil it.
        providers: of each name that is not a package's own, the packages that stand in for it.
    """

    installed: frozenset[str]
    needs: dict[str, tuple[tuple[str, ...], ...]]
    providers: dict[str, tuple[str, ...]]

    def needed_by(self, wanted: Collection[str]) -> frozenset[str]:
        """Give packages with all that they need, at any depth.

        Of alternatives, and of several packages that stand in for one, all that are installed count: rather too many
        are kept than one too few. Versions do not count, since dpkg has looked at them.

        Args:
            wanted: names of packages; others than installed ones are passed over.
        """
        kept: set[str] = set()
        waiting = [package for name in wanted for package in self._packages(name)]
        while waiting:
            package = waiting.pop()
            if package in kept:
                continue
            kept.add(package)
            for alternatives in self.needs.get(package, ()):
                waiting.extend(found for name in alternatives for found in self._packages(name))
        return frozenset(kept)

    def _packages(self, name: str) -> Iterator[str]:
        if name in self.installed:
            yield name
        yield from self.providers.get(name, ())


def read_dependencies(tree: FileTree) -> DebDependencies:
    """Read the dependencies of an image's packages; there are none where dpkg has no database."""
    text = (read_file(tree, _STATUS) or b"").decode("utf-8", "replace")
    needs: dict[str, tuple[tuple[str, ...], ...]] = {}
    providers: dict[str, list[str]] = {}
    for stanza in text.split("\n\n"):
        fields = dict(_FIELD.findall(stanza))
        name = fields.get("Package", "").strip()
        if not name or fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        relations = [fields.get(field, "") for field in ("Depends", "Pre-Depends")]
        needs[name] = tuple(_names(part) for relation in relations for part in relation.split(",") if part.strip())
        for part in fields.get("Provides", "").split(","):
            for provided in _names(part):
                providers.setdefault(provided, []).append(name)
    return DebDependencies(
        installed=frozenset(needs),
        needs=needs,
        providers={name: tuple(packages) for name, packages in providers.items()},
    )


def automatic_packages(tree: FileTree) -> frozenset[str]:
    """Give the packages that apt has installed because others need them, and not because they were asked for."""
    text = (read_file(tree, APT_STATES) or b"").decode("utf-8", "replace")
    return frozenset(found[1] for stanza in text.split("\n\n") if (found := _AUTOMATIC.search(stanza)))


def _names(relation: str) -> tuple[str, ...]:
    """Give the names of ``a (>= 1) | b:any [amd64]``."""
    words = (_VERSION.sub("", part).strip().partition(":")[0] for part in relation.split("|"))
    return tuple(word for word in words if word)
