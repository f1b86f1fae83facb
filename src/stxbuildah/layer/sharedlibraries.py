# SPDX-License-Identifier: Apache-2.0
"""Whether the libraries of a program are there, found as the image's own dynamic loader would find them.

The rules are ld.so(8)'s for glibc, and those of musl's ``ldso/dynlink.c`` for images whose programs ask for its
loader. Nothing of the image runs.
"""

from collections import deque
from collections.abc import Iterator, Mapping

import attrs

from stxbuildah.layer.elfdynamic import DynamicObject, kind_of, read_dynamic
from stxbuildah.layer.loadercache import read_cache
from stxbuildah.layer.paths import base_name, parent, read_file, resolve
from stxbuildah.model.tree import FileTree, Kind

_CACHE = "/etc/ld.so.cache"
# Programs of many libraries have some hundreds.
_MAXIMUM_NAMES = 5000
_HEAD = 64
# e_machine of elf(5) -> Debian's folder for it; other systems have lib64.
_TRIPLETS = {
    3: "i386-linux-gnu",
    21: "powerpc64le-linux-gnu",
    22: "s390x-linux-gnu",
    40: "arm-linux-gnueabihf",
    62: "x86_64-linux-gnu",
    183: "aarch64-linux-gnu",
    243: "riscv64-linux-gnu",
    258: "loongarch64-linux-gnu",
}
_MUSL_LOADER = "ld-musl-"
_MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
# Of these musl takes itself (dynlink.c, "reserved").
_MUSL_OWN = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))


def missing_libraries(tree: FileTree, program: str, *, library_path: str = "") -> tuple[str, ...]:
    """Give the libraries that a program needs, itself or by others, and that are not found.

    Args:
        tree: the image.
        program: canonical path of a program; nothing is missing for one that is no ELF file.
        library_path: LD_LIBRARY_PATH of the image's configuration.

    Returns:
        As ``libssl.so.3, which /usr/bin/curl needs``, in the loader's order; its loader among them.
    """
    data = read_file(tree, program)
    first = None if data is None else read_dynamic(data)
    if first is None:
        return ()
    if first.loader and resolve(tree, first.loader) is None:
        return (f"{first.loader}, the loader that {program} asks for",)
    return tuple(_Search(tree=tree, first=first, library_path=library_path).missing(program))


@attrs.frozen(kw_only=True)
class _Loaded:
    """An object, and who asked for it.

    Attributes:
        path: canonical path.
        found: what it is.
        above: the object that needed it; None for the program.
    """

    path: str
    found: DynamicObject
    above: "_Loaded | None" = None


@attrs.define(kw_only=True)
class _Search:
    """Loads the libraries of one program."""

    tree: FileTree
    first: DynamicObject
    library_path: str
    _cache: Mapping[str, tuple[str, ...]] | None = None

    def missing(self, program: str) -> Iterator[str]:
        """Give what is not found, breadth first, as the loader loads."""
        waiting = deque([_Loaded(path=program, found=self.first)])
        names: set[str] = set()
        paths: set[str] = {program}
        while waiting and len(names) < _MAXIMUM_NAMES:
            loaded = waiting.popleft()
            for name in loaded.found.needed:
                if name in names or (self._musl and name.startswith(_MUSL_OWN)):
                    continue
                names.add(name)
                path = self._find(name, loaded)
                if not path:
                    yield f"{name}, which {loaded.path} needs"
                elif path not in paths:
                    paths.add(path)
                    found = read_dynamic(self.tree.read(path))
                    if found is not None:
                        waiting.append(_Loaded(path=path, found=found, above=loaded))

    @property
    def _musl(self) -> bool:
        return base_name(self.first.loader).startswith(_MUSL_LOADER)

    def _find(self, name: str, loaded: _Loaded) -> str:
        """Give the canonical path of a library; empty when it is not there."""
        if "/" in name:
            return self._fitting(self._replaced(name, loaded)) if name.startswith(("/", "$")) else ""
        places = self._musl_places(name, loaded) if self._musl else self._glibc_places(name, loaded)
        return next((path for place in places if (path := self._fitting(place))), "")

    def _glibc_places(self, name: str, loaded: _Loaded) -> Iterator[str]:
        if not loaded.found.runpath:
            yield from _in_folders(name, self._inherited_rpath(loaded))
        yield from _in_folders(name, self.library_path.replace(";", ":").split(":"))
        yield from _in_folders(name, (self._replaced(folder, loaded) for folder in loaded.found.runpath))
        if not loaded.found.default_folders:
            return
        if self._cache is None:
            self._cache = read_cache(read_file(self.tree, _CACHE) or b"")
        yield from self._cache.get(name, ())
        triplet = _TRIPLETS.get(self.first.kind[0], "")
        folders = [f"{top}/{triplet}" for top in ("/lib", "/usr/lib") if triplet]
        yield from _in_folders(name, [*folders, "/lib64", "/usr/lib64", "/lib", "/usr/lib"])

    def _inherited_rpath(self, loaded: _Loaded) -> Iterator[str]:
        one: _Loaded | None = loaded
        while one is not None:
            if not one.found.runpath:
                yield from (self._replaced(folder, one) for folder in one.found.rpath)
            one = one.above

    def _musl_places(self, name: str, loaded: _Loaded) -> Iterator[str]:
        yield from _in_folders(name, self.library_path.split(":"))
        one: _Loaded | None = loaded
        while one is not None:
            yield from _in_folders(name, (self._replaced(f, one) for f in (*one.found.runpath, *one.found.rpath)))
            one = one.above
        architecture = base_name(self.first.loader).removeprefix(_MUSL_LOADER).partition(".")[0]
        listed = (read_file(self.tree, f"/etc/ld-musl-{architecture}.path") or b"").decode("utf-8", "surrogateescape")
        yield from _in_folders(name, listed.replace("\n", ":").split(":") if listed.strip() else _MUSL_FOLDERS)

    def _replaced(self, text: str, loaded: _Loaded) -> str:
        """Put what the loader knows in the place of ``$ORIGIN`` and ``$LIB``."""
        library = "lib64" if self.first.kind[1] and resolve(self.tree, "/lib64/libc.so.6") else "lib"
        triplet = _TRIPLETS.get(self.first.kind[0], "")
        if triplet and resolve(self.tree, f"/lib/{triplet}/libc.so.6"):
            library = f"lib/{triplet}"
        for name, value in (("ORIGIN", parent(loaded.path)), ("LIB", library)):
            text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
        return text

    def _fitting(self, place: str) -> str:
        """Give the canonical path of what is at a place when it can be loaded into the program; else nothing."""
        real = resolve(self.tree, place)
        entry = self.tree.lstat(real) if real else None
        if real is None or entry is None or entry.kind is not Kind.FILE:
            return ""
        return real if kind_of(self.tree.read_start(real, _HEAD)) == self.first.kind else ""


def _in_folders(name: str, folders: "Iterator[str] | list[str] | tuple[str, ...]") -> Iterator[str]:
    # A relative folder is one of where the program is started, which nobody knows.
    return (f"{folder.rstrip('/')}/{name}" for folder in folders if folder.startswith("/"))
