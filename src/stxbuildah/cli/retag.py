# SPDX-License-Identifier: Apache-2.0
"""``stxb retag``: promote tags by tag-management files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, options
from stxbuildah.errors import BuildError, InputError, StxbError

if TYPE_CHECKING:
    from stxbuildah.model.retag import RetagRequest, TagCheck, TagResult

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_DEFAULT = "promote"
_DIGEST_SHOWN = len("sha256:") + 12


class RetagGroup(click.Group):
    """A group that promotes when no command is named, as the script did that it replaces."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front of what begins with no other."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        words = [word for word in args if word not in own]
        if words and words[0] not in self.commands:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=RetagGroup, context_settings=_SETTINGS, subcommand_metavar="FILE... | COMMAND [ARGS]...")
@options.verbosity_options
def command() -> None:
    """Promote tags: the image that a build has tagged gets another tag beside that.

    "stxb retag FILE..." is short for "stxb retag promote FILE...".
    """


def _reading(function: Any) -> Any:
    return options.together(
        click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE..."),
        click.option("--lock", type=options.FILE, metavar="FILE",
                     help="Keeps which image each tag was given; a build that has moved since then is refused."),
        click.option("--jobs", type=click.IntRange(1, 64), default=8, show_default=True, metavar="N",
                     help="How many entries are looked at, and written, at the same time."),
        columns.FORMAT,
        options.registry_options,
        options.retry_options,
        options.proxy_options,
        options.verbosity_options,
    )(function)  # fmt: skip


@command.command(_DEFAULT, context_settings=_SETTINGS)
@click.option("--dry-run", "--dryrun", is_flag=True, help="Show how the tags stand, and write nothing.")
@click.option(
    "--repush",
    multiple=True,
    metavar="NAME[,NAME]",
    help="Replace the tag of these repositories, as stx-nova, though it is another image.",
)
@click.option(
    "--keep-going",
    is_flag=True,
    help="Write what can be written, though the source of another entry is missing or not known.",
)
@_reading
@click.pass_context
def promote_command(ctx: click.Context, /, *, dry_run: bool, output_format: str, **given: Any) -> None:
    """Give the images of builds the tags that tag-management files list.

    First all entries are looked up, and nothing is written when the source of one is missing or could not be looked
    up. Manifests are written inside the registry, for all platforms and digest for digest; no layer travels. A tag that
    is another image already is left alone, unless --repush names its repository. Afterwards each tag is read back.
    """
    from stxbuildah import jobs

    request = _request(given)
    if dry_run:
        _show_checks(jobs.check_retags(request), output_format)
        return
    results = jobs.retag(request)
    if output_format == "json":
        click.echo(columns.as_json([_result_object(result) for result in results]))
    else:
        rows = [(str(result.outcome), *_cells(result.check)) for result in results]
        click.echo(columns.table(("DONE", *_HEADER), rows))
    if not options.is_quiet(ctx):
        counted = Counter(str(result.outcome) for result in results)
        click.echo(", ".join(f"{count} {what}" for what, count in sorted(counted.items())) or "no entries", err=True)
    _end(results)


@command.command("check", context_settings=_SETTINGS)
@_reading
def check_command(*, output_format: str, **given: Any) -> None:
    """Show how the tags stand; fail when one is another image than its build, or cannot be told.

    Tags that are still to be made are no failure.
    """
    from stxbuildah import jobs
    from stxbuildah.model.retag import TagState

    checks = jobs.check_retags(_request(given))
    _show_checks(checks, output_format)
    _raise_unknown(checks)
    bad = [check for check in checks if check.state not in {TagState.CREATE, TagState.EXISTS}]
    if bad:
        raise BuildError(
            f"{len(bad)} of {len(checks)} tags are not what the files say", details=[_sentence(check) for check in bad]
        )


@command.command("list", context_settings=_SETTINGS)
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@columns.FORMAT
@options.verbosity_options
def list_command(files: tuple[Path, ...], output_format: str) -> None:
    """Show the entries of tag-management files, in their order. No registry is asked.

    All mistakes of all files are told at once, each with its line, and then nothing is listed.
    """
    from stxbuildah import jobs

    entries = jobs.list_retags(files)
    if output_format == "json":
        objects = [
            {
                "name": entry.name,
                "src_build_tag": entry.build_tag,
                "src_ref": entry.origin,
                "tag": entry.tag,
                "file": entry.source,
                "line": entry.line,
            }
            for entry in entries
        ]
        click.echo(columns.as_json(objects))
        return
    rows = [(entry.name, entry.tag, entry.build_tag, entry.origin) for entry in entries]
    click.echo(columns.table(("NAME", "TAG", "FROM TAG", "BUILT FROM"), rows))


