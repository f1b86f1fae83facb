# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` with packages and scripts: the session lane on real stores."""

from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.stxb import Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

SITE = "usr/local/lib/python3.13/dist-packages"
WRITTEN = ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")
SCRIPT = """\
#!/bin/bash
set -e
[[ $(id -u) == 0 ]]
find /image-update | sort > /etc/found.txt
cat /image-update/extras/notes.txt >> /etc/found.txt
python3 -c 'import stx_hello'
rm /etc/debian_version
echo noise > /tmp/left-behind
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    # Without the run bit: it is run all the same.
    path = tmp_path / "customize-it.sh"
    path.write_text(SCRIPT)
    (tmp_path / "notes.txt").write_text("noted\n")
    return path


def everything(tmp_path: Path, script: Path) -> list[object]:
    deb = make_deb(tmp_path, "stx-tool", "1.0")
    wheel = make_wheel(tmp_path, "stx-hello", "1.0")
    return ["--pkg", deb, "--wheel", wheel, "--customize", script, "--extra", tmp_path / "notes.txt"]


def test_every_path_of_the_layer_is_named(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path, script: Path
) -> None:
    result = stxb.update("--from", base_image, *everything(tmp_path, script))
    assert result["lane"] == "session"
    before, after = images.config(str(base_image)), images.config(result["image"])
    assert after["rootfs"]["diff_ids"][:-1] == before["rootfs"]["diff_ids"]
    information = f"{SITE}/stx_hello-1.0.dist-info"
    with images.top_layer_tar(result["image"]) as layer:
        assert set(layer.getnames()) == {
            "etc", "etc/.wh.debian_version", "etc/found.txt",
            "usr", "usr/local", "usr/local/lib", "usr/local/lib/python3.13", SITE, f"{SITE}/stx_hello.py",
            information, *(f"{information}/{name}" for name in WRITTEN),
            "usr/share", "usr/share/stx-tool", "usr/share/stx-tool/stx-tool.txt",
            "var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/info", "var/lib/dpkg/info/stx-tool.list",
            "var/lib/dpkg/info/stx-tool.md5sums", "var/lib/dpkg/status",
        }  # fmt: skip
        found = layer.extractfile("etc/found.txt")
        assert found is not None
        text = found.read().decode()
    wheels = ["/image-update/pip-packages", "/image-update/pip-packages/wheels"]
    assert text.splitlines() == [
        "/image-update",
        "/image-update/customize.sh",
        "/image-update/dist-packages",
        "/image-update/dist-packages/stx-tool_1.0_all.deb",
        "/image-update/extras",
        "/image-update/extras/notes.txt",
        *wheels,
        "/image-update/pip-packages/wheels/stx_hello-1.0-py3-none-any.whl",
        "noted",
    ]
    assert result["changes"] == {"python": ["+ stx-hello==1.0"], "deb": ["+ stx-tool 1.0 all"], "rpm": []}
    assert images.containers() == []


def test_same_inputs_give_the_same_image_on_both_drivers(
    stores: dict[str, EngineStore],
    make_stxb: StxbMaker,
    base_image: ImageReference,
    vfs_base_image: ImageReference,
    tmp_path: Path,
    script: Path,
) -> None:
    words = everything(tmp_path, script)
    bases = (("overlay", base_image), ("overlay", base_image), ("vfs", vfs_base_image))
    digests = {make_stxb(driver).update("--from", base, "--tag", "session", *words)["digest"] for driver, base in bases}
    assert len(digests) == 1


def test_a_missing_dependency_is_named(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    deb = make_deb(tmp_path, "stx-needy", "1.0", depends="stx-absent (>= 2)")
    said = stxb.refused(1, "--from", base_image, "--pkg", deb)
    assert "stx-needy needs stx-absent (>= 2)" in said
    assert "--allow-repos" in said
    assert images.containers() == []


def test_two_packages_of_one_transaction(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    needy = make_deb(tmp_path, "stx-a-needy", "1.0", depends="stx-b-given")
    given = make_deb(tmp_path, "stx-b-given", "1.0")
    result = stxb.update("--from", base_image, "--pkg", str(tmp_path / "*.deb"), "--tag", "two")
    assert [needy.exists(), given.exists()] == [True, True]
    assert result["changes"]["deb"] == ["+ stx-a-needy 1.0 all", "+ stx-b-given 1.0 all"]


def test_a_failing_script_is_told_with_its_last_lines(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    script = tmp_path / "failing.sh"
    script.write_text("echo working\necho this is why >&2\nsleep 0.5\nexit 7\n")
    said = stxb.refused(1, "--from", base_image, "--customize", script, "--tag", "never")
    assert "failing.sh ended with exit status 7" in said
    assert "this is why" in said
    assert images.containers() == []
    assert not (stxb.folder / "stxb-out").exists()
    assert (
        stxb.run("update", "--pull", "never", "--from", "localhost/tests/base:never", "--customize", script).status == 2
    )


def test_bytecode_only_when_it_is_asked_for(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "stx-hello", "1.0")
    result = stxb.update("--from", base_image, "--wheel", wheel, "--compile", "--tag", "compiled")
    names = {member.name for member in images.top_layer(result["image"])}
    assert f"{SITE}/__pycache__/stx_hello.cpython-313.pyc" in names
    # Valid bytecode: Python takes it without writing its own.
    assert "matches /" in images.run(
        result["image"], "sh", "-c", "python3 -vc 'import stx_hello' 2>&1 | grep stx_hello"
    )


def test_a_package_that_is_no_package(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    wrong = tmp_path / "tool.txt"
    wrong.write_text("x")
    assert "is no distribution package" in stxb.refused(2, "--from", base_image, "--pkg", wrong)
