# SPDX-License-Identifier: Apache-2.0
"""Choosing and examining, with programs on PATH that only record what they are asked."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.probe import choose_host, examine
from stxbuildah.engine.process import Runner
from stxbuildah.engine.versions import installed_package, open_holes
from stxbuildah.errors import InputError
from stxbuildah.model.host import HostReport, State, UserChoices
from stxbuildah.model.settings import Storage

BEST = "rootless" if os.geteuid() else "oci"
BUILDAH = """\
case "$*" in
  --version) echo "buildah version $VERSION (image-spec 1.0.2-dev, runtime-spec 1.0.2-dev)" ;;
  *uid_map) echo "0 1000 1"; echo "1 100000 65536" ;;
  *"from scratch") echo working-container ;;
  *"--isolation {failing}"*) echo "Error: no runtime works" >&2; exit 1 ;;
  *"--network private"*) echo "Error: no tun" >&2; exit 1 ;;
  info) echo '{{"store": {{"GraphDriverName": "overlay", "GraphRoot": "/store"}}}}' ;;
esac
"""
PODMAN = """\
case "$*" in
  --version) echo "podman version 4.3.1" ;;
  info*) echo '{"store": {"graphDriverName": "overlay", "graphRoot": "/store"}}' ;;
esac
"""
# Runs containers only with the settings that a machine without CAP_SYS_RESOURCE needs.
CHOOSY_PODMAN = """\
case "$*" in *" run "*)
  if [ -n "$CONTAINERS_CONF" ]; then
    while read -r line; do case "$line" in 'default_ulimits = ["nofile='*) exit 0 ;; esac; done < "$CONTAINERS_CONF"
  fi
  echo "Error: setting rlimits: operation not permitted" >&2; exit 126 ;;
esac
"""


@attrs.frozen(kw_only=True)
class Stubs:
    """Programs that record their arguments.

    Attributes:
        folder: everything is in it.
    """

    folder: Path

    def add(self, name: str, body: str = "") -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        log = self.folder / "log"
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n{body}', encoding="utf-8")
        path.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        home = str(self.folder / "home")
        return {"PATH": str(self.folder / "bin"), "HOME": home, "TMPDIR": str(temporary), **more}

    def calls(self) -> list[str]:
        """Every recorded call, with the trial's own folder as TRIAL."""
        log = self.folder / "log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [re.sub(r"[^ ]*/\.stxb-trial-[^/ ]+", "TRIAL", line) for line in lines]


@pytest.fixture
def stubs(tmp_path: Path) -> Stubs:
    (tmp_path / "home/.config/containers").mkdir(parents=True)
    made = Stubs(folder=tmp_path)
    made.add("buildah", BUILDAH.format(failing="nothing").replace("$VERSION", "1.23.1"))
    made.add("podman", PODMAN)
    made.add("skopeo", 'test "$*" = --version && echo "skopeo version 1.4.0"; exit 0')
    made.add("unshare")
    return made


def states(report: HostReport) -> dict[str, State]:
    return {row.name: row.state for row in report.capabilities}


def storage_conf(stubs: Stubs, text: str) -> Path:
    path = stubs.folder / "storage.conf"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_machine_is_tried_once(stubs: Stubs) -> None:
    environment = stubs.environment(STORAGE_DRIVER="overlay")
    first = choose_host(UserChoices(), environment)
    calls = stubs.calls()
    volumes = " ".join(
        f"--volume /{name}:/{name}:ro"
        for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
        if (path := Path("/") / name).is_dir() and not path.is_symlink()
    )
    store = "--root TRIAL/{0}/root --runroot TRIAL/{0}/run --storage-driver vfs"
    buildah, podman = f"buildah {store.format('buildah')}", f"podman {store.format('podman')}"
    run = f"{buildah} run --isolation {BEST} --network {{}} {volumes} working-container -- /usr/bin/true"
    assert calls == [
        f"{podman} --tmpdir TRIAL/podman/tmp run --rm --network host {volumes} --rootfs TRIAL/rootfs /usr/bin/true",
        f"{buildah} from scratch",
        f"{buildah} copy --quiet working-container TRIAL/rootfs /",
        run.format("host"),
        run.format("private"),
    ]
    assert (first.isolation, first.network, first.runtime, first.environment) == (BEST, "host", "", ())
    assert choose_host(UserChoices(), environment) == first
    assert stubs.calls() == calls
    assert list((stubs.folder / "tmp").iterdir()) == []


