# SPDX-License-Identifier: Apache-2.0
"""Names of places where images lie."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.reference import ImageReference

REFERENCE = ImageReference("quay.example/a/b", "1.0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:layout", ImageLocation(transport=Transport.OCI, path=Path("layout"))),
        ("oci:/srv/layout:1.0", ImageLocation(transport=Transport.OCI, path=Path("/srv/layout"), tag="1.0")),
        (
            "oci-archive:a.tar:localhost/b:1",
            ImageLocation(transport=Transport.OCI_ARCHIVE, path=Path("a.tar"), tag="localhost/b:1"),
        ),
        ("oci-archive:a.tar", ImageLocation(transport=Transport.OCI_ARCHIVE, path=Path("a.tar"))),
        ("docker-archive:a.tar", ImageLocation(transport=Transport.DOCKER_ARCHIVE, path=Path("a.tar"))),
        (
            "docker-archive:a.tar:quay.example/a/b:1.0",
            ImageLocation(transport=Transport.DOCKER_ARCHIVE, path=Path("a.tar"), reference=REFERENCE),
        ),
        (
            "docker://quay.example/a/b:1.0",
            ImageLocation(transport=Transport.REGISTRY, reference=REFERENCE, explicit=True),
        ),
        ("quay.example/a/b:1.0", ImageLocation(transport=Transport.REGISTRY, reference=REFERENCE)),
        ("python:3.13", ImageLocation(transport=Transport.REGISTRY, reference=ImageReference("python", "3.13"))),
        # The image of Docker itself.
        ("docker:dind", ImageLocation(transport=Transport.REGISTRY, reference=ImageReference("docker", "dind"))),
        ("oci", ImageLocation(transport=Transport.REGISTRY, reference=ImageReference("oci"))),
    ],
)
def test_a_location_is_read_and_gives_its_name_back(text: str, expected: ImageLocation) -> None:
    location = ImageLocation.parse(text)
    assert location == expected
    assert str(location) == text


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("oci:", "names no file or folder", "oci:FOLDER:TAG"),
        ("oci-archive::1.0", "names no file or folder", "oci-archive:FILE:NAME"),
        ("docker-archive:", "names no file or folder", "docker-archive:FILE:NAME"),
        ("oci:layout:", "ends in a colon", "without the colon"),
        ("oci:lay\0out", "names no file or folder", "oci:FOLDER"),
        ("oci:layout:..", "cannot be the name of an image in a layout", "letters and digits"),
        ("oci:layout:a b", "cannot be the name of an image in a layout", "letters and digits"),
        ("dir:/srv/x", "transport dir: are not read", "skopeo copy"),
        ("containers-storage:x", "transport containers-storage: are not read", "by its reference alone"),
        ("docker-daemon:x:1", "transport docker-daemon:", "skopeo copy"),
        ("https://quay.example/x:1", "https:// is no transport", "docker://"),
        ("docker-archive:a.tar:@0", "is not an image reference", "name:tag"),
        (f"docker-archive:a.tar:b@sha256:{'0' * 64}", "no digest to name it by", "name:tag"),
        ("docker://", "is not an image reference", "name:tag"),
        ("Upper:1", "is not an image reference", "lower case"),
    ],
)
def test_what_is_no_location_is_refused_with_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        ImageLocation.parse(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"\A(oci|oci-archive|docker-archive|docker|dir):[a-zA-Z0-9:@/._-]{0,20}\Z"))
def test_every_location_survives_its_own_name(text: str) -> None:
    try:
        location = ImageLocation.parse(text)
    except InputError:
        return
    assert ImageLocation.parse(str(location)) == location
