# SPDX-License-Identifier: Apache-2.0
"""The installed command ``stxb`` on a private store, and what the images it makes really hold."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs

from stxbuildah.engine.process import Runner
from stxbuildah.model.reference import ImageReference
from tests.engine.registries import Registry

PROGRAM = Path(sys.executable).with_name("stxb")


@contextmanager
def signals_as_in_a_terminal() -> Iterator[None]:
    """Let what is started here be stopped: under nohup, or behind a shell's &, a child would ignore what stops it."""
    stopping = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in stopping]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@attrs.frozen(kw_only=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # whatever the command wrote
        """Its standard output as JSON."""
        return json.loads(self.out)


@attrs.frozen(kw_only=True)
class Stxb:
    """Runs ``stxb`` in a folder of its own, with the settings of one private store.

    Attributes:
        folder: where it runs; its records go below.
        environment: variables of the store, and of a cache and state of this test.
    """

    folder: Path
    environment: Mapping[str, str]

    def run(self, *words: object, extra: Mapping[str, str] | None = None, limit: float = 600) -> Ended:
        """Run the command to its end, whatever that is, within a limit in seconds."""
        completed = subprocess.run(
            [PROGRAM, *map(str, words)],
            cwd=self.folder,
            env={**self._environment(), **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
        return Ended(status=completed.returncode, out=completed.stdout, err=completed.stderr)

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        """Start the command, the leader of a process group of its own; what it says goes to ``said``."""
        with self.said.open("wb") as said, signals_as_in_a_terminal():
            return subprocess.Popen(
                [PROGRAM, *map(str, words)],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    @property
    def said(self) -> Path:
        """What the command that was started last has written on standard error."""
        return self.folder / "said.txt"

    def done(self, *words: object, extra: Mapping[str, str] | None = None) -> Ended:
        """Run the command and expect success."""
        ended = self.run(*words, extra=extra)
        assert ended.status == 0, f"{ended.out}\n{ended.err}"
        return ended

    def update(self, *words: object, extra: Mapping[str, str] | None = None) -> Any:
        """Run ``stxb update`` successfully and give its JSON result."""
        return self.done("update", "--format", "json", *words, extra=extra).json

    def refused(self, status: int, *words: object) -> str:
        """Run ``stxb update``, expect this exit status without a traceback, and give what it said."""
        ended = self.run("update", *words)
        assert ended.status == status, f"{ended.status}: {ended.out}\n{ended.err}"
        assert "Traceback" not in ended.err
        assert ended.out == ""
        return ended.err

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ}
        return {**kept, "USER": "builder", **self.environment}


@attrs.frozen(kw_only=True)
class Images:
    """Looks into images of one private store.

    Attributes:
        runner: runs programs on that store.
        registry: a plain registry to fetch layers from.
    """

    runner: Runner
    registry: Registry

    def config(self, reference: str) -> Any:
        """Give an image's configuration."""
        return json.loads(self._inspect(reference, "--config"))

    def manifest(self, reference: str) -> Any:
        """Give an image's manifest."""
        return json.loads(self._inspect(reference))

    def _inspect(self, reference: str, *options: str) -> bytes:
        return self.runner.run(["skopeo", "inspect", "--raw", *options, f"containers-storage:{reference}"]).stdout

    def top_layer(self, reference: str) -> list[tarfile.TarInfo]:
        """Give the members of an image's last layer."""
        with self.top_layer_tar(reference) as tar:
            return tar.getmembers()

    def top_layer_tar(self, reference: str) -> tarfile.TarFile:
        """Open an image's last layer, by way of the registry."""
        pushed = f"{self.registry.address}/looked-at/{ImageReference.parse(reference).label}:last"
        source = f"containers-storage:{reference}"
        self.runner.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, f"docker://{pushed}"])
        repository, _, tag = pushed.removeprefix(f"{self.registry.address}/").rpartition(":")
        manifest = json.loads(self.registry.manifest(repository, tag))
        url = f"http://{self.registry.address}/v2/{repository}/blobs/{manifest['layers'][-1]['digest']}"
        with urllib.request.urlopen(url) as answer:  # the registry on loopback
            return tarfile.open(fileobj=io.BytesIO(answer.read()))

    def run(self, reference: str, *words: str) -> str:
        """Run a program of an image and give what it wrote.

        Through a file: buildah's chroot isolation now and then loses the output of a program that ends quickly.
        """
        name = self.runner.run(["buildah", "from", "--pull-never", reference]).stdout.decode().strip()
        with tempfile.TemporaryDirectory() as folder:
            script = 'exec "$@" > /captured/output'
            inside = ["--volume", f"{folder}:/captured", name, "--", "sh", "-c", script, "sh", *words]
            try:
                self.runner.run(["buildah", "run", "--isolation", "chroot", "--network", "host", *inside])
                return (Path(folder) / "output").read_text()
            finally:
                self.runner.run(["buildah", "rm", name])

    def listed(self) -> list[list[str]]:
        """Give the names of every image of the store."""
        out = self.runner.run(["buildah", "images", "--json"]).stdout
        return [image.get("names") or [] for image in json.loads(out) or []]

    def containers(self) -> list[str]:
        """Give the names of the working containers that stxb made; the tests keep some of their own."""
        out = self.runner.run(["buildah", "containers", "--json"]).stdout
        names = [container["containername"] for container in json.loads(out) or []]
        return [name for name in names if name.startswith("stxb-")]


class StxbMaker(Protocol):
    """Makes the command on the store of a driver."""

    def __call__(self, driver: str = "overlay") -> Stxb:
        """Make it."""
        ...
