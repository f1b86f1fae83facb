# SPDX-License-Identifier: Apache-2.0
"""Source repositories, with the real git."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stxbuildah.engine.git import Git, without_secret
from stxbuildah.engine.process import Runner
from stxbuildah.errors import AuthenticationError, HostError, InputError, RegistryError

pytestmark = pytest.mark.engine


def git(folder: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "file",
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Test"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "test@example.org"),
    }
    argv = ["git", *arguments]
    return subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", f"--message={name}")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "first")
    git(folder, "tag", "--annotate", "--message=one", "v1")
    commit(folder, "second")
    git(folder, "branch", "stx/stein.1")
    commit(folder, "third")
    return folder


def checkout(repository: Path, ref: str, target: Path) -> str:
    return Git(runner=Runner()).checkout(f"file://{repository}", ref, target)


@pytest.mark.parametrize(
    ("ref", "revision"),
    [
        ("", "main"),
        ("main", "main"),
        ("stx/stein.1", "stx/stein.1"),
        ("v1", "v1^{commit}"),
        ("refs/heads/stx/stein.1", "stx/stein.1"),
        ("refs/tags/v1", "v1^{commit}"),
    ],
)
def test_branches_and_tags(repository: Path, tmp_path: Path, ref: str, revision: str) -> None:
    commit_id = checkout(repository, ref, tmp_path / "out")
    assert commit_id == git(repository, "rev-parse", revision)
    assert git(tmp_path / "out", "rev-parse", "HEAD") == commit_id
    assert git(tmp_path / "out", "status", "--porcelain") == ""
    assert git(tmp_path / "out", "tag") == "v1"


def test_commits(repository: Path, tmp_path: Path) -> None:
    second = git(repository, "rev-parse", "main~1")
    assert checkout(repository, second, tmp_path / "one") == second
    assert checkout(repository, second[:9], tmp_path / "two") == second


def test_a_change_under_review(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    change = commit(repository, "change")
    git(repository, "update-ref", "refs/changes/34/1234/5", change)
    git(repository, "checkout", "--quiet", "main")
    assert checkout(repository, "refs/changes/34/1234/5", tmp_path / "out") == change
    assert (tmp_path / "out/change").read_text() == "change"


def test_a_branch_goes_before_a_tag_of_its_name(repository: Path, tmp_path: Path) -> None:
    git(repository, "branch", "v1", "main")
    assert checkout(repository, "v1", tmp_path / "out") == git(repository, "rev-parse", "main")


def test_a_detached_head(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach", "v1")
    assert checkout(repository, "", tmp_path / "out") == git(repository, "rev-parse", "v1^{commit}")


@pytest.mark.parametrize("ref", ["gone", "refs/heads/gone", "1234567", "f" * 40, "refs/changes/1/1/1"])
def test_a_ref_that_is_not_there(repository: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises(InputError) as caught:
        checkout(repository, ref, tmp_path / "out")
    expected = f"the git repository file://{repository}: it has no branch, tag or commit {ref!r}"
    assert (caught.value.message, caught.value.hint) == (
        expected,
        f"git ls-remote file://{repository} lists what it has",
    )
    assert not (tmp_path / "out").exists()


def test_an_empty_repository(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    with pytest.raises(InputError, match="its HEAD names no commit: it is empty"):
        checkout(tmp_path / "empty", "", tmp_path / "out")


@pytest.mark.parametrize(
    ("url", "kind", "sentence"),
    [
        ("file:///no/such/repository", InputError, "there is no such repository"),
        ("https://127.0.0.1:9/x", RegistryError, "the server cannot be reached"),
        ("https://host.invalid/x", RegistryError, "the server cannot be reached"),
        ("ssh://git@127.0.0.1:9/x", RegistryError, "the server cannot be reached"),
        ("ext::sh -c 'touch /tmp/owned'", InputError, "it, or a submodule of it, uses a transport that is not allowed"),
        ("git://127.0.0.1/x", InputError, "it, or a submodule of it, uses a transport that is not allowed"),
    ],
)
def test_servers_that_do_not_serve(tmp_path: Path, url: str, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        Git(runner=Runner()).checkout(url, "", tmp_path / "out")
    assert str(caught.value) == f"the git repository {url}: {sentence}"


def test_ssh_that_is_not_installed(tmp_path: Path) -> None:
    (programs := tmp_path / "bin").mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(str(shutil.which(name)))
    url = "ssh://git@127.0.0.1:9/x"
    with pytest.raises(HostError) as caught:
        Git(runner=Runner(extra=(("PATH", str(programs)),))).checkout(url, "", tmp_path / "out")
    assert str(caught.value) == f"the git repository {url}: the program ssh is not installed"


def test_nothing_of_a_repository_runs(repository: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (repository / ".gitattributes").write_text("* filter=evil\n")
    (repository / "config").write_text("x")
    commit(repository, "attributes")
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    hook = template / "hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[init]\ntemplateDir = {template}\n[filter "evil"]\nsmudge = touch {mark}; cat\n'
        f"[core]\nhooksPath = {template}/hooks\nfsmonitor = touch {mark}\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(settings.read_text())
    runner = Runner(extra=(("HOME", str(home)),))
    Git(runner=runner).checkout(f"file://{repository}", "", tmp_path / "out")
    assert not mark.exists()
    assert (tmp_path / "out/first").read_text() == "first"


def test_submodules_by_the_same_rules(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet", "--initial-branch=main")
    git(outer, "submodule", "--quiet", "add", f"file://{repository}", "inner")
    commit(outer, "top")
    checkout(outer, "", tmp_path / "out")
    assert (tmp_path / "out/inner/third").read_text() == "third"
    git(outer, "config", "--file=.gitmodules", "submodule.inner.url", "ext::sh -c id")
    commit(outer, "hostile")
    with pytest.raises(InputError, match="uses a transport that is not allowed"):
        checkout(outer, "", tmp_path / "hostile")
    assert not (tmp_path / "hostile").exists()


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    with pytest.raises((RegistryError, AuthenticationError)) as caught:
        Git(runner=Runner()).checkout("https://me:secret@127.0.0.1:9/x", "", tmp_path / "out")
    assert "secret" not in "\n".join((caught.value.message, caught.value.hint, *caught.value.details))
    assert without_secret("https://me:secret@h:1/x?y") == "https://h:1/x?y"
