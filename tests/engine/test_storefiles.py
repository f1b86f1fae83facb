# SPDX-License-Identifier: Apache-2.0
"""Images read from the store's own files, against what the programs say of them, on both storage drivers."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.storefiles import StoreFiles
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.job.engine import Engine
from stxbuildah.job.image import KnownTrees, image_tree, layers_above, tree_above
from stxbuildah.job.workspace import Folders
from stxbuildah.layer.append import append_layer
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.tree import Entry, FileTree, Kind
from tests.engine.conftest import EngineStore

pytestmark = pytest.mark.engine

parse = ImageReference.parse

# What each layer that buildah commits does, in its namespace and in the container's root.
BOTTOM = """
for folder in ("gone/deep", "again", "opaque/deep", "to-file/deep", "kept/deep", "both", "private"):
    os.makedirs(folder)
for name in ("gone/deep/f", "again/old", "opaque/old", "opaque/deep/old", "to-file/deep/f", "to-folder", "to-link",
             "kept/deep/f", "kept/removed", "both/bottom", "private/f", "setuid", "capable", "second", "b\\udcff\\n"):
    write(name, name)
write("empty", "")
write("big", "0123456789abcdef" * 200000)
os.symlink("/etc/passwd", "link")
os.mkfifo("fifo")
os.chown("setuid", 33, 44)
os.chmod("setuid", 0o4711)
os.chown("private", 1000, 1001)
os.chmod("private", 0o700)
os.chown("private/f", 1000, 1001)
os.chmod("private/f", 0o400)
os.lchown("link", 7, 8)
os.link("second", "second-name")
os.setxattr("capable", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
os.chmod("both", 0o1777)
"""
MIDDLE = """
shutil.rmtree("gone")
shutil.rmtree("again")
os.mkdir("again")
write("again/new", "new")
os.remove("kept/removed")
shutil.rmtree("to-file")
write("to-file", "a file now")
os.remove("to-folder")
os.mkdir("to-folder")
write("to-folder/inside", "inside")
os.remove("to-link")
os.symlink("kept", "to-link")
write("both/middle", "middle")
os.chown("both", 5, 6)
write("second", "written anew")
"""
TOP = """
os.remove("to-file")
os.makedirs("to-file/deep")
write("opaque/deep/newest", "newest")
write("kept/removed", "back")
os.remove("empty")
"""
SCRIPT = """
import os, shutil, struct
os.chdir(os.environ["ROOT"])
def write(name, text):
    with open(name, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
"""


@attrs.frozen(kw_only=True)
class Built:
    """Images of one, two, three and four layers, each on top of the one before, and an engine that reads them."""

    images: tuple[ImageReference, ...]
    store: EngineStore
    files: StoreFiles
    engine: Engine

    def documents(self, number: int) -> ImageDocuments:
        found = self.files.documents(str(self.images[number]))
        assert found is not None
        return found


@pytest.fixture(scope="module", params=["overlay", "vfs"])
def built(
    stores: dict[str, EngineStore], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    store, folder = stores[request.param], tmp_path_factory.mktemp("built")
    images = tuple(parse(f"localhost/tests/files-{number}:1") for number in range(4))
    commit(store, "scratch", BOTTOM, images[0])
    commit(store, str(images[0]), MIDDLE, images[1])
    import_opaque(store, images[1], images[2], folder / "layer")
    commit(store, str(images[2]), TOP, images[3])
    files = StoreFiles.of(store.choices.storage)
    assert files is not None
    engine = Engine(
        choices=store.choices,
        runner=store.runner,
        store=attrs.evolve(store.store, files=files),
        folders=Folders(cache=folder / "cache", state=folder / "state", work=folder / "work"),
    )
    yield Built(images=images, store=store, files=files, engine=engine)
    engine.store.remove(*images)


def commit(store: EngineStore, base: str, script: str, result: ImageReference) -> None:
    """Make an image by buildah: another one, changed by a script."""
    name = store.runner.run(["buildah", "from", base]).stdout.decode().strip()
    try:
        program = [sys.executable, "-I", "-c", SCRIPT + script]
        store.runner.run(["buildah", "unshare", "--mount", f"ROOT={name}", *program])
        store.runner.run(["buildah", "commit", "--quiet", name, str(result)])
    finally:
        store.runner.run(["buildah", "rm", name])


def import_opaque(store: EngineStore, base: ImageReference, result: ImageReference, folder: Path) -> None:
    """Make an image of another one and a layer with an opaque folder, which buildah alone does not write rootless."""
    documents = store.store.documents(base)
    assert documents is not None
    folder.mkdir()
    content = LayerContent(
        (
            LayerEntry(path="/opaque", change=Change.DIRECTORY, mode=0o750, uid=3, gid=4),
            LayerEntry(path="/opaque", change=Change.OPAQUE),
            LayerEntry(path="/opaque/deep", change=Change.DIRECTORY, mode=0o755),
            LayerEntry(path="/opaque/new", change=Change.FILE, size=3, opener=lambda: io.BytesIO(b"new")),
        )
    )
    blob = write_layer(content, folder / "layer.tar", timestamp=1_750_000_000)
    appended = append_layer(documents, blob, timestamp=1_750_000_000, created_by="the tests")
    source = write_layout(folder / "image", appended, {blob.digest: folder / "layer.tar"})
    store.store.import_image(source, result)


def walk(tree: FileTree, folder: str = "/") -> dict[str, tuple[Entry, bytes]]:
    """Everything that a tree tells of each path but the root, by path."""
    found: dict[str, tuple[Entry, bytes]] = {}
    for name, entry in tree.scandir(folder).items():
        path = f"{folder.rstrip('/')}/{name}"
        assert tree.lstat(path) == entry
        found[path] = (entry, tree.read(path) if entry.kind is Kind.FILE else b"")
        if entry.kind is Kind.DIRECTORY:
            found |= walk(tree, path)
    return found


def xattrs(tree: ContainerTree, found: dict[str, tuple[Entry, bytes]]) -> dict[str, tuple[tuple[str, bytes], ...]]:
    """The extended attributes of all that has some."""
    told = {path: tree.xattrs(path) for path in ("/", *found)}
    return {path: attributes for path, attributes in told.items() if attributes}


def test_an_image_is_the_same_as_layers_and_as_a_container(built: Built, tmp_path: Path) -> None:
    overlay = built.store.driver == "overlay"
    images = [built.engine.store.read(reference) for reference in built.images]
    name = built.store.runner.run(["buildah", "from", str(built.images[3])]).stdout.decode().strip()
    try:
        with ContainerTree.of_container(built.store.runner, built.store.choices, name) as container:
            expected, root = walk(container), container.lstat("/")
            attributes = xattrs(container, expected)
    finally:
        built.store.runner.run(["buildah", "rm", name])
    folders = built.files.layer_folders(built.documents(3))
    assert len(folders) == (4 if overlay else 1)
    with ContainerTree.of_layers(built.store.runner, built.store.choices, folders) as layers:
        assert (walk(layers), xattrs(layers, expected)) == (expected, attributes)
        found = layers.lstat("/")
        assert root is not None
        assert found is not None
        assert attrs.evolve(found, mtime=0) == attrs.evolve(root, mtime=0)
        if overlay:
            assert layers.touched(2)["/opaque"] is False
            assert layers.touched(1)["/opaque"] is True

    # The image is what was made of it, so that two empty trees cannot be equal.
    assert attributes == {"/capable": (("security.capability", attributes["/capable"][0][1]),)}
    assert not expected.keys() & {"/gone", "/again/old", "/opaque/old", "/opaque/deep/old", "/to-file/deep/f", "/empty"}
    contents = ("/again/new", "/opaque/deep/newest", "/to-folder/inside", "/kept/removed", "/b\udcff\n")
    assert [expected[path][1] for path in contents] == [b"new", b"newest", b"inside", b"back", b"b\xff\n"]
    owners = {path: (entry.mode, entry.uid, entry.gid) for path, (entry, _) in expected.items()}
    assert owners["/setuid"] == (0o4711, 33, 44)
    assert (owners["/private/f"], owners["/opaque"]) == ((0o400, 1000, 1001), (0o750, 3, 4))
    assert (owners["/both"], owners["/link"][1:]) == ((0o1777, 5, 6), (7, 8))

    # What stands on another image is told the same by what both know, however many layers are between.
    image, below = images[3], images[0]
    assert image is not None
    assert below is not None
    with KnownTrees.opened(built.engine, tmp_path) as known:
        for lower in images[:3]:
            assert lower is not None
            with tree_above(built.engine, image, lower, known, folder=tmp_path) as tree:
                assert walk(tree) == expected
    assert [layers_above(one, below) for one in images if one is not None] == [0, 1, 2, 3]
    assert layers_above(below, image) == 0
    with image_tree(built.engine, image, folder=tmp_path) as tree:
        assert walk(tree) == expected


def test_documents_are_those_that_the_programs_give(built: Built) -> None:
    runner = built.store.runner
    for reference in built.images:
        documents = built.files.documents(str(reference))
        assert documents is not None
        for content, options in ((documents.manifest, ["--raw"]), (documents.config, ["--raw", "--config"])):
            assert runner.run(["skopeo", "inspect", *options, f"containers-storage:{reference}"]).stdout == content
    moving = parse("localhost/tests/files-moving:1")
    assert built.files.documents(str(moving)) is None
    for number in (0, 3):
        runner.run(["buildah", "tag", str(built.images[number]), str(moving)])
        assert built.files.documents(str(moving)) == built.documents(number) == built.store.store.documents(moving)
    built.engine.store.remove(moving)
    assert built.files.documents(str(moving)) is None
    assert built.files.documents(str(built.images[3])) == built.store.store.documents(built.images[3])
