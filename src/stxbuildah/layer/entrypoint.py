# SPDX-License-Identifier: Apache-2.0
"""The programs that an image starts with, as its configuration names them and its files have them.

Nothing runs: a name is looked up as execvp(3) would, a script's interpreter as execve(2) would.
"""

import re
from collections.abc import Mapping, Sequence

import attrs

from stxbuildah.layer.documents import Json
from stxbuildah.layer.elfdynamic import kind_of
from stxbuildah.layer.environment import DEFAULT_PATH
from stxbuildah.layer.paths import base_name, entry_at, join, resolve
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.value import Value

_EXECUTABLE = 0o111
# What the kernel reads of a file to see how it is run (BINPRM_BUF_SIZE), and how often interpreters may follow.
_HEAD, _MAXIMUM_INTERPRETERS = 256, 5
# Programs that do nothing but start another one, named by the first word that is no option.
_STARTERS = frozenset({"dumb-init", "tini", "tini-static", "catatonit", "env", "exec"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
# e_machine of elf(5) by the architecture that images say; an amd64 kernel runs programs of 386, arm64 those of arm.
_MACHINES: dict[str, frozenset[int]] = {
    "amd64": frozenset({62, 3}),
    "386": frozenset({3}),
    "arm64": frozenset({183, 40}),
    "arm": frozenset({40}),
    "ppc64le": frozenset({21}),
    "s390x": frozenset({22}),
    "riscv64": frozenset({243}),
    "loong64": frozenset({258}),
}


@attrs.frozen(kw_only=True)
class EntryPoint(Value):
    """What an image starts with.

    Attributes:
        argv: the program and its arguments, as the configuration has them; empty when it names none.
        programs: canonical paths of the programs that this takes: the program, its interpreters, what it starts.
        problems: what keeps one from running, a sentence each.
    """

    argv: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def entry_argv(settings: Mapping[str, Json]) -> tuple[str, ...]:
    """Give what a container of an image runs when nothing else is said.

    Args:
        settings: ``config`` of the image's configuration.
    """
    return tuple(word for name in ("Entrypoint", "Cmd") for word in _words(settings.get(name)))


def variables(settings: Mapping[str, Json]) -> dict[str, str]:
    """Give the variables that an image's configuration sets, with a PATH in any case."""
    pairs = (variable.partition("=") for variable in _words(settings.get("Env")))
    return {"PATH": DEFAULT_PATH, **{name: value for name, _, value in pairs}}


def find_entry_point(tree: FileTree, settings: Mapping[str, Json], architecture: str) -> EntryPoint:
    """Find the programs that an image starts with.

    Args:
        tree: the image.
        settings: ``config`` of its configuration.
        architecture: what its programs must be for, as ``amd64``; one that is not known fits all.
    """
    argv = entry_argv(settings)
    finding = _Finding(
        tree=tree,
        path=variables(settings)["PATH"],
        workdir=str(settings.get("WorkingDir") or "/"),
        machines=_MACHINES.get(architecture, frozenset()),
    )
    waiting = argv
    while waiting:
        finding.add(waiting[0], "")
        waiting = _started(waiting)
    return EntryPoint(argv=argv, programs=tuple(finding.programs), problems=tuple(finding.problems))


def _words(value: Json) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _started(argv: Sequence[str]) -> tuple[str, ...]:
    """Give what a program that starts another is told to start; nothing for other programs."""
    if base_name(argv[0]) not in _STARTERS:
        return ()
    for number, word in enumerate(argv[1:], start=1):
        if not word.startswith("-") and not _ASSIGNMENT.match(word):
            return tuple(argv[number:])
    return ()


@attrs.define(kw_only=True)
class _Finding:
    """Collects programs and what is wrong with them.

    Attributes:
        tree: the image.
        path: PATH.
        workdir: folder that relative paths start from.
        machines: machines whose programs run; empty when that is not known.
        programs: canonical paths found so far.
        problems: what was wrong so far.
    """

    tree: FileTree
    path: str
    workdir: str
    machines: frozenset[int]
    programs: list[str] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)

    def add(self, name: str, script: str, depth: int = 0) -> None:
        """Look a program up, and the interpreters that it takes.

        Args:
            name: a path, or a name to look up.
            script: the script whose interpreter it is; empty for none.
            depth: interpreters so far.
        """
        asked = f", the interpreter of {script}," if script else ""
        found = self._look_up(name)
        real = resolve(self.tree, found) if found else None
        entry = self.tree.lstat(real) if real else None
        if real is None or entry is None:
            self.problems.append(f"{name}{asked} is not there" if "/" in name else f"{name}{asked} is not on PATH")
        elif entry.kind is not Kind.FILE:
            self.problems.append(f"{name}{asked} is no file")
        elif not entry.mode & _EXECUTABLE:
            self.problems.append(f"{name}{asked} may not be executed: its mode is {entry.mode:04o}")
        else:
            if real not in self.programs:
                self.programs.append(real)
            self._look_into(real, depth)

    def _look_up(self, name: str) -> str:
        if "/" in name:
            return join(self.workdir, name)
        places = (join(self.workdir, folder or ".", name) for folder in self.path.split(":"))
        return next((place for place in places if self._is_program(place)), "")

    def _is_program(self, path: str) -> bool:
        entry = entry_at(self.tree, path)
        return entry is not None and entry.kind is Kind.FILE and bool(entry.mode & _EXECUTABLE)

    def _look_into(self, program: str, depth: int) -> None:
        head = self.tree.read_start(program, _HEAD)
        kind = kind_of(head)
        if kind is not None:
            if self.machines and kind[0] not in self.machines:
                self.problems.append(f"{program} is for another processor than the image")
        elif not head.startswith(b"#!"):
            self.problems.append(f"{program} is neither a program nor a script with #!")
        elif depth >= _MAXIMUM_INTERPRETERS:
            self.problems.append(f"{program} has more interpreters behind each other than the kernel follows")
        else:
            line = head[2:].split(b"\n", 1)[0].decode("utf-8", "surrogateescape").strip(" \t")
            words = line.split(None, 1)
            if not words:
                self.problems.append(f"{program} names no interpreter behind #!")
                return
            self.add(words[0], program, depth + 1)
            # env splits its one argument itself with -S; without, it is the name as it stands.
            rest = words[1] if len(words) > 1 else ""
            split = rest.split() if rest.startswith("-") else [rest.rstrip(" \t\r")]
            started = _started([words[0], *split]) if rest else ()
            if started:
                self.add(started[0], program, depth + 1)
