# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` from and to layouts and archives, read by skopeo and podman."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import digest_of
from tests.engine.pythonimages import PythonImage, make_image, module, python
from tests.engine.registries import Registry
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

PLAIN = ("--tls-verify", "false")
NAME = "localhost/tests/saved:1"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "stxfile", "2.0")


@pytest.fixture
def image() -> PythonImage:
    """An image with an older version of what is installed."""
    return make_image(python(), module("stxfile", "1.0"))


@pytest.fixture
def place(image: PythonImage, tmp_path: Path, runner: Runner) -> Callable[[str], str]:
    """Puts the image into a layout or archive, and gives its location."""

    def put(transport: str) -> str:
        layout = image.lay_out(tmp_path / "layout", "1.0")
        if transport == "oci":
            return f"oci:{layout}:1.0"
        archive = f"{transport}:{tmp_path}/saved.tar"
        runner.run(["skopeo", "copy", "--quiet", f"oci:{layout}:1.0", f"{archive}:{NAME}"])
        return archive

    return put


class Read:
    """An image as skopeo reads it."""

    def __init__(self, runner: Runner, location: str, folder: Path, *options: str) -> None:
        runner.run(["skopeo", "copy", "--quiet", *options, location, f"dir:{folder}"])
        self.folder = folder
        self.manifest: Any = json.loads((folder / "manifest.json").read_bytes())
        self.config: Any = json.loads(self.blob(self.manifest["config"]["digest"]))

    def blob(self, digest: str) -> bytes:
        return (self.folder / digest.removeprefix("sha256:")).read_bytes()

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the layers' tars, of which skopeo has verified each."""
        found: list[str] = self.config["rootfs"]["diff_ids"]
        return found

    def top_layer(self) -> set[str]:
        """Paths in the topmost layer."""
        digest = self.manifest["layers"][-1]["digest"]
        with tarfile.open(self.folder / digest.removeprefix("sha256:")) as tar:
            return {member.name for member in tar if member.isfile()}


def base_diff_ids(image: PythonImage) -> list[str]:
    found: list[str] = json.loads(image.config)["rootfs"]["diff_ids"]
    return found


