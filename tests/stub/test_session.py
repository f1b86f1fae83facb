# SPDX-License-Identifier: Apache-2.0
"""The very commands that a working container gives to buildah."""

from pathlib import Path

import pytest

from stxbuildah.engine.orphans import remove_orphans
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.errors import BuildError, DiskFullError, InputError
from stxbuildah.model.settings import HostChoices
from tests.stub.conftest import StubPrograms


def test_a_container_from_its_making_to_its_removal(programs: StubPrograms, tmp_path: Path) -> None:
    choices = HostChoices(isolation="rootless", runtime="runc", network="host")
    with WorkingContainer.create(programs.runner, choices, "localhost/a:1", state_folder=tmp_path / "state") as made:
        made.run(
            ["sh", "-c", "true"],
            volumes=["/here:/there:ro", "/more:/mnt"],
            env={"LANG": "C.UTF-8", "HTTPS_PROXY": "http://me:secret@proxy:1"},
            user="1000:1000",
            workdir="/srv",
        )
        assert programs.calls[-1].environment["HTTPS_PROXY"] == "http://me:secret@proxy:1"
    assert programs.commands == [
        ["buildah", "from", "--pull-never", "--name", made.name, "--", "localhost/a:1"],
        [
            *("buildah", "run", "--isolation", "rootless", "--runtime", "runc", "--network", "host"),
            *("--user", "1000:1000", "--workingdir", "/srv", "--env", "LANG=C.UTF-8"),
            *("--volume", "/here:/there:ro", "--volume", "/more:/mnt", made.name, "--", "sh", "-c", "true"),
        ],
        ["buildah", "rm", made.name],
    ]
    assert list((tmp_path / "state").iterdir()) == []


def test_a_runtime_means_nothing_to_chroot(programs: StubPrograms, tmp_path: Path) -> None:
    choices = HostChoices(isolation="chroot", runtime="runc", network="none")
    with WorkingContainer.create(programs.runner, choices, "a", state_folder=tmp_path / "state") as made:
        made.run(["true"], network="host")
    expected = ["buildah", "run", "--isolation", "chroot", "--network", "host", "--user", "root", "--workingdir", "/"]
    assert programs.commands[1] == [*expected, made.name, "--", "true"]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Error: a: image not known", InputError),
        ("Error: write /store/x: no space left on device", DiskFullError),
        ("Error: something else", BuildError),
    ],
)
def test_a_container_that_cannot_be_made_is_removed_all_the_same(
    programs: StubPrograms, tmp_path: Path, message: str, error: type[Exception]
) -> None:
    programs.answer("buildah", "from", stderr=message, status=125)
    programs.answer("buildah", "rm", stderr='Error: removing container "x": container not known', status=125)
    with pytest.raises(error):
        WorkingContainer.create(programs.runner, HostChoices(), "a", state_folder=tmp_path / "state")
    assert [call[1] for call in programs.commands] == ["from", "rm"]
    assert list((tmp_path / "state").iterdir()) == []


def test_what_cannot_be_removed_now_is_an_orphan_for_later(programs: StubPrograms, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for _ in range(2):
        programs.answer("buildah", "rm", stderr="Error: device or resource busy", status=125, once=True)
    with WorkingContainer.create(programs.runner, HostChoices(), "a", state_folder=state) as made:
        pass
    assert remove_orphans(programs.runner, HostChoices(), state) == ()
    assert remove_orphans(programs.runner, HostChoices(), state) == (made.name,)
    assert programs.commands[1:] == [["buildah", "rm", made.name]] * 3
    assert list(state.iterdir()) == []


def test_a_kept_container_is_not_removed(programs: StubPrograms, tmp_path: Path) -> None:
    with WorkingContainer.create(programs.runner, HostChoices(), "a", state_folder=tmp_path / "state", keep=True):
        pass
    assert [call[1] for call in programs.commands] == ["from"]
    assert list((tmp_path / "state").iterdir()) == []
