# SPDX-License-Identifier: Apache-2.0
"""Tag-management files: YAML documents with ``images: [{name, src_build_tag, src_ref, tag}]``.

The format is that of StarlingX's retag-images.sh. A reference to the source's commit is for people and may be left out,
as the proposal of the format has it.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from stxbuildah.errors import InputError, Problem
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.retag import RetagEntry

if TYPE_CHECKING:
    import yaml

    from stxbuildah.directive.yamltext import YamlReader

    Pairs = Mapping[str, tuple[yaml.Node, yaml.Node]]

KEYS = ("name", "src_build_tag", "src_ref", "tag")
_NEEDED = ("name", "src_build_tag", "tag")
_TOP = "images"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
HINT = "a file holds images: and a list of name, src_build_tag, src_ref and tag; other keys are not understood"


def read_tags(text: str, source: str) -> tuple[tuple[RetagEntry, ...], tuple[Problem, ...]]:
    """Read a tag-management file.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The entries that are right, in the order of the file, and every mistake by line and column. An entry with a
        mistake is left out. Whether two entries make one tag is told by ``repeated_targets``, which sees all files.
    """
    from stxbuildah.directive.yamltext import YamlReader, compose_documents, is_null

    documents, unread = compose_documents(text, source)
    reader = YamlReader(source)
    entries: list[RetagEntry] = []
    for document in documents:
        if not is_null(document):
            entries += _document(reader, document)
    problems = [*reader.problems, *([unread] if unread else [])]
    if reader.gave_up:
        problems.append(Problem(source, "its merge keys make it larger than any list of tags is"))
    return tuple(entries), tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def repeated_targets(entries: Iterable[RetagEntry]) -> tuple[Problem, ...]:
    """Give a mistake for every entry whose tag an earlier one already makes."""
    first: dict[str, RetagEntry] = {}
    problems: list[Problem] = []
    for entry in entries:
        earlier = first.setdefault(str(entry.target), entry)
        if earlier is not entry:
            where = f"line {earlier.line}" if earlier.source == entry.source else f"{earlier.source}:{earlier.line}"
            problems.append(Problem(entry.source, f"{entry.target} is already made by {where}", entry.line))
    return tuple(problems)


def _document(reader: "YamlReader", document: "yaml.Node") -> list[RetagEntry]:
    pairs = reader.mapping(document, "a mapping with the key images")
    if pairs is None:
        return []
    _unknown_keys(reader, pairs, (_TOP,))
    if _TOP not in pairs:
        reader.problem(document, "the key images is missing")
        return []
    items = reader.items(pairs[_TOP][1], "a list of images")
    return [entry for item in items if (entry := _entry(reader, item)) is not None]


def _entry(reader: "YamlReader", item: "yaml.Node") -> RetagEntry | None:
    before = len(reader.problems)
    pairs = reader.mapping(item, "an image: name, src_build_tag, src_ref and tag")
    if pairs is None:
        return None
    _unknown_keys(reader, pairs, KEYS)
    texts: dict[str, str] = {}
    for key in KEYS:
        text = reader.text(pairs[key][1], key) if key in pairs else ""
        texts[key] = (text or "").strip()
        if key in _NEEDED and key not in pairs:
            reader.problem(item, f"the key {key} is missing")
        elif key in _NEEDED and text == "":
            reader.problem(pairs[key][0], f"{key} is empty")
    for key, text in texts.items():
        if text and (mistake := _mistake(key, text)):
            reader.problem(pairs[key][1], f"{key}: {mistake}")
    if len(reader.problems) == before and texts["src_build_tag"] == texts["tag"]:
        reader.problem(pairs["tag"][1], "tag is the tag that the build gave: nothing would be made")
    if len(reader.problems) > before:
        return None
    return RetagEntry(
        name=texts["name"],
        build_tag=texts["src_build_tag"],
        origin=texts["src_ref"],
        tag=texts["tag"],
        source=reader.source,
        line=item.start_mark.line + 1,
    )


def _unknown_keys(reader: "YamlReader", pairs: "Pairs", known: tuple[str, ...]) -> None:
    for key, (node, _) in pairs.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            reader.problem(node, f"{key!r} is not a key here" + (f"; did you mean {close[0]}?" if close else ""))


def _mistake(key: str, text: str) -> str:
    """Give what is wrong with a value, or nothing."""
    try:
        if key == "name":
            if ImageReference.parse(text).name != text:
                return f"{text!r} is more than a repository: no tag, digest or scheme expected"
        elif key != "src_ref":
            ImageReference("name").with_tag(text)
        elif _UNPRINTABLE.search(text):
            return "a value of one line expected"
    except InputError as error:
        return error.message
    return ""
