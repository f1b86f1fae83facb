# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` on machines that lack something: one paragraph, its exit code, and nothing changed."""

import base64
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import PROGRAM, Ended, Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

LISTED = "stxb-out/update-images/unnamed-update/image-updates.lst"


@pytest.fixture
def words(base_image: ImageReference, tmp_path: Path) -> tuple[object, ...]:
    return ("update", "--from", base_image, "--wheel", make_wheel(tmp_path, "stx-host", "1.0"), "--tag", "host")


@pytest.fixture
def unchanged(stxb: Stxb, images: Images) -> Callable[[], None]:
    before = sorted(images.listed())

    def check() -> None:
        assert sorted(images.listed()) == before
        assert images.containers() == []
        assert list((stxb.folder / "cache/stxb/work").glob("stxb-*")) == []

    return check


def path_without(folder: Path, program: str) -> str:
    """Make a PATH that has every program but one."""
    folder.mkdir()
    for place in os.get_exec_path():
        for path in Path(place).glob("*"):
            if path.name != program and not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path)
    return str(folder)


@pytest.mark.parametrize("program", ["buildah", "skopeo"])
def test_without_a_program(
    stxb: Stxb, words: tuple[object, ...], unchanged: Callable[[], None], tmp_path: Path, program: str
) -> None:
    script = tmp_path / "customize.sh"
    script.write_text("touch /etc/customized\n")
    path = path_without(tmp_path / "bin", program)
    ended = stxb.run(*words, "--customize", script, extra={"PATH": path})
    assert (ended.status, ended.out) == (3, "")
    assert f"error: the program {program} is not installed" in ended.err
    assert f" install {program}`" in ended.err
    unchanged()


def test_wheels_alone_need_no_buildah(stxb: Stxb, words: tuple[object, ...], images: Images, tmp_path: Path) -> None:
    stxb.done(*words[:-1], "without-buildah", extra={"PATH": path_without(tmp_path / "bin", "buildah")})
    assert any(name.endswith(":without-buildah") for names in images.listed() for name in names)


def test_without_podman_a_module_cannot_be_built(
    stxb: Stxb, words: tuple[object, ...], unchanged: Callable[[], None], tmp_path: Path, base_image: ImageReference
) -> None:
    path = path_without(tmp_path / "bin", "podman")
    (tmp_path / "module").mkdir()
    (tmp_path / "module/pyproject.toml").write_text("[project]\nname = 'stx-module'\nversion = '1'\n")
    module = ("--module-src", tmp_path / "module", "--builder", base_image)
    ended = stxb.run(*words, *module, extra={"PATH": path})
    assert (ended.status, ended.out) == (3, "")
    assert "error: the program podman is not installed" in ended.err
    unchanged()
    # What needs no podman works without it.
    stxb.done(*words[:-1], "without-podman", extra={"PATH": path})


def test_without_newuidmap(
    stxb: Stxb, words: tuple[object, ...], unchanged: Callable[[], None], tmp_path: Path
) -> None:
    path = path_without(tmp_path / "bin", "newuidmap")
    ended = stxb.run(*words, extra={"PATH": path})
    assert (ended.status, ended.out) == (3, "")
    assert "usermod --add-subuids" in ended.err
    assert "newuidmap" in ended.err
    unchanged()
    doctor = stxb.run("doctor", extra={"PATH": path})
    assert doctor.status == 3
    assert "newuidmap" in doctor.out


@pytest.fixture
def closed(stxb: Stxb) -> None:
    stxb.folder.joinpath("stxb-out").mkdir(mode=0o555)


@pytest.mark.usefixtures("closed")
def test_a_folder_for_records_that_cannot_be_written(
    stxb: Stxb, words: tuple[object, ...], unchanged: Callable[[], None]
) -> None:
    said = stxb.refused(2, *words[1:])
    assert said.startswith(f"error: {LISTED} cannot be written: Permission denied")
    unchanged()


@pytest.mark.parametrize("kind", ["not text", "folder"])
def test_a_list_of_updated_images_that_is_none(
    stxb: Stxb, words: tuple[object, ...], unchanged: Callable[[], None], kind: str
) -> None:
    path = stxb.folder / LISTED
    path.parent.mkdir(parents=True)
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\xfe\n")
    said = stxb.refused(2, *words[1:])
    assert said.startswith("error: ")
    assert LISTED in said
    unchanged()
    assert [found.name for found in path.parent.iterdir()] == ["image-updates.lst"]


@pytest.mark.parametrize(("digestfile", "status"), [("new/digest", 0), ("/proc/self/x", 2), (".", 2)])
def test_a_digest_file_is_looked_at_first(
    stxb: Stxb, words: tuple[object, ...], images: Images, digestfile: str, status: int
) -> None:
    before = sorted(images.listed())
    ended = stxb.run(*words, "--digestfile", digestfile)
    assert ended.status == status, ended.err
    if status:
        assert sorted(images.listed()) == before
        assert not (stxb.folder / "stxb-out").exists()


