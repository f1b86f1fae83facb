# SPDX-License-Identifier: Apache-2.0
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stxbuildah.layer.content import PackageChange, wheel_content
from stxbuildah.layer.distributions import find_distributions
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.model.layer import LayerContent
from stxbuildah.model.tree import Entry, FileTree, Kind
from tests.unit.layer.layer_listing import (
    BASE,
    ENVIRONMENT,
    PARENTS,
    SITE,
    Content,
    MakeWheel,
    files_below,
    installed,
    inventory_of,
    layer_for,
    lines_for,
    listing,
    text,
)
from tests.unit.layer.wheel_maker import EXECUTABLE


def test_a_new_module_brings_its_files_and_the_folders_above_them(wheel: MakeWheel) -> None:
    made = layer_for(
        {}, wheel(files={"sample/__init__.py": b"x = 1\n", "sample/tool": b""}, modes={"sample/tool": EXECUTABLE})
    )

    assert listing(made.content) == [
        *PARENTS,
        f"d 755 0:0 {SITE}/sample",
        f"d 755 0:0 {SITE}/sample-2.0.dist-info",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/INSTALLER",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/METADATA",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/RECORD",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/REQUESTED",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/WHEEL",
        f"f 644 0:0 {SITE}/sample/__init__.py",
        f"f 755 0:0 {SITE}/sample/tool",
    ]
    assert made.changes == (PackageChange(name="sample", old="", new="2.0"),)  # type: ignore[arg-type]
    assert text(made.content, f"{SITE}/sample-2.0.dist-info/INSTALLER") == "stxb\n"
    assert text(made.content, f"{SITE}/sample/__init__.py") == "x = 1\n"


def test_every_scheme_goes_to_its_place(wheel: MakeWheel) -> None:
    made = layer_for(
        {},
        wheel(
            files={
                "sample-2.0.data/scripts/run": b"#!python -E\nprint(1)\n",
                "sample-2.0.data/scripts/win": b"#!pythonw\r\nprint(2)\n",
                "sample-2.0.data/scripts/other": b"#!/usr/bin/perl\n",
                "sample-2.0.data/headers/sample.h": b"",
                "sample-2.0.data/data/etc/sample.conf": b"",
                "sample-2.0.data/purelib/pure.py": b"",
                "sample-2.0.data/platlib/plat.so": b"",
            },
            entry_points="[console_scripts]\nsample-cli = sample.cli:main\n",
        ),
    )

    record = f"{SITE}/sample-2.0.dist-info/RECORD"
    assert [line for line in listing(made.content) if not line.startswith("d") and ".dist-info" not in line] == [
        "f 755 0:0 /opt/v/bin/other",
        "f 755 0:0 /opt/v/bin/run",
        "f 755 0:0 /opt/v/bin/sample-cli",
        "f 755 0:0 /opt/v/bin/win",
        "f 644 0:0 /opt/v/etc/sample.conf",
        "f 644 0:0 /opt/v/include/site/python3.11/sample/sample.h",
        f"f 644 0:0 {SITE}/plat.so",
        f"f 644 0:0 {SITE}/pure.py",
    ]
    assert text(made.content, "/opt/v/bin/run") == "#!/opt/v/bin/python3\nprint(1)\n"
    assert text(made.content, "/opt/v/bin/win") == "#!/opt/v/bin/python3\nprint(2)\n"
    assert text(made.content, "/opt/v/bin/other") == "#!/usr/bin/perl\n"
    assert text(made.content, "/opt/v/bin/sample-cli").startswith("#!/opt/v/bin/python3\n")
    assert "from sample.cli import main" in text(made.content, "/opt/v/bin/sample-cli")
    assert [line.split(",")[0] for line in text(made.content, record).splitlines()] == [
        "../../../bin/other",
        "../../../bin/run",
        "../../../bin/sample-cli",
        "../../../bin/win",
        "../../../etc/sample.conf",
        "../../../include/site/python3.11/sample/sample.h",
        "plat.so",
        "pure.py",
        "sample-2.0.dist-info/INSTALLER",
        "sample-2.0.dist-info/METADATA",
        "sample-2.0.dist-info/RECORD",
        "sample-2.0.dist-info/REQUESTED",
        "sample-2.0.dist-info/WHEEL",
        "sample-2.0.dist-info/entry_points.txt",
    ]


