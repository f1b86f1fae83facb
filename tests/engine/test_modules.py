# SPDX-License-Identifier: Apache-2.0
"""Module sources built for real: in a container of a builder image, from folders and git repositories."""

import email
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from packaging.version import Version

from stxbuildah.directive.modulesource import parse_module_source
from stxbuildah.engine.podman import PodmanService
from stxbuildah.engine.probe import choose_host
from stxbuildah.engine.process import Runner
from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.host import UserChoices
from stxbuildah.model.module import BuiltModule
from stxbuildah.model.settings import HostChoices
from stxbuildah.wheels.build import BuildSettings, build_wheel
from stxbuildah.wheels.builder import BuilderRecipe, ensure_builder
from tests.engine.builders import HOST_CERTIFICATES, builder_recipe, provide_builder

pytestmark = pytest.mark.engine

Build = Callable[..., BuiltModule]


@pytest.fixture(scope="module")
def podman_choices(choices: HostChoices) -> HostChoices:
    return choose_host(UserChoices(), {**os.environ, **dict(choices.environment)})


@pytest.fixture(scope="module")
def module_runner(choices: HostChoices, podman_choices: HostChoices) -> Runner:
    return Runner(extra=tuple({**dict(choices.environment), **dict(podman_choices.environment)}.items()))


@pytest.fixture(scope="module")
def service(module_runner: Runner, podman_choices: HostChoices, engine_folder: Path) -> Iterator[PodmanService]:
    with PodmanService(module_runner, podman_choices, engine_folder / "state-modules") as running:
        yield running


@pytest.fixture(scope="module")
def builder(module_runner: Runner, service: PodmanService) -> str:
    return provide_builder(module_runner, service)


@pytest.fixture(scope="module")
def settings(builder: str) -> BuildSettings:
    """A build that may fetch its own requirements, with this machine's certificates."""
    return BuildSettings(builder=builder, ca_bundle=HOST_CERTIFICATES if HOST_CERTIFICATES.exists() else None)


@pytest.fixture
def build(service: PodmanService, module_runner: Runner, settings: BuildSettings, tmp_path: Path) -> Iterator[Build]:
    """Builds a module: ``build(text, network="none")``; afterwards no container may be there."""
    count = 0

    def make(text: str, **changes: Any) -> BuiltModule:
        nonlocal count
        count += 1
        folder = tmp_path / f"work-{count}"
        folder.mkdir()
        source = parse_module_source(text, tmp_path)
        changed = attrs.evolve(settings, **changes)
        return build_wheel(source, changed, service=service, runner=module_runner, folder=folder)

    yield make
    assert module_runner.run(["podman", "ps", "--all", "--quiet"]).stdout == b""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def pure(folder: Path, *, backend: str = "setuptools.build_meta", requires: str = '"setuptools"') -> Path:
    return write(
        folder,
        {
            "pyproject.toml": f"""\
[build-system]
requires = [{requires}]
build-backend = "{backend}"
[project]
name = "Pure.Module"
version = "1.5"
description = "Version: of a test"
[project.scripts]
pure-module = "pure_module:main"
""",
            "pure_module/__init__.py": '"""A test."""\n\ndef main():\n    print("pure")\n',
        },
    )


def with_pbr(folder: Path) -> Path:
    return write(
        folder,
        {
            "setup.py": 'import setuptools\nsetuptools.setup(setup_requires=["pbr"], pbr=True)\n',
            "setup.cfg": "[metadata]\nname = pbr-module\nsummary = test\n[files]\npackages =\n    pbr_module\n",
            "pbr_module/__init__.py": "",
        },
    )


