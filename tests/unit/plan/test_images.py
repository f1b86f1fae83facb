# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from stxbuildah.directive.image import read_image_directives
from stxbuildah.errors import Problem
from stxbuildah.model.imagebuild import ImageSelection
from stxbuildah.model.wheelbuild import ListedName
from stxbuildah.plan.images import FoundDirectives, directive_folders, select


def found(name: str, text: str, line: int = 1) -> FoundDirectives:
    listed = ListedName(name=name, source="i.inc", line=line, column=1)
    return FoundDirectives(directives=read_image_directives(text, Path(name)), listed=listed)


FILES = (
    found("z", "BUILDER=docker LABEL=stx-a", 2),
    found("y", "BUILDER=loci LABEL=stx-b PROJECT=infra"),
    found("x", "BUILDER=loci LABEL=stx-c PROJECT=infra", 3),
)


def chosen(*, only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> ImageSelection:
    return select(FILES, (), only=only, skip=skip)


def test_everything_is_built_and_sorted_by_label() -> None:
    selection = chosen()
    assert [(image.label, str(image.file), image.builder.value, image.listed) for image in selection.built] == [
        ("stx-a", "z", "docker", "i.inc:2"), ("stx-b", "y", "loci", "i.inc:1"), ("stx-c", "x", "loci", "i.inc:3"),
    ]  # fmt: skip
    assert selection.problems == ()
    assert select(reversed(FILES), (), only=(), skip=()) == selection


def test_only_and_skip_name_labels_and_projects() -> None:
    assert [image.left_out for image in chosen(only=("infra",)).images] == ["not named by --only", "", ""]
    selection = chosen(only=("infra", "stx-a"), skip=("stx-c",))
    assert [image.label for image in selection.built] == ["stx-a", "stx-b"]
    assert [image.left_out for image in selection.images] == ["", "", "--skip stx-c"]


def test_names_that_no_image_has() -> None:
    assert [str(problem) for problem in chosen(only=("stx-a", "stx-d"), skip=("x",)).problems] == [
        "command line: --only: no image has the LABEL or PROJECT 'stx-d'; did you mean stx-c?",
        "command line: --skip: no image has the LABEL or PROJECT 'x'",
    ]


def test_two_files_with_one_label_and_mistakes_of_files_and_search() -> None:
    selection = select(
        (*FILES, found("w", "BUILDER=docker LABEL=stx-a"), found("v", "BUILDER=x LABEL=stx-v")),
        (Problem("i.inc", "away: there is no such folder", 7, 1),),
        only=("stx-v",),
        skip=("stx-a",),
    )
    assert [str(problem) for problem in selection.problems] == [
        "i.inc:7:1: away: there is no such folder",
        "v:1:1: BUILDER: 'x' is no builder: docker, loci, script",
        "z: the LABEL stx-a is already that of w",
    ]
    assert selection.built == ()


def test_places_of_directives() -> None:
    assert directive_folders("debian", "trixie") == ("debian/trixie", "debian/all")
    assert directive_folders("debian", "bullseye") == ("debian/bullseye", "debian/all", "debian")
    assert directive_folders("centos", "") == ("centos/all", "centos")
