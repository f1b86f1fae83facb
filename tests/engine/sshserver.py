# SPDX-License-Identifier: Apache-2.0
"""A real sshd on loopback that lets this account in, with a home, a PATH and keys of its own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

SSHD = "/usr/sbin/sshd"
# What the other machine has beside what takes images there.
UTILITIES = (
    "sh", "bash", "cat", "wc", "tr", "cut", "sort", "sed", "basename", "mkdir", "mv", "rm", "rmdir", "ln", "dd", "find",
    "sha256sum", "gzip", "uname", "id",
)  # fmt: skip
_CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH={folder}/bin HOME={folder}/home
"""


@attrs.frozen(kw_only=True)
class SshServer:
    """A machine that ssh reaches.

    Attributes:
        folder: of keys and settings.
        port: where it listens.
    """

    folder: Path
    port: int

    @property
    def home(self) -> Path:
        """The account's home there."""
        return self.folder / "home"

    @property
    def programs(self) -> Path:
        """The only folder of its PATH."""
        return self.folder / "bin"

    @property
    def staged(self) -> Path:
        """Where layers wait."""
        return self.home / ".cache" / "stxb-ship"

    @property
    def destination(self) -> str:
        """The machine as stxb ship takes it."""
        return f"ssh://127.0.0.1:{self.port}"

    @property
    def flags(self) -> tuple[str, ...]:
        """What stxb ship needs to be let in, whatever this account's own ssh knows."""
        return ("--identity", str(self.folder / "user_key"), "--known-hosts", str(self.folder / "known_hosts"))

    def add(self, name: str, script: str) -> Path:
        """Put a program on its PATH."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        return path


@contextmanager
def running_sshd(folder: Path) -> Iterator[SshServer]:
    """Run an sshd until the block ends; its PATH has the usual utilities and nothing that takes images."""
    (folder / "bin").mkdir(parents=True)
    (folder / "home").mkdir()
    for name in UTILITIES:
        found = shutil.which(name)
        assert found is not None, name
        (folder / "bin" / name).symlink_to(found)
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    port = _free_port()
    kind, key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (folder / "sshd_config").write_text(_CONFIGURATION.format(port=port, folder=folder))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_for(port, process, folder / "log")
        yield SshServer(folder=folder, port=port)
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))


def wrapper(program: str, environment: dict[str, str]) -> str:
    """Give a program that runs another one in an environment of its own."""
    words = " ".join(f"{name}='{value}'" for name, value in environment.items())
    path = os.environ["PATH"]
    return f"#!/bin/sh\nexec /usr/bin/env -i PATH='{path}' {words} {shutil.which(program)} \"$@\"\n"
