# SPDX-License-Identifier: Apache-2.0
"""Machines as ssh reaches them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.model.ship import SshDestination


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh://controller-0", SshDestination(host="controller-0")),
        ("ssh://sysadmin@10.10.10.3:2222/", SshDestination(host="10.10.10.3", user="sysadmin", port=2222)),
        ("ssh://root@[fd00::3%eth0]:22", SshDestination(host="fd00::3%eth0", user="root", port=22)),
        ("ssh://build_host.example", SshDestination(host="build_host.example")),
    ],
)
def test_what_can_be_reached(text: str, expected: SshDestination) -> None:
    assert SshDestination.parse(text) == expected
    assert SshDestination.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "controller-0", "sysadmin@controller-0", "ssh://", "ssh://-oProxyCommand=id", "ssh://-l@host", "ssh://a b",
        "ssh://host/path", "ssh://host:0", "ssh://host:65536", "ssh://host:", "ssh://$(id)", "ssh://host\n", "http://host",
        "ssh://user:secret@host", "ssh://[::1", "ssh://a@b@c",
    ],
)  # fmt: skip
def test_what_cannot(text: str) -> None:
    with pytest.raises(InputError, match="is no machine to ship to") as caught:
        SshDestination.parse(text)
    assert "secret" not in caught.value.message


@given(st.text())
def test_no_text_becomes_an_option_of_ssh(text: str) -> None:
    try:
        destination = SshDestination.parse(f"ssh://{text}")
    except InputError:
        return
    for word in (destination.host, destination.user):
        assert not word.startswith("-")
        assert word.isprintable()
        assert not set(word) & set(" '\"$`\\;&|<>()")
