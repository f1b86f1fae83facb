# SPDX-License-Identifier: Apache-2.0
"""Manual pages: everything that the commands know is in them, and roff takes all of it as it is meant."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stxbuildah.cli.main import COMMANDS, stxb
from stxbuildah.cli.manpages import pages, write_pages

ROOT = Path(__file__).resolve().parents[3]
EPOCH = 1_700_000_000
# The same checks by several programs; each is used where it is installed.
CHECKERS = (
    ("mandoc", "-T", "lint", "-W", "warning"),
    ("groff", "-man", "-ww", "-z", "-T", "utf8"),
    ("man", "--warnings=w", "-l"),
)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        ctx = click.Context(command, info_name=name)
        for word in command.list_commands(ctx):
            child = command.get_command(ctx, word)
            assert child is not None
            yield from commands(child, f"{name}-{word}")


def plain(page: str) -> str:
    """The page without the marks of roff."""
    text = re.sub(r"\\f[BIR]", "", page)
    return text.replace("\\-", "-").replace("\\(ti", "~").replace("\\(ha", "^").replace("\\&", "").replace("\\e", "\\")


def test_each_command_has_a_page_with_each_of_its_options() -> None:
    made = dict(pages(EPOCH))
    assert {f"stxb-{name}" for name in COMMANDS} < made.keys()
    for name, command in commands(stxb, "stxb"):
        text = plain(made.pop(name))
        assert text.startswith(f'.TH "{name.upper()}" 1 "2023-11-14"')
        assert "Show this message and exit." in text
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                for option in parameter.opts:
                    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), f"{name}: {option}"
    assert made == {}


def test_the_first_page_names_all_commands() -> None:
    text = plain(dict(pages(EPOCH))["stxb"])
    for name, (_, line) in COMMANDS.items():
        assert f"stxb-{name}(1)\n{line[:40]}" in text


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda words: words[0])
def test_nothing_in_the_pages_is_wrong(checker: tuple[str, ...], tmp_path: Path) -> None:
    program = shutil.which(checker[0])
    if program is None:
        pytest.skip(f"{checker[0]} is not installed")
    argv = [*checker, *map(str, write_pages(tmp_path / "man1", EPOCH))]
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    if checker[0] == "mandoc":
        assert ended.stdout == ""


def test_a_build_has_what_the_pages_are_made_of() -> None:
    """Nothing else than what pyproject.toml installs for a build is imported."""
    code = "import sys; before = set(sys.modules); import stxbuildah.cli.manpages as m; list(m.pages(0));"
    code += "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    known = {re.split(r"[^a-z]", requirement)[0] for requirement in requires}
    foreign = set(ended.stdout.split()) - set(sys.stdlib_module_names) - {"attr", "stxbuildah"}
    assert foreign <= known
