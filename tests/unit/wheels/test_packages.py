# SPDX-License-Identifier: Apache-2.0
"""Wheels out of .deb and .rpm files, made byte by byte."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.wheels.packages import extract_wheels
from tests.unit.wheels.package_maker import COMPRESSIONS, deb, rpm

FILES = {
    "./usr/share/python-wheels/a-1-py3-none-any.whl": b"wheel a" * 1000,
    "./usr/share/doc/a/README": b"text",
    "./wheels/b-2-py3-none-any.whl": b"wheel b",
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize(("make", "kind"), [(deb, ".deb"), (rpm, ".rpm")])
def test_the_wheels_and_nothing_else(
    tmp_path: Path, make: Callable[[dict[str, bytes], str], bytes], kind: str, suffix: str
) -> None:
    package = tmp_path / f"a{kind}"
    package.write_bytes(make(FILES, suffix))
    folder = tmp_path / "out"
    folder.mkdir()
    found = extract_wheels(package, folder)
    assert {path.name: path.read_bytes() for path in found} == {
        "a-1-py3-none-any.whl": FILES["./usr/share/python-wheels/a-1-py3-none-any.whl"],
        "b-2-py3-none-any.whl": b"wheel b",
    }
    assert sorted(folder.iterdir()) == list(found)


@pytest.mark.parametrize(("make", "kind"), [(deb, ".deb"), (rpm, ".rpm")])
def test_names_that_lead_elsewhere_and_names_that_come_twice(
    tmp_path: Path, make: Callable[[dict[str, bytes]], bytes], kind: str
) -> None:
    package = tmp_path / f"a{kind}"
    (tmp_path / "out").mkdir()
    package.write_bytes(make({"../../../escaped-1-py3-none-any.whl": b"1", "/..whl": b"2", "/-x.whl": b"3"}))
    assert [path.name for path in extract_wheels(package, tmp_path / "out")] == ["escaped-1-py3-none-any.whl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{kind}", "out"]
    package.write_bytes(make({"a/a-1-py3-none-any.whl": b"1", "b/a-1-py3-none-any.whl": b"2"}))
    with pytest.raises(InputError, match="two wheels of the name a-1-py3-none-any"):
        extract_wheels(package, tmp_path / "out")


@given(kind=st.sampled_from([".deb", ".rpm"]), cut=st.floats(0, 0.99), place=st.floats(0, 1), byte=st.integers(0, 255))
def test_what_is_damaged_is_refused_or_read_and_never_worse(
    tmp_path_factory: pytest.TempPathFactory, kind: str, cut: float, place: float, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "out").mkdir()
    package = folder / f"a{kind}"
    whole = deb(FILES) if kind == ".deb" else rpm(FILES)
    package.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(InputError):
        extract_wheels(package, folder / "out")
    at = int((len(whole) - 1) * place)
    package.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    try:
        extract_wheels(package, folder / "out")
    except InputError as error:
        assert "a.deb" in error.message or "a.rpm" in error.message  # noqa: PT017 # both ways are right
