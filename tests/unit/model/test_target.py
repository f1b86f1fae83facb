# SPDX-License-Identifier: Apache-2.0
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.target import updated_reference

DIGEST = "sha256:" + "0" * 64


def name(base: str, **options: str) -> str:
    return str(updated_reference(ImageReference.parse(base), **options))


@pytest.mark.parametrize(
    ("base", "options", "expected"),
    [
        ("docker.io/starlingx/stx-nova:20191203T153530Z.0", {}, "docker.io/starlingx/stx-nova:20191203T153530Z.1"),
        ("docker.io/s/stx-nova:20191203T153530Z.0", {"version": "10"}, "docker.io/s/stx-nova:20191203T153530Z.10"),
        ("stx-nova:2024.05.10.12.30", {}, "stx-nova:2024.05.10.12.31"),
        ("stx-nova:1.0", {"version": "rc-2"}, "stx-nova:1.rc-2"),
        # A first build is .0, and the replaced script reads a version of 0 as none.
        ("stx-nova:1.4", {"version": "0"}, "stx-nova:1.5"),
        # What does not count updates gets a count appended.
        ("stx-nova", {}, "stx-nova:latest.1"),
        ("stx-nova.2", {}, "stx-nova.2:latest.1"),
        ("stx-nova:latest", {"version": "4"}, "stx-nova:latest.4"),
        ("stx-nova:20191203T153530Z", {}, "stx-nova:20191203T153530Z.1"),
        ("stx-nova:5", {}, "stx-nova:5.1"),
        ("stx-nova:1.5-rc", {}, "stx-nova:1.5-rc.1"),
        ("stx-nova:1.", {}, "stx-nova:1..1"),
        # Zero-padded numbers are decimal and keep their width.
        ("stx-nova:1.08", {}, "stx-nova:1.09"),
        ("stx-nova:1.099", {}, "stx-nova:1.100"),
        ("stx-nova:1.99", {}, "stx-nova:1.100"),
        ("stx-nova:1.08", {"version": "9"}, "stx-nova:1.9"),
        # Another registry, another account.
        (
            "localhost:5000/stx-cinder:1.0",
            {"user": "u2", "registry": "r.example:5000"},
            "r.example:5000/u2/stx-cinder:1.1",
        ),
        ("a.example/b/c:1.0", {"registry": "r.example/", "account": "me"}, "r.example/me/c:1.1"),
        (
            "a.example/b/c:1.0",
            {"registry": "r.example", "user": "team/sub", "account": "me"},
            "r.example/team/sub/c:1.1",
        ),
        ("a.example/b/c:1.0", {"user": "u2", "account": "me"}, "u2/c:1.1"),
        ("a.example/b/c:1.0", {"account": "me"}, "a.example/b/c:1.1"),
        # The whole tag.
        ("a.example/b/c:1.0", {"tag": "mine", "version": "8"}, "a.example/b/c:mine"),
        (f"a.example/b/c@{DIGEST}", {"tag": "mine"}, "a.example/b/c:mine"),
        (f"a.example/b/c:1.0@{DIGEST}", {"tag": "1.1", "registry": "r.example", "user": "u"}, "r.example/u/c:1.1"),
    ],
)
def test_table(base: str, options: dict[str, str], expected: str) -> None:
    assert name(base, **options) == expected


@pytest.mark.parametrize(
    ("base", "options", "message"),
    [
        (f"c@{DIGEST}", {}, "is given by digest"),
        (f"c:1.0@{DIGEST}", {"version": "2"}, "is given by digest"),
        ("c:1.2", {"version": "2"}, "which is the image to update"),
        ("c:1.2", {"tag": "1.2"}, "which is the image to update"),
        (f"c:1.2@{DIGEST}", {"tag": "1.2"}, "which is the image to update"),
        ("c", {"tag": "latest"}, "which is the image to update"),
        # The same image under its full name.
        ("u/c:1.2", {"registry": "docker.io", "user": "u", "tag": "1.2"}, "which is the image to update"),
        ("c:1.0", {"version": "2/3"}, "cannot be the version"),
        ("c:1.0", {"version": "2 3"}, "cannot be the version"),
        ("c:" + "a" * 127, {}, "is not a tag"),
        ("c:1.0", {"tag": "-x"}, "is not a tag"),
        ("c:1.0", {"registry": "r.example"}, "no account in it"),
        ("c:1.0", {"registry": "r.example", "account": "Jenkins"}, "the account 'Jenkins' cannot be part"),
        ("c:1.0", {"user": "Jenkins"}, "the account 'Jenkins' cannot be part"),
        ("c:1.0", {"registry": "https://r.example", "user": "u"}, "is not an image reference"),
    ],
)
def test_refused(base: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        name(base, **options)


TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}", fullmatch=True)


@given(TAGS, st.integers(0, 10**9), st.integers(0, 12))
def test_counting_adds_one_and_keeps_the_width(before: str, number: int, width: int) -> None:
    padded = str(number).zfill(width)
    count = name(f"a.example/c:{before}.{padded}").removeprefix(f"a.example/c:{before}.")
    assert int(count) == number + 1
    assert len(count) == max(len(padded), len(str(number + 1)))


@given(TAGS.filter(lambda tag: not tag.rpartition(".")[2].isdigit() or "." not in tag), st.integers(1, 999))
def test_any_other_tag_is_kept_whole(tag: str, version: int) -> None:
    assert name(f"c:{tag}", version=str(version)) == f"c:{tag}.{version}"
    assert name(f"c:{tag}") == f"c:{tag}.1"


@given(TAGS, st.text(string.ascii_letters + string.digits + "._-", max_size=4))
def test_the_result_is_a_reference_and_never_the_base(tag: str, version: str) -> None:
    base = ImageReference.parse(f"a.example/b/c:{tag}")
    try:
        result = updated_reference(base, version=version)
    except InputError as error:
        assert "would overwrite it" in error.message  # noqa: PT017 # some generated versions are the base's own
    else:
        assert ImageReference.parse(str(result)) == result
        assert result != base
