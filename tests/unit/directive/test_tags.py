# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.tags import read_tags, repeated_targets
from stxbuildah.model.retag import RetagEntry


def entries(text: str) -> tuple[RetagEntry, ...]:
    found, problems = read_tags(text, "t.yaml")
    assert problems == ()
    return found


def mistakes(text: str) -> list[str]:
    found, problems = read_tags(text, "t.yaml")
    return [str(problem) for problem in (*problems, *repeated_targets(found))]


def test_an_entry() -> None:
    (entry,) = entries(
        "# comment\n---\nimages:\n  #- name: x\n  - name: docker.io/starlingx/rvmc\n    src_build_tag: build.0\n"
        "    src_ref: https://git.example/c/1\n    tag: stx.5.0-v1.0.0\n"
    )
    assert entry == RetagEntry(
        name="docker.io/starlingx/rvmc", build_tag="build.0", origin="https://git.example/c/1", tag="stx.5.0-v1.0.0",
        source="t.yaml", line=5,
    )  # fmt: skip
    assert (str(entry.built), str(entry.target)) == (
        "docker.io/starlingx/rvmc:build.0",
        "docker.io/starlingx/rvmc:stx.5.0-v1.0.0",
    )


@pytest.mark.parametrize("text", ["", "---\n", "images:\n", "images: []\n", "---\nimages: ~\n---\n---\nimages: []\n"])
def test_nothing_to_promote_is_fine(text: str) -> None:
    assert entries(text) == ()


def test_values_keep_the_characters_they_are_written_with() -> None:
    text = "images: [{name: a, src_build_tag: 1.10, tag: 0o17}, {name: b, src_build_tag: 2024-01-01, tag: yes}]"
    assert [(entry.build_tag, entry.tag) for entry in entries(text)] == [("1.10", "0o17"), ("2024-01-01", "yes")]


def test_several_documents_aliases_and_merge_keys() -> None:
    text = (
        "images:\n- &first {name: a, src_build_tag: x, src_ref: r, tag: y}\n- <<: *first\n  name: b\n"
        "- {<<: [{tag: z}, *first]}\n---\nimages:\n- {name: h:5000/c, src_build_tag: x, tag: y}\n"
    )
    assert [(entry.name, entry.tag, entry.line) for entry in entries(text)] == [
        ("a", "y", 2), ("b", "y", 3), ("a", "z", 5), ("h:5000/c", "y", 8),
    ]  # fmt: skip


def test_all_mistakes_at_once() -> None:
    assert mistakes(
        "images:\n"
        "- name: a/b:1\n  src_build_tag: x y\n  tag:\n  tags: x\n"
        "- {name: docker.io/a/b, tag: '1'}\n"
        "- [a]\n"
        "- {name: q, src_build_tag: [1], tag: t}\n"
        "- {name: q, src_build_tag: t, tag: t, tag: u}\n"
        '- {name: UP, src_build_tag: -x, tag: a/b, src_ref: "a\\nb"}\n'
        "- {name: !!python/object:os.system x, src_build_tag: y, tag: z}\n"
        "---\nimage: []\n---\n- a\n---\nimages: x\n---\nimages: [\n"
    ) == [
        "t.yaml:2:9: name: 'a/b:1' is more than a repository: no tag, digest or scheme expected",
        "t.yaml:3:18: src_build_tag: 'x y' is not a tag",
        "t.yaml:4:3: tag is empty",
        "t.yaml:5:3: 'tags' is not a key here; did you mean tag?",
        "t.yaml:6:3: the key src_build_tag is missing",
        "t.yaml:7:3: an image: name, src_build_tag, src_ref and tag expected",
        "t.yaml:8:28: src_build_tag: a single value expected",
        "t.yaml:9:39: tag is already set in line 9",
        "t.yaml:10:10: name: 'UP' is not an image reference",
        "t.yaml:10:29: src_build_tag: '-x' is not a tag",
        "t.yaml:10:38: tag: 'a/b' is not a tag",
        "t.yaml:10:52: src_ref: a value of one line expected",
        "t.yaml:11:10: name: a single value expected",
        "t.yaml:13:1: 'image' is not a key here; did you mean images?",
        "t.yaml:13:1: the key images is missing",
        "t.yaml:15:1: a mapping with the key images expected",
        "t.yaml:17:9: a list of images expected",
        "t.yaml:20:1: no YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
    ]


@pytest.mark.parametrize("name", ["docker://h/a", f"a@sha256:{'0' * 64}", "a:latest"])
def test_a_name_is_a_repository_alone(name: str) -> None:
    assert mistakes(f"images: [{{name: '{name}', src_build_tag: x, tag: y}}]") == [
        f"t.yaml:1:17: name: {name!r} is more than a repository: no tag, digest or scheme expected"
    ]


def test_two_entries_for_one_tag() -> None:
    text = "images:\n- {name: a/b, src_build_tag: x, tag: y}\n- {name: docker.io/a/b, src_build_tag: z, tag: y}\n"
    assert mistakes(text) == ["t.yaml:3: docker.io/a/b:y is already made by line 2"]
    other, _ = read_tags("images: [{name: a/b, src_build_tag: x, tag: y}]", "u.yaml")
    found = repeated_targets((*entries(text.rpartition("- ")[0]), *other))
    assert [str(problem) for problem in found] == ["u.yaml:1: docker.io/a/b:y is already made by t.yaml:2"]


def test_a_tag_that_is_the_builds_own_makes_nothing() -> None:
    assert mistakes("images: [{name: a, src_build_tag: x, tag: x}]") == [
        "t.yaml:1:43: tag is the tag that the build gave: nothing would be made"
    ]


def test_a_bomb_of_merge_keys_is_given_up() -> None:
    levels = "".join(f"  l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
    text = f"images:\n- l0: &l0 {{k: v}}\n{levels}- *l11\n"
    assert "t.yaml: its merge keys make it larger than any list of tags is" in mistakes(text)


def test_a_mapping_merged_into_itself_and_deep_nesting_are_told() -> None:
    assert "t.yaml:1:10: <<: another mapping expected" in mistakes("images: [&a {<<: *a, name: x}]")
    assert mistakes("[" * 50_000) == ["t.yaml: no list of tags: its brackets are nested too deeply"]


TEXTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,6}", fullmatch=True)
ENTRIES = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-z0-9]{1,5}(/[a-z0-9]{1,3})?", fullmatch=True), "tag": TEXTS},
    optional={"src_ref": st.text("ab :#'\"é", max_size=8)},
)


@given(st.lists(st.lists(ENTRIES, max_size=4), max_size=3), st.booleans())
def test_what_is_dumped_is_read(documents: list[list[dict[str, str]]], flow: bool) -> None:
    for document in documents:
        for entry in document:
            entry["src_build_tag"] = f"{entry['tag']}.0"
    text = yaml.safe_dump_all([{"images": document} for document in documents], default_flow_style=flow)
    found = [(entry.name, entry.build_tag, entry.origin, entry.tag) for entry in entries(text)]
    assert found == [
        (entry["name"], entry["src_build_tag"], entry.get("src_ref", "").strip(), entry["tag"])
        for document in documents
        for entry in document
    ]


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["images", "name", "tag", "x"]), inner, max_size=3)
    ),
)


@given(VALUES)
def test_any_document_is_read_or_told(value: Any) -> None:
    found, problems = read_tags(yaml.safe_dump(value), "t.yaml")
    assert not found or problems or value["images"]
