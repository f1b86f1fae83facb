# SPDX-License-Identifier: Apache-2.0
"""What an answer means, and what the user is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import AuthenticationError, InputError, RegistryError, StxbError
from stxbuildah.registry.fault import RegistryFault, retry_after, status_fault

URL = "https://r.example/v2/a/manifests/1"


def fault(status: int, body: object = b"", headers: dict[str, str] | None = None) -> RegistryFault:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status_fault(status, headers or {}, data, registry="r.example", url=URL)


def errors(code: str, message: str = "") -> dict[str, object]:
    return {"errors": [{"code": code, "message": message, "detail": {"x": 1}}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "transient", "error"),
    [
        (401, errors("UNAUTHORIZED"), FaultKind.AUTHENTICATION, False, AuthenticationError),
        (401, errors("DENIED"), FaultKind.DENIED, False, AuthenticationError),
        (403, b"", FaultKind.DENIED, False, AuthenticationError),
        (403, errors("TOOMANYREQUESTS"), FaultKind.RATE_LIMIT, True, RegistryError),
        (404, errors("MANIFEST_UNKNOWN"), FaultKind.NOT_FOUND, False, InputError),
        (404, errors("DENIED"), FaultKind.NOT_FOUND, False, InputError),
        (408, b"", FaultKind.TIMEOUT, True, RegistryError),
        (413, b"", FaultKind.OTHER, False, RegistryError),
        (416, b"", FaultKind.OTHER, False, RegistryError),
        (429, b"", FaultKind.RATE_LIMIT, True, RegistryError),
        (500, b"<html>", FaultKind.SERVER_ERROR, True, RegistryError),
        (501, b"", FaultKind.OTHER, False, RegistryError),
        (502, b"", FaultKind.SERVER_ERROR, True, RegistryError),
        (503, b"", FaultKind.SERVER_ERROR, True, RegistryError),
        (504, b"", FaultKind.SERVER_ERROR, True, RegistryError),
    ],
)
def test_the_class_of_an_answer(
    status: int, body: object, kind: FaultKind, transient: bool, error: type[StxbError]
) -> None:
    found = fault(status, body)
    assert (found.kind, found.status, found.transient) == (kind, status, transient)
    assert type(found.error("reading r.example/a:1")) is error


def test_what_the_user_is_told() -> None:
    missing = fault(404, errors("MANIFEST_UNKNOWN", "manifest unknown")).error("reading r.example/a:1")
    assert missing.message == "reading r.example/a:1 failed: there is no such image or repository"
    assert "podman login r.example" in missing.hint
    assert missing.details == (f"{URL} answers 404: MANIFEST_UNKNOWN: manifest unknown",)

    limited = fault(429).error("pushing r.example/a:1")
    assert limited.message == "pushing r.example/a:1 failed: r.example limits how many requests it takes"

    strange = fault(418, {"errors": [{"code": "TEAPOT"}]}).error("pushing r.example/a:1")
    assert strange.message == f"pushing r.example/a:1 failed: {URL} answers 418: TEAPOT"


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (errors("NAME_INVALID", "no\r\nsuch \x1b[31mname"), "NAME_INVALID", ": NAME_INVALID: no such [31mname"),
        ({"errors": [{"message": "m"}]}, "", ": m"),
        ({"errors": [{"code": 5}]}, "", ""),
        ({"errors": []}, "", ""),
        ({"errors": "x"}, "", ""),
        ({"error": "invalid_grant", "error_description": "expired"}, "invalid_grant", ": invalid_grant: expired"),
        ({"details": "incorrect username or password"}, "", ": incorrect username or password"),
        (b"\xff", "", ""),
        (b"[" * 60_000, "", ""),
        (errors("C" * 1000), "C" * 300, ": " + "C" * 300),
    ],
)
def test_the_registrys_own_words(body: object, code: str, text: str) -> None:
    found = fault(400, body)
    assert found.code == code
    assert found.text == f"{URL} answers 400{text}"


@given(st.text() | st.integers() | st.none(), st.text())
def test_any_words_make_one_line_to_read(code: object, message: str) -> None:
    body = {"errors": [{"code": code, "message": message}]}
    assert fault(400, body).text.isprintable()


@given(st.binary(max_size=200))
def test_any_body_is_read(body: bytes) -> None:
    assert fault(400, body).status == 400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("9" * 30, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:20:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    ],
)
def test_how_long_a_registry_asks_to_wait(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=1445412420.0) == seconds
    if value.strip() == "120":
        assert fault(503, headers={"Retry-After": value}).retry_after == seconds


@given(st.text(max_size=40))
def test_any_wish_is_read(value: str) -> None:
    found = retry_after(value, now=0.0)
    assert found is None or found >= 0
