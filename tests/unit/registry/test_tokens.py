# SPDX-License-Identifier: Apache-2.0
"""Challenges, Basic, and bearer tokens: when one is fetched, with which rights, and where credentials do not go."""

import base64
import json
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.registry.credentials import Credentials
from stxbuildah.registry.fault import RegistryFault
from stxbuildah.registry.tokens import Authorizer, Challenge, TokenRequest, parse_challenges

BASIC = Challenge(scheme="basic", parameters={"realm": "r"})
BEARER = Challenge(scheme="bearer", parameters={"realm": "https://auth.example/token?a=1", "service": "r.example"})
ACCOUNT = Credentials(username="me", password="s3cret")  # noqa: S106 # of a registry that does not exist
PULL, PUSH = ("repository:a/b:pull",), ("repository:a/b:pull,push",)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ('Basic realm="Registry"', [("basic", {"realm": "Registry"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        # RFC 9110, 11.6.1.
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [("basic", {"realm": "simple"}), ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'})],
        ),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ("NTLM TlRMTVNTUAAC==, BEARER Realm = https", [("ntlm", {}), ("bearer", {"realm": "https"})]),
        (' ,, Basic  realm = "a, b" , realm=c ,', [("basic", {"realm": "a, b"})]),
        ('Basic realm="never closed', ()),
        ('Basic realm="x" Bearer realm="y"', ()),
        ('Basic realm="x", "quoted"', [("basic", {"realm": "x"})]),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(challenge.scheme, challenge.parameters) for challenge in parse_challenges(header)] == list(expected)


TOKENS = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
CHALLENGES = st.lists(st.tuples(TOKENS, st.dictionaries(TOKENS.map(str.lower), VALUES, max_size=3)), max_size=4)


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(CHALLENGES, st.sampled_from([",", ", ", " ,\t", ",, "]))
def test_what_is_written_is_read(challenges: list[tuple[str, dict[str, str]]], comma: str) -> None:
    header = comma.join(
        " ".join([scheme, comma.join(f"{name}={quoted(value)}" for name, value in parameters.items())]).strip()
        for scheme, parameters in challenges
    )
    read = parse_challenges(header)
    assert [(challenge.scheme, challenge.parameters) for challenge in read] == [
        (scheme.lower(), parameters) for scheme, parameters in challenges
    ]


@given(st.text(st.sampled_from('Basic realm="x\\,= \t\n\x00é'), max_size=60))
def test_anything_at_all_is_read_without_an_error(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower() != ""


@attrs.define
class Service:
    """A token service: answers in order, the last one again and again."""

    answers: list[object]
    asked: list[TokenRequest] = attrs.field(factory=list)
    time: float = 1000.0

    def ask(self, request: TokenRequest) -> bytes:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def authorizer(self, credentials: Credentials | None = ACCOUNT, *, plain: bool = False) -> Authorizer:
        return Authorizer(
            registry="r.example", credentials=credentials, ask=self.ask, plain=plain, clock=lambda: self.time
        )

    def queries(self) -> list[list[tuple[str, str]]]:
        return [parse_qsl(urlsplit(request.url).query) for request in self.asked]


def numbered() -> Service:
    return Service([{"token": f"t{number}"} for number in range(1, 10)])


def test_nothing_is_sent_before_it_is_asked_for() -> None:
    authorizer = numbered().authorizer()
    assert authorizer.header(PULL) == ""


def test_basic() -> None:
    service = numbered()
    authorizer = service.authorizer()
    header = authorizer.renewed([BASIC], PULL, "")
    assert header == "Basic " + base64.b64encode(b"me:s3cret").decode()
    assert authorizer.header(PUSH) == header
    # The same again would be refused again.
    assert authorizer.renewed([BASIC], PULL, header) == ""
    assert service.asked == []


def test_basic_without_an_account() -> None:
    assert numbered().authorizer(None).renewed([BASIC], PULL, "") == ""


def test_a_token_for_each_set_of_rights() -> None:
    service = numbered()
    authorizer = service.authorizer()
    assert authorizer.renewed([BASIC, BEARER], PULL, "") == "Bearer t1"
    assert authorizer.header(PULL) == "Bearer t1"
    assert authorizer.header(PUSH) == "Bearer t2"
    assert authorizer.header([*PULL, *PUSH]) == authorizer.header([*PUSH, *PULL]) == "Bearer t3"
    assert service.queries() == [
        [("a", "1"), ("account", "me"), ("service", "r.example"), *scopes]
        for scopes in (
            [("scope", "repository:a/b:pull")],
            [("scope", "repository:a/b:pull,push")],
            [("scope", "repository:a/b:pull"), ("scope", "repository:a/b:pull,push")],
        )
    ]
    assert {request.authorization for request in service.asked} == {"Basic " + base64.b64encode(b"me:s3cret").decode()}
    assert {request.form for request in service.asked} == {None}


def test_a_token_for_nobody() -> None:
    service = Service([{"access_token": "open"}])
    assert service.authorizer(None).renewed([BEARER], PULL, "") == "Bearer open"
    assert service.asked == [
        TokenRequest(url="https://auth.example/token?a=1&service=r.example&scope=repository%3Aa%2Fb%3Apull")
    ]


def test_an_identity_token_is_posted() -> None:
    service = Service([{"access_token": "fresh"}])
    authorizer = service.authorizer(Credentials(username="me", identity_token="refresh/me"))  # noqa: S106 # as above
    assert authorizer.renewed([BEARER], PUSH, "") == "Bearer fresh"
    [request] = service.asked
    assert (request.url, request.authorization) == ("https://auth.example/token?a=1", "")
    assert request.form is not None
    assert dict(parse_qsl(request.form.decode())) == {
        "grant_type": "refresh_token",
        "service": "r.example",
        "client_id": "stxbuildah",
        "scope": "repository:a/b:pull,push",
        "refresh_token": "refresh/me",
    }


@pytest.mark.parametrize(
    ("told", "used", "gone"), [({"expires_in": 300}, 239, 241), ({}, 47, 49), ({"expires_in": 10**400}, 60_000, 90_000)]
)
def test_a_token_is_used_until_shortly_before_its_end(told: dict[str, object], used: float, gone: float) -> None:
    service = Service([{"token": "t1", **told}, {"token": "t2", **told}])
    authorizer = service.authorizer()
    authorizer.renewed([BEARER], PULL, "")
    service.time = 1000.0 + used
    assert authorizer.header(PULL) == "Bearer t1"
    service.time = 1000.0 + gone
    assert authorizer.header(PULL) == "Bearer t2"


def test_a_refused_token_is_renewed_with_the_rights_that_the_registry_names() -> None:
    service = numbered()
    authorizer = service.authorizer()
    first = authorizer.renewed([BEARER], PULL, "")
    wider = attrs.evolve(BEARER, parameters={**BEARER.parameters, "scope": "repository:c:pull registry:catalog:*"})
    assert authorizer.renewed([wider], PULL, first) == "Bearer t2"
    assert [value for name, value in service.queries()[-1] if name == "scope"] == [
        "registry:catalog:*",
        "repository:a/b:pull",
        "repository:c:pull",
    ]
    assert authorizer.header(PULL) == "Bearer t2"


def test_what_another_thread_has_renewed_is_not_renewed_again() -> None:
    service = numbered()
    authorizer = service.authorizer()
    first = authorizer.renewed([BEARER], PULL, "")
    assert authorizer.renewed([BEARER], PULL, first) == "Bearer t2"
    assert authorizer.renewed([BEARER], PULL, first) == "Bearer t2"
    assert len(service.asked) == 2


def test_the_same_token_again_is_no_way_on() -> None:
    service = Service([{"token": "same"}])
    authorizer = service.authorizer()
    assert authorizer.renewed([BEARER], PULL, authorizer.renewed([BEARER], PULL, "")) == ""


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        [],
        {},
        {"token": ""},
        {"token": 5},
        {"token": "two\r\nX-Evil: lines"},
        {"token": "with space"},
    ],
)
def test_an_answer_without_a_token(answer: object) -> None:
    with pytest.raises(RegistryFault, match="the token service answers without a token"):
        Service([answer]).authorizer().renewed([BEARER], PULL, "")


REALMS: list[tuple[str, str]] = [
    ("http://auth.example/token?password=x", "'http://auth.example/token' is not spoken to by TLS"),
    ("ftp://auth.example/", "is no URL"),
    ("/token", "is no URL"),
    ("https://", "is no URL"),
    ("https://[::1/", "is no URL"),
    ("https://auth.example:port/", "is no URL"),
    ("https://user:x@auth.example/", "'https://auth.example/' is no URL"),
]


@pytest.mark.parametrize(("realm", "message"), REALMS)
def test_where_credentials_do_not_go(realm: str, message: str) -> None:
    service = numbered()
    challenge = Challenge(scheme="bearer", parameters={"realm": realm})
    with pytest.raises(RegistryFault) as caught:
        service.authorizer().renewed([challenge], PULL, "")
    assert message in caught.value.text
    assert "x" not in caught.value.text.replace("example", "")
    assert service.asked == []


@pytest.mark.parametrize(
    ("realm", "plain"),
    [
        ("http://auth.example/token", True),
        ("http://127.0.0.1:5001/token", False),
        ("http://[::1]:5001/token", False),
        ("http://localhost/token", False),
    ],
)
def test_where_plain_http_may_carry_them(realm: str, plain: bool) -> None:
    challenge = Challenge(scheme="bearer", parameters={"realm": realm})
    assert numbered().authorizer(plain=plain).renewed([challenge], PULL, "") == "Bearer t1"


def test_a_bearer_challenge_without_a_realm_is_none() -> None:
    service = numbered()
    assert service.authorizer().renewed([Challenge(scheme="bearer")], PULL, "") == ""
    assert service.authorizer().renewed([Challenge(scheme="digest")], PULL, "") == ""


def test_nothing_secret_is_shown() -> None:
    assert "s3cret" not in repr(TokenRequest(url="u", authorization="s3cret", form=b"s3cret"))
    assert "s3cret" not in repr(Authorizer(registry="r", credentials=ACCOUNT, ask=numbered().ask))
