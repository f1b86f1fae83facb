# SPDX-License-Identifier: Apache-2.0
"""Promotes tags inside their registries: manifests are written under a new name, and no layer travels."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TypeVar

from stxbuildah import log
from stxbuildah.directive.taglock import format_lock, parse_lock
from stxbuildah.engine.process import parent_environment
from stxbuildah.errors import InputError, RegistryError, StxbError
from stxbuildah.job.listing import list_retags
from stxbuildah.job.remote import opened_client
from stxbuildah.job.textfile import read_whole
from stxbuildah.job.workspace import Folders, check_writable, locked, replace_text
from stxbuildah.model.retag import (
    LockedTag,
    LockedTags,
    RetagEntry,
    RetagRequest,
    TagCheck,
    TagOutcome,
    TagResult,
    TagState,
)
from stxbuildah.plan.retag import check_repush, is_written, judged, stopping
from stxbuildah.registry.client import RegistryClient

Item = TypeVar("Item")
Given = TypeVar("Given")


def check(request: RetagRequest) -> tuple[TagCheck, ...]:
    """Say how each entry stands in its registry.

    Raises:
        StxbError: a file is wrong.
    """
    entries = list_retags(request.files)
    kept = _read_lock(request.lock)
    with opened_client(request.access, request.retry, request.proxies) as client:
        return _checked(client(), request, entries, kept)


def run(request: RetagRequest) -> tuple[TagResult, ...]:
    """Look at all entries, and then write the tags that are to be written.

    Nothing is written as long as the source of one entry is missing, has moved or is not known, unless the request
    is to keep going.

    Args:
        request: what to do.

    Raises:
        StxbError: a file is wrong, or the lock cannot be written.
    """
    entries = list_retags(request.files)
    check_repush(entries, request.repush)
    if request.lock is not None:
        check_writable(request.lock)
    kept = _read_lock(request.lock)
    with opened_client(request.access, request.retry, request.proxies) as client:
        checks = _checked(client(), request, entries, kept)
        stopped = bool(stopping(checks)) and not request.keep_going
        results = tuple(
            _together(request.jobs, lambda one: _carried_out(client(), request, one, stopped=stopped), checks)
        )
    if request.lock is not None:
        _write_lock(request.lock, results)
    return results


def _checked(
    client: RegistryClient, request: RetagRequest, entries: Sequence[RetagEntry], kept: LockedTags
) -> tuple[TagCheck, ...]:
    def look(entry: RetagEntry) -> TagCheck:
        try:
            # A mirror may still have what a tag was yesterday.
            built, target = (client.digest(name, mirrors=False) for name in (entry.built, entry.target))
        except StxbError as error:
            return TagCheck(entry=entry, state=TagState.UNKNOWN, note=error.message, error=error)
        return judged(entry, built, target, kept)

    return tuple(_together(request.jobs, look, entries))


def _together(jobs: int, do: Callable[[Item], Given], items: Iterable[Item]) -> Iterator[Given]:
    """Do something with each item, several at a time; what is given is in their order."""
    pool = ThreadPoolExecutor(jobs)
    try:
        tasks = [pool.submit(copy_context().run, do, item) for item in items]
        yield from [task.result() for task in tasks]
    finally:
        # When the user ends it, nobody waits for the others: with the session they end, too.
        pool.shutdown(wait=False, cancel_futures=True)


def _carried_out(client: RegistryClient, request: RetagRequest, checked: TagCheck, *, stopped: bool) -> TagResult:
    if not is_written(checked, request.repush):
        refused = checked.state is not TagState.EXISTS
        return TagResult(check=checked, outcome=TagOutcome.REFUSED if refused else TagOutcome.NOTHING)
    if stopped:
        return TagResult(check=checked, outcome=TagOutcome.SKIPPED)
    try:
        _write(client, checked)
    except StxbError as error:
        return TagResult(check=checked, outcome=TagOutcome.FAILED, error=error)
    log.info("retag.written", image=str(checked.entry.target), digest=checked.digest)
    replaced = checked.state is TagState.DRIFT
    return TagResult(check=checked, outcome=TagOutcome.REPLACED if replaced else TagOutcome.CREATED)


def _write(client: RegistryClient, checked: TagCheck) -> None:
    """Write the manifest or index of the build, byte for byte, under the new tag, and read the tag back.

    Its blobs, and the manifests that an index lists, are in the repository already.
    """
    built, target = checked.entry.built, checked.entry.target
    document = client.document(built.with_digest(checked.digest), mirrors=False)
    if document is None:
        raise InputError(f"{built} was removed meanwhile", hint="run it again, and it says what is there")
    client.tag(target, document)
    now = client.digest(target, mirrors=False)
    if now != checked.digest:
        raise RegistryError(
            f"{target} was written, and is {now or 'not there'} when it is read back, not {checked.digest}",
            hint="somebody else writes the same tag, or the registry does not keep its word; run it again",
        )


def _read_lock(path: Path | None) -> LockedTags:
    if path is None or not path.exists():
        return {}
    return parse_lock(read_whole(path, "lock file of tags"), str(path))


def _write_lock(path: Path, results: Iterable[TagResult]) -> None:
    """Add what was promoted, and what was found promoted, to the lock; other entries stay."""
    with locked(Folders.from_environment(parent_environment()).state / "retag.lock"):
        tags = dict(_read_lock(path))
        for result in results:
            if result.outcome in {TagOutcome.NOTHING, TagOutcome.CREATED, TagOutcome.REPLACED}:
                one = _locked(result.check)
                tags[one.name, one.tag] = one
        replace_text(path, format_lock(tags.values()))


def _locked(checked: TagCheck) -> LockedTag:
    entry = checked.entry
    return LockedTag(
        name=entry.name,
        tag=entry.tag,
        build_tag=entry.build_tag,
        digest=checked.digest or checked.target_digest,
        origin=entry.origin,
    )
