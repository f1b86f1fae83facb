# SPDX-License-Identifier: Apache-2.0
"""What ``stxb doctor`` tells: each capability, how it was probed, what was found, what follows, what improves it."""

from collections.abc import Callable, Mapping

from stxbuildah.engine.findings import Findings, gather
from stxbuildah.engine.hostfacts import ENOUGH_IDENTITIES
from stxbuildah.engine.registrylane import registry_lane
from stxbuildah.engine.remedy import install_command, missing_network_helper, upgrade_command
from stxbuildah.engine.trial import Outcome, opened_trials
from stxbuildah.engine.versions import Version, open_holes, version_text
from stxbuildah.model.host import Capability, HostReport, State, UserChoices
from stxbuildah.model.settings import HostChoices

ENOUGH_SPACE = 2_000_000_000
# The oldest releases that this program is tried with.
OLDEST_TRIED: Mapping[str, Version] = {"buildah": (1, 28), "podman": (4, 3), "skopeo": (1, 9)}
NEEDED_FOR = {
    "buildah": "no image can be updated",
    "podman": "no wheel can be built in a container",
    "skopeo": "no image can be updated, copied or pushed",
}


def report(user: UserChoices, environment: Mapping[str, str], choices: HostChoices) -> HostReport:
    """Examine a machine.

    Args:
        user: what was set by flags.
        environment: the user's environment.
        choices: how programs are run here.

    Raises:
        HostError: there is no folder for temporary files.
    """
    with opened_trials(environment, dict(choices.environment)) as trials:
        findings = gather(user, environment, choices, trials)
    return judge(findings)


def judge(findings: Findings) -> HostReport:
    """Tell what follows from all that was found."""
    rows = [row for make in ROWS if (row := make(findings)) is not None]
    enough = findings.unpacks
    stores = findings.choices.storage.driver != "overlay" or findings.overlay.worked or findings.fuse_overlay.worked
    runs = findings.isolations.get(findings.choices.isolation, Outcome(worked=False)).worked
    return HostReport(
        capabilities=tuple(rows),
        choices=findings.choices,
        updates=findings.skopeo.worked and runs and enough and stores,
        wheel_containers=findings.podman.worked and enough and stores,
    )


def _account(findings: Findings) -> Capability:
    facts = findings.facts
    found = f"{facts.account} (uid {facts.uid})" if facts.rootless else "root"
    if facts.container:
        found += f", in a {facts.container} container"
    state, consequence = State.OK, "everything runs with this account's rights"
    if facts.container:
        consequence = "the container around it decides what the programs below may do"
    elif not facts.rootless:
        state, consequence = State.WARN, "works, but images' programs run with root's rights; no command needs them"
    return Capability(
        name="account", probed_by="geteuid, container marks", found=found, state=state, consequence=consequence
    )


def _program(name: str) -> Callable[[Findings], Capability]:
    def row(findings: Findings) -> Capability:
        path = findings.facts.programs[name]
        install = install_command(findings.facts.system, name)
        if not path:
            return Capability(
                name=name, probed_by="PATH", found="not there", state=State.FAIL, consequence=NEEDED_FOR[name],
                improve=install,
            )  # fmt: skip
        version = findings.versions.get(name, ())
        found = f"{version_text(version) or 'tells no version'} at {path}"
        oldest = OLDEST_TRIED[name]
        state, consequence, improve = State.OK, "used", ""
        if version < oldest:
            state, improve = State.WARN, install
            consequence = f"older than {version_text(oldest)}, the oldest that this program is tried with"
        return Capability(
            name=name, probed_by=f"{name} --version", found=found, state=state, consequence=consequence, improve=improve
        )

    return row


