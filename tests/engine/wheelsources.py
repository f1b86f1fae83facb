# SPDX-License-Identifier: Apache-2.0
"""Sources of wheels made for tests: sound ones of every kind, and hostile ones, with the list that names them."""

import hashlib
import subprocess
import tarfile
import zipfile
from pathlib import Path

import attrs

from stxbuildah.engine.process import Runner
from tests.engine.wheelhouse import make_wheel

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "{version}"
"""
OWN_BACKEND = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# What a hostile build may try; it tells what it saw by the wheel's description.
NOSY = """\
import os, socket, zipfile
from pathlib import Path
def build_wheel(folder, settings=None, metadata=None):
    told = ["/build:" + ",".join(sorted(os.listdir("/build")))]
    told.append("/tmp:" + ",".join(sorted(os.listdir("/tmp"))))
    Path("/tmp/left-behind").touch()
    told.append("net:" + ",".join(sorted(name for _, name in socket.if_nameindex())))
    name = Path("name").read_text().strip()
    wheel = f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, wheel), "w") as out:
        out.writestr(zipfile.ZipInfo(f"{name}.py"), "")
        info = f"{name}-1.0.dist-info/"
        metadata = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n\\n" + "\\n".join(told)
        out.writestr(zipfile.ZipInfo(info + "METADATA"), metadata)
        wheel_file = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        out.writestr(zipfile.ZipInfo(info + "WHEEL"), wheel_file)
        out.writestr(zipfile.ZipInfo(info + "RECORD"), "")
    return wheel
"""
HANGS = """\
import time
def build_wheel(folder, settings=None, metadata=None):
    print("begun", flush=True)
    time.sleep(900)
"""
EATS = "def build_wheel(folder, settings=None, metadata=None):\n    return bytearray(3 << 30)\n"
FAILS = "def build_wheel(folder, settings=None, metadata=None):\n    raise SystemExit('the compiler is on strike')\n"
# Writes 100 MiB on its way to a wheel.
FILLS = (
    NOSY
    + """
build_small = build_wheel
def build_wheel(*words):
    with open("large", "wb") as out:
        for _ in range(100):
            out.write(bytes(1 << 20))
    return build_small(*words)
"""
)


@attrs.frozen(kw_only=True)
class Sources:
    """Archives and a repository, and the list that names them."""

    folder: Path
    lines: list[str] = attrs.field(factory=list)

    def tar(self, name: str, files: dict[str, str], *, wheel: str, end: str = "") -> None:
        archive = self.folder / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as out:
            for path, text in files.items():
                file = self.folder / "file"
                file.write_text(text)
                info = out.gettarinfo(str(file), f"{name}/{path}")
                info.mtime, info.uid, info.gid = 1_500_000_000, 546_790_884, 546_790_884
                with file.open("rb") as content:
                    out.addfile(info, content)
        self.lines.append(f"{wheel}|tar|file://{archive}|{name}{end}")

    def config(self) -> Path:
        file = self.folder / "stable-wheels.cfg"
        file.write_text("\n".join([*self.lines, ""]))
        return file


def git(folder: Path, *words: str) -> None:
    settings = ("user.name=t", "user.email=t@example.org", "protocol.file.allow=always")
    argv = ["git", *(word for setting in settings for word in ("-c", setting)), "-C", str(folder), *words]
    subprocess.run(argv, check=True, capture_output=True)


def sound_sources(sources: Sources) -> None:
    """A module of each kind, one of them with a C extension."""
    pure = {"pyproject.toml": PYPROJECT.format(name="Pure.Module", version="1.5"), "pure_module.py": "VALUE = 1\n"}
    sources.tar("pure-1.5", pure, wheel="pure_module-1.5-py2.py3-none-any.whl")
    setup = """\
from distutils.core import setup, Extension
setup(name='fast', version='2', ext_modules=[Extension('fast', ['a.c'])])
"""
    code = """\
