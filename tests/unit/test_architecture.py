# SPDX-License-Identifier: Apache-2.0
"""The house rules, held on the syntax tree: who may import what, one door for each outside thing, sizes, headers.

Every rule is a function from a parsed module to sentences, so that the rules themselves are tried on bad samples below.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "stxbuildah"

MAXIMUM_FILE_LINES = 400
MAXIMUM_FUNCTION_LINES = 60
SPDX = "SPDX-License-Identifier: Apache-2.0"

# What each room may import besides itself. A dotted name allows that one module of a room and no other.
ARROWS: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "log": frozenset(),
    "model": frozenset(),
    "recipes": frozenset({"model"}),
    "directive": frozenset({"model"}),
    "engine": frozenset({"model", "recipes"}),
    "layer": frozenset({"model"}),
    "wheels": frozenset({"engine", "model"}),
    "registry": frozenset({"engine", "model"}),
    "transport": frozenset({"registry", "layer", "model"}),
    "plan": frozenset({"directive", "wheels.constraints", "model"}),
    "job": frozenset({"directive", "plan", "engine", "wheels", "registry", "transport", "layer", "model", "recipes"}),
    "jobs": frozenset({"job", "plan", "engine", "wheels", "layer", "model", "recipes"}),
    "cli": frozenset({"jobs", "model"}),
    "__main__": frozenset({"cli"}),
    "__init__": frozenset(),
}
FOR_ALL = frozenset({"errors", "log", "__init__"})

# The only places that may import an outside thing: a module, or a whole room.
DOORS: dict[str, tuple[str, ...]] = {
    # The second runs in containers, where there is nothing of ours but itself; the third is a program of its own, which
    # scripts start in our place of docker.
    "subprocess": ("engine/process.py", "wheels/inside/environment.py", "engine/dockercommand/"),
    "podman": ("engine/podman.py",),
    "urllib3": ("registry/http.py",),
    "yaml": ("directive/",),
    "bindep": ("job/images/locipackages.py",),
    "click": ("cli/",),
    "rich": ("cli/",),
}
# Who may read the environment, and why. Nobody may write it.
ENVIRONMENT_READERS: dict[str, str] = {
    "engine/process.py": "makes the environment of every child from an allow-list",
    "engine/inside/__main__.py": "buildah unshare --mount tells it by a variable where the container's files are",
    "cli/": "turns the user's variables into values, once, at the door",
}
# An import by a computed name is beyond every rule. Who may do it, and why:
RUN_TIME_NAME = "<a name made at run time>"
RUN_TIME_IMPORTERS: dict[str, str] = {
    "cli/main.py": "the table of commands, on its own constants",
    "wheels/inside/": "runs in the container of a build, where the project names its back end",
}
# Who runs in a container where nothing of ours is but itself: its processes and its environment are its own.
IN_CONTAINERS = ("wheels/inside/",)
# What images have besides the standard library, by the room of the program that runs inside them.
INSIDE_KNOWN: dict[str, tuple[str, ...]] = {"wheels": ("setuptools", "distutils")}
# Slow to import (tens of milliseconds each): never at the top of a module of cli, so that --help answers at once.
HEAVY = frozenset(
    {
        *(
            "asyncio",
            "attr",
            "attrs",
            "concurrent",
            "email",
            "hashlib",
            "http",
            "importlib.metadata",
            "installer",
            "isal",
        ),
        *("multiprocessing", "packaging", "podman", "requests", "rich", "ssl", "stamina", "structlog", "subprocess"),
        *("tarfile", "tempfile", "typing_extensions", "urllib", "urllib3", "yaml", "zipfile", "zstandard"),
    }
)
# What --help must not load at all, however deep.
NEVER_FOR_HELP = frozenset(
    {
        *("asyncio", "installer", "isal", "podman", "requests", "rich", "ssl", "stamina", "structlog", "urllib3"),
        *("yaml", "zstandard"),
    }
)


@attrs.frozen
class Module:
    """One parsed source file of the package.

    Attributes:
        name: path below the package, as ``engine/process.py``.
        tree: its syntax tree.
    """

    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The room it belongs to: a folder, or a module at the top."""
        return self.name.split("/")[0].removesuffix(".py")

    @property
    def package(self) -> list[str]:
        """The dotted package that a relative import starts from, in parts."""
        return ["stxbuildah", *self.name.split("/")[:-1]]


@attrs.frozen
class Imported:
    """One import, wherever in the module it stands."""

    name: str
    line: int


def parse(name: str, text: str) -> Module:
    return Module(name, ast.parse(text, filename=name))