def _holes(findings: Findings) -> Capability | None:
    version = findings.versions.get("buildah", ())
    if not version:
        return None
    package = findings.package
    holes = open_holes(version, package.patched)
    closed = [hole.cve for hole in open_holes(version) if hole.cve in package.patched]
    probed_by = "release number" + (f", {package.told_by}" if package.told_by else "")
    found = ", ".join(hole.cve for hole in holes) or "none that is known"
    if closed:
        found += f" ({', '.join(closed)} fixed in {package.version})"
    if not holes:
        return Capability(name="holes of buildah", probed_by=probed_by, found=found, state=State.OK, consequence="none")
    return Capability(
        name="holes of buildah",
        probed_by=probed_by,
        found=found,
        state=State.WARN,
        consequence=f"build no Containerfile that you do not trust: {'; '.join(hole.sentence for hole in holes)}. "
        "stxb update runs none",
        improve=upgrade_command(findings.facts.system, "buildah"),
    )


def _runtime(findings: Findings) -> Capability:
    there = [name for name in ("crun", "runc") if findings.facts.programs[name]]
    found = ", ".join(f"{name} {version_text(findings.versions.get(name, ()))}".strip() for name in there)
    return Capability(
        name="OCI runtime",
        probed_by="PATH, --version",
        found=found or "neither crun nor runc",
        state=State.OK if there else State.FAIL,
        consequence="runs the containers" if there else "podman runs no container, buildah only by chroot",
        improve="" if there else install_command(findings.facts.system, "runc"),
    )


def _namespaces_allowed(findings: Findings) -> Capability | None:
    if not findings.facts.rootless:
        return None
    switches = findings.facts.namespace_switches
    works = findings.namespace.worked
    # Ubuntu lets programs that have an AppArmor profile pass its switch; what counts is whether one could be entered.
    state = State.OK if not switches else State.WARN if works else State.FAIL
    name, _, value = switches[0].partition(" = ") if switches else ("", "", "")
    better = {"kernel.unprivileged_userns_clone": "1", "user.max_user_namespaces": "15000"}.get(name, "0")
    return Capability(
        name="user namespaces",
        probed_by="sysctl",
        found=", ".join(switches) or "not forbidden",
        state=state,
        consequence="an ordinary account can be root of its containers" if works else "rootless containers need them",
        improve=f"sudo sysctl -w {name}={better}" if state is State.FAIL and value else "",
    )


def _mapping_programs(findings: Findings) -> Capability | None:
    if not findings.facts.rootless:
        return None
    missing = [name for name in ("newuidmap", "newgidmap") if not findings.facts.programs[name]]
    return Capability(
        name="newuidmap, newgidmap",
        probed_by="PATH",
        found=f"not there: {', '.join(missing)}" if missing else "there",
        state=State.FAIL if missing else State.OK,
        consequence="an account's ranges cannot be used without them" if missing else "give the account its ranges",
        improve=install_command(findings.facts.system, "newuidmap") if missing else "",
    )


def _ranges(findings: Findings) -> Capability | None:
    facts = findings.facts
    if not facts.rootless:
        return None
    enough = min(facts.subuids, facts.subgids) >= ENOUGH_IDENTITIES
    # An account of a directory service has its ranges there: what counts is what a user namespace got.
    mapped = findings.identities >= ENOUGH_IDENTITIES
    last = facts.free_subid + ENOUGH_IDENTITIES - 1
    span = f"{facts.free_subid}-{last}"
    return Capability(
        name="subordinate identities",
        probed_by="/etc/subuid, /etc/subgid",
        found=f"{facts.subuids} users, {facts.subgids} groups",
        state=State.OK if enough or mapped else State.FAIL,
        consequence="images' files can have any owner"
        if enough or mapped
        else f"images with several owners of files cannot be unpacked; {ENOUGH_IDENTITIES} of each are needed",
        improve=""
        if enough or mapped
        else f"sudo usermod --add-subuids {span} --add-subgids {span} {facts.account} && podman system migrate",
    )


def _namespace(findings: Findings) -> Capability | None:
    if not findings.facts.rootless:
        return None
    outcome = findings.namespace
    count = findings.identities
    good = outcome.worked and count >= ENOUGH_IDENTITIES
    return Capability(
        name="entering a user namespace",
        probed_by="buildah unshare, tried",
        found=f"{count} {'identity' if count == 1 else 'identities'}" if outcome.worked else outcome.said,
        state=State.OK if good else State.FAIL,
        consequence="images can be read and written" if good else "images cannot be read and written in full",
    )


