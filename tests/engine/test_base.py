# SPDX-License-Identifier: Apache-2.0
"""``stxb base`` with the real mmdebstrap, and its names and pushes with a small file system in place of it."""

import io
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.engine import debrepo
from tests.engine.conftest import EngineStore
from tests.engine.registries import Registry
from tests.engine.stxb import Images, Stxb

pytestmark = pytest.mark.engine

EPOCH = "1760000000"
CREATED = "2025-10-09T08:53:20Z"
OLD_NAMES = ("stable-1", "stable-latest")
# As mmdebstrap itself: the parent waits for its child whatever signal comes.
STUBBORN = """\
#!/bin/sh
trap : TERM
mkdir "$TMPDIR/mmdebstrap.left" && touch "$TMPDIR/mmdebstrap.left/file"
(exec sleep 300) &
echo $! >'{pid}.part' && mv '{pid}.part' '{pid}'
while kill -0 $!; do wait $!; done
exit 1
"""
# The archive's name is what follows the suite.
FAKE = """\
#!{python}
import shutil, sys
_, target, *_ = [word for word in sys.argv[1:] if not word.startswith("-")]
shutil.copy({archive!r}, target)
"""


@attrs.frozen(kw_only=True)
class Made:
    """A real base image and what it was made from."""

    stxb: Stxb
    words: tuple[str, ...]
    result: Any
    repository: str


@pytest.fixture(scope="session")
def made(stores: dict[str, EngineStore], engine_folder: Path) -> Iterator[Made]:
    """A base image of the real distribution and of a repository made here."""
    folder = engine_folder / "base"
    packages = folder / "repository"
    packages.mkdir(parents=True)
    debrepo.make_package(packages, "stx-marker", "1.0", {"usr/share/stx-marker/hello": "hello\n"})
    # Older than the distribution's, so that it is there only when the build's repository wins.
    debrepo.make_package(packages, "netbase", "0.1", {"usr/share/netbase-of-the-build": ""})
    debrepo.write_lists(packages, origin="the-build")
    own = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    stxb = Stxb(
        folder=folder,
        environment={
            **dict(stores["overlay"].choices.environment),
            **own,
            "SOURCE_DATE_EPOCH": EPOCH,
            "REPOMGR_ORIGIN": "the-build",
        },
    )
    mirror = os.environ.get("STXB_TEST_MIRROR")
    with debrepo.served(packages) as url:
        words = (
            *("base", "--os", "debian", "--os-codename", "trixie", "--user", "tests", "--format", "json"),
            *("--packages", "ca-certificates,netbase,stx-marker", "--repo", f"deb [trusted=yes] {url} ./"),
            *(("--mirror", mirror) if mirror else ()),
        )
        yield Made(stxb=stxb, words=words, result=stxb.done(*words).json, repository=url)


def test_the_image_is_one_layer_with_a_configuration(made: Made, images: Images) -> None:
    reference = made.result["image"]
    assert reference == "localhost/tests/stx-debian:trixie-amd64-stable-13"
    config = images.config(reference)
    assert config == {
        "created": CREATED,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["/bin/bash"],
            "Labels": {
                "org.opencontainers.image.created": CREATED,
                "org.opencontainers.image.description": "debian trixie for amd64",
                "org.opencontainers.image.title": "stx-debian",
                "org.opencontainers.image.version": "13",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [made.result["layer"]["diff_id"]]},
        "history": [
            {
                "created": CREATED,
                "created_by": "stxb base --os debian --os-codename trixie",
                "comment": config["history"][0]["comment"],
            }
        ],
    }
    manifest = images.manifest(reference)
    assert [layer["digest"] for layer in manifest["layers"]] == [made.result["layer"]["digest"]]


