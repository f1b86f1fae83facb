# SPDX-License-Identifier: Apache-2.0
"""``stxb save`` and ``stxb load``, from one store to an empty one."""

import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.model.stored import digest_of
from tests.engine.pythonimages import file, make_image, python
from tests.engine.stxb import PROGRAM, Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

NAME = "localhost/tests/carried"
FOREIGN = "localhost/tests/foreign:1"


@pytest.fixture(scope="module")
def carried(module_stxb: Stxb, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Images whose manifests can be carried over: of plain layers, of layers by stxb, of Docker's type, pulled.

    The store also has one whose layer somebody else has compressed.
    """
    folder = tmp_path_factory.mktemp("carried")
    plain, *updated = (f"{NAME}:1.{number}" for number in range(3))
    committed = "localhost/tests/committed:1"
    for name, compression in ((plain, "none"), (FOREIGN, "gzip")):
        # A layer of its own: of another test's, the registry may have what something else has compressed.
        layers = [*python(), file("etc/image", name)]
        layout = make_image(layers, compression=[compression], title=name).lay_out(folder / compression, "it")
        images.runner.run(["skopeo", "copy", "--quiet", f"oci:{layout}:it", f"containers-storage:{name}"])
    for number, compression in enumerate(("gzip", "zstd")):
        below, wheel = f"{NAME}:1.{number}", make_wheel(folder, f"stx-{compression}", "1.0")
        done = module_stxb.update("--from", below, "--wheel", wheel, "--compression-format", compression)
        assert done["image"] == updated[number]
    pushed = f"{images.registry.address}/tests/carried:pushed"
    for name, kind in ((committed, "docker"), (pushed, "oci")):
        container = images.runner.run(["buildah", "from", "--pull-never", updated[0]]).stdout.decode().strip()
        images.runner.run(["buildah", "copy", "--quiet", container, __file__, f"/{kind}"])
        images.runner.run(["buildah", "commit", "--quiet", "--rm", "--format", kind, container, name])
    # Compressed by podman on its way to a registry, the layer by stxb too.
    for verb in ("push", "pull"):
        images.runner.run(["podman", verb, "--quiet", "--tls-verify=false", pushed])
    assert all(layer["mediaType"].endswith("gzip") for layer in images.manifest(pushed)["layers"])
    yield plain, *updated, committed, pushed
    for name in (pushed, committed, *reversed(updated), plain, FOREIGN):
        images.runner.run(["buildah", "rmi", name])


@attrs.frozen
class EmptyStore:
    """A store of another machine.

    Attributes:
        folder: where it is; podman takes no runroot of more than 50 characters.
        images: looks into it.
    """

    folder: Path
    images: Images

    @property
    def flags(self) -> tuple[str, ...]:
        """What names it to podman and stxb."""
        root, runroot = str(self.folder / "root"), str(self.folder / "run")
        return ("--root", root, "--runroot", runroot, "--storage-driver", "vfs")

    def manifest(self, name: str) -> bytes:
        """Give an image's manifest, byte for byte."""
        place = f"containers-storage:[vfs@{self.folder / 'root'}+{self.folder / 'run'}]{name}"
        return self.images.runner.run(["skopeo", "inspect", "--raw", place]).stdout


@pytest.fixture
def empty_store(engine_folder: Path, images: Images) -> Iterator[Callable[[str], EmptyStore]]:
    """Makes empty stores by their names."""
    made = []

    def make(name: str) -> EmptyStore:
        made.append(engine_folder / name)
        return EmptyStore(made[-1], images)

    yield make
    images.runner.run(["buildah", "unshare", "rm", "-rf", *map(str, made)])


def stored(images: Images, name: str) -> tuple[bytes, dict[str, str]]:
    """Give an image's manifest, and what ``save`` and ``load`` tell of the image."""
    manifest = images.runner.run(["skopeo", "inspect", "--raw", f"containers-storage:{name}"]).stdout
    image_id = json.loads(manifest)["config"]["digest"].removeprefix("sha256:")
    return manifest, {"reference": name, "id": image_id, "digest": digest_of(manifest)}


@pytest.mark.parametrize(("form", "ending"), [("docker-archive", "tgz"), ("oci-archive", "tar.zst")])
def test_digests_are_the_same_in_an_empty_store(
    make_stxb: StxbMaker, stxb: Stxb, images: Images, carried: tuple[str, ...],
    empty_store: Callable[[str], EmptyStore], tmp_path: Path, form: str, ending: str,
) -> None:  # fmt: skip
    before = [stored(images, name) for name in carried]
    archive = tmp_path / f"all.{ending}"
    saved = stxb.done("save", *carried, "--output", archive, "--archive", form, "--format", "json").json
    assert (saved["file"], saved["images"]) == (str(archive), [told for _, told in before])
    assert saved["size"] == archive.stat().st_size < saved["uncompressed_size"]
    subprocess.run(["gzip" if ending == "tgz" else "zstd", "-q", "--test", archive], check=True)
    elsewhere, store = make_stxb("vfs"), empty_store("e1")
    assert elsewhere.done("load", archive, "--format", "json", *store.flags).json == saved["images"]
    assert [store.manifest(name) for name in carried] == [manifest for manifest, _ in before]
    # Whoever loads them again, or after one of them, keeps what is there.
    single = tmp_path / "single.tar"
    stxb.done("save", carried[2], "-o", single, "--archive", form)
    assert elsewhere.done("load", single, *store.flags).out == f"{carried[2]}\n"
    assert store.manifest(carried[2]) == before[2][0]
    # Others read it as well, and find the same ID.
    other = empty_store("e2")
    images.runner.run(["podman", *other.flags, "load", "--quiet", "--input", str(single)])
    assert json.loads(other.manifest(carried[2]))["config"] == json.loads(before[2][0])["config"] | {
        "mediaType": json.loads(other.manifest(carried[2]))["config"]["mediaType"]
    }


def test_what_others_have_compressed_and_images_without_a_name(
    make_stxb: StxbMaker, stxb: Stxb, images: Images, carried: tuple[str, ...],
    empty_store: Callable[[str], EmptyStore], tmp_path: Path,
) -> None:  # fmt: skip
    manifest, told = stored(images, FOREIGN)
    by_digest = f"{carried[1].partition(':')[0]}@{stored(images, carried[1])[1]['digest']}"
    archive = tmp_path / "two.tar"
    stxb.done("save", FOREIGN, by_digest, "-o", archive)
    elsewhere, store = make_stxb("vfs"), empty_store("e3")
    foreign, nameless = elsewhere.done("load", archive, "--format", "json", *store.flags).json
    # Its layer is plain now; all else in the manifest is as it was.
    loaded = store.manifest(FOREIGN)
    config = images.config(FOREIGN)
    assert json.loads(loaded)["layers"][0]["digest"] == config["rootfs"]["diff_ids"][0]
    assert {**json.loads(loaded), "layers": None} == {**json.loads(manifest), "layers": None}
    assert foreign == {**told, "digest": digest_of(loaded)}
    assert nameless["reference"] == f"sha256:{nameless['id']}"
    assert {key: nameless[key] for key in ("id", "digest")} == {
        key: stored(images, carried[1])[1][key] for key in ("id", "digest")
    }
    # podman alone, that knows nothing of all this, takes several images and their names.
    other = empty_store("e4")
    said = images.runner.run(["podman", *other.flags, "load", "--input", str(archive)]).stdout.decode()
    assert f"Loaded image: {FOREIGN}" in said
    assert nameless["id"] in said
    # An archive of podman's own is loaded, too.
    theirs = tmp_path / "podman.tar.gz"
    packed = gzip.compress(images.runner.run(["podman", "save", "--quiet", carried[1]]).stdout)
    theirs.write_bytes(packed)
    [again] = elsewhere.done("load", theirs, "--format", "json", *empty_store("e5").flags).json
    assert (again["reference"], again["id"]) == (carried[1], nameless["id"])
    assert again["digest"].startswith("sha256:")


def test_through_a_pipe(stxb: Stxb, carried: tuple[str, ...]) -> None:
    command = f"'{PROGRAM}' save {carried[0]} -o /dev/stdout | tar --list"
    environment = {"PATH": os.environ["PATH"], **stxb.environment}
    ended = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "manifest.json" in ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none:1", "none:2", "-o", "x.tar"), "not in the local store: none:1, none:2"),
        (("{base}", "-o", "x.zip"), "how the archive is compressed cannot be told from its name"),
        (("{base}", "-o", "folder.tar"), "is a folder"),
        (("{base}", "-o", "nowhere/x.tar"), "nowhere/x.tar cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_saved(stxb: Stxb, carried: tuple[str, ...], words: tuple[str, ...], said: str) -> None:
    (stxb.folder / "folder.tar").mkdir()
    ended = stxb.run("save", *(word.format(base=carried[0]) for word in words))
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert sorted(path.name for path in stxb.folder.glob("*x*")) == []


def test_what_cannot_be_loaded(stxb: Stxb, images: Images, carried: tuple[str, ...]) -> None:
    stxb.done("save", carried[1], "-o", "whole.tar")
    whole = (stxb.folder / "whole.tar").read_bytes()
    place = whole.index(b"stx_gzip-1.0.dist-info/WHEEL")
    harmed = {
        "absent.tar": (b"", "there is no archive absent.tar"),
        "text.tar": (b"no archive", "text.tar is no archive of images"),
        "cut.tgz": (gzip.compress(bytes(100_000))[:-9], "cut.tgz: the layer is truncated"),
        "cut.tar": (whole[:-1024], "cut.tar ends before its end"),
        "changed.tar": (whole[:place] + b"S" + whole[place + 1 :], "changed.tar is damaged: its blob sha256:"),
    }
    before = images.listed()
    for name, (content, said) in harmed.items():
        if content:
            (stxb.folder / name).write_bytes(content)
        ended = stxb.run("load", name)
        assert (ended.status, ended.out) == (2, "")
        assert said in ended.err
    assert images.listed() == before
    assert list((Path(stxb.environment["XDG_CACHE_HOME"]) / "stxb/work").iterdir()) == []
