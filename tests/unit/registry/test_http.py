# SPDX-License-Identifier: Apache-2.0
"""Connections: redirects, proxies, TLS, and what breaks, with real sockets."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError
from stxbuildah.model.settings import Proxies
from stxbuildah.registry.certificates import Trust
from stxbuildah.registry.fault import RegistryFault
from stxbuildah.registry.http import Connections, ContentError, Response
from stxbuildah.registry.request import Content, Request
from tests.unit.registry.fakehost import Answer, Certificates, FakeHost, running_host

BODY = bytes(range(256)) * 1000
SECRET = "Bearer s3cret"  # noqa: S105 # of a server that lives for a test


class Client:
    """Sends requests and reads the answers whole."""

    def __init__(
        self, proxies: Proxies | None = None, environment: Mapping[str, str] | None = None, read_timeout: float = 60.0
    ) -> None:
        self.connections = Connections(
            proxies=proxies or Proxies(), environment=environment or {}, read_timeout=read_timeout
        )

    @contextmanager
    def opened(
        self,
        url: str,
        method: str = "GET",
        *,
        trust: Trust | None = None,
        plain: bool = False,
        content: Content | None = None,
        length: int | None = None,
    ) -> Iterator[Response]:
        request = Request(
            method=method,
            url=url,
            registry="r.example",
            trust=trust or Trust(),
            authorization=SECRET,
            plain=plain,
            content=content,
            length=length,
        )
        response = self.connections.open(request)
        try:
            yield response
        finally:
            response.close()
            self.connections.close()

    def get(self, url: str, *, trust: Trust | None = None, plain: bool = False) -> bytes:
        with self.opened(url, trust=trust, plain=plain) as response:
            return response.read(len(BODY))

    def fault(self, url: str, *, trust: Trust | None = None, method: str = "GET") -> RegistryFault:
        with pytest.raises(RegistryFault) as caught, self.opened(url, method, trust=trust) as response:
            response.read(len(BODY))
        assert "s3cret" not in f"{caught.value} {caught.value.text}"
        return caught.value


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_is_read_in_pieces(chunked: bool, host: FakeHost) -> None:
    host.reply = [Answer(body=BODY, chunked=chunked, headers={"Content-Encoding": "gzip", "X-One": "1"})]
    with Client().opened(f"{host.url}/a?b=c") as response:
        assert (response.status, response.headers["x-ONE"], response.url) == (200, "1", f"{host.url}/a?b=c")
        pieces = list(response.chunks(1000))
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) <= 1000
    [asked] = host.asked
    assert (asked.authorization, asked.headers["accept-encoding"]) == (SECRET, "identity")


def test_an_answer_without_end(host: FakeHost) -> None:
    host.reply = [Answer(body=BODY)]
    with pytest.raises(RegistryFault, match="has more than 1000 bytes"), Client().opened(host.url) as response:
        response.read(1000)


def test_one_connection_serves_many_requests(host: FakeHost) -> None:
    host.reply = [
        Answer(body=b"ok"),
        Answer(status=404, body=b"no"),
        Answer(status=202),
        Answer(body=b"ok", chunked=True),
    ]
    client = Client()
    for _ in range(3):
        # Read or not: what is left of a short answer does not cost the connection.
        request = Request(method="GET", url=host.url, registry="r.example", trust=Trust())
        client.connections.open(request).close()
    assert client.get(host.url) == b"ok"
    assert (len(host.asked), host.connections) == (4, 1)


def test_a_body_in_pieces_goes_with_its_length_or_chunked(host: FakeHost) -> None:
    host.reply = [Answer(status=202)]
    client = Client()
    pieces = [BODY[:1000], b"", BODY[1000:]]
    with client.opened(f"{host.url}/1", "PATCH", content=lambda: pieces, length=len(BODY)):
        pass
    with client.opened(f"{host.url}/2", "PATCH", content=lambda: iter(pieces)):
        pass
    with client.opened(f"{host.url}/3", "POST"):
        pass
    assert [asked.body for asked in host.asked] == [BODY, BODY, b""]
    assert [asked.headers.get("content-length") for asked in host.asked] == [str(len(BODY)), None, "0"]


def test_what_a_bodys_pieces_raise_is_no_fault_of_the_connection(host: FakeHost) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    with pytest.raises(ContentError) as caught, Client().opened(host.url, "PUT", content=pieces, length=10):
        pass
    assert isinstance(caught.value.cause, ConnectionResetError)


def test_a_redirect_to_another_host_carries_no_credentials(host: FakeHost, other_host: FakeHost) -> None:
    other_host.reply = [Answer(status=307, headers={"Location": "/there?signature=1"}), Answer(body=BODY)]
    host.reply = lambda asked: Answer(
        status=302, headers={"Location": "/again" if asked.path == "/" else f"{other_host.url}/here"}
    )
    with Client().opened(f"{host.url}/") as response:
        assert response.read(len(BODY)) == BODY
        assert response.url == f"{other_host.url}/there?signature=1"
    assert [asked.authorization for asked in host.asked] == [SECRET, SECRET]
    assert [asked.authorization for asked in other_host.asked] == ["", ""]
    assert other_host.paths == ["GET /here", "GET /there?signature=1"]


def test_redirects_come_to_an_end(host: FakeHost) -> None:
    host.reply = [Answer(status=301, headers={"Location": "/?secret=1"})]
    fault = Client().fault(f"{host.url}/")
    assert (fault.kind, fault.text) == (FaultKind.OTHER, f"more than 5 redirects, to {host.url}/")
    assert len(host.asked) == 6


@pytest.mark.parametrize("location", ["ftp://x.example/", "file:///etc/passwd", "http://a:b/", "https://:1/"])
def test_a_redirect_to_nowhere(location: str, host: FakeHost) -> None:
    host.reply = [Answer(status=302, body=b"moved", headers={"Location": location})]
    fault = Client().fault(f"{host.url}/")
    assert fault.kind is FaultKind.OTHER
    assert fault.text.startswith("a redirect to ")
    assert len(host.asked) == 1


def test_a_location_that_is_no_address_is_none(host: FakeHost) -> None:
    host.reply = [Answer(status=302, body=b"moved", headers={"Location": "http://[::1"})]
    with Client().opened(host.url) as response:
        assert (response.status, response.location) == (302, "")


def test_only_reading_follows_a_redirect(host: FakeHost) -> None:
    host.reply = [Answer(status=307, headers={"Location": "/there"})]
    with Client().opened(f"{host.url}/here", "POST") as response:
        assert (response.status, response.location) == (307, f"{host.url}/there")
    assert host.paths == ["POST /here"]


def test_tls_by_a_folder_of_certificates(tls_host: FakeHost, certificates: Certificates) -> None:
    tls_host.reply = [Answer(body=BODY)]
    trust = Trust(authorities=(certificates.authority,))
    assert Client().get(tls_host.url, trust=trust) == BODY
    assert Client().get(tls_host.url, trust=Trust(verify=False)) == BODY
    assert Client(environment={"SSL_CERT_FILE": str(certificates.authority)}).get(tls_host.url) == BODY
    shown = Trust(authorities=trust.authorities, pairs=((certificates.certificate, certificates.key),))
    assert Client().get(tls_host.url, trust=shown) == BODY
    assert [asked.certificate for asked in tls_host.asked] == [False, False, False, True]


def test_an_unknown_certificate(tls_host: FakeHost, certificates: Certificates) -> None:
    fault = Client().fault(tls_host.url)
    assert (fault.kind, fault.transient) == (FaultKind.TLS, False)
    assert "certificate" in fault.text
    assert tls_host.asked == []


def test_a_certificate_of_another_host(certificates: Certificates) -> None:
    with running_host(certificates.server_context(), at="127.0.0.2") as host:
        fault = Client().fault(host.url, trust=Trust(authorities=(certificates.authority,)))
        assert fault.kind is FaultKind.TLS
        assert "127.0.0.2" in fault.text
        assert host.asked == []


def test_a_redirect_away_from_tls_is_not_followed(
    tls_host: FakeHost, host: FakeHost, certificates: Certificates
) -> None:
    tls_host.reply = [Answer(status=302, headers={"Location": f"{host.url}/x?token=1"})]
    host.reply = [Answer(body=BODY)]
    trust = Trust(authorities=(certificates.authority,))
    fault = Client().fault(tls_host.url, trust=trust)
    assert fault.text == f"a redirect from https to {host.url}/x, which is not followed"
    assert host.asked == []
    assert Client().get(tls_host.url, trust=trust, plain=True) == BODY
    assert [asked.authorization for asked in host.asked] == [""]


def test_our_certificate_is_not_shown_to_another_host(tls_host: FakeHost, certificates: Certificates) -> None:
    with running_host(certificates.server_context(clients=True)) as storage:
        tls_host.reply = [Answer(status=302, headers={"Location": storage.url})]
        storage.reply = [Answer(body=BODY)]
        trust = Trust(authorities=(certificates.authority,), pairs=((certificates.certificate, certificates.key),))
        assert Client().get(tls_host.url, trust=trust) == BODY
        assert [asked.certificate for asked in (*tls_host.asked, *storage.asked)] == [True, False]


def test_plain_http_where_tls_is_expected(host: FakeHost) -> None:
    fault = Client().fault(host.url.replace("http:", "https:"))
    assert (fault.kind, fault.transient) == (FaultKind.PLAIN_HTTP, False)


def test_tls_where_plain_http_is_expected(tls_host: FakeHost) -> None:
    assert Client().fault(tls_host.url.replace("https:", "http:")).kind is FaultKind.RESET


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fault = Client().fault(f"http://127.0.0.1:{port}/")
    assert (fault.kind, fault.text, fault.transient) == (FaultKind.CONNECTION_REFUSED, "Connection refused", True)


def test_a_host_that_is_not_known() -> None:
    fault = Client().fault("https://registry.invalid/")
    assert (fault.kind, fault.transient) == (FaultKind.DNS, False)


def test_a_connection_that_breaks(host: FakeHost) -> None:
    host.reply = [Answer(status=0)]
    assert Client().fault(host.url).kind is FaultKind.RESET
    host.reply = [Answer(body=BODY, headers={"Content-Length": str(len(BODY) + 1)})]
    assert Client().fault(host.url).kind is FaultKind.RESET


def test_a_server_that_stalls(host: FakeHost) -> None:
    host.reply = [Answer(body=BODY, stall=True)]
    received: list[bytes] = []
    with Client(read_timeout=2.0).opened(host.url) as response, pytest.raises(RegistryFault) as caught:
        received.extend(response.chunks(1000))
    assert (caught.value.kind, caught.value.transient) == (FaultKind.TIMEOUT, True)
    assert b"".join(received) == BODY[: len(BODY) // 2]


def test_no_answer_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fault_kind = Client(read_timeout=0.5).fault(f"http://127.0.0.1:{silent.getsockname()[1]}/").kind
    assert fault_kind is FaultKind.TIMEOUT


def test_what_is_no_http(host: FakeHost) -> None:
    host.reply = [Answer(status=200, headers={f"X-{number}": "1" for number in range(200)})]
    assert Client().fault(host.url).kind is FaultKind.RESET


def test_proxies(host: FakeHost) -> None:
    host.reply = [Answer(body=BODY)]
    proxy = host.url.replace("http://", "http://user:p%40ss@")
    assert Client(Proxies(http=proxy)).get("http://registry.invalid/a") == BODY
    assert host.asked[0].path == "http://registry.invalid/a"
    assert host.asked[0].headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"
    # Without a scheme, as curl takes it; a host that needs none; and this machine, which never does.
    assert Client(Proxies(http=host.address)).get("http://registry.invalid/b") == BODY
    direct = Client(Proxies(http=proxy, no="registry.invalid")).fault("http://registry.invalid/c")
    assert direct.kind is FaultKind.DNS
    assert Client(Proxies(http="http://proxy.invalid:1")).get(f"{host.url}/d") == BODY
    assert host.paths[1:] == ["GET http://registry.invalid/b", "GET /d"]


def test_a_proxy_that_refuses(host: FakeHost) -> None:
    host.reply = [Answer(status=407)]
    fault = Client(Proxies(https=host.url)).fault("https://registry.invalid/")
    assert "by way of the proxy: Tunnel connection failed: 407" in fault.text
    assert host.paths == ["CONNECT registry.invalid:443"]


def test_what_is_no_proxy() -> None:
    with pytest.raises(InputError, match=r"'socks5://p\.example:1' is no URL of an http or https proxy"):
        Client(Proxies(http="socks5://me:secret@p.example:1")).get("http://registry.invalid/")