def source_modules() -> list[Module]:
    return [
        parse(path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    ]


def imports(module: Module) -> Iterator[Imported]:
    """Every imported name in full, also inside functions, under TYPE_CHECKING, relative, or by import_module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (Imported(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.package[: len(module.package) - node.level + 1] if node.level else []
            origin = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (Imported(f"{origin}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in {"importlib.import_module", "import_module", "__import__"}:
            first = node.args[0] if node.args else None
            known = isinstance(first, ast.Constant) and isinstance(first.value, str)
            yield Imported(str(first.value) if known else RUN_TIME_NAME, node.lineno)  # type: ignore[union-attr]


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def is_place(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


def wrong_arrows(module: Module) -> Iterator[str]:
    allowed = ARROWS.get(module.room)
    if allowed is None:
        yield f"{module.name}: the room {module.room!r} is in no list; add it to ARROWS and to docs/architecture.md"
        return
    for imported in imports(module):
        parts = imported.name.split(".")
        if parts[0] != "stxbuildah":
            continue
        room = parts[1] if len(parts) > 1 else "__init__"
        if room not in ARROWS:
            room = "__init__"  # a name of the package itself, as __version__
        if room in {module.room, *FOR_ALL, *allowed} or ".".join(parts[1:3]) in allowed:
            continue
        legal = ", ".join(sorted({*allowed, "errors", "log"}))
        yield f"{module.name}:{imported.line}: {module.room} may not import {imported.name}; it may import {legal}"


def wrong_doors(module: Module) -> Iterator[str]:
    for imported in imports(module):
        top = imported.name.split(".")[0]
        if top in DOORS and not is_place(module.name, DOORS[top]):
            yield f"{module.name}:{imported.line}: imports {top}, whose only door is {' and '.join(DOORS[top])}"
        if imported.name == RUN_TIME_NAME and not is_place(module.name, tuple(RUN_TIME_IMPORTERS)):
            yield f"{module.name}:{imported.line}: imports a module whose name is made at run time; no rule can be held"


def shells(module: Module) -> Iterator[str]:
    contained = is_place(module.name, IN_CONTAINERS)
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        starts = name.startswith(("os.exec", "os.spawn", "os.posix_spawn", "pty.spawn")) and not contained
        if name in {"os.system", "os.popen"} or starts:
            yield f"{module.name}:{node.lineno}: {name} goes round the process door"
        for keyword in node.keywords:
            if keyword.arg == "shell" and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                yield f"{module.name}:{node.lineno}: {name}(shell=...) hands text to a shell"


def environment_uses(module: Module) -> Iterator[str]:
    if is_place(module.name, IN_CONTAINERS):
        return
    writers = {"update", "setdefault", "pop", "popitem", "clear", "__setitem__"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            names = {alias.name for alias in node.names} & {"environ", "environb", "getenv", "putenv", "unsetenv"}
            yield from (f"{module.name}:{node.lineno}: write os.{name}, so that it is seen" for name in sorted(names))
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and is_environment(node.value):
            yield f"{module.name}:{node.lineno}: changes os.environ; give the child an environment of its own"
        if isinstance(node, ast.Call) and called(node) in {"os.putenv", "os.unsetenv"}:
            yield f"{module.name}:{node.lineno}: {called(node)} changes the environment"
        if isinstance(node, ast.Attribute) and node.attr in writers and is_environment(node.value):
            yield f"{module.name}:{node.lineno}: os.environ.{node.attr} changes the environment"
        if isinstance(node, ast.AugAssign) and is_environment(node.target):
            yield f"{module.name}:{node.lineno}: changes os.environ"
        if is_environment(node) and not is_place(module.name, tuple(ENVIRONMENT_READERS)):
            yield f"{module.name}:{node.lineno}: reads the environment; only {', '.join(ENVIRONMENT_READERS)} may"  # type: ignore[attr-defined]


def is_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.environb", "os.getenv"}


def heavy_tops(module: Module) -> Iterator[str]:
    """Imports that run when a module of cli is loaded: those outside functions and TYPE_CHECKING."""
    if module.room != "cli":
        return
    late: set[int] = set()
    for node in ast.walk(module.tree):
        guarded = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if guarded or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            late.update(inner.lineno for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom))
    for imported in imports(module):
        heavy = any(f"{imported.name}.".startswith(f"{name}.") for name in HEAVY)
        if heavy and imported.line not in late:
            yield f"{module.name}:{imported.line}: imports {imported.name} at the top; import it where it is used"


def long_functions(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines >= MAXIMUM_FUNCTION_LINES:
                place = f"{module.name}:{node.lineno}"
                yield f"{place}: {node.name} has {lines} lines, {MAXIMUM_FUNCTION_LINES} are too many"


def inside_imports(module: Module) -> Iterator[str]:
    """What runs in a user namespace, a container or a script is started by its path: nothing else of ours is there."""
    room, _, below = module.name.partition("/")
    folder = below.partition("/")[0]
    if folder not in {"inside", "dockercommand"}:
        return
    for imported in imports(module):
        top = imported.name.split(".")[0]
        known = top in sys.stdlib_module_names or top in INSIDE_KNOWN.get(room, ()) or imported.name == RUN_TIME_NAME
        if not known and not imported.name.startswith(f"stxbuildah.{room}.{folder}."):
            yield f"{module.name}:{imported.line}: imports {imported.name}; it may import the standard library only"


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    wrong_arrows, wrong_doors, shells, environment_uses, heavy_tops, long_functions, inside_imports,
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    modules = source_modules()
    assert modules, f"no source found below {SOURCE}"
    found = [sentence for module in modules for sentence in rule(module)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "name", "text", "part"),
    [
        (wrong_arrows, "model/a.py", "from stxbuildah.engine import store", "may not import stxbuildah.engine.store"),
        (wrong_arrows, "model/a.py", "def f():\n    import stxbuildah.cli.main", "model/a.py:2: model may not"),
        (wrong_arrows, "layer/a.py", "if TYPE_CHECKING:\n    from stxbuildah.plan import x", "layer may not import"),
        (wrong_arrows, "layer/a.py", "from ..engine.process import Runner", "stxbuildah.engine.process.Runner"),
        (wrong_arrows, "layer/sub/a.py", "from ... import jobs", "layer may not import stxbuildah.jobs"),
        (wrong_arrows, "plan/a.py", "from stxbuildah.wheels import build", "may not import stxbuildah.wheels.build"),
        (wrong_arrows, "engine/a.py", "importlib.import_module('stxbuildah.cli')", "may not import stxbuildah.cli"),
        (wrong_arrows, "attic/a.py", "", "the room 'attic' is in no list"),
        (wrong_doors, "jobs.py", "import subprocess", "imports subprocess, whose only door is engine/process.py"),
        (wrong_doors, "engine/store.py", "from podman import PodmanClient", "imports podman"),
        (wrong_doors, "engine/store.py", "importlib.import_module(name)", "made at run time"),
        (shells, "engine/process.py", "subprocess.run(line, shell=True)", "hands text to a shell"),
        (shells, "engine/a.py", "os.execvp('sh', ['sh'])", "os.execvp goes round"),
        (environment_uses, "cli/a.py", "os.environ['A'] = 'b'", "changes os.environ"),
        (environment_uses, "cli/a.py", "del os.environ['A']", "changes os.environ"),
        (environment_uses, "cli/a.py", "os.environ.setdefault('A', 'b')", "os.environ.setdefault changes"),
        (environment_uses, "layer/a.py", "os.getenv('A')", "layer/a.py:1: reads the environment"),
        (environment_uses, "cli/a.py", "from os import environ", "write os.environ"),
        (heavy_tops, "cli/a.py", "import attrs", "imports attrs at the top"),
        (long_functions, "cli/a.py", "def f():\n" + "    pass\n" * 60, "f has 61 lines"),
        (inside_imports, "engine/inside/read.py", "from stxbuildah import log", "standard library only"),
        (inside_imports, "wheels/inside/build.py", "import attrs", "standard library only"),
        (inside_imports, "engine/dockercommand/a.py", "import attrs", "standard library only"),
        (shells, "wheels/inside/build.py", "import os\nos.system('ls')", "os.system goes round the process door"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found(rule: Rule, name: str, text: str, part: str) -> None:
    assert part in "\n".join(rule(parse(name, text)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plan/a.py", "from stxbuildah.wheels.constraints import Constraints\nfrom stxbuildah import log, __version__"),
        ("engine/process.py", "import subprocess\nx = os.environ.get('PATH')\nsubprocess.run(a, shell=False)"),
        ("engine/podman.py", "def f():\n    from podman import PodmanClient"),
        ("cli/a.py", "def f():\n    import rich\nif TYPE_CHECKING:\n    import attrs"),
        ("layer/a.py", "from .content import x\nfrom ..model.tree import Entry"),
    ],
)
def test_what_is_allowed_is_not_blamed(name: str, text: str) -> None:
    module = parse(name, text)
    assert [sentence for rule in RULES for sentence in rule(module)] == []


def programs() -> list[Path]:
    """Everything of the repository that is program text: Python, shell, and the recipes' Containerfiles."""
    folders = [
        folder
        for name in ("src", "tests", "benchmarks", "demo", "containers", "wheels")
        if (folder := ROOT / name).is_dir()
    ]
    kept = {".py", ".sh", ".bash"}
    found = {
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and (path.suffix in kept or path.name.startswith("Containerfile"))
    }
    single = [
        path for name in ("noxfile.py", "bootstrap", ".ci/run", "pyproject.toml") if (path := ROOT / name).is_file()
    ]
    return sorted([*found, *single])


def test_every_program_says_its_licence() -> None:
    lacking = []
    for path in programs():
        head = path.read_text(encoding="utf-8").splitlines()[:2]
        first = head[1:] if head and head[0].startswith("#!") else head[:1]
        if not (first and SPDX in first[0]):
            lacking.append(f"{path.relative_to(ROOT)}: the first line (after #!) must hold {SPDX}")
    assert not lacking, "\n" + "\n".join(lacking)


def test_every_file_is_short() -> None:
    counted = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in programs()}
    found = [
        f"{path} has {lines} lines of at most {MAXIMUM_FILE_LINES - 1}"
        for path, lines in counted.items()
        if lines >= MAXIMUM_FILE_LINES
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("question", ["--help", "--version"])
def test_a_short_answer_loads_nothing_heavy(question: str, tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stxbuildah", question],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in completed.stderr.splitlines() if "|" in line}
    assert "stxbuildah" in loaded
    assert loaded & NEVER_FOR_HELP == set()


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing, f"{page} leads to what is not there: {', '.join(missing)}"
