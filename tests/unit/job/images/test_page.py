# SPDX-License-Identifier: Apache-2.0
"""The page of a run: what it tells, and that nothing which it tells of can become a part of it."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.job.images.page import page, write_page
from stxbuildah.job.images.pagecharts import clock
from stxbuildah.job.images.pagepackages import split_line
from stxbuildah.model.imagesrun import BuiltLayer, ImageOutcome, ImagesResult, ImageState
from stxbuildah.model.packages import PackageLists
from tests.unit.job.images.outcomes import built, failed, planned, product

NOVA, KEYSTONE, HORIZON = planned("stx-nova"), planned("stx-keystone"), planned("stx-horizon")
VOID = frozenset({"meta", "input"})


class Read(HTMLParser):
    """A page as it is read: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.pieces: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] in (["style"], ["script"]):
            self.pieces[self._open[-1]] = self.pieces.get(self._open[-1], "") + data
        else:
            self.text += data

    def count(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.elements)


def result(*outcomes: ImageOutcome, seconds: float = 95.0, remarks: tuple[str, ...] = ()) -> ImagesResult:
    plan = product(Path("records"), NOVA, KEYSTONE, HORIZON, jobs=2, remarks=remarks)
    return ImagesResult(plan=plan, outcomes=outcomes, started=1_763_753_703.0, seconds=seconds)


SAMPLE = result(
    built(NOVA, pushed=True),
    attrs.evolve(built(KEYSTONE), state=ImageState.UNCHANGED, packages=PackageLists(python=("six==1.17.0",))),
    attrs.evolve(failed(HORIZON, "the last", "words"), log=Path("records/horizon.log")),
    remarks=("stx-nova: its Containerfile does not use BASE",),
)


def test_what_it_tells() -> None:
    text = Read(page(SAMPLE)).text
    for told in (
        "Images of debian-trixie-amd64, stable", "2025-11-21 19:35:03 UTC · 1:35 min · 2 at a time",
        "1built", "1unchanged", "1failed",
        "stx-nova: its Containerfile does not use BASE",
        "apt-get ended with exit status 100", "Hint: look for the name", "the last\nwords",
        "All of it: records/horizon.log",
        "installing distribution packages 0:38", "49.2 MB", "98.5 MB in 2 images, 49.2 MB in different layers.",
        "registry.example:5000/starlingx/stx-nova:debian-trixie-amd64-stable-1.0.0@sha256:",
        "3 packages in 2 images", "six1.17.0Pythonall 2", "base-files13.8 amd64debstx-nova",
    ):  # fmt: skip
        assert told in text


