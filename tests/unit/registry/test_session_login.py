# SPDX-License-Identifier: Apache-2.0
"""Sessions: who we are to whom, by Basic and by tokens."""

import base64
import json
import threading
from pathlib import Path

import pytest

from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.registry.session import RegistryFault
from tests.unit.registry.conftest import SessionMaker
from tests.unit.registry.exchanges import OK, PATH, at, get, without_pings
from tests.unit.registry.fakehost import Answer, Asked, FakeHost

PASSWORD = "c0rrect"  # noqa: S105 # of a server that lives for a test
BASIC = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
LOGGED_IN = RegistryAccess(creds=f"me:{PASSWORD}", tls_verify=False)


def registry_with_login(asked: Asked) -> Answer:
    if asked.authorization == BASIC:
        return Answer(body=b"private")
    return Answer(status=401, headers={"WWW-Authenticate": 'Basic realm="tests"'})


def test_basic(host: FakeHost, make_session: SessionMaker) -> None:
    host.reply = registry_with_login
    session = make_session(LOGGED_IN)
    assert get(session, at(host)) == get(session, at(host)) == b"private"
    # Once it is known, nobody is asked twice.
    assert [asked.authorization for asked in host.asked] == ["", BASIC, BASIC]


def test_a_wrong_password_is_not_tried_again(host: FakeHost, make_session: SessionMaker) -> None:
    host.reply = registry_with_login
    with pytest.raises(RegistryFault) as caught:
        get(make_session(RegistryAccess(creds="me:wr0ng", tls_verify=False)), at(host))
    assert caught.value.kind is FaultKind.AUTHENTICATION
    assert len(without_pings(host)) == 1
    assert "wr0ng" not in f"{caught.value!r} {caught.value.text}"


def test_the_password_of_the_command_line_is_not_for_mirrors(
    host: FakeHost, make_session: SessionMaker, environment: dict[str, str]
) -> None:
    host.reply = registry_with_login
    with pytest.raises(RegistryFault):
        get(make_session(LOGGED_IN), at(host, mirror=True))
    assert {asked.authorization for asked in host.asked} == {""}
    # A mirror's own account is where podman keeps it.
    auth = {"auths": {host.address: {"auth": BASIC.removeprefix("Basic ")}}}
    Path(environment["XDG_RUNTIME_DIR"], "containers").mkdir()
    Path(environment["XDG_RUNTIME_DIR"], "containers/auth.json").write_text(json.dumps(auth))
    assert get(make_session(LOGGED_IN), at(host, mirror=True)) == b"private"


class TokenRegistry:
    """A registry, and its token service at another place: tokens are numbered, and one at a time is good."""

    def __init__(self, host: FakeHost, service: FakeHost) -> None:
        self.service, self.good, self.count = service, "", 0
        host.reply, service.reply = self.registry, self.tokens

    def registry(self, asked: Asked) -> Answer:
        if self.good and asked.authorization == f"Bearer {self.good}":
            return Answer(body=b"private")
        challenge = f'Bearer realm="{self.service.url}/token",service="tests",error="invalid_token"'
        return Answer(status=401, headers={"WWW-Authenticate": challenge})

    def tokens(self, asked: Asked) -> Answer:
        if asked.method == "GET" and asked.authorization != BASIC:
            return Answer(status=401, body=b'{"details":"incorrect username or password"}')
        if asked.method == "POST" and b"refresh_token=refresh" not in asked.body:
            return Answer(status=400, body=b'{"error":"invalid_grant"}')
        self.count += 1
        self.good = f"t{self.count}"
        return Answer(body=json.dumps({"token": self.good, "expires_in": 300}).encode())


def test_a_token(host: FakeHost, other_host: FakeHost, make_session: SessionMaker) -> None:
    TokenRegistry(host, other_host)
    session = make_session(LOGGED_IN)
    assert get(session, at(host)) == get(session, at(host)) == b"private"
    assert other_host.paths == ["GET /token?account=me&service=tests&scope=repository%3Aa%2Fb%3Apull"]
    assert {asked.authorization for asked in host.asked} == {"", "Bearer t1"}


def test_a_token_that_ends_in_the_middle_is_renewed(
    host: FakeHost, other_host: FakeHost, make_session: SessionMaker
) -> None:
    registry = TokenRegistry(host, other_host)
    session = make_session(LOGGED_IN)
    get(session, at(host))
    registry.good = "nobody's"
    assert get(session, at(host), attempts=1) == b"private"
    assert [asked.authorization for asked in without_pings(host)] == ["Bearer t1", "Bearer t1", "Bearer t2"]


def test_a_token_that_is_never_good(host: FakeHost, other_host: FakeHost, make_session: SessionMaker) -> None:
    TokenRegistry(host, other_host)
    other_host.reply = [Answer(body=b'{"token":"t%d"}' % number) for number in range(9)]
    with pytest.raises(RegistryFault) as caught:
        get(make_session(LOGGED_IN), at(host))
    assert caught.value.kind is FaultKind.AUTHENTICATION
    assert len(other_host.asked) == 2


