# SPDX-License-Identifier: Apache-2.0
"""Sessions: what is tried again, where requests go, how insecure registries are reached."""

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError, InterruptedByUserError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.session import RegistryFault
from tests.unit.registry.conftest import SessionMaker
from tests.unit.registry.exchanges import PATH, at, behind_ping, get, without_pings
from tests.unit.registry.fakehost import Answer, Certificates, FakeHost


@pytest.mark.parametrize("status", [0, 408, 429, 500, 502, 503, 504])
def test_a_transient_fault_is_tried_again(status: int, host: FakeHost, make_session: SessionMaker) -> None:
    behind_ping(host, Answer(status=status), Answer(status=status), Answer(body=b"there"))
    assert get(make_session(), at(host)) == b"there"
    assert len(without_pings(host)) == 3


def test_three_attempts_are_the_least(host: FakeHost, make_session: SessionMaker) -> None:
    behind_ping(host, Answer(status=503, headers={"Retry-After": "0"}))
    for retry, count in [(Retry(attempts=2, delay=0.0), 3), (Retry(attempts=5, delay=0.0), 5)]:
        host.asked.clear()
        with pytest.raises(RegistryFault) as caught:
            get(make_session(retry=retry), at(host))
        assert (caught.value.kind, caught.value.status) == (FaultKind.SERVER_ERROR, 503)
        assert len(without_pings(host)) == count
    host.asked.clear()
    with pytest.raises(RegistryFault):
        get(make_session(), at(host), attempts=1)
    assert len(without_pings(host)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 416, 501])
def test_what_stays_as_it_is_is_not_tried_again(status: int, host: FakeHost, make_session: SessionMaker) -> None:
    behind_ping(host, Answer(status=status, body=b'{"errors":[{"code":"CODE","message":"words"}]}'))
    with pytest.raises(RegistryFault) as caught:
        get(make_session(), at(host))
    assert (caught.value.status, caught.value.code, caught.value.registry) == (status, "CODE", host.address)
    assert len(without_pings(host)) == 1


def test_every_attempt_sends_the_whole_body(host: FakeHost, make_session: SessionMaker) -> None:
    behind_ping(host, Answer(status=503), Answer(status=201))
    opened = []

    def pieces() -> list[bytes]:
        opened.append(1)
        return [b"one ", b"two"]

    with make_session().request(at(host), "PUT", PATH, body=pieces, length=7, expect=frozenset({201})):
        pass
    with make_session().request(at(host), "PUT", PATH, body=b"bytes", expect=frozenset({201})):
        pass
    assert [asked.body for asked in without_pings(host)] == [b"one two", b"one two", b"bytes"]
    assert len(opened) == 2


@pytest.mark.parametrize(
    "error",
    [RegistryFault(FaultKind.RESET, registry="another.example"), InputError("not what its digest says"), OSError()],
)
def test_what_a_bodys_pieces_raise_comes_out_at_once(
    error: Exception, host: FakeHost, make_session: SessionMaker
) -> None:
    behind_ping(host, Answer(status=201))
    opened = []

    def pieces() -> Iterator[bytes]:
        opened.append(1)
        yield b"one "
        raise error

    request = make_session().request(at(host), "PUT", PATH, body=pieces, length=7, expect=frozenset({201}))
    with pytest.raises(type(error)) as caught, request:
        pass
    assert caught.value is error
    assert opened == [1]


def test_the_wait_that_a_registry_asks_for_is_logged(host: FakeHost, make_session: SessionMaker) -> None:
    behind_ping(host, Answer(status=429, headers={"Retry-After": "3600"}))
    session = make_session()
    stream = _Watched(b"retry.scheduled")
    failed: list[BaseException] = []

    def work() -> None:
        with log.configured(log.LogSettings(json=True, stream=stream)):
            try:
                get(session, at(host))
            except InterruptedByUserError as error:
                failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert stream.seen.wait(60)
    # The pause of five minutes ends with the session.
    session.close()
    thread.join(60)
    assert not thread.is_alive()
    event = json.loads(stream.getvalue())
    event.pop("timestamp")
    assert event == {
        "event": "retry.scheduled",
        "level": "warning",
        "what": f"GET {host.address}/a/b",
        "fault": "rate limit",
        "line": f"{host.url}/v2/{PATH} answers 429",
        "attempt": 1,
        "attempts": 3,
        "seconds": 300.0,
    }
    assert [str(error) for error in failed] == [f"GET {host.address}/a/b was stopped between two attempts"]


class _Watched(io.StringIO):
    """A stream that tells when some word has been written to it."""

    def __init__(self, word: bytes) -> None:
        super().__init__()
        self.word = word.decode()
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.word in self.getvalue() and self.getvalue().endswith("\n"):
            self.seen.set()
        return count


def test_a_gateway_that_ends_tls(
    tls_host: FakeHost, certificates: Certificates, make_session: SessionMaker, tmp_path: Path
) -> None:
    tls_host.reply = [Answer(body=b"there")]
    session = make_session(RegistryAccess(cert_dir=certificates.certs_d(tmp_path / "certificates")))
    endpoint = at(tls_host, insecure=False)
    assert get(session, endpoint, "http://127.0.0.1/v2/a/b/blobs/uploads/1?x=y") == b"there"
    assert tls_host.paths == ["GET /v2/a/b/blobs/uploads/1?x=y"]
    with pytest.raises(RegistryFault, match=r"a Location without TLS at storage\.example"):
        get(session, endpoint, "http://storage.example/upload")


