# SPDX-License-Identifier: Apache-2.0
"""Reading blobs: whole, after breaks, from elsewhere, and not when they are damaged."""

import attrs
import pytest

from stxbuildah.errors import InputError, RegistryError, StxbError
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.download import foreign_urls
from stxbuildah.registry.endpoint import Endpoint
from tests.engine.faultrules import Fault
from tests.engine.faultserver import FaultServer
from tests.engine.tokengate import Tokens
from tests.unit.registry_client.conftest import STALLED, Front, Scene
from tests.unit.registry_client.memory import MemoryRegistry, described, noise

BLOB = noise(1_000_000)
HALF = 500_000
BLOBS = "/blobs/sha256:"


LAYER = described(BLOB)


def read(client: RegistryClient, address: str, descriptor: Descriptor = LAYER) -> bytes:
    with client.blob(ImageReference.parse(f"{address}/a/b:1"), descriptor) as pieces:
        return b"".join(pieces)


@pytest.fixture(autouse=True)
def _filled(registry: MemoryRegistry) -> None:
    registry.add_blob("a/b", BLOB)


def test_a_blob_is_read(registry: MemoryRegistry, client: RegistryClient) -> None:
    assert read(client, registry.address) == BLOB


def test_an_empty_blob_is_read(registry: MemoryRegistry, client: RegistryClient) -> None:
    registry.add_blob("a/b", b"")
    assert read(client, registry.address, described(b"")) == b""


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="GET", path=BLOBS, reset_at=HALF),
        Fault(method="GET", path=BLOBS, truncate_at=HALF),
        Fault(method="GET", path=BLOBS, truncate_at=HALF, headers={"Content-Length": None}),
    ],
    ids=["reset", "truncated", "truncated without a length"],
)
def test_after_a_break_the_rest_is_asked_for(front: Front, client: RegistryClient, fault: Fault) -> None:
    server = front(fault)
    assert read(client, server.address) == BLOB
    first, second = server.asked("GET", BLOBS)
    start = int(second.headers["range"].removeprefix("bytes=").partition("-")[0])
    assert "range" not in first.headers
    assert 0 < start <= HALF
    assert second.status == 206
    assert second.sent == len(BLOB) - start


def test_a_registry_that_stalls_is_asked_for_the_rest(scene: Scene, front: Front) -> None:
    server = front(Fault(method="GET", path=BLOBS, stall_at=HALF))
    assert read(scene.client(read_timeout=STALLED), server.address) == BLOB
    assert server.statuses("GET", BLOBS)[:2] == [200, 206]


def test_a_registry_without_ranges_sends_it_again(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    registry.ranges = False
    server = front(Fault(method="GET", path=BLOBS, reset_at=HALF))
    assert read(client, server.address) == BLOB
    assert server.statuses("GET", BLOBS) == [200, 200]


def test_another_range_than_asked_for_is_refused(front: Front, client: RegistryClient) -> None:
    other = {"Content-Range": f"bytes 7-{len(BLOB) - 1}/{len(BLOB)}"}
    server = front(Fault(method="GET", path=BLOBS, reset_at=HALF), Fault(method="GET", path=BLOBS, headers=dict(other)))
    with pytest.raises(RegistryError, match=r"reading blob .* of .*/a/b:1 failed"):
        read(client, server.address)


@pytest.mark.parametrize(
    ("status", "headers"), [(500, {}), (503, {}), (429, {"Retry-After": "0"})], ids=["500", "503", "429"]
)
def test_a_passing_refusal_is_got_over(
    front: Front, client: RegistryClient, status: int, headers: dict[str, str | None]
) -> None:
    server = front(Fault(method="GET", path=BLOBS, status=status, times=2, headers=headers))
    assert read(client, server.address) == BLOB
    assert server.statuses("GET", BLOBS) == [status, status, 200]


def test_it_is_given_up_after_the_attempts(front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="GET", path=BLOBS, reset_at=1000, times=-1))
    with pytest.raises(RegistryError, match=r"reading blob sha256:[0-9a-f]{64} of \S+/a/b:1 failed: the connection"):
        read(client, server.address)
    assert len(server.asked("GET", BLOBS)) == 4


@pytest.mark.parametrize("place", [0, HALF, len(BLOB) - 1])
def test_a_changed_byte_is_found_out(front: Front, client: RegistryClient, place: int) -> None:
    server = front(Fault(method="GET", path=BLOBS, corrupt_at=place))
    with pytest.raises(InputError, match=rf"blob {LAYER.digest} of \S+/a/b:1 is damaged: its content has the digest"):
        read(client, server.address)
    assert len(server.asked("GET", BLOBS)) == 1


