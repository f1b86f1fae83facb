# SPDX-License-Identifier: Apache-2.0
"""The files of an image store, made by hand, and what is left of an image when they are not as they should be."""

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stxbuildah.engine.storefiles import StoreFiles
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.settings import Storage

NAME = "localhost/nova:1"
LAYERS = ("a" * 64, "b" * 64, "c" * 64)  # top first
DIFF_IDS = tuple(f"sha256:{number * 64}" for number in "321")
DEEP = "[" * 100_000
SETTINGS = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@attrs.frozen
class MadeStore:
    """A store with one image of three layers."""

    files: StoreFiles
    documents: ImageDocuments

    @property
    def image_id(self) -> str:
        return hashlib.sha256(self.documents.config).hexdigest()

    @property
    def image(self) -> Path:
        return self.files.root / f"{self.files.driver}-images" / self.image_id

    @property
    def config(self) -> Path:
        return self.image / f"={base64.b64encode(f'sha256:{self.image_id}'.encode()).decode()}"

    @property
    def folders(self) -> tuple[Path, ...]:
        root = self.files.root
        if self.files.driver == "vfs":
            return (root / "vfs/dir" / LAYERS[0],)
        return tuple(root / "overlay" / layer / "diff" for layer in LAYERS)

    def records(self, kind: str) -> Path:
        return self.files.root / f"{self.files.driver}-{kind}" / f"{kind}.json"

    def change(self, kind: str, number: int, **fields: object) -> None:
        """Change fields of a record; None takes one away."""
        found = json.loads(self.records(kind).read_bytes())
        found[number] = {name: value for name, value in {**found[number], **fields}.items() if value is not None}
        self.records(kind).write_text(json.dumps(found))

    def read(self) -> tuple[ImageDocuments | None, tuple[Path, ...]]:
        return self.files.documents(NAME), self.files.layer_folders(self.documents)


def make_store(root: Path, driver: str) -> MadeStore:
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": DIFF_IDS[::-1]}}).encode()
    image_id = hashlib.sha256(config).hexdigest()
    documents = ImageDocuments(
        manifest=json.dumps({"config": {"digest": f"sha256:{image_id}"}}).encode(), config=config
    )
    made = MadeStore(StoreFiles(root=root, driver=driver), documents)
    for folder in (made.image, *made.folders, made.records("layers").parent):
        folder.mkdir(parents=True)
    (made.image / "manifest").write_bytes(documents.manifest)
    made.config.write_bytes(config)
    parents = (*LAYERS[1:], None)
    layers = [
        {"id": layer, "diff-digest": digest, **({"parent": parent} if parent else {})}
        for layer, digest, parent in zip(LAYERS, DIFF_IDS, parents, strict=True)
    ]
    made.records("layers").write_text(json.dumps(layers))
    other = {"id": "d" * 64, "layer": LAYERS[2]}
    image = {"id": image_id, "names": ["localhost/other:1", NAME], "layer": LAYERS[0]}
    made.records("images").write_text(json.dumps([other, image]))
    return made


@pytest.fixture(params=["overlay", "vfs"])
def made(tmp_path: Path, request: pytest.FixtureRequest) -> MadeStore:
    return make_store(tmp_path / "root", request.param)


def test_an_image_is_found_by_each_of_its_names(made: MadeStore) -> None:
    assert made.read() == (made.documents, made.folders)
    assert made.files.documents("localhost/other:1") == made.documents
    for name in ("localhost/nova:2", "nova:1", "localhost/nova", "", made.image_id):
        assert made.files.documents(name) is None


def test_a_name_with_a_digest_gives_that_manifest_or_none(made: MadeStore) -> None:
    """Of several manifests with one configuration the store's last one is the image's."""
    name = f"localhost/nova@sha256:{hashlib.sha256(made.documents.manifest).hexdigest()}"
    made.change("images", 1, names=[name])
    assert made.files.documents(name) == made.documents
    (made.image / "manifest").write_bytes(made.documents.manifest + b"\n")
    assert made.files.documents(name) is None


