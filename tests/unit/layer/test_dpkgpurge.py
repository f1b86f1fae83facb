# SPDX-License-Identifier: Apache-2.0
"""What removing Debian packages takes away, computed; an engine test compares it with what dpkg really does."""

import io

import attrs
import pytest

from stxbuildah.layer.dpkgpurge import are_needed, have_same_effect, purge_content, purge_key
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry
from tests.unit.layer.layer_listing import listing, text

Content = dict[str, bytes | Entry | tuple[Entry, bytes]]
SITE = "/usr/lib/python3/dist-packages"
INFORMATION = "/var/lib/dpkg/info"


def stanza(name: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nVersion: 1\nDescription: it\n .\n more\n\n"


IMAGE: Content = {
    "/var/lib/dpkg/status": "".join(map(stanza, ("alpha", "tool", "tool-data", "zeta"))).encode(),
    f"{INFORMATION}/tool.list": "\n".join(
        ["/.", "/usr", "/usr/bin", "/usr/bin/tool", "/lib", "/lib/tool", "/lib/tool/one", "/usr/lib/python3",
         "/usr/lib/python3/dist-packages", f"{SITE}/tool", f"{SITE}/tool/__init__.py", "/usr/share/doc/tool",
         "/usr/share/doc/tool/copyright", "/etc/absent", ""]
    ).encode(),
    f"{INFORMATION}/tool.prerm": b"#!/bin/sh\npy3clean -p tool\n",
    f"{INFORMATION}/tool-data:amd64.list": b"/.\n/usr/share/tool\n/usr/share/tool/data\n",
    f"{INFORMATION}/alpha.list": b"/.\n/usr\n/usr/bin\n/usr/bin/alpha\n",
    "/usr/bin/tool": b"", "/usr/bin/alpha": b"", "/lib": symlink("usr/lib"), "/usr/lib/tool/one": b"",
    f"{SITE}/tool/__init__.py": b"", f"{SITE}/tool/__pycache__/__init__.cpython-313.pyc": b"",
    f"{SITE}/other.py": b"", "/usr/share/doc/tool/copyright": b"", "/usr/share/doc/alpha/copyright": b"",
    "/usr/share/tool/data": b"", "/usr/share/tool/own": b"",
}  # fmt: skip


def changed(made: LayerContent) -> list[str]:
    return [line for line in listing(made) if not line.startswith("d ")]


def test_what_a_package_has_brought_goes() -> None:
    made = purge_content(MemoryTree(IMAGE), ["tool"])
    assert changed(made) == [
        "- /usr/bin/tool",
        f"- {SITE}/tool",
        "- /usr/lib/tool",
        "- /usr/share/doc/tool",
        f"- {INFORMATION}/tool.list",
        f"- {INFORMATION}/tool.prerm",
        "f 644 0:0 /var/lib/dpkg/status",
    ]
    assert text(made, "/var/lib/dpkg/status") == "".join(map(stanza, ("alpha", "tool-data", "zeta")))
    assert "d 755 0:0 /usr/lib/python3/dist-packages" in listing(made)


def test_folders_with_something_else_in_them_stay() -> None:
    made = purge_content(MemoryTree(IMAGE), ["tool-data", "zeta"])
    assert changed(made) == [
        "- /usr/share/tool/data",
        f"- {INFORMATION}/tool-data:amd64.list",
        "f 644 0:0 /var/lib/dpkg/status",
    ]
    assert text(made, "/var/lib/dpkg/status") == "".join(map(stanza, ("alpha", "tool")))


@pytest.mark.parametrize(
    "changes",
    [
        {"/var/lib/dpkg/status": b""},
        {f"{INFORMATION}/tool.prerm": b"#!/bin/sh\n"},
        {f"{INFORMATION}/tool.postrm": b"#!/bin/sh\n"},
        {f"{INFORMATION}/tool:amd64.triggers": b""},
        {"/var/lib/dpkg/diversions": b"x"},
        {"/etc/dpkg/dpkg.cfg.d/local": b"force-all"},
    ],
)
def test_all_that_decides_it_is_in_the_key(changes: Content) -> None:
    key = purge_key(MemoryTree(IMAGE), ["tool"])
    assert purge_key(MemoryTree({**IMAGE, **changes}), ["tool"]) != key


def test_other_packages_and_files_are_not_in_the_key() -> None:
    key = purge_key(MemoryTree(IMAGE), ["tool"])
    more = "".join(map(stanza, ("alpha", "between", "tool", "tool-data", "zeta"))).encode()
    assert purge_key(MemoryTree({**IMAGE, "/var/lib/dpkg/status": more}), ["tool"]) == key
    other = more.replace(b"Package: tool\n", b"Package: tool\nEssential: yes\n")
    assert purge_key(MemoryTree({**IMAGE, "/var/lib/dpkg/status": other}), ["tool"]) != key
    assert purge_key(MemoryTree({**IMAGE, "/srv/new": b"", f"{INFORMATION}/alpha.prerm": b""}), ["tool"]) == key
    assert purge_key(MemoryTree(IMAGE), ["tool-data"]) != key


@pytest.mark.parametrize(
    ("field", "needed"),
    [
        ("", False),
        ("Recommends: tool\n", False),
        ("Depends: other, tool (>= 1)\n", True),
        ("Pre-Depends: other | tool\n", True),
        ("Depends: stands-in:any\n", True),
        ("Depends: toolbox\n", False),
    ],
)
def test_whether_others_need_it(field: str, needed: bool) -> None:
    fields = "Status: install ok installed\nVersion: 1\n"
    status = f"Package: tool\n{fields}Provides: stands-in (= 1)\n\nPackage: user\n{fields}{field}\n"
    tree = MemoryTree({"/var/lib/dpkg/status": status.encode()})
    assert are_needed(tree, frozenset({"tool"})) is needed
    assert not are_needed(tree, frozenset({"tool", "user"}))


def test_layers_of_the_same_effect() -> None:
    made = purge_content(MemoryTree(IMAGE), ["tool"])
    assert have_same_effect(made, purge_content(MemoryTree(IMAGE), ["tool"]))
    marked = LayerContent(
        tuple(attrs.evolve(one, mode=0) if one.change is Change.WHITEOUT else one for one in made.entries)
    )
    assert have_same_effect(made, marked)


def _other_status(entry: LayerEntry) -> LayerEntry:
    return attrs.evolve(entry, opener=lambda: io.BytesIO(b"other")) if entry.change is Change.FILE else entry


def _other_mode(entry: LayerEntry) -> LayerEntry:
    return attrs.evolve(entry, mode=0o700) if entry.path == "/usr" else entry


def _other_kind(entry: LayerEntry) -> LayerEntry:
    return attrs.evolve(entry, change=Change.DIRECTORY) if entry.path == "/usr/bin/tool" else entry


@pytest.mark.parametrize("change", [_other_status, _other_mode, _other_kind])
def test_layers_of_another_effect(change: "type[LayerEntry]") -> None:
    made = purge_content(MemoryTree(IMAGE), ["tool"])
    assert not have_same_effect(made, LayerContent(tuple(map(change, made.entries))))
    assert not have_same_effect(made, LayerContent(made.entries[:-1]))
    links = tuple(attrs.evolve(one, change=Change.SYMLINK, target="x") for one in made.entries)
    assert not have_same_effect(LayerContent(links), LayerContent(links))
