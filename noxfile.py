# SPDX-License-Identifier: Apache-2.0
"""The project's sessions; ``nox -l`` lists them, ``./bootstrap test`` runs those that must pass.

What a session installs stands in ``pyproject.toml`` (``dependencies`` and ``[dependency-groups]``) and nowhere else.
"""

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

# Several processes, each with stores and a registry of its own; tests of one file share what they set up.
TOGETHER = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
ROOT = Path(__file__).resolve().parent
PROGRAMS = ("src", "tests", "benchmarks", "noxfile.py", "hatch_build.py")
SCRIPTS = ("bootstrap", ".ci/run", "demo/demo", "src/stxbuildah/engine/there/ship.sh")


def requirements(*groups: str) -> tuple[str, ...]:
    """Give what pyproject.toml lists in these dependency groups."""
    return nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), *groups)


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Install the checkout as it stands, and run pytest on it."""
    session.install("--editable", ".", *requirements("tests"))
    session.run("pytest", *arguments, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and formatting by ruff, shell scripts by shellcheck."""
    session.install(*requirements("lint"))
    session.run("ruff", "check", *PROGRAMS)
    session.run("ruff", "format", "--check", "--diff", *PROGRAMS)
    session.run("shellcheck", *SCRIPTS)


@nox.session
def typing(session: nox.Session) -> None:
    """Types of everything, by mypy --strict."""
    session.install("--editable", ".", *requirements("tests", "typing", "nox"))
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The rings of tests that need no container: values, and programs replaced by stubs that record their arguments."""
    run_pytest(session, *TOGETHER, "tests", "--ignore=tests/conformance", "--ignore=tests/engine")


@nox.session
def engine(session: nox.Session) -> None:
    """The ring of tests with the real buildah, podman, skopeo and registry, in stores of their own."""
    session.env["STXB_REQUIRE_ENGINE"] = "1"  # a program that is missing is a failure here, and no reason to skip
    run_pytest(session, *TOGETHER, "tests/engine", "-m", "engine", "--durations=10")


@nox.session
def stress(session: nox.Session) -> None:
    """Many images side by side, over and over, for races of the store that show rarely; not among what must pass."""
    session.env["STXB_REQUIRE_ENGINE"] = "1"
    run_pytest(session, "tests/engine", "-m", "stress", "--durations=3")


@nox.session
def conformance(session: nox.Session) -> None:
    """Real inputs of StarlingX's users: ../shared/corpus, or the folder that STXB_CORPUS names."""
    corpus = Path(os.environ.get("STXB_CORPUS", ROOT.parent / "shared" / "corpus"))
    if not corpus.is_dir():
        session.skip(f"the corpus of real inputs is not here: no folder {corpus} (STXB_CORPUS names another)")
    session.env["STXB_CORPUS"] = str(corpus)
    run_pytest(session, "tests/conformance")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against buildah bud, and write docs/performance.md; takes some minutes."""
    session.install(".")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """The main job on real input: a base image from nothing, then two updates of it."""
    session.install(".")
    session.run("bash", "demo/demo", *session.posargs, external=True)