def test_only_a_store_of_known_form_is_read() -> None:
    assert StoreFiles.of(Storage(root="/r", driver="vfs")) == StoreFiles(root=Path("/r"), driver="vfs")
    for storage in (Storage(), Storage(driver="overlay"), Storage(root="/r"), Storage(root="/r", driver="btrfs")):
        assert StoreFiles.of(storage) is None


Harm = Callable[[MadeStore], object]


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_link(path: Path) -> None:
    path.rmdir()
    path.symlink_to("nowhere")


NO_DOCUMENTS: dict[str, Harm] = {
    "a configuration of another digest": lambda made: made.config.write_bytes(made.documents.config + b" "),
    "no configuration": lambda made: made.config.unlink(),
    "no manifest": lambda made: (made.image / "manifest").unlink(),
    "a manifest that is a folder": lambda made: into_folder(made.image / "manifest"),
    **{
        f"a manifest like {text[:40]}": lambda made, text=text: (made.image / "manifest").write_text(text)  # type: ignore[misc]
        for text in (
            *("", "{", "[]", "null", "7", '"config"', '{"config": 7}', '{"config": {}}', '{"config": {"digest": 7}}'),
            *('{"config": {"digest": "manifest"}}', '{"config": {"digest": ".."}}', '{"config": {"digest": ""}}'),
            *('{"config": {"digest": "\\ud800"}}', '{"config": {"digest": "sha256:\\u0000"}}', "\ufffd", DEEP),
            json.dumps({"config": {"digest": "sha256:" + "x" * 5000}}),
        )
    },
    "names that are none": lambda made: made.change("images", 1, names=NAME),
    "no names": lambda made: made.change("images", 1, names=None),
}

NO_FOLDERS: dict[str, Harm] = {
    "another configuration's layers": lambda made: made.change("layers", 0, **{"diff-digest": DIFF_IDS[1]}),
    "a layer of unknown digest": lambda made: made.change("layers", 1, **{"diff-digest": None}),
    "a layer too few": lambda made: made.change("layers", 1, parent=None),
    "a layer that is missing": lambda made: made.change("layers", 1, parent="e" * 64),
    "a layer that is its own parent": lambda made: made.change("layers", 2, parent=LAYERS[2]),
    "layers in a circle": lambda made: made.change("layers", 2, parent=LAYERS[0]),
    "a parent of another type": lambda made: made.change("layers", 1, parent={"id": LAYERS[2]}),
    "no top layer": lambda made: made.change("images", 1, layer=None),
    "a top layer of another type": lambda made: made.change("images", 1, layer=[LAYERS[0]]),
    "a top layer below the image's": lambda made: made.change("images", 1, layer=LAYERS[1]),
    "a folder that is missing": lambda made: made.folders[-1].rmdir(),
    "a folder that is a link to nothing": lambda made: into_link(made.folders[0]),
    "no layers": lambda made: made.records("layers").unlink(),
    "no store of layers": lambda made: made.records("layers").write_text("{}"),
}

NOTHING: dict[str, Harm] = {
    **{
        f"images like {text[:20]!r}": lambda made, text=text: made.records("images").write_bytes(text)  # type: ignore[misc]
        for text in (b"", b"[", b"{}", b"null", b"[1, null, []]", b"\xff\xfe\xff", b'[{"id": 1}]', DEEP.encode())
    },
    "an id that is not one": lambda made: made.change("images", 1, id="../../elsewhere"),
    "an id that is a path": lambda made: made.change("images", 1, id=str(made.image)),
    "an id of another type": lambda made: made.change("images", 1, id=[made.image_id]),
    "no id": lambda made: made.change("images", 1, id=None),
}


