# SPDX-License-Identifier: Apache-2.0
import hashlib

import pytest

from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage, digest_of, stored_names

DIGEST = "sha256:" + "5" * 64


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("r.example/app", ["r.example/app:latest"]),
        ("localhost/app:1", ["localhost/app:1"]),
        ("app", ["localhost/app:latest", "docker.io/library/app:latest"]),
        ("team/app:1", ["localhost/team/app:1", "docker.io/team/app:1"]),
        (f"r.example/app:1@{DIGEST}", [f"r.example/app@{DIGEST}"]),
        (f"app@{DIGEST}", [f"localhost/app@{DIGEST}", f"docker.io/library/app@{DIGEST}"]),
    ],
)
def test_a_name_is_tried_in_full_and_in_order(text: str, names: list[str]) -> None:
    assert [str(name) for name in stored_names(ImageReference.parse(text))] == names


def test_an_image_is_known_by_the_digests_of_its_documents() -> None:
    documents = ImageDocuments(manifest=b"manifest", config=b"config")
    stored = StoredImage(reference=ImageReference.parse("localhost/app:1"), documents=documents)

    assert stored.digest == digest_of(b"manifest") == "sha256:" + hashlib.sha256(b"manifest").hexdigest()
    assert stored.image_id == hashlib.sha256(b"config").hexdigest()