def test_a_changed_byte_is_found_out_after_a_break(front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="GET", path=BLOBS, corrupt_at=10, reset_at=HALF))
    with pytest.raises(InputError, match="is damaged"):
        read(client, server.address)


@pytest.mark.parametrize("size", [len(BLOB) - 1, len(BLOB) + 1])
def test_another_length_is_damage_and_no_byte_is_read(
    registry: MemoryRegistry, client: RegistryClient, size: int
) -> None:
    named = ImageReference.parse(f"{registry.address}/a/b:1")
    expected = rf"is damaged: it has {len(BLOB)} bytes, and should have {size}"
    with client.blob(named, attrs.evolve(LAYER, size=size)) as pieces, pytest.raises(InputError, match=expected):
        next(pieces)


def test_an_endless_answer_is_read_no_further_than_its_size(front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="GET", path=BLOBS, endless=True))
    assert read(client, server.address) == BLOB
    short = attrs.evolve(LAYER, size=HALF)
    server.add(Fault(method="GET", path=BLOBS, endless=True))
    given: list[int] = []
    named = ImageReference.parse(f"{server.address}/a/b:1")
    with client.blob(named, short) as pieces, pytest.raises(InputError, match="is damaged"):
        given.extend(map(len, pieces))
    assert sum(given) == HALF


def test_a_blob_that_is_nowhere(registry: MemoryRegistry, client: RegistryClient) -> None:
    with pytest.raises(InputError, match=r"of \S+/a/b:1 is not in its registry"):
        read(client, registry.address, described(b"other"))


def test_who_stops_reading_leaves_the_connection(front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="GET", path=BLOBS, stall_at=HALF))
    with client.blob(ImageReference.parse(f"{server.address}/a/b:1"), LAYER) as pieces:
        assert BLOB.startswith(next(pieces))
    assert read(client, server.address) == BLOB


@pytest.fixture
def elsewhere(scene: Scene) -> FaultServer:
    """A server where a foreign layer lies, which the registry has not."""
    other = scene.registry()
    other.add_blob("far", b"foreign")
    # Another name for this machine: another host to whom credentials belong.
    return scene.front(other)


def foreign(elsewhere: FaultServer) -> Descriptor:
    port = elsewhere.address.rpartition(":")[2]
    layer = described(b"foreign")
    return attrs.evolve(layer, urls=("ftp://nowhere/x", f"http://localhost:{port}/v2/far/blobs/{layer.digest}"))


def test_a_foreign_layer_comes_from_its_url_without_credentials(
    front: Front, client: RegistryClient, elsewhere: FaultServer
) -> None:
    server = front(tokens=Tokens())
    assert read(client, server.address, foreign(elsewhere)) == b"foreign"
    assert server.statuses("GET", BLOBS)[-1] == 404
    assert [exchange.headers.get("authorization") for exchange in elsewhere.asked()] == [None]


def test_a_foreign_layer_that_the_registry_has_comes_from_there(
    registry: MemoryRegistry, client: RegistryClient, elsewhere: FaultServer
) -> None:
    registry.add_blob("a/b", b"foreign")
    assert read(client, registry.address, foreign(elsewhere)) == b"foreign"
    assert elsewhere.asked() == []


def test_a_failing_registry_is_no_reason_to_ask_elsewhere(
    front: Front, client: RegistryClient, elsewhere: FaultServer
) -> None:
    server = front(Fault(path=BLOBS, status=403, code="DENIED", times=-1))
    with pytest.raises(StxbError):
        read(client, server.address, foreign(elsewhere))
    assert elsewhere.asked() == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/layer",
        "https://user:secret@host/layer",
        "https://quay.example/v2/secret/blobs/x",
        "https://quay.example:444/layer",
        "https://host:port/layer",
        "https://[::1/layer",
        "https://host/a layer",
        "https:///layer",
        "layer",
    ],
)
def test_a_url_that_is_not_followed(url: str) -> None:
    assert foreign_urls(attrs.evolve(LAYER, urls=(url,)), [Endpoint(registry="quay.example", repository="a")]) == ()


def test_urls_that_are_followed() -> None:
    urls = tuple(f"https://host-{number}/layer?x=1" for number in range(9))
    assert foreign_urls(attrs.evolve(LAYER, urls=urls), [Endpoint(registry="quay.example", repository="a")]) == urls[:4]
