# SPDX-License-Identifier: Apache-2.0
"""The program that makes virtual environments inside images, with this Python in place of an image's."""

import subprocess
import sys
from pathlib import Path

import pytest

from stxbuildah.wheels.inside import environment
from tests.engine.wheelhouse import make_wheel

# As pip's own, it works from any place.
MAIN = """\
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
from pip.cli import main
main()
"""
PIP = "import sys\ndef main():\n    print('pip was told', sys.argv[1:])\n"


def pip_wheel(folder: Path, version: str) -> Path:
    return make_wheel(
        folder, "pip", version,
        files={"pip/__init__.py": "", "pip/__main__.py": MAIN, "pip/cli.py": PIP},
        entry_points="[console_scripts]\npip = pip.cli:main\nbad/name = pip.cli:main\n",
    )  # fmt: skip


def said(*argv: object) -> str:
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True).stdout


def test_an_environment_has_the_newest_pip_of_the_first_folder(tmp_path: Path) -> None:
    pip_wheel(tmp_path / "first", "9.0")
    pip_wheel(tmp_path / "first", "25.0")
    pip_wheel(tmp_path / "second", "99.0")
    target = tmp_path / "env"
    environment.make(target, [tmp_path / "none", tmp_path / "first", tmp_path / "second"])
    version = "import importlib.metadata as m; d = m.distribution('pip'); print(d.version, len(d.files))"
    # Three modules, four files of metadata with INSTALLER, one script.
    assert said(target / "bin/python", "-c", version) == "25.0 9\n"
    assert said(target / "bin/pip", "x") == "pip was told ['x']\n"
    assert said(target / "bin/python", "-m", "pip", "y") == "pip was told ['y']\n"
    assert sorted(path.name for path in (target / "bin").iterdir() if "name" in path.name) == []


def test_the_project_is_installed_by_name_and_its_own_constraint_does_not_count(tmp_path: Path) -> None:
    pip_wheel(tmp_path / "wheels", "25.0")
    environment.make(tmp_path / "env", [tmp_path / "wheels"])
    built = tmp_path / "built"
    make_wheel(built, "my-project", "2.0")
    constraints = tmp_path / "upper-constraints.txt"
    constraints.write_text("My.Project===1.0\nmy-project-client===3.0\nsix===1.0;python_version>='3'\n")
    program = Path(environment.__file__)
    python = tmp_path / "env/bin/python"
    told = said(sys.executable, program, "install", python, built, constraints, "--no-compile", "six")
    expected = ["install", "--find-links", str(built), "--constraint", f"{built}/constraints.txt", "--no-compile"]
    assert told == f"pip was told {[*expected, 'six', 'my_project===2.0']}\n"
    assert (built / "constraints.txt").read_text() == "my-project-client===3.0\nsix===1.0;python_version>='3'\n"


def test_the_system_builds_with_the_environments_pip(tmp_path: Path) -> None:
    pip_wheel(tmp_path / "wheels", "25.0")
    environment.make(tmp_path / "env", [tmp_path / "wheels"])
    told = said(sys.executable, environment.__file__, "build", tmp_path / "env", "/source", "/out")
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", "/out", "/source"]
    assert told == f"pip was told {['wheel', *options]}\n"


def test_two_wheels_of_a_project_are_one_too_many(tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path, "demo", version)
    with pytest.raises(SystemExit, match="built to 2 wheels"):
        environment.install(tmp_path / "python", tmp_path, tmp_path / "none", [])


def test_an_installed_pip_is_taken_where_there_is_no_wheel(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "pip/__pycache__").mkdir(parents=True)
    (site / "pip/__init__.py").write_text("")
    (site / "pip/__pycache__/__init__.cpython-399.pyc").write_text("")
    (site / "pip-1.0.dist-info").mkdir()
    (site / "pip-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: pip\nVersion: 1.0\n")
    (site / "pip-1.0.dist-info/INSTALLER").write_text("debian\n")
    code = (
        f"import sys; sys.path[:0] = [{str(site)!r}, {str(Path(environment.__file__).parent)!r}]; import environment;"
        "print(sorted(environment.installed_files('pip', [])))"
    )
    assert said(sys.executable, "-I", "-c", code) == "['pip-1.0.dist-info/METADATA', 'pip/__init__.py']\n"


def test_a_wheel_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="leads out"):
        environment.put(tmp_path, {"a-1.dist-info/METADATA": b"", "../../../x": b""})
