# SPDX-License-Identifier: Apache-2.0
"""The records of a product's images: what is written, what is kept, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.job.images.recordfile import ImageRecord, read_build_file, write_build_file
from stxbuildah.job.images.records import Records
from stxbuildah.model.imagesrun import BuiltLayer, ImageOutcome, ImageState
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference
from tests.unit.job.images.outcomes import built, failed, planned, product

NOVA, KEYSTONE = planned("stx-nova"), planned("stx-keystone")
REGISTRY = "registry.example:5000/starlingx"
VERSIONED = "images-debian-trixie-amd64-stable-versioned.lst"


def contents(folder: Path) -> dict[str, str]:
    """Everything that a reader of the records finds, but the file that tells all."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if not path.match(".*")} | {
        "build.json": ""
    }


def images(folder: Path) -> list[dict[str, object]]:
    document = json.loads((folder / "build.json").read_text())
    assert document["version"] == 1
    found: list[dict[str, object]] = document["images"]
    return found


def test_a_whole_run(tmp_path: Path) -> None:
    records = Records.begin(product(tmp_path, NOVA, KEYSTONE))
    assert records.outcomes == ()
    records.note(built(NOVA))
    written = records.note(built(NOVA, pushed=True))
    records.note(failed(KEYSTONE))
    assert contents(tmp_path) == {
        "build.json": "",
        VERSIONED: f"{REGISTRY}/stx-nova:debian-trixie-amd64-stable-1.0.0\n",
        "images-debian-trixie-amd64-stable-latest.lst": f"{REGISTRY}/stx-nova:debian-trixie-amd64-stable-latest\n",
        "images-debian-stable-versioned.lst": f"{REGISTRY}/stx-nova:debian-stable-1.0.0\n",
        "images-debian-stable-latest.lst": f"{REGISTRY}/stx-nova:debian-stable-latest\n",
        "stx-nova-debian-trixie-amd64-stable.piplst": "pip==25.0\nsix==1.17.0\n",
        "stx-nova-debian-trixie-amd64-stable.deblst": "base-files 13.8 amd64\n",
    }
    assert {path.name for path in written} == contents(tmp_path).keys()
    keystone, nova = images(tmp_path)
    assert (keystone["state"], keystone["tail"]) == ("failed", ["E: Unable to locate package libnothing"])
    assert (nova["label"], nova["builder"], nova["state"], nova["size"]) == ("stx-nova", "docker", "built", 49_234_567)
    assert nova["pushed"] == [{"reference": str(n), "digest": d} for n, d in built(NOVA, pushed=True).pushed]
    assert nova["packages"] == {
        "python": "stx-nova-debian-trixie-amd64-stable.piplst", "deb": "stx-nova-debian-trixie-amd64-stable.deblst",
    }  # fmt: skip
    assert nova["seconds"] == [
        {"step": "installing distribution packages", "seconds": 12.5}, {"step": "storing the image", "seconds": 1.75},
    ]  # fmt: skip


def test_the_documentation_shows_every_key(tmp_path: Path) -> None:
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA, pushed=True))
    text = (Path(__file__).parents[4] / "docs" / "images-results.md").read_text(encoding="utf-8")
    shown = json.loads(text.partition("```json\n")[2].partition("```")[0])
    assert (shown["version"], [list(image) for image in shown["images"]]) == (1, [list(images(tmp_path)[0])])


def test_what_was_built_and_not_pushed_is_on_no_list(tmp_path: Path) -> None:
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA))
    assert not list(tmp_path.glob("*.lst"))
    assert [image["pushed"] for image in images(tmp_path)] == [[]]


def test_a_whole_run_begins_the_lists_anew_and_forgets_what_the_product_lacks(tmp_path: Path) -> None:
    first = Records.begin(product(tmp_path, NOVA, KEYSTONE))
    first.note(built(NOVA, pushed=True))
    first.note(built(KEYSTONE, pushed=True))
    second = Records.begin(product(tmp_path, NOVA))
    assert not list(tmp_path.glob("*.lst"))
    # Until it is noted anew, what an earlier run told of an image stays true.
    assert [image["label"] for image in images(tmp_path)] == ["stx-nova"]
    assert [outcome.label for outcome in second.outcomes] == ["stx-keystone", "stx-nova"]


