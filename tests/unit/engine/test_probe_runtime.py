# SPDX-License-Identifier: Apache-2.0
"""Which program is buildah's OCI runtime, where that is certain."""

from pathlib import Path

import pytest

from stxbuildah.engine.containersconf import Places
from stxbuildah.engine.hostchoice import runtime_path

CONF = '[engine]\nruntime = "{name}"\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Both runtimes are installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("crun", "runc"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def places(tmp_path: Path, **variables: str) -> Places:
    environment = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), **variables}
    return Places(rootless=True, environment=environment, system=(tmp_path / "etc",))


def settings(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "containers.conf"
    path.write_text(text)
    return path


def test_of_two_the_default_is_not_certain(programs: Path, tmp_path: Path) -> None:
    assert runtime_path(places(tmp_path), "rootless", "", "") == ""


def test_what_buildah_is_given_counts_before_what_is_set(programs: Path, tmp_path: Path) -> None:
    settings(tmp_path / "etc", CONF.format(name="crun"))
    assert runtime_path(places(tmp_path), "rootless", "", "") == str(programs / "crun")
    assert runtime_path(places(tmp_path, BUILDAH_RUNTIME="runc"), "oci", "", "") == str(programs / "runc")
    assert runtime_path(places(tmp_path, BUILDAH_RUNTIME="runc"), "oci", "crun", "") == str(programs / "crun")
    assert runtime_path(places(tmp_path), "rootless", "/opt/runc", "") == "/opt/runc"
    ours = settings(tmp_path / "ours", CONF.format(name="runc"))
    assert runtime_path(places(tmp_path), "rootless", "", str(ours)) == str(programs / "runc")


def test_chroot_isolation_has_none(programs: Path, tmp_path: Path) -> None:
    assert runtime_path(places(tmp_path), "chroot", "runc", "") == ""


def test_what_depends_on_the_folder_it_is_run_in_is_not_certain(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert runtime_path(places(tmp_path), "rootless", "bin/crun", "") == ""
    assert runtime_path(places(tmp_path, PATH="bin"), "rootless", "crun", "") == ""


@pytest.mark.parametrize("name", ["kata", "/usr/bin/kata", "youki"])
def test_of_others_nothing_is_known(programs: Path, tmp_path: Path, name: str) -> None:
    assert runtime_path(places(tmp_path), "rootless", name, "") == ""
    settings(tmp_path / "etc", CONF.format(name=name))
    assert runtime_path(places(tmp_path), "rootless", "", "") == ""


def test_a_name_with_programs_of_the_users_own_is_not_certain(programs: Path, tmp_path: Path) -> None:
    settings(tmp_path / ".config/containers", '[engine.runtimes]\nrunc = ["/opt/other"]\n')
    assert runtime_path(places(tmp_path), "rootless", "runc", "") == ""
    assert runtime_path(places(tmp_path), "rootless", "crun", "") == str(programs / "crun")
