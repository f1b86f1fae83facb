# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` killed at any moment: nothing lost, and nothing left after the next run."""

import os
import signal
import subprocess
from pathlib import Path

import attrs
import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.registries import Registry
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

# Seconds after the start: while Python starts, reads, computes, stores, pushes and records; the session takes longer.
MOMENTS = {
    "computed": (0.05, 0.12, 0.18, 0.24, 0.3, 0.36, 0.45),
    "session": (0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 1.8),
}


@attrs.frozen(kw_only=True)
class Scene:
    """One update that is going to be killed, and what holds whatever happens to it."""

    stxb: Stxb
    images: Images
    base: str
    target: str
    words: tuple[object, ...]
    pushed_to: str = ""

    @property
    def records(self) -> Path:
        return self.stxb.folder / "stxb-out/update-images/killed.1"

    def kill(self, after: float, *, group: bool) -> None:
        """Start the update and kill it, alone or with all its children, so many seconds later."""
        process = self.stxb.start("update", *self.words)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait(10)

    def check_whole(self, layers: int) -> None:
        """The base is there, and the target is whole or not there; so are its records."""
        assert len(self.images.manifest(self.base)["layers"]) == layers
        names = {name for image in self.images.listed() for name in image}
        if self.target in names:
            manifest = self.images.manifest(self.target)
            assert len(manifest["layers"]) == layers + 1
            assert len(self.images.config(self.target)["rootfs"]["diff_ids"]) == layers + 1
        written = {path.name for path in self.records.glob("[!.]*")}
        stem = self.target.rpartition("/")[2].replace(":", "-")
        assert written <= {f"{stem}.piplst", f"{stem}.deblst", "image-updates.lst"}
        for name in written:
            text = (self.records / name).read_text()
            assert text.endswith("\n")
            assert "stx-killed==1.0\n" in text or name != f"{stem}.piplst"
        if "image-updates.lst" in written:
            assert (self.records / "image-updates.lst").read_text() == f"{self.pushed_to or self.target}\n"
            assert len(written) == 3

    def left(self, *words: str) -> dict[str, object]:
        told = self.stxb.done("clean", "--no-caches", "--format", "json", *words).json
        return {kind: told[kind] for kind in ("containers", "folders")}


def make_scene(  # the fixtures of one test
    stxb: Stxb, images: Images, base: ImageReference, folder: Path, *, lane: str, registry: Registry | None
) -> Scene:
    words: list[object] = [
        "--from",
        base,
        "--wheel",
        make_wheel(folder, "stx-killed", "1.0"),
        "--tag",
        f"killed-{lane}",
    ]
    if lane == "session":
        script = folder / "customize.sh"
        script.write_text("echo made > /etc/made-by-script\nsleep 0.3\n")
        words += ["--pkg", make_deb(folder, "stx-killed-tool", "1.0"), "--customize", script]
    pushed_to = ""
    if registry is not None:
        words += ["--registry", registry.address, "--user", "killed", "--push", "--tls-verify=false"]
        pushed_to = f"{registry.address}/killed/base:killed-{lane}"
    target = pushed_to or f"localhost/tests/base:killed-{lane}"
    words += ["--update-id", "killed.1"]
    return Scene(stxb=stxb, images=images, base=str(base), target=target, words=tuple(words), pushed_to=pushed_to)


@pytest.mark.parametrize(
    ("lane", "push", "group"),
    [("computed", False, True), ("computed", True, False), ("session", True, True), ("session", False, False)],
    ids=["computed-with-children", "computed-pushing", "session-pushing-with-children", "session"],
)
def test_killed_at_any_moment(
    stxb: Stxb, images: Images, base_image: ImageReference, registry: Registry, tmp_path: Path,
    *, lane: str, push: bool, group: bool,
) -> None:  # fmt: skip
    scene = make_scene(stxb, images, base_image, tmp_path, lane=lane, registry=registry if push else None)
    layers = len(images.manifest(scene.base)["layers"])
    for moment in MOMENTS[lane]:
        scene.kill(moment, group=group)
        scene.check_whole(layers)
        left = scene.left("--dry-run")
        assert scene.left() == left
        assert images.containers() == []
        assert list((stxb.folder / "cache/stxb/work").glob("*")) == []
    scene.kill(MOMENTS[lane][-3], group=group)
    stxb.done("update", *scene.words, "--pull", "never")
    scene.check_whole(layers)
    assert len(list(scene.records.glob("[!.]*"))) == 3
    assert images.containers() == []
    assert scene.left("--dry-run") == {"containers": [], "folders": []}
    assert list((stxb.folder / "cache/stxb/work").glob("*")) == []