def test_it_is_clean_and_its_apt_lists_are_those_of_the_build(made: Made, images: Images) -> None:
    with images.top_layer_tar(made.result["image"]) as tar:
        members = {f"/{member.name.strip('/')}": member for member in tar.getmembers()}
        lists = {
            path: tar.extractfile(member).read().decode()  # type: ignore[union-attr] # a file
            for path, member in members.items()
            if path.startswith(("/etc/apt/sources.list", "/etc/apt/preferences.d/")) and member.isfile()
        }
    line = f"deb [trusted=yes] {made.repository} ./\n"
    pin = "Pin: release o=the-build\n"
    assert lists.pop("/etc/apt/sources.list.d/debian.list.disabled").count(" trixie") >= 2
    assert lists == {
        "/etc/apt/sources.list.d/stx.list": line,
        "/etc/apt/sources.list.d/stx.list.disabled": line,
        "/etc/apt/preferences.d/stx": lists["/etc/apt/preferences.d/stx"],
    }
    assert pin in lists["/etc/apt/preferences.d/stx"]
    for folder in ("/dev", "/proc", "/sys", "/run", "/tmp", "/var/cache/apt", "/var/lib/apt/lists", "/var/log/apt"):
        assert members[folder].isdir()
        assert not [path for path in members if path.startswith(f"{folder}/")], folder
    gone = ("/etc/machine-id", "/etc/hostname", "/etc/resolv.conf", "/etc/apt/sources.list", "/var/log/dpkg.log")
    assert not set(gone) & members.keys()
    assert not [path for path in members if "mmdebstrap" in path or "__pycache__" in path]
    assert {member.mtime for member in members.values()} == {int(EPOCH)}
    assert members["/tmp"].mode == 0o1777


def test_the_builds_packages_win_and_the_image_runs(made: Made, images: Images) -> None:
    script = "dpkg-query -W -f '${Package} ${Version}\\n' netbase stx-marker; cat /usr/share/stx-marker/hello; id -u"
    assert images.run(made.result["image"], "sh", "-c", script).splitlines() == [
        "netbase 0.1",
        "stx-marker 1.0",
        "hello",
        "0",
    ]


def test_the_same_again_is_the_same_image(made: Made) -> None:
    again = made.stxb.done(*made.words).json
    assert (again["digest"], again["layer"]) == (made.result["digest"], made.result["layer"])


def test_it_is_carried_to_an_empty_store_with_its_digest(made: Made, images: Images, engine_folder: Path) -> None:
    archive, store = made.stxb.folder / "base.tar.zst", engine_folder / "carried"
    made.stxb.done("save", made.result["image"], "-o", archive)
    elsewhere = ("--root", store / "root", "--runroot", store / "run", "--storage-driver", "overlay")
    try:
        [loaded] = made.stxb.done("load", archive, "--format", "json", *elsewhere).json
    finally:
        images.runner.run(["buildah", "unshare", "rm", "-rf", str(store)])
        archive.unlink()
    assert (loaded["reference"], loaded["digest"]) == (made.result["image"], made.result["digest"])