def test_isolation_falls_back_to_chroot_and_says_why(stubs: Stubs) -> None:
    stubs.add("buildah", BUILDAH.format(failing=BEST))
    choices = choose_host(UserChoices(), stubs.environment(STORAGE_DRIVER="vfs"))
    assert (choices.isolation, choices.network) == ("chroot", "host")
    assert f"isolation chroot: {BEST} does not work here (no runtime works)" in choices.reasons


def test_what_is_lacking_is_added_to_the_users_settings(stubs: Stubs) -> None:
    stubs.add("podman", CHOOSY_PODMAN)
    theirs = stubs.folder / "containers.conf"
    theirs.write_text('[containers]\nenv = ["A=1"]\n[engine]\ncgroup_manager = "systemd"\n', encoding="utf-8")
    environment = stubs.environment(STORAGE_DRIVER="overlay", CONTAINERS_CONF=str(theirs))
    choices = choose_host(UserChoices(), environment)
    ((name, path),) = choices.environment
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert name == "CONTAINERS_CONF"
    assert lines[:2] == ["[containers]", 'env = ["A=1"]']
    assert lines[2].startswith('default_ulimits = ["nofile=')
    assert lines[3:] == ["[engine]", 'cgroup_manager = "systemd"']
    assert theirs.read_text(encoding="utf-8").startswith("[containers]\nenv")
    (reason,) = [reason for reason in choices.reasons if reason.startswith("containers.conf")]
    assert reason.endswith("without it containers fail (setting rlimits: operation not permitted)")
    assert sorted(Path(path).parent.glob("containers-*")) == [Path(path)]


@pytest.mark.parametrize(
    ("user", "variables", "isolation", "source"),
    [
        (UserChoices(isolation="chroot"), {"BUILDAH_ISOLATION": "oci"}, "chroot", "--isolation"),
        (UserChoices(), {"BUILDAH_ISOLATION": "chroot"}, "chroot", "BUILDAH_ISOLATION"),
        (UserChoices(isolation="oci"), {}, "oci", "--isolation"),
    ],
)
def test_the_users_isolation_wins(
    stubs: Stubs, user: UserChoices, variables: dict[str, str], isolation: str, source: str
) -> None:
    choices = choose_host(user, stubs.environment(**variables))
    assert choices.isolation == isolation
    assert f"isolation {isolation}: {source} says so" in choices.reasons


def test_an_unknown_isolation_is_the_users_mistake(stubs: Stubs) -> None:
    with pytest.raises(InputError, match="BUILDAH_ISOLATION is 'jail'"):
        choose_host(UserChoices(), stubs.environment(BUILDAH_ISOLATION="jail"))


@pytest.mark.skipif(os.geteuid() == 0, reason="about ordinary accounts")
def test_flags_reach_all_programs_by_a_file_that_keeps_the_users_settings(stubs: Stubs) -> None:
    text = '[storage]\ndriver = "overlay"\ngraphroot = "/theirs"\n[storage.options.overlay]\nmountopt = "nodev"\n'
    named = storage_conf(stubs, text)
    user = UserChoices(storage=Storage(driver="vfs", root="/flag/root", runroot="/flag/run"))
    environment = stubs.environment(CONTAINERS_STORAGE_CONF=str(named), STORAGE_DRIVER="overlay")
    choices = choose_host(user, environment)
    variables = dict(choices.environment)
    assert choices.storage == Storage(driver="vfs", root="/flag/root", runroot="/flag/run")
    assert variables["STORAGE_DRIVER"] == "vfs"
    assert Path(variables["CONTAINERS_STORAGE_CONF"]).read_text(encoding="utf-8") == (
        '[storage]\ndriver = "vfs"\ngraphroot = "/flag/root"\nrunroot = "/flag/run"\n'
        'rootless_storage_path = "/flag/root"\n[storage.options.overlay]\nmountopt = "nodev"\n'
    )
    assert named.read_text(encoding="utf-8") == text


