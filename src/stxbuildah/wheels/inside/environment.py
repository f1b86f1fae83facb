# SPDX-License-Identifier: Apache-2.0
"""Makes a virtual environment, builds a project's wheel, and installs it; runs in an image, by its Python.

pip need not be installed in the image: its own wheel is unpacked into the environment, from one of several folders of
wheels. Where there is none, the files are those of the pip that a distribution's package has installed.
"""

import base64
import configparser
import csv
import hashlib
import io
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

# What virtualenv put into environments for Pythons that came with distutils.
_LAST_WITH_SETUPTOOLS = (3, 11)
_NOT_NAME = re.compile(r"[-_.]+")
_CONSTRAINT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# Of an installed distribution, what belongs to its wheel; RECORD is made anew.
_METADATA = ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt")
_SCRIPT = """\
#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""


def make(target: Path, folders: Sequence[Path]) -> None:
    """Make a virtual environment with pip in it.

    Args:
        target: where it goes.
        folders: of wheels; the first that has pip's gives it.
    """
    names = ("pip", "setuptools", "wheel") if sys.version_info[:2] <= _LAST_WITH_SETUPTOOLS else ("pip",)
    found = {name: wheel for name in names if (wheel := find_wheel(name, folders))}
    venv.EnvBuilder(symlinks=True, with_pip=False).create(target)
    if "pip" not in found:
        put(target, installed_files("pip", folders))
    for wheel in found.values():
        with zipfile.ZipFile(wheel) as archive:
            put(target, {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")})


def installed_files(name: str, folders: Sequence[Path]) -> "dict[str, bytes]":
    """Give the files of an installed distribution of one package of its name, as its wheel would have them."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        sys.exit(f"{name} is not installed, and no wheel of it is in {', '.join(map(str, folders))}")
    site = Path(str(found.locate_file("")))
    files = [path for path in (site / name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files += [site / f"{name}-{found.version}.dist-info" / part for part in _METADATA]
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in files if path.is_file()}


def put(target: Path, files: Mapping[str, bytes]) -> None:
    """Put the files of a wheel without data or compiled code into an environment, and write what pip looks for."""
    site = site_packages(target)
    information = next(name.partition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))
    record = f"{information}/RECORD"
    written = {name: data for name, data in files.items() if name != record}
    written[f"{information}/INSTALLER"] = b"pip\n"
    scripts = dict(console_scripts(written.get(f"{information}/entry_points.txt", b"").decode()))
    rows = io.StringIO()
    lines = csv.writer(rows, lineterminator="\n")
    for name, data in written.items():
        path = site / name
        if not path.resolve().is_relative_to(site.resolve()):
            sys.exit(f"{name} leads out of the environment")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        lines.writerow((name, hashed(data), len(data)))
    for name, (module, function) in scripts.items():
        data = _SCRIPT.format(python=target / "bin/python3", module=module, function=function).encode()
        script = target / "bin" / name
        script.write_bytes(data)
        script.chmod(0o755)
        lines.writerow((f"../../../bin/{name}", hashed(data), len(data)))
    lines.writerow((record, "", ""))
    (site / record).write_text(rows.getvalue(), encoding="utf-8")


def console_scripts(text: str) -> "Iterable[tuple[str, tuple[str, str]]]":
    """Give the programs of an ``entry_points.txt``: name, module and function."""
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.read_string(text)
    for name, value in parser["console_scripts"].items() if "console_scripts" in parser else ():
        module, _, function = value.partition(":")
        if re.fullmatch(r"[\w.-]+", name) and re.fullmatch(r"[\w.]+", module) and function.isidentifier():
            yield name, (module, function)


def hashed(data: bytes) -> str:
    """Give a file's digest as RECORD has it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def site_packages(target: Path) -> Path:
    """Give the folder of an environment that packages go into."""
    return target / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def build(target: Path, source: Path, out: Path) -> None:
    """Build a project's wheel with what is installed for this Python, by the pip of an environment.

    Args:
        target: the environment.
        source: the project.
        out: folder for the wheel.
    """
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", out)
    run(Path(sys.executable), site_packages(target) / "pip", "wheel", *options, source)


def install(python: Path, built: Path, constraints: Path, arguments: Sequence[str]) -> None:
    """Install the wheel that was built, and more.

    Args:
        python: interpreter of the environment.
        built: folder with the wheel.
        constraints: the release's constraints; the project's own line does not count. Need not be there.
        arguments: of ``pip install``: options and further requirements.
    """
    wheels = sorted(built.glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"the project was built to {len(wheels)} wheels, where one is expected")
    name, version = wheels[0].name.split("-")[:2]
    options: list[str | Path] = ["--find-links", built]
    if constraints.is_file():
        kept = built / "constraints.txt"
        lines = constraints.read_text(encoding="utf-8").splitlines()
        kept.write_text("".join(f"{line}\n" for line in without(name, lines)), encoding="utf-8")
        options += ["--constraint", kept]
    # By name: of a file that is named, pip would remember the path.
    run(python, "-m", "pip", "install", *options, *arguments, f"{name}==={version}")


def without(name: str, lines: Iterable[str]) -> "list[str]":
    """Give the lines of constraints that are not for one project."""
    wanted = normal(name)
    return [line for line in lines if not ((found := _CONSTRAINT.match(line)) and normal(found[1]) == wanted)]


def normal(name: str) -> str:
    """Give a project's name as PEP 503 compares it."""
    return _NOT_NAME.sub("-", name).lower()


# Quoted: Python 3.9 cannot carry such an annotation out.
def find_wheel(name: str, folders: Iterable[Path]) -> "Path | None":
    """Give the newest wheel of a project in the first folder that has one."""
    for folder in folders:
        found = sorted(folder.glob(f"{name}-*.whl"), key=lambda path: numbers(path.name.split("-")[1]))
        if found:
            return found[-1]
    return None


def numbers(version: str) -> "tuple[int, ...]":
    """Give the numbers of a version, to compare."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def run(*argv: "str | Path") -> None:
    """Run a program; its end is this program's end when it fails."""
    completed = subprocess.run([str(word) for word in argv], check=False)
    if completed.returncode != 0:
        sys.exit(completed.returncode if completed.returncode > 0 else 1)


def main(words: Sequence[str]) -> None:
    """Do what the first word says."""
    command, *rest = words
    if command == "make":
        make(Path(rest[0]), [Path(word) for word in rest[1:]])
    elif command == "build":
        build(Path(rest[0]), Path(rest[1]), Path(rest[2]))
    else:
        install(Path(rest[0]), Path(rest[1]), Path(rest[2]), rest[3:])


if __name__ == "__main__":
    main(sys.argv[1:])