def _isolation(findings: Findings) -> Capability:
    chosen = findings.choices.isolation
    works = findings.isolations.get(chosen, Outcome(worked=False)).worked
    found = "; ".join(
        f"{name}: works" if outcome.worked else f"{name}: {outcome.said}"
        for name, outcome in findings.isolations.items()
    )
    state = State.FAIL if not works else State.WARN if chosen == "chroot" and not findings.user.isolation else State.OK
    consequence = f"packages and scripts run with isolation {chosen}"
    if not works:
        consequence = f"packages and scripts cannot run; isolation {chosen} was to be used"
    elif not findings.unpacks:
        consequence = "of use once images can be unpacked"
    return Capability(
        name="containers of buildah",
        probed_by="buildah from scratch, buildah run, tried",
        found=found,
        state=state,
        consequence=consequence,
    )


def _podman(findings: Findings) -> Capability:
    outcome = findings.podman
    consequence = "wheels can be built" if outcome.worked else "no wheel can be built in a container"
    if outcome.worked and not findings.unpacks:
        consequence = "of use once images can be unpacked"
    return Capability(
        name="containers of podman",
        probed_by="podman run --rootfs, tried",
        found="works" if outcome.worked else outcome.said,
        state=State.OK if outcome.worked else State.FAIL,
        consequence=consequence,
    )


def _settings(findings: Findings) -> Capability:
    ours = dict(findings.choices.environment)
    reasons = [reason for reason in findings.choices.reasons if reason.startswith(("containers.conf", "storage"))]
    files = [f"{name}={ours[name]}" for name in sorted(ours) if name.endswith("_CONF")]
    consequence = f"programs are given {', '.join(files)}" if files else "programs read the user's own"
    storage, asked = ours.get("CONTAINERS_STORAGE_CONF", ""), findings.user.storage
    differs = bool(storage and findings.facts.rootless and not findings.storage_conf_named)
    differs = differs and not (asked.driver or asked.root or asked.runroot)
    if differs:
        consequence += "; your own podman and buildah commands see these images only with the same storage.conf"
    return Capability(
        name="settings files",
        probed_by="containers.conf, storage.conf, tried",
        found="; ".join(reasons),
        state=State.WARN if differs else State.OK,
        consequence=consequence,
        improve=f"install -D -m 644 {storage} ~/.config/containers/storage.conf" if differs else "",
    )


def _limits(findings: Findings) -> Capability:
    facts = findings.facts
    limits = f"{_limit(facts.open_files)} open files, {_limit(facts.processes)} processes"
    found = f"{limits}, {'with' if facts.sys_resource else 'without'} CAP_SYS_RESOURCE"
    works = findings.podman.worked or not facts.programs["podman"]
    return Capability(
        name="limits",
        probed_by="getrlimit, /proc/self/status",
        found=found,
        state=State.OK if works or facts.sys_resource else State.WARN,
        consequence="containers start within them" if works else "a container that asks for more does not start",
    )


def _cgroups(findings: Findings) -> Capability:
    facts = findings.facts
    managed = facts.cgroups == "v2" and (facts.cgroup_delegated or not facts.rootless)
    return Capability(
        name="control groups",
        probed_by="/sys/fs/cgroup, /proc/self/cgroup",
        found=facts.cgroups + (", delegated" if facts.cgroup_delegated else ", not delegated"),
        state=State.OK if managed else State.WARN,
        consequence="containers can be limited"
        if managed
        else "memory and CPU of containers cannot be limited; nothing here needs that",
    )


def _network(findings: Findings) -> Capability:
    facts, chosen = findings.facts, findings.choices.network
    helpers = [name for name in ("pasta", "slirp4netns", "netavark") if facts.programs[name]]
    outcome = findings.private_network
    found = "works" if outcome.worked else outcome.said
    found += f"; /dev/net/tun {'opens' if facts.tun else 'does not open'}; {', '.join(helpers) or 'no helper'}"
    return Capability(
        name="network of a container's own",
        probed_by="buildah run --network private, tried",
        found=found,
        state=State.OK if outcome.worked or findings.user.network else State.WARN,
        consequence=f"containers use network {chosen}"
        + (": what runs in them reaches this machine's own addresses" if chosen == "host" else ""),
        improve=_network_improvement(findings),
    )


