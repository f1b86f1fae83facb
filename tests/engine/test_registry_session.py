# SPDX-License-Identifier: Apache-2.0
"""Sessions with a real registry: TLS of a private CA, a password, faults on the way, what podman and skopeo do."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from stxbuildah.engine.faults import FaultKind
from stxbuildah.engine.process import Runner
from stxbuildah.errors import AuthenticationError, InputError, RegistryError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.registry.session import RegistryFault, RegistrySession
from tests.engine.registries import PASSWORD, USER, FaultProxy, Registry, Rule, write_authfile

pytestmark = pytest.mark.engine

REPOSITORY = "session/app"
CONTENT = bytes(range(256)) * 4000
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
QUICK = Retry(attempts=3, delay=0.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without any settings."""
    (tmp_path / ".config/containers").mkdir(parents=True)
    (tmp_path / ".config/containers/registries.conf").write_text("")
    return tmp_path


@pytest.fixture
def session_of(home: Path) -> Iterator[Callable[..., RegistrySession]]:
    """Makes sessions of that home."""
    with ExitStack() as sessions:

        def make(access: RegistryAccess | None = None, variables: Mapping[str, str] | None = None) -> RegistrySession:
            return sessions.enter_context(
                RegistrySession(
                    access=access or RegistryAccess(),
                    retry=QUICK,
                    proxies=Proxies(),
                    runner=Runner(),
                    environment={"HOME": str(home), "XDG_RUNTIME_DIR": str(home), **(variables or {})},
                )
            )

        yield make


def round_trip(session: RegistrySession, address: str) -> bytes:
    """Upload a blob in one piece and read it again."""
    [endpoint] = session.endpoints(ImageReference.parse(f"{address}/{REPOSITORY}:1"), pull=False)
    with session.request(endpoint, "POST", f"{REPOSITORY}/blobs/uploads/", expect=frozenset({202})) as begun:
        location = begun.location
    place = f"{location}{'&' if '?' in location else '?'}digest={DIGEST}"
    with session.request(endpoint, "PUT", place, body=CONTENT, expect=frozenset({201})) as done:
        assert done.headers["docker-content-digest"] == DIGEST
    with session.request(endpoint, "GET", f"{REPOSITORY}/blobs/{DIGEST}", expect=frozenset({200})) as blob:
        return blob.read(len(CONTENT))


def fault_of(session: RegistrySession, address: str) -> RegistryFault:
    [endpoint] = session.endpoints(ImageReference.parse(f"{address}/{REPOSITORY}:1"), pull=True)
    with (
        pytest.raises(RegistryFault) as caught,
        session.request(endpoint, "GET", f"{REPOSITORY}/manifests/absent", expect=frozenset({200})),
    ):
        pass
    return caught.value


def test_plain_http_needs_leave(registry: Registry, session_of: Callable[..., RegistrySession], home: Path) -> None:
    fault = fault_of(session_of(), registry.address)
    assert fault.kind is FaultKind.PLAIN_HTTP
    assert round_trip(session_of(RegistryAccess(tls_verify=False)), registry.address) == CONTENT
    (home / ".config/containers/registries.conf").write_text(
        f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n'
    )
    assert round_trip(session_of(), registry.address) == CONTENT


def test_a_private_ca(tls_registry: Registry, session_of: Callable[..., RegistrySession], home: Path) -> None:
    assert tls_registry.certs_d is not None
    fault = fault_of(session_of(), tls_registry.address)
    assert fault.kind is FaultKind.TLS
    error = fault.error("reading")
    assert isinstance(error, RegistryError)
    assert error.message == f"reading failed: the certificate of {tls_registry.address} is not trusted"
    assert round_trip(session_of(RegistryAccess(cert_dir=tls_registry.certs_d)), tls_registry.address) == CONTENT
    named = {"SSL_CERT_FILE": str(tls_registry.certs_d / "ca.crt")}
    assert round_trip(session_of(variables=named), tls_registry.address) == CONTENT
    assert round_trip(session_of(RegistryAccess(tls_verify=False)), tls_registry.address) == CONTENT
    (home / ".config/containers/certs.d").mkdir()
    (home / ".config/containers/certs.d" / tls_registry.address).symlink_to(tls_registry.certs_d)
    assert round_trip(session_of(), tls_registry.address) == CONTENT


