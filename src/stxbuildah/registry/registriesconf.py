# SPDX-License-Identifier: Apache-2.0
"""registries.conf: where a repository really lies, and which image a short name means.

Prefixes are matched, mirrors ordered and names rewritten as containers-registries.conf(5) says and containers/image
does it (``pkg/sysregistriesv2``); the files themselves are read by ``registriesfile``.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.registriesfile import Mirror, RegistryTable, Settings, merged, read_files

_DOCKER = "docker.io"
_ENFORCING = "enforcing"


@attrs.frozen
class Registries(Value):
    """What all files of registries.conf together say.

    Attributes:
        settings: their content, merged.
    """

    settings: Settings = attrs.field(factory=Settings)

    def endpoints(self, reference: ImageReference, *, pull: bool) -> tuple[Endpoint, ...]:
        """Give the places where an image is looked for, in order.

        A pull tries the mirrors, then the location. A push goes to what the user named: "redirection and mirrors
        are currently processed only when reading images, not when pushing" (containers-registries.conf(5)).

        Raises:
            InputError: the registry is blocked, or a location makes no repository of the name.
        """
        named = normal(reference)
        table = self._table(named)
        if table is None:
            return (_endpoint(named),)
        if not pull:
            return (attrs.evolve(_endpoint(named), insecure=table.insecure),)
        mirrors = (mirror for mirror in table.mirrors if mirror.serves(by_digest=bool(named.digest)))
        places = [*self._mirrored(named, table, mirrors)]
        places.append(attrs.evolve(self._moved(named, table, table.location), insecure=table.insecure))
        return tuple(places)

    def candidates(self, reference: ImageReference) -> tuple[ImageReference, ...]:
        """Give the images that a name may stand for, in the order they are tried; one with a registry is itself.

        Raises:
            InputError: a short name has no alias and no registry to be searched in, or too many of them.
        """
        if reference.registry:
            return (normal(reference),)
        alias = self.settings.aliases.get(reference.name)
        if alias:
            return (normal(attrs.evolve(reference, name=alias)),)
        search = self.settings.search or ()
        hint = f"write the registry too, as docker.io/library/{reference.label}"
        if not search:
            raise InputError(
                f"the short name {reference} has no alias, and registries.conf names no unqualified-search-registries",
                hint=hint,
            )
        if len(search) > 1 and self.settings.short_name_mode == _ENFORCING:
            raise InputError(
                f"the short name {reference} may be in {', '.join(search)}, and registries.conf demands a choice",
                hint=hint,
            )
        return tuple(normal(attrs.evolve(reference, name=f"{registry}/{reference.name}")) for registry in search)

    def _table(self, named: ImageReference) -> RegistryTable | None:
        text = str(named)
        matching = [table for table in self.settings.tables if prefix_length(text, table.prefix) is not None]
        # Of two that are as long a host's own name is more particular than a wildcard.
        table = max(matching, key=lambda table: (len(table.prefix), table.prefix[0] != "*"), default=None)
        if table is not None and table.blocked:
            raise InputError(
                f"{named.name} is blocked by {table.source} (prefix {table.prefix})",
                hint="use another registry, or ask whoever keeps that file",
            )
        return table

    def _mirrored(self, named: ImageReference, table: RegistryTable, mirrors: Iterable[Mirror]) -> Iterator[Endpoint]:
        for mirror in mirrors:
            place = self._moved(named, table, mirror.location)
            yield attrs.evolve(place, insecure=mirror.insecure, mirror=True)

    def _moved(self, named: ImageReference, table: RegistryTable, location: str) -> Endpoint:
        text = rewritten(str(named), table.prefix, location)
        try:
            moved = ImageReference.parse(text)
        except InputError as error:
            raise InputError(f"{table.source}: the location {location} makes {text!r} of {named}, no image") from error
        if not moved.registry:
            raise InputError(f"{table.source}: the location {location} names no registry for {named}")
        if moved.name != named.name:
            # Blocked is blocked, also by way of another name.
            self._table(moved)
        return _endpoint(moved)


def read_registries(environment: Mapping[str, str], *, root: Path = Path("/")) -> Registries:
    """Read what the user and the system say about registries.

    Args:
        environment: the variables that podman reads: CONTAINERS_REGISTRIES_CONF, HOME, XDG_CACHE_HOME.
        root: folder that the system's files are below.

    Raises:
        InputError: a file cannot be read or is of version 1; all mistakes of all files are told together.
    """
    return Registries(merged(read_files(environment, root)))


def normal(reference: ImageReference) -> ImageReference:
    """Give a reference in full, with Docker's names made one (github.com/distribution/reference, ``normalize.go``)."""
    full = reference.qualified
    registry, _, path = full.name.partition("/")
    if registry not in {_DOCKER, "index.docker.io"}:
        return full
    return attrs.evolve(full, name=f"{_DOCKER}/{path if '/' in path else f'library/{path}'}")


def prefix_length(text: str, prefix: str) -> int | None:
    """Tell how much of an image's name a prefix stands for; None when it does not match.

    Args:
        text: ``registry/path[:tag][@digest]``.
        prefix: a beginning of it that ends where a part ends, or ``*.domain`` for any host below a domain.
    """
    if not prefix.startswith("*."):
        return len(prefix) if text.startswith(prefix) and _ends_part(text, len(prefix)) else None
    domain = prefix[1:]
    place = text.find(domain)
    while place > 0 and "/" not in text[:place]:
        if _ends_part(text, place + len(domain)):
            return place + len(domain)
        place = text.find(domain, place + 1)
    return None


def _ends_part(text: str, place: int) -> bool:
    return place == len(text) or text[place] in ":/@"


def rewritten(text: str, prefix: str, location: str) -> str:
    """Give the name that an image has at a location.

    Args:
        text: its name, which matches the prefix.
        prefix: what the location stands for.
        location: what takes the prefix's place; empty to keep it.
    """
    length = prefix_length(text, prefix)
    return text if length is None or not location else location + text[length:]


def _endpoint(named: ImageReference) -> Endpoint:
    registry, _, repository = named.name.partition("/")
    return Endpoint(registry=registry, repository=repository)