@pytest.mark.skipif(os.geteuid() == 0, reason="about ordinary accounts")
def test_a_store_that_a_variable_names_is_the_same_for_all_programs(stubs: Stubs) -> None:
    named = storage_conf(stubs, '[storage]\ndriver = "vfs"\ngraphroot = "/theirs"\n')
    choices = choose_host(UserChoices(), stubs.environment(CONTAINERS_STORAGE_CONF=str(named)))
    ((_, path),) = choices.environment
    assert Path(path).read_text(encoding="utf-8") == (
        '[storage]\ndriver = "vfs"\ngraphroot = "/theirs"\nrootless_storage_path = "/theirs"\n'
    )
    both = storage_conf(stubs, Path(path).read_text(encoding="utf-8"))
    assert choose_host(UserChoices(), stubs.environment(CONTAINERS_STORAGE_CONF=str(both))).environment == ()


def test_a_store_that_holds_vfs_images_is_kept(stubs: Stubs) -> None:
    root = stubs.folder / "store"
    (root / "vfs-images").mkdir(parents=True)
    (root / "vfs-images/images.json").write_text('[{"id": "1"}]', encoding="utf-8")
    choices = choose_host(UserChoices(storage=Storage(root=str(root))), stubs.environment())
    assert choices.storage.driver == "vfs"
    assert choices.reasons[0] == f"storage driver vfs: {root} already holds images in it"


def test_vfs_is_used_where_no_overlay_can_be_mounted(stubs: Stubs) -> None:
    failing = 'echo "Error: no overlay here" >&2; exit 1'
    stubs.add("unshare", failing)
    stubs.add("buildah", f'case "$*" in unshare*) {failing} ;; esac\n' + BUILDAH.format(failing="nothing"))
    choices = choose_host(UserChoices(storage=Storage(root=str(stubs.folder / "store"))), stubs.environment())
    assert choices.storage.driver == "vfs"
    assert choices.reasons[0].endswith("(no overlay here)")


def test_a_proxy_on_this_machine_needs_the_hosts_network(stubs: Stubs) -> None:
    environment = stubs.environment(STORAGE_DRIVER="vfs", https_proxy="http://localhost:3128")
    choices = choose_host(UserChoices(), environment)
    assert choices.reasons[-1] == "network host: https_proxy names a proxy on this machine's own address"
    assert not any("--network private" in call for call in stubs.calls())


def test_an_old_buildah_is_told_with_its_holes(stubs: Stubs) -> None:
    report = examine(UserChoices(), stubs.environment(STORAGE_DRIVER="vfs"))
    rows = {row.name: row for row in report.capabilities}
    assert rows["buildah"].found == f"1.23.1 at {stubs.folder}/bin/buildah"
    assert rows["buildah"].consequence == "older than 1.28, the oldest that this program is tried with"
    holes = open_holes((1, 23, 1), installed_package("buildah", Runner()).patched)
    assert rows["holes of buildah"].found.split(" (")[0] == (
        ", ".join(hole.cve for hole in holes) or "none that is known"
    )
    assert rows["podman"].state is State.OK
    assert rows["skopeo"].state is State.WARN
    assert rows["image store"].found == "buildah: overlay in /store; podman: overlay in /store"


def test_missing_programs_are_rows_and_not_errors(tmp_path: Path) -> None:
    stubs = Stubs(folder=tmp_path)
    report = examine(UserChoices(), stubs.environment())
    missing = {"buildah", "podman", "skopeo", "OCI runtime", "containers of podman", "storing images"}
    assert missing <= {name for name, state in states(report).items() if state is State.FAIL}
    assert (report.updates, report.wheel_containers, report.able) == (False, False, False)
    assert "holes of buildah" not in states(report)


def test_the_command_ends_with_3_and_says_what_is_lacking(tmp_path: Path) -> None:
    environment = Stubs(folder=tmp_path).environment(NO_COLOR="1")
    argv = [sys.executable, "-m", "stxbuildah", "doctor", "--format", "json"]
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert ended.stderr == (
        "error: this machine cannot update images nor build wheels in containers\nhint: the rows marked fail say why\n"
    )
    told = json.loads(ended.stdout)
    assert (told["updates"], told["wheel_containers"]) == (False, False)
    assert set(told["capabilities"][0]) == {"name", "probed_by", "found", "state", "consequence", "improve"}