def test_a_password(auth_registry: Registry, session_of: Callable[..., RegistrySession], home: Path) -> None:
    address = auth_registry.address
    fault = fault_of(session_of(RegistryAccess(tls_verify=False)), address)
    assert (fault.kind, fault.code) == (FaultKind.AUTHENTICATION, "UNAUTHORIZED")
    assert isinstance(fault.error("reading"), AuthenticationError)
    given = RegistryAccess(creds=f"{USER}:{PASSWORD}", tls_verify=False)
    assert round_trip(session_of(given), address) == CONTENT
    named = RegistryAccess(authfile=auth_registry.authfile, tls_verify=False)
    assert round_trip(session_of(named), address) == CONTENT
    wrong = RegistryAccess(authfile=write_authfile(home / "wrong.json", address, password="no"), tls_verify=False)  # noqa: S106 # a wrong one
    assert fault_of(session_of(wrong), address).kind is FaultKind.AUTHENTICATION


def test_what_podman_login_wrote(
    auth_registry: Registry, session_of: Callable[..., RegistrySession], home: Path
) -> None:
    words = ["podman", "login", "--tls-verify=false", "--username", USER, "--password-stdin", auth_registry.address]
    authfile = home / "containers/auth.json"
    # The same folder that podman takes by itself, without a podman that starts in a strange home.
    Runner().run([*words, "--authfile", str(authfile)], stdin=PASSWORD.encode())
    assert round_trip(session_of(RegistryAccess(tls_verify=False)), auth_registry.address) == CONTENT


def test_what_is_not_there(registry: Registry, session_of: Callable[..., RegistrySession]) -> None:
    fault = fault_of(session_of(RegistryAccess(tls_verify=False)), registry.address)
    assert (fault.kind, fault.status) == (FaultKind.NOT_FOUND, 404)
    assert fault.code in {"MANIFEST_UNKNOWN", "NAME_UNKNOWN"}
    assert isinstance(fault.error("reading"), InputError)


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_faults_on_the_way_are_got_over(
    status: int, fault_proxy: Callable[..., FaultProxy], session_of: Callable[..., RegistrySession]
) -> None:
    proxy = fault_proxy(
        Rule(method="POST", path="/uploads/", status=status, times=2, headers={"Retry-After": "0"}),
        Rule(method="PUT", path="/uploads/", status=status),
        Rule(method="GET", path="/blobs/", status=status, times=2),
    )
    assert round_trip(session_of(RegistryAccess(tls_verify=False)), proxy.address) == CONTENT
    assert proxy.statuses("POST", "/uploads/") == [status, status, 202]
    assert proxy.statuses("PUT", "/uploads/") == [status, 201]
    assert proxy.statuses("GET", "/blobs/") == [status, status, 200]


def test_a_push_is_not_sent_to_a_location_by_skopeo_either(
    registry: Registry, registry_base: ImageReference, session_of: Callable[..., RegistrySession], home: Path
) -> None:
    """Redirection is for reading alone: the session agrees with the program about both directions."""
    (home / ".config/containers/registries.conf").write_text(
        f'[[registry]]\nprefix = "named.invalid/tests"\nlocation = "{registry.address}/tests"\ninsecure = true\n'
    )
    (home / ".config/containers/policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    named = ImageReference.parse("named.invalid/tests/base:1")
    runner = Runner(extra=(("HOME", str(home)), ("XDG_RUNTIME_DIR", str(home))))
    read = runner.run(["skopeo", "inspect", "--raw", f"docker://{named}"])
    [endpoint] = session_of().endpoints(named, pull=True)
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    session = session_of()
    with session.request(
        endpoint, "GET", f"{endpoint.repository}/manifests/1", headers=accept, expect=frozenset({200})
    ) as answer:
        assert answer.read(2**20) == read.stdout
        assert json.loads(read.stdout)["schemaVersion"] == 2

    written = runner.run(["skopeo", "copy", f"docker://{named}", f"docker://{named.with_tag('copy')}"], check=False)
    assert written.returncode != 0
    assert "named.invalid" in " ".join(written.tail)
    [target] = session.endpoints(named, pull=False)
    assert (target.registry, target.repository) == ("named.invalid", "tests/base")
