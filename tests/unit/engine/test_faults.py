# SPDX-License-Identifier: Apache-2.0
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.faults import Fault, FaultKind, classify, message_of, to_error
from stxbuildah.errors import (
    AuthenticationError,
    BuildError,
    DiskFullError,
    HostError,
    InputError,
    InterruptedByUserError,
    RegistryError,
    StxbError,
)

K = FaultKind
UPLOAD = "http://127.0.0.1:5000/v2/a/blobs/uploads/e6053bdd-2155-4abd-b529-394df881f555?_state=J9_-x&digest=sha256%3A12"
HEX = "429e" * 16

# Except where a comment says otherwise, each was written by buildah 1.28, podman 4.3 or skopeo 1.9 when the fault was
# made for it; addresses and digests are shortened.
TOLD = [
    (K.NOT_FOUND, "reading manifest 2 in 127.0.0.1:5077/a/none: manifest unknown: manifest unknown"),
    (
        K.NOT_FOUND,
        'reference "[overlay@/root+/run]localhost/x:1" does not resolve to an image ID: identifier is not an image',
    ),
    (K.NOT_FOUND, "localhost/nobase:1: image not known"),
    (
        K.NOT_FOUND,
        "initiating layer upload to /v2/a/blobs/uploads/ in 127.0.0.1:5000: name unknown: no such repository",
    ),
    (K.NOT_FOUND, "pinging container registry 127.0.0.1:5000: invalid status code from registry 404 (Not Found)"),
    (
        K.NOT_FOUND,
        "parsing image configuration: Error fetching blob: invalid status code from registry 404 (Not Found)",
    ),
    (
        K.NOT_FOUND,
        'short-name "shorty" did not resolve to an alias and no unqualified-search registries are defined in "/etc/c"',
    ),
    (K.AUTHENTICATION, "reading manifest 1 in 127.0.0.1:5000/x: unauthorized: authentication required"),
    (K.AUTHENTICATION, "unable to retrieve auth token: invalid username/password: unauthorized: no"),
    (K.AUTHENTICATION, "writing manifest: uploading manifest 1 to 127.0.0.1:5000/a: unauthorized: who are you"),
    (K.DENIED, "writing blob: uploading layer chunked: denied: not yours"),
    (K.DENIED, "pinging container registry 127.0.0.1:5000: invalid status code from registry 403 (Forbidden)"),
    # Docker Hub's word for a repository that is not there or private.
    (
        K.DENIED,
        "reading manifest latest in docker.io/library/x: errors: denied: requested access to the resource is denied",
    ),
    (K.RATE_LIMIT, "writing blob: uploading layer chunked: toomanyrequests: slow down"),
    (K.RATE_LIMIT, "parsing image configuration: too many requests to registry"),
    # Docker Hub.
    (
        K.RATE_LIMIT,
        "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
    ),
    (
        K.DNS,
        'Get "http://nohost.invalid/v2/": dial tcp: lookup nohost.invalid on 10.0.0.53:53: no such host',
    ),
    # A resolver that does not answer.
    (K.TIMEOUT, 'Get "https://r.example/v2/": dial tcp: lookup r.example on 10.0.0.53:53: read udp: i/o timeout'),
    (K.TIMEOUT, 'Get "https://r.example/v2/": net/http: TLS handshake timeout'),
    (K.TIMEOUT, 'Get "https://r.example/v2/": dial tcp 10.0.0.1:443: connect: connection timed out'),
    (K.CONNECTION_REFUSED, 'Get "http://127.0.0.1:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused'),
    (K.PLAIN_HTTP, 'Get "https://127.0.0.1:5077/v2/": http: server gave HTTP response to HTTPS client'),
    (K.TLS, 'Get "https://127.0.0.1:44661/v2/": x509: certificate signed by unknown authority'),
    # A newer Go.
    (K.TLS, "tls: failed to verify certificate: x509: certificate is valid for a.example, not b.example"),
    (K.SERVER_ERROR, "pinging container registry 127.0.0.1:1: invalid status code from registry 502 (Bad Gateway)"),
    (K.SERVER_ERROR, "uploading manifest 1 to 127.0.0.1:1/t: received unexpected HTTP status: 504 Gateway Timeout"),
    (K.SERVER_ERROR, f"uploading layer to {UPLOAD}: received unexpected HTTP status: 500 Internal Server Error"),
    (K.RESET, f'writing blob: Put "{UPLOAD}": read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer'),
    (K.RESET, f'writing blob: Patch "{UPLOAD}": write tcp 127.0.0.1:1->127.0.0.1:2: use of closed network connection'),
    (K.RESET, 'pinging container registry 127.0.0.1:1: Get "http://127.0.0.1:1/v2/": EOF'),
    (K.RESET, "writing blob: storing blob to file: unexpected EOF"),
    (
        K.DISK_FULL,
        "adding layer: ApplyLayer stdout:  stderr: write /usr/bin/join: no space left on device exit status 1",
    ),
    (
        K.NO_USER_NAMESPACE,
        "potentially insufficient UIDs or GIDs available in user namespace (requested 0:42 for /x): Check /etc/subuid",
    ),
    (K.BLOB_MISSING, f"writing blob: open /tmp/layout/{HEX}: no such file or directory"),
    (K.BLOB_MISSING, f"writing blob: open /tmp/layout/blobs/sha256/{HEX}: no such file or directory"),
    (K.STORAGE_RACE, f'creating image with layer "{HEX}": layer not known'),
    (K.OTHER, "determining manifest MIME type for dir:/x: open /x/manifest.json: no such file or directory"),
    (K.OTHER, "mkdir /root/x: permission denied"),
    (K.OTHER, ""),
]


