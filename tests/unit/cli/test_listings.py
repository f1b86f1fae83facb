# SPDX-License-Identifier: Apache-2.0
"""The commands that only read lists, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def stxb(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stxbuildah", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def parsed(completed: subprocess.CompletedProcess[str], status: int = 0) -> Any:
    assert completed.returncode == status, completed.stderr
    return json.loads(completed.stdout)


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("wheels", {"build", "check", "list", "lock"}),
        ("images", {"build", "list", "push", "show", "verify"}),
        ("retag", {"check", "list", "promote"}),
    ],
)
def test_help_tells_of_what_there_is(tmp_path: Path, name: str, commands: set[str]) -> None:
    completed = stxb(tmp_path, name, "--help")
    assert completed.returncode == 0
    listed = completed.stdout.partition("Commands:\n")[2].splitlines()
    assert {line.split()[0] for line in listed if line.strip()} == commands


def test_wheels_as_json_and_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(
        "a-1-py3-none-any.whl |whl|https://u:p@h/a.whl\nb-*.whl|git|https://h/b.git|b|main|fix_setup\n",
        encoding="utf-8",
    )
    assert parsed(stxb(tmp_path, "wheels", "list", "--config", "a.cfg", "--format", "json")) == [
        {"wheel": "a-1-py3-none-any.whl", "source": "pypi", "url": "https://u:p@h/a.whl", "basedir": "", "ref": "",
         "fix_setup": False, "line": 1},
        {"wheel": "b-*.whl", "source": "git", "url": "https://h/b.git", "basedir": "b", "ref": "main",
         "fix_setup": True, "line": 2},
    ]  # fmt: skip
    completed = stxb(tmp_path, "wheels", "list", "--config", "a.cfg")
    assert completed.stdout.splitlines() == [
        "WHEEL                 SOURCE  REF   BASEDIR             URL",
        "a-1-py3-none-any.whl  pypi                              https://h/a.whl",
        "b-*.whl               git     main  b        fix_setup  https://h/b.git",
    ]


def test_several_lists_of_wheels_tell_their_files_and_modules_that_come_twice(tmp_path: Path) -> None:
    digest = "0" * 64
    (tmp_path / "a.cfg").write_text(f"a-1-py3-none-any.whl|whl|https://h/1.whl#sha256={digest}\n", encoding="utf-8")
    (tmp_path / "b.cfg").write_text("A-2-py3-none-any.whl|whl|https://h/2.whl\n", encoding="utf-8")
    found = parsed(stxb(tmp_path, "wheels", "list", "--config", "a.cfg", "b.cfg", "--format", "json"))
    assert [(wheel["file"], wheel.get("sha256")) for wheel in found] == [("a.cfg", digest), ("b.cfg", None)]
    completed = stxb(tmp_path, "wheels", "list", "--config", "a.cfg", "--config", "b.cfg")
    assert completed.stderr == "note: a is listed 2 times: a-1-py3-none-any.whl, A-2-py3-none-any.whl\n"


def test_mistakes_of_all_lists_of_wheels_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("a\nb\n", encoding="utf-8")
    completed = stxb(tmp_path, "wheels", "list", "--config", "a.cfg", "--config", "gone.cfg", "--format", "json")
    assert (completed.returncode, completed.stdout) == (2, "")
    lines = completed.stderr.splitlines()
    assert lines[:4] == [
        "error: 3 mistakes in the input",
        "  a.cfg:1:1: 'a' has no '|': name.whl|kind|url... expected",
        "  a.cfg:2:1: 'b' has no '|': name.whl|kind|url... expected",
        "  gone.cfg: the wheels configuration gone.cfg cannot be read: No such file or directory",
    ]
    assert "  name.whl|git|repo-url|basedir|branch[|fix_setup]" in lines


def test_shown_directives(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("BUILDER=docker\nLABEL='x'\nCUSTOMIZATION='a\n \x1b[1mb'\n", encoding="utf-8")
    (tmp_path / "bad").write_text("BUILDER=docker\nLABEL=$(x)\n", encoding="utf-8")
    completed = stxb(tmp_path, "images", "show", "good", "bad", "gone", "--format", "json")
    good, bad, gone = parsed(completed, status=2)
    assert good == {
        "file": "good", "keys": {"BUILDER": "docker", "LABEL": "x", "CUSTOMIZATION": "a\n \x1b[1mb"}, "errors": [],
    }  # fmt: skip
    assert [(error["line"], error["column"]) for error in bad["errors"]] == [(2, 7)]
    assert (gone["keys"], len(gone["errors"])) == ({}, 1)
    assert completed.stderr.startswith(
        "error: 2 mistakes in the input\n  bad:2:7: a command substitution needs a shell"
    )
    shown = stxb(tmp_path, "images", "show", "good")
    assert shown.returncode == 0
    assert shown.stdout == "good\n  BUILDER=docker\n  LABEL=x\n  CUSTOMIZATION=a\n                 \\x1b[1mb\n"


def make_product(folder: Path) -> None:
    for label, text in (("a", "BUILDER=docker\nLABEL=a\n"), ("b", "BUILDER=loci\nLABEL=b\nPROJECT=infra\n")):
        place = folder / "repo" / label / "debian" / "all"
        place.mkdir(parents=True)
        (place / f"{label}.stable_docker_image").write_text(text, encoding="utf-8")
    (folder / "repo" / "debian_stable_docker_images.inc").write_text("a\nb\n", encoding="utf-8")


def test_listed_images(tmp_path: Path) -> None:
    make_product(tmp_path)
    system = ("--os", "debian", "--os-codename", "trixie")
    file = "repo/a/debian/all/a.stable_docker_image"
    completed = stxb(tmp_path, "images", "list", "--repo-root", ".", *system, "--only", "a,b", "--skip", "infra",
                     "--format", "json")  # fmt: skip
    assert parsed(completed) == [{"label": "a", "file": file, "builder": "docker"}]
    everything = parsed(
        stxb(tmp_path, "images", "list", *system, "--only", "a", "--all", "--format", "json", MY_REPO=str(tmp_path))
    )
    assert [(image["label"], image["built"], image["reason"]) for image in everything] == [
        ("a", True, ""), ("b", False, "not named by --only"),
    ]  # fmt: skip
    table = stxb(tmp_path, "images", "list", "--repo-root", "repo", *system, "--skip", "a").stdout.splitlines()
    assert table[0].split() == ["LABEL", "BUILDER", "FILE", "LISTED", "IN"]
    assert table[1].split() == ["a", "docker", file, "repo/debian_stable_docker_images.inc:1", "--skip", "a"]
    assert table[2].split()[-1] == "built"


def test_mistakes_of_a_product_follow_what_was_found(tmp_path: Path) -> None:
    make_product(tmp_path)
    completed = stxb(tmp_path, "images", "list", "--repo-root", "repo", "--os", "debian", "--os-codename", "trixie",
                     "--only", "a,c", "--format", "json")  # fmt: skip
    assert [image["label"] for image in parsed(completed, status=2)] == ["a"]
    assert completed.stderr.startswith("error: command line: --only: no image has the LABEL or PROJECT 'c'")


def test_nowhere_to_search(tmp_path: Path) -> None:
    completed = stxb(tmp_path, "images", "list", "--os", "debian", "--os-codename", "trixie")
    assert (completed.returncode, completed.stdout) == (2, "")
    assert "--repo-root" in completed.stderr


def test_listed_tags(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        "images:\n- name: h:5000/a\n  src_build_tag: b.0\n  tag: 1.10\n---\nimages:\n"
        "- {name: c, src_build_tag: b.0, tag: v1, src_ref: https://h/c}\n",
        encoding="utf-8",
    )
    assert parsed(stxb(tmp_path, "retag", "list", "t.yaml", "--format", "json")) == [
        {"name": "h:5000/a", "src_build_tag": "b.0", "src_ref": "", "tag": "1.10", "file": "t.yaml", "line": 2},
        {"name": "c", "src_build_tag": "b.0", "src_ref": "https://h/c", "tag": "v1", "file": "t.yaml", "line": 7},
    ]
    assert stxb(tmp_path, "retag", "list", "t.yaml").stdout.splitlines() == [
        "NAME      TAG   FROM TAG  BUILT FROM",
        "h:5000/a  1.10  b.0",
        "c         v1    b.0       https://h/c",
    ]


def test_mistakes_of_all_tags_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("images: [{name: a, src_build_tag: b, tag: c}]\n", encoding="utf-8")
    (tmp_path / "u.yaml").write_text("image: []\n", encoding="utf-8")
    completed = stxb(tmp_path, "retag", "list", "t.yaml", "u.yaml", "t.yaml")
    assert (completed.returncode, completed.stdout) == (2, "")
    assert completed.stderr.splitlines()[:4] == [
        "error: 3 mistakes in the input",
        "  u.yaml:1:1: 'image' is not a key here; did you mean images?",
        "  u.yaml:1:1: the key images is missing",
        "  t.yaml:1: docker.io/library/a:c is already made by line 1",
    ]
