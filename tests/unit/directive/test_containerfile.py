# SPDX-License-Identifier: Apache-2.0
"""Containerfiles are read as Docker's reference says, and written anew with the same meaning."""

import json
import shlex
import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.containerfile import read_containerfile
from stxbuildah.directive.containerimages import declares, has_stage, image_uses, mounts_context
from stxbuildah.directive.containerrewrite import FILES_CONTEXT, here_document_problems, rewritten
from stxbuildah.directive.containerwords import expanded, split_words
from stxbuildah.model.containerfile import Containerfile

WHOLE = """\
# syntax=docker/dockerfile:1
# escape=`

ARG BASE=debian:12
ARG  TAG="a b" OTHER=${BASE}-x
from --platform=linux/amd64 ${BASE} as Build
RUN echo one `
  # a comment between
  && echo two `

  && echo three
COPY --from=tools:1 `
     /a /b
FROM build
RUN --mount=type=bind,from=other/tool,source=/x,target=/y true
COPY --from=build --chown=1:1 /a /b
COPY --from=0 /a /b
FROM scratch
FROM ${OTHER} AS last
"""


def read(text: str) -> Containerfile:
    return read_containerfile(text, "Containerfile")


def read_whole(text: str) -> list[tuple[str, str]]:
    found = read(text)
    assert found.problems == ()
    return [(instruction.name, instruction.arguments) for instruction in found.instructions]


def test_instructions_are_found_with_what_continues_them() -> None:
    found = read(WHOLE)
    assert found.escape == "`"
    assert [(one.name, one.first, one.last) for one in found.instructions[:5]] == [
        ("ARG", 4, 4),
        ("ARG", 5, 5),
        ("FROM", 6, 6),
        ("RUN", 7, 11),
        ("COPY", 12, 13),
    ]
    assert shlex.split(found.instructions[3].arguments) == shlex.split("echo one && echo two && echo three")


def test_images_are_those_that_are_no_stages() -> None:
    uses = image_uses(read(WHOLE), {"BASE": "localhost/base:1", "TAG": "unused"})
    assert [(use.line, use.written, use.image, use.is_from) for use in uses] == [
        (6, "${BASE}", "localhost/base:1", True),
        (12, "tools:1", "tools:1", False),
        (15, "other/tool", "other/tool", False),
        (19, "${OTHER}", "localhost/base:1-x", True),
    ]
    assert image_uses(read(WHOLE), {})[0].image == "debian:12"


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM a AS a\nFROM a", ["a"]),
        ("FROM b\nFROM b AS b", ["b", "b"]),
        ("FROM scratch", []),
        ("FROM ${NONE}", [""]),
        ("FROM ${NONE:-a}", ["a"]),
        ("ARG X\nFROM a${X:+b}", ["a"]),
        ("FROM a\nARG X=b\nFROM ${X}", ["a", ""]),
        ("# escape=`\r\nFROM a\r\n", ["a"]),
        ("\ufeffFROM a", ["a"]),
        ("FROM \\\n a \\\n AS b\nCOPY --from=B x y", ["a"]),
        ("FROM a\nRUN cat <<FROM\nFROM b\nFROM\nFROM c", ["a", "c"]),
        ("FROM a\nRUN echo <<'E O' x\nFROM b\nE O", ["a"]),
        ("FROM a\nENV X=<<EOF\nFROM b", ["a", "b"]),
        ('FROM a\nCOPY <<A <<-"B" /d/\none\nA\n\ttwo\n\tB\nFROM c', ["a", "c"]),
    ],
)
def test_images_of(text: str, images: list[str]) -> None:
    found = read(text)
    assert found.problems == ()
    assert [use.image for use in image_uses(found, {})] == images


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("FROM a\nRUN <<EOF\nno end\n", "Containerfile:2: the here-document <<EOF has no end"),
        ("# escape=x\nFROM a", "Containerfile:1: escape is neither"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, part: str) -> None:
    assert str(read(text).problems[0]).startswith(part)


def test_arguments_and_stages() -> None:
    found = read("ARG A B=1\nFROM x\nARG C=${A}\n")
    assert [declares(found, name) for name in ("A", "B", "C", "D")] == [True, True, True, False]
    assert has_stage(found)
    assert not has_stage(read("# FROM a\n"))


@pytest.mark.parametrize(
    ("mount", "answer"),
    [
        ("type=bind,target=/m", (True, False)),
        ("target=/m,rw", (True, True)),
        ("type=bind,from=a,target=/m,rw", (False, False)),
        ("type=cache,target=/m", (False, False)),
    ],
)
def test_mounts_of_the_context(mount: str, answer: tuple[bool, bool]) -> None:
    assert mounts_context(read(f"FROM a\nRUN --network=none --mount={mount} true\n")) == answer


def test_images_are_written_as_the_store_has_them() -> None:
    found = read("FROM foo AS one\n# kept\nRUN a \\\n  b\nCOPY --from=foo --chown=1 \\\n /a /b\nFROM one\n")
    result = rewritten(found, [(use, "localhost/u/foo:build") for use in image_uses(found, {})])
    assert result.changed
    assert result.text == (
        "FROM localhost/u/foo:build AS one\n# kept\nRUN a \\\n  b\n"
        "COPY --from=localhost/u/foo:build --chown=1  /a /b\nFROM one\n"
    )


def test_every_stage_is_given_variables_that_no_image_has() -> None:
    result = rewritten(read("ARG B\nFROM $B AS a\nRUN x\nFROM a\n"), [], {"CA": "/mnt/ca"})
    assert result.text == "ARG B\nFROM $B AS a\nARG CA=/mnt/ca\nRUN x\nFROM a\nARG CA=/mnt/ca\n"