def _network_improvement(findings: Findings) -> str:
    facts = findings.facts
    if findings.private_network.worked or not facts.rootless:
        return ""
    helper = missing_network_helper(findings.private_network.said)
    if helper or not (facts.programs["pasta"] or facts.programs["slirp4netns"]):
        return install_command(facts.system, helper or "slirp4netns")
    return "" if facts.tun else "sudo chmod 666 /dev/net/tun"


def _overlay(findings: Findings) -> Capability:
    kernel, fuse = findings.overlay, findings.fuse_overlay
    found = f"kernel: {'works' if kernel.worked else kernel.said}; fuse: {'works' if fuse.worked else fuse.said}"
    works = kernel.worked or fuse.worked
    needed = findings.choices.storage.driver == "overlay"
    return Capability(
        name="overlay",
        probed_by="mounted where the images are, tried",
        found=found,
        state=State.OK if works else State.FAIL if needed else State.WARN,
        consequence="working containers cost no copy"
        if works
        else "the store cannot be used with its driver"
        if needed
        else "the whole image is copied for each working container",
        improve="stxb doctor --storage-driver vfs" if needed and not works else "",
    )


def _store(findings: Findings) -> Capability:
    shown = {name: f"{driver} in {folder}" for name, (driver, folder) in findings.stores.items()}
    one = len(set(shown.values())) <= 1
    driver = findings.choices.storage.driver
    as_chosen = all(found[0] == driver for found in findings.stores.values()) if driver else True
    found = "; ".join(f"{name}: {text}" for name, text in shown.items()) or "not told"
    consequence = "one store for all programs"
    if not one or not as_chosen:
        consequence = "podman's database names another driver: what one puts there the other does not see"
    elif driver == "vfs":
        consequence = "a store of copies: slow and large; another driver means pulling the images again"
    slow = driver == "vfs" and findings.overlay.worked and not findings.user.storage.driver
    return Capability(
        name="image store",
        probed_by="buildah info, podman info",
        found=found,
        state=State.WARN if slow or not one or not as_chosen or not shown else State.OK,
        consequence=consequence,
        improve="podman system reset  # removes all images and containers of this account"
        if slow or not one or not as_chosen
        else "",
    )


def _skopeo(findings: Findings) -> Capability:
    outcome, facts = findings.skopeo, findings.facts
    improve = ""
    if not outcome.worked and not facts.rootless and not facts.mknod:
        # skopeo enters a user namespace, which a container's root has no identities for, when it misses one of the
        # capabilities that unpacking an image may need.
        improve = "podman run --cap-add=mknod ..., around this container"
    return Capability(
        name="storing images",
        probed_by="skopeo copy into a store, tried",
        found="works" if outcome.worked else outcome.said,
        state=State.OK if outcome.worked else State.FAIL,
        consequence="layers can be stored" if outcome.worked else "no image can be updated",
        improve=improve,
    )


def _space(findings: Findings) -> Capability:
    shown = [f"{size / 1e9:.1f} GB in {folder}" for folder, size in findings.free_space.items()]
    enough = all(size >= ENOUGH_SPACE for size in findings.free_space.values())
    return Capability(
        name="free space",
        probed_by="statvfs",
        found=", ".join(shown) or "not told",
        state=State.OK if enough and shown else State.WARN,
        consequence="images fit" if enough else "a large image may not fit; set TMPDIR, or --root, elsewhere",
        improve="" if enough else "podman system prune",
    )


Row = Callable[[Findings], Capability | None]
ROWS: tuple[Row, ...] = (
    _account, _program("buildah"), _holes, _program("podman"), _program("skopeo"), _runtime,
    _namespaces_allowed, _mapping_programs, _ranges, _namespace, _isolation, _podman, _skopeo, _settings, _limits,
    _cgroups, _network, _overlay, _store, _space, registry_lane,
)  # fmt: skip


def _limit(number: int) -> str:
    return "unlimited" if number < 0 else str(number)