@pytest.mark.parametrize(("kind", "text"), TOLD, ids=[f"{kind} {number}" for number, (kind, _) in enumerate(TOLD)])
def test_a_programs_words_are_understood_from_both_families(kind: FaultKind, text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    skopeo = f'time="2026-01-01T00:00:00Z" level=fatal msg="{quoted}"'

    assert classify(["Copying blob sha256:12", skopeo], 1) == Fault(kind=kind, line=text or "Copying blob sha256:12")
    assert classify([f"Error: {text}"], 125) == Fault(kind=kind, line=text)


@pytest.mark.parametrize(
    "name",
    ["registry.example/unauthorized:1", "registry.example/denied:429", "r.example/a:EOF", f"r.example/a@sha256:{HEX}"],
)
def test_an_images_name_is_no_fault(name: str) -> None:
    repository = name.partition("@")[0]
    line = f"initializing source docker://{name}: reading manifest 429 in {repository}: manifest unknown"
    assert classify([line], 1).kind is K.NOT_FOUND


def test_warnings_decide_nothing() -> None:
    warning = 'time="2026-01-01T00:00:00Z" level=warning msg="Found no UID: no subuid ranges found for user \\"u\\""'
    retried = 'time="2026-01-01T00:00:00Z" level=warning msg="Failed, retrying in 2s ... (1/3). connection refused"'
    failure = 'time="2026-01-01T00:00:00Z" level=fatal msg="reading manifest 1 in r.example/a: manifest unknown"'
    assert classify([warning, retried], 1) == Fault(kind=K.OTHER)
    assert classify([warning, failure, retried], 1).kind is K.NOT_FOUND


def test_the_last_failure_decides() -> None:
    lines = ["Error: connection refused", "Error: manifest unknown"]
    assert classify(lines, 1).kind is K.NOT_FOUND
    assert classify(lines[::-1], 1).kind is K.CONNECTION_REFUSED


def test_a_failure_in_several_lines_is_understood() -> None:
    lines = ["Error: 1 error occurred:", "\t* image used by ee9e: image is in use by a container", "", ""]
    assert classify(lines, 125) == Fault(kind=K.OTHER, line="image used by ee9e: image is in use by a container")


@pytest.mark.parametrize(
    ("returncode", "kind"),
    [(-signal.SIGINT, K.INTERRUPTED), (-signal.SIGTERM, K.INTERRUPTED), (130, K.INTERRUPTED), (143, K.INTERRUPTED),
     (-signal.SIGKILL, K.OTHER), (-signal.SIGSEGV, K.OTHER), (1, K.OTHER), (125, K.OTHER), (2, K.OTHER)],
)  # fmt: skip
def test_the_end_by_a_signal_is_an_interruption(returncode: int, kind: FaultKind) -> None:
    assert classify(["Copying blob sha256:12"], returncode).kind is kind


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("toomanyrequests: retry-after: 7", 7.0),
        ("toomanyrequests: retry-after: 500.5µs, allowed: 44000/minute", 0.0005005),
        ("toomanyrequests: Try again in 2m", 120.0),
        ("toomanyrequests: retry after 250ms please", 0.25),
        ("toomanyrequests: retry later", None),
    ],
)
def test_the_time_that_a_registry_names_is_read(text: str, seconds: float | None) -> None:
    assert classify([f"Error: {text}"], 1).retry_after == pytest.approx(seconds)


