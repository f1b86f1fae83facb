# SPDX-License-Identifier: Apache-2.0
import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.base import BaseNaming, BaseSystem, base_references

TRIXIE = BaseSystem(os="debian", codename="trixie", arch="amd64", version="13")
BULLSEYE = BaseSystem(os="debian", codename="bullseye", arch="amd64", version="11")


@pytest.mark.parametrize(
    ("system", "naming", "expected"),
    [
        (TRIXIE, BaseNaming(account="me"), ["me/stx-debian:trixie-amd64-stable-13"]),
        (
            TRIXIE,
            BaseNaming(version="1.2", stream="dev", prefix="master", registry="r.example:5000/", user="starlingx"),
            ["r.example:5000/starlingx/stx-debian:master-trixie-amd64-dev-1.2"],
        ),
        (
            TRIXIE,
            BaseNaming(user="u", latest=True, latest_tag="newest"),
            ["u/stx-debian:trixie-amd64-stable-13", "u/stx-debian:trixie-amd64-stable-newest"],
        ),
        # Debian bullseye for amd64 is older than codenames and architectures in tags, and keeps the names without.
        (
            BULLSEYE,
            BaseNaming(user="u", version="v1", prefix="p", latest=True),
            [
                "u/stx-debian:p-bullseye-amd64-stable-v1",
                "u/stx-debian:p-bullseye-amd64-stable-latest",
                "u/stx-debian:p-stable-v1",
                "u/stx-debian:p-stable-latest",
            ],
        ),
        (
            BaseSystem(os="debian", codename="bullseye", arch="arm64", version="11"),
            BaseNaming(user="u"),
            ["u/stx-debian:bullseye-arm64-stable-11"],
        ),
    ],
)
def test_names(system: BaseSystem, naming: BaseNaming, expected: list[str]) -> None:
    assert [str(reference) for reference in base_references(system, naming)] == expected


@pytest.mark.parametrize(
    ("naming", "message"),
    [
        (BaseNaming(), "no account is known"),
        (BaseNaming(account="Upper"), "the account 'Upper' cannot be part"),
        (BaseNaming(user="u", version="1/2"), "is not a tag"),
        (BaseNaming(user="u", prefix="-p"), "is not a tag"),
        (BaseNaming(user="u", registry="https://r.example"), "is not an image reference"),
    ],
)
def test_names_that_cannot_be(naming: BaseNaming, message: str) -> None:
    with pytest.raises(InputError, match=message):
        base_references(TRIXIE, naming)