PAIRS = [
    ("oci", "oci"),
    ("oci", "docker-archive"),
    ("oci-archive", "oci"),
    ("oci-archive", "oci-archive"),
    ("docker-archive", "docker-archive"),
    ("docker-archive", "oci-archive"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_from_one_file_to_another(
    stxb: Stxb, runner: Runner, image: PythonImage, place: Callable[[str], str], wheel: Path, tmp_path: Path,
    source: str, target: str,
) -> None:  # fmt: skip
    to = f"{target}:{tmp_path}/new:{NAME}.1"
    result = stxb.update("--from", place(source), "--wheel", wheel, "--to", to)
    assert result["lane"] == "registry"
    assert (result["image"], result["pushed"]) == (to, False)
    assert result["reference"] == f"{to}@{result['digest']}"
    found = Read(runner, to, tmp_path / "read")
    assert found.diff_ids == [*base_diff_ids(image), result["layer"]["diff_id"]]
    assert "usr/local/lib/python3.13/dist-packages/stxfile.py" in found.top_layer()
    assert result["changes"]["python"] == ["- stxfile==1.0", "+ stxfile==2.0"]
    written = (
        found.manifest["config"]["digest"] if target == "docker-archive" else digest_of(found.blob("manifest.json"))
    )
    assert result["digest"] == written


@pytest.mark.parametrize("source", ["oci", "docker-archive"])
def test_from_a_file_to_a_registry(
    stxb: Stxb, registry: Registry, image: PythonImage, place: Callable[[str], str], wheel: Path, source: str
) -> None:
    target = f"{registry.address}/files/from-{source}:2"
    result = stxb.update("--from", place(source), "--wheel", wheel, "--to", target, *PLAIN)
    assert (result["image"], result["pushed"]) == (target, True)
    data = registry.manifest(f"files/from-{source}", "2")
    assert result["digest"] == digest_of(data)
    manifest = json.loads(data)
    if source == "oci":
        assert manifest["layers"][:-1] == image.layers
    assert {layer["mediaType"].rpartition("gzip")[1] for layer in manifest["layers"]} == {"gzip"}
    assert manifest["mediaType"] == (OCI_MANIFEST if source == "oci" else DOCKER_MANIFEST)


def test_a_layout_gets_the_result_beside_its_image(
    stxb: Stxb, runner: Runner, image: PythonImage, place: Callable[[str], str], wheel: Path, tmp_path: Path
) -> None:
    source = place("oci")
    ended = stxb.done("update", "--from", source, "--wheel", wheel)
    location = f"oci:{tmp_path / 'layout'}:1.1"
    index = json.loads((tmp_path / "layout/index.json").read_text())
    tags = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in index["manifests"]}
    assert tags == {"1.0": image.document.digest, "1.1": tags["1.1"]}
    assert ended.out == f"{location}@{tags['1.1']}\n"
    assert Read(runner, location, tmp_path / "read").manifest["layers"][:-1] == image.layers
    # The next update finds it there.
    again = stxb.update("--from", location, "--wheel", make_wheel(tmp_path, "stxfile", "3.0"))
    assert again["image"] == f"oci:{tmp_path / 'layout'}:1.2"
    assert again["changes"]["python"] == ["- stxfile==2.0", "+ stxfile==3.0"]


@pytest.mark.parametrize("target", ["oci", "oci-archive", "docker-archive"])
def test_from_a_registry_to_a_file(
    stxb: Stxb, runner: Runner, registry: Registry, wheel: Path, tmp_path: Path, target: str
) -> None:
    """Layers compressed by zstd are left so where that is allowed; a docker-archive has them plain."""
    image = make_image(python(), module("stxfile", "1.0"), compression=("zstd", "none"))
    base = image.push(registry, "files/zstd:1")
    to = f"{target}:{tmp_path}/new:{NAME}.1"
    result = stxb.update("--from", base, "--wheel", wheel, "--to", to, *PLAIN)
    assert (result["lane"], result["image"], result["pushed"]) == ("registry", to, False)
    found = Read(runner, to, tmp_path / "read")
    assert found.diff_ids == [*base_diff_ids(image), result["layer"]["diff_id"]]
    if target != "docker-archive":
        assert found.manifest["layers"][:-1] == image.layers


def test_docker_types_stay_in_a_registry_and_become_ocis_in_a_layout(
    stxb: Stxb, runner: Runner, registry: Registry, wheel: Path, tmp_path: Path
) -> None:
    image = make_image(python(), module("stxfile", "1.0"), docker=True)
    base = image.push(registry, "files/docker:1")
    words = ("--from", base, "--wheel", wheel, *PLAIN)
    pushed = stxb.update(*words, "--push", "--lane", "registry")
    manifest = json.loads(registry.manifest("files/docker", "1.1"))
    assert manifest["mediaType"] == DOCKER_MANIFEST
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert manifest["layers"][:-1] == image.layers
    assert manifest["layers"][-1]["mediaType"] == image.layers[0]["mediaType"]
    written = stxb.update(*words, "--to", f"oci:{tmp_path}/new:1.1")
    assert written["layer"] == pushed["layer"]
    found = Read(runner, f"oci:{tmp_path}/new:1.1", tmp_path / "read").manifest
    assert found["mediaType"] == OCI_MANIFEST
    assert found["config"]["digest"] == manifest["config"]["digest"]
    assert [layer["digest"] for layer in found["layers"]] == [layer["digest"] for layer in manifest["layers"]]


@pytest.mark.parametrize("target", ["oci", "oci-archive", "docker-archive"])
def test_a_local_image_is_written_as_the_registry_lane_writes_it(
    stxb: Stxb, runner: Runner, images: Images, registry: Registry, wheel: Path, tmp_path: Path, target: str
) -> None:
    image = make_image(python(), module("stxfile", "1.0"), docker=target == "oci")
    base = image.push(registry, "files/local:1")
    words = ("--from", base, "--wheel", wheel, *PLAIN)
    there = stxb.update(*words, "--to", f"{target}:{tmp_path}/there:{NAME}.1")
    to = f"{target}:{tmp_path}/here:{NAME}.1"
    here = stxb.update(*words, "--to", to, "--lane", "computed", "--pull", "always")
    assert (there["lane"], here["lane"]) == ("registry", "computed")
    assert (here["image"], here["pushed"], here["layer"]) == (to, False, there["layer"])
    found, expected = (
        Read(runner, f"{target}:{tmp_path}/{name}:{NAME}.1", tmp_path / name[0]) for name in ("here", "there")
    )
    assert found.config == expected.config
    assert found.manifest["config"] == expected.manifest["config"]
    if target != "docker-archive":
        assert found.manifest["layers"][-1] == expected.manifest["layers"][-1]
        assert here["digest"] == digest_of((found.folder / "manifest.json").read_bytes())
    # The store keeps it, too, under the name that it has in the archive.
    assert images.config(f"{NAME}.1") == found.config
    images.runner.run(["buildah", "rmi", f"{NAME}.1", str(base)])


def test_a_package_and_a_script_for_an_archive_that_podman_runs(
    stxb: Stxb, images: Images, base_image: ImageReference, wheel: Path, tmp_path: Path
) -> None:
    script = tmp_path / "customize.sh"
    script.write_text("echo made > /etc/made\n")
    words = ("--wheel", wheel, "--pkg", make_deb(tmp_path, "stx-file", "1.0"), "--customize", script)
    archive = tmp_path / "updated.tar"
    result = stxb.update("--from", base_image, *words, "--to", f"docker-archive:{archive}:localhost/tests/loaded:7")
    assert result["lane"] == "session"
    images.runner.run(["buildah", "rmi", "localhost/tests/loaded:7"])
    images.runner.run(["podman", "load", "--quiet", "--input", str(archive)])
    paths = ["/etc/made", "/usr/share/stx-file/stx-file.txt"]
    code = f"import stxfile; print(stxfile.VERSION, *(open(path).read() for path in {paths}))"
    assert images.run("localhost/tests/loaded:7", "python3", "-c", code) == "2.0 made\n stx-file 1.0\n\n"
    images.runner.run(["buildah", "rmi", "localhost/tests/loaded:7"])


def test_an_updated_layout_of_the_base_image_runs(
    stxb: Stxb, images: Images, base_layout: Path, wheel: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "updated.tar"
    stxb.update("--from", f"oci:{base_layout}:base", "--wheel", wheel, "--to", f"oci-archive:{archive}:2")
    name = images.runner.run(["podman", "load", "--quiet", "--input", str(archive)]).stdout.decode()
    loaded = name.strip().removeprefix("Loaded image: ")
    assert images.run(loaded, "python3", "-c", "import stxfile; print(stxfile.VERSION)") == "2.0\n"
    images.runner.run(["buildah", "rmi", loaded])


REFUSED: list[tuple[str, tuple[str, ...], str]] = [
    ("docker-archive", (), "written once and holds what it holds"),
    ("oci", ("--push",), "name the image by --to"),
    ("oci", ("--to", "oci:{layout}:1.0"), "would overwrite it"),
    ("oci", ("--to", "dir:{layout}"), "dir"),
    ("oci", ("--lane", "computed"), "skopeo copy"),
    ("oci", ("--lane", "session"), "skopeo copy"),
    ("oci", ("--expect-digest", f"sha256:{'0' * 64}"), "--expect-digest"),
    ("oci", ("--to", "docker-archive:{layout}"), "no regular file"),
    ("oci", ("--to", "oci:{layout}/index.json:2"), "cannot write"),
]


@pytest.mark.parametrize(("source", "words", "said"), REFUSED)
def test_refused_and_nothing_changed(
    stxb: Stxb, place: Callable[[str], str], wheel: Path, tmp_path: Path, source: str, words: tuple[str, ...], said: str
) -> None:
    location = place(source)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    given = [word.format(layout=tmp_path / "layout") for word in words]
    assert said in stxb.refused(2, "--from", location, "--wheel", wheel, *given)
    cache = stxb.folder / "cache"
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and cache not in path.parents}
    assert after == before


def test_a_damaged_layer_leaves_no_file_and_no_tag(
    stxb: Stxb, image: PythonImage, registry: Registry, wheel: Path, tmp_path: Path
) -> None:
    layout = image.lay_out(tmp_path / "layout", "1.0")
    damaged = layout / "blobs/sha256" / str(image.layers[0]["digest"]).removeprefix("sha256:")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\1")
    archive = tmp_path / "there.tar"
    archive.write_bytes(b"as it was")
    for to in (f"oci-archive:{archive}", f"docker-archive:{archive}", f"oci:{tmp_path}/new:1"):
        assert "is damaged" in stxb.refused(2, "--from", f"oci:{layout}:1.0", "--wheel", wheel, "--to", to)
    said = stxb.refused(
        2, "--from", f"oci:{layout}:1.0", "--wheel", wheel, "--to", f"{registry.address}/files/damaged:1", *PLAIN
    )
    assert "is damaged" in said
    assert "files/damaged" not in registry.repositories()
    assert archive.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir() if path != stxb.folder) == sorted(
        ["layout", "there.tar", wheel.name]
    )


def test_an_image_is_chosen_by_its_name_in_an_archive_of_several(
    stxb: Stxb, runner: Runner, wheel: Path, tmp_path: Path
) -> None:
    names = ("1", "2")
    for name in names:
        layout = make_image(python(), module("stxfile", "1.0"), title=name).lay_out(tmp_path / name, name)
        runner.run(["skopeo", "copy", "--quiet", f"oci:{layout}:{name}", f"oci:{tmp_path}/both:{name}"])
    assert "may be any of 2 images" in stxb.refused(2, "--from", f"oci:{tmp_path}/both", "--wheel", wheel)
    with tarfile.open(tmp_path / "both.tar", "w") as tar:
        for path in sorted((tmp_path / "both").iterdir()):
            tar.add(path, path.name)
    shutil.rmtree(tmp_path / "both")
    to = f"oci-archive:{tmp_path}/updated.tar:3"
    stxb.update("--from", f"oci-archive:{tmp_path}/both.tar:2", "--wheel", wheel, "--to", to)
    assert Read(runner, to, tmp_path / "read").config["config"]["Labels"]["title"] == "2"
