#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for buildah, podman and skopeo: writes down how it was called and answers from a table.

It runs under the name that it is linked to. Beside it lie ``calls.jsonl``, which it appends to, and
``answers.json``, a list of answers; the first whose words all stand in the arguments, in their order, is given and,
when it is for once, used up by the mark ``used-N``.
"""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import TypedDict


class Answer(TypedDict):
    """What the calls that hold these words in this order are answered."""

    words: list[str]
    stdout: str
    stderr: str
    status: int
    writes: dict[str, str]
    once: bool


SILENCE = Answer(words=[], stdout="", stderr="", status=0, writes={}, once=False)


def main() -> int:
    folder = Path(sys.argv[0]).parent
    argv = [Path(sys.argv[0]).name, *sys.argv[1:]]
    with (folder / "calls.jsonl").open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(json.dumps({"argv": argv, "environment": dict(os.environ), "files": read_files(argv)}) + "\n")
        stream.flush()
        answer = choose(folder, argv)
    for option, content in answer["writes"].items():
        Path(argv[argv.index(option) + 1]).write_text(content, encoding="utf-8")
    sys.stdout.write(answer["stdout"])
    sys.stderr.write(answer["stderr"])
    return answer["status"]


def read_files(argv: list[str]) -> dict[str, str]:
    """Give the content of credentials files: they are gone when the test looks."""
    return {word: Path(word).read_text(encoding="utf-8") for word in argv if Path(word).name.startswith("stxb-auth-")}


def choose(folder: Path, argv: list[str]) -> Answer:
    """Give the first answer that fits and is not used up."""
    answers: list[Answer] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    for number, answer in enumerate(answers):
        rest = iter(argv)
        if not all(word in rest for word in answer["words"]):
            continue
        used = folder / f"used-{number}"
        if answer["once"] and used.exists():
            continue
        used.touch()
        return answer
    return SILENCE


if __name__ == "__main__":
    sys.exit(main())