def git(folder: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Test"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "test@example.org"),
        **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2024-05-01T12:00:00Z"),
    }
    argv = ["git", *arguments]
    return subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a tag, a commit after it, and a branch ``stx/stein.1`` with one commit more."""
    folder = with_pbr(tmp_path / "repository")
    git(folder, "init", "--quiet", "--initial-branch=master")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=one")
    git(folder, "tag", "1.2.0")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=two")
    git(folder, "checkout", "--quiet", "-b", "stx/stein.1")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=three")
    git(folder, "checkout", "--quiet", "master")
    return folder


def fingerprint(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, time and content of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else ""
        if not content and path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def imported_version(built: BuiltModule, tmp_path: Path) -> str:
    """What importlib.metadata says of a wheel's files."""
    folder = tmp_path / "installed"
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(folder)
    program = (
        f"import sys, importlib.metadata as m; sys.path.insert(0, {str(folder)!r}); print(m.version({built.name!r}))"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_folder_is_built_without_a_network_and_left_as_it_was(build: Build, tmp_path: Path) -> None:
    folder = pure(tmp_path / "pure")
    (folder / "outside").symlink_to("/etc/passwd")
    write(folder, {"build/lib/pure_module/removed.py": "", "pure_module/__pycache__/x.pyc": ""})
    before = fingerprint(folder)
    built = build("pure", network="none")
    assert fingerprint(folder) == before
    assert (built.name, built.version, {str(tag) for tag in built.tags}) == (
        "pure-module",
        Version("1.5"),
        {"py3-none-any"},
    )
    with zipfile.ZipFile(built.wheel) as archive:
        modules = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert modules == ["pure_module/__init__.py"]


def test_the_same_source_gives_the_same_wheel(build: Build, tmp_path: Path) -> None:
    pure(tmp_path / "pure")
    first, second = build("pure|2.0", network="none"), build("pure|2.0", network="none")
    assert first.wheel.read_bytes() == second.wheel.read_bytes()


def test_a_static_version_gives_way_to_the_version_asked_for(build: Build, tmp_path: Path) -> None:
    pure(tmp_path / "pure")
    built = build("pure|2.0.dev7+stx.1", network="none")
    assert built.wheel.name == "pure_module-2.0.dev7+stx.1-py3-none-any.whl"
    assert metadata(built.wheel)["Version"] == "2.0.dev7+stx.1"
    assert metadata(built.wheel)["Summary"] == "Version: of a test"
    assert imported_version(built, tmp_path) == "2.0.dev7+stx.1"


def test_a_back_end_from_the_package_index(build: Build, tmp_path: Path) -> None:
    pure(tmp_path / "pure", backend="hatchling.build", requires='"hatchling"')
    assert build("pure").version == Version("1.5")


def test_a_missing_back_end_without_a_network_is_told(build: Build, tmp_path: Path) -> None:
    pure(tmp_path / "pure", backend="flit_core.buildapi", requires='"flit_core"')
    with pytest.raises(BuildError, match=r"failed in the image localhost/stxb-wheel-builder:.*exit status") as caught:
        build("pure", network="none")
    assert any("flit_core" in line for line in caught.value.details)


def test_versions_of_pbr_are_counted_from_the_tags(build: Build, repository: Path) -> None:
    url = f"file://{repository}"
    built = build(url, network="none")
    assert (built.version, built.commit) == (Version("1.2.1.dev1"), git(repository, "rev-parse", "master"))
    built = build(f"{url}|stx/stein.1", network="none")
    assert (built.version, built.commit) == (Version("1.2.1.dev2"), git(repository, "rev-parse", "stx/stein.1"))
    assert build(f"{url}|1.2.0", network="none").version == Version("1.2.0")
    commit = git(repository, "rev-parse", "--short", "master~1")
    assert build(f"{url}|{commit}|7.1", network="none").version == Version("7.1")


def test_a_folder_with_pbr(build: Build, repository: Path, tmp_path: Path) -> None:
    before = fingerprint(repository)
    assert build(str(repository), network="none").version == Version("1.2.1.dev1")
    assert build(f"{repository}|3.0", network="none").version == Version("3.0")
    assert fingerprint(repository) == before
    with_pbr(tmp_path / "plain")
    assert build("plain|3.1", network="none").version == Version("3.1")
    with pytest.raises(BuildError) as caught:
        build("plain", network="none")
    assert caught.value.hint == (
        "the project takes its version from git, and there is no history: give a version, as DIR|1.2.3"
    )


def test_versions_of_setuptools_scm(build: Build, tmp_path: Path) -> None:
    folder = pure(tmp_path / "scm", requires='"setuptools", "setuptools-scm"')
    text = (folder / "pyproject.toml").read_text().replace('version = "1.5"', 'dynamic = ["version"]')
    (folder / "pyproject.toml").write_text(
        text + "[tool.setuptools_scm]\n[tool.setuptools]\npackages = ['pure_module']\n"
    )
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=one")
    git(folder, "tag", "v2.3.0")
    assert build(f"file://{folder}", network="none").version == Version("2.3.0")
    assert (
        build("scm|4.0", network="none").wheel.parent.name == "wheels"
    )  # told to the back end, not written afterwards
    write(folder, {"pure_module/new.py": ""})
    git(folder, "add", ".")
    os.utime(folder / "pure_module/new.py", (1_893_456_000, 1_893_456_000))
    # A changed copy carries its newest file's day, not today's: the same source gives the same version.
    local = build("scm", network="none").version.local
    assert local is not None
    assert local.endswith(".d20300101")


def test_a_folder_inside_a_work_tree_and_a_linked_work_tree(build: Build, tmp_path: Path) -> None:
    top = tmp_path / "top"
    with_pbr(top / "python/module")
    git(top, "init", "--quiet")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "--message=one")
    git(top, "tag", "4.0.0")
    write(top, {"python/module/pbr_module/new.py": "NEW = 1\n"})
    built = build("top/python/module", network="none")
    assert built.version == Version("4.0.0")
    with zipfile.ZipFile(built.wheel) as archive:
        assert "pbr_module/new.py" in archive.namelist()
    linked = with_pbr(tmp_path / "linked")
    git(linked, "init", "--quiet")
    git(linked, "add", ".")
    git(linked, "commit", "--quiet", "--message=one")
    git(linked, "tag", "5.0.0")
    git(linked, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    before = fingerprint(tmp_path / "tree")
    assert build("tree", network="none").version == Version("5.0.0")
    assert fingerprint(tmp_path / "tree") == before


def test_a_compiled_module_has_the_builders_tag(build: Build, tmp_path: Path) -> None:
    write(
        tmp_path / "compiled",
        {
            "setup.py": "from setuptools import Extension, setup\n"
            'setup(name="compiled", version="1", ext_modules=[Extension("compiled", ["compiled.c"])])\n',
            "compiled.c": "#include <Python.h>\n"
            'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "compiled"};\n'
            "PyMODINIT_FUNC PyInit_compiled(void) { return PyModule_Create(&module); }\n",
        },
    )
    built = build("compiled", network="none")
    assert {str(tag) for tag in built.tags} == {f"cp313-cp313-linux_{os.uname().machine}"}


def test_a_build_that_fails_tells_its_last_lines(build: Build, tmp_path: Path) -> None:
    write(tmp_path / "broken", {"setup.py": "raise SystemExit('this project is broken')\n"})
    with pytest.raises(BuildError, match=r"the build of broken failed in the image .*, with exit status 1") as caught:
        build("broken", network="none")
    assert any("this project is broken" in line for line in caught.value.details)


def test_a_build_that_takes_too_much_memory(build: Build, tmp_path: Path) -> None:
    write(tmp_path / "greedy", {"setup.py": "bytearray(4 << 30)\n"})
    with pytest.raises(BuildError) as caught:
        build("greedy", network="none", memory=2 << 30)
    assert any("MemoryError" in line for line in caught.value.details)
    assert caught.value.hint == "the build was given too little memory"


def test_a_build_that_takes_too_long(build: Build, tmp_path: Path) -> None:
    write(tmp_path / "slow", {"setup.py": "import time; time.sleep(60)\n"})
    with pytest.raises(BuildError, match="the build of slow did not end within 3 seconds"):
        build("slow", network="none", timeout=3.0)


def test_a_build_cannot_reach_what_it_was_not_given(build: Build, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    write(
        tmp_path / "curious",
        {
            "setup.py": f"import os, socket\nassert not os.path.exists({str(secret)!r})\n"
            "assert [name for _, name in socket.if_nameindex()] == ['lo']\n"
            "assert 'SSH_AUTH_SOCK' not in os.environ\n"
            # What an honest build never writes is not taken for a wheel.
            "link = '/build/wheels/other-1-py3-none-any.whl'\n"
            "os.path.lexists(link) or os.symlink('/etc/hostname', link)\n"
            "import setuptools; setuptools.setup(name='curious', version='1')\n"
        },
    )
    built = build("curious", network="none")
    assert (built.name, built.version) == ("curious", Version("1"))


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [("no/such", "it has no branch, tag or commit 'no/such'"), ("abcdef1", "no branch, tag or commit 'abcdef1'")],
)
def test_a_ref_that_does_not_exist(build: Build, repository: Path, ref: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        build(f"file://{repository}|{ref}", network="none")
    assert str(repository) in caught.value.message


def test_what_is_no_project(build: Build, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"is no Python project: it has neither pyproject\.toml nor setup\.py"):
        build("empty")
    with pytest.raises(InputError, match="nowhere does not exist"):
        build("nowhere")


def test_a_builder_that_cannot_be_made(
    module_runner: Runner, service: PodmanService, builder: str, tmp_path: Path
) -> None:
    assert ensure_builder(module_runner, service, builder_recipe()) == builder
    (tmp_path / "Containerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo broken recipe; false\n")
    recipe = BuilderRecipe(folder=tmp_path, codename="trixie", base=builder)
    with pytest.raises(BuildError, match="making the builder image for trixie failed") as caught:
        ensure_builder(module_runner, service, recipe)
    assert "broken recipe" in caught.value.details
    assert not service.has_image(recipe.reference)
