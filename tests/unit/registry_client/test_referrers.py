# SPDX-License-Identifier: Apache-2.0
"""What refers to an image: asked of the registry, or kept under a tag where it does not know."""

import json

import pytest

from stxbuildah.errors import InputError, RegistryError
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.referrers import entry_of, next_page
from tests.engine.faultrules import Fault
from tests.unit.registry_client.conftest import Front
from tests.unit.registry_client.memory import MemoryRegistry, digest_of

SUBJECT = digest_of(b"the image")
TAG = SUBJECT.replace(":", "-")
SPDX = "application/spdx+json"


def referrer(number: int, artifact_type: str = SPDX) -> Document:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "subject": {"digest": SUBJECT, "size": 9, "mediaType": OCI_MANIFEST},
        "annotations": {"number": str(number)},
    }
    return Document(OCI_MANIFEST, json.dumps(document).encode())


def named(address: str) -> ImageReference:
    return ImageReference.parse(f"{address}/a:1")


def listed(client: RegistryClient, address: str, artifact_type: str = SPDX) -> set[str]:
    return {found.digest for found in client.referrers(named(address), SUBJECT, artifact_type)}


@pytest.mark.parametrize("api", [True, False], ids=["registry lists", "tag lists"])
def test_what_was_put_is_listed(registry: MemoryRegistry, client: RegistryClient, api: bool) -> None:
    registry.referrers = api
    documents = [referrer(number) for number in range(3)]
    for document in [*documents, documents[0], referrer(9, "application/other")]:
        assert client.put_referrer(named(registry.address), document, SUBJECT) == document.digest
    assert listed(client, registry.address) == {document.digest for document in documents}
    assert len(listed(client, registry.address, "")) == 4
    assert listed(client, registry.address, "application/none") == set()
    assert (("a", TAG) in registry.manifests) is not api


@pytest.mark.parametrize("api", [True, False])
def test_an_image_without_referrers(registry: MemoryRegistry, client: RegistryClient, api: bool) -> None:
    registry.referrers = api
    assert listed(client, registry.address) == set()


@pytest.mark.parametrize("filters", [True, False])
@pytest.mark.parametrize("page", [1, 2, 100])
def test_all_pages_are_read_and_filtered(
    registry: MemoryRegistry, client: RegistryClient, filters: bool, page: int
) -> None:
    registry.filters, registry.page = filters, page
    wanted = [referrer(number) for number in range(4)]
    for document in [*wanted, referrer(9, "application/other")]:
        client.put_referrer(named(registry.address), document, SUBJECT)
    # The second page of this registry forgets the filter, as some do.
    assert listed(client, registry.address) == {document.digest for document in wanted}


def test_pages_without_an_end(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    link: dict[str, str | None] = {"Link": '</v2/a/referrers/x>; rel="next"'}
    server = front(Fault(path="/referrers/", headers=link, times=-1))
    with pytest.raises(InputError, match="has more than 100 pages"):
        listed(client, server.address)


def test_a_page_of_a_website_is_no_list(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    registry.referrers = False
    client.put_referrer(named(registry.address), referrer(1), SUBJECT)
    website: dict[str, str | None] = {"Content-Type": "text/html"}
    server = front(Fault(path="/referrers/", status=200, headers=website, body=b"<html>"))
    assert listed(client, server.address) == {referrer(1).digest}


def test_entries_of_others_stay_as_they_are(registry: MemoryRegistry, client: RegistryClient) -> None:
    registry.referrers = False
    other = {"mediaType": "x", "digest": digest_of(b"x"), "size": 1, "data": "eA==", "own": [1]}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [other], "annotations": {"a": "b"}}
    registry.add_manifest("a", TAG, OCI_INDEX, json.dumps(index).encode())
    client.put_referrer(named(registry.address), referrer(1), SUBJECT)
    after = json.loads(registry.manifests["a", TAG][1])
    assert after == {**index, "manifests": [other, entry_of(referrer(1))]}


def test_a_tag_that_is_used_for_something_else(registry: MemoryRegistry, client: RegistryClient) -> None:
    registry.referrers = False
    registry.add_manifest("a", TAG, OCI_MANIFEST, b'{"schemaVersion": 2}')
    with pytest.raises(InputError, match=f"under the tag {TAG} is no index"):
        client.put_referrer(named(registry.address), referrer(1), SUBJECT)
    assert registry.manifests["a", TAG][1] == b'{"schemaVersion": 2}'


def test_a_list_that_another_writer_replaced_is_written_again(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    registry.referrers = False
    client.put_referrer(named(registry.address), referrer(1), SUBJECT)
    # The registry takes the list, and somebody else's is there at once: as if this one had never been written.
    server = front(Fault(method="PUT", path=TAG, status=201, times=2))
    client.put_referrer(named(server.address), referrer(2), SUBJECT)
    assert listed(client, registry.address) == {referrer(1).digest, referrer(2).digest}
    assert len(server.asked("PUT", TAG)) == 3


def test_an_entry_that_another_writer_lost_is_written_again(
    registry: MemoryRegistry, front: Front, client: RegistryClient
) -> None:
    registry.referrers = False
    client.put_referrer(named(registry.address), referrer(1), SUBJECT)
    # What is read after the list was written lacks the entry that was there before.
    lost = json.dumps({"schemaVersion": 2, "manifests": [entry_of(referrer(2))]}).encode()
    server = front(Fault(method="GET", path=TAG, skip=1, status=200, headers={"Content-Type": OCI_INDEX}, body=lost))
    client.put_referrer(named(server.address), referrer(2), SUBJECT)
    assert listed(client, registry.address) == {referrer(1).digest, referrer(2).digest}
    assert len(server.asked("PUT", TAG)) == 2


def test_a_list_that_others_write_each_time(registry: MemoryRegistry, front: Front, client: RegistryClient) -> None:
    registry.referrers = False
    server = front(Fault(method="PUT", path=TAG, status=201, times=-1))
    with pytest.raises(RegistryError, match="has no list of referrers that stays"):
        client.put_referrer(named(server.address), referrer(1), SUBJECT)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("", ""),
        ("</v2/x?n=1>; rel=next", "http://here:5000/v2/x?n=1"),
        ('</v2/x?n=1>; rel="next"', "http://here:5000/v2/x?n=1"),
        ('<x?n=1> ; title="a, b" ; rel="last next"', "http://here:5000/v2/a/x?n=1"),
        ('</one>; rel=prev, <http://here:5000/two>; rel="next"', "http://here:5000/two"),
        ('</one>; rel="nextish"', ""),
        ("<http://there/v2/x>; rel=next", ""),
        ("<http://[::1/v2/x>; rel=next", ""),
        ("/v2/x; rel=next", ""),
    ],
)
def test_the_next_page_of_a_link(link: str, expected: str) -> None:
    assert next_page(link, "http://here:5000/v2/a/referrers") == expected


def test_the_type_of_an_artifact_may_be_that_of_its_configuration() -> None:
    document = Document(OCI_MANIFEST, b'{"config": {"mediaType": "application/x"}}')
    assert entry_of(document)["artifactType"] == "application/x"
