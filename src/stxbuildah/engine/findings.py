# SPDX-License-Identifier: Apache-2.0
"""Everything that is found out about a machine, gathered at once."""

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from stxbuildah.engine.hostchoice import existing_parent
from stxbuildah.engine.hostfacts import ENOUGH_IDENTITIES, HostFacts, read_facts
from stxbuildah.engine.process import Runner
from stxbuildah.engine.trial import Outcome, Trials, last_line
from stxbuildah.engine.versions import Package, Version, installed_package, parse_version
from stxbuildah.errors import StxbError
from stxbuildah.model.host import UserChoices
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class Findings(Value):
    """What was read and tried.

    Attributes:
        facts: what the machine says of itself.
        user: what was set by flags.
        choices: how programs are run because of it.
        storage_conf_named: whether the user's environment names a storage.conf.
        versions: version of each installed program; empty when it does not tell.
        package: what the distribution says of its buildah.
        namespace: whether a user namespace can be entered; ``said`` is the number of identities in it.
        isolations: whether containers run, by buildah's isolation.
        podman: whether podman runs containers.
        skopeo: whether skopeo puts an image into a store.
        overlay: whether the kernel mounts an overlay where the images are.
        fuse_overlay: whether fuse-overlayfs does.
        private_network: whether a container gets a network of its own.
        stores: driver and folder of the image store as buildah and podman say it, by program.
        free_space: free bytes of the file systems in use, by folder.
        certificates: where the certificates of authorities are that this machine trusts.
    """

    facts: HostFacts
    user: UserChoices
    choices: HostChoices
    storage_conf_named: bool
    versions: Mapping[str, Version]
    package: Package
    namespace: Outcome
    isolations: Mapping[str, Outcome]
    podman: Outcome
    skopeo: Outcome
    overlay: Outcome
    fuse_overlay: Outcome
    private_network: Outcome
    stores: Mapping[str, tuple[str, str]]
    free_space: Mapping[str, int]
    certificates: tuple[str, ...] = ()

    @property
    def identities(self) -> int:
        """How many identities a user namespace of this account has."""
        said = self.namespace.said
        return int(said) if self.namespace.worked and said.isdecimal() else 0

    @property
    def unpacks(self) -> bool:
        """Whether images whose files have several owners can be unpacked."""
        return not self.facts.rootless or self.identities >= ENOUGH_IDENTITIES


def gather(user: UserChoices, environment: Mapping[str, str], choices: HostChoices, trials: Trials) -> Findings:
    """Read and try everything.

    Args:
        user: what was set by flags.
        environment: the user's environment.
        choices: how programs are run here.
        trials: runs them so.
    """
    facts = read_facts(environment)
    graph_root = existing_parent(Path(choices.storage.root or "/"))
    runner = trials.runner
    with ThreadPoolExecutor(4) as pool:
        namespace = pool.submit(_tried, facts, "buildah", trials.user_namespace)
        containers = pool.submit(_try_buildah, facts, trials, choices)
        podman = pool.submit(_tried, facts, "podman", lambda: trials.podman_run(network="host"))
        overlay = pool.submit(_try_overlay, facts, trials, graph_root)
        versions = pool.submit(_versions, facts, runner)
        package = pool.submit(installed_package, "buildah", runner)
        stores = pool.submit(_stores, facts, runner)
        isolations, skopeo, network = containers.result()
        kernel, fuse = overlay.result()
        return Findings(
            facts=facts,
            user=user,
            choices=choices,
            storage_conf_named=bool(environment.get("CONTAINERS_STORAGE_CONF")),
            versions=versions.result(),
            package=package.result(),
            namespace=namespace.result(),
            isolations=isolations,
            podman=podman.result(),
            skopeo=skopeo,
            overlay=kernel,
            fuse_overlay=fuse,
            private_network=network,
            stores=stores.result(),
            free_space=_free_space(graph_root, environment),
            certificates=_certificates(),
        )


def _certificates() -> tuple[str, ...]:
    """Give where OpenSSL finds the certificates of authorities, as far as something is there."""
    import ssl

    places = ssl.get_default_verify_paths()
    return tuple(place for place in (places.cafile, places.capath) if place and Path(place).exists())


def _tried(facts: HostFacts, program: str, trial: Callable[[], Outcome]) -> Outcome:
    return trial() if facts.programs[program] else _missing(program)


def _try_overlay(facts: HostFacts, trials: Trials, near: Path) -> tuple[Outcome, Outcome]:
    """Try the kernel's overlay, and the one by fuse where its program is."""
    fuse = facts.programs["fuse-overlayfs"]
    return trials.overlay(near), trials.overlay(near, fuse) if fuse else _missing("fuse-overlayfs")


def _missing(program: str) -> Outcome:
    return Outcome(worked=False, said=f"{program} is not installed")


def _try_buildah(facts: HostFacts, trials: Trials, choices: HostChoices) -> tuple[dict[str, Outcome], Outcome, Outcome]:
    """Try each isolation, then skopeo with what buildah made, then a network of a container's own."""
    names = ("rootless" if facts.rootless else "oci", "chroot")
    if not facts.programs["buildah"]:
        return dict.fromkeys(names, _missing("buildah")), _missing("buildah"), _missing("buildah")
    try:
        container = trials.working_container()
    except StxbError as error:
        failed = Outcome(worked=False, said=last_line(error))
        return dict.fromkeys(names, failed), failed, failed
    outcomes = {
        name: trials.buildah_run(container, isolation=name, runtime=choices.runtime, network="host")
        for name in dict.fromkeys((*names, choices.isolation))
    }
    network = trials.buildah_run(container, isolation=names[0], runtime=choices.runtime, network="private")
    return outcomes, _tried(facts, "skopeo", lambda: trials.skopeo_copy(container)), network


def _versions(facts: HostFacts, runner: Runner) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for name in ("buildah", "podman", "skopeo", "crun", "runc"):
        if facts.programs[name]:
            try:
                text = runner.run([facts.programs[name], "--version"], timeout=30).stdout.decode("utf-8", "replace")
            except StxbError:
                text = ""
            found[name] = parse_version(text)
    return found


def _stores(facts: HostFacts, runner: Runner) -> dict[str, tuple[str, str]]:
    """Ask buildah and podman which store they use."""
    found: dict[str, tuple[str, str]] = {}
    for name, words in (("buildah", ["info"]), ("podman", ["info", "--format", "json"])):
        if facts.programs[name]:
            try:
                answer = json.loads(runner.run([facts.programs[name], *words], timeout=60).stdout)
                store = {key.lower(): value for key, value in answer["store"].items()}
                found[name] = str(store["graphdrivername"]), str(store["graphroot"])
            except (StxbError, ValueError, KeyError, AttributeError, TypeError):
                continue
    return found


def _free_space(graph_root: Path, environment: Mapping[str, str]) -> dict[str, int]:
    temporary = Path(environment.get("TMPDIR") or "/var/tmp")  # noqa: S108 # as buildah and podman do
    found = {}
    for folder in (graph_root, existing_parent(temporary)):
        try:
            found[str(folder)] = shutil.disk_usage(folder).free
        except OSError:
            continue
    return found
