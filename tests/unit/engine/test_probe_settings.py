# SPDX-License-Identifier: Apache-2.0
"""Settings files: which one counts, how they are merged, and how ours are written."""

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.containersconf import Places, Table, merged, read_table, toml_text, value_at, write_private
from stxbuildah.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.one_of(
    TEXTS, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False), st.datetimes(), st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
TABLES: st.SearchStrategy[Table] = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(TABLES)
def test_what_is_written_is_read_back(table: Table) -> None:
    assert tomllib.loads(toml_text(table)) == table


def test_sections_come_after_the_plain_settings_of_a_table() -> None:
    table: Table = {
        "containers": {"env": ["A=1", {"append": True}]},
        "engine": {"runtime": "runc", "runtimes": {"x": ["/x"]}},
    }
    assert toml_text(table) == (
        '[containers]\nenv = ["A=1", {append = true}]\n[engine]\nruntime = "runc"\n[engine.runtimes]\nx = ["/x"]\n'
    )


@given(TABLES, TABLES)
def test_merging_with_nothing_changes_nothing_and_the_later_table_wins(first: Table, second: Table) -> None:
    assert merged((first, {})) == first
    both = merged((first, second))
    assert set(both) == {*first, *second}
    for key, value in second.items():
        if not isinstance(value, dict | list):
            assert both[key] == value


@pytest.mark.parametrize(
    ("before", "after", "both"),
    [
        (["a"], ["b"], ["b"]),
        (["a"], ["b", {"append": True}], ["a", "b", {"append": True}]),
        (["a", {"append": True}], ["b", {"append": True}], ["a", "b", {"append": True}]),
        (["a", {"append": True}], ["b"], ["b"]),
        (["a"], ["b", {"append": False}], ["b", {"append": False}]),
        (["a"], [], []),
        ({"x": 1, "y": 2}, {"y": 3}, {"x": 1, "y": 3}),
        ({"x": 1}, "text", "text"),
    ],
)
def test_lists_are_replaced_unless_they_ask_to_be_added(before: object, after: object, both: object) -> None:
    assert merged(({"k": before}, {"k": after})) == {"k": both}  # type: ignore[dict-item]


def test_a_dotted_section_is_looked_up() -> None:
    table = {"storage": {"options": {"overlay": {"mount_program": "/usr/bin/fuse-overlayfs"}}}}
    assert value_at(table, "storage.options.overlay", "mount_program") == "/usr/bin/fuse-overlayfs"
    assert value_at(table, "storage.options.vfs", "mount_program") is None
    assert value_at({"storage": "no section"}, "storage", "driver") is None


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(
        rootless=True,
        environment={"HOME": str(tmp_path / "home")},
        system=(tmp_path / "usr/share/containers", tmp_path / "etc/containers"),
    )


def test_the_files_of_containers_conf_come_in_the_order_of_the_manual(places: Places) -> None:
    usr, etc = places.system
    own = places.user_folder
    expected = (
        write(usr / "containers.conf"),
        write(etc / "containers.conf"),
        write(etc / "containers.conf.d/10-a.conf"),
        write(etc / "containers.conf.d/20-b.conf"),
        write(own / "containers.conf"),
        write(own / "containers.conf.d/10-c.conf"),
    )
    write(etc / "containers.conf.d/ignored.txt")
    assert places.containers_conf() == expected


def test_root_has_no_settings_of_its_own_account(places: Places, tmp_path: Path) -> None:
    write(places.user_folder / "containers.conf")
    root = Places(rootless=False, environment=places.environment, system=places.system)
    assert root.containers_conf() == ()
    assert root.storage_conf() is None


def test_the_variable_stands_for_all_files(places: Places, tmp_path: Path) -> None:
    write(places.user_folder / "containers.conf")
    write(places.user_folder / "storage.conf")
    named = write(tmp_path / "named.conf")
    environment = {**places.environment, "CONTAINERS_CONF": str(named), "CONTAINERS_STORAGE_CONF": str(named)}
    found = Places(rootless=True, environment=environment, system=places.system)
    assert found.containers_conf() == (named,)
    assert found.storage_conf() == named


@pytest.mark.parametrize("variable", ["CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"])
def test_a_variable_that_names_no_file_is_the_users_mistake(variable: str, tmp_path: Path) -> None:
    places = Places(rootless=True, environment={variable: str(tmp_path / "none")}, system=())
    with pytest.raises(InputError, match=f"{variable} names .*none, which is not a file"):
        places.containers_conf() if variable == "CONTAINERS_CONF" else places.storage_conf()


def test_the_accounts_own_storage_conf_comes_before_the_systems(places: Places) -> None:
    usr, etc = places.system
    assert places.storage_conf() is None
    assert places.storage_conf() != write(usr / "storage.conf")
    assert places.storage_conf() == usr / "storage.conf"
    write(etc / "storage.conf")
    assert places.storage_conf() == etc / "storage.conf"
    own = write(places.user_folder / "storage.conf")
    assert places.storage_conf() == own
    assert places.is_own(own)
    assert places.is_default(usr / "storage.conf")
    assert not places.is_default(etc / "storage.conf")


def test_a_file_that_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "storage.conf", "[storage\n")
    with pytest.raises(InputError, match=r"storage\.conf is not TOML: .*line 1"):
        read_table(path)


def test_our_file_is_named_after_its_content_and_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "stxb"
    first = write_private(folder, "storage", "[storage]\n")
    stamp = first.stat().st_mtime_ns
    assert write_private(folder, "storage", "[storage]\n") == first
    assert first.stat().st_mtime_ns == stamp
    other = write_private(folder, "storage", "[other]\n")
    assert sorted(path.name for path in folder.iterdir()) == sorted([first.name, other.name])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
