# SPDX-License-Identifier: Apache-2.0
"""The settings files of buildah, podman and skopeo: found, read and merged as those programs do.

Which file counts is told by containers.conf(5) and containers-storage.conf(5). A file of our own holds everything the
user's files hold, plus what this machine needs.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TypeAlias

import attrs

from stxbuildah.errors import InputError

Value: TypeAlias = "str | int | float | bool | datetime | date | time | Sequence[Value] | Mapping[str, Value]"
Table: TypeAlias = Mapping[str, Value]

SYSTEM_FOLDERS = (Path("/usr/share/containers"), Path("/etc/containers"))
_BARE_KEY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@attrs.frozen(kw_only=True)
class Places:
    """Where an account's container programs look for their settings and keep images.

    Attributes:
        rootless: the account is not root.
        environment: the account's environment.
        system: the system's settings folders, the later one wins.
    """

    rootless: bool
    environment: Mapping[str, str]
    system: tuple[Path, ...] = SYSTEM_FOLDERS

    @property
    def home(self) -> Path:
        """The account's home; ``/`` when the environment names none."""
        return Path(self.environment.get("HOME") or "/")

    @property
    def user_folder(self) -> Path:
        """The account's own settings folder."""
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config") / "containers"

    @property
    def default_graph_root(self) -> Path:
        """The folder of images when no file names another."""
        if not self.rootless:
            return Path("/var/lib/containers/storage")
        return Path(self.environment.get("XDG_DATA_HOME") or self.home / ".local/share") / "containers/storage"

    @property
    def default_run_root(self) -> Path:
        """Root's folder of run-time state when no file names another."""
        return Path("/run/containers/storage")

    def containers_conf(self) -> tuple[Path, ...]:
        """Give the containers.conf files that are there, the later one wins.

        CONTAINERS_CONF stands for all of them. The files of ``containers.conf.d`` come after the file beside them, in
        the order of their names.

        Raises:
            InputError: CONTAINERS_CONF names a file that is not there.
        """
        named = self.environment.get("CONTAINERS_CONF")
        if named:
            return (_existing(Path(named), "CONTAINERS_CONF"),)
        folders = (*self.system, self.user_folder) if self.rootless else self.system
        found: list[Path] = []
        for folder in folders:
            main = folder / "containers.conf"
            found += [main] if main.is_file() else []
            found += sorted((folder / "containers.conf.d").glob("*.conf"))
        return tuple(found)

    def storage_conf(self) -> Path | None:
        """Give the one storage.conf that counts, or None when there is none.

        Raises:
            InputError: CONTAINERS_STORAGE_CONF names a file that is not there.
        """
        named = self.environment.get("CONTAINERS_STORAGE_CONF")
        if named:
            return _existing(Path(named), "CONTAINERS_STORAGE_CONF")
        folders = (*self.system, self.user_folder) if self.rootless else self.system
        for folder in reversed(folders):
            if (folder / "storage.conf").is_file():
                return folder / "storage.conf"
        return None

    def is_own(self, path: Path) -> bool:
        """Tell whether a file is the account's own, found in its usual place."""
        return path.parent == self.user_folder and not self.environment.get("CONTAINERS_STORAGE_CONF")

    def is_default(self, path: Path) -> bool:
        """Tell whether a file is the distribution's default, which no administrator wrote."""
        return path.parent == self.system[0]

    def is_system(self, path: Path) -> bool:
        """Tell whether a file is one of the system's, whose folders are meant for root."""
        return path.parent in self.system


def _existing(path: Path, variable: str) -> Path:
    if not path.is_file():
        raise InputError(
            f"{variable} names {path}, which is not a file", hint=f"correct {variable}, or unset it for the defaults"
        )
    return path


def read_table(path: Path) -> Table:
    """Read a TOML file.

    Raises:
        InputError: it cannot be read, or is not TOML.
    """
    import tomllib

    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}", hint="podman and buildah refuse the file, too") from error


def merged(tables: Sequence[Table]) -> Table:
    """Merge settings, the later ones win key by key, as containers.conf(5) tells it.

    A list takes the place of the earlier one, unless the later ends in ``{append = true}``: then it is added to it,
    and the mark stays for lists that come later still.
    """
    result: dict[str, Value] = {}
    for table in tables:
        for key, value in table.items():
            before = result.get(key)
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                result[key] = merged((before, value))
            elif _is_list(value) and _is_list(before):
                result[key] = _merged_lists(before, value)
            else:
                result[key] = value
    return result


def value_at(table: Table, section: str, key: str) -> "Value | None":
    """Give a setting, or None when it is not set.

    Args:
        table: a whole file's content.
        section: the section's dotted name, as ``storage.options``.
        key: the setting's name.
    """
    current: Table = table
    for part in section.split("."):
        inner = current.get(part)
        if not isinstance(inner, Mapping):
            return None
        current = inner
    return current.get(key)


def text_at(table: Table, section: str, key: str) -> str:
    """Give a setting that is a text, or an empty one when it is not set."""
    value = value_at(table, section, key)
    return value if isinstance(value, str) else ""


def toml_text(table: Table) -> str:
    """Write settings as TOML 1.0."""
    return "\n".join(_lines(table, ())) + "\n"


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _merged_lists(before: object, after: object) -> list[Value]:
    old = list(before) if isinstance(before, list | tuple) else []
    new = list(after) if isinstance(after, list | tuple) else []
    mark = new[-1] if new and isinstance(new[-1], Mapping) and "append" in new[-1] else None
    if mark is None or mark["append"] is not True:
        return new
    return [*(item for item in old if not (isinstance(item, Mapping) and "append" in item)), *new]


def _lines(table: Table, section: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"[{'.'.join(_key(part) for part in section)}]"] if section and (plain or not inner) else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in inner.items():
        lines += _lines(value, (*section, key))
    return lines


def _key(key: str) -> str:
    return key if key and _BARE_KEY.issuperset(key) else _string(key)


def _value(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case int() | float():
            return repr(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
        case _:
            return "[" + ", ".join(_value(item) for item in value) + "]"


def _string(text: str) -> str:
    import json

    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_private(folder: Path, stem: str, text: str) -> Path:
    """Write a file of our own, named after its content so that it never changes under a running program.

    Args:
        folder: made when it is not there, for this account alone.
        stem: first part of the name, as ``containers``.
        text: the content.

    Raises:
        OSError: the folder cannot be made or written.
    """
    import hashlib

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.conf"
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path
