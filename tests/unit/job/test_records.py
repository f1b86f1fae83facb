# SPDX-License-Identifier: Apache-2.0
"""The records of an update, under the names that the replaced tool gave them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.job.records import records_folder, replace_reference, write_records
from stxbuildah.model.packages import PackageLists, difference
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import UpdateRequest

NEW = ImageReference("registry.example:5000/user/stx-aodh", "1.2")


def test_files_and_their_contents(tmp_path: Path) -> None:
    lists = PackageLists(python=("six==1.17.0",), deb=("base-files 13 amd64",))
    written = write_records(tmp_path / "example.1", NEW, lists)
    assert {path.name: path.read_text() for path in written} == {
        "stx-aodh-1.2.piplst": "six==1.17.0\n",
        "stx-aodh-1.2.deblst": "base-files 13 amd64\n",
        "image-updates.lst": "registry.example:5000/user/stx-aodh:1.2\n",
    }


def test_the_same_label_is_replaced_in_its_place() -> None:
    old = ["docker.io/starlingx/stx-nova:1.0", "docker.io/starlingx/stx-aodh:1.1", "docker.io/starlingx/stx-aodh2:1"]
    assert replace_reference(old, NEW) == (old[0], str(NEW), old[2])


@given(st.lists(st.sampled_from(["a/x:1", "b/x:2", "a/y:1", "registry:5000/z:3", "", "not a reference"])))
def test_one_line_for_each_label(lines: list[str]) -> None:
    result = replace_reference(lines, ImageReference("c/x", "9"))
    assert [line for line in result if "/x:" in line] == ["c/x:9"]
    assert replace_reference(result, ImageReference("c/x", "9")) == result


@pytest.mark.parametrize("identifier", ["", "..", "a/b", "../x", ".hidden", "-x", "a\nb"])
def test_update_ids_that_lead_elsewhere(identifier: str) -> None:
    with pytest.raises(InputError, match="--update-id"):
        records_folder(UpdateRequest(update_id=identifier))


def test_difference_names_what_went_and_came() -> None:
    assert difference(("a==1", "b==1"), ("b==2", "c==1")) == ("- a==1", "- b==1", "+ b==2", "+ c==1")
    assert difference(None, ("a==1",)) == ("+ a==1",)
