# SPDX-License-Identifier: Apache-2.0
"""The whole argv and environment that mmdebstrap is given, and what its failures are told as."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from stxbuildah.engine.debootstrap import Bootstrap, find_keyring, make_tar, signed_by
from stxbuildah.engine.process import Runner
from stxbuildah.errors import DiskFullError, HostError, InputError, RegistryError, StxbError

FAKE = """\
#!{python}
import json, os, pathlib, shlex, sys
record = pathlib.Path(__file__).with_name("record.json")
names = ("SOURCE_DATE_EPOCH", "DEBIAN_FRONTEND", "http_proxy", "TMPDIR", "HOME")
upload = [shlex.split(word)[1] for word in sys.argv if word.startswith("--setup-hook=upload")]
uploads = [pathlib.Path(name).read_text() for name in upload]
environment = {{name: os.environ.get(name) for name in names}}
record.write_text(json.dumps({{"argv": sys.argv[1:], "environment": environment, "uploads": uploads}}))
for line in {said!r}:
    print(line, file=sys.stderr)
sys.exit({status})
"""
SOURCES = ("deb http://m.example/debian trixie main", "deb [trusted=yes] http://r.example ./")


def fake(folder: Path, *said: str, status: int = 0) -> Runner:
    program = folder / "mmdebstrap"
    program.write_text(FAKE.format(python=sys.executable, said=said, status=status), encoding="utf-8")
    program.chmod(0o755)
    return Runner(extra=(("PATH", f"{folder}:/usr/bin:/bin"), ("http_proxy", "http://proxy.example")))


def bootstrap(preferences: str = "") -> Bootstrap:
    return Bootstrap(
        suite="trixie",
        architecture="amd64",
        packages=("python3", "ca-certificates"),
        sources=SOURCES,
        preferences=preferences,
        timestamp=1_750_000_000,
        attempts=3,
    )


def test_what_mmdebstrap_is_given(tmp_path: Path) -> None:
    work = tmp_path / "a work folder"
    work.mkdir()
    target = make_tar(fake(tmp_path), bootstrap("Package: *\n"), work, room=tmp_path)
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record == {
        "argv": [
            "--mode=root" if os.geteuid() == 0 else "--mode=unshare",
            "--variant=apt",
            "--format=tar",
            "--architectures=amd64",
            "--skip=output/dev",
            "--dpkgopt=force-unsafe-io",
            '--aptopt=Acquire::Retries "3"',
            "--include=python3,ca-certificates",
            f"--setup-hook=upload '{work}/preferences' /etc/apt/preferences.d/stx",
            "trixie",
            str(target),
            *SOURCES,
        ],
        "environment": {
            "SOURCE_DATE_EPOCH": "1750000000",
            "DEBIAN_FRONTEND": "noninteractive",
            "http_proxy": "http://proxy.example",
            "TMPDIR": str(tmp_path),
            "HOME": "/nonexistent",
        },
        "uploads": ["Package: *\n"],
    }


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("E: Unable to locate package no-such", InputError),
        ("E: Version '9' for 'python3' was not found", InputError),
        ("E: The repository 'http://m.example/debian trixie Release' does not have a Release file.", InputError),
        ("W: GPG error: http://m.example trixie InRelease: NO_PUBKEY 0E98404D386FA1D9", InputError),
        ("newuidmap: uid range [1-2) -> [5-6) not allowed", HostError),
        ("E: Failed to fetch http://m.example/x.deb  Could not connect to m.example:80", RegistryError),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", DiskFullError),
        ("tar: ./usr/bin/x: Cannot write: No space left on device", DiskFullError),
        ("dpkg: error processing package x (--configure):", StxbError),
    ],
)
def test_a_failure_is_told_by_its_class(tmp_path: Path, line: str, kind: type[StxbError]) -> None:
    with pytest.raises(StxbError) as caught:
        make_tar(
            fake(tmp_path, "I: starting", line, "E: mmdebstrap failed to run", status=1),
            bootstrap(),
            tmp_path,
            room=tmp_path,
        )
    assert type(caught.value) is kind
    assert caught.value.details == ("I: starting", line, "E: mmdebstrap failed to run")
    assert caught.value.message.startswith("making a file system of trixie failed: ")


def test_a_machine_without_mmdebstrap_says_so(tmp_path: Path) -> None:
    (tmp_path / "timeout").symlink_to(shutil.which("timeout") or "/usr/bin/timeout")
    with pytest.raises(HostError, match="mmdebstrap is not installed"):
        make_tar(Runner(extra=(("PATH", str(tmp_path)),)), bootstrap(), tmp_path, room=tmp_path)


def test_the_first_keyring_that_is_there(tmp_path: Path) -> None:
    there = tmp_path / "b.gpg"
    there.touch()
    assert find_keyring([str(tmp_path / "a.gpg"), str(there)], "keys") == there
    with pytest.raises(HostError) as caught:
        find_keyring([str(tmp_path / "a.gpg")], "debian-archive-keyring")
    assert "sudo apt-get install debian-archive-keyring" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.example/d trixie main", "deb [signed-by=/k.gpg] http://m.example/d trixie main"),
        ("deb [arch=amd64] http://m.example x", "deb [arch=amd64 signed-by=/k.gpg] http://m.example x"),
        ("deb [signed-by=/o.gpg] http://m.example x", "deb [signed-by=/o.gpg] http://m.example x"),
        ("deb [ trusted=yes ] http://m.example x", "deb [ trusted=yes ] http://m.example x"),
    ],
)
def test_a_line_trusts_one_keyring_unless_it_says_what_it_trusts(line: str, expected: str) -> None:
    assert signed_by(line, Path("/k.gpg")) == expected
