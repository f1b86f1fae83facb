# SPDX-License-Identifier: Apache-2.0
"""``stxb update --module-src``: from a source to the image, by way of an ephemeral container."""

from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Images, Stxb

pytestmark = pytest.mark.engine

SETUP = "from setuptools import Extension, setup\nsetup(name='stx-fast', version='1.0', {what})\n"
C_SOURCE = """\
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "stx_fast", "", -1, methods};
PyMODINIT_FUNC PyInit_stx_fast(void) { return PyModule_Create(&module); }
"""
# The builder image has setuptools: nothing is fetched for these builds.
OFFLINE = ("--network", "none")


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    folder = tmp_path / "compiled"
    folder.mkdir()
    (folder / "setup.py").write_text(SETUP.format(what="ext_modules=[Extension('stx_fast', ['fast.c'])]"))
    (folder / "fast.c").write_text(C_SOURCE)
    return folder


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    folder = tmp_path / "pure"
    folder.mkdir()
    (folder / "setup.py").write_text(SETUP.format(what="py_modules=['stx_fast']"))
    (folder / "stx_fast.py").write_text("def answer():\n    return 42\n")
    return folder


@pytest.fixture(scope="module")
def alien(runner: Runner, base_image: ImageReference) -> str:
    """An image of a system that no builder recipe is for."""
    name = runner.run(["buildah", "from", "--pull-never", str(base_image)]).stdout.decode().strip()
    script = "printf 'ID=elsewhere\\nVERSION_CODENAME=far\\n' > /usr/lib/os-release"
    runner.run(["buildah", "run", "--isolation", "chroot", name, "--", "sh", "-c", script])
    runner.run(["buildah", "commit", "--quiet", "--rm", name, "localhost/tests/alien:1"])
    return "localhost/tests/alien:1"


def test_compiled_code_runs_in_the_image(
    stxb: Stxb, images: Images, base_image: ImageReference, compiled: Path
) -> None:
    before = sorted(path.name for path in compiled.iterdir())
    result = stxb.update("--from", base_image, "--module-src", f"{compiled}|2.5", *OFFLINE)
    assert result["changes"]["python"] == ["+ stx-fast==2.5"]
    assert images.run(result["image"], "python3", "-c", "import stx_fast; print(stx_fast.answer())") == "42\n"
    assert sorted(path.name for path in compiled.iterdir()) == before


def test_a_system_without_a_builder(stxb: Stxb, images: Images, alien: str, compiled: Path, pure: Path) -> None:
    said = stxb.refused(2, "--from", alien, "--module-src", compiled, *OFFLINE)
    assert "holds compiled code" in said
    assert "--builder" in said
    image = stxb.update("--from", alien, "--module-src", pure, *OFFLINE)["image"]
    assert images.run(image, "python3", "-c", "import stx_fast; print(stx_fast.answer())") == "42\n"
