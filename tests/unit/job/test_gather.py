# SPDX-License-Identifier: Apache-2.0
"""From a request to its inputs: precedence, wildcards, and all mistakes at once."""

from pathlib import Path

import pytest

from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.job.gather import update_inputs
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import RequestedChanges, TargetOptions, UpdateRequest


def directives(folder: Path, text: str) -> Path:
    path = folder / "stx-nova.update"
    path.write_text(text)
    return path


def test_the_command_line_wins_and_lists_are_added(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    for name in ("wheels/b.whl", "wheels/a.whl", "own.whl", "c.sh"):
        (tmp_path / name).write_text("")
    file = directives(
        tmp_path, 'FROM=stx-nova:1.0\nIMAGE_UPDATE_VER=7\nWHEELS="wheels/*.whl"\nCUSTOMIZATION_SCRIPT=c.sh\n'
    )
    request = UpdateRequest(
        from_image="localhost/stx-other:2.0",
        directives_file=file,
        changes=RequestedChanges(wheels=(str(tmp_path / "own.whl"), "https://files.example/x.whl")),
        target=TargetOptions(version="9"),
    )
    inputs = update_inputs(request)
    assert inputs.base == ImageReference("localhost/stx-other", "2.0")
    assert inputs.target == ImageReference("localhost/stx-other", "2.9")
    expected = ["wheels/a.whl", "wheels/b.whl", "own.whl"]
    assert inputs.wheels == (*(str(tmp_path / name) for name in expected), "https://files.example/x.whl")
    assert inputs.customization_script == tmp_path / "c.sh"


def test_names_of_the_file_are_used_without_flags(tmp_path: Path) -> None:
    file = directives(tmp_path, "FROM=stx-nova:1.0\nIMAGE_UPDATE_VER=7\n")
    assert update_inputs(UpdateRequest(directives_file=file)).target == ImageReference("stx-nova", "1.7")


def test_all_missing_files_are_told_at_once(tmp_path: Path) -> None:
    file = directives(tmp_path, 'FROM=a:1\nWHEELS="gone.whl no/*.whl"\n')
    (tmp_path / "folder.deb").mkdir()
    changes = RequestedChanges(
        packages=(str(tmp_path / "folder.deb"),), customization_script="gone.sh", module_sources=("ext::sh -c x",)
    )
    with pytest.raises(ProblemsError) as caught:
        update_inputs(UpdateRequest(directives_file=file, changes=changes))
    told = [(problem.source, problem.message.split(" ")[:2]) for problem in caught.value.problems]
    assert [source for source, _ in told] == [str(file), str(file), "command line", "command line", "command line"]
    assert caught.value.exit_code == 2


def test_a_file_name_that_looks_like_a_wildcard(tmp_path: Path) -> None:
    odd = tmp_path / "odd[1].whl"
    odd.write_text("")
    request = UpdateRequest(from_image="a:1", changes=RequestedChanges(wheels=(str(odd),)))
    assert update_inputs(request).wheels == (str(odd),)


def test_no_image_named() -> None:
    with pytest.raises(InputError, match="no image to change"):
        update_inputs(UpdateRequest())


def test_unreadable_directives_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        update_inputs(UpdateRequest(directives_file=tmp_path / "gone"))
