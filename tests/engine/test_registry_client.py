# SPDX-License-Identifier: Apache-2.0
"""The registry client against docker-registry, and against servers that spoil its transfers."""

import contextlib
import hashlib
import http.client
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.errors import AuthenticationError, InputError, RegistryError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.session import RegistrySession
from stxbuildah.registry.upload import CHUNK, SINGLE_PUT
from tests.engine.faultrules import BEFORE, Fault
from tests.engine.faultserver import FaultServer, running_fault_server
from tests.engine.registries import Registry
from tests.engine.tokengate import Tokens

pytestmark = pytest.mark.engine

LARGE = random.Random(1).randbytes(SINGLE_PUT + 2 * CHUNK)  # noqa: S311 # the same in every run
SMALL = LARGE[:100_000]
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
UPLOADS = "/blobs/uploads/"

MakeClient = Callable[..., RegistryClient]
Front = Callable[..., FaultServer]


def described(data: bytes, media_type: str = LAYER) -> Descriptor:
    return Document(media_type, data).descriptor


def content(data: bytes) -> Callable[[], AbstractContextManager[Iterator[bytes]]]:
    @contextmanager
    def opened() -> Iterator[Iterator[bytes]]:
        yield (data[start : start + 65_537] for start in range(0, len(data), 65_537))

    return opened


def read(client: RegistryClient, reference: ImageReference, descriptor: Descriptor) -> bytes:
    with client.blob(reference, descriptor) as pieces:
        return b"".join(pieces)


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    with ExitStack() as running:

        def make(
            *,
            tls_verify: bool | None = False,
            certs_d: Path | None = None,
            authfile: Path | None = None,
            creds: str = "",
        ) -> RegistryClient:
            home = tmp_path / "home"
            if certs_d is not None:
                shutil.copytree(certs_d.parent, home / ".config/containers/certs.d")
            session = RegistrySession(
                access=RegistryAccess(tls_verify=tls_verify, authfile=authfile, creds=creds, timeout=20.0),
                retry=Retry(attempts=4, delay=0.05),
                proxies=Proxies(),
                runner=Runner(),
                environment={"HOME": str(home)},
            )
            return RegistryClient(running.enter_context(session))

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> RegistryClient:
    return make_client()


@pytest.fixture
def front(registry: Registry) -> Iterator[Front]:
    with ExitStack() as running:
        yield lambda *faults, tokens=None: running.enter_context(
            running_fault_server(registry.address, *faults, tokens=tokens)
        )


@pytest.fixture
def named(registry: Registry, request: pytest.FixtureRequest) -> ImageReference:
    """A repository of the test's own in the plain registry."""
    own = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    return ImageReference.parse(f"{registry.address}/client/{own}:1")


def through(server: FaultServer, reference: ImageReference) -> ImageReference:
    return attrs.evolve(reference, name=f"{server.address}/{reference.name.partition('/')[2]}")