def test_only_what_may_pass_is_transient() -> None:
    assert {kind for kind in K if Fault(kind=kind).transient} == {
        K.CONNECTION_REFUSED, K.RATE_LIMIT, K.RESET, K.SERVER_ERROR, K.STORAGE_RACE, K.TIMEOUT,
    }  # fmt: skip


ERRORS: dict[FaultKind, type[StxbError]] = {
    K.NOT_FOUND: InputError,
    K.AUTHENTICATION: AuthenticationError,
    K.DENIED: AuthenticationError,
    K.DNS: RegistryError,
    K.CONNECTION_REFUSED: RegistryError,
    K.TLS: RegistryError,
    K.PLAIN_HTTP: RegistryError,
    K.RATE_LIMIT: RegistryError,
    K.SERVER_ERROR: RegistryError,
    K.RESET: RegistryError,
    K.TIMEOUT: RegistryError,
    K.DISK_FULL: DiskFullError,
    K.STORAGE_RACE: BuildError,
    K.BLOB_MISSING: BuildError,
    K.NO_USER_NAMESPACE: HostError,
    K.INTERRUPTED: InterruptedByUserError,
    K.OTHER: BuildError,
}


@pytest.mark.parametrize("kind", K)
def test_every_fault_becomes_an_error_of_its_class(kind: FaultKind) -> None:
    error = to_error(Fault(kind=kind, line="its words"), "pushing r.example:5000/a:1", registry="r.example:5000")

    assert type(error) is ERRORS[kind]
    assert error.message.startswith("pushing r.example:5000/a:1 failed")
    assert not error.message.endswith((":", " "))
    assert "{" not in error.message + error.hint
    assert error.details == ("its words",)


def test_an_error_says_what_to_do_with_the_names_at_hand() -> None:
    tls = to_error(Fault(kind=K.TLS), "pushing a", registry="r.example:5000")
    login = to_error(Fault(kind=K.AUTHENTICATION), "pushing a", registry="r.example:5000")
    full = to_error(Fault(kind=K.DISK_FULL), "storing a", folder="/var/images")

    assert "certs.d/r.example:5000/ca.crt" in tls.hint
    assert "podman login r.example:5000" in login.hint
    assert full.hint == "make room in /var/images; df -h shows what is full"


@given(st.lists(st.text()), st.integers(-64, 255))
def test_any_output_gives_a_fault(lines: list[str], returncode: int) -> None:
    fault = classify(lines, returncode)
    assert isinstance(to_error(fault, "doing it"), StxbError)
    assert not fault.line or any(fault.line in message_of(line) for line in lines)
