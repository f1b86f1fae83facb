# SPDX-License-Identifier: Apache-2.0
"""Bad input to ``stxb update``: one paragraph, the exit code of its class, and nothing changed."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine


@pytest.fixture
def unchanged(stxb: Stxb, images: Images) -> Callable[[], None]:
    """Says at the end that no image, no container, no record and no work folder came of it."""
    before = sorted(images.listed())

    def check() -> None:
        assert sorted(images.listed()) == before
        assert images.containers() == []
        assert not (stxb.folder / "stxb-out").exists()
        assert list((stxb.folder / "cache/stxb/work").glob("*")) == []

    return check


def rewritten(wheel: Path, change: Callable[[str, bytes], bytes], extra: str = "") -> Path:
    """Write a wheel again with changed members, its RECORD left as it was."""
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))
        if extra:
            archive.writestr(extra, b"x")
    return wheel


def wrong_hash(folder: Path) -> Path:
    return rewritten(
        make_wheel(folder, "stx-bad", "1.0"), lambda name, data: b"#" + data if name == "stx_bad.py" else data
    )


def escaping(folder: Path) -> Path:
    return rewritten(make_wheel(folder, "stx-bad", "1.0"), lambda _, data: data, extra="../../etc/passwd")


def truncated(folder: Path) -> Path:
    wheel = make_wheel(folder, "stx-bad", "1.0")
    wheel.write_bytes(wheel.read_bytes()[:-40])
    return wheel


def not_a_zip(folder: Path) -> Path:
    wheel = make_wheel(folder, "stx-bad", "1.0")
    wheel.write_text("<html>404</html>")
    return wheel


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (wrong_hash, ["stx_bad.py"]),
        (escaping, ["../../etc/passwd"]),
        (truncated, ["stx_bad-1.0-py3-none-any.whl"]),
        (not_a_zip, ["stx_bad-1.0-py3-none-any.whl"]),
        (lambda folder: make_wheel(folder, "stx-bad", "1.0", tag="cp27-cp27mu-linux_x86_64"), ["cp27", "Python 3.13"]),
        (lambda folder: make_wheel(folder, "stx-bad", "1.0", tag="py3-none-win_amd64"), ["win_amd64", "Python 3.13"]),
        (lambda folder: make_wheel(folder, "stx-bad", "1.0", requires_python="<3.8"), ["<3.8", "Python 3.13"]),
    ],
    ids=["hash", "escape", "truncated", "no zip", "old python", "platform", "requires-python"],
)
def test_wheels_that_cannot_be_used(
    stxb: Stxb,
    base_image: ImageReference,
    tmp_path: Path,
    unchanged: Callable[[], None],
    make: Callable[[Path], Path],
    words: list[str],
) -> None:
    said = stxb.refused(2, "--from", base_image, "--wheel", make(tmp_path))
    assert [word for word in words if word not in said] == []
    unchanged()


def test_everything_wrong_in_a_directives_file_at_once(stxb: Stxb, unchanged: Callable[[], None]) -> None:
    file = stxb.folder / "bad.update"
    file.write_text('FROM=localhost/tests/base:1\nWHEEL="a.whl"\nEXTRA_FILES=$(ls)\nIMAGE_UPDATE_VER="1\n')
    said = stxb.refused(2, "--file", file)
    assert [place for place in ("bad.update:2:1", "bad.update:3:13", "bad.update:4:") if place not in said] == []
    unchanged()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--wheel", "gone.whl"], "gone.whl does not exist"),
        (["--pkg", "none/*.deb"], "matches no package"),
        (["--wheel", "w.whl", "--tag", "1"], "tests/base:1"),
        (["--module-src", "ext::sh -c touch% /tmp/pwned|x"], "ext"),
        (["--module-src", "https://git.example/a.git|--upload-pack=x"], "--upload-pack"),
        ([], "nothing to change"),
        (["--update-id", "../up", "--customize", "c.sh"], "--update-id"),
        (["--python", "/opt/none/bin/python3", "--wheel", "stx_w-1.0-py3-none-any.whl"], "/opt/none/bin/python3"),
    ],
)
def test_command_lines_that_cannot_be_carried_out(
    stxb: Stxb, base_image: ImageReference, unchanged: Callable[[], None], words: list[str], message: str
) -> None:
    make_wheel(stxb.folder, "stx-w", "1.0")
    for name in ("w.whl", "c.sh"):
        (stxb.folder / name).write_text("")
    assert message in stxb.refused(2, "--from", base_image, *words)
    unchanged()


def test_from_that_is_nowhere(stxb: Stxb, tmp_path: Path, unchanged: Callable[[], None]) -> None:
    wheel = make_wheel(tmp_path, "stx-w", "1.0")
    said = stxb.refused(2, "--from", "localhost/tests/absent:1", "--wheel", wheel, "--pull", "never")
    assert "localhost/tests/absent:1" in said
    assert "NOT-A-REFERENCE" in stxb.refused(2, "--from", "NOT-A-REFERENCE", "--wheel", wheel)
    unchanged()


def test_a_git_ref_that_does_not_exist(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    import subprocess

    subprocess.run(["/usr/bin/git", "init", "--quiet", str(tmp_path / "module")], check=True)
    source = f"file://{tmp_path}/module|no-such-ref"
    said = stxb.refused(2, "--from", base_image, "--module-src", source, "--builder", str(base_image))
    assert "no-such-ref" in said


def test_a_module_of_the_distribution(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    # pip is Debian's package in the base image.
    wheel = make_wheel(tmp_path, "pip", "99.0", files={"pip/__init__.py": "__version__ = '99.0'\n"})
    said = stxb.refused(2, "--from", base_image, "--wheel", wheel)
    assert "python3-pip" in said
    assert "--break-system-packages" in said
    image = stxb.update("--from", base_image, "--wheel", wheel, "--break-system-packages", "--tag", "broken")["image"]
    assert images.run(image, "python3", "-c", "import pip; print(pip.__version__)").strip() == "99.0"
    assert "commands" not in images.run(image, "sh", "-c", "ls /usr/lib/python3/dist-packages/pip 2>&1; true")


def test_an_image_without_python(stxb: Stxb, images: Images, tmp_path: Path) -> None:
    from tests.engine.images import image_with

    source = image_with(tmp_path / "plain", "nothing here")
    images.runner.run(["skopeo", "copy", "--quiet", source, "containers-storage:localhost/tests/plain:1"])
    said = stxb.refused(2, "--from", "localhost/tests/plain:1", "--wheel", make_wheel(tmp_path, "stx-w", "1.0"))
    assert "no Python" in said
    script = tmp_path / "c.sh"
    script.write_text("true\n")
    assert "no shell" in stxb.refused(1, "--from", "localhost/tests/plain:1", "--customize", script)
