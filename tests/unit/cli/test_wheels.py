# SPDX-License-Identifier: Apache-2.0
"""The command line of ``stxb wheels``: options, plans, mistakes; nothing is built here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stxbuildah.cli.wheelsoptions import parse_size
from stxbuildah.errors import InputError

PROGRAM = Path(sys.executable).with_name("stxb")
LIST = """\
a-1.0-py3-none-any.whl|whl|https://user:secret@h/a-1.0-py3-none-any.whl
b-2.0-py3-none-any.whl|tar|https://h/b-2.0.tar.gz|b-2.0
"""


def stxb(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [PROGRAM, "wheels", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.cfg").write_text(LIST)
    return tmp_path


def test_the_plan(folder: Path) -> None:
    told = stxb(folder, "--config", "a.cfg", "--dry-run", "--format", "json", "--os-codename", "bookworm")
    assert told.returncode == 0, told.stderr
    plan = json.loads(told.stdout)
    assert plan["builder"].startswith("localhost/stxb-wheel-builder:bookworm-wheels-")
    assert plan["folder"].endswith("/std/build-wheels-debian-bookworm-stable/base") or plan["folder"].endswith(
        "stxb-out/build-wheels-debian-bookworm-stable/base"
    )
    assert plan["tarball"].endswith("stx-debian-stable-wheels.tar")
    assert [(step["wheel"], step["action"]) for step in plan["steps"]] == [
        ("b-2.0-py3-none-any.whl", "build"), ("a-1.0-py3-none-any.whl", "download"),
    ]  # fmt: skip
    assert "secret" not in told.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["a.cfg"]


def test_the_plan_to_read(folder: Path) -> None:
    told = stxb(folder, "build", "--config", "a.cfg", "--only", "b", "--dry-run", "--builder", "mine:1")
    assert told.stdout.splitlines()[0] == "builder  mine:1"
    assert told.stdout.splitlines()[2:] == [
        "steps",
        "  1. build b-2.0-py3-none-any.whl from https://h/b-2.0.tar.gz",
        "     because: it was never built here; the longest come first",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--only", "b"), "a tarball holds the wheels of the whole list"),
        (("build", "--only", "c"), "the lists have no wheel c"),
        (("--builder", "a:1", "--builder-base", "b:1"), "exclude each other"),
        (("--build-memory", "much"), "'much' is no size"),
        (("--build-ca-bundle", "absent.crt"), "absent.crt is no file"),
        (("--config", "absent.cfg"), "absent.cfg"),
        (("build", "--os-codename", "warty"), "warty"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(folder: Path, words: tuple[str, ...], sentence: str) -> None:
    told = stxb(folder, *words, *(() if "--config" in words else ("--config", "a.cfg")))
    assert (told.returncode, told.stdout) == (2, "")
    assert sentence in told.stderr


def test_fifty_mistakes_of_a_long_list_are_told_at_once(folder: Path) -> None:
    lines = [
        "broken" if number % 200 == 7 else f"m{number}-1-py3-none-any.whl|pypi|https://h/m{number}-1-py3-none-any.whl"
        for number in range(10_000)
    ]
    (folder / "long.cfg").write_text("\n".join(lines))
    told = stxb(folder, "--config", "long.cfg")
    assert told.returncode == 2
    assert told.stderr.count("long.cfg:") == 50
    assert "long.cfg:9808:1: 'broken' has no '|'" in told.stderr


def test_sizes() -> None:
    assert [parse_size(text) for text in ("0", "17", "2k", "3MiB", "16g", "1TB")] == [
        0, 17, 2048, 3 * 2**20, 16 * 2**30, 2**40,
    ]  # fmt: skip
    for text in ("", "g", "-1", "1.5g", "1x", "²"):
        with pytest.raises(InputError, match="is no size"):
            parse_size(text)