#include <Python.h>
static struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "fast"};
PyObject *PyInit_fast(void) { return PyModule_Create(&d); }
"""
    sources.tar(
        "fast-2", {"setup.py": setup, "a.c": code}, wheel="fast-2-cp313-cp313-linux_x86_64.whl", end="|fix_setup"
    )
    with zipfile.ZipFile(sources.folder / "zipped.zip", "w") as out:
        # Writes into the image, which only a container of its own lets it do.
        out.writestr(
            "setup.py",
            "import setuptools\nopen('/var/lib/zipped', 'w').close()\n"
            "setuptools.setup(name='zipped', version='3.0', py_modules=['zipped'])\n",
        )
        out.writestr("zipped.py", "")
    sources.lines.append(f"zipped-*.whl|zip|file://{sources.folder}/zipped.zip|.")
    repository = cloned_repository(sources.folder)
    sources.lines.append(f"cloned-4.0-py3-none-any.whl|git|file://{repository}|repository/inner|v4")
    ready = make_wheel(sources.folder, "Ready", "5.0")
    sources.lines.append(f"{ready.name}|whl|file://{ready}#sha256={hashlib.sha256(ready.read_bytes()).hexdigest()}")


def cloned_repository(folder: Path) -> Path:
    """A repository whose project, in an inner folder, has a package as a submodule, which has another as its own."""
    deepest = committed(folder / "deepest", {"__init__.py": ""})
    deep = committed(folder / "deep", {"__init__.py": ""}, {"deep": deepest})
    project = (
        PYPROJECT.format(name="cloned", version="4.0") + '[tool.setuptools]\npackages = ["cloned", "cloned.deep"]\n'
    )
    repository = committed(folder / "repository", {"inner/pyproject.toml": project}, {"inner/cloned": deep})
    git(repository, "tag", "v4")
    return repository


def committed(folder: Path, files: dict[str, str], submodules: dict[str, Path] | None = None) -> Path:
    """A new repository of one commit."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for name, other in (submodules or {}).items():
        git(folder, "submodule", "--quiet", "add", f"file://{other}", name)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def hostile_sources(sources: Sources) -> None:
    for name in ("nosy", "curious"):
        sources.tar(
            f"{name}-1.0",
            {"pyproject.toml": OWN_BACKEND, "backend.py": NOSY, "name": name},
            wheel=f"{name}-1.0-py3-none-any.whl",
        )
    for name, program in (("eats", EATS), ("fails", FAILS), ("hangs", HANGS)):
        sources.tar(
            f"{name}-1.0", {"pyproject.toml": OWN_BACKEND, "backend.py": program}, wheel=f"{name}-1.0-py3-none-any.whl"
        )
    sources.tar("bare-1.0", {"README": ""}, wheel="bare-1.0-py3-none-any.whl")
    other = {"pyproject.toml": PYPROJECT.format(name="other", version="1.0"), "other.py": ""}
    sources.tar("misnamed-1.0", other, wheel="misnamed-1.0-py3-none-any.whl")
    with zipfile.ZipFile(sources.folder / "escapes.zip", "w") as out:
        out.writestr("../../escaped", "")
    sources.lines.append(f"escapes-1.0-py3-none-any.whl|zip|file://{sources.folder}/escapes.zip|.")
    sources.lines.append(f"absent-1.0-py3-none-any.whl|tar|file://{sources.folder}/absent.tar.gz|absent")
    wrong = make_wheel(sources.folder, "wrong", "1.0")
    sources.lines.append(f"{wrong.name}|pypi|file://{wrong}#sha256={'0' * 64}")


def release_files(sources: Sources, stream: str = "STABLE") -> Path:
    """The constraints of a release, and the openstack.cfg that names them for a stream."""
    release = sources.folder / "requirements/gazpacho"
    release.mkdir(parents=True, exist_ok=True)
    lines = ("pure.module===1.0", "nova===1", "Ready===5.0;python_version>='3'", "absent===1", "")
    (release / "upper-constraints.txt").write_text("\n".join(lines))
    (release / "global-requirements.txt").write_text("ready\n")
    file = sources.folder / "openstack.cfg"
    file.write_text(f'{stream}_OPENSTACK_REQ_URL="requirements/gazpacho"\n')
    return file


def packaged_wheel(folder: Path, runner: Runner) -> tuple[Path, Path]:
    """A repository that lists a package, and a folder with that package, which holds a wheel."""
    repository, packages = folder / "repo", folder / "std"
    repository.mkdir(exist_ok=True)
    packages.mkdir(exist_ok=True)
    (repository / "debian_stable_wheels.inc").write_text("stx-wheels\n")
    wheel = make_wheel(folder / "packaged", "stx-module", "6.0")
    tree = folder / "tree"
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share" / wheel.name).write_bytes(wheel.read_bytes())
    (tree / "DEBIAN").mkdir()
    control = "Package: stx-wheels\nVersion: 1.0-1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
    (tree / "DEBIAN/control").write_text(control)
    runner.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(packages / "stx-wheels_1.0-1_all.deb")])
    return repository, packages
