# SPDX-License-Identifier: Apache-2.0
"""``stxb images verify`` on good images, and on such that have every fault built in."""

import io
import platform
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import pytest

from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.documents import Json
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.imageworks import TIMESTAMP, stored
from tests.engine.stxb import Stxb

pytestmark = pytest.mark.engine

SITE = "/usr/local/lib/python3.13/dist-packages"
DIRECTIVES = """\
BUILDER=loci
LABEL={label}
PROJECT=demo
PROJECT_REPO=https://example.org/demo
PROJECT_UID=4242
PROJECT_GID=4243
DIST_PACKAGES="ca-certificates python3-pip=*"
PIP_PACKAGES="stx-demo>=1 pip"
"""
# Machine, and what ends a program with status 0 on it (exit(2)).
EXITS = {
    "x86_64": (62, bytes.fromhex("b83c00000031ff0f05")),
    "aarch64": (183, bytes.fromhex("a80b80d2000080d2010000d4")),
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def file(path: str, content: str | bytes = "", mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> LayerEntry:
    data = content.encode() if isinstance(content, str) else content
    return LayerEntry(
        path=path, change=Change.FILE, mode=mode, uid=owner[0], gid=owner[1], size=len(data),
        opener=partial(io.BytesIO, data),
    )  # fmt: skip


def folder(path: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> LayerEntry:
    return LayerEntry(path=path, change=Change.DIRECTORY, mode=mode, uid=owner[0], gid=owner[1])


def static_program() -> bytes:
    """A program that needs nothing and ends at once: an ELF header, one segment, a few instructions."""
    machine, code = EXITS[platform.machine()]
    address, size = 0x400000, 120 + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, address + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 4096) + code


def accounts(uid: int, gid: int) -> list[LayerEntry]:
    root = "root:x:0:0:root:/root:/bin/bash\n"
    names = f"nobody:x:65534:65534::/:/usr/sbin/nologin\ndemo:x:{uid}:{gid}::/var/lib/demo:/usr/sbin/nologin\n"
    return [
        file("/etc/passwd", root + names), file("/etc/group", f"root:x:0:\nnogroup:x:65534:\ndemo:x:{gid}:\n"),
        *(folder(f"{above}/demo", owner=(uid, gid)) for above in ("/etc", "/var/log", "/var/lib", "/var/cache")),
    ]  # fmt: skip


def module(version: str, *requires: str) -> list[LayerEntry]:
    lines = [
        f"Metadata-Version: 2.1\nName: stx-demo\nVersion: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    return [file(f"{SITE}/stx_demo-{version}.dist-info/METADATA", "\n".join([*lines, ""]))]


@attrs.frozen
class Maker:
    """Makes images of a base and one layer, without running anything."""

    store: EngineStore
    folder: Path

    def make(
        self, label: str, base: ImageDocuments, entries: Sequence[LayerEntry], settings: Mapping[str, Json]
    ) -> str:
        """Make ``localhost/tests/LABEL:1``."""
        place = self.folder / label
        place.mkdir()
        content = LayerContent(tuple(sorted(entries, key=lambda entry: entry.path)))
        blob = write_layer(content, place / "layer", timestamp=TIMESTAMP)
        documents = append_layer(
            base, blob, timestamp=TIMESTAMP, created_by="RUN http_proxy=http://proxy.example true" if "bad" in label
            else "the tests", config_changes=settings,
        )  # fmt: skip
        name = f"localhost/tests/{label}:1"
        source = write_layout(place / "image", documents, {blob.digest: place / "layer"})
        self.store.store.import_image(source, ImageReference.parse(name))
        return name


@pytest.fixture
def maker(stores: dict[str, EngineStore], tmp_path: Path) -> Maker:
    return Maker(stores["overlay"], tmp_path)


def good_image(maker: Maker, base: ImageDocuments) -> str:
    entries = [*accounts(4242, 4243), *module("1.5"), file("/usr/local/bin/serve", "#! /usr/bin/env python3\n", 0o755)]
    settings: dict[str, Json] = {
        "Entrypoint": ["serve"],
        "Cmd": ["--all"],
        "User": "demo",
        "WorkingDir": "/var/lib/demo",
    }
    return maker.make("good", base, entries, settings)


def bad_image(maker: Maker, base: ImageDocuments) -> str:
    entries = [
        *accounts(1, 2), *module("0.5", "stx-absent>2"),
        file("/usr/local/bin/serve", "#!/opt/absent/python -E\n", 0o755),
        file("/srv/everybody.txt", mode=0o666), folder("/srv/open", 0o777), folder("/srv/sticky", 0o1777),
        file("/usr/local/bin/rights", static_program(), 0o4755),
        file("/var/lib/apt/lists/debian_Packages"), file("/var/lib/apt/lists/lock"), file("/tmp/left"),
        file("/root/.cache/pip/http/one"), file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        file("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755),
        folder("/usr/local/lib/x/__pycache__"), file("/usr/local/lib/x/__pycache__/y.cpython-313.pyc"),
        LayerEntry(path="/var/lib/dpkg/status", change=Change.FILE, size=0, opener=io.BytesIO),
    ]  # fmt: skip
    return maker.make("bad", base, entries, {"Entrypoint": ["serve"], "Env": ["HTTPS_PROXY=http://user:secret@proxy"]})


def broken_image(maker: Maker, base: ImageDocuments) -> str:
    """An image whose Python lacks a library, and which does not even have a program that does nothing."""
    gone = [f"/usr/{place}" for place in ("bin/true", "bin/bash", "bin/sh", "bin/dash")]
    gone += [f"/usr/lib/{platform.machine()}-linux-gnu/libz.so.1"]
    entries = [LayerEntry(path=path, change=Change.WHITEOUT) for path in gone]
    return maker.make("broken", base, entries, {"Entrypoint": ["python3", "-c", "pass"]})


def static_image(maker: Maker) -> str:
    """An image of one program, and without a shell."""
    base = empty_image(architecture=ARCHITECTURES[platform.machine()])
    settings: dict[str, Json] = {"Cmd": ["/run-me"], "Labels": {"org.opencontainers.image.base.name": "NO/na me"}}
    return maker.make("static", base, [file("/run-me", static_program(), 0o755)], settings)


def test_images_good_and_bad(maker: Maker, base_image: ImageReference, stxb: Stxb) -> None:
    base = stored(maker.store, base_image).documents
    images = [good_image(maker, base), bad_image(maker, base), broken_image(maker, base), static_image(maker)]
    files: list[object] = []
    for label in ("good", "bad"):
        path = maker.folder / f"{label}.stable_docker_image"
        path.write_text(DIRECTIVES.format(label=label))
        files += ["--file", path]
    ended = stxb.run(
        "images",
        "verify",
        *images,
        "localhost/tests/absent:1",
        *files,
        "--base",
        base_image,
        "--seconds",
        "60",
        "--format",
        "json",
    )
    assert ended.status == 1, ended.err
    assert (
        "3 of 5 images are not as they should be: bad, localhost/tests/broken:1, localhost/tests/absent:1" in ended.err
    )
    assert "secret" not in ended.out + ended.err
    found = {image["image"].split("/")[-1]: image for image in ended.json}
    results = {name: {check["check"]: check["result"] for check in image["checks"]} for name, image in found.items()}
    assert results["good:1"] == dict.fromkeys(results["good:1"], "ok"), found["good:1"]
    assert set(results["good:1"]) == {
        "starts", "entry point", "libraries", "pip check", "DIST_PACKAGES", "PIP_PACKAGES", "account", "permissions",
        "leftovers",
    }  # fmt: skip
    chroot = maker.store.choices.isolation == "chroot"
    assert results["bad:1"] == {
        **dict.fromkeys(results["bad:1"], "failed"), "libraries": "ok", "starts": "ok" if chroot else "failed",
    }  # fmt: skip
    assert results["static:1"] == {
        **dict.fromkeys(results["static:1"], "skipped"),
        **dict.fromkeys(("starts", "entry point", "libraries", "permissions", "leftovers"), "ok"),
    }
    assert {check for check, verdict in results["broken:1"].items() if verdict == "failed"} == {"starts", "libraries"}
    assert results["absent:1"]["starts"] == "failed"
    details = {check["check"]: check for check in found["bad:1"]["checks"]}
    check_details(details)
    [starts] = [check for check in found["broken:1"]["checks"] if check["check"] == "starts"]
    assert "libz.so.1" in starts["sentence"]
    told = stxb.done("images", "verify", "localhost/tests/static:1", "--no-run").out.splitlines()
    assert [line.split(maxsplit=1)[1].split("  ")[0] for line in told[1:4]] == ["starts", "entry point", "libraries"]
    assert told[1].endswith("skipped  no program is to be run")


def check_details(found: dict[str, dict[str, object]]) -> None:
    assert found["entry point"]["sentence"] == (
        "/opt/absent/python, the interpreter of /usr/local/bin/serve, is not there"
    )
    assert found["pip check"]["sentence"] == "stx-demo 0.5 requires stx-absent>2, which is not installed"
    assert found["DIST_PACKAGES"]["details"] == [
        f"{name} is not installed: the image has no database of packages"
        for name in ("ca-certificates", "python3-pip=*")
    ]
    assert found["PIP_PACKAGES"]["sentence"] == "stx-demo>=1 was asked for, and stx-demo 0.5 is installed"
    assert found["account"]["details"] == [
        "the user demo has the ids 1:2, not 4242:4243",
        "the group demo has the id 2, not 4243",
        *(f"{above}/demo belongs to 1:2, not to 4242:4243" for above in ("/etc", "/var/log", "/var/lib", "/var/cache")),
    ]
    assert found["permissions"]["details"] == [
        "everybody may write to /srv/everybody.txt: its mode is 0666",
        "everybody may write to /srv/open: its mode is 0777",
        "/usr/local/bin/rights runs with its owner's rights (mode 4755), and no package has brought it",
    ]
    assert found["leftovers"]["details"] == [
        "/root/.cache/pip is a cache of root's",
        "/tmp/left is a temporary file",
        "/usr/sbin/policy-rc.d is what keeps services from starting",
        "/var/lib/apt/lists/debian_Packages is a list of apt's",
        "/etc/machine-id names one machine",
        "/usr/local/lib/x/__pycache__ is compiled Python",
        "the variable HTTPS_PROXY is set in its configuration",
        "step 2 of its history tells http_proxy",
    ]
