# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.job.imagescan import read_directives_file, select_images
from stxbuildah.model.imagebuild import ImageSelection, SelectionRequest

LIST = "debian_stable_docker_images.inc"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def image(folder: Path, label: str, stream: str = "stable") -> None:
    put(folder / f"{label}.{stream}_docker_image", f"BUILDER=docker\nLABEL={label}\n")


def scan(*roots: Path, os: str = "debian", codename: str = "trixie") -> ImageSelection:
    return select_images(SelectionRequest(roots=roots, os=os, codename=codename))


def files(selection: ImageSelection, root: Path) -> dict[str, str]:
    return {found.label: str(found.file.parent.relative_to(root)) for found in selection.images}


def test_the_codenames_folder_comes_before_all_and_the_systems_own_only_counts_for_old_releases(tmp_path: Path) -> None:
    put(tmp_path / LIST, "a\n./b # again\nc\nb\n")
    for place, label in (("a/debian/trixie", "a"), ("a/debian/all", "a-all"), ("b/debian/all", "b"), ("c/debian", "c")):
        image(tmp_path / place, label)
    image(tmp_path / "a/debian/trixie", "a-dev", "dev")
    selection = scan(tmp_path)
    assert files(selection, tmp_path) == {"a": "a/debian/trixie", "b": "b/debian/all"}
    assert [str(problem) for problem in selection.problems] == [
        f"{tmp_path / LIST}:3:1: c: no file in debian/trixie or debian/all; *.stable_docker_image expected"
    ]
    old = scan(tmp_path, codename="bullseye")
    assert files(old, tmp_path) == {"a-all": "a/debian/all", "b": "b/debian/all", "c": "c/debian"}


def test_lists_are_found_in_roots_their_folders_and_checkouts_further_down(tmp_path: Path) -> None:
    for place in (".", "one", "stx/git/two", "stx/plain/three", "do-not-build", ".hidden", "a/b/c/four"):
        folder = tmp_path / place
        put(folder / LIST, "x\n")
        image(folder / "x/debian/all", f"in-{folder.name.strip('.') if place != '.' else 'root'}")
    (tmp_path / "stx/git/two/.git").mkdir()
    (tmp_path / "a/b/c/four/.git").mkdir()
    assert set(files(scan(tmp_path), tmp_path)) == {"in-root", "in-one", "in-two"}
    assert scan(tmp_path, tmp_path / "one", tmp_path) == scan(tmp_path)


def test_the_list_of_a_codename_adds_to_the_general_one(tmp_path: Path) -> None:
    put(tmp_path / LIST, "a\n")
    put(tmp_path / "debian_trixie_stable_docker_images.inc", "a\nb\n")
    put(tmp_path / "debian_bookworm_stable_docker_images.inc", "c\n")
    for label in "abc":
        image(tmp_path / label / "debian/all", label)
    assert set(files(scan(tmp_path), tmp_path)) == {"a", "b"}


def test_another_system_needs_no_release(tmp_path: Path) -> None:
    put(tmp_path / "distroless_stable_docker_images.inc", "a\n")
    image(tmp_path / "a/distroless/all", "a")
    assert set(files(scan(tmp_path, os="distroless", codename=""), tmp_path)) == {"a"}


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    put(tmp_path / "r1" / LIST, "../x\n")
    put(tmp_path / "r2" / LIST, "gone\na\nb\n")
    (tmp_path / "r3").mkdir()
    (tmp_path / "r3" / LIST).write_bytes(b"\xff\n")
    image(tmp_path / "r2/a/debian/all", "same")
    image(tmp_path / "r2/b/debian/all", "same")
    put(tmp_path / "r2/b/debian/all/bad.stable_docker_image", "LABEL=`x`\n")
    shown = [str(problem).replace(f"{tmp_path}/", "") for problem in scan(tmp_path).problems]
    assert shown == [
        f"r1/{LIST}:1:1: '../x' leads out of the repository: name a folder below the one of this file",
        f"r2/{LIST}:1:1: gone: there is no such folder; *.stable_docker_image expected",
        f"r3/{LIST}: the list of images r3/{LIST} is not UTF-8 text: invalid start byte at byte 0",
        (
            "r2/b/debian/all/bad.stable_docker_image:1:7: a command substitution needs a shell; this file is read, not "
            "executed: write the value out"
        ),
        (
            "r2/b/debian/all/same.stable_docker_image: the LABEL same is already that of "
            "r2/a/debian/all/same.stable_docker_image"
        ),
    ]


def test_nothing_to_search(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no list of images is below"):
        scan(tmp_path)
    with pytest.raises(InputError, match="gone is not there"):
        scan(tmp_path / "gone")


def test_a_file_that_cannot_be_read_is_a_mistake_like_others(tmp_path: Path) -> None:
    found = read_directives_file(tmp_path / "gone")
    assert (found.keys, found.directives) == ((), None)
    (problem,) = found.problems
    assert problem.message.endswith("cannot be read: No such file or directory")


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"BUILDER=docker\nLABEL=x\nCUSTOMIZATION='a\r\nb'\n")
    assert read_directives_file(path).key("CUSTOMIZATION") == "a\r\nb"