def test_the_old_version_goes_whole(wheel: MakeWheel) -> None:
    old = installed(
        "sample",
        "1.0",
        "sample/__init__.py",
        "sample/gone.py",
        "sample/deep/a.py",
        "sample/deep/er/b.py",
        "../../../bin/sample-old",
    )
    cache = {
        f"{SITE}/sample/__pycache__/__init__.cpython-311.pyc": b"",
        f"{SITE}/sample/__pycache__/gone.cpython-311.opt-1.pyc": b"",
        f"{SITE}/sample/user-data.txt": b"not in RECORD",
    }

    made = layer_for({**old, **cache}, wheel(files={"sample/__init__.py": b"new"}))

    assert [line for line in listing(made.content) if line not in PARENTS] == [
        "d 755 0:0 /opt/v/bin",
        "- /opt/v/bin/sample-old",
        f"d 755 0:0 {SITE}/sample",
        f"- {SITE}/sample-1.0.dist-info",
        f"d 755 0:0 {SITE}/sample-2.0.dist-info",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/INSTALLER",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/METADATA",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/RECORD",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/REQUESTED",
        f"f 644 0:0 {SITE}/sample-2.0.dist-info/WHEEL",
        f"f 644 0:0 {SITE}/sample/__init__.py",
        f"- {SITE}/sample/__pycache__",
        f"- {SITE}/sample/deep",
        f"- {SITE}/sample/gone.py",
    ]
    assert made.changes == (PackageChange(name="sample", old="1.0", new="2.0"),)  # type: ignore[arg-type]


def test_a_module_that_becomes_a_package_and_back(wheel: MakeWheel) -> None:
    module = installed("sample", "1.0", "sample.py", "part")
    package = installed("sample", "1.0", "sample/__init__.py", "part/a", "part/b")

    assert lines_for(module, wheel(files={"sample/__init__.py": b"", "part/a": b""})) == [
        f"d 755 0:0 {SITE}/part",
        f"f 644 0:0 {SITE}/part/a",
        f"d 755 0:0 {SITE}/sample",
        f"- {SITE}/sample-1.0.dist-info",
        f"d 755 0:0 {SITE}/sample-2.0.dist-info",
        f"- {SITE}/sample.py",
        f"f 644 0:0 {SITE}/sample/__init__.py",
    ]
    assert lines_for(package, wheel(files={"sample.py": b"", "part": b""})) == [
        f"f 644 0:0 {SITE}/part",
        f"- {SITE}/sample",
        f"- {SITE}/sample-1.0.dist-info",
        f"d 755 0:0 {SITE}/sample-2.0.dist-info",
        f"f 644 0:0 {SITE}/sample.py",
    ]


def test_a_folder_that_is_a_link_in_the_image_stays_one(wheel: MakeWheel) -> None:
    linked: Content = {f"{SITE}/sample": symlink("../../../share/sample"), "/opt/v/share/sample/kept": b""}

    made = layer_for(linked, wheel(files={"sample/__init__.py": b""}))

    lines = listing(made.content)
    assert "f 644 0:0 /opt/v/share/sample/__init__.py" in lines
    assert not any(line.endswith(f"{SITE}/sample") for line in lines)
    assert "sample/__init__.py," in text(made.content, f"{SITE}/sample-2.0.dist-info/RECORD")


def test_a_link_of_the_old_version_is_replaced_by_a_file_or_a_folder(wheel: MakeWheel) -> None:
    old = {
        **installed("sample", "1.0", "link", "folder"),
        f"{SITE}/link": symlink("/etc/passwd"),
        f"{SITE}/folder": symlink("/etc"),
        "/etc/passwd": b"root",
    }

    assert [
        line for line in lines_for(old, wheel(files={"link": b"", "folder/a": b""})) if "dist-info" not in line
    ] == [
        f"d 755 0:0 {SITE}/folder",
        f"f 644 0:0 {SITE}/folder/a",
        f"f 644 0:0 {SITE}/link",
    ]


