# SPDX-License-Identifier: Apache-2.0
"""Git repositories of the tests, made where nobody's settings count."""

import os
import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, give what it wrote."""
    who = {f"GIT_{role}_{what}": "test@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={"PATH": os.environ["PATH"], **who, **alone}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make_repository(folder: Path, files: dict[str, str]) -> str:
    """Make a repository with one commit on the branch ``master``; give its URL."""
    folder.mkdir(parents=True)
    write_files(folder, files)
    git(folder, "init", "--quiet", "--initial-branch=master")
    commit(folder, "first")
    return folder.as_uri()


def commit(folder: Path, message: str) -> str:
    """Commit everything, give the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")
    return git(folder, "rev-parse", "HEAD")


def make_patch(folder: Path, patch: Path, files: dict[str, str]) -> Path:
    """Write a patch that changes files, as git format-patch does, and leave the repository as it was."""
    write_files(folder, files)
    commit(folder, patch.stem)
    patch.write_text(git(folder, "format-patch", "-1", "--stdout") + "\n")
    git(folder, "reset", "--quiet", "--hard", "HEAD~1")
    return patch
