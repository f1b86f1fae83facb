# SPDX-License-Identifier: Apache-2.0
"""What an image starts with, found without running it."""

import pytest

from stxbuildah.layer.documents import Json
from stxbuildah.layer.entrypoint import entry_argv, find_entry_point, variables
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.tree import Entry, Kind
from tests.unit.layer.elf_maker import AARCH64, make_elf

RUN = Entry(Kind.FILE, mode=0o755)
PROGRAM = (RUN, make_elf(static=True))
TREE = MemoryTree(
    {
        "/usr/bin/python3": PROGRAM,
        "/bin": symlink("usr/bin"),
        "/usr/bin/env": PROGRAM,
        "/usr/bin/dumb-init": PROGRAM,
        "/usr/bin/arm": (RUN, make_elf(machine=AARCH64)),
        "/usr/bin/notes": (RUN, b"just text"),
        "/usr/bin/empty": (RUN, b"#!  \n"),
        "/usr/bin/closed": b"#!/bin/python3\n",
        "/usr/bin/serve": (RUN, b"#! /bin/python3 -I\nimport serve\n"),
        "/usr/bin/by-env": (RUN, b"#!/usr/bin/env python3\n"),
        "/usr/bin/split": (RUN, b"#!/usr/bin/env -S -i A=b python3 -I\n"),
        "/usr/bin/no-env": (RUN, b"#!/usr/bin/env python9\n"),
        "/usr/bin/orphan": (RUN, b"#!/opt/none\n"),
        "/usr/bin/round": (RUN, b"#!/usr/bin/round\n"),
        **{f"/usr/bin/deep{n}": (RUN, f"#!/usr/bin/deep{n + 1}\n".encode()) for n in range(7)},
        "/srv/start": PROGRAM,
        "/usr/local/bin/serve": Entry(Kind.DIRECTORY, mode=0o755),
    }
)


def settings(*argv: str, **others: Json) -> dict[str, Json]:
    return {"Entrypoint": list(argv), **others}


@pytest.mark.parametrize(
    ("config", "programs"),
    [
        (settings("python3"), ("/usr/bin/python3",)),
        (settings("/bin/python3"), ("/usr/bin/python3",)),
        ({"Cmd": ["python3"], "Entrypoint": None}, ("/usr/bin/python3",)),
        (settings("serve"), ("/usr/bin/serve", "/usr/bin/python3")),
        (settings("by-env"), ("/usr/bin/by-env", "/usr/bin/env", "/usr/bin/python3")),
        (settings("split"), ("/usr/bin/split", "/usr/bin/env", "/usr/bin/python3")),
        (settings("dumb-init", "--verbose", "--", "serve", "-x"),
         ("/usr/bin/dumb-init", "/usr/bin/serve", "/usr/bin/python3")),
        (settings("env", "A=b", "python3"), ("/usr/bin/env", "/usr/bin/python3")),
        (settings("./start", WorkingDir="/srv"), ("/srv/start",)),
        (settings("start", Env=["PATH=/srv"]), ("/srv/start",)),
        ({}, ()),
    ],
)  # fmt: skip
def test_programs(config: dict[str, Json], programs: tuple[str, ...]) -> None:
    found = find_entry_point(TREE, config, "amd64")
    assert (found.programs, found.problems) == (programs, ())


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (settings("absent"), "absent is not on PATH"),
        (settings("/opt/absent"), "/opt/absent is not there"),
        (settings("/usr/bin"), "/usr/bin is no file"),
        (settings("closed"), "closed is not on PATH"),
        (settings("/usr/bin/closed"), "/usr/bin/closed may not be executed: its mode is 0644"),
        (settings("arm"), "/usr/bin/arm is for another processor than the image"),
        (settings("notes"), "/usr/bin/notes is neither a program nor a script with #!"),
        (settings("empty"), "/usr/bin/empty names no interpreter behind #!"),
        (settings("orphan"), "/opt/none, the interpreter of /usr/bin/orphan, is not there"),
        (settings("no-env"), "python9, the interpreter of /usr/bin/no-env, is not on PATH"),
        (settings("dumb-init", "absent"), "absent is not on PATH"),
        (settings("deep0"), "/usr/bin/deep5 has more interpreters behind each other than the kernel follows"),
        (settings("round"), "/usr/bin/round has more interpreters behind each other than the kernel follows"),
        (settings("python3", Env=["PATH=/none"]), "python3 is not on PATH"),
    ],
)  # fmt: skip
def test_problems(config: dict[str, Json], problem: str) -> None:
    assert find_entry_point(TREE, config, "amd64").problems == (problem,)


def test_an_architecture_that_is_not_known_fits_all() -> None:
    assert find_entry_point(TREE, settings("arm"), "mips").problems == ()


def test_what_a_configuration_says() -> None:
    config: dict[str, Json] = {"Entrypoint": ["a", "b"], "Cmd": ["c"], "Env": ["X=1=2", "EMPTY="]}
    assert entry_argv(config) == ("a", "b", "c")
    found = variables(config)
    assert (found["X"], found["EMPTY"]) == ("1=2", "")
    assert "/usr/bin" in found["PATH"].split(":")
