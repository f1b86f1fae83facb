# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` with wheels alone: the computed lane on real stores."""

from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.stxb import Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

KEPT_SETTINGS = (
    "Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "StopSignal", "User", "Volumes", "WorkingDir",
)  # fmt: skip
SITE = "usr/local/lib/python3.13/dist-packages"


def test_one_layer_with_exactly_the_wheel(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "stx-hello", "1.0", entry_points="[console_scripts]\nstx-hello = stx_hello:main\n")
    result = stxb.update("--from", base_image, "--wheel", wheel, "--label", "team=images")
    before, after = images.config(str(base_image)), images.config(result["image"])
    assert len(after["rootfs"]["diff_ids"]) == len(before["rootfs"]["diff_ids"]) + 1
    assert after["rootfs"]["diff_ids"][:-1] == before["rootfs"]["diff_ids"]
    settings = [(before["config"].get(key), after["config"].get(key)) for key in KEPT_SETTINGS]
    assert [old for old, _ in settings] == [new for _, new in settings]
    assert after["config"]["Labels"]["team"] == "images"
    assert after["config"]["Labels"]["org.opencontainers.image.base.name"] == str(base_image)
    information = f"{SITE}/stx_hello-1.0.dist-info"
    names = {member.name for member in images.top_layer(result["image"])}
    assert names == {
        "usr", "usr/local", "usr/local/bin", "usr/local/bin/stx-hello", "usr/local/lib", "usr/local/lib/python3.13",
        SITE, f"{SITE}/stx_hello.py", information,
        *(f"{information}/{name}" for name in
          ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL", "entry_points.txt")),
    }  # fmt: skip
    assert result["changes"]["python"] == ["+ stx-hello==1.0"]
    assert images.containers() == []


def test_the_image_agrees_with_what_was_installed(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    module = {"stx_tool.py": "def main():\n    print('tool runs')\n"}
    points = "[console_scripts]\nstx-tool = stx_tool:main\n"
    wheel = make_wheel(tmp_path, "stx-tool", "2.1", files=module, entry_points=points)
    image = stxb.update("--from", base_image, "--wheel", wheel)["image"]
    assert images.run(image, "stx-tool").strip() == "tool runs"
    script = "import importlib.metadata as m; print(m.version('stx-tool'))"
    assert images.run(image, "python3", "-c", script).strip() == "2.1"
    assert "stx-tool==2.1" in images.run(image, "python3", "-m", "pip", "freeze").splitlines()
    record = "stxb-out/update-images/unnamed-update/base-1.1.piplst"
    recorded = (stxb.folder / record).read_text().splitlines()
    frozen = images.run(image, "python3", "-m", "pip", "freeze").splitlines()
    assert sorted(recorded) == sorted(frozen)


def test_a_newer_version_replaces_the_older_whole(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    old = make_wheel(
        tmp_path, "stx-pack", "1.0",
        files={"stx_pack/__init__.py": "", "stx_pack/gone.py": "", "stx_pack/sub/only.py": ""},
        entry_points="[console_scripts]\nstx-old = stx_pack:main\n",
    )  # fmt: skip
    new = make_wheel(tmp_path, "stx-pack", "1.1", files={"stx_pack/__init__.py": "NEW = 1\n"})
    first = stxb.update("--from", base_image, "--wheel", old)["image"]
    # Bytecode that running the image leaves behind is nobody's record.
    second = stxb.update("--from", first, "--wheel", new)
    names = {member.name for member in images.top_layer(second["image"])}
    assert f"{SITE}/stx_pack/.wh.gone.py" in names
    assert f"{SITE}/stx_pack/.wh.sub" in names
    assert f"{SITE}/.wh.stx_pack-1.0.dist-info" in names
    assert "usr/local/bin/.wh.stx-old" in names
    listing = images.run(second["image"], "sh", "-c", f"find /{SITE}/stx_pack* /usr/local/bin | sort")
    assert "gone" not in listing
    assert "stx-old" not in listing
    assert second["changes"]["python"] == ["- stx-pack==1.0", "+ stx-pack==1.1"]


def test_same_inputs_give_the_same_image_on_both_drivers(
    stores: dict[str, EngineStore],
    make_stxb: StxbMaker,
    base_image: ImageReference,
    vfs_base_image: ImageReference,
    tmp_path: Path,
) -> None:
    wheel = make_wheel(tmp_path, "stx-same", "1.0")
    digests = set()
    for driver, base in (("overlay", base_image), ("overlay", base_image), ("vfs", vfs_base_image)):
        digests.add(make_stxb(driver).update("--from", base, "--wheel", wheel, "--tag", "same")["digest"])
    assert len(digests) == 1
