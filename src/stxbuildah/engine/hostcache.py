# SPDX-License-Identifier: Apache-2.0
"""What was found out about this machine, kept for the next command.

A machine is probed once: until it is started anew, a program or a settings file changes, or the user asks for
something else. All of that is in a fingerprint that costs some calls of stat(2) and no process.
"""

import json
import os
import resource
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from stxbuildah import __version__
from stxbuildah.engine.containersconf import Places
from stxbuildah.model.host import UserChoices
from stxbuildah.model.settings import HostChoices, Storage

PROGRAMS = (
    *("buildah", "podman", "skopeo", "crun", "runc", "conmon", "newuidmap", "newgidmap"),
    *("fuse-overlayfs", "slirp4netns", "pasta", "netavark", "aardvark-dns", "dnf"),
)
VARIABLES = (
    *("HOME", "PATH", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
    *("CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "STORAGE_OPTS"),
    *("BUILDAH_ISOLATION", "BUILDAH_RUNTIME", "DBUS_SESSION_BUS_ADDRESS"),
    *("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"),
)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Switches of the kernel that change what an ordinary account may do; an administrator may set them at any time.
SWITCHES = (
    Path("/proc/sys/kernel/unprivileged_userns_clone"),
    Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    Path("/proc/sys/user/max_user_namespaces"),
)

_KEPT = 16


def find_program(name: str, environment: Mapping[str, str]) -> str:
    """Give the path of a program, or an empty text when PATH does not lead to one."""
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)  # noqa: PTH118 # two dozen lookups of each command
        try:
            status = os.stat(path)  # noqa: PTH116 # as above
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK):
            return path
    return ""


def fingerprint(user: UserChoices, environment: Mapping[str, str]) -> str:
    """Give everything that a finding depends on, as one text that changes when any of it does."""
    places = Places(rootless=os.geteuid() != 0, environment=environment)
    storage = user.storage
    programs = [find_program(name, environment) for name in PROGRAMS]
    return json.dumps(
        [
            __version__,
            _content(BOOT_ID),
            [os.geteuid(), os.getegid(), *os.getgroups()],
            [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)],
            [_content(switch) for switch in SWITCHES],
            [user.isolation, user.network, user.runtime, storage.driver, storage.root, storage.runroot],
            [environment.get(name) for name in VARIABLES],
            _marks([path for path in programs if path]),
            _marks(_settings_files(places)),
            _marks(_devices()),
            _marks([__file__.replace("hostcache", name) for name in ("hostchoice", "trial")]),
            _holds_only_vfs(places, user),
        ]
    )


def _settings_files(places: Places) -> list[str]:
    named = [places.environment.get(name) or "" for name in ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")]
    folders = [str(folder) for folder in (*places.system, places.user_folder)]
    files = [f"{folder}/{name}" for folder in folders for name in ("containers.conf", "storage.conf")]
    files += [f"{folder}/containers.conf.d" for folder in folders]
    return [*(path for path in named if path), *files, "/etc/subuid", "/etc/subgid"]


def _devices() -> list[str]:
    return ["/dev/net/tun", "/dev/fuse", "/sys/fs/cgroup"]


def _holds_only_vfs(places: Places, user: UserChoices) -> bool:
    """Tell whether a store is a leftover in vfs form; that our own use of it makes an overlay changes nothing."""
    root = user.storage.root or str(places.default_graph_root)
    vfs, overlay = (os.path.exists(f"{root}/{driver}-images") for driver in ("vfs", "overlay"))  # noqa: PTH110
    return vfs and not overlay


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _marks(paths: Iterable[str]) -> list[list[int | str]]:
    marks: list[list[int | str]] = []
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 # as above
        except OSError:
            marks.append([path])
        else:
            marks.append([path, status.st_mtime_ns, status.st_size, status.st_mode, status.st_ino])
    return marks


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Give the folder for what we keep about this machine; it may not be there yet."""
    home = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME') or '/'}/.cache"
    return Path(home) / "stxb"


def _cache_file(mark: str, environment: Mapping[str, str]) -> Path:
    import zlib

    # The whole fingerprint stands in the file and is compared; the name only has to tell accounts' cases apart.
    return cache_folder(environment) / f"host-{zlib.crc32(mark.encode()):08x}.json"


def load(mark: str, environment: Mapping[str, str]) -> HostChoices | None:
    """Give the choices that were kept under a fingerprint, or None when there are none to trust.

    A file that is broken, is another account's, or names settings files that are gone counts for nothing.
    """
    path = _cache_file(mark, environment)
    try:
        if path.stat().st_uid != os.geteuid():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["fingerprint"] != mark:
            return None
        choices = _from_json(kept["choices"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    named = [value for name, value in choices.environment if name.endswith("_CONF")]
    return choices if all(os.path.exists(path) for path in named) else None  # noqa: PTH110 # as above


def save(mark: str, choices: HostChoices, environment: Mapping[str, str]) -> None:
    """Keep choices under a fingerprint; a folder that cannot be written only costs the next command a probe."""
    path = _cache_file(mark, environment)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    text = json.dumps({"fingerprint": mark, "choices": _to_json(choices)}, indent=1)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        _remove_oldest(path.parent)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _remove_oldest(folder: Path) -> None:
    """Keep the newest files: each start of the machine and each setting that is tried out makes one more."""
    files = sorted(folder.glob("host-*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in files[_KEPT:]:
        path.unlink(missing_ok=True)


def _to_json(choices: HostChoices) -> dict[str, object]:
    return {
        "storage": [choices.storage.driver, choices.storage.root, choices.storage.runroot],
        "isolation": choices.isolation,
        "runtime": choices.runtime,
        "runtime_path": choices.runtime_path,
        "network": choices.network,
        "environment": [list(pair) for pair in choices.environment],
        "reasons": list(choices.reasons),
    }


def _from_json(kept: Mapping[str, object]) -> HostChoices:
    """Read choices back.

    Raises:
        KeyError, TypeError, ValueError: they were not written by ``_to_json``.
    """
    driver, root, runroot = _texts(kept["storage"])
    isolation, runtime, runtime_path, network = _texts(
        [kept[name] for name in ("isolation", "runtime", "runtime_path", "network")]
    )
    pairs = kept["environment"]
    if not isinstance(pairs, list):
        raise TypeError("environment")
    environment = [_texts(pair) for pair in pairs]
    return HostChoices(
        storage=Storage(driver=driver, root=root, runroot=runroot),
        isolation=isolation,
        runtime=runtime,
        runtime_path=runtime_path,
        network=network,
        environment=tuple((name, value) for name, value in environment),
        reasons=tuple(_texts(kept["reasons"])),
    )


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("a list of texts was kept here")
    return value
