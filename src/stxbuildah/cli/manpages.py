# SPDX-License-Identifier: Apache-2.0
"""Manual pages, made of the commands themselves: man(7) in roff. The build of the package writes and ships them."""

import re
import time
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from textwrap import wrap

import click

from stxbuildah import __version__
from stxbuildah.cli.main import COMMANDS, stxb

# A paragraph that begins so keeps its lines (click's documentation, "Preventing Rewrapping").
_AS_IT_IS = "\b"
_WIDTH = 72
_EXIT_STATUS = (
    ("0", "Done."),
    ("1", "A build failed, or something is not as it should be."),
    ("2", "Wrong usage, or wrong input."),
    ("3", "This machine cannot do it."),
    ("4", "A registry, or another machine, refused the credentials or could not be identified."),
    ("5", "A registry, or another machine, is unreachable, failing or limiting."),
    ("6", "The disk is full."),
    ("130", "Interrupted."),
)
_ENVIRONMENT = (
    ("TMPDIR", "Folder of temporary files; without it, work folders lie in the cache."),
    ("XDG_CACHE_HOME, XDG_STATE_HOME", "Folders of caches and of locks; ~/.cache and ~/.local/state without them."),
    ("CONTAINERS_STORAGE_CONF, CONTAINERS_REGISTRIES_CONF, CONTAINERS_CONF, REGISTRY_AUTH_FILE",
     "Settings of podman and buildah, as they read them."),
    ("SOURCE_DATE_EPOCH", "Seconds since 1970 that are written as the time of what is made."),
    ("STXB_REGISTRY_TIMEOUT", "Seconds that a registry may stay silent; 60 without it."),
    ("http_proxy, https_proxy, no_proxy", "Proxies, where no option names one."),
    ("NO_COLOR, FORCE_COLOR", "Whether colours are used."),
)  # fmt: skip


def write_pages(folder: Path, epoch: int | None) -> tuple[Path, ...]:
    """Write all pages into a folder, and give their paths.

    Args:
        folder: is made when it is missing.
        epoch: the pages' date, in seconds since 1970; None to leave it out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(epoch):
        (folder / f"{name}.1").write_text(text, encoding="ascii")
        written.append(folder / f"{name}.1")
    return tuple(written)


def pages(epoch: int | None) -> Iterator[tuple[str, str]]:
    """Give all pages: name, as ``stxb-save``, and text."""
    top = _context(stxb, "stxb", None)
    lines = {f"stxb-{name}": line for name, (_, line) in COMMANDS.items()}
    yield from _pages(top, "stxb", "Build and update container images rootless and without a daemon.", lines, epoch)


def _pages(
    ctx: click.Context, name: str, line: str, known: dict[str, str], epoch: int | None
) -> Iterator[tuple[str, str]]:
    """Give the page of a command, then those of the commands below it."""
    below = []
    if isinstance(ctx.command, click.Group):
        for word in ctx.command.list_commands(ctx):
            command = ctx.command.get_command(ctx, word)
            if command is not None and not command.hidden:
                child = _context(command, word, ctx)
                below.append((child, f"{name}-{word}", known.get(f"{name}-{word}") or _first_sentence(command)))
    yield name, _page(ctx, name, line, [(other, text) for _, other, text in below], epoch)
    for child, other, text in below:
        yield from _pages(child, other, text, known, epoch)


def _context(command: click.Command, word: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, info_name=word, parent=parent, **command.context_settings)


def _page(ctx: click.Context, name: str, line: str, below: list[tuple[str, str]], epoch: int | None) -> str:
    date = "" if epoch is None else time.strftime("%Y-%m-%d", time.gmtime(epoch))
    version = f"stxbuildah {__version__}"
    pieces = " ".join(ctx.command.collect_usage_pieces(ctx))
    parts = [
        f'.TH {_quoted(name.upper())} 1 "{date}" {_quoted(version)} "User Commands"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(line[:1].lower() + line[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fB{_text(ctx.command_path)}\\fR {_text(pieces)}",
        ".SH DESCRIPTION",
        *_paragraphs(cleandoc(ctx.command.help or line)),
        *_options(ctx),
    ]
    if below:
        parts.append(".SH COMMANDS")
        for other, text in below:
            parts += [".TP", f"\\fB{_text(other)}\\fR(1)", *_filled(text)]
    parts += [".SH EXIT STATUS", *_terms(_EXIT_STATUS)]
    parent = name.rpartition("-")[0]
    if not parent:
        parts += [".SH ENVIRONMENT", *_terms(_ENVIRONMENT)]
    others = ("buildah", "podman", "skopeo") if not parent else (parent,)
    parts += [".SH SEE ALSO", ", ".join(f"\\fB{_text(other)}\\fR(1)" for other in others)]
    return "\n".join(parts) + "\n"


def _options(ctx: click.Context) -> Iterator[str]:
    """Give the options, in the sections of the command's help where it has any."""
    left = {str(parameter.name): parameter for parameter in ctx.command.get_params(ctx)}
    sections: dict[str, tuple[str, ...]] = dict(getattr(ctx.command, "sections", {}))
    sections["Other" if sections else ""] = tuple(left)
    yield ".SH OPTIONS"
    for title, names in sections.items():
        found = [left.pop(name) for name in names if name in left]
        told = [record for parameter in found if (record := parameter.get_help_record(ctx)) is not None]
        # What arguments are for stands in the description.
        records = [record for record in told if record[1]]
        if records and title:
            yield f".SS {_quoted(title)}"
        for usage, text in records:
            yield from (".TP", _usage(usage), *_filled(text))


def _usage(usage: str) -> str:
    """Give the words of an option: names in bold, what they take in italics."""
    words = re.split(r"(?:(?<=^)|(?<=[ /]))(--?[A-Za-z][\w-]*)", usage)
    return "".join(
        f"\\fB{_text(word)}\\fR" if number % 2 else re.sub(r"([^\s,/]+)", lambda found: _italic(found[1]), word)
        for number, word in enumerate(words)
    )


def _italic(word: str) -> str:
    return f"\\fI{_text(word)}\\fR"


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        first, _, rest = paragraph.partition("\n")
        if first.strip() == _AS_IT_IS:
            yield from (".nf", *map(_text, rest.split("\n")), ".fi")
        elif paragraph.strip():
            yield from _filled(paragraph)


def _terms(terms: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, text in terms:
        yield from (".TP", f"\\fB{_text(term)}\\fR", *_filled(text))


def _first_sentence(command: click.Command) -> str:
    return command.get_short_help_str(limit=200)


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', "\\(dq") + '"'


def _filled(text: str) -> list[str]:
    """Write a paragraph in lines that are no longer than sources of pages are."""
    return [
        _text(line) for line in wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def _text(text: str) -> str:
    """Write a text so that roff takes none of it for a request, in ASCII."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    escaped = re.sub(r"[^\x20-\x7e]", lambda found: f"\\[u{ord(found[0]):04X}]", escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
