# SPDX-License-Identifier: Apache-2.0
"""What git, mmdebstrap, podman and buildah are told, recorded by programs of the same names."""

import json
import sys
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.git import Git
from stxbuildah.engine.podman import PodmanService, remove_ephemeral_orphans
from stxbuildah.engine.process import Runner
from stxbuildah.errors import BuildError, HostError
from stxbuildah.model.settings import HostChoices, Proxies
from stxbuildah.wheels.builder import BuilderRecipe, ensure_builder

RECORDER = """\
#!{python} -I
import json, os, sys
name = os.path.basename(sys.argv[0])
with open({log!r}, "a") as log:
    log.write(json.dumps([[name, *sys.argv[1:]], dict(os.environ)]) + "\\n")
answer = {answers!r}.get(name, ["", 0])
sys.stdout.write(answer[0])
sys.stderr.write(answer[0] if answer[1] else "")
sys.exit(answer[1])
"""
PROGRAMS = ("git", "mmdebstrap", "podman", "buildah")


@attrs.define
class Programs:
    """Stub programs on a PATH of their own."""

    folder: Path

    def write(self, **answers: tuple[str, int]) -> Runner:
        text = RECORDER.format(python=sys.executable, log=str(self.folder / "log"), answers=answers)
        for name in PROGRAMS:
            path = self.folder / name
            path.write_text(text)
            path.chmod(0o755)
        return Runner(extra=(("PATH", str(self.folder)),))

    @property
    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        return [tuple(json.loads(line)) for line in (self.folder / "log").read_text().splitlines()]


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Programs(folder)


SETTINGS = [
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.autocrlf=false"),
    *("-c", "advice.detachedHead=false", "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"),
]


def test_git_is_told_what_it_may_do(programs: Programs, tmp_path: Path) -> None:
    runner = programs.write(git=("0123456789abcdef0123456789abcdef01234567\n", 0))
    git = Git(runner=runner, proxies=Proxies(https="http://proxy:3128"), ca_bundle=Path("/ca.crt"))
    target = tmp_path / "out"
    target.mkdir()
    assert git.checkout("https://h/x", "stx/stein.1", target) == "0123456789abcdef0123456789abcdef01234567"
    clone, parse, checkout = programs.calls
    assert clone[0] == [
        "git", *SETTINGS, "clone", "--quiet", "--no-checkout", "--template=", "--origin", "origin", "--",
        "https://h/x", str(target),
    ]  # fmt: skip
    assert parse[0] == [
        "git", *SETTINGS, "rev-parse", "--verify", "--quiet", "--end-of-options",
        "refs/remotes/origin/stx/stein.1^{commit}",
    ]  # fmt: skip
    assert checkout[0] == [
        "git", *SETTINGS, "checkout", "--quiet", "--detach", "--force", "0123456789abcdef0123456789abcdef01234567",
    ]  # fmt: skip
    expected = {
        "GIT_ALLOW_PROTOCOL": "http:https:ssh",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSL_CAINFO": "/ca.crt",
        "https_proxy": "http://proxy:3128",
    }
    for _, environment in programs.calls:
        assert expected.items() <= environment.items()
        assert "GIT_DIR" not in environment


def test_files_are_allowed_only_when_asked_for(programs: Programs, tmp_path: Path) -> None:
    runner = programs.write(git=("0" * 40 + "\n", 0))
    (tmp_path / "out").mkdir()
    Git(runner=runner).checkout("file:///x", "", tmp_path / "out")
    assert {environment["GIT_ALLOW_PROTOCOL"] for _, environment in programs.calls} == {"http:https:ssh:file"}


class NoImages(PodmanService):
    """A service whose store is empty; it is not started."""

    def has_image(self, reference: str) -> bool:
        del reference
        return False


@pytest.fixture
def recipe(tmp_path: Path) -> BuilderRecipe:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "Containerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    return BuilderRecipe(folder=folder, codename="trixie", mirror="http://mirror.example/debian")


def test_a_builder_is_made_of_a_mirror(programs: Programs, recipe: BuilderRecipe, tmp_path: Path) -> None:
    runner = programs.write(podman=("sha256:abc\n", 0))
    service = NoImages(runner, HostChoices(), tmp_path / "state")
    reference = ensure_builder(runner, service, recipe, proxies=Proxies(http="http://proxy:3128"))
    assert reference == recipe.reference
    bootstrap, load, build = [argv for argv, _ in programs.calls]
    tar = bootstrap[5]
    assert bootstrap == [
        "mmdebstrap", "--variant=apt", "--format=tar", "--include=ca-certificates", "trixie", tar,
        "http://mirror.example/debian",
    ]  # fmt: skip
    assert load == ["podman", "import", "--quiet", tar]
    assert build == [
        "buildah", "build", "--isolation=chroot", "--pull=missing", "--build-arg=BASE=abc",
        "--build-arg=http_proxy=http://proxy:3128", "--label=stxbuildah.builder=trixie", f"--tag={reference}",
        f"--file={recipe.folder}/Containerfile", str(recipe.folder),
    ]  # fmt: skip
    assert programs.calls[0][1]["http_proxy"] == "http://proxy:3128"
    assert not Path(tar).exists()


def test_a_builder_on_an_image_of_the_users(programs: Programs, recipe: BuilderRecipe, tmp_path: Path) -> None:
    runner = programs.write()
    based = attrs.evolve(recipe, base="docker.io/library/debian:trixie")
    assert based.reference != recipe.reference
    ensure_builder(runner, NoImages(runner, HostChoices(), tmp_path / "state"), based)
    [(argv, _)] = programs.calls
    assert "--build-arg=BASE=docker.io/library/debian:trixie" in argv


def test_a_builders_name_follows_its_recipe(recipe: BuilderRecipe) -> None:
    before = recipe.reference
    assert before.startswith("localhost/stxb-wheel-builder:trixie-")
    (recipe.folder / "Containerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN true\n")
    assert recipe.reference != before


def test_a_mirror_that_fails(programs: Programs, recipe: BuilderRecipe, tmp_path: Path) -> None:
    runner = programs.write(mmdebstrap=("E: cannot fetch\n", 25))
    with pytest.raises(BuildError, match="making the builder image for trixie failed") as caught:
        ensure_builder(runner, NoImages(runner, HostChoices(), tmp_path / "state"), recipe)
    assert "E: cannot fetch" in caught.value.details


def test_a_podman_without_a_service(programs: Programs, tmp_path: Path) -> None:
    runner = programs.write(podman=("Error: no such command\n", 125))
    service = PodmanService(runner, HostChoices(), tmp_path / "state")
    with pytest.raises(HostError, match="ended at once, with exit status 125") as caught, service:
        pass
    assert "Error: no such command" in caught.value.details
    [(argv, _)] = programs.calls
    assert argv == ["podman", "system", "service", "--time=60", f"unix://{service.folder}/podman.sock"]
    assert not service.folder.exists()


def test_orphans_cost_nothing_when_there_are_none(programs: Programs, tmp_path: Path) -> None:
    runner = programs.write()
    assert remove_ephemeral_orphans(runner, HostChoices(), tmp_path / "state") == ()
    assert not (programs.folder / "log").exists()
