# SPDX-License-Identifier: Apache-2.0
"""Writing blobs: in one piece, gone on with after breaks, begun anew, and not when they are not what they should be."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import AuthenticationError, InputError, RegistryError, StxbError
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.upload import CHUNK, SINGLE_PUT, Content
from tests.engine.faultrules import BEFORE, Fault
from tests.engine.faultserver import FaultServer
from tests.engine.tokengate import Tokens
from tests.unit.registry_client.conftest import STALLED, Front, Scene
from tests.unit.registry_client.memory import MemoryRegistry, described, noise

SMALL = noise(300_000)
LARGE = noise(SINGLE_PUT + 3 * CHUNK)
UPLOADS = "/blobs/uploads/"


@attrs.define
class Source:
    """A blob's content that counts how often it is opened, and gives odd pieces."""

    data: bytes
    opened: int = 0

    @contextmanager
    def open(self) -> Iterator[Iterator[bytes]]:
        self.opened += 1
        yield (self.data[start : start + 99_991] for start in range(0, len(self.data), 99_991))


def write(client: RegistryClient, address: str, data: bytes) -> Source:
    source = Source(data)
    client.upload(ImageReference.parse(f"{address}/a/b:1"), described(data), source.open)
    return source


def assert_written(registry: MemoryRegistry, data: bytes) -> None:
    assert registry.blobs["a/b", described(data).digest] == data
    assert registry.uploads == {}


@pytest.mark.parametrize("data", [b"", b"x", SMALL], ids=["empty", "one byte", "small"])
def test_a_small_blob_takes_two_requests(
    registry: MemoryRegistry, front: Front, client: RegistryClient, data: bytes
) -> None:
    server = front()
    write(client, server.address, data)
    assert_written(registry, data)
    assert [exchange.method for exchange in server.asked(path=UPLOADS)] == ["POST", "PUT"]
    assert server.received() == len(data)


def test_a_large_blob_is_streamed_once(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front()
    source = write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    assert [exchange.method for exchange in server.asked(path=UPLOADS)] == ["POST", "PATCH", "PUT"]
    assert "content-range" not in server.asked("PATCH")[0].headers
    assert (source.opened, server.received()) == (1, len(LARGE))


def ranges(server: FaultServer) -> list[str]:
    return [exchange.headers.get("content-range", "") for exchange in server.asked("PATCH")]


def test_after_a_break_only_the_rest_is_sent_in_chunks(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    arrived = SINGLE_PUT
    server = front(Fault(method="PATCH", reset_request_at=arrived))
    write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    chunks = [f"{arrived + number * CHUNK}-{arrived + (number + 1) * CHUNK - 1}" for number in range(3)]
    assert ranges(server) == ["", *chunks]
    assert registry.begun == 1


def test_chunks_are_as_large_as_the_registry_asks(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    registry.least_chunk = 2 * CHUNK
    server = front(Fault(method="PATCH", reset_request_at=SINGLE_PUT))
    write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    middle = SINGLE_PUT + 2 * CHUNK
    assert ranges(server) == ["", f"{SINGLE_PUT}-{middle - 1}", f"{middle}-{len(LARGE) - 1}"]


def test_a_small_blob_goes_on_after_a_break(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="PUT", path=UPLOADS, reset_request_at=100_000))
    write(client, server.address, SMALL)
    assert_written(registry, SMALL)
    assert ranges(server) == [f"100000-{len(SMALL) - 1}"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize(
    ("status", "headers"), [(500, {}), (503, {}), (429, {"Retry-After": "0"})], ids=["500", "503", "429"]
)
def test_a_passing_refusal_is_got_over(
    registry: MemoryRegistry,
    front: Front,
    client: RegistryClient,
    method: str,
    status: int,
    headers: dict[str, str | None],
) -> None:
    server = front(Fault(method=method, path=UPLOADS, status=status, headers=headers, times=2))
    write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    assert server.statuses(method, UPLOADS)[:3] == [status, status, 201 if method == "PUT" else 202]
    assert registry.begun == 1


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_answer_that_never_comes(registry: MemoryRegistry, scene: Scene, front: Front, method: str) -> None:
    server = front(Fault(method=method, path=UPLOADS, stall_at=BEFORE))
    write(scene.client(read_timeout=STALLED), server.address, LARGE)
    assert registry.blobs["a/b", described(LARGE).digest] == LARGE


def test_a_lost_answer_to_the_end_is_no_reason_to_send_it_again(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    server = front(Fault(method="PUT", path=UPLOADS, reset_at=BEFORE))
    write(client, server.address, SMALL)
    assert_written(registry, SMALL)
    assert [exchange.method for exchange in server.asked()][-4:] == ["PUT", "GET", "DELETE", "HEAD"]
    assert server.received() == len(SMALL)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_lost_upload_begins_anew(registry: MemoryRegistry, front: Front, client: RegistryClient, method: str) -> None:
    server = front(Fault(method=method, path=UPLOADS, status=404, code="BLOB_UPLOAD_UNKNOWN"))
    source = write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    assert (registry.begun, source.opened) == (2, 2)


def test_a_registry_that_does_not_tell_where_it_stands(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    server = front(
        Fault(method="PATCH", reset_request_at=SINGLE_PUT),
        Fault(method="GET", path=UPLOADS, headers={"Range": None}),
    )
    write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    assert registry.begun == 2


def test_it_is_given_up_after_the_attempts(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="PATCH", reset_request_at=1000, times=-1))
    with pytest.raises(RegistryError, match=r"writing blob sha256:[0-9a-f]{64} to \S+/a/b:1 failed: the connection"):
        write(client, server.address, LARGE)
    assert len(server.asked("PATCH")) == 4
    assert registry.uploads == {}


def test_a_registry_that_loses_every_upload(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="PATCH", status=404, times=-1))
    with pytest.raises(RegistryError, match="loses uploads before their end"):
        write(client, server.address, LARGE)
    assert len(server.asked("PATCH")) == 4
    assert registry.uploads == {}


def test_a_repository_that_is_not_there_to_write_to(front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="POST", status=404, code="NAME_UNKNOWN"))
    with pytest.raises(InputError, match="there is no such image or repository"):
        write(client, server.address, SMALL)
    assert len(server.asked("POST")) == 1


def test_a_gateway_that_takes_no_large_request(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="PUT", status=413, body=b"<html>", times=-1))
    with pytest.raises(RegistryError, match="takes no request of that size"):
        write(client, server.address, SMALL)
    assert len(server.asked("PUT")) == 1
    assert registry.uploads == {}


def test_what_will_not_pass_is_not_tried_again(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="PATCH", status=403, code="DENIED"))
    with pytest.raises(AuthenticationError, match="does not allow"):
        write(client, server.address, LARGE)
    assert (len(server.asked("PATCH")), registry.uploads) == (1, {})


