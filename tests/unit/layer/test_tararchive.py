# SPDX-License-Identifier: Apache-2.0
import io
import tarfile
from pathlib import Path

import pytest

from stxbuildah.errors import BuildError
from stxbuildah.layer.tararchive import opened_tar
from stxbuildah.model.layer import Change, LayerContent, LayerEntry

Members = list[tuple[str, dict[str, object], bytes]]


def archive(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, attributes, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in attributes.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))
    return path


def folder(name: str, mode: int = 0o755) -> tuple[str, dict[str, object], bytes]:
    return name, {"type": tarfile.DIRTYPE, "mode": mode}, b""


def read(content: LayerContent) -> dict[str, bytes]:
    return {entry.path: entry.opener().read() for entry in content.entries if entry.opener is not None}


def directory(path: str, mode: int = 0o755) -> LayerEntry:
    return LayerEntry(path=path, change=Change.DIRECTORY, mode=mode)


def test_a_root_file_system(tmp_path: Path) -> None:
    capability = {"SCHILY.xattr.security.capability": b"\x01\x00\xff\x02".decode("utf-8", "surrogateescape")}
    path = archive(
        tmp_path / "a.tar",
        [
            folder("./"),
            folder("./dev", 0o700),
            folder("./etc"),
            ("./etc/shadow", {"mode": 0o640, "gid": 42}, b"x"),
            ("./etc/null", {"type": tarfile.CHRTYPE}, b""),
            ("./etc/link", {"type": tarfile.SYMTYPE, "linkname": "../a"}, b""),
            ("./etc/hard", {"type": tarfile.LNKTYPE, "linkname": "./etc/shadow"}, b""),
            folder("./tmp", 0o1777),
            ("./tmp/left", {}, b"left"),
            ("./ping", {"mode": 0o4755, "pax_headers": capability}, b"ping"),
        ],
    )
    with opened_tar(path, leave_out=["/tmp/?*"], files=[("/etc/new", "text\n")]) as content:
        assert content == LayerContent(
            (
                directory("/"),
                directory("/dev", 0o700),
                directory("/etc"),
                LayerEntry(path="/etc/hard", change=Change.HARDLINK, mode=0o644, target="/etc/shadow"),
                LayerEntry(path="/etc/link", change=Change.SYMLINK, mode=0o644, target="../a"),
                LayerEntry(path="/etc/new", change=Change.FILE, mode=0o644, size=5),
                LayerEntry(path="/etc/shadow", change=Change.FILE, mode=0o640, gid=42, size=1),
                LayerEntry(
                    path="/ping",
                    change=Change.FILE,
                    mode=0o4755,
                    size=4,
                    xattrs=(("security.capability", b"\x01\x00\xff\x02"),),
                ),
                directory("/proc"),
                directory("/sys"),
                directory("/tmp", 0o1777),
            )
        )
        assert read(content) == {"/etc/new": b"text\n", "/etc/shadow": b"x", "/ping": b"ping"}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("/usr/*/__pycache__", ["/usr", "/usr/lib", "/usr/lib/__pycache__/a.pyc", "/usr/lib/a.py"]),
        ("/usr/*/__pycache__/*", ["/usr", "/usr/lib", "/usr/lib/__pycache__", "/usr/lib/a.py"]),
        ("/usr/lib", ["/usr", "/usr/lib/__pycache__", "/usr/lib/__pycache__/a.pyc", "/usr/lib/a.py"]),
        ("/usr/*.py", ["/usr", "/usr/lib", "/usr/lib/__pycache__", "/usr/lib/__pycache__/a.pyc"]),
    ],
)
def test_wildcards_cross_slashes(tmp_path: Path, pattern: str, left: list[str]) -> None:
    names = ["usr/lib/a.py", "usr/lib/__pycache__/a.pyc"]
    members = [folder(name) for name in ("usr", "usr/lib", "usr/lib/__pycache__")]
    path = archive(tmp_path / "a.tar", [*members, *((name, {}, b"") for name in names)])
    with opened_tar(path, leave_out=[pattern], files=[]) as content:
        assert [entry.path for entry in content.entries if entry.path.startswith("/usr")] == left


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", [("a", {}, b"x" * 5000)])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BuildError, match="cannot be read"), opened_tar(path, leave_out=[], files=[]):
        pass
