# SPDX-License-Identifier: Apache-2.0
"""Command lines that shells complete: the real shells, where they are installed."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IMAGES = [{"id": "1", "names": ["localhost/stx-nova:1.0", "registry.example:5000/stx-aodh:v2"], "created": 1}]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where stxb is on PATH, and a buildah that lists two images."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "stxb").symlink_to(Path(sys.executable).with_name("stxb"))
    (folder / "buildah").write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(IMAGES)}\nEND\n")
    (folder / "buildah").chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}


def run(environment: dict[str, str], *argv: str) -> list[str]:
    ended = subprocess.run(argv, env=environment, cwd=environment["HOME"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def by_bash(environment: dict[str, str], line: str) -> list[str]:
    """Complete a line as bash does, which breaks words at colons."""
    words = [piece for piece in line.replace(":", " : ").split(" ") if piece]
    if line.endswith((" ", ":")):
        words.append("")
    script = f"""
        eval "$(stxb completion bash)"
        COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        _stxb_completion stxb
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return run(environment, "bash", "--norc", "--noprofile", "-c", script)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("stxb up", ["update"]),
        ("stxb completion ", ["bash", "zsh", "fish"]),
        ("stxb update --dry", ["--dry-run", "--dryrun"]),
        ("stxb save stx", ["stx-nova:1.0"]),
        ("stxb history localhost/", ["localhost/stx-nova:1.0"]),
        ("stxb update --from registry.example", ["registry.example:5000/stx-aodh:v2"]),
        # bash replaces only what follows the colon.
        ("stxb update --from registry.example:50", ["5000/stx-aodh:v2"]),
        ("stxb diff localhost/stx-nova:1.0 registry.example:5000/stx-aodh:", ["v2"]),
    ],
)
def test_bash(environment: dict[str, str], line: str, expected: list[str]) -> None:
    found = by_bash(environment, line)
    assert [value for value in found if not expected[0].startswith("--") or value in expected] == expected


def test_bash_completes_files(environment: dict[str, str]) -> None:
    # By its own means, which compopt asks for; outside of a completion that only says so.
    script = """
        eval "$(stxb completion bash)"
        compopt() { (IFS=' '; echo "compopt $*"); }
        COMP_LINE='stxb load ' COMP_POINT=10 COMP_WORDS=(stxb load '') COMP_CWORD=2
        _stxb_completion stxb
    """
    assert run(environment, "bash", "--norc", "--noprofile", "-c", script) == ["compopt -o default"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish(environment: dict[str, str]) -> None:
    lines = run(
        environment, "fish", "--no-config", "-c", "stxb completion fish | source; complete -C 'stxb save localhost/'"
    )
    assert [line.split("\t")[0] for line in lines] == ["localhost/stx-nova:1.0"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh(environment: dict[str, str]) -> None:
    # Without its line editor, zsh can only be asked whether it takes the function, and for which program.
    load = 'autoload -U compinit; compinit -u -D; eval "$(stxb completion zsh)"'
    script = f"{load}; print $_comps[stxb]; whence -w _stxb_completion"
    assert run(environment, "zsh", "-f", "-c", script) == ["_stxb_completion", "_stxb_completion: function"]


def test_a_store_that_cannot_be_asked_completes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "buildah").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "buildah").chmod(0o755)
    broken = {**environment, "PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}"}
    assert by_bash(broken, "stxb save ") in ([], [""])
