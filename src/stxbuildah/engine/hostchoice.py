# SPDX-License-Identifier: Apache-2.0
"""Choosing how programs are run on a machine: the user's word first, then what a trial shows to work."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from stxbuildah.engine.containersconf import (
    Places,
    Table,
    Value,
    merged,
    read_table,
    text_at,
    toml_text,
    value_at,
    write_private,
)
from stxbuildah.engine.hostcache import cache_folder, find_program
from stxbuildah.engine.trial import Trials
from stxbuildah.errors import HostError, InputError, StxbError
from stxbuildah.model.host import UserChoices
from stxbuildah.model.settings import HostChoices, Storage

ISOLATIONS = frozenset({"oci", "rootless", "chroot"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_RUNTIMES = ("crun", "runc")
# Runtimes are looked for here, too (containers.conf(5), engine.runtimes): the PATH of an account often lacks some.
_PROGRAM_FOLDERS = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin:/sbin:/bin"


@attrs.frozen(kw_only=True)
class Chosen:
    """One choice.

    Attributes:
        value: what was chosen.
        reason: why, one sentence.
        environment: variables that programs need for it.
    """

    value: str
    reason: str = ""
    environment: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Chooser:
    """Chooses, for one account and what it asked.

    Attributes:
        user: what was set by flags.
        places: where the account's settings are.
        trials: tries out what has to be tried.
    """

    user: UserChoices
    places: Places
    trials: Trials

    def decide(self) -> HostChoices:
        """Choose everything.

        Raises:
            HostError: a settings file of our own is needed and cannot be written.
            InputError: what the user set is wrong: a settings file that is not there or no TOML, an unknown isolation.
        """
        storage, stored = self.storage()
        settings = self.settings()
        chooser = attrs.evolve(self, trials=self.trials.with_environment(settings.environment))
        isolation, runtime, network = chooser.running()
        return HostChoices(
            storage=storage,
            isolation=isolation.value,
            runtime=runtime.value,
            runtime_path=runtime_path(self.places, isolation.value, runtime.value, settings.value),
            network=network.value,
            environment=tuple(sorted({**stored.environment, **settings.environment}.items())),
            reasons=tuple(choice.reason for choice in (stored, settings, isolation, runtime, network) if choice.reason),
        )

    def storage(self) -> tuple[Storage, Chosen]:
        """Choose the storage driver, and give the store as it will be.

        buildah and podman have flags for a store of the user's own choice, skopeo has none: all three read the file
        that CONTAINERS_STORAGE_CONF names.
        """
        path, table = self._storage_settings()
        asked, variable = self.user.storage, self.places.environment.get("STORAGE_DRIVER", "")
        graph_root = self._graph_root(table)
        driver, program, reason = self._driver(path, table, graph_root)
        runroot = asked.runroot or text_at(table, "storage", "runroot")
        storage = Storage(driver=driver, root=str(graph_root), runroot=self._expanded(runroot))
        wanted = {"driver": driver, "graphroot": asked.root, "runroot": asked.runroot}
        own = {"rootless_storage_path": asked.root or text_at(table, "storage", "graphroot")}
        if self.places.rootless and not (path and self.places.is_own(path)):
            wanted |= own
        if program or self._lacks(path, table, wanted):
            # Of a file that a variable names, rootless buildah and podman take rootless_storage_path for the folder of
            # images, skopeo takes graphroot: all must find the same.
            # For root, newer ones want both folders named.
            rooted = {"graphroot": str(graph_root), "runroot": runroot or str(self.places.default_run_root)}
            wanted |= own if self.places.rootless else rooted
            options: Table = {"options": {"overlay": {"mount_program": program}}} if program else {}
            ours: Table = {key: value for key, value in wanted.items() if value}
            file = self._write("storage", merged((table, {"storage": ours}, {"storage": options})))
            variables = {"CONTAINERS_STORAGE_CONF": str(file)}
            if variable and variable != driver:
                variables["STORAGE_DRIVER"] = driver
            return storage, Chosen(value=driver, reason=reason, environment=variables)
        return storage, Chosen(value=driver, reason=reason)

    def _lacks(self, path: Path | None, table: Table, wanted: Mapping[str, str]) -> bool:
        """Tell whether the programs would not find a setting by themselves."""
        known = {"driver": "overlay"} if path is None and not self.places.rootless else {}
        variable = self.places.environment.get("STORAGE_DRIVER", "")
        known |= {"driver": variable} if variable else {}
        return any(
            value and (known.get(key) or text_at(table, "storage", key)) != value for key, value in wanted.items()
        )

    def _storage_settings(self) -> tuple[Path | None, Table]:
        path = self.places.storage_conf()
        table = read_table(path) if path else {}
        if path and self.places.rootless and self.places.is_system(path):
            table = _without_roots(table)
        return path, table

    def _graph_root(self, table: Table) -> Path:
        named = self.user.storage.root or text_at(table, "storage", "graphroot")
        if not named and self.places.rootless:
            named = text_at(table, "storage", "rootless_storage_path")
        return Path(self._expanded(named)) if named else self.places.default_graph_root

    def _driver(self, path: Path | None, table: Table, graph_root: Path) -> tuple[str, str, str]:
        """Give the driver, the program that mounts overlays (empty for the kernel), and the sentence that says why."""
        said = "" if path and self.places.is_default(path) else text_at(table, "storage", "driver")
        sources = (
            (self.user.storage.driver, "--storage-driver"),
            (self.places.environment.get("STORAGE_DRIVER", ""), "STORAGE_DRIVER"),
            (said, str(path)),
        )
        for driver, source in sources:
            if driver:
                return driver, "", f"storage driver {driver}: {source} says so"
        for driver in ("overlay", "vfs"):
            if holds_images(graph_root, driver):
                return driver, "", f"storage driver {driver}: {graph_root} already holds images in it"
        near = existing_parent(graph_root)
        outcome = self.trials.overlay(near)
        if outcome.worked:
            return "overlay", "", f"storage driver overlay: an overlay can be mounted in {near}, tried"
        fuse = find_program("fuse-overlayfs", self.places.environment)
        if fuse and self.trials.overlay(near, fuse).worked:
            return "overlay", fuse, f"storage driver overlay: {fuse} can mount one in {near}, tried"
        return "vfs", "", f"storage driver vfs: no overlay can be mounted in {near} ({outcome.said})"

    def settings(self) -> Chosen:
        """Choose the containers.conf: the user's when containers run with it, else theirs and what is lacking in it.

        What the user set is never changed; only what they left open is filled in.
        """
        base = merged([read_table(path) for path in self.places.containers_conf()])
        if not find_program("podman", self.places.environment):
            return Chosen(value="", reason="containers.conf: as it is, since podman is not there to try it")
        first = self.trials.podman_run(network="host")
        if first.worked:
            return Chosen(value="", reason="containers.conf: as it is, since containers run with it, tried")
        for additions, sentence in self._additions(base):
            file = self._write("containers", merged((base, additions)))
            if self.trials.podman_run(network="host", settings=file).worked:
                reason = f"containers.conf: our own with {sentence}; without it containers fail ({first.said})"
                return Chosen(value=str(file), reason=reason, environment={"CONTAINERS_CONF": str(file)})
            file.unlink(missing_ok=True)
        return Chosen(value="", reason=f"containers.conf: as it is; podman runs no container here ({first.said})")

    def _additions(self, base: Table) -> Iterator[tuple[Table, str]]:
        """Give what may be added to settings, the least first: only keys that they lack."""
        environment = self.places.environment
        for runtime in ("", *(name for name in ("runc", "crun") if find_program(name, environment))):
            for cgroups, limits in ((False, False), (False, True), (True, False), (True, True)):
                wanted: list[tuple[str, str, Value]] = [
                    *([("engine", "runtime", runtime)] if runtime else []),
                    *([("engine", "cgroup_manager", "cgroupfs")] if cgroups else []),
                    *([("containers", "default_ulimits", default_limits())] if limits else []),
                ]
                lacking = [setting for setting in wanted if value_at(base, setting[0], setting[1]) is None]
                if lacking:
                    tables: list[Table] = [{section: {key: value}} for section, key, value in lacking]
                    yield merged(tables), ", ".join(f"{key} = {value}" for _, key, value in lacking)

    def running(self) -> tuple[Chosen, Chosen, Chosen]:
        """Choose buildah's isolation, the OCI runtime and the network."""
        said, source = self._said_isolation()
        if said == "chroot":
            return self._without_runtime(f"isolation chroot: {source} says so")
        isolation = said or ("rootless" if self.places.rootless else "oci")
        failure = "no OCI runtime is installed"
        try:
            container = self.trials.working_container()
        except StxbError as error:
            container, failure = "", error.message
        for runtime in self._runtimes() if container else ():
            outcome = self.trials.buildah_run(container, isolation=isolation, runtime=runtime, network="host")
            if outcome.worked:
                shown = runtime or "buildah's default runtime"
                why = f"{source} says so" if said else f"containers run in it with {shown}, tried"
                chosen = Chosen(value=isolation, reason=f"isolation {isolation}: {why}")
                named = Chosen(
                    value=runtime, reason=f"runtime {runtime}: containers run with it, tried" * bool(runtime)
                )
                return chosen, named, self._network(container, isolation, runtime)
            failure = outcome.said
        if not said:
            return self._without_runtime(f"isolation chroot: {isolation} does not work here ({failure})")
        reason = f"isolation {said}: {source} says so, though it failed when tried ({failure})"
        network = self.user.network or "host"
        return Chosen(value=said, reason=reason), Chosen(value=self.user.runtime), Chosen(value=network)

    def _said_isolation(self) -> tuple[str, str]:
        variable = self.places.environment.get("BUILDAH_ISOLATION", "")
        said, source = (self.user.isolation, "--isolation") if self.user.isolation else (variable, "BUILDAH_ISOLATION")
        if said in {"", "default"}:
            return "", ""
        if said not in ISOLATIONS:
            raise InputError(f"{source} is {said!r}", hint=f"it is one of {', '.join(sorted(ISOLATIONS))}")
        return said, source

    def _without_runtime(self, reason: str) -> tuple[Chosen, Chosen, Chosen]:
        if self.user.network:
            network = Chosen(value=self.user.network, reason=f"network {self.user.network}: --network says so")
        else:
            network = Chosen(value="host", reason="network host: chroot isolation has no other")
        return Chosen(value="chroot", reason=reason), Chosen(value=self.user.runtime), network

    def _runtimes(self) -> list[str]:
        """Give the runtimes to try; the empty one is buildah's own choice."""
        environment = self.places.environment
        named = self.user.runtime or environment.get("BUILDAH_RUNTIME", "")
        return [named] if named else ["", *(name for name in _RUNTIMES if find_program(name, environment))]

    def _network(self, container: str, isolation: str, runtime: str) -> Chosen:
        if self.user.network:
            return Chosen(value=self.user.network, reason=f"network {self.user.network}: --network says so")
        for name in loopback_proxies(self.places.environment):
            return Chosen(value="host", reason=f"network host: {name} names a proxy on this machine's own address")
        outcome = self.trials.buildah_run(container, isolation=isolation, runtime=runtime, network="private")
        if outcome.worked:
            return Chosen(value="private", reason="network private: a container gets a network of its own, tried")
        return Chosen(value="host", reason=f"network host: a container gets no network of its own ({outcome.said})")

    def _expanded(self, text: str) -> str:
        known = {**self.places.environment, "UID": str(os.geteuid()), "HOME": str(self.places.home)}
        return re.sub(r"\$(\w+|\{\w+\})", lambda match: known.get(match[1].strip("{}"), ""), text)

    def _write(self, stem: str, table: Table) -> Path:
        folder = cache_folder(self.places.environment)
        try:
            return write_private(folder, stem, toml_text(table))
        except OSError as error:
            raise HostError(
                f"settings for this machine cannot be written to {folder}: {error.strerror}",
                hint="set XDG_CACHE_HOME to a folder that can be written",
            ) from error