def push(client: RegistryClient, reference: ImageReference, layer: bytes = SMALL, **fields: object) -> Document:
    """Write an image of one layer."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    blobs = [(described(config, OCI_CONFIG), config), (described(layer), layer)]
    for descriptor, data in blobs:
        client.upload(reference, descriptor, content(data))
    configured, layered = (
        {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
        for descriptor, _ in blobs
    )
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": configured, "layers": [layered], **fields}
    document = Document(OCI_MANIFEST, json.dumps(manifest).encode())
    assert client.put_document(reference, document) == document.digest
    return document


def test_an_image_is_written_and_read(client: RegistryClient, named: ImageReference, registry: Registry) -> None:
    document = push(client, named)
    for reference in (named, named.with_digest(document.digest)):
        assert client.document(reference) == document
        assert client.digest(reference) == document.digest
    assert read(client, named, described(SMALL)) == SMALL
    assert client.document(named.with_tag("none")) is None
    assert client.digest(named.with_tag("none")) is None
    assert client.document(attrs.evolve(named, name=f"{registry.address}/client/none")) is None


def test_an_image_that_skopeo_wrote_is_read(client: RegistryClient, registry_base: ImageReference) -> None:
    document = client.document(registry_base)
    assert document is not None
    manifest = json.loads(document.data)
    assert document.media_type == manifest.get("mediaType", OCI_MANIFEST)
    for value in [manifest["config"], *manifest["layers"]]:
        descriptor = Descriptor.from_json(value, "it")
        with client.blob(registry_base, descriptor) as pieces:
            assert sum(len(piece) for piece in pieces) == descriptor.size


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST])
def test_documents_of_every_type_come_back(client: RegistryClient, named: ImageReference, kind: str) -> None:
    manifest = push(client, named)
    entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.data)}
    platform = {"os": "linux", "architecture": "amd64"}
    changed = json.loads(manifest.data) | {"mediaType": kind}
    changed["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    changed["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    listing = {"schemaVersion": 2, "mediaType": kind, "manifests": [{**entry, "platform": platform}]}
    document = Document(kind, json.dumps(changed if kind == DOCKER_MANIFEST else listing).encode())
    client.put_document(named.with_tag("other"), document)
    assert client.document(named.with_tag("other")) == document


def test_a_large_blob_makes_its_trip(client: RegistryClient, named: ImageReference) -> None:
    layer = described(LARGE)
    assert not client.has_blob(named, layer.digest)
    client.upload(named, layer, content(LARGE))
    assert client.has_blob(named, layer.digest)
    assert read(client, named, layer) == LARGE


def test_a_blob_is_mounted(client: RegistryClient, named: ImageReference, front: Front) -> None:
    push(client, named)
    layer, other = described(SMALL), attrs.evolve(named, name=f"{named.name}-other")
    server = front()
    assert client.mount(through(server, other), layer.digest, through(server, named))
    assert client.has_blob(other, layer.digest)
    assert not client.mount(through(server, other), "sha256:" + "0" * 64, through(server, named))
    assert server.received() == 0


def test_a_missing_blob_and_a_missing_image_are_told(client: RegistryClient, named: ImageReference) -> None:
    document = push(client, named)
    other = attrs.evolve(named, name=f"{named.name}-other")
    with pytest.raises(InputError, match="the registry lacks a blob"):
        client.put_document(other, document)
    with pytest.raises(InputError, match="is not in its registry"):
        read(client, named, described(b"nowhere"))


def test_a_registry_with_a_certificate(make_client: MakeClient, tls_registry: Registry) -> None:
    named = ImageReference.parse(f"{tls_registry.address}/client/tls:1")
    with pytest.raises(RegistryError, match="is not trusted"):
        make_client(tls_verify=None).document(named)
    client = make_client(tls_verify=None, certs_d=tls_registry.certs_d)
    document = push(client, named, LARGE)
    assert client.document(named) == document
    assert read(client, named, described(LARGE)) == LARGE


def test_a_registry_with_accounts(make_client: MakeClient, auth_registry: Registry) -> None:
    named = ImageReference.parse(f"{auth_registry.address}/client/auth:1")
    client = make_client(authfile=auth_registry.authfile)
    document = push(client, named, LARGE)
    assert client.document(named) == document
    other = attrs.evolve(named, name=f"{named.name}-other")
    assert client.mount(other, described(LARGE).digest, named)
    for refused in (make_client(), make_client(creds="builder:wrong")):
        with pytest.raises(AuthenticationError, match="asks for credentials"):
            refused.document(named)


def test_tokens_expire_in_the_middle(client: RegistryClient, named: ImageReference, front: Front) -> None:
    server = front(tokens=Tokens(uses=1))
    document = push(client, through(server, named), LARGE)
    assert client.document(named) == document


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="GET", path="/blobs/sha256:", reset_at=1_000_000, times=2),
        Fault(method="GET", path="/blobs/sha256:", truncate_at=1_000_000, times=2),
        Fault(method="GET", path="/blobs/sha256:", status=429, headers={"Retry-After": "0"}, times=2),
        Fault(method="GET", path="/blobs/sha256:", status=500, times=2),
    ],
    ids=["reset", "truncated", "429", "500"],
)
def test_a_download_goes_on(client: RegistryClient, named: ImageReference, front: Front, fault: Fault) -> None:
    client.upload(named, described(LARGE), content(LARGE))
    server = front(fault)
    assert read(client, through(server, named), described(LARGE)) == LARGE
    assert len(server.asked("GET", "/blobs/sha256:")) == 3
    # Not read again but for the piece that was under way.
    assert server.sent("/blobs/sha256:") <= len(LARGE) + 2 * 2**20


def test_a_download_goes_on_without_ranges(client: RegistryClient, named: ImageReference, front: Front) -> None:
    client.upload(named, described(LARGE), content(LARGE))
    whole: dict[str, str | None] = {"range": None}
    server = front(
        Fault(method="GET", path="/blobs/sha256:", reset_at=1_000_000),
        Fault(method="GET", path="/blobs/sha256:", request_headers=whole),
    )
    assert read(client, through(server, named), described(LARGE)) == LARGE
    assert server.statuses("GET", "/blobs/sha256:") == [200, 200]


def test_damage_is_found_out(client: RegistryClient, named: ImageReference, front: Front) -> None:
    client.upload(named, described(LARGE), content(LARGE))
    server = front(Fault(method="GET", path="/blobs/sha256:", corrupt_at=1_000_000))
    with pytest.raises(InputError, match=f"blob {described(LARGE).digest} of .* is damaged"):
        read(client, through(server, named), described(LARGE))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="PATCH", status=503, times=2),
        Fault(method="PATCH", status=429, headers={"Retry-After": "0"}, times=2),
        Fault(method="PATCH", reset_request_at=10_000_000, times=2),
        Fault(method="PATCH", reset_at=BEFORE),
        Fault(method="PATCH", status=404, code="BLOB_UPLOAD_UNKNOWN"),
        Fault(method="POST", path=UPLOADS, status=500, times=2),
        Fault(method="PUT", path=UPLOADS, status=502, times=2),
        Fault(method="PUT", path=UPLOADS, reset_at=BEFORE),
        Fault(method="PATCH", corrupt_request_at=5_000_000),
    ],
    ids=["503", "429", "reset", "answer lost", "upload lost", "500 begin", "502 end", "end lost", "changed bytes"],
)
def test_an_upload_gets_over_a_fault(client: RegistryClient, named: ImageReference, front: Front, fault: Fault) -> None:
    # A blob of the test's own, since the registry keeps one copy of each for all repositories.
    data = named.name.encode() + LARGE
    server = front(fault)
    client.upload(through(server, named), described(data), content(data))
    assert read(client, named, described(data)) == data
    assert fault.times == 0


def test_an_upload_is_given_up_and_forgotten(
    client: RegistryClient, named: ImageReference, front: Front, registry: Registry
) -> None:
    server = front(Fault(method="PATCH", status=503, times=-1))
    with pytest.raises(RegistryError, match="failed by itself"):
        client.upload(through(server, named), described(LARGE), content(LARGE))
    assert len(server.asked("PATCH")) == 4
    cancelled = server.asked("DELETE", UPLOADS)[-1]
    assert cancelled.status == http.HTTPStatus.NO_CONTENT
    with contextlib.closing(http.client.HTTPConnection(registry.address, timeout=60)) as connection:
        connection.request("GET", f"{cancelled.path}?{cancelled.query}")
        assert connection.getresponse().status == http.HTTPStatus.NOT_FOUND


def test_an_image_streams_from_one_registry_to_another(
    client: RegistryClient, named: ImageReference, front: Front, tls_registry: Registry, make_client: MakeClient
) -> None:
    client.upload(named, described(LARGE), content(LARGE))
    source = through(front(Fault(method="GET", path="/blobs/sha256:", reset_at=5_000_000)), named)
    target = ImageReference.parse(f"{tls_registry.address}/client/streamed:1")
    client.upload(target, described(LARGE), lambda: client.blob(source, described(LARGE)))
    assert read(client, target, described(LARGE)) == LARGE


def test_referrers_are_kept_under_a_tag(client: RegistryClient, named: ImageReference) -> None:
    subject = push(client, named)
    reference = {"mediaType": subject.media_type, "digest": subject.digest, "size": len(subject.data)}
    written = []
    for kind in ("application/spdx+json", "application/x-signature"):
        document = json.loads(subject.data) | {"artifactType": kind, "subject": reference}
        written.append(Document(OCI_MANIFEST, json.dumps(document).encode()))
        client.put_referrer(named, written[-1], subject.digest)
    client.put_referrer(named, written[0], subject.digest)
    found = client.referrers(named, subject.digest, "")
    assert [one.digest for one in found] == [document.digest for document in written]
    assert [one.digest for one in client.referrers(named, subject.digest, "application/spdx+json")] == [found[0].digest]
    assert client.referrers(named, written[0].digest, "") == ()
    assert client.document(named.with_tag(subject.digest.replace(":", "-"))) is not None