def test_bytecode_of_a_replaced_file_that_nobody_lists_goes_too(wheel: MakeWheel) -> None:
    stray = {
        f"{SITE}/sample.py": b"",
        f"{SITE}/sample.pyc": b"",
        f"{SITE}/__pycache__/sample.cpython-311.pyc": b"",
        f"{SITE}/__pycache__/other.cpython-311.pyc": b"",
    }

    assert lines_for(stray, wheel()) == [
        f"d 755 0:0 {SITE}/__pycache__",
        f"- {SITE}/__pycache__/sample.cpython-311.pyc",
        f"d 755 0:0 {SITE}/sample-2.0.dist-info",
        f"f 644 0:0 {SITE}/sample.py",
        f"- {SITE}/sample.pyc",
    ]


def test_installing_again_changes_nothing(wheel: MakeWheel) -> None:
    sample = wheel(files={"sample/__init__.py": b"x = 1\n"}, entry_points="[console_scripts]\nsample = sample:main\n")
    once = OverlaidTree(MemoryTree(BASE), layer_for({}, sample).content)

    again = wheel_content(once, inventory_of(once), [sample])

    assert again.content == LayerContent(())
    assert again.changes == (PackageChange(name="sample", old="2.0", new="2.0"),)  # type: ignore[arg-type]


def test_installing_again_repairs_what_was_changed_and_keeps_valid_bytecode(wheel: MakeWheel) -> None:
    sample = wheel(files={f"sample/{name}.py": name.encode() for name in ("changed", "owned", "sound")})
    once = OverlaidTree(MemoryTree(BASE), layer_for({}, sample).content)
    damaged: dict[str, bytes | Entry | tuple[Entry, bytes]] = {
        path: once.read(path) for path in files_below(once, SITE)
    }
    damaged[f"{SITE}/sample/changed.py"] = b"CHANGED"
    damaged[f"{SITE}/sample/owned.py"] = (Entry(Kind.FILE, uid=5), b"owned")
    for name in ("changed", "owned", "sound"):
        damaged[f"{SITE}/sample/__pycache__/{name}.cpython-311.pyc"] = b""
        damaged[f"{SITE}/sample/{name}.pyc"] = b""

    assert lines_for(damaged, sample) == [
        f"d 755 0:0 {SITE}/sample",
        f"d 755 0:0 {SITE}/sample/__pycache__",
        f"- {SITE}/sample/__pycache__/changed.cpython-311.pyc",
        f"- {SITE}/sample/__pycache__/owned.cpython-311.pyc",
        f"f 644 0:0 {SITE}/sample/changed.py",
        f"- {SITE}/sample/changed.pyc",
        f"f 644 0:0 {SITE}/sample/owned.py",
        f"- {SITE}/sample/owned.pyc",
    ]


_NAMES = st.sampled_from(["a", "b", "c.py", "d.py"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


def _tree_of(paths: set[str]) -> set[str]:
    """Leave out the paths that are a folder of another one."""
    return {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(_PATHS, max_size=6).map(_tree_of), st.sets(_PATHS, min_size=1, max_size=6).map(_tree_of), st.booleans())
def test_after_the_layer_the_image_has_the_new_version_and_nothing_of_the_old(
    wheel: MakeWheel, old: set[str], new: set[str], same_version: bool
) -> None:
    version = "2.0" if same_version else "1.0"
    tree = MemoryTree({**BASE, f"{SITE}/other.py": b"", **installed("sample", version, *sorted(old))})

    made = wheel_content(tree, inventory_of(tree), [wheel(files=dict.fromkeys(new, b"new"))])

    after = OverlaidTree(tree, made.content)
    files = {path.removeprefix(f"{SITE}/") for path in files_below(after, SITE)}
    assert {path for path in files if not path.startswith("sample-2.0.dist-info/")} == new | {"other.py"}
    assert all(after.read(f"{SITE}/{path}") == b"new" for path in new)
    assert _empty_folders(after, SITE) == []
    assert [found.version for found in find_distributions(after, ENVIRONMENT)] == ["2.0"]
    seen = {"/"}
    for entry in made.content.entries:
        assert entry.path.rpartition("/")[0] in seen | {""}, "a folder stands before what is in it"
        seen.add(entry.path)


def _empty_folders(tree: FileTree, folder: str) -> list[str]:
    names = tree.scandir(folder)
    below = [f"{folder}/{name}" for name, entry in names.items() if entry.kind is Kind.DIRECTORY]
    empty = [path for one in below for path in _empty_folders(tree, one)]
    return empty if names else [folder]
