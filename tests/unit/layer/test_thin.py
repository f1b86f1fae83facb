# SPDX-License-Identifier: Apache-2.0
"""What belongs into an update's layer, pattern by pattern and rule by rule."""

import io

import pytest

from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.thin import RULES, Rule, reason_against, thin
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, Kind

EMPTY = MemoryTree({})


def file(path: str, size: int = 1) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, size=size, opener=lambda: io.BytesIO(b"x" * size))


def folder(path: str, mode: int = 0o755) -> LayerEntry:
    return LayerEntry(path=path, change=Change.DIRECTORY, mode=mode)


def whiteout(path: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.WHITEOUT, mode=0)


def with_parents(*entries: LayerEntry) -> list[LayerEntry]:
    """What the engine gives: each entry with its parents."""
    found = {entry.path: entry for entry in entries}
    for entry in entries:
        path = entry.path
        while path := path.rpartition("/")[0]:
            found.setdefault(path, folder(path))
    return [found[path] for path in sorted(found)]


def thinned(
    *entries: LayerEntry, base: MemoryTree = EMPTY, mount_points: tuple[str, ...] = (), keep_bytecode: bool = False
) -> list[str]:
    content = thin(with_parents(*entries), mount_points=mount_points, base=base, keep_bytecode=keep_bytecode)
    return [f"{entry.change.value} {entry.path}" for entry in content.entries]


# One path under each pattern, and one that looks like it and stays.
SAMPLES = {
    "/image-update": ("/image-update/wheels/a.whl", "/image-updates"),
    "/run": ("/run/lock/x", "/runner"),
    "/dev": ("/dev/null", "/device"),
    "/proc": ("/proc/1", "/process"),
    "/sys": ("/sys/x", "/system"),
    "/tmp": ("/tmp/a\nb", "/opt/tmp"),
    "/var/tmp": ("/var/tmp/x", "/var/tmpfile"),
    "/etc/resolv.conf": ("/etc/resolv.conf", "/etc/resolvconf"),
    "/etc/hosts": ("/etc/hosts", "/etc/hosts.allow"),
    "/etc/mtab": ("/etc/mtab", "/etc/mtab.fuselock"),
    "/etc/machine-id": ("/etc/machine-id", "/etc/machine-info"),
    "/var/lib/dbus/machine-id": ("/var/lib/dbus/machine-id", "/var/lib/dbus/other"),
    "/etc/.pwd.lock": ("/etc/.pwd.lock", "/etc/pwd.lock"),
    "/etc/passwd-": ("/etc/passwd-", "/etc/passwd"),
    "/etc/group-": ("/etc/group-", "/etc/group"),
    "/etc/shadow-": ("/etc/shadow-", "/etc/shadow"),
    "/etc/gshadow-": ("/etc/gshadow-", "/etc/gshadow"),
    "/etc/subuid-": ("/etc/subuid-", "/etc/subuid"),
    "/etc/subgid-": ("/etc/subgid-", "/etc/subgid"),
    "/root/.cache": ("/root/.cache/pip/http/a", "/root/.cached"),
    "/var/lib/apt/lists/*": ("/var/lib/apt/lists/partial/x", "/var/lib/apt/lists.d"),
    "/var/lib/apt/periodic/*": ("/var/lib/apt/periodic/update", "/var/lib/apt/extended_states"),
    "/var/cache/apt/*": ("/var/cache/apt/archives/a.deb", "/var/cache/aptitude"),
    "/var/cache/debconf/*-old": ("/var/cache/debconf/config.dat-old", "/var/cache/debconf/config.dat"),
    "/var/cache/debconf/tmp.ci": ("/var/cache/debconf/tmp.ci/a.template.1", "/var/cache/debconf/templates.dat"),
    "/var/cache/dnf": ("/var/cache/dnf/x/repodata/repomd.xml", "/var/cache/dnf-plugin"),
    "/var/cache/libdnf5": ("/var/cache/libdnf5/x", "/var/cache/libdnf"),
    "/var/cache/yum": ("/var/cache/yum/x", "/var/cache/yummy"),
    "/var/cache/ldconfig/aux-cache": ("/var/cache/ldconfig/aux-cache", "/var/cache/ldconfig/other"),
    "/var/cache/man": ("/var/cache/man/index.db", "/var/cache/manual"),
    "/var/lib/dnf/history.sqlite*": ("/var/lib/dnf/history.sqlite-wal", "/var/lib/dnf/modules"),
    "/var/lib/yum/history": ("/var/lib/yum/history/1", "/var/lib/yum/yumdb"),
    "/var/lib/dpkg/*-old": ("/var/lib/dpkg/status-old", "/var/lib/dpkg/status"),
    "/var/lib/dpkg/lock": ("/var/lib/dpkg/lock", "/var/lib/dpkg/locked"),
    "/var/lib/dpkg/lock-frontend": ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/available"),
    "/var/lib/dpkg/triggers/Lock": ("/var/lib/dpkg/triggers/Lock", "/var/lib/dpkg/triggers/File"),
    "/var/lib/rpm/.rpm.lock": ("/var/lib/rpm/.rpm.lock", "/var/lib/rpm/rpmdb.sqlite"),
    "/var/lib/rpm/.dbenv.lock": ("/var/lib/rpm/.dbenv.lock", "/var/lib/rpm/Packages"),
    "/var/lib/rpm/__db.*": ("/var/lib/rpm/__db.001", "/var/lib/rpm/x/__db.001"),
    "/var/lib/rpm/rpmdb.sqlite-*": ("/var/lib/rpm/rpmdb.sqlite-wal", "/var/lib/rpm/rpmdb.sqlite"),
    "/usr/lib/sysimage/rpm/.rpm.lock": ("/usr/lib/sysimage/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/rpmdb.sqlite"),
    "/usr/lib/sysimage/rpm/__db.*": ("/usr/lib/sysimage/rpm/__db.002", "/usr/lib/sysimage/rpm/Packages.db"),
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-*": (
        "/usr/lib/sysimage/rpm/rpmdb.sqlite-shm",
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    ),
    "/var/log/dpkg.log": ("/var/log/dpkg.log", "/var/log/dpkg.log.txt"),
    "/var/log/alternatives.log": ("/var/log/alternatives.log", "/var/log/alternatives"),
    "/var/log/apt": ("/var/log/apt/history.log", "/var/log/aptly"),
    "/var/log/dnf*": ("/var/log/dnf.librepo.log", "/var/log/my-dnf.log"),
    "/var/log/yum*": ("/var/log/yum.log", "/var/log/my-yum.log"),
    "/var/log/hawkey*": ("/var/log/hawkey.log", "/var/log/hawk"),
}


