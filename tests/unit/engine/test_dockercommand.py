# SPDX-License-Identifier: Apache-2.0
"""The command ``docker`` of scripts: docker's words become buildah's and podman's, and the program runs them."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from stxbuildah.engine.dockercommand.chrootrun import RunOrder, read_run
from stxbuildah.engine.dockercommand.settings import Settings, is_loopback, qualified
from stxbuildah.engine.dockercommand.translation import Command, Refusal, translate, without_global_options
from stxbuildah.engine.dockerlauncher import write_docker_command

GIVEN = "user/stx-image:debian-trixie-amd64-stable-build"
TEMPORARY = "localhost/stxb-temporary:0123"
BUILD = [
    "buildah", "--runroot", "/r", "build", "--isolation", "chroot", "--network", "host", "--pull=false", "--force-rm",
    "--layers=false", "--timestamp", "7", "--format", "docker", "--secret", "id=mark",
]  # fmt: skip
PODMAN = ["podman", "--root", "/s"]
RUN = [*PODMAN, "run", "--label", "label=mark"]
VOLUME, VARIABLES = ["--volume", "/a:/b"], ["--env", "A=b=c", "--env", "D"]
PLACE = ["--workingdir", "/here", "--user", "1:2"]
ALONE = {"host": "none", "--pull=false": "--pull=true"}


def settings_in(folder: Path, network: str = "host") -> Settings:
    return Settings(
        isolation="chroot", runtime="runc", network=network, timestamp=7, format="docker", cache=False,
        mark=["--secret", "id=mark"], label="label=mark", buildah=["--runroot", "/r"], podman=["--root", "/s"],
        given=GIVEN, temporary=TEMPORARY, temporary_name="localhost/stxb-temporary",
        temporary_file=str(folder / "temporary"), containers_file=str(folder / "used"), empty="/empty",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        ("build .", [*BUILD, "."]),
        ("image build --tag x .", [*BUILD, "--tag", "x", "."]),
        ("buildx build --load --progress plain --rm -t x .", [*BUILD, "-t", "x", "."]),
        ("build --progress=plain --cache-from a --build-arg A=b . -q", [*BUILD, "--build-arg", "A=b", "-q", "."]),
        (f"build -t {GIVEN} .", [*BUILD, "-t", TEMPORARY, "."]),
        (f"build --tag=localhost/{GIVEN} -tother .", [*BUILD, f"--tag={TEMPORARY}", "-tother", "."]),
        ("build -", [*BUILD, "--file", "-", "/empty"]),
        ("build -f - .", [*BUILD, "-f", "-", "."]),
        ("build --pull --network=none .", [ALONE.get(word, word) for word in BUILD] + ["."]),
        ("build --network bridge .", [*BUILD, "."]),
        (f"tag x {GIVEN}", [*PODMAN, "tag", "x", TEMPORARY]),
        ("container ls -a", [*PODMAN, "ps", "-a"]),
        ("container rm x", [*PODMAN, "rm", "x"]),
        (f"inspect -f {{{{.Id}}}} docker.io/{GIVEN}", [*PODMAN, "inspect", "-f", "{{.Id}}", TEMPORARY]),
        ("image inspect x", [*PODMAN, "inspect", "--type", "image", "x"]),
        ("run --rm -v /a:/b x true", [*RUN, "--network", "host", "--rm", "-v", "/a:/b", "x", "true"]),
        ("run --network=none x", [*RUN, "--network=none", "x"]),
        ("save -o f a", [*PODMAN, "save", "-o", "f", "a"]),
        ("save a b", [*PODMAN, "save", "--multi-image-archive", "a", "b"]),
        ("pull debian:12", [*PODMAN, "pull", "docker.io/library/debian:12"]),
        ("pull 127.0.0.1:5000/a", [*PODMAN, "pull", "--tls-verify=false", "127.0.0.1:5000/a"]),
        ("push r.example/a:1", [*PODMAN, "push", "r.example/a:1", "docker://r.example/a:1"]),
        (f"push {GIVEN}", [*PODMAN, "push", TEMPORARY, f"docker://docker.io/{GIVEN}"]),
        ("--version", [*PODMAN, "--version"]),
        ("system prune -f", []),
    ],
)  # fmt: skip
def test_words_are_translated(tmp_path: Path, words: str, argv: list[str]) -> None:
    command = translate(settings_in(tmp_path), words.split())
    assert isinstance(command, Command)
    assert command.argv == argv


def test_docker_takes_a_dockerfile_where_buildah_would_take_a_containerfile(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("")
    for words, more in ((["build"], ["--file", f"{tmp_path}/Dockerfile"]), (["build", "-f", "x"], ["-f", "x"])):
        command = translate(settings_in(tmp_path), [*words, str(tmp_path)])
        assert isinstance(command, Command)
        assert command.argv == [*BUILD, *more, str(tmp_path)]


@pytest.mark.parametrize("words", [[], ["compose", "up"], ["swarm"], ["image", "unknown"]])
def test_what_is_not_there_is_told(tmp_path: Path, words: list[str]) -> None:
    refusal = translate(settings_in(tmp_path), words)
    assert isinstance(refusal, Refusal)
    assert "this docker is a part of stxb" in refusal.sentence


def test_a_container_of_ones_own_network_is_left_to_podman(tmp_path: Path) -> None:
    command = translate(settings_in(tmp_path, network="private"), ["run", "x"])
    assert isinstance(command, Command)
    assert command.argv == [*RUN, "x"]
    assert (tmp_path / "used").exists()


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("x", RunOrder([], None, "x", [], background=False)),
        ("--rm -it x a -b", RunOrder([], None, "x", ["a", "-b"], background=False)),
        ("-v /a:/b -e A=b=c --env=D x", RunOrder([*VOLUME, *VARIABLES], None, "x", [], background=False)),
        ("-w/here --user=1:2 --name n --network=none x", RunOrder(PLACE, None, "x", [], background=False)),
        ("--entrypoint sh -d x -c true", RunOrder([], "sh", "x", ["-c", "true"], background=True)),
        ("", RunOrder([], None, "", [], background=False)),
    ],
)  # fmt: skip
def test_what_is_run_without_a_runtime(words: str, order: RunOrder) -> None:
    assert read_run(words.split()) == order


def test_names_and_options_of_docker() -> None:
    assert without_global_options(["-H", "tcp://x", "-D", "--config=/c", "ps", "-H"]) == ["ps", "-H"]
    assert [qualified(name) for name in ("a", "u/a:1", "localhost/a", "r:5/a", "r.io/a@x")] == [
        "docker.io/library/a", "docker.io/u/a:1", "localhost/a", "r:5/a", "r.io/a@x",
    ]  # fmt: skip
    found = [is_loopback(name) for name in ("localhost:5000", "127.0.0.1:1", "[::1]:5000", "r.io", "localhost.io", "")]
    assert found == [True, True, True, False, False, False]


# Writes its words on one line each; knows one image.
STUB = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >> "$RECORD"
case "$*" in
*"image inspect"*" known") echo '["localhost/known:latest","docker.io/other:1"]' ;;
*"image inspect"*) echo "Error: no such image" >&2; exit 125 ;;
*images*) echo "localhost/known latest" ;;
*kill*) kill -TERM $$ ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """The command, in front of programs that record what they are asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("buildah", "podman"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)
    environment = {"RECORD": str(tmp_path / "record"), "PATH": f"{programs}:{os.environ['PATH']}"}
    folder = write_docker_command(tmp_path / "some 'folder'/bin", settings_in(tmp_path), environment)
    assert stat.S_IMODE((folder / "docker").stat().st_mode) == 0o755
    return folder / "docker"