def runtime_path(places: Places, isolation: str, runtime: str, settings: str) -> str:
    """Find the program that buildah runs as OCI runtime; empty when it is not certain, or there is none.

    Args:
        places: where the account's settings are.
        isolation: buildah's isolation.
        runtime: the runtime that buildah is given; empty for its default.
        settings: a containers.conf of our own; empty for those of the account.
    """
    if isolation == "chroot":
        return ""
    environment = places.environment
    files = (Path(settings),) if settings else places.containers_conf()
    table = merged([read_table(path) for path in files])
    named = runtime or environment.get("BUILDAH_RUNTIME") or text_at(table, "engine", "runtime")
    if "/" in named:
        return named if named.startswith("/") and Path(named).name in _RUNTIMES else ""
    names = (named,) if named else _RUNTIMES
    if any(name not in _RUNTIMES or value_at(table, "engine.runtimes", name) is not None for name in names):
        return ""
    paths = f"{environment.get('PATH', os.defpath)}:{_PROGRAM_FOLDERS}"
    # Which of several is the default has changed from version to version.
    found = [path for path in (find_program(name, {"PATH": paths}) for name in names) if path]
    return found[0] if len(found) == 1 and found[0].startswith("/") else ""


def default_limits() -> list[Value]:
    """Give limits that an account without CAP_SYS_RESOURCE may set: none above its own hard limits."""
    import resource

    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most_files = 1048576 if open_files == resource.RLIM_INFINITY else open_files
    # A container's processes count among all of the account's; a limit well below theirs leaves room for the rest.
    most_processes = 4096 if processes == resource.RLIM_INFINITY else min(processes, 4096)
    return [f"nofile={most_files}:{most_files}", f"nproc={most_processes}:{most_processes}"]


def loopback_proxies(environment: Mapping[str, str]) -> Iterator[str]:
    """Give the names of the proxy settings that only mean something in the host's own network."""
    from urllib.parse import urlsplit

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        value = environment.get(name, "")
        try:
            host = urlsplit(value if "//" in value else f"//{value}").hostname
        except ValueError:
            continue
        if host in LOOPBACK:
            yield name


def holds_images(graph_root: Path, driver: str) -> bool:
    """Tell whether a store holds images in a driver's form; False when it cannot be read."""
    import json

    try:
        return bool(json.loads((graph_root / f"{driver}-images" / "images.json").read_bytes()))
    except (OSError, ValueError):
        return False


def existing_parent(path: Path) -> Path:
    """Give the nearest folder above a path, or the path, that is there."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _without_roots(table: Table) -> Table:
    """Leave out of the system's file what is meant for root's store."""
    storage = table.get("storage")
    if not isinstance(storage, Mapping):
        return table
    kept = {key: value for key, value in storage.items() if key not in {"graphroot", "runroot", "imagestore"}}
    return {**table, "storage": kept}