def test_each_pattern_has_a_sample() -> None:
    assert [rule.pattern for rule in RULES] == list(dict.fromkeys(rule.pattern for rule in RULES))
    assert {rule.pattern for rule in RULES} == set(SAMPLES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern)
def test_a_pattern_drops_its_paths_and_no_others(rule: Rule) -> None:
    pattern = rule.pattern
    dropped, stays = SAMPLES[pattern]
    assert reason_against(dropped) == rule.reason
    base = MemoryTree({parent: Entry(Kind.DIRECTORY, mode=0o755) for parent in _parents(dropped)})
    assert thinned(file(dropped), base=base) == []
    assert thinned(whiteout(dropped), base=base) == []
    assert f"file {stays}" in thinned(file(dropped), file(stays), base=base)


def _parents(path: str) -> list[str]:
    names = path.split("/")[1:-1]
    return ["/" + "/".join(names[: count + 1]) for count in range(len(names))]


def test_a_folder_goes_with_its_only_content_unless_it_changed_itself() -> None:
    base = MemoryTree({"/var/log": Entry(Kind.DIRECTORY, mode=0o755), "/etc": Entry(Kind.DIRECTORY, mode=0o755)})
    assert thinned(file("/var/log/dpkg.log"), base=base) == []
    assert thinned(file("/var/log/dpkg.log"), folder("/var/log", mode=0o700), base=base) == [
        "directory /var",
        "directory /var/log",
    ]


def test_a_folder_that_is_listed_for_itself_stays_with_its_parents() -> None:
    base = MemoryTree({"/srv/data": Entry(Kind.DIRECTORY, mode=0o755)})
    assert thinned(folder("/srv/data"), base=base) == ["directory /srv", "directory /srv/data"]


def test_a_new_empty_folder_stays() -> None:
    assert thinned(folder("/var/lib/new")) == ["directory /var", "directory /var/lib", "directory /var/lib/new"]


def test_mount_points_go_with_the_folders_made_for_them() -> None:
    point = "/usr/local/share/ca.crt"
    assert thinned(file(point, size=0), mount_points=(point,)) == []
    assert thinned(folder("/mnt/wheels"), mount_points=("/mnt/wheels",)) == []


def test_what_is_more_than_a_mount_point_stays() -> None:
    point = "/usr/ca.crt"
    base = MemoryTree({point: b"before"})
    assert thinned(file(point, size=3), mount_points=(point,)) == ["directory /usr", f"file {point}"]
    assert thinned(file(point, size=0), mount_points=(point,), base=base) == ["directory /usr", f"file {point}"]


