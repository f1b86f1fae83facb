# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for buildah, podman and skopeo that write down how they are called."""

import json
import os
import sys
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner

PROGRAM = Path(__file__).with_name("program.py")


@attrs.frozen(kw_only=True)
class Call:
    """One call of a program: its arguments, its environment, and the credentials files it could read."""

    argv: list[str]
    environment: dict[str, str]
    files: dict[str, str]


@attrs.define(kw_only=True)
class StubPrograms:
    """The stand-ins in one folder.

    Attributes:
        folder: where they are; put it first on PATH.
        answers: what they were told to answer.
    """

    folder: Path
    answers: list[dict[str, object]] = attrs.field(factory=list)

    @property
    def path(self) -> str:
        """PATH with the stand-ins first."""
        return f"{self.folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    @property
    def runner(self) -> Runner:
        """Runs the stand-ins."""
        return Runner(extra=(("PATH", self.path),))

    @property
    def calls(self) -> list[Call]:
        """All calls so far, in their order."""
        written = self.folder / "calls.jsonl"
        lines = written.read_text(encoding="utf-8").splitlines() if written.exists() else []
        return [Call(**json.loads(line)) for line in lines]

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of all calls so far, in their order."""
        return [call.argv for call in self.calls]

    def answer(
        self,
        *words: str,
        stdout: str = "",
        stderr: str = "",
        status: int = 0,
        writes: dict[str, str] | None = None,
        once: bool = False,
    ) -> None:
        """Say what the calls that hold these words in this order are answered; others end well and write nothing.

        Args:
            words: some of the arguments, as ``"skopeo", "inspect"``.
            stdout: what the program writes on standard output.
            stderr: what it writes on standard error.
            status: its exit status.
            writes: content for the files that options name, as ``{"--digestfile": "sha256:..."}``.
            once: answer so the first time only.
        """
        self.answers.append(
            {
                "words": words,
                "stdout": stdout,
                "stderr": stderr,
                "status": status,
                "writes": writes or {},
                "once": once,
            }
        )
        (self.folder / "answers.json").write_text(json.dumps(self.answers), encoding="utf-8")


@pytest.fixture
def programs(tmp_path: Path) -> StubPrograms:
    """Stand-ins for buildah, podman and skopeo that answer nothing and end well until told otherwise."""
    folder = tmp_path / "stub-programs"
    folder.mkdir()
    # Isolated mode starts fastest, and this very Python needs no PATH to be found.
    script = PROGRAM.read_text(encoding="utf-8").replace("#!/usr/bin/env python3", f"#!{sys.executable} -I", 1)
    (folder / "program").write_text(script, encoding="utf-8")
    (folder / "program").chmod(0o755)
    for name in ("buildah", "podman", "skopeo"):
        (folder / name).symlink_to("program")
    (folder / "answers.json").write_text("[]", encoding="utf-8")
    return StubPrograms(folder=folder)
