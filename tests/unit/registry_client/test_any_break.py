# SPDX-License-Identifier: Apache-2.0
"""Transfers that break wherever it may be: in the end all bytes are there, or the damage is found out."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.client import RegistryClient
from tests.engine.faultrules import BEFORE, Fault
from tests.unit.registry_client.conftest import Scene
from tests.unit.registry_client.memory import MemoryRegistry, described, noise
from tests.unit.registry_client.test_client import content

BLOB = noise(150_000)
PLACES = st.integers(0, len(BLOB))
# One fewer than the attempts of a client.
breaking = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def get(**what: int) -> Fault:
    return Fault(method="GET", path="/blobs/sha256:", **what)  # type: ignore[arg-type] # places alone


downloads = st.lists(
    st.one_of(
        st.builds(lambda place: get(reset_at=place), PLACES),
        st.builds(lambda place: get(truncate_at=place), st.integers(0, len(BLOB) - 1)),
        st.builds(lambda: get(reset_at=BEFORE)),
        st.builds(lambda status: get(status=status), st.sampled_from([429, 500, 502, 503, 504])),
    ),
    max_size=3,
)


@given(faults=downloads, ranges=st.booleans())
@breaking
def test_a_download_that_breaks_anywhere(
    scene: Scene, registry: MemoryRegistry, client: RegistryClient, faults: list[Fault], ranges: bool
) -> None:
    registry.add_blob("a/b", BLOB)
    registry.ranges = ranges
    with scene.fronted(registry, *faults) as server:
        named = ImageReference.parse(f"{server.address}/a/b:1")
        with client.blob(named, described(BLOB)) as pieces:
            assert b"".join(pieces) == BLOB


@given(place=st.integers(0, len(BLOB) - 1))
@breaking
def test_a_byte_that_changes_anywhere(
    scene: Scene, registry: MemoryRegistry, client: RegistryClient, place: int
) -> None:
    registry.add_blob("a/b", BLOB)
    with scene.fronted(registry, get(corrupt_at=place)) as server:
        named = ImageReference.parse(f"{server.address}/a/b:1")
        with client.blob(named, described(BLOB)) as pieces, pytest.raises(InputError, match="is damaged"):
            list(pieces)


uploads = st.lists(
    st.builds(
        lambda method, what: Fault(method=method, path="/blobs/uploads/", **what),
        st.sampled_from(["PUT", "PATCH", "GET"]),
        st.one_of(
            st.fixed_dictionaries({"reset_request_at": st.integers(1, len(BLOB))}),
            st.fixed_dictionaries({"status": st.sampled_from([429, 500, 503, 504])}),
            st.just({"reset_at": BEFORE}),
            st.just({"status": 404, "code": "BLOB_UPLOAD_UNKNOWN"}),
            st.just({"status": 416, "code": "RANGE_INVALID"}),
        ),
    ),
    max_size=3,
)


@given(faults=uploads)
@breaking
def test_an_upload_that_breaks_anywhere(
    scene: Scene, registry: MemoryRegistry, client: RegistryClient, faults: list[Fault]
) -> None:
    registry.blobs.clear()
    with scene.fronted(registry, *faults) as server:
        client.upload(ImageReference.parse(f"{server.address}/a/b:1"), described(BLOB), content(BLOB))
    assert registry.blobs == {("a/b", described(BLOB).digest): BLOB}
    assert registry.uploads == {}