def test_here_documents_are_written_otherwise() -> None:
    text = (
        'FROM a AS one\nSHELL ["/bin/bash", "-ec"]\nRUN <<EOF\necho $X\nEOF\n'
        "FROM one\nRUN --network=none cat <<-A > /f\n\tfirst\n\tA\n"
        "RUN <<EOF\n#!/usr/bin/python3\nprint()\nEOF\n"
        "FROM b\nRUN <<'EOF'\ntrue\nEOF\nADD --chown=5 x <<'F' /d/\n$HOME\nF\n"
    )
    found = read(text)
    assert here_document_problems(found, "Containerfile") == ()
    result = rewritten(found, [])
    written = read_whole(result.text)
    runs = [arguments for name, arguments in written if name == "RUN"]
    assert json.loads(runs[0]) == ["/bin/bash", "-ec", "echo $X\n"]
    assert runs[1].startswith("--network=none [")
    assert json.loads(runs[1].removeprefix("--network=none ")) == ["/bin/bash", "-ec", "cat <<-A > /f\nfirst\nA\n"]
    assert json.loads(runs[2])[:2] == ["/bin/sh", "-c"]
    assert json.loads(runs[2])[3:] == ["sh", "#!/usr/bin/python3\nprint()\n"]
    assert json.loads(runs[3]) == ["/bin/sh", "-c", "true\n"]
    assert written[-2:] == [("ADD", "--chown=5 x /d/"), ("COPY", f"--chown=5 --from={FILES_CONTEXT} 8/F /d/")]
    assert result.files == {"8/F": "$HOME\n"}


def test_a_file_with_variables_of_the_builder_is_refused() -> None:
    found = read("FROM a\nCOPY <<EOF /d\n$HOME\nEOF\n")
    assert [problem.line for problem in here_document_problems(found, "Containerfile")] == [2]


WORDS = st.text(string.ascii_letters + string.digits + "=/.$-:", min_size=1, max_size=6).filter(
    lambda word: not word.startswith("#")
)
NAMES = st.sampled_from(["RUN", "copy", "Env", "LABEL", "workdir"])
BREAKS = st.sampled_from([" ", "  \t", " \\\n ", " \\  \n\t", " \\\n# told\n ", " \\\n\n  # FROM x\n "])


@st.composite
def instructions(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """An instruction's text, its name and its words."""
    name = draw(NAMES)
    words = draw(st.lists(WORDS, min_size=1, max_size=5))
    text = name
    for word in words:
        text += draw(BREAKS) + word
    return text, name.upper(), words


@given(st.lists(instructions(), max_size=6), st.lists(st.sampled_from(["", "# FROM a", "  "]), max_size=3))
def test_instructions_are_found_however_they_are_broken(
    made: list[tuple[str, str, list[str]]], between: list[str]
) -> None:
    text = "\n".join(line for one in made for line in (*between, one[0]))
    assert [(name, arguments.split()) for name, arguments in read_whole(text)] == [one[1:] for one in made]


@given(st.text(st.sampled_from(list("FROM RUN<>COPY\n\\`#=${}AB'\" -")), max_size=80))
def test_any_text_can_be_read_and_is_not_changed_without_need(text: str) -> None:
    found = read(text)
    uses = image_uses(found, {"A": "b"})
    for one in found.instructions:
        assert 1 <= one.first <= one.last <= len(found.lines)
    for use in uses:
        assert found.instructions[use.index].arguments[use.start : use.end] == use.written
    if not any(one.here_documents for one in found.instructions):
        assert rewritten(found, []).text.split("\n") == list(found.lines)


PIECES = st.sampled_from(
    ["a", "${A}", "$B", "${N}", "${A:-x}", "${N:-x}", "${E-x}", "${E:-x}", "${N-y}", "${A:+z}", "${E+z}", "${N:+z}",
     "'$A'", '"$A b"', '"\\$A"', "\\$A", "${N:-${A}}", '"${N:-x}"']
)  # fmt: skip


@given(st.lists(PIECES, min_size=1, max_size=4))
def test_variables_are_replaced_as_by_a_shell(pieces: list[str]) -> None:
    # Between pieces, so that no name runs into the next letter.
    word = "-".join(pieces)
    script = f"A=1 B='two' E=; printf %s {word}"
    answer = subprocess.run(["bash", "-fc", f"IFS=; {script}"], capture_output=True, text=True, check=True).stdout
    assert expanded(word, {"A": "1", "B": "two", "E": ""}, "\\") == answer


@given(st.lists(st.text(string.ascii_letters + " \t'\"", min_size=1, max_size=5), max_size=4))
def test_quoted_words_stay_whole(words: list[str]) -> None:
    text = " ".join(shlex.quote(word) for word in words)
    assert [shlex.split(word) for word in split_words(text, "")] == [[word] for word in words]


LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="\x85\u2028\u2029"), max_size=20
)


@given(
    st.lists(LINES.filter(lambda line: line != "EOF").map(lambda line: f"\t{line}"), max_size=4),
    st.sampled_from(["<<'EOF'", "<<-'EOF'", '<<-"EOF"']),
    st.sampled_from(["cat {}", "{} cat", "cat {} | cat", "cat {} && echo done"]),
)
def test_a_here_document_says_the_same_when_it_is_written_otherwise(lines: list[str], word: str, command: str) -> None:
    text = "\n".join([command.format(word), *lines, "EOF"])
    wanted = subprocess.run(["bash", "-c", text], capture_output=True, check=True).stdout
    result = rewritten(read(f"FROM a\nRUN {text}\n"), [])
    ((_, arguments),) = [one for one in read_whole(result.text) if one[0] == "RUN"]
    assert subprocess.run(json.loads(arguments), capture_output=True, check=True).stdout == wanted
