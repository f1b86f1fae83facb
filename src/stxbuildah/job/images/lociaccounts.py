# SPDX-License-Identifier: Apache-2.0
"""The system account of a LOCI image's project: user, group, and the folders that belong to it.

The account files are computed here, so that an image needs no useradd. What counts as the account being there already,
and what UPDATE_SYSTEM_ACCOUNT and NON_UNIQUE_SYSTEM_ACCOUNT allow, is as in StarlingX's patches to LOCI's
create_user.sh.
"""

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.paths import is_file, normalize, read_file
from stxbuildah.model.tree import FileTree

_PASSWD, _SHADOW, _GROUP, _GSHADOW = "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"
_NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin")
_SECONDS_A_DAY = 86_400
# Fields of passwd(5) and group(5).
_NAME, _ID, _PRIMARY_GROUP, _HOME = 0, 2, 3, 5
_PASSWD_FIELDS, _GROUP_FIELDS = 7, 4


@attrs.frozen(kw_only=True)
class Account:
    """An account as it shall be.

    Attributes:
        name: of user and group.
        uid: the user's id.
        gid: the group's id.
        non_unique: others may have these ids, too.
        update: one that is there with other ids or another home is changed.
    """

    name: str
    uid: int
    gid: int
    non_unique: bool = False
    update: bool = False

    @property
    def home(self) -> str:
        """Its home."""
        return f"/var/lib/{self.name}"

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that belong to it."""
        return tuple(f"{parent}/{self.name}" for parent in ("/etc", "/var/log", "/var/lib", "/var/cache"))


def account_files(tree: FileTree, account: Account, timestamp: int) -> dict[str, bytes]:
    """Give the account files that have to change for an account to be there.

    Args:
        tree: the image.
        account: the account.
        timestamp: when its password was changed last, in seconds since the epoch.

    Returns:
        New contents by path; empty when the account is there as it shall be.

    Raises:
        InputError: it is there with other ids and may not be changed, or others have its ids.
    """
    files = {path: read_file(tree, path) for path in (_PASSWD, _SHADOW, _GROUP, _GSHADOW)}
    texts = {path: content.decode("utf-8", "surrogateescape") for path, content in files.items() if content is not None}
    changed = {**_with_group(texts, account), **_with_user(texts, account, _shell(tree), timestamp)}
    return {path: text.encode("utf-8", "surrogateescape") for path, text in changed.items() if text != texts.get(path)}


def earlier_uid(tree: FileTree, account: Account) -> int | None:
    """Give the id that the account's user has in an image; None when it has no such user."""
    lines = (read_file(tree, _PASSWD) or b"").decode("utf-8", "surrogateescape").splitlines()
    found = _find(lines, account.name, _PASSWD_FIELDS)
    return None if found is None else int(found[_ID])


def _with_group(texts: dict[str, str], account: Account) -> dict[str, str]:
    lines = texts.get(_GROUP, "").splitlines()
    wanted = str(account.gid)
    found = _find(lines, account.name, _GROUP_FIELDS)
    if found is not None and found[_ID] == wanted:
        return {}
    if found is not None:
        _check_changeable(account, f"the group {account.name} with the id {found[_ID]}", f"the id {wanted}")
    _check_free(account, lines, wanted, "group", "PROJECT_GID")
    if found is not None:
        return {_GROUP: _replaced(lines, [*found[:_ID], wanted, *found[_ID + 1 :]])}
    changed = {_GROUP: _added(lines, f"{account.name}:x:{wanted}:")}
    if _GSHADOW in texts:
        changed[_GSHADOW] = _added(texts[_GSHADOW].splitlines(), f"{account.name}:!::")
    return changed


def _with_user(texts: dict[str, str], account: Account, shell: str, timestamp: int) -> dict[str, str]:
    lines = texts.get(_PASSWD, "").splitlines()
    uid, gid = str(account.uid), str(account.gid)
    found = _find(lines, account.name, _PASSWD_FIELDS)
    if found is None:
        _check_free(account, lines, uid, "user", "PROJECT_UID")
        line = f"{account.name}:x:{uid}:{gid}:{account.name} user:{account.home}:{shell}"
        changed = {_PASSWD: _added(lines, line)}
        if _SHADOW in texts:
            # As useradd: no password that could be given, and none of the limits that login.defs does not set.
            entry = f"{account.name}:!:{timestamp // _SECONDS_A_DAY}:0:99999:7:::"
            changed[_SHADOW] = _added(texts[_SHADOW].splitlines(), entry)
        return changed
    if (found[_ID], found[_PRIMARY_GROUP], normalize(found[_HOME])) == (uid, gid, account.home):
        return {}
    _check_changeable(
        account,
        f"the user {account.name} with the ids {found[_ID]}:{found[_PRIMARY_GROUP]} and the home {found[_HOME]}",
        f"{uid}:{gid} and {account.home}",
    )
    if found[_ID] != uid:
        _check_free(account, lines, uid, "user", "PROJECT_UID")
    fields = [*found]
    fields[_ID], fields[_PRIMARY_GROUP], fields[_HOME] = uid, gid, account.home
    return {_PASSWD: _replaced(lines, fields)}


def _shell(tree: FileTree) -> str:
    return next((path for path in _NO_LOGIN if is_file(tree, path)), _NO_LOGIN[0])


def _find(lines: list[str], name: str, count: int) -> list[str] | None:
    """Give the fields of an account's line; lines that are none, as comments, are passed over."""
    for line in lines:
        fields = line.split(":")
        if len(fields) == count and fields[_NAME] == name and fields[_ID].isascii() and fields[_ID].isdigit():
            return fields
    return None


def _check_changeable(account: Account, found: str, wanted: str) -> None:
    if not account.update:
        raise InputError(
            f"the image has {found} already, and its directives say {wanted}",
            hint="set UPDATE_SYSTEM_ACCOUNT=yes to change it, or PROJECT_UID and PROJECT_GID to what it has",
        )


def _check_free(account: Account, lines: list[str], number: str, kind: str, key: str) -> None:
    if account.non_unique:
        return
    for line in lines:
        fields = line.split(":")
        if len(fields) > _ID and fields[_ID] == number and fields[_NAME] != account.name:
            raise InputError(
                f"the id {number} of the {kind} {account.name} is that of {fields[_NAME]} in the image",
                hint=f"set {key} to another, or NON_UNIQUE_SYSTEM_ACCOUNT=yes to share it",
            )


def _added(lines: list[str], line: str) -> str:
    return "".join(f"{one}\n" for one in [*lines, line])


def _replaced(lines: list[str], fields: list[str]) -> str:
    line = ":".join(fields)
    return "".join(f"{line if one.partition(':')[0] == fields[_NAME] else one}\n" for one in lines)
