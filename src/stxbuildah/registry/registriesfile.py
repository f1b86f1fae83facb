# SPDX-License-Identifier: Apache-2.0
"""The files of registries.conf, version 2: found, parsed and merged as containers/image does it."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value

_SYSTEM_FILE = Path("etc/containers/registries.conf")
_SYSTEM_FOLDER = Path("etc/containers/registries.conf.d")
_SYSTEM_ALIASES = Path("var/cache/containers/short-name-aliases.conf")
_WHEN = ("all", "digest-only", "tag-only")
_MODES = ("enforcing", "permissive", "disabled")
# Lines of TOML: blank ones and comments, and a string for a string in which nothing has to be undone.
_NOTHING = re.compile(r"[ \t]*(?:#[\t\x20-\x7e]*)?")
_ALIAS = re.compile(r'[ \t]*"([\w./:@-]*)"[ \t]*=[ \t]*"([\w./:@-]*)"[ \t]*(?:#[\t\x20-\x7e]*)?', re.ASCII)


@attrs.frozen(kw_only=True)
class Mirror(Value):
    """A mirror of a registry or of a part of one.

    Attributes:
        location: what takes the prefix's place.
        insecure: plain HTTP and unknown certificates are allowed.
        when: what it is asked for: ``all``, ``digest-only`` or ``tag-only``.
    """

    location: str
    insecure: bool = False
    when: str = "all"

    def serves(self, *, by_digest: bool) -> bool:
        """Tell whether it is asked for an image by digest, or for one by tag."""
        return self.when in {"all", "digest-only" if by_digest else "tag-only"}


@attrs.frozen(kw_only=True)
class RegistryTable(Value):
    """One ``[[registry]]``.

    Attributes:
        prefix: beginning of the names it is for, or ``*.domain``.
        location: what takes the prefix's place; empty to keep it.
        insecure: plain HTTP and unknown certificates are allowed.
        blocked: nothing may be read or written there.
        mirrors: in the order they are tried.
        source: the file that says so.
    """

    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()
    source: str = ""


@attrs.frozen(kw_only=True)
class Settings(Value):
    """What one file says, or several together.

    Attributes:
        tables: no two with one prefix.
        search: registries of short names, in order; None when nothing is said.
        aliases: images of short names; empty for none.
        short_name_mode: ``enforcing``, ``permissive`` or ``disabled``; empty when nothing is said.
        credential_helpers: in the order they are asked; empty when nothing is said.
    """

    tables: tuple[RegistryTable, ...] = ()
    search: tuple[str, ...] | None = None
    aliases: Mapping[str, str] = attrs.field(factory=dict)
    short_name_mode: str = ""
    credential_helpers: tuple[str, ...] = ()


def read_files(environment: Mapping[str, str], root: Path) -> tuple[Settings, ...]:
    """Read all files, those that count less first.

    The user's registries.conf takes the system's place. Drop-in folders are read on top of either, the system's first;
    the aliases that podman recorded come last.

    Args:
        environment: CONTAINERS_REGISTRIES_CONF, HOME and XDG_CACHE_HOME are looked at.
        root: folder that the system's files are below.

    Raises:
        ProblemsError: mistakes in the files, all of them.
        InputError: a file cannot be read.
    """
    problems: list[Problem] = []
    found = [_read(path, problems) for path in _files(environment, root)]
    if problems:
        raise ProblemsError(problems, hint="containers-registries.conf(5) describes the file")
    return tuple(found)


def _files(environment: Mapping[str, str], root: Path) -> Iterator[Path]:
    home = environment.get("HOME")
    own = Path(home, ".config/containers") if home else None
    if named := environment.get("CONTAINERS_REGISTRIES_CONF"):
        if not Path(named).exists():
            raise InputError(f"the file {named} that CONTAINERS_REGISTRIES_CONF names is not there")
        yield Path(named)
    elif own is not None and (own / "registries.conf").exists():
        yield own / "registries.conf"
    elif (root / _SYSTEM_FILE).exists():
        yield root / _SYSTEM_FILE
    for folder in (root / _SYSTEM_FOLDER, *([own / "registries.conf.d"] if own is not None else [])):
        yield from sorted(path for path in folder.glob("*.conf") if path.is_file())
    cache = environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else "")
    recorded = Path(cache, "containers/short-name-aliases.conf") if cache else None
    if os.getuid() == 0:
        recorded = root / _SYSTEM_ALIASES
    if recorded is not None and recorded.exists():
        yield recorded


def merged(files: Iterable[Settings]) -> Settings:
    """Put files together: a later one replaces tables of the same prefix, and lists as a whole."""
    total = Settings()
    for file in files:
        tables = {table.prefix: table for table in (*total.tables, *file.tables)}
        total = Settings(
            tables=tuple(tables.values()),
            search=total.search if file.search is None else file.search,
            aliases={**total.aliases, **file.aliases},
            short_name_mode=file.short_name_mode or total.short_name_mode,
            credential_helpers=file.credential_helpers or total.credential_helpers,
        )
    return total


def _read(path: Path, problems: list[Problem]) -> Settings:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        problems.append(Problem(source=str(path), message=f"is not UTF-8: {error.reason}"))
        return Settings()
    aliases = only_aliases(text)
    if aliases is not None:
        return parse_settings(aliases, str(path), problems)
    import tomllib

    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(Problem(source=str(path), message=f"is not TOML: {error}"))
        return Settings()
    return parse_settings(content, str(path), problems)


def only_aliases(text: str) -> Mapping[str, Mapping[str, str]] | None:
    """Read a file that holds nothing but comments or a plain table of aliases, as distributions ship them.

    Most machines have such files alone, and to load a parser of TOML takes longer than to read them.

    Returns:
        What TOML would give, or None when the file holds something else.
    """
    aliases: dict[str, str] = {}
    in_table = False
    for line in text.split("\n"):
        if _NOTHING.fullmatch(line):
            continue
        if not in_table and line == "[aliases]":
            in_table = True
            continue
        found = _ALIAS.fullmatch(line)
        if not in_table or found is None or found[1] in aliases:
            return None
        aliases[found[1]] = found[2]
    return {"aliases": aliases} if in_table else {}


def parse_settings(content: Mapping[str, object], source: str, problems: list[Problem]) -> Settings:
    """Read the content of one file.

    Args:
        content: what TOML gave.
        source: the file's name.
        problems: its mistakes are added here.
    """
    reader = _Reader(source, problems)
    if "registries" in content:
        reader.wrong(
            "[registries.search], [registries.insecure] and [registries.block] are version 1, which is not read; "
            "write unqualified-search-registries and [[registry]] tables"
        )
        return Settings()
    tables = [table for entry in reader.tables(content, "registry") if (table := reader.registry(entry)) is not None]
    reader.agree(tables)
    search = reader.strings(content, "unqualified-search-registries")
    return Settings(
        # The last of a prefix counts, as in containers/image.
        tables=tuple({table.prefix: table for table in tables}.values()),
        search=None if search is None else tuple(reader.location(entry) for entry in search),
        aliases=reader.aliases(content),
        short_name_mode=reader.one_of(content, "short-name-mode", _MODES),
        credential_helpers=reader.strings(content, "credential-helpers") or (),
    )


@attrs.frozen
class _Reader(Value):
    """Reads one file; what is wrong is noted and read as if it were not there."""

    source: str
    problems: list[Problem]

    def wrong(self, message: str) -> None:
        self.problems.append(Problem(source=self.source, message=message))

    def tables(self, content: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
        value = content.get(name, [])
        if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            return value
        self.wrong(f"{name} is no array of tables; write [[{name}]]")
        return []

    def strings(self, content: Mapping[str, object], name: str) -> tuple[str, ...] | None:
        value = content.get(name)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        self.wrong(f"{name} is no array of strings")
        return None

    def text(self, content: Mapping[str, object], name: str) -> str:
        value = content.get(name, "")
        if isinstance(value, str):
            return value
        self.wrong(f"{name} is {value!r}, no string")
        return ""

    def flag(self, content: Mapping[str, object], name: str) -> bool:
        value = content.get(name, False)
        if isinstance(value, bool):
            return value
        self.wrong(f"{name} is {value!r}, neither true nor false")
        return False

    def one_of(self, content: Mapping[str, object], name: str, values: tuple[str, ...]) -> str:
        value = self.text(content, name)
        if value and value not in values:
            self.wrong(f"{name} is {value!r}, none of {', '.join(values)}")
            return ""
        return value

    def location(self, text: str) -> str:
        if text.startswith(("http://", "https://")):
            self.wrong(f"{text!r} has a scheme; write host:port/path alone")
        return text.rstrip("/")

    def registry(self, entry: Mapping[str, object]) -> RegistryTable | None:
        location = self.location(self.text(entry, "location"))
        prefix = self.location(self.text(entry, "prefix")) or location
        if not prefix:
            self.wrong("a [[registry]] has neither prefix nor location")
            return None
        if not location and not prefix.startswith("*."):
            self.wrong(f"the [[registry]] with prefix {prefix} has no location")
        if "pull-from-mirror" in entry:
            self.wrong(f"pull-from-mirror is for mirrors, and not for the [[registry]] {prefix}")
        by_digest = self.flag(entry, "mirror-by-digest-only")
        found = [self.mirror(mirror, prefix, by_digest=by_digest) for mirror in self.tables(entry, "mirror")]
        return RegistryTable(
            prefix=prefix,
            location=location,
            insecure=self.flag(entry, "insecure"),
            blocked=self.flag(entry, "blocked"),
            mirrors=tuple(mirror for mirror in found if mirror is not None),
            source=self.source,
        )

    def mirror(self, entry: Mapping[str, object], prefix: str, *, by_digest: bool) -> Mirror | None:
        location = self.location(self.text(entry, "location"))
        if not location:
            self.wrong(f"a mirror of {prefix} has no location")
            return None
        when = self.one_of(entry, "pull-from-mirror", _WHEN)
        if when and by_digest:
            self.wrong(
                f"{prefix} has mirror-by-digest-only, and its mirror {location} pull-from-mirror; one of them goes"
            )
        return Mirror(
            location=location,
            insecure=self.flag(entry, "insecure"),
            when="digest-only" if by_digest else when or "all",
        )

    def agree(self, tables: Iterable[RegistryTable]) -> None:
        by_location: dict[str, RegistryTable] = {}
        rules: tuple[tuple[str, Callable[[RegistryTable], bool]], ...] = (
            ("insecure", lambda table: table.insecure),
            ("blocked", lambda table: table.blocked),
        )
        for table in tables:
            first = by_location.setdefault(table.location or table.prefix, table)
            for name, value in rules:
                if value(first) != value(table):
                    self.wrong(f"the location {table.location or table.prefix} is given twice, with unlike {name}")

    def aliases(self, content: Mapping[str, object]) -> Mapping[str, str]:
        value = content.get("aliases", {})
        if not isinstance(value, dict):
            self.wrong("aliases is no table; write [aliases]")
            return {}
        return {name: image for name, image in value.items() if self.is_alias(name, image)}

    def is_alias(self, name: str, image: object) -> bool:
        # An empty image takes an alias of an earlier file away.
        if not _is_name(name, short=True):
            self.wrong(f"the alias {name!r} is no short name; it has no registry, no tag and no digest")
        elif not isinstance(image, str) or (image and not _is_name(image, short=False)):
            self.wrong(f"the alias {name} stands for {image!r}, not for a registry and a repository alone")
        else:
            return True
        return False


def _is_name(text: str, *, short: bool) -> bool:
    try:
        reference = ImageReference.parse(text)
    except InputError:
        return False
    return reference.name == text and bool(reference.registry) != short
