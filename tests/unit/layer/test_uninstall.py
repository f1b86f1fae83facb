# SPDX-License-Identifier: Apache-2.0
"""What goes with Python packages, in a Debian image with a virtual environment on its PATH."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from stxbuildah.layer.distributions import find_distributions
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.requirements import requiring
from stxbuildah.layer.uninstall import Uninstalled, find_environments, uninstall
from stxbuildah.model.tree import Entry, FileTree, Kind
from tests.unit.layer.layer_listing import listing
from tests.unit.layer.test_requirements import ENVIRONMENT, one

VENV = "/var/lib/openstack"
SITE = f"{VENV}/lib/python3.13/site-packages"
LOCAL = "/usr/local/lib/python3.13/dist-packages"
SYSTEM = "/usr/lib/python3/dist-packages"
PATH = f"{VENV}/bin:/usr/bin"
PROGRAM = Entry(Kind.FILE, mode=0o755)
Content = dict[str, bytes | Entry | tuple[Entry, bytes]]

PYTHON: Content = {
    "/usr/bin/python3.13": PROGRAM,
    "/usr/bin/python3": symlink("python3.13"),
    "/usr/lib/python3.13/os.py": b"",
    "/usr/lib/python3.13/site.py": b"# dist-packages",
    f"{VENV}/bin/python3": symlink("/usr/bin/python3"),
    f"{VENV}/bin/python": symlink("python3"),
    f"{VENV}/pyvenv.cfg": b"home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.13.5\n",
    f"{SITE}/kept.py": b"",
}


def module(site: str, name: str, *requires: str, scripts: str = "") -> Content:
    information = f"{site}/{name}-1.0.dist-info"
    lines = [f"{name}/__init__.py", f"{name}-1.0.dist-info/METADATA", f"{name}-1.0.dist-info/RECORD"]
    made: Content = {f"{site}/{name}/__init__.py": b""}
    if scripts:
        lines.append(f"../../../bin/{name}")
        made[f"{scripts}/{name}"] = PROGRAM
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0", *(f"Requires-Dist: {line}" for line in requires)]
    made[f"{information}/METADATA"] = "\n".join([*metadata, ""]).encode()
    made[f"{information}/RECORD"] = "".join(f"{line},,\n" for line in lines).encode()
    return made


def owned(name: str) -> Content:
    """A package of Debian's that owns a module."""
    paths = [f"{SYSTEM}/{name}/__init__.py", f"{SYSTEM}/{name}-1.0.dist-info"]
    return {
        **module(SYSTEM, name),
        f"/var/lib/dpkg/info/python3-{name}.list": "\n".join(["/.", *paths, ""]).encode(),
    }


def without(content: Content, *names: str) -> Uninstalled:
    tree = MemoryTree({**PYTHON, **content})
    return uninstall(tree, find_environments(tree, PATH), names)


def visible(tree: FileTree) -> set[str]:
    return {found.name for one in find_environments(tree, PATH) for found in find_distributions(tree, one)}


def test_both_environments_lose_it() -> None:
    made = without({**module(SITE, "pip", scripts=f"{VENV}/bin"), **module(LOCAL, "pip")}, "PIP")
    assert made.removed == (f"pip 1.0 in {SITE}", f"pip 1.0 in {LOCAL}")
    assert made.kept == ()
    assert [line for line in listing(made.content) if not line.startswith("d ")] == [
        f"- {LOCAL}/pip",
        f"- {LOCAL}/pip-1.0.dist-info",
        f"- {VENV}/bin/pip",
        f"- {SITE}/pip",
        f"- {SITE}/pip-1.0.dist-info",
    ]


def test_what_the_system_owns_stays() -> None:
    made = without({**owned("pip"), **module(SITE, "pip")}, "pip")
    assert made.removed == (f"pip 1.0 in {SITE}",)
    assert made.kept == (f"pip 1.0 in {SYSTEM} stays: it belongs to the package python3-pip",)


def test_what_another_environment_requires_stays() -> None:
    made = without({**module(LOCAL, "pip"), **module(SITE, "tools", "pip>=1")}, "pip")
    assert (made.removed, made.content.entries) == ((), ())
    assert made.kept == ("pip stays: tools 1.0 requires it",)


def test_what_goes_together_goes() -> None:
    made = without({**module(SITE, "tools", "pip"), **module(SITE, "pip")}, "pip", "tools")
    assert made.removed == (f"pip 1.0 in {SITE}", f"tools 1.0 in {SITE}")


def test_what_a_package_that_stays_requires_stays_too() -> None:
    content = {**module(SITE, "first"), **module(SITE, "second", "first"), **module(SITE, "third", "second")}
    made = without(content, "first", "second")
    assert made.removed == ()
    assert made.kept == ("first stays: second 1.0 requires it", "second stays: third 1.0 requires it")


def test_where_nothing_is_no_module_is_read() -> None:
    class Unread(MemoryTree):
        def read(self, path: str) -> bytes:
            assert not path.endswith("METADATA"), path
            return super().read(path)

    tree = Unread({**PYTHON, **module(SITE, "tools")})
    assert uninstall(tree, find_environments(tree, PATH), ["pip"]) == Uninstalled()


def test_an_image_without_python() -> None:
    tree = MemoryTree({"/bin/sh": PROGRAM})
    assert find_environments(tree, PATH) == ()
    assert uninstall(tree, (), ["pip"]) == Uninstalled()


NAMES = ("aa", "bb", "cc", "dd")


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), min_size=1),
    st.sets(st.sampled_from(NAMES)),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([SITE, LOCAL])),
)
def test_nothing_that_stays_lacks_what_it_had(
    requires: dict[str, set[str]], names: set[str], places: dict[str, str]
) -> None:
    content: Content = dict(PYTHON)
    for name, wanted in requires.items():
        content.update(module(places.get(name, SITE), name, *sorted(wanted - {name})))
    tree = MemoryTree(content)
    before = visible(tree)
    made = uninstall(tree, find_environments(tree, PATH), names)
    after = visible(OverlaidTree(tree, made.content))
    assert before - names <= after
    assert not [(one, lost) for one in after for lost in requires[one] & (before - after)]
    # No more stays than has to: from each of them, somebody who was to stay requires it.
    assert all(_is_needed(name, requires, before - names) for name in after & names)


def _is_needed(name: str, requires: dict[str, set[str]], staying: Iterable[str]) -> bool:
    reached, waiting = set(staying), list(staying)
    while waiting:
        for other in requires[waiting.pop()]:
            if other not in reached and other in requires:
                reached.add(other)
                waiting.append(other)
    return name in reached


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("pip", True),
        ("PIP (>=9)", True),
        ("pip; python_version < '3'", False),
        ("pip; python_version >= '3'", True),
        ("pip; extra == 'dev'", False),
        ("pip; nonsense", True),
        ("pip-tools", False),
    ],
)
def test_who_requires(line: str, counts: bool) -> None:
    installed = (one("tools", "1.0", line), one("pip", "24.0", "pip"))
    found = requiring(installed, ENVIRONMENT, canonicalize_name("pip"))
    assert [distribution.name for distribution in found] == (["tools"] if counts else [])