def test_it_reaches_for_nothing_and_runs_only_its_own() -> None:
    read = Read(page(SAMPLE))
    policy = next(named["content"] for tag, named in read.elements if named.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    for piece, directive in (("style", "style-src"), ("script", "script-src")):
        digest = base64.b64encode(hashlib.sha256(read.pieces[piece].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    for tag, named in read.elements:
        assert tag not in {"link", "img", "iframe", "object", "form", "base"}
        assert not {name for name in named if name.startswith("on") or name in {"src", "style", "srcset"}}
        assert named.get("href", "#").startswith("#")
    # Neither of its own pieces leads elsewhere.
    assert not re.search(r"url\(|@import|https?:|fetch|innerHTML", "".join(read.pieces.values()))


def test_links_lead_to_places_on_the_page() -> None:
    elements = Read(page(SAMPLE)).elements
    places = {f"#{named['id']}" for _, named in elements if "id" in named}
    links = {named["href"] for tag, named in elements if tag == "a"}
    assert links == {"#image-stx-nova", "#image-stx-keystone", "#image-stx-horizon"}
    assert links <= places


def test_tables_have_captions_and_heads_and_pictures_have_words() -> None:
    read = Read(page(SAMPLE))
    count = read.count()
    assert count["table"] == count["caption"] == count["thead"] > 5
    assert all(named.get("scope") for tag, named in read.elements if tag == "th")
    assert all(named.get("aria-label") for tag, named in read.elements if tag == "svg")
    labels = {named["for"] for tag, named in read.elements if tag == "label"}
    assert labels == {"query"} <= {named.get("id", "") for _, named in read.elements}
    assert re.findall(r"<h(\d)", page(SAMPLE))[:2] == ["1", "2"]


hostile = st.sampled_from(
    [
        "</style><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"' onload=alert(1) x='", "]]>-->",
        "\x00", "&lt;b&gt;", "\x1b[31mred\x1b[0m", "\u202egnp.exe", "\ud800", "<!--", "</title></html>",
    ]
)  # fmt: skip


def with_words(word: str) -> ImagesResult:
    """Give a run in which an image says a word wherever it can."""
    outcomes = [
        attrs.evolve(
            outcome,
            label=word, builder=word, file=Path(f"x{word}"), reason=word, hint=word, tail=(word, word), base=word,
            base_digest=word, digest=word, inputs=((word, word),), log=Path(f"x{word}"),
            layers=(BuiltLayer(digest=word, size=1, created_by=word),), seconds=((word, 1.0), (word, 2.0)),
            packages=PackageLists(python=(word,), deb=(word,), rpm=(word,)),
        )
        for outcome in (built(NOVA, pushed=True), failed(HORIZON))
    ]  # fmt: skip
    plan = attrs.evolve(SAMPLE.plan, wheels=word, remarks=(word,), os_labels=(word,))
    return attrs.evolve(SAMPLE, plan=plan, outcomes=tuple(outcomes))


@given(st.lists(hostile | st.text(st.characters(), min_size=1), min_size=1).map("".join))
def test_nothing_that_is_told_becomes_a_part_of_the_page(word: str) -> None:
    plain, read = Read(page(with_words("word"))), Read(page(with_words(word)))
    assert read.count() == plain.count()
    assert [set(named) for _, named in read.elements] == [set(named) for _, named in plain.elements]
    assert read.pieces == plain.pieces
    page(with_words(word)).encode()


def test_what_steers_a_reader_is_spelled_out() -> None:
    text = Read(page(with_words("\x1b[1;31mred\x1b[0m \x1b]0;title\x07 \u202egnp.exe"))).text
    assert "red \\x1b]0;title\\x07 \\x202egnp.exe" in text


def test_a_run_without_images() -> None:
    text = Read(page(result())).text
    assert "Images of debian-trixie-amd64, stable" in text
    assert "Timeline" not in text


def test_a_long_run_with_many_steps() -> None:
    steps = tuple((f"{number:02} step", 3600.0) for number in range(39))
    steps = (*steps, ("00 another", 3600.0))
    many = result(*(attrs.evolve(built(NOVA), seconds=steps, label=f"stx-{n}") for n in range(200)), seconds=150_000.0)
    read = Read(page(many))
    assert "00 … 400:00:00" in read.text
    assert "01 step 200:00:00" in read.text
    assert "other steps 6200:00:00" in read.text
    assert "12:00:00" in read.text


def test_a_package_of_many_images_names_some() -> None:
    some = [attrs.evolve(built(NOVA), label=f"stx-{n}", packages=PackageLists(python=("a==1",))) for n in range(9)]
    other = attrs.evolve(built(KEYSTONE), packages=PackageLists(python=("b==1",)))
    read = Read(page(result(*some, other)))
    assert "a1Pythonstx-0, stx-1, stx-2, stx-3, stx-4 and 4 more" in read.text
    rows = [named["data-images"] for tag, named in read.elements if tag == "tr" and "data-images" in named]
    assert rows == [", ".join(f"stx-{n}" for n in range(9))]


@pytest.mark.parametrize(
    ("kind", "line", "parts"),
    [
        ("python", "six==1.17.0", ("six", "1.17.0")),
        ("python", "stx @ file:///tmp/stx", ("stx", "file:///tmp/stx")),
        ("python", "-e git+https://h/r#egg=x", ("-e git+https://h/r#egg=x", "")),
        ("deb", "base-files 13.8 amd64", ("base-files", "13.8 amd64")),
        ("rpm", "bash-completion-2.11-5.el9.noarch", ("bash-completion", "2.11-5.el9.noarch")),
        ("rpm", "odd", ("odd", "")),
    ],
)
def test_names_and_versions(kind: str, line: str, parts: tuple[str, str]) -> None:
    assert split_line(kind, line) == parts


def test_times() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3599, 3600, 90_061)] == [
        "0:00", "1:00", "1:01", "59:59", "1:00:00", "25:01:01",
    ]  # fmt: skip


def test_it_is_written_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "build.html"
    write_page(SAMPLE, file)
    assert file.read_text(encoding="utf-8") == page(SAMPLE)
    assert [path.name for path in file.parent.iterdir()] == ["build.html"]