def run(docker: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([docker, *words], env={}, capture_output=True, text=True, check=False, cwd="/")


def test_the_program_runs_what_it_is_asked_for(docker: Path, tmp_path: Path) -> None:
    assert run(docker, "images").stdout == "known latest\n"
    assert run(docker, "build", "-t", "a b", "/x").returncode == 0
    refused = run(docker, "compose", "up")
    assert (refused.returncode, refused.stdout) == (125, "")
    assert refused.stderr.startswith("docker: 'compose' is not among what scripts can ask for")
    assert run(docker, "kill", "x").returncode == 128 + 15
    assert (tmp_path / "record").read_text().splitlines() == [
        "podman --root /s images",
        f"{' '.join(BUILD)} -t a b /x",
        "podman --root /s kill x",
    ]


def test_an_image_is_only_forgotten_for_now(docker: Path, tmp_path: Path) -> None:
    done = run(docker, "rmi", "-f", "known", "unknown")
    assert done.returncode == 1
    assert "no such image" in done.stderr
    assert done.stdout == "Untagged: known:latest\n"
    (name,) = (tmp_path / "temporary").read_text().split()
    assert name.startswith("localhost/stxb-temporary:")
    assert (tmp_path / "record").read_text().splitlines() == [
        "podman --root /s image inspect --format {{json .RepoTags}} known",
        f"podman --root /s tag known {name}",
        "podman --root /s untag localhost/known:latest localhost/known:latest",
        "podman --root /s image inspect --format {{json .RepoTags}} unknown",
    ]
