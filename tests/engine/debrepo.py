# SPDX-License-Identifier: Apache-2.0
"""A Debian package repository made in a test and served on loopback."""

import functools
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def make_package(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """Make a package for every architecture.

    Args:
        folder: where to put it.
        name: its name.
        version: its version.
        files: text by path, relative to the root.
    """
    tree = folder / f"{name}-tree"
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
        "Description: made by a test\n"
    )
    for path, text in {**files, "DEBIAN/control": control}.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o644)
    # dpkg-deb refuses control folders that others may write to, whatever the account's umask.
    for inner in tree.rglob("*"):
        if inner.is_dir():
            inner.chmod(0o755)
    tree.chmod(0o755)
    package = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, package], check=True, capture_output=True)
    return package


def write_lists(folder: Path, *, origin: str) -> None:
    """Write ``Packages`` and ``Release`` of a flat repository."""
    paragraphs = []
    for package in sorted(folder.glob("*.deb")):
        control = subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        paragraphs.append(
            f"{control.rstrip()}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
        )
    packages = "\n".join(paragraphs)
    (folder / "Packages").write_text(packages, encoding="utf-8")
    digest = hashlib.sha256(packages.encode()).hexdigest()
    release = f"Origin: {origin}\nSuite: made\nSHA256:\n {digest} {len(packages.encode())} Packages\n"
    (folder / "Release").write_text(release, encoding="utf-8")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback, and give its URL."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
