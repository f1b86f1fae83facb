# SPDX-License-Identifier: Apache-2.0
"""What was found out is kept exactly as long as nothing changes."""

import json
import os
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine import hostcache
from stxbuildah.model.host import UserChoices
from stxbuildah.model.settings import HostChoices, Storage

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CHOICES = st.builds(
    HostChoices,
    storage=st.builds(Storage, driver=TEXTS, root=TEXTS, runroot=TEXTS),
    isolation=TEXTS,
    runtime=TEXTS,
    runtime_path=TEXTS,
    network=TEXTS,
    environment=st.lists(st.tuples(TEXTS.filter(lambda name: not name.endswith("_CONF")), TEXTS)).map(tuple),
    reasons=st.lists(TEXTS).map(tuple),
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@given(choices=CHOICES, mark=TEXTS)
def test_what_is_kept_is_given_back(tmp_path_factory: pytest.TempPathFactory, choices: HostChoices, mark: str) -> None:
    environment = {"HOME": str(tmp_path_factory.mktemp("home"))}
    assert hostcache.load(mark, environment) is None
    hostcache.save(mark, choices, environment)
    assert hostcache.load(mark, environment) == choices
    assert hostcache.load(mark + "x", environment) is None


def kept(**wrong: str | int) -> str:
    """A whole file, in which these choices are no texts."""
    choices = {"storage": ["", "", ""], "isolation": "", "runtime": "", "runtime_path": "", "network": ""}
    return json.dumps({"fingerprint": "m", "choices": {**choices, "environment": [], "reasons": [], **wrong}})


def test_a_whole_file_counts(environment: dict[str, str]) -> None:
    hostcache.save("m", HostChoices(), environment)
    (path,) = hostcache.cache_folder(environment).iterdir()
    path.write_text(kept(network="host"), encoding="utf-8")
    assert hostcache.load("m", environment) == HostChoices(isolation="")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"fingerprint": "m"}',
        '{"fingerprint": "m", "choices": []}',
        '{"fingerprint": "m", "choices": {"storage": ["a"]}}',
        kept(isolation=7),
        kept(network=1),
    ],
)
def test_a_broken_file_counts_for_nothing(environment: dict[str, str], text: str) -> None:
    hostcache.save("m", HostChoices(), environment)
    (path,) = hostcache.cache_folder(environment).iterdir()
    path.write_text(text, encoding="utf-8")
    assert hostcache.load("m", environment) is None


def test_choices_whose_settings_file_is_gone_count_for_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "containers.conf"
    file.touch()
    choices = HostChoices(environment=(("CONTAINERS_CONF", str(file)),))
    hostcache.save("m", choices, environment)
    assert hostcache.load("m", environment) == choices
    file.unlink()
    assert hostcache.load("m", environment) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / ".cache").touch()
    environment = {"HOME": str(tmp_path)}
    hostcache.save("m", HostChoices(), environment)
    assert hostcache.load("m", environment) is None


def test_nothing_but_the_file_is_left_in_the_folder(environment: dict[str, str]) -> None:
    hostcache.save("m", HostChoices(), environment)
    hostcache.save("m", HostChoices(isolation="oci"), environment)
    assert [path.suffix for path in hostcache.cache_folder(environment).iterdir()] == [".json"]


def test_the_same_machine_has_the_same_fingerprint(environment: dict[str, str]) -> None:
    program(Path(environment["PATH"]), "buildah")
    assert hostcache.fingerprint(UserChoices(), environment) == hostcache.fingerprint(UserChoices(), {**environment})


@pytest.mark.parametrize(
    "user",
    [
        UserChoices(isolation="chroot"),
        UserChoices(network="none"),
        UserChoices(runtime="crun"),
        UserChoices(storage=Storage(driver="vfs")),
        UserChoices(storage=Storage(root="/r")),
        UserChoices(storage=Storage(runroot="/r")),
    ],
    ids=lambda user: str(attrs.astuple(user)),
)
def test_another_wish_has_another_fingerprint(environment: dict[str, str], user: UserChoices) -> None:
    assert hostcache.fingerprint(user, environment) != hostcache.fingerprint(UserChoices(), environment)


@pytest.mark.parametrize("name", hostcache.VARIABLES)
def test_another_environment_has_another_fingerprint(environment: dict[str, str], name: str) -> None:
    before = hostcache.fingerprint(UserChoices(), environment)
    assert hostcache.fingerprint(UserChoices(), {**environment, name: "/elsewhere"}) != before


def test_variables_that_matter_to_nothing_are_left_out(environment: dict[str, str]) -> None:
    before = hostcache.fingerprint(UserChoices(), environment)
    assert hostcache.fingerprint(UserChoices(), {**environment, "EDITOR": "vi"}) == before


@pytest.mark.parametrize("name", hostcache.PROGRAMS)
def test_a_program_that_comes_or_changes_has_another_fingerprint(environment: dict[str, str], name: str) -> None:
    marks = [hostcache.fingerprint(UserChoices(), environment)]
    path = program(Path(environment["PATH"]), name)
    marks.append(hostcache.fingerprint(UserChoices(), environment))
    os.utime(path, (1, 1))
    marks.append(hostcache.fingerprint(UserChoices(), environment))
    assert len(set(marks)) == 3


@pytest.mark.parametrize("name", ["containers.conf", "storage.conf", "containers.conf.d/a.conf"])
def test_a_settings_file_that_comes_has_another_fingerprint(environment: dict[str, str], name: str) -> None:
    before = hostcache.fingerprint(UserChoices(), environment)
    path = Path(environment["HOME"], ".config/containers", name)
    path.parent.mkdir(parents=True)
    path.touch()
    assert hostcache.fingerprint(UserChoices(), environment) != before


def test_only_what_can_be_run_is_a_program(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "runc").mkdir(parents=True)
    second.mkdir()
    (first / "buildah").write_text("not for running", encoding="utf-8")
    found = program(second, "buildah")
    environment = {"PATH": f"{first}:{tmp_path / 'none'}:{second}"}
    assert hostcache.find_program("buildah", environment) == str(found)
    assert hostcache.find_program("runc", environment) == ""


def test_a_leftover_vfs_store_has_another_fingerprint_and_an_overlay_store_has_not(
    environment: dict[str, str],
) -> None:
    store = Path(environment["HOME"], ".local/share/containers/storage")
    user = UserChoices(storage=Storage(root=str(store)))
    before = hostcache.fingerprint(user, environment)
    (store / "vfs-images").mkdir(parents=True)
    assert hostcache.fingerprint(user, environment) != before
    (store / "overlay-images").mkdir()
    assert hostcache.fingerprint(user, environment) == before


def test_only_the_newest_findings_are_kept(environment: dict[str, str]) -> None:
    for number in range(40):
        hostcache.save(f"m{number}", HostChoices(), environment)
        for age, path in enumerate(sorted(hostcache.cache_folder(environment).glob("host-*.json"))):
            if json.loads(path.read_text(encoding="utf-8"))["fingerprint"] != f"m{number}":
                os.utime(path, ns=(age, age))
    assert hostcache.load("m39", environment) == HostChoices()
    assert len(list(hostcache.cache_folder(environment).iterdir())) < 20
