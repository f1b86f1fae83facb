# SPDX-License-Identifier: Apache-2.0
"""The images that a Containerfile names, and the same file with other names or without here-documents."""

import re
from collections.abc import Iterator, Mapping

from stxbuildah.directive.containerwords import expanded, split_words
from stxbuildah.model.containerfile import Containerfile, ImageUse, Instruction

NOTHING = "scratch"
_FLAG = re.compile(r"--(?P<name>[a-z-]+)(?:=(?P<value>\S*))?(?:\s+|$)")
_FROM = re.compile(r"(?P<image>\S+)(?:\s+[Aa][Ss]\s+(?P<stage>\S+))?\s*")
_MOUNTED_FROM = re.compile(r"(?:^|,)from=(?P<image>[^,]+)")
_COPYING = frozenset({"COPY", "ADD"})


def image_uses(containerfile: Containerfile, arguments: Mapping[str, str]) -> tuple[ImageUse, ...]:
    """Give every place that names an image, in the file's order.

    Stages of the file itself and ``scratch`` are no images. A stage is named by FROM only after it was begun, by
    ``--from`` anywhere, and there also by its number.

    Args:
        containerfile: the file.
        arguments: values of build arguments; one counts where the file declares it by ARG before the first FROM.
    """
    variables = dict(_global_arguments(containerfile, arguments))
    stages = {stage for _, _, stage in _froms(containerfile) if stage}
    begun: set[str] = set()
    found = []
    for index, instruction in enumerate(containerfile.instructions):
        for start, end, stage in _places(instruction):
            written = instruction.arguments[start:end]
            image = expanded(written, variables, containerfile.escape)
            is_from = instruction.name == "FROM"
            own = image.lower() in begun if is_from else image.lower() in stages or image.isdecimal()
            begun |= {stage} if is_from and stage else set()
            if own or (is_from and image == NOTHING):
                continue
            found.append(
                ImageUse(
                    index=index, line=instruction.first, start=start, end=end, written=written, image=image,
                    is_from=is_from,
                )
            )  # fmt: skip
    return tuple(found)


def declares(containerfile: Containerfile, argument: str) -> bool:
    """Tell whether a Containerfile has an ARG of a name, before its first FROM or in a stage."""
    return any(
        name == argument
        for instruction in containerfile.instructions
        if instruction.name == "ARG"
        for name, _, _ in _declared(instruction, containerfile.escape)
    )


def has_stage(containerfile: Containerfile) -> bool:
    """Tell whether anything is built at all: there is a FROM."""
    return any(instruction.name == "FROM" for instruction in containerfile.instructions)


def mounts_context(containerfile: Containerfile) -> tuple[bool, bool]:
    """Tell whether a RUN mounts the context itself, where no ignore file counts, and whether it may write to it."""
    mounts = [
        value.split(",")
        for instruction in containerfile.instructions
        if instruction.name == "RUN"
        for name, value, _ in flags(instruction.arguments)
        if name == "mount"
    ]
    ours = [
        options
        for options in mounts
        if not any(option.startswith("from=") for option in options)
        and all(not option.startswith("type=") or option == "type=bind" for option in options)
    ]
    writing = {"rw", "readwrite", "rw=true", "readwrite=true"}
    return bool(ours), any(writing & set(options) for options in ours)


def flags(arguments: str) -> tuple[tuple[str, str, int], ...]:
    """Give the flags at the beginning of an instruction's arguments: name, value, and where the value begins."""
    found = []
    at = 0
    while match := _FLAG.match(arguments, at):
        value = match["value"] or ""
        found.append((match["name"], value, match.start("value") if value else match.end("name")))
        at = match.end()
    return tuple(found)


def after_flags(arguments: str) -> int:
    """Give where an instruction's arguments begin that are no flags."""
    at = 0
    while match := _FLAG.match(arguments, at):
        at = match.end()
    return at


def _froms(containerfile: Containerfile) -> Iterator[tuple[int, int, str]]:
    for instruction in containerfile.instructions:
        if instruction.name == "FROM":
            yield from _places(instruction)


def _places(instruction: Instruction) -> Iterator[tuple[int, int, str]]:
    """Give where an instruction names images or stages, and the stage that it begins; in small letters."""
    arguments = instruction.arguments
    if instruction.name == "FROM":
        match = _FROM.match(arguments, after_flags(arguments))
        if match is not None:
            yield match.start("image"), match.end("image"), (match["stage"] or "").lower()
    elif instruction.name in _COPYING:
        for name, value, start in flags(arguments):
            if name == "from" and value:
                yield start, start + len(value), ""
    elif instruction.name == "RUN":
        for name, value, start in flags(arguments):
            match = _MOUNTED_FROM.search(value) if name == "mount" else None
            if match is not None:
                yield start + match.start("image"), start + match.end("image"), ""


def _global_arguments(containerfile: Containerfile, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give the arguments that FROM may use: those declared before the first one."""
    known: dict[str, str] = {}
    for instruction in containerfile.instructions:
        if instruction.name == "FROM":
            return
        if instruction.name != "ARG":
            continue
        for name, default, has_default in _declared(instruction, containerfile.escape):
            if name in given:
                known[name] = given[name]
            elif has_default:
                known[name] = expanded(default, known, containerfile.escape)
            else:
                continue
            yield name, known[name]


def _declared(instruction: Instruction, escape: str) -> Iterator[tuple[str, str, bool]]:
    for word in split_words(instruction.arguments, escape):
        name, equals, default = word.partition("=")
        yield name, default, bool(equals)
