# SPDX-License-Identifier: Apache-2.0
"""Libraries found as the dynamic loader finds them, in trees of our own and on this machine."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.elfdynamic import read_dynamic
from stxbuildah.layer.loadercache import read_cache
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.sharedlibraries import missing_libraries
from stxbuildah.model.tree import Entry
from tests.unit.layer.directory_tree import DirectoryTree
from tests.unit.layer.elf_maker import AARCH64, make_cache, make_elf

LOADER = "/lib64/ld-linux-x86-64.so.2"
MULTIARCH = "/usr/lib/x86_64-linux-gnu"
LIBRARY = make_elf()
Content = dict[str, bytes | Entry | tuple[Entry, bytes]]
SYSTEM: Content = {
    LOADER: LIBRARY,
    f"{MULTIARCH}/libc.so.6": make_elf("ld-linux-x86-64.so.2"),
    "/lib/x86_64-linux-gnu": symlink(MULTIARCH),
}


def missing(program: bytes, content: Content, library_path: str = "") -> tuple[str, ...]:
    tree = MemoryTree({**SYSTEM, "/opt/app/bin/run": program, **content})
    return missing_libraries(tree, "/opt/app/bin/run", library_path=library_path)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("big", [True, False])
def test_a_file_is_read(wide: bool, big: bool) -> None:
    made = make_elf("liba.so.1", "libb.so", loader="/lib/ld.so", rpath="/a:$ORIGIN/b", runpath="/c", wide=wide, big=big)
    found = read_dynamic(made)
    assert found is not None
    assert found.kind == (62, wide, big)
    assert (found.loader, found.needed) == ("/lib/ld.so", ("liba.so.1", "libb.so"))
    assert (found.rpath, found.runpath, found.default_folders) == (("/a", "$ORIGIN/b"), ("/c",), True)


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_damage_is_no_surprise(noise: bytes, place: int) -> None:
    whole = make_elf("liba.so.1", "libb.so", loader=LOADER, runpath="/c")
    read_dynamic(whole[:place] + noise + whole[place + len(noise) :])
    read_dynamic(whole[:place])
    read_cache(make_cache(["/lib/liba.so.1"])[:place] + noise)
    assert read_dynamic(noise) is None or noise.startswith(b"\x7fELF")


@pytest.mark.parametrize("old_part", [b"", b"ld.so-1.7.0" + bytes(37)])
def test_a_cache_is_read(old_part: bytes) -> None:
    paths = ["/opt/x/liba.so.1", "/usr/lib/liba.so.1", "/usr/lib/libb.so"]
    found = {"liba.so.1": ("/opt/x/liba.so.1", "/usr/lib/liba.so.1"), "libb.so": ("/usr/lib/libb.so",)}
    assert read_cache(make_cache(paths, old_part=old_part)) == found


@pytest.mark.parametrize(
    ("content", "program"),
    [
        ({f"{MULTIARCH}/liba.so.1": LIBRARY}, make_elf("liba.so.1", "libc.so.6", loader=LOADER)),
        ({"/usr/lib64/liba.so.1": LIBRARY}, make_elf("liba.so.1", loader=LOADER)),
        ({"/far/liba.so.1": LIBRARY, "/etc/ld.so.cache": make_cache(["/far/liba.so.1"])},
         make_elf("liba.so.1", loader=LOADER)),
        ({"/opt/app/lib/liba.so.1": LIBRARY}, make_elf("liba.so.1", loader=LOADER, runpath="$ORIGIN/../lib")),
        ({"/opt/app/lib/liba.so.1": LIBRARY}, make_elf("liba.so.1", loader=LOADER, rpath="${ORIGIN}/../lib")),
        ({f"/x{MULTIARCH}/liba.so.1": LIBRARY, "/x/lib/x86_64-linux-gnu": symlink(f"/x{MULTIARCH}")},
         make_elf("liba.so.1", loader=LOADER, runpath="/x/$LIB")),
        ({"/opt/app/bin/plugins/liba.so": LIBRARY}, make_elf("$ORIGIN/plugins/liba.so", loader=LOADER)),
        ({}, make_elf(static=True)),
        ({}, b"#!/bin/sh\n"),
        # A program's DT_RPATH is looked at for what its libraries need, too.
        ({"/r/liba.so": make_elf("libb.so"), "/r/libb.so": LIBRARY}, make_elf("liba.so", loader=LOADER, rpath="/r")),
        # What is there already is not looked for again.
        ({"/r/liba.so": make_elf("libb.so"), "/r/libb.so": LIBRARY},
         make_elf("libb.so", "liba.so", loader=LOADER, runpath="/r")),
        # Of another machine, it is passed over.
        ({"/r/liba.so": make_elf(machine=AARCH64), "/usr/lib/liba.so": LIBRARY},
         make_elf("liba.so", loader=LOADER, runpath="/r")),
    ],
)  # fmt: skip
def test_what_is_found(content: Content, program: bytes) -> None:
    assert missing(program, content) == ()


@pytest.mark.parametrize(
    ("content", "program", "what"),
    [
        ({}, make_elf(loader="/lib/ld-none.so.1"), "/lib/ld-none.so.1, the loader that /opt/app/bin/run asks for"),
        ({}, make_elf("liba.so.1", loader=LOADER), "liba.so.1, which /opt/app/bin/run needs"),
        ({f"{MULTIARCH}/liba.so": make_elf("libb.so")}, make_elf("liba.so", loader=LOADER),
         f"libb.so, which {MULTIARCH}/liba.so needs"),
        # The loader never looks there, whatever ld.so.conf says, until the cache is made.
        ({"/far/liba.so": LIBRARY, "/etc/ld.so.conf": b"/far\n"}, make_elf("liba.so", loader=LOADER),
         "liba.so, which /opt/app/bin/run needs"),
        # DT_RUNPATH is for what the object itself needs, and switches its DT_RPATH off.
        ({"/r/liba.so": make_elf("libb.so"), "/r/libb.so": LIBRARY}, make_elf("liba.so", loader=LOADER, runpath="/r"),
         "libb.so, which /r/liba.so needs"),
        ({"/r/liba.so": LIBRARY}, make_elf("liba.so", loader=LOADER, rpath="/r", runpath="/s"),
         "liba.so, which /opt/app/bin/run needs"),
        ({f"{MULTIARCH}/liba.so": make_elf(machine=AARCH64)}, make_elf("liba.so", loader=LOADER),
         "liba.so, which /opt/app/bin/run needs"),
        ({f"{MULTIARCH}/liba.so": LIBRARY}, make_elf("liba.so", loader=LOADER, flags=0x800),
         "liba.so, which /opt/app/bin/run needs"),
        ({f"{MULTIARCH}/liba.so": symlink("libmissing.so")}, make_elf("liba.so", loader=LOADER),
         "liba.so, which /opt/app/bin/run needs"),
    ],
)  # fmt: skip
def test_what_is_missing(content: Content, program: bytes, what: str) -> None:
    assert missing(program, content) == (what,)


def test_the_search_path_of_the_configuration() -> None:
    program = make_elf("liba.so", loader=LOADER)
    assert missing(program, {"/own/liba.so": LIBRARY}, "/none:/own") == ()
    assert missing(program, {"/own/liba.so": LIBRARY}, "own:") != ()


def test_musl() -> None:
    loader = "/lib/ld-musl-x86_64.so.1"
    own: Content = {loader: LIBRARY, "/usr/lib/liba.so": make_elf("libc.so", "libb.so"), "/far/libb.so": LIBRARY}
    program = make_elf("liba.so", "libpthread.so.0", "libc.musl-x86_64.so.1", loader=loader)
    assert missing(program, own) == ("libb.so, which /usr/lib/liba.so needs",)
    assert missing(program, {**own, "/etc/ld-musl-x86_64.path": b"/usr/lib\n/far\n"}) == ()
    # Folders of DT_RUNPATH count for what libraries need, too: musl makes no difference.
    assert missing(make_elf("liba.so", loader=loader, runpath="/far"), own) == ()


@pytest.mark.skipif(shutil.which("ldd") is None, reason="needs ldd")
def test_programs_of_this_machine_are_judged_as_by_its_own_loader() -> None:
    named = filter(None, map(shutil.which, ("git", "ls", "openssl", "bash")))
    programs = [Path(sys.executable), *map(Path, named)]
    for program in {path.resolve() for path in programs}:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        missing_there = sorted(line.split()[0] for line in said.splitlines() if "not found" in line)
        lacking = missing_libraries(DirectoryTree(), str(program))
        assert sorted(one.partition(",")[0] for one in lacking) == missing_there, program