def test_only_an_empty_new_hostname_is_the_engines() -> None:
    assert thinned(file("/etc/hostname", size=0)) == []
    assert thinned(file("/etc/hostname", size=4)) == ["directory /etc", "file /etc/hostname"]


def test_compiled_files_go_unless_they_are_kept() -> None:
    entries = (file("/lib/a.py"), file("/lib/__pycache__/a.cpython-313.pyc"), file("/lib/a.pyc"))
    assert thinned(*entries) == ["directory /lib", "file /lib/a.py"]
    assert thinned(*entries, keep_bytecode=True) == [
        "directory /lib",
        "directory /lib/__pycache__",
        "file /lib/__pycache__/a.cpython-313.pyc",
        "file /lib/a.py",
        "file /lib/a.pyc",
    ]


def test_a_module_without_source_stays() -> None:
    assert thinned(file("/lib/closed.pyc")) == ["directory /lib", "file /lib/closed.pyc"]


def test_compiled_files_of_the_base_alone_are_not_replaced() -> None:
    base = MemoryTree({"/lib/a.py": b"", "/lib/__pycache__/a.cpython-313.pyc": b"old"})
    assert thinned(file("/lib/__pycache__/a.cpython-313.pyc"), base=base) == []


STALE = MemoryTree(
    {
        "/lib/a.py": b"1",
        "/lib/a.pyc": b"python 2",
        "/lib/ab.py": b"other",
        "/lib/__pycache__": Entry(Kind.DIRECTORY, mode=0o775, uid=5, gid=6),
        "/lib/__pycache__/a.cpython-313.pyc": b"old",
        "/lib/__pycache__/a.cpython-313.opt-1.pyc": b"old",
        "/lib/__pycache__/ab.cpython-313.pyc": b"other",
    }
)


@pytest.mark.parametrize("keep_bytecode", [False, True])
@pytest.mark.parametrize("change", [file("/lib/a.py"), whiteout("/lib/a.py")])
def test_stale_compiled_files_of_the_base_are_taken_away(change: LayerEntry, keep_bytecode: bool) -> None:
    content = thin(with_parents(change), mount_points=(), base=STALE, keep_bytecode=keep_bytecode)
    assert content == LayerContent(
        (
            folder("/lib"),
            LayerEntry(path="/lib/__pycache__", change=Change.DIRECTORY, mode=0o775, uid=5, gid=6),
            whiteout("/lib/__pycache__/a.cpython-313.opt-1.pyc"),
            whiteout("/lib/__pycache__/a.cpython-313.pyc"),
            change,
            whiteout("/lib/a.pyc"),
        )
    )


def test_a_new_compiled_file_takes_the_place_of_the_stale_one_when_kept() -> None:
    entries = (file("/lib/a.py"), file("/lib/__pycache__/a.cpython-313.pyc"))
    assert thinned(*entries, base=STALE, keep_bytecode=True) == [
        "directory /lib",
        "directory /lib/__pycache__",
        "whiteout /lib/__pycache__/a.cpython-313.opt-1.pyc",
        "file /lib/__pycache__/a.cpython-313.pyc",
        "file /lib/a.py",
        "whiteout /lib/a.pyc",
    ]


def test_a_removed_folder_needs_no_word_about_what_was_in_it() -> None:
    assert thinned(whiteout("/lib"), base=STALE) == ["whiteout /lib"]
    assert thinned(whiteout("/lib/__pycache__"), file("/lib/a.py"), base=STALE) == [
        "directory /lib",
        "whiteout /lib/__pycache__",
        "file /lib/a.py",
        "whiteout /lib/a.pyc",
    ]


def test_a_link_to_a_dropped_name_becomes_the_file() -> None:
    origin = file("/tmp/made", size=7)
    links = [
        LayerEntry(path=path, change=Change.HARDLINK, target="/tmp/made", mode=0o755)
        for path in ("/opt/one", "/opt/two")
    ]
    content = thin(with_parents(origin, *links), mount_points=(), base=EMPTY, keep_bytecode=False)
    assert content.entries == (
        folder("/opt"),
        LayerEntry(path="/opt/one", change=Change.FILE, size=7, mode=0o755),
        LayerEntry(path="/opt/two", change=Change.HARDLINK, target="/opt/one", mode=0o755),
    )
    opener = content.entries[1].opener
    assert opener is not None
    assert opener().read() == b"x" * 7
