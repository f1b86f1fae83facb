# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback that answers as a test says."""

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs


@attrs.frozen
class Answer:
    """One answer.

    Attributes:
        body: its content.
        status: its status.
        headers: further headers; a Content-Length here replaces the right one.
        redirect: where it sends the client; empty for nowhere.
        hang: seconds to wait before anything is sent.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    redirect: str = ""
    hang: float = 0.0


@attrs.define
class Server:
    """A server under way.

    Attributes:
        url: its address, without a slash at the end.
        answers: what it answers to a path; a list is used up one by one, the last one stays.
        asked: the paths it was asked for, in order.
        headers: the headers it was sent, in the same order.
        login: user and password it wants; None for nobody's.
    """

    url: str
    answers: dict[str, Answer | list[Answer]] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    headers: list[Mapping[str, str]] = attrs.field(factory=list)
    login: tuple[str, str] | None = None

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Choose the answer to a request."""
        self.asked.append(path)
        self.headers.append(headers)
        if self.login is not None:
            expected = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if headers.get("Authorization") != expected:
                return Answer(status=401)
        found = self.answers.get(path, Answer(status=404))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server inside the block."""
    closed = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = server.answer(self.path, dict(self.headers))
            if answer.hang:
                closed.wait(answer.hang)
            self.send_response(answer.status)
            headers = {"Content-Length": str(len(answer.body)), **answer.headers}
            if answer.redirect:
                headers["Location"] = answer.redirect
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # the name it has there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server = Server(f"http://127.0.0.1:{listening.server_address[1]}")
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            closed.set()
            listening.shutdown()
            thread.join()