def test_an_insecure_registry_is_asked_once_what_it_speaks(host: FakeHost, make_session: SessionMaker) -> None:
    host.reply = [Answer(body=b"there")]
    session = make_session(RegistryAccess())
    assert get(session, at(host)) == get(session, at(host)) == b"there"
    assert host.paths == ["GET /v2/", f"GET /v2/{PATH}", f"GET /v2/{PATH}"]


def test_an_insecure_registry_may_speak_tls(tls_host: FakeHost, make_session: SessionMaker) -> None:
    tls_host.reply = [Answer(body=b"there")]
    assert get(make_session(RegistryAccess(tls_verify=False)), at(tls_host, insecure=False)) == b"there"
    # An answer is an answer: nobody falls back to plain HTTP because of it.
    tls_host.reply = [Answer(status=503)]
    with pytest.raises(RegistryFault, match="answers 503"):
        get(make_session(RegistryAccess(tls_verify=False)), at(tls_host))


def test_a_secure_registry_is_never_spoken_to_without_tls(host: FakeHost, make_session: SessionMaker) -> None:
    host.reply = [Answer(body=b"there")]
    for access, insecure in [(RegistryAccess(), False), (RegistryAccess(tls_verify=True), True)]:
        with pytest.raises(RegistryFault) as caught:
            get(make_session(access), at(host, insecure=insecure))
        assert caught.value.kind is FaultKind.PLAIN_HTTP
    assert host.asked == []


def test_a_certificate_of_certs_d(
    tls_host: FakeHost, certificates: Certificates, make_session: SessionMaker, environment: dict[str, str]
) -> None:
    tls_host.reply = [Answer(body=b"there")]
    with pytest.raises(RegistryFault) as caught:
        get(make_session(RegistryAccess()), at(tls_host, insecure=False))
    assert caught.value.kind is FaultKind.TLS
    certificates.certs_d(Path(environment["HOME"], ".config/containers/certs.d", tls_host.address), client=True)
    assert get(make_session(RegistryAccess()), at(tls_host, insecure=False)) == b"there"
    assert [asked.certificate for asked in tls_host.asked] == [True]


def test_mirrors_and_insecure_of_registries_conf(
    host: FakeHost, make_session: SessionMaker, environment: dict[str, str]
) -> None:
    Path(environment["HOME"], ".config/containers/registries.conf").write_text(
        f'[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "{host.address}/m"\ninsecure = true\n'
    )
    host.reply = [Answer(body=b"there")]
    session = make_session(RegistryAccess())
    image = ImageReference.parse("r.example/a:1")
    mirror, itself = session.endpoints(image, pull=True)
    assert mirror == Endpoint(registry=host.address, repository="m/a", insecure=True, mirror=True)
    assert itself == Endpoint(registry="r.example", repository="a")
    assert session.endpoints(image, pull=False) == (itself,)
    assert get(session, mirror, "m/a/manifests/1") == b"there"


@pytest.mark.parametrize(("verify", "insecure"), [(None, (True, False)), (False, (True, True)), (True, (False, False))])
def test_the_command_line_says_nothing_of_mirrors_but_that_they_are_checked(
    verify: bool | None, insecure: tuple[bool, bool], make_session: SessionMaker, environment: dict[str, str]
) -> None:
    Path(environment["HOME"], ".config/containers/registries.conf").write_text(
        '[[registry]]\nlocation = "127.0.0.1:1"\n[[registry.mirror]]\nlocation = "m.example"\n'
        '[[registry.mirror]]\nlocation = "127.0.0.1:2"\ninsecure = true\n'
    )
    session = make_session(RegistryAccess(tls_verify=verify))
    checked, unchecked, itself = session.endpoints(ImageReference.parse("127.0.0.1:1/a"), pull=True)
    assert not checked.insecure
    assert (unchecked.insecure, itself.insecure) == insecure


def test_an_unverified_registry_is_warned_of_once(make_session: SessionMaker) -> None:
    stream = io.StringIO()
    session = make_session(RegistryAccess(tls_verify=False))
    with log.configured(log.LogSettings(json=True, stream=stream)):
        for name in ("r.example/a", "r.example/b", "q.example/a", "127.0.0.1:5000/a", "localhost/a"):
            [endpoint] = session.endpoints(ImageReference.parse(name), pull=True)
            assert endpoint.insecure
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(event["event"], event["registry"]) for event in events] == [
        ("registry.tls.unverified", "r.example"),
        ("registry.tls.unverified", "q.example"),
    ]


def test_a_broken_answer_is_told_while_it_is_read(host: FakeHost, make_session: SessionMaker) -> None:
    # It has begun: how to go on from there is the client's concern.
    behind_ping(host, Answer(body=b"x" * 1000, stall=True))
    session = make_session(RegistryAccess(tls_verify=False, timeout=2.0))
    with pytest.raises(RegistryFault) as caught:
        get(session, at(host))
    assert caught.value.kind is FaultKind.TIMEOUT
    assert len(without_pings(host)) == 1


@pytest.mark.parametrize("answer", [Answer(body=b"x" * 1000, stall=True), Answer(delay=True)], ids=["body", "answer"])
def test_closing_ends_what_other_threads_wait_for(host: FakeHost, make_session: SessionMaker, answer: Answer) -> None:
    behind_ping(host, answer)
    session = make_session(RegistryAccess(tls_verify=False, timeout=3600.0))
    ended: list[Exception] = []
    said = io.StringIO()

    def wait() -> None:
        try:
            with log.configured(log.LogSettings(stream=said)):
                get(session, at(host))
        except (RegistryFault, InterruptedByUserError) as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert host.stalling.wait(60)
    session.close()
    thread.join(60)
    assert (len(ended), said.getvalue()) == (1, "")
    with pytest.raises(InterruptedByUserError, match="was stopped"):
        get(session, at(host))