@pytest.mark.parametrize(
    ("path", "status", "told"), [("/nothing", 2, "does not have a Release file"), (":1", 5, "Failed to fetch")]
)
def test_a_mirror_that_does_not_answer_as_one(stxb: Stxb, tmp_path: Path, path: str, status: int, told: str) -> None:
    with debrepo.served(tmp_path) as url:
        mirror = url + path if path.startswith("/") else f"http://127.0.0.1{path}"
        ended = stxb.run("base", "--os", "debian", "--os-codename", "trixie", "--mirror", mirror)
    assert (ended.status, ended.out) == (status, ""), ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can pass through, as TMPDIR; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(prefix="stxb-tests-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def put_in_place(stxb: Stxb, folder: Path, program: str) -> Stxb:
    """Give the command with a program in place of mmdebstrap, and a folder as TMPDIR."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(program, encoding="utf-8")
    (programs / "mmdebstrap").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    temporary = {"TMPDIR": str(folder)}
    return attrs.evolve(stxb, environment={**stxb.environment, **temporary, "PATH": path, "SOURCE_DATE_EPOCH": EPOCH})


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)
    return path.read_text(encoding="utf-8")


def test_a_signal_ends_all_that_was_started_and_nothing_stays(stxb: Stxb, open_folder: Path) -> None:
    pid_file = open_folder / "pid"
    stubborn = put_in_place(stxb, open_folder, STUBBORN.format(pid=pid_file))
    process = stubborn.start("base", "--os", "debian", "--os-codename", "trixie")
    try:
        pid = int(wait_for(pid_file))
        process.terminate()
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    left = {path.name for path in open_folder.glob("stxb-*")}
    assert left == {f"stxb-{os.getuid()}-base", f"stxb-{os.getuid()}"}
    assert not list(open_folder.glob("stxb-*/*"))


def test_the_next_run_removes_what_a_killed_one_left(small: Stxb, open_folder: Path) -> None:
    killed = open_folder / f"stxb-{os.getuid()}-base" / "stxb-killed"
    (killed / "mmdebstrap.left").mkdir(parents=True)
    (killed / "owner.lock").touch()
    small.done("base", "--os", "debian", "--os-codename", "trixie", "--user", "after")
    assert not killed.exists()


@pytest.fixture
def small(stxb: Stxb, open_folder: Path) -> Stxb:
    """The command with a program in place of mmdebstrap that packs one file."""
    archive = open_folder / "small.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("./", "./etc", "./etc/apt", "./etc/apt/sources.list.d"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        member = tarfile.TarInfo("./etc/hello")
        member.size = 6
        tar.addfile(member, io.BytesIO(b"hello\n"))
    return put_in_place(stxb, open_folder, FAKE.format(python=sys.executable, archive=str(archive)))


def test_every_name_is_pushed_and_nothing_stays(small: Stxb, registry: Registry, images: Images) -> None:
    ended = small.done(
        *("base", "--os", "debian", "--os_codename", "bullseye", "--os-arch", "amd64", "--version", "1", "--latest"),
        *("--registry", f"{registry.address}/", "--user", "tests/base", "--push", "--clean", "--tls-verify", "false"),
    )
    repository = "tests/base/stx-debian"
    tags = ["bullseye-amd64-stable-1", "bullseye-amd64-stable-latest", *OLD_NAMES]
    names = [line.partition("@") for line in ended.out.splitlines()]
    assert [name for name, _, _ in names] == [f"{registry.address}/{repository}:{tag}" for tag in tags]
    manifests = {registry.manifest(repository, tag) for tag in tags}
    assert len(manifests) == 1
    (digest,) = {digest for _, _, digest in names}
    assert registry.manifest(repository, digest) in manifests
    stored = images.runner.run(["buildah", "images", "--json"]).stdout
    assert repository not in stored.decode()


def test_what_is_shown_and_what_is_written(small: Stxb) -> None:
    words = (
        "base",
        "--os",
        "debian",
        "--os-codename",
        "trixie",
        "--release",
        "dev",
        "--prefix",
        "p",
        "--user",
        "shown",
    )
    plan = small.done(*words, "--dry-run", "--format", "json").json
    assert plan["references"] == ["shown/stx-debian:p-trixie-amd64-dev-13"]
    assert [step["action"] for step in plan["steps"]] == [
        "install",
        "from",
        "write into the image",
        "write layer",
        "store",
    ]
    ended = small.done(*words, "--digestfile", "digest")
    digest = (small.folder / "digest").read_text(encoding="utf-8").strip()
    assert ended.out == f"localhost/shown/stx-debian:p-trixie-amd64-dev-13@{digest}\n"
    assert "one layer" in ended.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--os", "arch", "--os-codename", "7"), "no recipe makes a base image of arch 7"),
        (("--os", "debian", "--os-codename", "trixie", "--repo", "nonsense"), "is no sources.list line"),
        (("--os", "debian", "--os-codename", "trixie", "--local"), "REPOMGR_DEPLOY_URL"),
        (("--os", "debian", "--os-codename", "trixie", "--config-file", "none.cfg"), "none.cfg cannot be read"),
        (("--os", "debian", "--os-codename", "trixie", "--minimal", "--packages", "x"), "exclude each other"),
    ],
)
def test_bad_input_changes_nothing(small: Stxb, words: tuple[str, ...], told: str) -> None:
    ended = small.run("base", *words)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.err
    assert "Traceback" not in ended.err
