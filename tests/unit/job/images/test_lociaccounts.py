# SPDX-License-Identifier: Apache-2.0
"""The account of a LOCI image's project: made, found, changed or refused."""

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.job.images.lociaccounts import Account, account_files, earlier_uid
from stxbuildah.layer.memory import MemoryTree

USERS = "root:x:0:0:root:/root:/bin/bash\n# a remark\nother:x:500:500::/home/other:/bin/sh\n"
GROUPS = "root:x:0:\nother:x:500:root\n"
FILES = {
    "/etc/passwd": USERS.encode(),
    "/etc/group": GROUPS.encode(),
    "/etc/shadow": b"root:*:20000:0:99999:7:::\n",
    "/etc/gshadow": b"root:*::\n",
}
NOVA = Account(name="nova", uid=42424, gid=42425)
DAY = 86_400


def texts(files: dict[str, bytes], account: Account = NOVA) -> dict[str, str]:
    return {path: content.decode() for path, content in account_files(MemoryTree(files), account, 3 * DAY + 5).items()}


def test_a_new_account_comes_into_all_files() -> None:
    assert texts(FILES) == {
        "/etc/passwd": USERS + "nova:x:42424:42425:nova user:/var/lib/nova:/usr/sbin/nologin\n",
        "/etc/group": GROUPS + "nova:x:42425:\n",
        "/etc/shadow": "root:*:20000:0:99999:7:::\nnova:!:3:0:99999:7:::\n",
        "/etc/gshadow": "root:*::\nnova:!::\n",
    }


def test_shadow_files_are_not_made() -> None:
    without = {path: content for path, content in FILES.items() if "shadow" not in path}
    assert set(texts(without)) == {"/etc/passwd", "/etc/group"}


def test_an_account_that_is_as_it_shall_be_stays() -> None:
    there = {**FILES, **{path: text.encode() for path, text in texts(FILES).items()}}
    assert texts(there) == {}
    assert earlier_uid(MemoryTree(there), NOVA) == 42424
    assert earlier_uid(MemoryTree(FILES), NOVA) is None


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("nova:x:7:42425::/var/lib/nova:/bin/sh", "7:42425"),
        ("nova:x:42424:7::/var/lib/nova:/bin/sh", "42424:7"),
        ("nova:x:42424:42425::/home/nova:/bin/sh", "/home/nova"),
    ],
)
def test_another_account_of_the_name_is_refused_or_changed(line: str, part: str) -> None:
    files = {**FILES, "/etc/passwd": f"{USERS}{line}\n".encode(), "/etc/group": f"{GROUPS}nova:x:42425:\n".encode()}
    with pytest.raises(InputError, match=part) as refused:
        texts(files)
    assert "UPDATE_SYSTEM_ACCOUNT=yes" in refused.value.hint
    changed = texts(files, attrs.evolve(NOVA, update=True))
    assert changed == {"/etc/passwd": f"{USERS}nova:x:42424:42425::/var/lib/nova:/bin/sh\n"}


def test_a_home_is_the_same_however_it_is_written() -> None:
    files = {**FILES, "/etc/passwd": f"{USERS}nova:x:42424:42425::/var//lib/nova/:/bin/sh\n".encode()}
    files["/etc/group"] = f"{GROUPS}nova:x:42425:\n".encode()
    assert texts(files) == {}


def test_a_group_with_another_id_is_refused_or_changed() -> None:
    files = {**FILES, "/etc/group": f"{GROUPS}nova:x:7:root\n".encode()}
    with pytest.raises(InputError, match="the group nova with the id 7"):
        texts(files)
    assert texts(files, attrs.evolve(NOVA, update=True))["/etc/group"] == f"{GROUPS}nova:x:42425:root\n"


@pytest.mark.parametrize(
    ("key", "account"),
    [("PROJECT_UID", attrs.evolve(NOVA, uid=500)), ("PROJECT_GID", attrs.evolve(NOVA, gid=500))],
)
def test_ids_of_others_are_refused_or_shared(key: str, account: Account) -> None:
    with pytest.raises(InputError, match="is that of other") as refused:
        texts(FILES, account)
    assert key in refused.value.hint
    assert "nova:x:" in texts(FILES, attrs.evolve(account, non_unique=True))["/etc/passwd"]


def test_a_file_without_a_line_feed_at_its_end_gets_one() -> None:
    assert texts({**FILES, "/etc/group": b"root:x:0:"})["/etc/group"] == "root:x:0:\nnova:x:42425:\n"
