# SPDX-License-Identifier: Apache-2.0
"""What a measurement stands on: a private store and a registry on a tmpfs, base images, wheels, a package."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import attrs

from benchmarks.measure import MeasuredCommandError

WHEELS = {"six": ("six==1.17.0",), "django": ("Django==5.2.8", "asgiref==3.10.0", "sqlparse==0.5.3")}
_REGISTRY = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
# Of a file that the environment names, rootless buildah and podman take rootless_storage_path (and the runroot from
# XDG_RUNTIME_DIR), skopeo takes graphroot and runroot.
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/root"
rootless_storage_path = "{folder}/root"
runroot = "{folder}/run/containers"
"""


@attrs.frozen(kw_only=True)
class World:
    """Where everything is while measurements run.

    Attributes:
        folder: private folder, removed at the end.
        registry: ``host:port`` of the registry.
        environment: environment of every command.
        epochs: gives each round of each measurement a SOURCE_DATE_EPOCH of its own.
    """

    folder: Path
    registry: str
    environment: dict[str, str]
    epochs: Iterator[int] = attrs.field(factory=lambda: count(1_700_000_000))

    @property
    def log(self) -> Path:
        """What the commands wrote."""
        return self.folder / "log"

    def run(self, *argv: str | os.PathLike[str], variables: Mapping[str, str] | None = None) -> str:
        """Run a command that is not measured; give its standard output.

        Args:
            argv: the command.
            variables: environment variables that are other than in the rest of the world.

        Raises:
            MeasuredCommandError: it failed; what it said is in the log.
        """
        with self.log.open("ab") as log:
            environment = {**self.environment, **(variables or {})}
            completed = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, stderr=log, check=False)
        if completed.returncode != 0:
            words = " ".join(os.fspath(word) for word in argv)
            raise MeasuredCommandError(f"{words}: exit status {completed.returncode}; see {self.log}")
        return completed.stdout.decode().strip()

    def wheels(self, name: str) -> tuple[Path, ...]:
        """Download a set of wheels once, and give their paths."""
        folder = self.folder / "wheels" / name
        if not folder.is_dir():
            self.run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *WHEELS[name])
        return tuple(sorted(folder.glob("*.whl")))


@contextmanager
def world(parent: Path) -> Iterator[World]:
    """Make a private store and a running registry below a folder, and remove both afterwards."""
    with ExitStack() as stack:
        folder = parent / f"stxb-bench-{os.getpid()}"
        # The account's subordinate users, who own the images' files, must get through.
        folder.mkdir(mode=0o711)
        stack.callback(_remove, folder)
        (folder / "registry").mkdir(mode=0o700)
        store = make_store(folder / "store")
        port = _free_port()
        configuration = folder / "registry.yml"
        configuration.write_text(_REGISTRY.format(folder=folder / "registry", port=port), encoding="utf-8")
        stack.enter_context(_registry(configuration, port))
        scripts = Path(sys.executable).parent
        environment = {
            **os.environ,
            **store,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "MY_WORKSPACE": str(folder / "workspace"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        yield World(folder=folder, registry=f"localhost:{port}", environment=environment)


def make_store(folder: Path) -> dict[str, str]:
    """Make an empty local store in a new folder, and give the environment variables that lead to it."""
    folder.mkdir(mode=0o711)
    for name in ("root", "run"):
        (folder / name).mkdir(mode=0o700)
    storage = folder / "storage.conf"
    storage.write_text(_STORAGE.format(folder=folder), encoding="utf-8")
    return {"CONTAINERS_STORAGE_CONF": str(storage), "XDG_RUNTIME_DIR": str(folder / "run")}


@contextmanager
def _registry(configuration: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen(
        ["docker-registry", "serve", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for_port(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the registry did not start: docker-registry serve")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _remove(folder: Path) -> None:
    # Files of containers belong to subordinate ids, which only the account's own user namespace may remove.
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        subprocess.run(["buildah", "unshare", "rm", "-rf", folder], check=False, cwd="/")


def make_base(bench: World, source: str, name: str, *, megabytes: int, layers: int = 2) -> str:
    """Make a base image of a size and a number of layers, and push it.

    Its Python is compiled to bytecode, as the distribution's own packages leave it: an image without makes every start
    of pip slow, which would flatter stxb.

    Args:
        bench: the store and the registry.
        source: the image it starts from, of one layer.
        name: last part of the new image's name.
        megabytes: size to reach by adding files that do not compress.
        layers: number of layers to reach, at least 2, by adding one small file after the other.

    Returns:
        The image's reference in the registry.
    """
    reference = f"{bench.registry}/bench/{name}:1.0"
    padding = bench.folder / "padding"
    lacking = megabytes - int(bench.run("podman", "image", "inspect", "--format", "{{.Size}}", source)) // 1_000_000
    padding.mkdir()
    for number in range(max(lacking, 0)):
        (padding / f"{number:04}").write_bytes(os.urandom(1_000_000))
    compilation = ("sh", "-c", "python3 -m compileall -q /usr/lib/python3*")
    _add(bench, source, reference, padding, run=compilation)
    for number in range(2, layers):
        (padding / "small").write_text(f"{number}\n", encoding="utf-8")
        _add(bench, reference, reference, padding / "small", target=f"/padding/layer-{number}")
    shutil.rmtree(padding)
    bench.run("buildah", "push", "--quiet", "--tls-verify=false", reference, f"docker://{reference}")
    return reference


def _add(
    bench: World, base: str, result: str, content: Path, *, target: str = "/padding", run: Sequence[str] = ()
) -> None:
    container = bench.run("buildah", "from", "--pull-never", base)
    if content.is_file() or any(content.iterdir()):
        bench.run("buildah", "copy", "--quiet", container, content, target)
    if run:
        bench.run("buildah", "run", "--isolation", "chroot", container, "--", *run)
    bench.run("buildah", "commit", "--quiet", "--rm", container, result)


def make_package(bench: World) -> Path:
    """Build a small Debian package without dependencies."""
    tree = bench.folder / "package"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/stxb-bench").mkdir(parents=True)
    (tree / "usr/share/stxb-bench/data").write_bytes(os.urandom(100_000))
    fields: Sequence[str] = (
        "Package: stxb-bench", "Version: 1.0", "Architecture: all", "Maintainer: Nobody <nobody@localhost>",
        "Description: a package to measure with",
    )  # fmt: skip
    (tree / "DEBIAN/control").write_text("\n".join(fields) + "\n", encoding="utf-8")
    package = bench.folder / "stxb-bench_1.0_all.deb"
    bench.run("dpkg-deb", "--root-owner-group", "--build", tree, package)
    return package
