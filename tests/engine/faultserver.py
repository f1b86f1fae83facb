# SPDX-License-Identifier: Apache-2.0
"""A server in front of a registry that lets requests through, counts their bytes, and spoils those it is told to.

    with running_fault_server(registry.address, Fault(method="GET", path="/blobs/", reset_at=1000)) as server:
        ...  # use server.address in place of registry.address
        assert server.sent("/blobs/") == 1000 + len(blob)

Some that are asked for often:

    Fault(status=429, headers={"Retry-After": "1"}, times=2)             limits twice, then lets through
    Fault(method="PATCH", reset_request_at=10**6)                        breaks an upload off in its middle
    Fault(method="PATCH", status=404, code="BLOB_UPLOAD_UNKNOWN")        has lost the upload
    Fault(method="PUT", path="/blobs/uploads/", reset_at=BEFORE)         takes the blob, and the answer is lost
    Fault(method="POST", without=("mount", "from"), times=-1)            does not mount
    Fault(path="/referrers/", status=404, times=-1)                      knows nothing of referrers
    Fault(method="PATCH", held=threading.Event())                        an upload waits in its middle for the test
    Fault(method="HEAD", status=405, times=-1)                           takes no HEAD
    Fault(headers={"Docker-Content-Digest": None}, times=-1)             names no digests
    Fault(method="GET", path="/blobs/", request_headers={"range": None}, times=-1)   gives whole blobs only
    tokens=Tokens(uses=3)                                                wants tokens, which expire soon

Bodies pass in pieces in both directions, so that a fault at a byte strikes a transfer under way. ``Host`` is passed on,
so a registry's absolute ``Location`` leads back to this server. The registry may be any that speaks plain HTTP:
docker-registry (fixture ``registry``) or the one in memory (tests/unit/registry_client/memory.py).
"""

import contextlib
import fcntl
import http.client
import json
import re
import select
import socket
import struct
import termios
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs

from tests.engine.faultrules import BEFORE, PIECE, BrokenOffError, Fault, edited, spoilt_answer, spoilt_request, without
from tests.engine.tokengate import Tokens

_NO_BODY = frozenset({204, 304})
_HOP = frozenset({"transfer-encoding", "connection", "keep-alive"})


