# SPDX-License-Identifier: Apache-2.0
"""Makes a virtual environment, builds a project's wheel, and installs it; runs in an image, by its Python.

pip need not be installed: it runs out of its own wheel, which is looked for in folders of wheels. Where there is none,
one is made of the pip that a distribution's package has installed.
"""

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

# What virtualenv put into environments for Pythons that came with distutils.
_LAST_WITH_SETUPTOOLS = (3, 11)
_NOT_NAME = re.compile(r"[-_.]+")
_CONSTRAINT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def make(target: Path, folders: Sequence[Path]) -> None:
    """Make a virtual environment with pip in it.

    Args:
        target: where it goes.
        folders: of wheels; the first that has pip's gives it.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(target)
    with tempfile.TemporaryDirectory() as scratch:
        pip = pip_wheel(folders, Path(scratch))
        seeds = [pip]
        if sys.version_info[:2] <= _LAST_WITH_SETUPTOOLS:
            seeds += [found for name in ("setuptools", "wheel") if (found := find_wheel(name, folders))]
        options = [word for wheel in seeds for word in ("--find-links", wheel.parent)]
        # By name: of a file that is named, pip would remember the path.
        names = [requirement(wheel) for wheel in seeds]
        run(target / "bin/python", pip / "pip", "install", "--no-index", "--no-deps", "--no-compile", *options, *names)


def build(source: Path, out: Path, folders: Sequence[Path]) -> None:
    """Build a project's wheel with what is installed for this Python.

    Args:
        source: the project.
        out: folder for the wheel.
        folders: of wheels, for pip's.
    """
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", out)
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(sys.executable), pip_wheel(folders, Path(scratch)) / "pip", "wheel", *options, source)


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
    options: list[str | Path] = ["--find-links", built]
    if constraints.is_file():
        kept = built / "constraints.txt"
        lines = constraints.read_text(encoding="utf-8").splitlines()
        own = wheels[0].name.partition("-")[0]
        kept.write_text("".join(f"{line}\n" for line in without(own, lines)), encoding="utf-8")
        options += ["--constraint", kept]
    run(python, "-m", "pip", "install", *options, *arguments, requirement(wheels[0]))


def requirement(wheel: Path) -> str:
    """Give what asks for just this wheel's version."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}==={version}"


def without(name: str, lines: Iterable[str]) -> list[str]:
    """Give the lines of constraints that are not for one project."""
    wanted = normal(name)
    return [line for line in lines if not ((found := _CONSTRAINT.match(line)) and normal(found[1]) == wanted)]


def normal(name: str) -> str:
    """Give a project's name as PEP 503 compares it."""
    return _NOT_NAME.sub("-", name).lower()


def pip_wheel(folders: Sequence[Path], scratch: Path) -> Path:
    """Give a wheel of pip; one that has to be made is written into a scratch folder."""
    found = find_wheel("pip", folders)
    if found is not None:
        return found
    try:
        return wrapped(metadata.distribution("pip"), "pip", scratch)
    except metadata.PackageNotFoundError:
        sys.exit(f"pip is not installed, and no wheel of it is in {', '.join(map(str, folders))}")


def wrapped(installed: metadata.Distribution, package: str, folder: Path) -> Path:
    """Make a wheel of an installed distribution that has one package and nothing compiled."""
    site = Path(str(installed.locate_file("")))
    name = f"{package}-{installed.version}"
    kept = ("METADATA", "WHEEL", "entry_points.txt", "top_level.txt")
    files = [path for path in sorted((site / package).rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    # A distribution's packager may have left out RECORD, and installed files are not a wheel's to list.
    files += [path for part in kept if (path := site / f"{name}.dist-info" / part).is_file()]
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    wheel = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as out:
        for path in files:
            data, member = path.read_bytes(), path.relative_to(site).as_posix()
            out.writestr(member, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")
            rows.writerow((member, f"sha256={digest}", len(data)))
        rows.writerow((f"{name}.dist-info/RECORD", "", ""))
        out.writestr(f"{name}.dist-info/RECORD", record.getvalue())
    return wheel


# Quoted: Python 3.9 cannot carry such an annotation out.
def find_wheel(name: str, folders: Iterable[Path]) -> "Path | None":
    """Give the newest wheel of a project in the first folder that has one."""
    for folder in folders:
        found = sorted(folder.glob(f"{name}-*.whl"), key=lambda path: numbers(path.name.split("-")[1]))
        if found:
            return found[-1]
    return None


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a version, to compare."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def run(*argv: "str | Path") -> None:
    """Run a program; its end is this program's end when it fails."""
    sys.stdout.flush()
    completed = subprocess.run([str(word) for word in argv], check=False)
    if completed.returncode != 0:
        sys.exit(completed.returncode if completed.returncode > 0 else 1)


def main(words: Sequence[str]) -> None:
    """Do what the first word says."""
    command, *rest = words
    if command == "make":
        make(Path(rest[0]), [Path(word) for word in rest[1:]])
    elif command == "build":
        build(Path(rest[0]), Path(rest[1]), [Path(word) for word in rest[2:]])
    else:
        install(Path(rest[0]), Path(rest[1]), Path(rest[2]), rest[3:])


if __name__ == "__main__":
    main(sys.argv[1:])
