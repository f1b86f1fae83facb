# SPDX-License-Identifier: Apache-2.0
"""A Containerfile for any buildah: images named as the local store has them, and no here-documents.

buildah reads here-documents from 1.33 on. What they mean is BuildKit's: alone after RUN they are a script, behind a
command its standard input, and for COPY and ADD files.
"""

import json
from collections.abc import Iterable, Iterator, Mapping

import attrs

from stxbuildah.directive.containerimages import after_flags, flags
from stxbuildah.directive.containerwords import split_words
from stxbuildah.errors import Problem
from stxbuildah.model.containerfile import Containerfile, HereDocument, ImageUse, Instruction

# The name of the further build context that has the files of COPY and ADD.
FILES_CONTEXT = "stxb-here-documents"
_SHELL = ("/bin/sh", "-c")
# A script with an interpreter of its own is a file while it runs; its text is the first argument.
_RUN_FILE = 'f=$(mktemp) && printf %s "$1" > "$f" && chmod 700 "$f" || exit; "$f"; s=$?; rm -f "$f"; exit $s'


@attrs.frozen(kw_only=True)
class Rewritten:
    """A Containerfile that means the same.

    Attributes:
        text: the whole file; the original's own text when nothing had to be changed.
        changed: whether anything was.
        files: content of each file of the context ``FILES_CONTEXT``, by its path there.
    """

    text: str
    changed: bool
    files: Mapping[str, str]


def here_document_problems(containerfile: Containerfile, source: str) -> tuple[Problem, ...]:
    """Give the here-documents that cannot be written otherwise: files in which the builder replaces variables.

    Args:
        containerfile: the file.
        source: what messages call it.
    """
    return tuple(
        Problem(
            source,
            f"the here-document {document.word} has variables that the builder would replace: quote its delimiter, "
            "or copy a file of the context",
            instruction.first,
        )
        for instruction in containerfile.instructions
        if instruction.name in {"COPY", "ADD"}
        for document in instruction.here_documents
        if document.expands and ("$" in document.content or containerfile.escape in document.content)
    )


def rewritten(
    containerfile: Containerfile, images: Iterable[tuple[ImageUse, str]], variables: Mapping[str, str] | None = None
) -> Rewritten:
    """Write a Containerfile anew where that is needed.

    Args:
        containerfile: the file; it has no ``here_document_problems``.
        images: places that name an image, and what to write there.
        variables: what programs of every stage see in their environment; none of it is the image's.
    """
    writer = _Writer(containerfile=containerfile, variables=variables or {})
    for use, name in images:
        writer.names.setdefault(use.index, []).append((use.start, use.end, name))
    text = "\n".join(writer.lines())
    return Rewritten(text=text, changed=writer.changed, files=writer.files)


@attrs.define(kw_only=True)
class _Writer:
    """Writes the instructions one after the other."""

    containerfile: Containerfile
    variables: Mapping[str, str]
    names: dict[int, list[tuple[int, int, str]]] = attrs.field(factory=dict)
    files: dict[str, str] = attrs.field(factory=dict)
    changed: bool = False
    _shell: tuple[str, ...] = _SHELL
    _stages: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    _stage: str = ""

    def lines(self) -> Iterator[str]:
        """Give the lines of the new file."""
        done = 0
        for index, instruction in enumerate(self.containerfile.instructions):
            arguments = self._renamed(instruction.arguments, self.names.get(index, ()))
            self._note_shell(instruction)
            written = self._without_documents(index, instruction, arguments)
            added = tuple(f"ARG {name}={value}" for name, value in self.variables.items())
            added = added if instruction.name == "FROM" else ()
            if written is None and (added or arguments != instruction.arguments):
                written = (f"{instruction.name} {arguments}", *added)
            if written is not None:
                self.changed = True
                yield from self.containerfile.lines[done : instruction.first - 1]
                yield from written
                done = instruction.last
        yield from self.containerfile.lines[done:]

    def _renamed(self, arguments: str, names: Iterable[tuple[int, int, str]]) -> str:
        for start, end, name in sorted(names, reverse=True):
            arguments = arguments[:start] + name + arguments[end:]
        return arguments

    def _note_shell(self, instruction: Instruction) -> None:
        """Remember the shell of each stage: a stage made from another one inherits it."""
        if instruction.name == "FROM":
            words = instruction.arguments[after_flags(instruction.arguments) :].split()
            self._stage = words[2].lower() if len(words) > 2 else ""  # noqa: PLR2004 # IMAGE AS STAGE
            self._shell = self._stages.get(words[0].lower() if words else "", _SHELL)
        elif instruction.name == "SHELL":
            try:
                words = json.loads(instruction.arguments)
            except ValueError:
                return
            self._shell = tuple(str(word) for word in words) if isinstance(words, list) else _SHELL
        if self._stage:
            self._stages[self._stage] = self._shell

    def _without_documents(self, index: int, instruction: Instruction, arguments: str) -> tuple[str, ...] | None:
        if not instruction.here_documents:
            return None
        at = after_flags(arguments)
        if instruction.name == "RUN":
            command = json.dumps([*self._command(arguments[at:], instruction.here_documents)])
            return (f"RUN {arguments[:at]}{command}",)
        if instruction.name in {"COPY", "ADD"}:
            return tuple(self._copies(index, instruction.name, arguments, instruction.here_documents))
        return None

    def _command(self, rest: str, documents: tuple[HereDocument, ...]) -> tuple[str, ...]:
        if rest.strip() == documents[0].word:
            script = documents[0].content
            return (*_SHELL, _RUN_FILE, "sh", script) if script.startswith("#!") else (*self._shell, script)
        ends = (f"{document.content}{document.delimiter}\n" for document in documents)
        return (*self._shell, f"{rest}\n{''.join(ends)}")

    def _copies(self, index: int, name: str, arguments: str, documents: tuple[HereDocument, ...]) -> Iterator[str]:
        at = after_flags(arguments)
        begun = {document.word for document in documents}
        *sources, target = split_words(arguments[at:], self.containerfile.escape) or [""]
        others = [word for word in sources if word not in begun]
        if others:
            yield f"{name} {arguments[:at]}{' '.join(others)} {target}"
        kept = "".join(f"--{flag}={value} " for flag, value, _ in flags(arguments) if flag in {"chown", "chmod"})
        paths = [f"{index}/{document.delimiter}" for document in documents]
        self.files |= {path: document.content for path, document in zip(paths, documents, strict=True)}
        yield f"COPY {kept}--from={FILES_CONTEXT} {' '.join(paths)} {target}"
