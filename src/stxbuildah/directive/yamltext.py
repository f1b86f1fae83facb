# SPDX-License-Identifier: Apache-2.0
"""YAML as a tree of nodes that know their place; no object is ever constructed from it.

So a number or date keeps the characters it is written with, an alias costs nothing but its name, and every mistake has
a line. Merge keys (``<<``) are followed, with limits.
"""

import yaml

from stxbuildah.errors import Problem

MAXIMUM_LENGTH = 1_000_000
_MAXIMUM_PAIRS = 100_000
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
# What an untagged node can be; any other tag was written by someone who wants an object made of it.
_STANDARD = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int", "map", "null", "seq", "str", "timestamp", "value")
)


def compose_documents(text: str, source: str) -> tuple[tuple[yaml.Node, ...], Problem | None]:
    """Read the documents of a YAML file as far as they can be read.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The documents before the first mistake of the syntax, and that mistake.
    """
    if len(text) > MAXIMUM_LENGTH:
        return (), Problem(source, f"longer than {MAXIMUM_LENGTH} characters: this is no list of tags", 1)
    documents: list[yaml.Node] = []
    try:
        for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
            documents.append(document)  # noqa: PERF402 # what comes before a mistake is kept
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        return tuple(documents), Problem(source, f"no YAML: {message}", *(place(mark) if mark else (0, 0)))
    except yaml.YAMLError as error:
        return tuple(documents), Problem(source, f"no YAML: {' '.join(str(error).split())}")
    except RecursionError:
        return tuple(documents), Problem(source, "no list of tags: its brackets are nested too deeply")
    return tuple(documents), None


def place(mark: "yaml.Mark") -> tuple[int, int]:
    """Give the line and column of a mark, both from 1."""
    return mark.line + 1, mark.column + 1


class YamlReader:
    """Reads nodes and collects what is wrong with them.

    Args:
        source: the file as the user named it, for messages.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._pairs = 0

    def problem(self, node: yaml.Node, message: str) -> None:
        """Note a mistake at a node."""
        self.problems.append(Problem(self.source, message, *place(node.start_mark)))

    def mapping(self, node: yaml.Node, expected: str) -> dict[str, tuple[yaml.Node, yaml.Node]] | None:
        """Read a mapping.

        Args:
            node: the node to read.
            expected: what it should be, for messages.

        Returns:
            Key node and value node by key, those of merge keys after its own; None when it is no mapping.
        """
        if not isinstance(node, yaml.MappingNode) or not self._is_plain(node):
            self.problem(node, f"{expected} expected")
            return None
        return self._flatten(node, within=())

    def items(self, node: yaml.Node, expected: str) -> tuple[yaml.Node, ...]:
        """Read a list; an empty value is an empty list."""
        if is_null(node):
            return ()
        if not isinstance(node, yaml.SequenceNode) or not self._is_plain(node):
            self.problem(node, f"{expected} expected")
            return ()
        return tuple(node.value)

    def text(self, node: yaml.Node, key: str) -> str | None:
        """Read a single value as it is written; empty when nothing is, None after the mistake that it is no such."""
        if not isinstance(node, yaml.ScalarNode) or not self._is_plain(node):
            self.problem(node, f"{key}: a single value expected")
            return None
        return "" if is_null(node) else str(node.value)

    def _is_plain(self, node: yaml.Node) -> bool:
        return str(node.tag) in _STANDARD

    def _flatten(self, node: yaml.MappingNode, within: tuple[yaml.Node, ...]) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            self._pairs += 1
            if self._pairs > _MAXIMUM_PAIRS:
                break
            if key_node.tag == _MERGE:
                for inherited, pair in self._merge(value_node, (*within, node)).items():
                    merged.setdefault(inherited, pair)
                continue
            name = self.text(key_node, "a key")
            if name is None:
                continue
            if name in own:
                self.problem(key_node, f"{name} is already set in line {own[name][0].start_mark.line + 1}")
            own.setdefault(name, (key_node, value_node))
        return own | {name: pair for name, pair in merged.items() if name not in own}

    def _merge(self, node: yaml.Node, within: tuple[yaml.Node, ...]) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode) or any(part is outer for outer in within):
                self.problem(part, "<<: another mapping expected")
                continue
            if self._pairs > _MAXIMUM_PAIRS:
                break
            for name, pair in self._flatten(part, within).items():
                merged.setdefault(name, pair)
        return merged

    @property
    def gave_up(self) -> bool:
        """Whether merge keys made the file larger than any list is."""
        return self._pairs > _MAXIMUM_PAIRS


def is_null(node: yaml.Node) -> bool:
    """Tell whether nothing is written where this node stands, or ``null`` or ``~``."""
    return str(node.tag) == _NULL
