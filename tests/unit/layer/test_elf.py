# SPDX-License-Identifier: Apache-2.0
import os
import platform
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.elf import CLibrary, Program, c_library, find_loader, program_at, read_program
from stxbuildah.layer.memory import MemoryTree, symlink
from tests.unit.layer.directory_tree import DirectoryTree


def elf(machine: int, loader: str = "", *, wide: bool = True, big: bool = False) -> bytes:
    """Give the head of a program: its ELF header, one program header, and the loader's name."""
    order = ">" if big else "<"
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1]) + bytes(9)
    size, entry = (64, 56) if wide else (52, 32)
    words = "QQQ" if wide else "III"
    header = struct.pack(order + "HHI" + words + "IHHHHHH", 3, machine, 1, 0, size, 0, 0, size, entry, 1, 0, 0, 0)
    start = size + entry
    if wide:
        segment = struct.pack(order + "IIQQQQQQ", 3, 4, start, 0, 0, len(loader) + 1, len(loader) + 1, 1)
    else:
        segment = struct.pack(order + "IIIIIIII", 3, start, 0, 0, len(loader) + 1, len(loader) + 1, 4, 1)
    return ident + header + (segment if loader else b"\0" * entry) + loader.encode() + b"\0"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (elf(62, "/lib64/ld-linux-x86-64.so.2"), Program(machine="x86_64", loader="/lib64/ld-linux-x86-64.so.2")),
        (elf(183, "/lib/ld-linux-aarch64.so.1"), Program(machine="aarch64", loader="/lib/ld-linux-aarch64.so.1")),
        (elf(3, "/lib/ld-linux.so.2", wide=False), Program(machine="i686", loader="/lib/ld-linux.so.2")),
        (elf(40, "/lib/ld-linux-armhf.so.3", wide=False), Program(machine="armv7l", loader="/lib/ld-linux-armhf.so.3")),
        (elf(22, "/lib/ld64.so.1", big=True), Program(machine="s390x", loader="/lib/ld64.so.1")),
        (elf(21, "/lib64/ld64.so.2"), Program(machine="ppc64le", loader="/lib64/ld64.so.2")),
        (elf(62), Program(machine="x86_64", loader="")),
        (elf(9999), Program(machine="", loader="")),
        (b"#!/bin/sh\n" + b"\n" * 60, None),
        (b"\x7fELF", None),
    ],
)
def test_the_header_of_a_program_says_its_machine_and_loader(head: bytes, expected: Program | None) -> None:
    assert read_program(head) == expected


@given(st.binary(max_size=300))
def test_a_hostile_header_is_read_without_an_error(tail: bytes) -> None:
    read_program(b"\x7fELF\x02\x01" + tail)


@pytest.mark.parametrize(
    ("loader", "content", "expected"),
    [
        (
            "/lib64/ld-linux-x86-64.so.2",
            {
                "/lib64/ld-linux-x86-64.so.2": symlink("/lib/x86_64-linux-gnu/ld-2.31.so"),
                "/lib/x86_64-linux-gnu/ld-2.31.so": b"\x7fELF",
            },
            CLibrary(glibc=(2, 31)),
        ),
        (
            "/lib64/ld-linux-x86-64.so.2",
            {
                "/lib64/ld-linux-x86-64.so.2": b"\0ld.so (GNU libc) stable release version 2.34.\n",
                "/lib64/libc.so.6": b"",
            },
            CLibrary(glibc=(2, 34)),
        ),
        (
            "/lib64/ld-linux-x86-64.so.2",
            {
                "/lib64/ld-linux-x86-64.so.2": b"no sentence",
                "/lib64/libc.so.6": b"\0GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n",
            },
            CLibrary(glibc=(2, 41)),
        ),
        (
            "/lib/ld-musl-x86_64.so.1",
            {"/lib/ld-musl-x86_64.so.1": b"musl libc\0Version %s\0" + b"1.2.5\0"},
            CLibrary(musl=(1, 2)),
        ),
        ("/lib/ld-musl-x86_64.so.1", {"/lib/ld-musl-x86_64.so.1": b"?"}, CLibrary()),
        ("/lib64/ld-linux-x86-64.so.2", {}, CLibrary()),
        ("", {}, CLibrary()),
    ],
)
def test_the_c_library_is_the_loaders(loader: str, content: dict[str, bytes], expected: CLibrary) -> None:
    assert c_library(MemoryTree(content), loader) == expected


def test_the_widest_loader_is_found_for_a_program_that_names_none() -> None:
    tree = MemoryTree(
        {
            "/usr/lib64/ld-linux-x86-64.so.2": b"",
            "/lib64": symlink("usr/lib64"),
            "/lib/ld-linux.so.2": b"",
            "/lib/libc.so.6": b"",
        }
    )
    assert find_loader(tree) == "/lib64/ld-linux-x86-64.so.2"
    assert find_loader(MemoryTree({"/lib/libfoo.so.1": b""})) == ""


def test_this_machines_python_is_read_as_it_is() -> None:
    tree = DirectoryTree()
    program = program_at(tree, os.path.realpath("/proc/self/exe"))
    assert program is not None
    assert program.machine == platform.machine()
    name, version = platform.libc_ver()
    if name == "glibc":
        major, minor = version.split(".")[:2]
        assert c_library(tree, program.loader) == CLibrary(glibc=(int(major), int(minor)))
    assert Path(program.loader).exists()
