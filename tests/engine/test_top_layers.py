# SPDX-License-Identifier: Apache-2.0
"""The topmost layers of stored images, and the files below them."""

import gzip
import io
import json
import os
import shutil
from functools import partial
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.toplayers import top_layers
from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.below import below_tree
from stxbuildah.job.engine import Engine
from stxbuildah.job.workspace import Folders
from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.layertar import read_layer
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.merge import merged
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.updates import split_updates
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Change, LayerBlob, LayerContent, LayerEntry
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import Entry, FileTree, Kind
from tests.engine.conftest import EngineStore
from tests.engine.images import CREATED, as_docker

pytestmark = pytest.mark.engine

BIG = 8 << 20
LAYERS = 40


def file(path: str, data: bytes) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, size=len(data), opener=partial(io.BytesIO, data))


def folder(path: str, mode: int = 0o755) -> LayerEntry:
    return LayerEntry(path=path, change=Change.DIRECTORY, mode=mode)


def link(path: str, target: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.HARDLINK, target=target)


def whiteout(path: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.WHITEOUT, mode=0)


# Two updates on top of many layers, the lowest of which is big.
BASE = (
    LayerContent(
        (
            file("/big", os.urandom(BIG)),
            folder("/emptied"),
            file("/emptied/old", b"old"),
            file("/goes", b"goes"),
            folder("/kept", 0o1777),
            file("/kept/file", b"kept"),
        )
    ),
    *(LayerContent((file(f"/layer-{number}", str(number).encode()),)) for number in range(1, LAYERS)),
)
UPDATES = (
    LayerContent(
        (
            whiteout("/emptied"), whiteout("/goes"), folder("/kept", 0o1777), file("/kept/a", b"one"),
            link("/kept/b", "/kept/a"), folder("/new"), file("/new/file", b"1"), whiteout("/new/nothing"),
        )
    ),
    LayerContent(
        (
            folder("/emptied", 0o700), file("/emptied/new", b"new"), folder("/kept", 0o755), file("/kept/a", b"two"),
            file("/layer-3", b"changed"), whiteout("/new"),
        )
    ),
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Made:
    """An image made for a test.

    Attributes:
        source: where it lies, as skopeo names it.
        documents: its documents.
        blobs: its layers, lowest first.
    """

    source: str
    documents: ImageDocuments
    blobs: tuple[LayerBlob, ...]


def make(where: Path, contents: tuple[LayerContent, ...], updates: int) -> Made:
    """Make an image; the topmost layers are called updates."""
    documents = empty_image(architecture="amd64", config={"Cmd": ["sh"]})
    blobs = []
    files = {}
    for number, content in enumerate(contents):
        path = where / f"layer-{number}"
        blob = write_layer(content, path, timestamp=CREATED)
        ours = number >= len(contents) - updates
        created_by, comment = ("stxb update x", "stxbuildah 1") if ours else ("the tests", "")
        documents = append_layer(documents, blob, timestamp=CREATED, created_by=created_by, comment=comment)
        blobs.append(blob)
        files[blob.digest] = path
    return Made(source=write_layout(where / "image", documents, files), documents=documents, blobs=tuple(blobs))


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An image with updates on top."""
    return make(tmp_path_factory.mktemp("updated"), (*BASE, *UPDATES), len(UPDATES))


def stored(engine: EngineStore, made: Made, name: str) -> StoredImage:
    engine.store.import_image(made.source, ImageReference.parse(f"localhost/tests/{name}:1"))
    found = engine.store.read(ImageReference.parse(f"localhost/tests/{name}:1"))
    assert found is not None
    return found


def plain(made: Made, number: int) -> bytes:
    """Give a layer's tar as it was written."""
    layer = made.blobs[number].digest.removeprefix("sha256:")
    return gzip.decompress((Path(made.source.removeprefix("dir:")) / layer).read_bytes())


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_only_the_topmost_layers_leave_the_store(
    driver: str, stores: dict[str, EngineStore], updated: Made, tmp_path: Path
) -> None:
    engine = stores[driver]
    image = stored(engine, updated, "many-layers")

    paths = top_layers(engine.runner, image.reference, image.documents, count=2, folder=tmp_path)

    tars = [plain(updated, -2), plain(updated, -1)]
    assert [path.read_bytes() for path in paths] == tars
    # The manifest and the configuration of an image of 42 layers, and no layer's bytes but those.
    assert bytes_below(tmp_path) < sum(map(len, tars)) + 64 * 1024


def test_all_layers_or_none(stores: dict[str, EngineStore], tmp_path: Path) -> None:
    engine = stores["overlay"]
    made = make(tmp_path, UPDATES, 0)
    image = stored(engine, made, "all-layers")

    paths = top_layers(engine.runner, image.reference, image.documents, count=2, folder=tmp_path / "all")

    assert [path.read_bytes() for path in paths] == [plain(made, 0), plain(made, 1)]
    assert top_layers(engine.runner, image.reference, image.documents, count=2, folder=tmp_path / "all") == paths
    assert top_layers(engine.runner, image.reference, image.documents, count=0, folder=tmp_path / "none") == ()
    with pytest.raises(InputError, match="has 2 layers, and not 3 to take off"):
        top_layers(engine.runner, image.reference, image.documents, count=3, folder=tmp_path)


def test_a_layer_that_is_also_below_comes_out_too(stores: dict[str, EngineStore], tmp_path: Path) -> None:
    engine = stores["overlay"]
    made = make(tmp_path, (UPDATES[0], UPDATES[1], UPDATES[0]), 1)
    image = stored(engine, made, "same-layers")

    (path,) = top_layers(engine.runner, image.reference, image.documents, count=1, folder=tmp_path / "top")

    assert path.read_bytes() == plain(made, 0)


def test_a_manifest_of_dockers_type(stores: dict[str, EngineStore], tmp_path: Path) -> None:
    engine = stores["overlay"]
    made = make(tmp_path, UPDATES, 1)
    image = stored(engine, attrs.evolve(made, source=as_docker(made.source)), "docker-layers")

    (path,) = top_layers(engine.runner, image.reference, image.documents, count=1, folder=tmp_path / "top")

    assert path.read_bytes() == plain(made, 1)


WRAPPERS = {
    # As a skopeo would that looks at the blobs it finds.
    "refuses": 'if [ -n "$empty" ]; then echo \'level=fatal msg="a blob of the layout is damaged"\' >&2; exit 1; fi',
    # As one would that throws away what it does not know.
    "gives others": 'if [ -n "$empty" ]; then find "$layout" -type f -delete; exit 0; fi',
}


@pytest.mark.parametrize("behaviour", WRAPPERS)
def test_a_skopeo_that_wants_whole_blobs_gets_a_whole_copy(
    behaviour: str, stores: dict[str, EngineStore], tmp_path: Path
) -> None:
    engine = stores["overlay"]
    made = make(tmp_path, UPDATES, 1)
    image = stored(engine, made, "whole-copy")
    runner = wrapped(engine, tmp_path / "bin", WRAPPERS[behaviour])

    (path,) = top_layers(runner, image.reference, image.documents, count=1, folder=tmp_path / "top")

    assert path.read_bytes() == plain(made, 1)
    assert path.parent.joinpath(made.blobs[0].diff_id.removeprefix("sha256:")).read_bytes() == plain(made, 0)


def wrapped(engine: EngineStore, folder: Path, line: str) -> Runner:
    """Give a runner whose skopeo looks at the layout it is to write to first."""
    folder.mkdir()
    script = folder / "skopeo"
    script.write_text(f"""\
#!/bin/sh
for last; do :; done
layout=${{last#oci:}}; layout=${{layout%:x}}
empty=$(find "$layout" -type f -size 0)
{line}
exec {shutil.which("skopeo")} "$@"
""")
    script.chmod(0o755)
    environment = {**dict(engine.runner.extra), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    return attrs.evolve(engine.runner, extra=tuple(environment.items()))


def test_a_layer_that_the_configuration_does_not_list_is_refused(
    stores: dict[str, EngineStore], tmp_path: Path
) -> None:
    engine = stores["overlay"]
    image = stored(engine, make(tmp_path, UPDATES, 1), "other-layers")
    config = json.loads(image.documents.config)
    config["rootfs"]["diff_ids"][1] = "sha256:" + "0" * 64
    documents = attrs.evolve(image.documents, config=json.dumps(config).encode())
    with pytest.raises(BuildError, match="does not give the topmost layers of localhost/tests/other-layers:1"):
        top_layers(engine.runner, image.reference, documents, count=1, folder=tmp_path / "top")


def test_an_image_that_is_not_there(stores: dict[str, EngineStore], updated: Made, tmp_path: Path) -> None:
    reference = ImageReference.parse("localhost/tests/not-there:1")
    with pytest.raises(InputError, match="not-there"):
        top_layers(stores["overlay"].runner, reference, updated.documents, count=1, folder=tmp_path)


def engine_of(store: EngineStore, where: Path) -> Engine:
    folders = Folders(cache=where / "cache", state=where / "state", work=where / "work")
    return Engine(choices=store.choices, runner=store.runner, store=store.store, folders=folders)


def seen(tree: FileTree, path: str = "/") -> dict[str, tuple[Entry, bytes]]:
    """Give what a tree shows, but for times and the content of big files."""
    found = {}
    for name, entry in tree.scandir(path).items():
        inner = f"{path.rstrip('/')}/{name}"
        data = tree.read(inner) if entry.kind is Kind.FILE and entry.size < BIG else b""
        found[inner] = (attrs.evolve(entry, mtime=0), data)
        found.update(seen(tree, inner) if entry.kind is Kind.DIRECTORY else {})
    return found


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_updates_merge_into_one_layer_with_the_same_files(
    driver: str, stores: dict[str, EngineStore], updated: Made, tmp_path: Path
) -> None:
    engine = engine_of(stores[driver], tmp_path)
    image = stored(stores[driver], updated, "updates")
    split = split_updates(image.documents)
    assert split is not None
    count = len(split.updates)
    paths = top_layers(engine.runner, image.reference, image.documents, count=count, folder=tmp_path)

    with below_tree(engine, split.below, folder=tmp_path) as below:
        first, second = (read_layer(path) for path in paths)
        content = merged(first, second, below)
        expected = seen(OverlaidTree(OverlaidTree(below, first), second))
        assert below.lstat("/goes") is not None
        blob = write_layer(content, tmp_path / "layer", timestamp=CREATED)
        documents = append_layer(split.below, blob, timestamp=CREATED, created_by="stxb update x")
    one = Made(
        source=write_layout(tmp_path / "one", documents, {blob.digest: tmp_path / "layer"}),
        documents=documents, blobs=(blob,),
    )  # fmt: skip
    replaced = stored(stores[driver], one, "replaced")

    with (
        below_tree(engine, image.documents, folder=tmp_path) as two,
        below_tree(engine, replaced.documents, folder=tmp_path) as merged_tree,
    ):
        shown = seen(two)
        assert seen(merged_tree) == shown
    assert shown == expected
    # Nothing is left in the store but the images that were asked for.
    left = {name for listed in engine.store.list() for name in listed.names if "stxb-temporary" in name}
    assert left == set()


def test_what_was_asked_of_the_image_below_is_not_asked_again(
    stores: dict[str, EngineStore], updated: Made, tmp_path: Path
) -> None:
    engine = engine_of(stores["overlay"], tmp_path)
    split = split_updates(stored(stores["overlay"], updated, "asked").documents)
    assert split is not None
    with below_tree(engine, split.below, folder=tmp_path) as below:
        first = below.lstat("/goes")
    # No store can be reached any more, and the updates above may be others.
    away = attrs.evolve(engine, runner=Runner(extra=(("PATH", str(tmp_path)),)))
    config = json.loads(split.below.config)
    config["config"]["Labels"] = {"other": "update"}
    other = attrs.evolve(split.below, config=json.dumps(config).encode())
    with below_tree(away, other, folder=tmp_path) as below:
        assert below.lstat("/goes") == first