def test_a_run_of_some_images_replaces_their_lines_in_place(tmp_path: Path) -> None:
    first = Records.begin(product(tmp_path, NOVA, KEYSTONE))
    first.note(built(NOVA, pushed=True))
    first.note(built(KEYSTONE, pushed=True))
    newer = planned("stx-nova", version="2.0")
    Records.begin(product(tmp_path, newer, whole=False)).note(built(newer, pushed=True))
    assert (tmp_path / VERSIONED).read_text().splitlines() == [
        f"{REGISTRY}/stx-nova:debian-trixie-amd64-stable-2.0.0",
        f"{REGISTRY}/stx-keystone:debian-trixie-amd64-stable-1.0.0",
    ]
    assert [image["label"] for image in images(tmp_path)] == ["stx-keystone", "stx-nova"]


def test_an_image_that_did_not_change_keeps_what_was_known_of_it(tmp_path: Path) -> None:
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA, pushed=True))
    unchanged = attrs.evolve(built(NOVA), state=ImageState.UNCHANGED, packages=PackageLists())
    records = Records.begin(product(tmp_path, NOVA, whole=False))
    records.note(unchanged)
    again = Records.opened(tmp_path).earlier("stx-nova")
    assert again is not None
    assert again.state is ImageState.UNCHANGED
    assert again.packages == built(NOVA).packages
    assert again.pushed == built(NOVA, pushed=True).pushed
    assert records.complete(unchanged).packages == built(NOVA).packages


def test_an_image_that_is_another_now_keeps_nothing(tmp_path: Path) -> None:
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA, pushed=True))
    other = attrs.evolve(built(NOVA, digest="sha256:" + "f" * 64), packages=PackageLists(rpm=("bash-5",)))
    Records.begin(product(tmp_path, NOVA)).note(other)
    again = Records.opened(tmp_path).earlier("stx-nova")
    assert again is not None
    assert (again.pushed, again.packages) == ((), PackageLists(rpm=("bash-5",)))
    unknown = attrs.evolve(built(NOVA), packages=PackageLists())
    assert Records.opened(tmp_path).complete(unknown) == unknown
    assert sorted(path.suffix for path in tmp_path.glob("stx-nova*")) == [".rpmlst"]


def test_a_later_push_goes_on_with_the_records(tmp_path: Path) -> None:
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA))
    records = Records.opened(tmp_path)
    (outcome,) = records.outcomes
    assert outcome.targets == built(NOVA).targets
    records.note(attrs.evolve(outcome, pushed=built(NOVA, pushed=True).pushed))
    assert (tmp_path / VERSIONED).read_text() == f"{REGISTRY}/stx-nova:debian-trixie-amd64-stable-1.0.0\n"
    assert len(list(tmp_path.glob("*.lst"))) == 4
    assert Records.opened(tmp_path).outcomes[0].packages == built(NOVA).packages


def test_what_is_noted_twice_is_written_once(tmp_path: Path) -> None:
    records = Records.begin(product(tmp_path, NOVA))
    records.note(built(NOVA, pushed=True))
    told = [path for path in tmp_path.iterdir() if path.suffix in {".json", ".lst"}]
    before = [path.stat().st_ino for path in told]
    records.note(attrs.evolve(built(NOVA, pushed=True), packages=PackageLists()))
    assert [path.stat().st_ino for path in told] == before
    assert len(told) == 5


def test_logs_are_found_again_wherever_they_are(tmp_path: Path) -> None:
    inside, outside = tmp_path / "records" / "nova.log", tmp_path / "keystone.log"
    records = Records.begin(product(tmp_path / "records", NOVA, KEYSTONE))
    records.note(attrs.evolve(built(NOVA), log=inside))
    records.note(attrs.evolve(failed(KEYSTONE), log=outside))
    assert [image["log"] for image in images(tmp_path / "records")] == [str(outside), "nova.log"]
    assert [outcome.log for outcome in Records.opened(tmp_path / "records").outcomes] == [outside, inside]


