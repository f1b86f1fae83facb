# SPDX-License-Identifier: Apache-2.0
"""Which images are verified: those that are named, those of directives files, those of the records."""

from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.job.images.recordfile import ImageRecord, write_build_file
from stxbuildah.job.images.verifytargets import VerifyTarget, find_targets
from stxbuildah.model.imagebuild import SelectionRequest
from stxbuildah.model.imagesrun import ImageNaming, ImageOutcome, ImageState
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.verify import VerifyRequest

NAMING = ImageNaming(user="stx", prefix="p", arch="amd64")
BASE = "localhost/stx/base:1"


def directives(folder: Path, label: str, text: str = "DOCKER_CONTEXT=.\n") -> Path:
    path = folder / f"{label}.stable_docker_image"
    path.write_text(f"BUILDER=docker\nLABEL={label}\n{text}")
    return path


def outcome(file: Path, label: str, state: ImageState = ImageState.BUILT, reason: str = "") -> ImageOutcome:
    built = state is not ImageState.FAILED
    return ImageOutcome(
        label=label, builder="docker", file=file, state=state, reason=reason, base=BASE,
        reference=ImageReference.parse(f"localhost/stx/{label}:build") if built else None,
    )  # fmt: skip


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """The records of three images: one built, one failed, and one whose directives file has gone."""
    outcomes = [
        outcome(directives(tmp_path, "one"), "one"),
        outcome(directives(tmp_path, "two"), "two", ImageState.FAILED, "the compiler said no"),
        outcome(tmp_path / "gone", "three", ImageState.UNCHANGED),
    ]
    folder = tmp_path / "build-images"
    folder.mkdir()
    write_build_file(folder, {one.label: ImageRecord(outcome=one, recorded="now") for one in outcomes})
    return folder


def seen(target: VerifyTarget) -> tuple[str, str, bool, str, str]:
    return str(target.reference), target.label, target.directives is not None, target.base, target.missing


def test_images_of_the_records(records: Path) -> None:
    assert list(map(seen, find_targets(VerifyRequest(records=records)))) == [
        ("localhost/stx/one:build", "one", True, BASE, ""),
        ("localhost/stx/three:build", "three", False, BASE, ""),
        ("localhost/two", "two", True, BASE, "it was not built: the compiler said no"),
    ]
    chosen = find_targets(VerifyRequest(records=records, only=("one", "two"), skip=("two",)))
    assert [target.label for target in chosen] == ["one"]
    with pytest.raises(InputError, match="has no image four"):
        find_targets(VerifyRequest(records=records, only=("four",)))


def test_images_that_are_named(records: Path, tmp_path: Path) -> None:
    file = directives(tmp_path, "other")
    request = VerifyRequest(
        images=("localhost/stx/one:build", "reg.example/x/other:2", "localhost/x/two:1"), files=(file,), records=records
    )
    assert list(map(seen, find_targets(request))) == [
        ("localhost/stx/one:build", "one", True, BASE, ""),
        ("reg.example/x/other:2", "other", True, "", ""),
        ("localhost/x/two:1", "", False, "", ""),
    ]


def test_images_of_directives_files(records: Path, tmp_path: Path) -> None:
    selection = SelectionRequest(roots=(), os="debian", codename="trixie")
    files = (directives(tmp_path, "new"), tmp_path / "one.stable_docker_image")
    request = VerifyRequest(files=files, selection=selection, naming=NAMING, records=records)
    assert list(map(seen, find_targets(request))) == [
        ("localhost/stx/new:p-debian-trixie-amd64-stable-build", "new", True, "", ""),
        ("localhost/stx/one:build", "one", True, BASE, ""),
    ]


def test_images_of_a_product(tmp_path: Path) -> None:
    folder = tmp_path / "repo/image/debian/trixie"
    folder.mkdir(parents=True)
    (tmp_path / "repo/debian_stable_docker_images.inc").write_text("image\n")
    directives(folder, "new")
    selection = SelectionRequest(roots=(tmp_path / "repo",), os="debian", codename="trixie")
    [found] = find_targets(VerifyRequest(selection=selection, naming=NAMING, records=tmp_path / "none"))
    assert (found.label, found.reference.tag) == ("new", "p-debian-trixie-amd64-stable-build")
    without = attrs.evolve(selection, roots=())
    request = VerifyRequest(selection=without, fallback=selection.roots, naming=NAMING, records=tmp_path / "none")
    assert find_targets(request) == (found,)


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image is named"):
        find_targets(VerifyRequest(records=tmp_path))
    wrong = [directives(tmp_path, label, "BUILDER=none\n") for label in ("a", "b")]
    with pytest.raises(ProblemsError) as caught:
        find_targets(VerifyRequest(files=tuple(wrong), records=tmp_path))
    assert {problem.source for problem in caught.value.problems} == set(map(str, wrong))
