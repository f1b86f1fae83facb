# SPDX-License-Identifier: Apache-2.0
"""``stxb save`` and ``stxb load``, from one store to an empty one."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import PROGRAM, Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine


@pytest.fixture
def two(stxb: Stxb, base_image: ImageReference, images: Images, tmp_path: Path) -> "list[str]":
    """Two images that share all layers but one."""
    updated = str(base_image.with_tag("carried"))
    stxb.update("--from", base_image, "--wheel", make_wheel(tmp_path, "stx-carried", "1.0"), "--tag", "carried")
    return [str(base_image), updated]


@pytest.fixture
def plain(images: Images) -> Iterator[str]:
    """An image as buildah commits it, whose manifest names layers that are not compressed."""
    name = "localhost/tests/committed:1"
    container = images.runner.run(["buildah", "from", "scratch"]).stdout.decode().strip()
    images.runner.run(["buildah", "copy", "--quiet", container, __file__, "/file"])
    images.runner.run(["buildah", "commit", "--quiet", "--rm", container, name])
    yield name
    images.runner.run(["buildah", "rmi", name])


def ids(images: Images, names: list[str]) -> list[dict[str, str]]:
    manifests = [images.manifest(name) for name in names]
    return [
        {"reference": name, "id": manifest["config"]["digest"].removeprefix("sha256:")}
        for name, manifest in zip(names, manifests, strict=True)
    ]


def test_to_an_empty_store_and_back(
    make_stxb: StxbMaker, stxb: Stxb, images: Images, two: list[str], plain: str, tmp_path: Path, engine_folder: Path
) -> None:
    expected = ids(images, two)
    archive = tmp_path / "both.tgz"
    saved = stxb.done("save", *two, "--output", archive, "--format", "json").json
    assert (saved["file"], saved["compression"], saved["images"]) == (str(archive), "gzip", expected)
    assert saved["size"] == archive.stat().st_size < saved["uncompressed_size"]
    subprocess.run(["gzip", "--test", archive], check=True)
    elsewhere = make_stxb("vfs")
    # podman takes no runroot of more than 50 characters.
    store = engine_folder / "else"
    flags = ("--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs")
    try:
        loaded = elsewhere.done("load", archive, "--format", "json", *flags).json
        assert sorted(loaded, key=lambda one: str(one["reference"])) == expected
        # One image as an image layout, by zstd; it is there already, under its name.
        single = tmp_path / "one.tar.zst"
        assert stxb.done("save", two[1], "-o", single, "--archive", "oci-archive").out == f"{single}\n"
        assert single.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
        assert elsewhere.done("load", single, "--format", "json", *flags).json[0]["id"] == expected[1]["id"]
        # One whose layers are not compressed keeps its manifest as well.
        committed = tmp_path / "committed.tar.gz"
        stxb.done("save", plain, "-o", committed, "--archive", "oci-archive")
        assert elsewhere.done("load", committed, *flags).out == f"{plain}\n"
        stored = f"containers-storage:[vfs@{store / 'root'}+{store / 'run'}]{plain}"
        loaded = images.runner.run(["skopeo", "inspect", "--raw", stored]).stdout
        assert json.loads(loaded) == images.manifest(plain)
    finally:
        images.runner.run(["buildah", "unshare", "rm", "-rf", str(store)])
        images.runner.run(["buildah", "rmi", two[1]])


def test_through_a_pipe(stxb: Stxb, base_image: ImageReference) -> None:
    command = f"'{PROGRAM}' save {base_image} -o /dev/stdout | tar --list"
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
        (("{base}", "none:1", "-o", "x.tar", "--archive", "oci-archive"), "holds one image"),
    ],
)
def test_what_cannot_be_saved(stxb: Stxb, base_image: ImageReference, words: tuple[str, ...], said: str) -> None:
    (stxb.folder / "folder.tar").mkdir()
    ended = stxb.run("save", *(word.format(base=base_image) for word in words))
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert sorted(path.name for path in stxb.folder.glob("*x*")) == []


def test_what_cannot_be_loaded(stxb: Stxb, images: Images) -> None:
    (stxb.folder / "text.tar").write_text("no archive")
    (stxb.folder / "cut.tgz").write_bytes(gzip.compress(bytes(100_000))[:-9])
    before = images.listed()
    ended = stxb.run("load", "text.tar")
    assert (ended.status, ended.out) == (2, "")
    assert "text.tar is no archive of images" in ended.err
    ended = stxb.run("load", "cut.tgz")
    assert (ended.status, ended.out) == (2, "")
    assert "cut.tgz: the layer is truncated" in ended.err
    assert stxb.run("load", "absent.tar").status == 2
    assert images.listed() == before