@attrs.define(kw_only=True)
class Exchange:
    """One request and what became of it.

    Attributes:
        method: its method.
        path: its path, without the query.
        query: what follows the question mark.
        headers: its headers, names in lower case.
        status: what it was answered; 0 while nothing was sent.
        received: bytes of its body that were read here.
        sent: bytes of the answer's body that were sent.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0
    received: int = 0
    sent: int = 0


@attrs.define(kw_only=True)
class FaultServer:
    """A server under way.

    Attributes:
        address: its host and port.
        upstream: the registry's.
        faults: what is spoilt; the first that takes a request decides.
        tokens: asks for tokens; None for a registry that is open.
        exchanges: all requests in the order of their beginnings.
    """

    address: str
    upstream: str
    faults: list[Fault] = attrs.field(factory=list)
    tokens: Tokens | None = None
    exchanges: list[Exchange] = attrs.field(factory=list)
    lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)
    stopped: threading.Event = attrs.field(factory=threading.Event, repr=False)

    def add(self, *faults: Fault) -> None:
        """Spoil further requests."""
        with self.lock:
            self.faults.extend(faults)

    def asked(self, method: str = ".*", path: str = "") -> list[Exchange]:
        """Give the requests so far whose method matches, and in whose path and query the pattern is found."""
        with self.lock:
            return [
                exchange
                for exchange in self.exchanges
                if re.fullmatch(method, exchange.method) and re.search(path, f"{exchange.path}?{exchange.query}")
            ]

    def statuses(self, method: str = ".*", path: str = "") -> list[int]:
        """Give what those requests were answered; 0 for nothing."""
        return [exchange.status for exchange in self.asked(method, path)]

    def sent(self, path: str = "") -> int:
        """Count the bytes that clients were sent in bodies of answers to such requests: what was read of a registry."""
        return sum(exchange.sent for exchange in self.asked(path=path))

    def received(self, path: str = "") -> int:
        """Count the bytes that clients sent in bodies of such requests: what was written to a registry."""
        return sum(exchange.received for exchange in self.asked(path=path))

    def begin(self, method: str, target: str, headers: dict[str, str]) -> tuple[Exchange, Fault]:
        """Note a request, and give what is done to it."""
        path, _, query = target.partition("?")
        exchange = Exchange(method=method, path=path, query=query, headers=headers)
        with self.lock:
            self.exchanges.append(exchange)
            return exchange, next((fault for fault in self.faults if fault.takes(method, target)), Fault())


@contextmanager
def running_fault_server(upstream: str, *faults: Fault, tokens: Tokens | None = None) -> Iterator[FaultServer]:
    """Run such a server until the block ends; ``upstream`` is the registry's host and port."""
    listening = _Listening(("127.0.0.1", 0), _Handler)
    address = f"127.0.0.1:{listening.server_address[1]}"
    listening.faults = FaultServer(address=address, upstream=upstream, faults=list(faults), tokens=tokens)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listening.faults
    finally:
        listening.faults.stopped.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    faults: FaultServer

    def handle_error(self, *_: object) -> None:
        # A client that goes away in the middle is what most tests are about.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listening

    def log_message(self, *_: object) -> None:
        return

    def _handle(self) -> None:
        faults = self.server.faults
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        exchange, fault = faults.begin(self.command, self.path, headers)
        body = self._body(headers, exchange)
        while fault.held is not None and not fault.held.wait(0.05) and not faults.stopped.is_set():
            pass
        try:
            if not self._guarded(exchange, body, headers):
                self._serve(exchange, fault, body, headers)
        except BrokenOffError:
            self._let_arrive()
            # Closing with linger 0 sends a reset in place of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 # the base class calls them so

    def _let_arrive(self) -> None:
        """Wait until all that was sent is with the client: a reset throws away what is still on its way."""
        for _ in range(1000):
            left = struct.unpack("i", fcntl.ioctl(self.connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
            if not left or self.server.faults.stopped.wait(0.005):
                return

    def _guarded(self, exchange: Exchange, body: Iterator[bytes], headers: dict[str, str]) -> bool:
        """Answer in place of the registry where a token is given or missing."""
        faults, authorization = self.server.faults, headers.get("authorization", "")
        if faults.tokens is None:
            return False
        with faults.lock:
            if exchange.path == "/token":
                document = faults.tokens.give(exchange.query, authorization)
                status, extra = (200 if document is not None else 401), ""
            else:
                document = None
                challenge = faults.tokens.challenge(self.command, self.path, authorization)
                if challenge is None:
                    return False
                status, extra = 401, f'Bearer realm="http://{faults.address}/token",service="tests"{challenge}'
        _drain(body)
        answered: dict[str, str | None] = {"WWW-Authenticate": extra or None}
        self._answer(exchange, Fault(headers=answered), status, {}, document or _problem("UNAUTHORIZED"))
        return True

    def _serve(self, exchange: Exchange, fault: Fault, body: Iterator[bytes], headers: dict[str, str]) -> None:
        if fault.status:
            _drain(body)
            self._answer(exchange, fault, fault.status, {}, fault.body or _problem(fault.code))
            return
        connection = http.client.HTTPConnection(self.server.faults.upstream, timeout=120)
        with contextlib.closing(connection):
            passed = edited({name: value for name, value in headers.items() if name not in _HOP}, fault.request_headers)
            chunked = "transfer-encoding" in headers
            if chunked:
                passed["transfer-encoding"] = "chunked"
            target = without(self.path, fault.without)
            spoilt = spoilt_request(body, fault) if chunked or "content-length" in headers else None
            try:
                connection.request(self.command, target, body=spoilt, headers=passed, encode_chunked=chunked)
            except BrokenOffError:
                _hang_up(connection)
                raise
            answer = connection.getresponse()
            self._answer(
                exchange, fault, answer.status, dict(answer.getheaders()), iter(lambda: answer.read1(PIECE), b"")
            )

    def _answer(
        self, exchange: Exchange, fault: Fault, status: int, headers: dict[str, str], body: bytes | Iterable[bytes]
    ) -> None:
        self._strike(fault, BEFORE)
        headers = edited({name: value for name, value in headers.items() if name.lower() not in _HOP}, fault.headers)
        if isinstance(body, bytes):
            headers.setdefault("Content-Length", str(len(body)))
            body = [body]
        lengths = [name for name in headers if name.lower() == "content-length"]
        if fault.endless:
            for name in lengths:
                del headers[name]
        bodiless = self.command == "HEAD" or status in _NO_BODY
        chunked = not bodiless and (fault.endless or not lengths)
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        # A length that is not the true one leaves the connection in an unknown state.
        self.close_connection = self.close_connection or "Content-Length" in fault.headers
        exchange.status = status
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not bodiless:
            whole = self._send(exchange, fault, body, self._chunk if chunked else self.wfile.write)
            if chunked and whole:
                self.wfile.write(b"0\r\n\r\n")

    def _send(self, exchange: Exchange, fault: Fault, body: Iterable[bytes], write: Callable[[bytes], object]) -> bool:
        position = 0
        for piece in spoilt_answer(body, fault):
            # Counted first: who has read the bytes finds them counted.
            exchange.sent += len(piece)
            position += len(piece)
            write(piece)
            if self._strike(fault, position):
                return False
        return True

    def _chunk(self, piece: bytes) -> None:
        if piece:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _strike(self, fault: Fault, position: int) -> bool:
        """Do what is to be done at a place of the answer; tell whether the answer ends there."""
        if fault.reset_at == position:
            raise BrokenOffError
        if fault.stall_at == position:
            while not self.server.faults.stopped.is_set():
                if select.select([self.connection], [], [], 0.05)[0]:
                    break
            raise BrokenOffError
        if fault.truncate_at == position:
            self.close_connection = True
        return fault.truncate_at == position

    def _body(self, headers: dict[str, str], exchange: Exchange) -> Iterator[bytes]:
        if "transfer-encoding" in headers:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield from self._read(size, exchange)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield from self._read(int(headers.get("content-length", "0")), exchange)

    def _read(self, size: int, exchange: Exchange) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read1(min(size, PIECE))
            if not piece:
                raise BrokenOffError
            size -= len(piece)
            exchange.received += len(piece)
            yield piece


def _drain(body: Iterator[bytes]) -> None:
    for _ in body:
        pass


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """End a request in its middle, and wait until the registry has seen it: then it has all that arrived."""
    with contextlib.suppress(OSError):
        connection.sock.shutdown(socket.SHUT_WR)
        while connection.sock.recv(PIECE):
            pass


def _problem(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "the server in front says no"}]}).encode()
