# SPDX-License-Identifier: Apache-2.0
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stxbuildah.layer import paths
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.tree import Entry, Kind

TREE = MemoryTree(
    {
        "/usr/lib/file": b"x",
        "/lib": symlink("usr/lib"),
        "/absolute": symlink("/lib/file"),
        "/up": symlink("../../../../usr"),
        "/usr/back": symlink("../lib/./file"),
        "/loop": symlink("loop"),
        "/here": symlink("there"),
        "/there": symlink("here"),
        "/dangling": symlink("/nowhere/at/all"),
        "/empty": Entry(Kind.SYMLINK),
    }
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/lib/file", "/usr/lib/file"),
        ("//lib/./file", "/usr/lib/file"),
        ("/absolute", "/usr/lib/file"),
        ("/up/lib", "/usr/lib"),
        ("/usr/back", "/usr/lib/file"),
        ("/lib/../lib/file", "/usr/lib/file"),
        ("/../../lib", "/usr/lib"),
        ("/loop", None),
        ("/here", None),
        ("/dangling", None),
        ("/empty", None),
        ("/usr/lib/file/below", None),
        ("/usr/none", None),
    ],
)
def test_resolve_follows_links_inside_the_image_only(path: str, expected: str | None) -> None:
    assert paths.resolve(TREE, path) == expected


def test_the_last_link_is_kept_when_asked() -> None:
    assert paths.resolve(TREE, "/lib", follow_last=False) == "/lib"
    assert paths.resolve(TREE, "/lib/file", follow_last=False) == "/usr/lib/file"
    assert paths.resolve(TREE, "/dangling", follow_last=False) == "/dangling"


def test_a_chain_of_forty_links_is_followed_and_one_of_forty_one_is_not() -> None:
    tree = MemoryTree({"/0": b"", **{f"/{number}": symlink(f"{number - 1}") for number in range(1, 42)}})
    assert paths.resolve(tree, "/40") == "/0"
    assert paths.resolve(tree, "/41") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/lib/new/folder", "/usr/lib/new/folder"),
        ("/up/a/../b", "/usr/b"),
        ("/dangling/more", "/nowhere/at/all/more"),
        ("/lib/file/below", None),
        ("/loop/x", None),
    ],
)
def test_real_path_keeps_what_is_not_there_yet(path: str, expected: str | None) -> None:
    assert paths.real_path(TREE, path) == expected


def test_real_parent_names_the_place_of_a_link_itself() -> None:
    assert paths.real_parent(TREE, "/lib/new") == "/usr/lib/new"
    assert paths.real_parent(TREE, "/lib") == "/lib"


def test_a_file_is_read_through_links_and_a_folder_is_not() -> None:
    assert paths.read_file(TREE, "/absolute") == b"x"
    assert paths.read_file(TREE, "/lib") is None
    assert paths.read_file(TREE, "/dangling") is None
    assert (paths.is_file(TREE, "/absolute"), paths.is_directory(TREE, "/lib")) == (True, True)
    assert (paths.is_file(TREE, "/lib"), paths.is_directory(TREE, "/absolute")) == (False, False)


def test_texts_of_paths() -> None:
    assert paths.join("/a", "b", "c/d") == "/a/b/c/d"
    assert paths.join("/", "b") == "/b"
    assert paths.join("/a", "/b") == "/b"
    assert paths.normalize("/a//b/./../../../c/") == "/c"
    assert (paths.parent("/a/b"), paths.parent("/a"), paths.parent("/")) == ("/a", "/", "/")
    assert (paths.is_below("/a/b", "/a"), paths.is_below("/ab", "/a"), paths.is_below("/a", "/a")) == (
        True,
        False,
        False,
    )
    assert paths.is_below("/a", "/")


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
TARGETS = st.tuples(st.booleans(), st.lists(NAMES | st.just(".."), min_size=1, max_size=4)).map(
    lambda parts: ("/" if parts[0] else "") + "/".join(parts[1])
)


@settings(deadline=None, max_examples=60)  # every example makes files
@given(st.dictionaries(PATHS, st.none() | TARGETS, max_size=6), TARGETS)
def test_resolve_agrees_with_the_kernel(wanted: dict[str, str | None], asked: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        # Deep enough that no ".." leaves the folder of this test; those that leave the image are passed over.
        image = Path(os.path.realpath(name), "1", "2", "3", "4", "5", "6", "image")
        image.mkdir(parents=True)
        content: dict[str, bytes | Entry] = {}
        for path, target in sorted(wanted.items()):
            place = Path(f"{image}{path}")
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                if target is None:
                    place.write_bytes(b"")
                else:
                    place.symlink_to(f"{image}{target}" if target.startswith("/") else target)
            except OSError:
                continue
            if Path(os.path.realpath(place.parent)) == place.parent:
                content[path] = b"" if target is None else symlink(target)
            else:
                assume(False)
        real = os.path.realpath(f"{image}/{asked}")
        assume(real == str(image) or real.startswith(f"{image}/"))
        exists = Path(f"{image}/{asked}").exists()
        expected = (real.removeprefix(str(image)) or "/") if exists else None
        assert paths.resolve(MemoryTree(content), f"/{asked}") == expected


@given(st.text(st.sampled_from("/.ab"), max_size=12))
def test_normalize_agrees_with_the_standard_library(text: str) -> None:
    assert paths.normalize("/" + text) == os.path.normpath("/" + text.lstrip("/"))
