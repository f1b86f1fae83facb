# SPDX-License-Identifier: Apache-2.0
"""Real registries on the loopback interface, and a proxy that makes one of them fail as ordered."""

import base64
import contextlib
import http.client
import json
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import attrs

from stxbuildah.engine.process import Runner

USER = "builder"
PASSWORD = "correct:horse"  # noqa: S105 # of a registry that lives for a test


@attrs.frozen(kw_only=True)
class Registry:
    """A running registry: ``address`` is ``host:port``, ``blobs`` the folder that holds what was pushed."""

    address: str
    blobs: Path
    certs_d: Path | None = None
    authfile: Path | None = None

    def manifest(self, repository: str, reference: str) -> bytes:
        """Give a manifest as the registry serves it, asked for without any container program."""
        accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
        return self._get(f"{repository}/manifests/{reference}", accept)

    def index(self, repository: str, reference: str) -> bytes:
        """Give an index of images, of OCI's type."""
        return self._get(f"{repository}/manifests/{reference}", "application/vnd.oci.image.index.v1+json")

    def tags(self, repository: str) -> set[str]:
        """Give the tags of a repository."""
        return set(json.loads(self._get(f"{repository}/tags/list"))["tags"])

    def _get(self, path: str, accept: str = "*/*") -> bytes:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", f"/v2/{path}", headers={"Accept": accept})
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.OK, f"{path} answers {answer.status}"
            return answer.read()

    def put_manifest(self, repository: str, reference: str, document: bytes, media_type: str) -> None:
        """Push a document, as a list of manifests."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        with contextlib.closing(connection):
            headers = {"Content-Type": media_type}
            connection.request("PUT", f"/v2/{repository}/manifests/{reference}", body=document, headers=headers)
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.CREATED, answer.read()

    def repositories(self) -> set[str]:
        """Give the names of all repositories, from the folder."""
        root = self.blobs / "docker/registry/v2/repositories"
        return {str(folder.parent.relative_to(root)) for folder in root.glob("**/_manifests")}


@contextmanager
def running_registry(
    folder: Path, *, tls: tuple[Path, Path] | None = None, htpasswd: Path | None = None
) -> Iterator[Registry]:
    """Run a registry until the block ends; ``tls`` is its certificate and key."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    assert program is not None
    folder.mkdir(parents=True)
    port = free_port()
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {folder}/blobs}}, delete: {{enabled: true}}}}",
        "http:",
        f'  addr: "127.0.0.1:{port}"',
    ]
    if tls is not None:
        lines.append(f"  tls: {{certificate: {tls[0]}, key: {tls[1]}}}")
    if htpasswd is not None:
        lines.append(f"auth: {{htpasswd: {{realm: tests, path: {htpasswd}}}}}")
    configuration = folder / "config.yml"
    configuration.write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _wait_for(port, process, folder / "log")
            yield Registry(address=f"127.0.0.1:{port}", blobs=folder / "blobs")
        finally:
            process.terminate()
            process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the registry ended: {log.read_text()}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"the registry does not answer: {log.read_text()}")


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make a private CA and a server certificate for the loopback addresses; gives CA, certificate and key."""
    folder.mkdir(parents=True)
    extensions = folder / "san.cnf"
    extensions.write_text("subjectAltName = IP:127.0.0.1, DNS:localhost\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(
        folder,
        "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=tests' own CA",
    )  # fmt: skip
    _openssl(folder, "req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    _openssl(
        folder,
        "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-out", "server.crt", "-days", "2", "-extfile", "san.cnf",
    )  # fmt: skip
    return folder / "ca.crt", folder / "server.crt", folder / "server.key"


def _openssl(folder: Path, *words: str) -> None:
    Runner().run(["openssl", *words], cwd=folder)


def write_authfile(path: Path, address: str, *, password: str = PASSWORD) -> Path:
    """Write a credentials file for one registry, as ``podman login`` does."""
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {address: {"auth": auth}}}))
    return path


@attrs.define(kw_only=True)
class Rule:
    """Makes some requests fail.

    Attributes:
        method: which requests, by their method.
        path: which requests, by a pattern that is searched in their path.
        status: what they are answered; 0 to break the connection off in the middle.
        times: how many of them, from the first that matches.
        skip: how many pass before.
        headers: headers of the answer.
    """

    method: str
    path: str
    status: int = 503
    times: int = 1
    skip: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)

    def takes(self, method: str, path: str) -> bool:
        """Tell whether this request fails, and count it."""
        if method != self.method or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if not self.times:
            return False
        self.times -= 1
        return True


@attrs.frozen(kw_only=True)
class Seen:
    """One request, with the status it was answered; 0 for a broken connection."""

    method: str
    path: str
    status: int


@attrs.define(kw_only=True)
class FaultProxy:
    """A proxy in front of a registry: requests that no rule takes are passed on."""

    address: str
    upstream: str
    rules: list[Rule] = attrs.field(factory=list)
    seen: list[Seen] = attrs.field(factory=list)
    lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)

    def rule_for(self, method: str, path: str) -> Rule | None:
        with self.lock:
            return next((rule for rule in self.rules if rule.takes(method, path)), None)

    def note(self, method: str, path: str, status: int) -> None:
        with self.lock:
            self.seen.append(Seen(method=method, path=path.partition("?")[0], status=status))

    def statuses(self, method: str, path: str) -> list[int]:
        """Give what the requests that match were answered, in their order."""
        return [seen.status for seen in self.seen if seen.method == method and re.search(path, seen.path)]


@contextmanager
def running_proxy(upstream: Registry, *rules: Rule) -> Iterator[FaultProxy]:
    """Run a proxy in front of a registry until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = FaultProxy(
        address=f"127.0.0.1:{server.server_address[1]}", upstream=upstream.address, rules=list(rules)
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FaultProxy

    def handle_error(self, *_: object) -> None:
        # A client that goes away in the middle is what some tests are about.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def _handle(self) -> None:
        proxy = self.server.proxy
        rule = proxy.rule_for(self.command, self.path)
        if rule is not None and rule.status == 0:
            proxy.note(self.command, self.path, 0)
            self._break_off()
            return
        body = self._body()
        if rule is not None:
            proxy.note(self.command, self.path, rule.status)
            self._answer(rule.status, {"Content-Type": "application/json", **rule.headers}, _problem(rule.status))
            return
        connection = http.client.HTTPConnection(proxy.upstream, timeout=60)
        with contextlib.closing(connection):
            dropped = {"transfer-encoding", "content-length", "connection"}
            headers = {
                name: ", ".join(self.headers.get_all(name, [])) for name in self.headers if name.lower() not in dropped
            }
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            proxy.note(self.command, self.path, answer.status)
            self._answer(answer.status, dict(answer.getheaders()), content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 # the base class calls them so

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _break_off(self) -> None:
        if "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0":
            self.rfile.read1(1)
        # Closing with linger 0 sends a reset in place of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def _problem(status: int) -> bytes:
    code = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}.get(status)
    if code is None:
        return b"<html><body>the proxy says no</body></html>"
    return b'{"errors":[{"code":"%s","message":"the proxy says no"}]}' % code.encode()