def test_threads_and_runs_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    some = [planned(f"stx-{number}") for number in range(12)]
    runs = [Records.begin(product(tmp_path, *some[half::2], whole=False)) for half in range(2)]
    threads = [
        threading.Thread(target=runs[number % 2].note, args=(built(image, pushed=True),))
        for number, image in enumerate(some)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = sorted(image.label for image in some)
    assert [image["label"] for image in images(tmp_path)] == labels
    lines = (tmp_path / VERSIONED).read_text().splitlines()
    assert sorted(ImageReference.parse(line).label for line in lines) == labels


KILLED = """
import sys
from pathlib import Path
from stxbuildah.job.images.records import Records
from tests.unit.job.images.outcomes import built, planned, product
image = planned("stx-nova")
records = Records.begin(product(Path(sys.argv[1]), image))
print("begun", flush=True)
number = 0
while True:
    number += 1
    records.note(built(image, pushed=True, digest=f"sha256:{number:064x}"))
"""


def test_a_run_that_is_killed_leaves_whole_records(tmp_path: Path) -> None:
    root = Path(__file__).parents[4]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        while not (tmp_path / VERSIONED).exists():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    (outcome,) = Records.opened(tmp_path).outcomes
    assert outcome.packages == built(NOVA).packages
    assert (tmp_path / VERSIONED).read_text() == f"{REGISTRY}/stx-nova:debian-trixie-amd64-stable-1.0.0\n"
    # What it left beside them goes with the next record.
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA, pushed=True))
    assert not list(tmp_path.glob(".*.part"))


def test_without_records_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images were built there"):
        Records.opened(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"version": 2, "images": []}', '{"version": 1, "images": [{}]}', "\udcff",
        '{"version": 1, "images": [[]]}', "[" * 100_000,
    ],
)  # fmt: skip
def test_damaged_records_are_told_with_their_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "build.json").write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match=r"the records .*build\.json are"):
        Records.begin(product(tmp_path, NOVA))


def test_records_lead_to_no_file_elsewhere(tmp_path: Path) -> None:
    Records.begin(product(tmp_path, NOVA)).note(built(NOVA))
    text = (tmp_path / "build.json").read_text()
    for old, new in (('"stx-nova-debian', '"../stx-nova-debian'), ('"images-', '"../images-')):
        assert old in text
        (tmp_path / "build.json").write_text(text.replace(old, new))
        with pytest.raises(InputError, match="no file name"):
            Records.opened(tmp_path)


words = st.text(max_size=20)
digests = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:".__add__)
references = st.sampled_from([*built(NOVA).targets, *built(KEYSTONE).targets])
seconds = st.floats(0, 1e6).map(lambda number: round(number, 3))


@st.composite
def outcomes(draw: st.DrawFn) -> ImageOutcome:
    layers = st.builds(BuiltLayer, digest=digests, size=st.integers(0, 1 << 40), created_by=words)
    return ImageOutcome(
        label=draw(st.sampled_from(["a", "b", "c"])), builder=draw(words), file=Path(draw(words)),
        state=draw(st.sampled_from(ImageState)), reason=draw(words), hint=draw(words),
        exit_code=draw(st.integers(0, 9)), tail=tuple(draw(st.lists(words))),
        reference=draw(st.none() | references), digest=draw(digests),
        targets=tuple(draw(st.lists(references))), pushed=tuple(draw(st.lists(st.tuples(references, digests)))),
        base=draw(words), base_digest=draw(words),
        inputs=tuple(sorted(draw(st.dictionaries(words, digests)).items())),
        layers=tuple(draw(st.lists(layers))), started=draw(seconds),
        seconds=tuple(draw(st.lists(st.tuples(words, seconds)))),
    )  # fmt: skip


@given(some=st.lists(outcomes()))
def test_what_is_written_is_read_again(some: list[ImageOutcome], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("records")
    records = {
        outcome.label: ImageRecord(outcome=outcome, recorded="", lists=("x.lst",) * len(outcome.targets))
        for outcome in some
    }
    write_build_file(folder, records)
    assert read_build_file(folder) == records
