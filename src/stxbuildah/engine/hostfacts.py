# SPDX-License-Identifier: Apache-2.0
"""What a machine says of itself, read from files without starting a program."""

import os
import resource
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from stxbuildah.engine.hostcache import PROGRAMS, find_program
from stxbuildah.model.value import Value

ENOUGH_IDENTITIES = 65536
# Numbers of capabilities(7).
CAP_SYS_RESOURCE = 24
CAP_MKNOD = 27


@attrs.frozen(kw_only=True)
class HostFacts(Value):
    """A machine as one account sees it.

    Attributes:
        uid: the account's number.
        account: its name, or its number when it has no name.
        system: the host's ``ID`` and ``ID_LIKE`` of os-release.
        programs: path of each program that was looked for; empty where it is missing.
        subuids: identities in the account's ranges of /etc/subuid.
        subgids: the same of /etc/subgid.
        free_subid: first number above every range that is given out.
        namespace_switches: the kernel's switches that forbid user namespaces to ordinary accounts, as
            ``name = value``; empty when none does.
        sys_resource: whether the account has CAP_SYS_RESOURCE.
        mknod: whether the account has CAP_MKNOD.
        open_files: hard limit of open files; -1 for none.
        processes: hard limit of processes; -1 for none.
        cgroups: ``v2``, ``hybrid``, ``v1`` or ``none``.
        cgroup_delegated: whether the account may make control groups of its own.
        tun: whether /dev/net/tun can be opened.
        fuse: whether /dev/fuse can be opened.
        container: the container that we are in, as ``podman``; empty when in none.
    """

    uid: int
    account: str
    system: tuple[str, ...]
    programs: Mapping[str, str]
    subuids: int
    subgids: int
    free_subid: int
    namespace_switches: tuple[str, ...]
    sys_resource: bool
    mknod: bool
    open_files: int
    processes: int
    cgroups: str
    cgroup_delegated: bool
    tun: bool
    fuse: bool
    container: str

    @property
    def rootless(self) -> bool:
        """Whether the account is an ordinary one."""
        return self.uid != 0


def read_facts(environment: Mapping[str, str], root: Path = Path("/")) -> HostFacts:
    """Read what this machine says of itself.

    Args:
        environment: the account's environment.
        root: where the machine's files are; another folder to read a copy of them.
    """
    uid = os.geteuid()
    account = _account_name(uid, _lines(root / "etc/passwd"))
    subuid, subgid = _lines(root / "etc/subuid"), _lines(root / "etc/subgid")
    return HostFacts(
        uid=uid,
        account=account,
        system=_system(_lines(root / "etc/os-release")),
        programs={name: find_program(name, environment) for name in PROGRAMS},
        subuids=identities(subuid, account, uid),
        subgids=identities(subgid, account, uid),
        free_subid=free_start([*subuid, *subgid]),
        namespace_switches=_namespace_switches(root / "proc/sys"),
        sys_resource=has_capability(CAP_SYS_RESOURCE, root),
        mknod=has_capability(CAP_MKNOD, root),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        processes=resource.getrlimit(resource.RLIMIT_NPROC)[1],
        cgroups=_cgroups(root / "sys/fs/cgroup"),
        cgroup_delegated=_delegated(root, _lines(root / "proc/self/cgroup")),
        tun=_opens(root / "dev/net/tun"),
        fuse=_opens(root / "dev/fuse"),
        container=_container(root),
    )


def has_capability(number: int, root: Path = Path("/")) -> bool:
    """Tell whether this process has a capability, by its number of capabilities(7)."""
    for line in _lines(root / "proc/self/status"):
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value.strip(), 16) >> number & 1)
    return False


def identities(lines: list[str], account: str, uid: int) -> int:
    """Count the identities that /etc/subuid or /etc/subgid give an account, after subuid(5)."""
    return sum(count for owner, _, count in _ranges(lines) if owner in {account, str(uid)})


def free_start(lines: list[str]) -> int:
    """Give the first number above every range of /etc/subuid and /etc/subgid, at least the usual 100000."""
    return max([100000, *(start + count for _, start, count in _ranges(lines))])


def _ranges(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    for line in lines:
        match line.strip().split(":"):
            case [owner, start, count] if start.isdecimal() and count.isdecimal():
                yield owner, int(start), int(count)
            case _:
                pass  # a comment, or what no program would take for a range


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _word(path: Path) -> str:
    lines = _lines(path)
    return lines[0].strip() if lines else ""


def _account_name(uid: int, passwd: list[str]) -> str:
    for line in passwd:
        match line.split(":"):
            case [name, _, number, *_] if number == str(uid):
                return name
    return str(uid)


def _system(lines: list[str]) -> tuple[str, ...]:
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    words = [values.get(name, "").strip("\"'") for name in ("ID", "ID_LIKE")]
    return tuple(" ".join(words).split())


def _namespace_switches(sysctl: Path) -> tuple[str, ...]:
    forbidding = (
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("user/max_user_namespaces", "0"),
    )
    return tuple(f"{name.replace('/', '.')} = {value}" for name, value in forbidding if _word(sysctl / name) == value)


def _cgroups(folder: Path) -> str:
    if (folder / "cgroup.controllers").exists():
        return "v2"
    if (folder / "unified" / "cgroup.controllers").exists():
        return "hybrid"
    return "v1" if folder.is_dir() and any(folder.iterdir()) else "none"


def _delegated(root: Path, lines: list[str]) -> bool:
    for line in lines:
        if line.startswith("0::"):
            path = line.removeprefix("0::").lstrip("/")
            folders = (root / "sys/fs/cgroup" / path, root / "sys/fs/cgroup/unified" / path)
            return any(folder.is_dir() and os.access(folder / "cgroup.procs", os.W_OK) for folder in folders)
    return False


def _opens(device: Path) -> bool:
    try:
        if not stat.S_ISCHR(device.stat().st_mode):
            return False
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _container(root: Path) -> str:
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    return _word(root / "run/systemd/container")