def _request(given: dict[str, Any]) -> "RetagRequest":
    from stxbuildah.model.retag import RetagRequest

    return RetagRequest(
        files=given["files"],
        repush=frozenset(name.strip() for word in given.get("repush", ()) for name in word.split(",") if name.strip()),
        keep_going=given.get("keep_going", False),
        jobs=given["jobs"],
        lock=given["lock"],
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
        proxies=options.proxies(given["http_proxy"], given["https_proxy"], given["no_proxy"]),
    )


_HEADER = ("STATE", "NAME", "TAG", "FROM TAG", "DIGEST")


def _cells(check: "TagCheck") -> tuple[str, str, str, str, str]:
    entry = check.entry
    digest = (check.digest or check.target_digest)[:_DIGEST_SHOWN]
    return str(check.state), entry.name, entry.tag, entry.build_tag, digest


def _check_object(check: "TagCheck") -> dict[str, object]:
    entry = check.entry
    return {
        "name": entry.name,
        "tag": entry.tag,
        "src_build_tag": entry.build_tag,
        "src_ref": entry.origin,
        "state": str(check.state),
        "digest": check.digest,
        "target_digest": check.target_digest,
        "note": check.note,
    }


def _result_object(result: "TagResult") -> dict[str, object]:
    error = result.error.message if result.error is not None else ""
    return {**_check_object(result.check), "outcome": str(result.outcome), "error": error}


def _show_checks(checks: Sequence["TagCheck"], output_format: str) -> None:
    if output_format == "json":
        click.echo(columns.as_json([_check_object(check) for check in checks]))
        return
    rows = [(*_cells(check), columns.printable(check.note)) for check in checks]
    click.echo(columns.table((*_HEADER, ""), rows))


def _sentence(check: "TagCheck") -> str:
    from stxbuildah.model.retag import TagState

    entry = check.entry
    where = f"{entry.source}:{entry.line}: {entry.target}"
    if check.state is TagState.DRIFT and check.digest:
        return f"{where} is {check.target_digest}, and {entry.build_tag} is {check.digest}"
    if check.state is TagState.MOVED:
        return f"{where}: {entry.build_tag} is {check.digest} by now; {check.note}"
    return f"{where}: {check.note}"


def _raise_unknown(checks: Iterable["TagCheck"]) -> None:
    """Tell of entries whose registry could not be asked, by the class of the first fault."""
    from stxbuildah.model.retag import TagState

    unknown = [check for check in checks if check.state is TagState.UNKNOWN]
    if not unknown:
        return
    first = unknown[0].error or BuildError("")
    raise type(first)(
        f"{len(unknown)} entries could not be looked up", hint=first.hint, details=[_sentence(one) for one in unknown]
    )


def _end(results: Sequence["TagResult"]) -> None:
    """Fail when something was not done, by the class of what stood in its way."""
    from stxbuildah.model.retag import TagOutcome, TagState

    checks = [result.check for result in results]
    skipped = sum(result.outcome is TagOutcome.SKIPPED for result in results)
    left = f"; {skipped} were not written because of that (--keep-going writes them)" if skipped else ""
    failed = [result for result in results if result.error is not None]
    if failed:
        first: StxbError = failed[0].error or BuildError("")
        raise type(first)(
            f"{len(failed)} tags could not be written, and {sum(map(_is_written, results))} were",
            hint=f"{first.hint}; the next run goes on with what is left" if first.hint else "run it again: it goes on",
            details=[f"{one.check.entry.target}: {one.error.message}" for one in failed if one.error],
        )
    try:
        _raise_unknown(checks)
    except StxbError as error:
        raise type(error)(f"{error.message}{left}", hint=error.hint, details=error.details) from error
    missing = [check for check in checks if check.state in {TagState.MISSING, TagState.MOVED}]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(checks)} entries have not the source that the files say{left}",
            hint="check src_build_tag; where a build has moved on purpose, take its entry out of the lock",
            details=[_sentence(check) for check in missing],
        )
    drifted = [result.check for result in results if result.outcome is TagOutcome.REFUSED]
    if drifted:
        raise BuildError(
            f"{len(drifted)} of {len(checks)} tags are another image already, and were left alone",
            hint=f"--repush {','.join(sorted({check.entry.target.label for check in drifted}))} replaces them",
            details=[_sentence(check) for check in drifted],
        )


def _is_written(result: "TagResult") -> bool:
    from stxbuildah.model.retag import TagOutcome

    return result.outcome in {TagOutcome.CREATED, TagOutcome.REPLACED}
