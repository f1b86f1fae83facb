# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.inc import images_inc_names, parse_images_inc, parse_wheels_inc, wheels_inc_names
from stxbuildah.errors import ProblemsError
from stxbuildah.model.wheelbuild import ListedName


def test_names_of_the_lists() -> None:
    assert images_inc_names("debian", "trixie", "stable") == (
        "debian_stable_docker_images.inc",
        "debian_trixie_stable_docker_images.inc",
    )
    assert wheels_inc_names("distroless", "", "dev") == ("distroless_dev_wheels.inc",)


def test_entries_comments_and_places() -> None:
    assert parse_wheels_inc("# all\n\n fm-api-wheel#x\nlibc6++  a.b_c\r\nfm-api-wheel", "w.inc") == (
        ListedName(name="fm-api-wheel", source="w.inc", line=3, column=2),
        ListedName(name="libc6++", source="w.inc", line=4, column=1),
        ListedName(name="a.b_c", source="w.inc", line=4, column=10),
    )


def test_folders_are_plain_and_come_once() -> None:
    found = parse_images_inc("./nova-api-proxy\na//b/\nnova-api-proxy\n.\n", "i.inc")
    assert [(entry.name, entry.line) for entry in found] == [("nova-api-proxy", 1), ("a/b", 2), (".", 4)]


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_images_inc("good\n ../up\n/abs # x\na*\nb\x07\n", "i.inc")
    assert [str(problem) for problem in caught.value.problems] == [
        "i.inc:2:2: '../up' leads out of the repository: name a folder below the one of this file",
        "i.inc:3:1: '/abs' leads out of the repository: name a folder below the one of this file",
        "i.inc:4:1: 'a*' has a wildcard: list every folder by its name",
        "i.inc:5:1: 'b\\x07' is not the name of a folder",
    ]
    with pytest.raises(ProblemsError, match=r"w\.inc:1:3: '-x' is not the name of a package"):
        parse_wheels_inc("a -x", "w.inc")


@given(st.lists(st.lists(st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,5}", fullmatch=True), max_size=2), max_size=6))
def test_every_word_is_an_entry(lines: list[list[str]]) -> None:
    text = "\n".join("  ".join(words) + " # a comment" for words in lines)
    found = [entry.name for entry in parse_wheels_inc(text, "w.inc")]
    assert found == list(dict.fromkeys(word for words in lines for word in words))
