# SPDX-License-Identifier: Apache-2.0
"""What a Containerfile says, as far as it has to be known before it is built."""

import attrs

from stxbuildah.errors import Problem
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class HereDocument(Value):
    """Lines that follow an instruction up to a delimiter.

    Attributes:
        delimiter: the word that ends them, without quotes.
        content: the lines, each with its end; without leading tabs where ``<<-`` asks for that.
        expands: variables in it are replaced: the delimiter was not quoted.
        word: the word of the instruction that begins it, as ``<<-"EOF"``.
    """

    delimiter: str
    content: str
    expands: bool
    word: str


@attrs.frozen(kw_only=True)
class Instruction(Value):
    """One instruction.

    Attributes:
        name: in capitals, as ``RUN``.
        arguments: everything after the name: continued lines joined, comments between them left out.
        first: number of its first line, from 1.
        last: number of its last line, here-documents included.
        here_documents: what follows it.
    """

    name: str
    arguments: str
    first: int
    last: int
    here_documents: tuple[HereDocument, ...] = ()


@attrs.frozen(kw_only=True)
class Containerfile(Value):
    """A Containerfile, read and not carried out.

    Attributes:
        lines: the file's lines without their ends.
        escape: the escape character, a backslash unless the file says otherwise.
        instructions: in the file's order.
        problems: what cannot be read, by line.
    """

    lines: tuple[str, ...]
    escape: str
    instructions: tuple[Instruction, ...]
    problems: tuple[Problem, ...] = ()


@attrs.frozen(kw_only=True)
class ImageUse(Value):
    """A place of a Containerfile that names an image, not one of its own stages.

    Attributes:
        index: the instruction's place among all.
        line: the instruction's first line.
        start: where the name begins in the instruction's arguments.
        end: where it ends.
        written: the name as it is written, as ``${BASE}``.
        image: the name after its variables were replaced; empty when they are not set.
        is_from: it is the image of a stage, not one that files are copied from.
    """

    index: int
    line: int
    start: int
    end: int
    written: str
    image: str
    is_from: bool
