# SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.keptfiles import MAXIMUM_SCRIPT, PROGRAM_HEAD
from stxbuildah.layer.layerindex import index_layer, read_files
from stxbuildah.layer.tarmember import Limits
from stxbuildah.model.tree import Kind
from tests.layerstacks import Member, tar_of


def file(path: str, content: bytes = b"x", mtime: int = 5) -> Member:
    return Member(path=path, kind="file", content=content, mtime=mtime)


TAR = tar_of(
    [
        file("first", b"1"),
        Member(path="first", kind="file", content=b"again"),
        Member(path="usr/lib", kind="directory", mode=0o700),
        Member(path="lib", kind="symlink", target="usr/lib"),
        file("lib/data", b"data"),
        Member(path="usr/hard", kind="hardlink", target="lib/data"),
        file("lib/os-release", b"ID=x\n"),
        Member(path="gone", kind="whiteout"),
    ]
)
DIFF_ID = f"sha256:{hashlib.sha256(TAR).hexdigest()}"


def indexed(tmp_path: Path, tar: bytes = TAR, diff_id: str = "") -> LayerIndex:
    target = tmp_path / "layer.index"
    index_layer([gzip.compress(tar)], what="layer 1 of image", diff_id=diff_id, target=target)
    index = LayerIndex.open(target)
    assert index is not None
    return index


def test_an_index_knows_what_the_layer_does(tmp_path: Path) -> None:
    index = indexed(tmp_path, diff_id=DIFF_ID)
    root = index.folder("/")
    library = index.folder("/usr/lib")
    assert index.diff_id == DIFF_ID
    assert root is not None
    assert library is not None
    assert {name: entry.kind for name, entry in root.entries.items()} == {
        "first": Kind.FILE,
        "lib": Kind.SYMLINK,
        "usr": Kind.DIRECTORY,
    }
    assert root.whiteouts == {"gone"}
    assert set(library.entries) == {"data", "os-release"}
    assert index.folder("/lib") is None
    assert index.content("/usr/lib/os-release") == b"ID=x\n"
    assert index.content("/usr/lib/data") is None


def test_the_same_layer_gives_the_same_bytes_however_it_comes(tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    index_layer([gzip.compress(TAR)], what="x", diff_id="", target=whole)
    index_layer((TAR[at : at + 7] for at in range(0, len(TAR), 7)), what="x", diff_id=DIFF_ID, target=pieces)
    assert whole.read_bytes() == pieces.read_bytes()


def test_files_are_read_again_by_their_place_in_the_tree(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    asked = ["/first", "/usr/lib/data", "/usr/hard", "/lib", "/lib/data", "/missing", "/usr"]
    assert read_files([TAR], index, asked, what="x") == {
        "/first": b"again",
        "/usr/lib/data": b"data",
        "/usr/hard": b"data",
    }


def test_another_layer_than_the_indexed_one_is_refused(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    other = TAR.replace(b"data", b"atad")
    with pytest.raises(
        InputError, match=rf"^layer 2: its uncompressed tar has the digest .* and {DIFF_ID} was expected"
    ):
        read_files([other], index, ["/usr/hard"], what="layer 2")


@pytest.mark.parametrize(
    ("blob", "diff_id", "message"),
    [
        (TAR, f"sha256:{'0' * 64}", "its uncompressed tar has the digest"),
        (gzip.compress(TAR, mtime=0)[:-9], DIFF_ID, "truncated"),
        (TAR[:512], "", "truncated"),
        (b"no tar" * 200, "", "tar"),
        (TAR, "md5:0123", "no digest that is known"),
        (TAR, "sha256:12", "no digest that is known"),
    ],
)
def test_a_bad_layer_is_refused_and_leaves_nothing(tmp_path: Path, blob: bytes, diff_id: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^layer 1: .*{message}"):
        index_layer([blob], what="layer 1", diff_id=diff_id, target=tmp_path / "index")
    assert [*tmp_path.iterdir()] == []


def test_limits_are_held(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 16)

    for limits in (Limits(entries=3), Limits(total=2048)):
        with pytest.raises(InputError, match=r"^layer 1: "):
            index_layer([TAR], what="layer 1", diff_id="", target=tmp_path / "index", limits=limits)
    with pytest.raises(InputError, match=r"^layer 1: "):
        index_layer(endless(), what="layer 1", diff_id="", target=tmp_path / "index", limits=Limits(total=1 << 20))


@pytest.mark.parametrize("last", [file("x"), Member(path="x", kind="directory")], ids=["file", "directory"])
def test_a_small_layer_of_endlessly_many_folders_is_refused(tmp_path: Path, last: Member) -> None:
    deep = [attrs.evolve(last, path=f"{number}/{'a/' * 2000}{last.path}") for number in range(200)]
    blob = gzip.compress(tar_of(deep))
    assert len(blob) < 50_000
    with pytest.raises(InputError, match="layer 1 of image: its names and folders need more than 256 MiB"):
        index_layer([blob], what="layer 1 of image", diff_id="", target=tmp_path / "layer.index")
    assert list(tmp_path.iterdir()) == []


def test_what_taking_stock_reads_is_kept(tmp_path: Path) -> None:
    site = "usr/lib/python3/dist-packages"
    script, program = b"#!/usr/bin/python3\n", b"\x7fELF" + bytes(3 * MAXIMUM_SCRIPT)
    kept = {
        "etc/os-release": b"ID=x",
        f"{site}/x-1.dist-info/METADATA": b"Name: x",
        f"{site}/x-1.dist-info/RECORD": b"x.py,,",
        f"{site}/y.egg-info": b"Name: y",
        f"{site}/z.egg/EGG-INFO/PKG-INFO": b"Name: z",
        f"{site}/easy-install.pth": b"./z.egg",
        "opt/venv/pyvenv.cfg": b"home = /usr/bin",
        "opt/venv/bin/tool": script,
        "usr/lib/python3.11/EXTERNALLY-MANAGED": b"[externally-managed]",
        "var/lib/dpkg/status": b"Package: x",
        "var/lib/dpkg/info/x.list": b"/.",
        "var/lib/rpm/rpmdb.sqlite": b"SQLite",
        "lib64/ld-linux-x86-64.so.2": b"\x7fELF",
    }
    left = {
        f"{site}/x/code.py": b"1",
        f"{site}/x-1.dist-info/LICENSE": b"text",
        "usr/bin/program": b"\x7fELF",
        "home/metadata/METADATA": b"1",
    }
    tar = tar_of([file(path, content) for path, content in {**kept, **left, "usr/bin/python3.11": program}.items()])
    index = indexed(tmp_path, tar)
    assert {path: index.content(f"/{path}") for path in kept} == kept
    assert {path: index.content(f"/{path}") for path in left} == dict.fromkeys(left)
    assert index.content("/usr/bin/python3.11") is None
    assert index.content_start("/usr/bin/python3.11", PROGRAM_HEAD) == program[:PROGRAM_HEAD]
    assert index.content_start("/usr/bin/python3.11", PROGRAM_HEAD + 1) is None