def test_bytes_that_change_on_the_way_are_sent_again_once(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    server = front(Fault(method="PUT", path=UPLOADS, corrupt_request_at=7))
    write(client, server.address, SMALL)
    assert_written(registry, SMALL)
    server.add(Fault(method="PUT", path=UPLOADS, corrupt_request_at=7, times=-1))
    with pytest.raises(RegistryError, match="what arrived has another digest"):
        write(client, server.address, SMALL[1:])
    assert (registry.begun, registry.uploads) == (4, {})


def test_a_registry_that_takes_it_for_another(front: Front, client: RegistryClient) -> None:
    other = described(b"other").digest
    server = front(Fault(method="PUT", headers={"Docker-Content-Digest": other}))
    with pytest.raises(RegistryError, match=f"took it for {other}"):
        write(client, server.address, SMALL)


@pytest.mark.parametrize("change", [-1, 1])
def test_content_of_another_length(registry: MemoryRegistry, client: RegistryClient, change: int) -> None:
    source = Source(SMALL)
    expected = attrs.evolve(described(SMALL), size=len(SMALL) + change)
    with pytest.raises(InputError, match="its content has"):
        client.upload(ImageReference.parse(f"{registry.address}/a/b:1"), expected, source.open)
    assert (registry.blobs, registry.uploads) == ({}, {})


def test_what_reading_the_content_raises_comes_out(registry: MemoryRegistry, client: RegistryClient) -> None:
    @contextmanager
    def damaged() -> Iterator[Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            yield SMALL[:1000]
            raise InputError("the layer is damaged")

        yield pieces()

    with pytest.raises(InputError, match="the layer is damaged"):
        client.upload(ImageReference.parse(f"{registry.address}/a/b:1"), described(SMALL), damaged)
    assert (registry.blobs, registry.uploads) == ({}, {})


def test_tokens_that_expire_in_the_middle(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    server = front(tokens=Tokens(uses=1))
    write(client, server.address, LARGE)
    assert_written(registry, LARGE)
    assert server.tokens is not None
    assert len(server.tokens.given) >= 3


def test_a_blob_is_streamed_from_one_repository_to_another(
    scene: Scene, registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    other = scene.registry()
    layer = described(LARGE)
    other.add_blob("c", LARGE)
    source = scene.front(other, Fault(method="GET", path="/blobs/", reset_at=SINGLE_PUT))
    target = front(Fault(method="PATCH", reset_request_at=5_000_000))
    named = ImageReference.parse(f"{source.address}/c:1")
    client.upload(ImageReference.parse(f"{target.address}/a/b:1"), layer, lambda: client.blob(named, layer))
    assert_written(registry, LARGE)


@given(
    st.binary(min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans()), max_size=5),
    st.integers(1, 20),
)
def test_content_gives_any_ranges_in_any_order(data: bytes, wanted: list[tuple[int, int, bool]], piece: int) -> None:
    @contextmanager
    def opened() -> Iterator[Iterator[bytes]]:
        yield (data[start : start + piece] for start in range(0, len(data), piece))

    with Content(opened, len(data), "it") as content:
        for first, second, whole in wanted:
            start, end = sorted((min(first, len(data)), min(second, len(data))))
            range_of = content.between(start, end)
            if whole:
                assert b"".join(range_of) == data[start:end]
            else:
                assert data[start:end].startswith(next(range_of, b""))


def test_an_unfinished_upload_is_cancelled_whatever_stops_it(registry: MemoryRegistry, client: RegistryClient) -> None:
    @contextmanager
    def stopped() -> Iterator[Iterator[bytes]]:
        if registry.begun:
            raise KeyboardInterrupt
        yield iter(())

    with pytest.raises(KeyboardInterrupt):
        client.upload(ImageReference.parse(f"{registry.address}/a/b:1"), described(SMALL), stopped)
    assert (registry.begun, registry.uploads) == (1, {})


def test_a_registry_without_a_location(front: Front, client: RegistryClient) -> None:
    server = front(Fault(method="POST", headers={"Location": None}, times=-1))
    with pytest.raises(StxbError, match="without a Location"):
        write(client, server.address, SMALL)
