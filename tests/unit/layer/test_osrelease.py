# SPDX-License-Identifier: Apache-2.0
import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.osrelease import parse_os_release, read_os_release
from stxbuildah.model.inventory import OsRelease

DEBIAN = b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n'
CENTOS = b'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            DEBIAN,
            OsRelease(id="debian", version_id="13", codename="trixie", pretty_name="Debian GNU/Linux 13 (trixie)"),
        ),
        (CENTOS, OsRelease(id="centos", id_like=("rhel", "fedora"), version_id="7", codename="core")),
        (b"# nothing\nID = broken\n=x\nexport A=b\n", OsRelease()),
        (b"ID=first\nID='second'\r\n", OsRelease(id="second")),
        (b'ID="$(touch /tmp/x)`id`"\n', OsRelease(id="$(touch /tmp/x)`id`")),
        (
            b'PRETTY_NAME="a \\"quoted\\" \\$name"\nVERSION_ID=\'it\\s\'\n',
            OsRelease(pretty_name='a "quoted" $name', version_id="it\\s"),
        ),
        (b"\xff\xfeID=debian\n\xff", OsRelease()),
    ],
)
def test_values_are_read_and_never_executed(content: bytes, expected: OsRelease) -> None:
    assert read_os_release(MemoryTree({"/etc/os-release": content})) == expected


def test_the_file_in_usr_is_found_through_the_link_and_without_it() -> None:
    assert read_os_release(
        MemoryTree({"/etc/os-release": symlink("../usr/lib/os-release"), "/usr/lib/os-release": DEBIAN})
    ) == read_os_release(MemoryTree({"/usr/lib/os-release": DEBIAN}))
    assert read_os_release(MemoryTree({"/usr/lib/os-release": DEBIAN})).codename == "trixie"
    assert read_os_release(MemoryTree({})) == OsRelease()


@given(st.text(string.ascii_letters + string.digits + " '-._()/", max_size=20))
def test_what_a_shell_would_quote_is_read_back(value: str) -> None:
    quoted = shlex.quote(value)
    if "'" not in value:
        assert parse_os_release(f"A={quoted}") == {"A": value}
    assert parse_os_release(f'A="{value}"') == {"A": value}


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_os_release(text)