@pytest.mark.parametrize("harm", NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_documents_that_cannot_be_relied_on_are_not_there(made: MadeStore, harm: Harm) -> None:
    harm(made)
    assert made.files.documents(NAME) is None


@pytest.mark.parametrize("harm", NO_FOLDERS.values(), ids=NO_FOLDERS)
def test_layers_that_are_not_the_configurations_are_not_there(made: MadeStore, harm: Harm) -> None:
    harm(made)
    assert made.read() == (made.documents, ())


@pytest.mark.parametrize("harm", NOTHING.values(), ids=NOTHING)
def test_an_image_that_the_store_does_not_tell_of_is_not_there(made: MadeStore, harm: Harm) -> None:
    harm(made)
    assert made.read() == (None, ())


@pytest.mark.parametrize("config", [b"", b"{", b"[]", b"{}", b'{"rootfs": {"diff_ids": {}}}', DEEP.encode()])
def test_a_configuration_that_lists_no_layers_has_none(made: MadeStore, config: bytes) -> None:
    made.change("images", 1, id=hashlib.sha256(config).hexdigest())
    assert made.files.layer_folders(attrs.evolve(made.documents, config=config)) == ()


def test_layer_ids_are_never_paths(made: MadeStore) -> None:
    """Though the folder is there, and the digests are those of the configuration."""
    name = "../" + made.folders[0].relative_to(made.files.root).parts[0]
    made.change("images", 1, layer=name)
    made.change("layers", 0, id=name)
    (made.files.root / "overlay/diff").mkdir(parents=True)
    assert made.files.layer_folders(made.documents) == ()


def test_overlay_in_another_form_is_not_read(tmp_path: Path) -> None:
    made = make_store(tmp_path / "root", "overlay")
    program = made.files.root / "overlay/.has-mount-program"
    program.write_text("false")
    assert made.files.layer_folders(made.documents) == made.folders
    program.write_text("true")
    assert made.files.layer_folders(made.documents) == ()
    program.unlink()
    (made.folders[1].parent / "composefs-data").mkdir()
    assert made.files.layer_folders(made.documents) == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_store_that_may_not_be_read_is_not_there(made: MadeStore) -> None:
    closed = (made.files.root / made.files.driver, made.files.root / f"{made.files.driver}-images")
    for folder in closed:
        folder.chmod(0)
    try:
        documents = made.files.documents(NAME)
        closed[1].chmod(0o700)
        folders = made.files.layer_folders(made.documents)
    finally:
        for folder in closed:
            folder.chmod(0o700)
    assert (documents, folders) == (None, ())


# --- whatever a file holds, it is no error ---

_names = st.sampled_from(["id", "names", "layer", "parent", "diff-digest", "config", "digest", "x"])
_words = st.one_of(st.sampled_from([*LAYERS, *DIFF_IDS, NAME, "", "..", "\0", "\ud800"]), st.text(max_size=5))
_values = st.recursive(
    st.one_of(_words, st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=4)),
    max_leaves=12,
)
_documents = st.one_of(
    st.one_of(_values, st.lists(st.dictionaries(_names, _values), max_size=4)).map(
        lambda value: json.dumps(value).encode()
    ),
    st.binary(max_size=20),
)


_places = st.sampled_from(["images", "layers", "manifest", "config"])


@given(
    contents=st.dictionaries(_places, _documents, min_size=1, max_size=2), driver=st.sampled_from(["overlay", "vfs"])
)
@example(contents={"layers": b'[{"id": {}}]'}, driver="vfs")
@SETTINGS
def test_no_content_of_its_files_is_an_error(contents: dict[str, bytes], driver: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as root:
        made = make_store(Path(root), driver)
        files = {
            "images": made.records("images"),
            "layers": made.records("layers"),
            "manifest": made.image / "manifest",
        }
        for place, content in contents.items():
            files.get(place, made.config).write_bytes(content)
        documents, folders = made.read()
        assert documents in (None, made.documents)
        assert folders in {(), made.folders}
        config = contents.get("config", b"")
        assert made.files.layer_folders(attrs.evolve(made.documents, config=config)) == ()
