# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback that answers as a test says: a registry, its storage, its token service."""

import shutil
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Asked:
    """One request as it came in.

    Attributes:
        method: its method.
        path: with its query.
        headers: by name in lower case.
        body: its body.
        certificate: whether the client showed one.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    certificate: bool = False

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@attrs.frozen(kw_only=True)
class Answer:
    """One answer.

    Attributes:
        status: its status; 0 to reset the connection instead.
        body: its content.
        headers: further headers; a Content-Length here replaces the right one.
        stall: send the headers and half of the body, and then nothing until the server ends.
        chunked: send the body chunked.
        delay: send nothing at all until the server ends.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    stall: bool = False
    chunked: bool = False
    delay: bool = False


@attrs.define
class FakeHost:
    """A server under way.

    Attributes:
        address: host and port.
        url: scheme, host and port.
        reply: what it answers; a list is used up one by one, whatever is asked, and its last one stays.
        asked: the requests, in order.
        connections: how many there were.
        stalling: set when an answer stalls or is delayed.
    """

    address: str
    url: str
    reply: Callable[[Asked], Answer] | list[Answer] = attrs.field(factory=lambda: [Answer(status=404)])
    asked: list[Asked] = attrs.field(factory=list)
    connections: int = 0
    stalling: threading.Event = attrs.field(factory=threading.Event, repr=False)
    lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            if not isinstance(self.reply, list):
                return self.reply(asked)
            return self.reply.pop(0) if len(self.reply) > 1 else self.reply[0]

    @property
    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    host: FakeHost
    context: ssl.SSLContext | None = None
    ended: threading.Event

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with self.host.lock:
            self.host.connections += 1
        # The handshake belongs to the connection's own thread.
        if self.context is None:
            super().finish_request(request, client_address)
        else:
            with self.context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)

    def handle_error(self, *_: object) -> None:
        # Clients that do not trust the certificate, or go away in the middle, are what some tests are about.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def log_message(self, *_: object) -> None:
        return

    def _handle(self) -> None:
        body = self._body()
        shown = self.connection.getpeercert(binary_form=True) if isinstance(self.connection, ssl.SSLSocket) else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.host.answer(
            Asked(method=self.command, path=self.path, headers=headers, body=body, certificate=bool(shown))
        )
        if answer.delay:
            self._stall()
            return
        if answer.status == 0:
            # Closing with linger 0 sends a reset in place of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        own = {"Transfer-Encoding": "chunked"} if answer.chunked else {"Content-Length": str(len(answer.body))}
        for name, value in {**own, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.stall:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self._stall()
        elif answer.chunked:
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer.body), answer.body))
        else:
            self.wfile.write(answer.body)
            self.close_connection = "Content-Length" in answer.headers

    def _stall(self) -> None:
        self.server.host.stalling.set()
        self.server.ended.wait()
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _handle  # noqa: N815 # the base's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


@contextmanager
def running_host(tls: ssl.SSLContext | None = None, *, at: str = "127.0.0.1") -> Iterator[FakeHost]:
    """Run a server inside the block, at one of the loopback addresses."""
    with _Listener((at, 0), _Handler) as listener:
        address = f"{at}:{listener.server_address[1]}"
        listener.context = tls
        listener.ended = threading.Event()
        listener.host = FakeHost(address, f"{'https' if tls else 'http'}://{address}")
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield listener.host
        finally:
            listener.ended.set()
            listener.shutdown()
            thread.join()


@attrs.frozen(kw_only=True)
class Certificates:
    """A CA of the tests' own, a server's certificate for loopback and a client's."""

    folder: Path
    authority: Path
    certificate: Path
    key: Path

    def server_context(self, *, clients: bool = False) -> ssl.SSLContext:
        """What a server shows; with ``clients`` it takes a client's certificate too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if clients:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def certs_d(self, folder: Path, *, client: bool = False) -> Path:
        """Make a folder as certs.d has one for each registry."""
        folder.mkdir(parents=True)
        shutil.copy(self.authority, folder / "ca.crt")
        if client:
            shutil.copy(self.certificate, folder / "client.cert")
            shutil.copy(self.key, folder / "client.key")
        return folder