def test_a_token_service_that_refuses_or_fails(
    host: FakeHost, other_host: FakeHost, make_session: SessionMaker
) -> None:
    registry = TokenRegistry(host, other_host)
    with pytest.raises(RegistryFault) as caught:
        get(make_session(RegistryAccess(creds="me:wr0ng", tls_verify=False)), at(host))
    assert caught.value.kind is FaultKind.AUTHENTICATION
    assert caught.value.text == f"{other_host.url}/token answers 401: incorrect username or password"
    answers = [Answer(status=503), Answer(status=0)]
    other_host.reply = lambda asked: answers.pop() if answers else registry.tokens(asked)
    assert get(make_session(LOGGED_IN), at(host)) == b"private"


def test_an_identity_token(
    host: FakeHost, other_host: FakeHost, make_session: SessionMaker, environment: dict[str, str]
) -> None:
    TokenRegistry(host, other_host)
    authfile = Path(environment["HOME"], "auth.json")
    authfile.write_text(json.dumps({"auths": {f"{host.address}/a": {"identitytoken": "refresh"}}}))
    assert get(make_session(RegistryAccess(authfile=authfile, tls_verify=False)), at(host)) == b"private"
    assert other_host.paths == ["POST /token"]
    assert other_host.asked[0].authorization == ""


def test_many_threads_share_a_token(host: FakeHost, other_host: FakeHost, make_session: SessionMaker) -> None:
    TokenRegistry(host, other_host)
    session = make_session(LOGGED_IN)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(get(session, at(host)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"private"] * 8
    assert len(other_host.asked) == 1


def test_rights_and_headers_that_the_client_names(
    host: FakeHost, other_host: FakeHost, make_session: SessionMaker
) -> None:
    TokenRegistry(host, other_host)
    session = make_session(LOGGED_IN)
    scopes = ("repository:a/b:pull,push", "repository:c:pull")
    for method, named in [("POST", scopes), ("POST", None), ("HEAD", None)]:
        headers = {"X-Method": method}
        with session.request(at(host), method, "a/b/blobs/uploads/", scopes=named, headers=headers, expect=OK):
            pass
    assert [asked.path.partition("service=tests")[2] for asked in other_host.asked] == [
        "&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull",
        "&scope=repository%3Aa%2Fb%3Apull%2Cpush",
        "&scope=repository%3Aa%2Fb%3Apull",
    ]
    assert {asked.headers["x-method"] for asked in without_pings(host)} == {"POST", "HEAD"}


def test_a_location_elsewhere_gets_no_credentials(
    host: FakeHost, other_host: FakeHost, make_session: SessionMaker
) -> None:
    host.reply = registry_with_login
    other_host.reply = [Answer()]
    session = make_session(LOGGED_IN)
    get(session, at(host))
    get(session, at(host), f"{other_host.url}/upload?state=1")
    get(session, at(host), f"{host.url}/upload?state=2")
    get(session, at(host), "/upload?state=3")
    assert [asked.authorization for asked in other_host.asked] == [""]
    assert host.paths[-2:] == ["GET /upload?state=2", "GET /upload?state=3"]
    assert host.asked[-2].authorization == BASIC


def test_a_helper_of_registries_conf(host: FakeHost, make_session: SessionMaker, environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    (home / ".config/containers/registries.conf").write_text('credential-helpers = ["keep"]\n')
    helper = home / "docker-credential-keep"
    helper.write_text(f"""#!/bin/sh\necho '{{"Username": "me", "Secret": "{PASSWORD}"}}'\n""")
    helper.chmod(0o755)
    host.reply = registry_with_login
    session = make_session(variables={"PATH": f"{home}:/usr/bin:/bin"})
    assert get(session, at(host)) == b"private"


def test_a_body_is_sent_anew_after_a_refusal(host: FakeHost, other_host: FakeHost, make_session: SessionMaker) -> None:
    registry = TokenRegistry(host, other_host)
    session = make_session(LOGGED_IN)

    def put() -> None:
        pieces = [b"one ", b"two"]
        with session.request(at(host), "PUT", PATH, body=lambda: pieces, length=7, expect=OK, attempts=1):
            pass

    put()
    registry.good = "nobody's"
    put()
    sent = [(asked.authorization, asked.body) for asked in host.asked if asked.method == "PUT"]
    assert sent == [(f"Bearer {token}", b"one two") for token in ("t1", "t1", "t2")]


def test_wrong_credentials_on_the_command_line(host: FakeHost, make_session: SessionMaker) -> None:
    with pytest.raises(InputError, match="not of the form user:password"):
        get(make_session(RegistryAccess(creds="me", tls_verify=False)), at(host))