def test_what_is_shown(stxb: Stxb, words: tuple[object, ...]) -> None:
    after = stxb.done(*words, "--verbose", extra={"NO_COLOR": "1"})
    before = stxb.done("--verbose", *words)
    for ended in (after, before):
        assert "storage driver overlay" in ended.err
        assert "isolation " in ended.err
        assert "lane=computed" in ended.err
        assert "\x1b" not in ended.err
    assert "\x1b" in stxb.done(*words, extra={"FORCE_COLOR": "1"}).err
    quiet = stxb.done(*words, "-q")
    assert quiet.err == ""
    assert quiet.out == after.out
    assert after.out.count("\n") == 1
    line = stxb.done(*words, "-v", "--log-json").err.splitlines()[0]
    assert line.startswith("{")


@pytest.mark.parametrize("redirected", ["| head -0", ">&-", "> /dev/full", "2>&-", "2> /dev/full"])
def test_nobody_listens(stxb: Stxb, words: tuple[object, ...], redirected: str) -> None:
    line = f'"$@" {redirected}'
    completed = subprocess.run(
        ["bash", "-c", line, "bash", PROGRAM, *map(str, words)],
        cwd=stxb.folder,
        env={"PATH": os.environ["PATH"], **stxb.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in completed.stderr
    assert "Exception" not in completed.stderr
    assert completed.returncode == (6 if "full" in redirected else 0)


# Inside the user namespace of the store's owner even an ordinary account may mount a small disk.
IN_NAMESPACE = """\
mount -t tmpfs -o size="$1" none "$2" && shift 2
unset _CONTAINERS_USERNS_CONFIGURED _CONTAINERS_ROOTLESS_UID _CONTAINERS_ROOTLESS_GID BUILDAH_ISOLATION
exec "$@"
"""


@attrs.frozen(kw_only=True)
class SmallDisk:
    """Runs the command with a small disk mounted at ``folder``."""

    stxb: Stxb
    folder: Path

    def run(self, size: str, *words: object, extra: dict[str, str] | None = None) -> Ended:
        completed = subprocess.run(
            ["buildah", "unshare", "sh", "-c", IN_NAMESPACE, "sh", size, self.folder, PROGRAM, *map(str, words)],
            cwd=self.stxb.folder,
            env={"PATH": os.environ["PATH"], **self.stxb.environment, **(extra or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Ended(status=completed.returncode, out=completed.stdout, err=completed.stderr)


@pytest.fixture
def small_disk(stxb: Stxb, tmp_path: Path) -> SmallDisk:
    folder = tmp_path / "small"
    folder.mkdir()
    return SmallDisk(stxb=stxb, folder=folder)


@pytest.fixture
def large_words(base_image: ImageReference, tmp_path: Path) -> tuple[object, ...]:
    # Nothing makes random text smaller.
    content = base64.b64encode(random.Random(1).randbytes(3_000_000)).decode()  # noqa: S311 # no secret
    wheel = make_wheel(tmp_path, "stx-large", "1.0", files={"stx_large.py": f"TEXT = {content!r}\n"})
    return ("update", "--from", base_image, "--wheel", wheel, "--tag", "large")


@pytest.mark.parametrize(("variable", "size"), [("TMPDIR", "512k"), ("TMPDIR", "4k"), ("MY_WORKSPACE", "64k")], ids=str)
def test_a_full_disk(
    small_disk: SmallDisk, large_words: tuple[object, ...], unchanged: Callable[[], None], variable: str, size: str
) -> None:
    ended = small_disk.run(size, *large_words, extra={variable: str(small_disk.folder)})
    assert (ended.status, ended.out) == (6, ""), ended.err
    errors = [line for line in ended.err.splitlines() if not line.startswith("·")]
    assert [line.partition(":")[0] for line in errors] == ["error", "hint"]
    assert errors[0].startswith(("error: no space left in ", "error: no space is left on the disk"))
    unchanged()
    assert not (small_disk.stxb.folder / "stxb-out").exists()


def test_a_full_disk_under_the_digest_file(
    small_disk: SmallDisk, large_words: tuple[object, ...], unchanged: Callable[[], None]
) -> None:
    ended = small_disk.run("64k", *large_words, "--digestfile", small_disk.folder / "digest")
    assert (ended.status, ended.out) == (6, "")
    unchanged()


def test_a_full_disk_under_the_cache_only_costs_time(
    small_disk: SmallDisk, large_words: tuple[object, ...], tmp_path: Path
) -> None:
    extra = {"XDG_CACHE_HOME": str(small_disk.folder), "TMPDIR": str(tmp_path)}
    ended = small_disk.run("8k", *large_words, extra=extra)
    assert ended.status == 0, ended.err
    assert "not_written" in ended.err
