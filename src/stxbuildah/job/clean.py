# SPDX-License-Identifier: Apache-2.0
"""Removes what killed runs left and what caches keep in vain, and never anything that stxb did not make."""

import time

from stxbuildah import log
from stxbuildah.job.caches import Cache, Entry, caches_of, size_of
from stxbuildah.job.engine import clear_all_away, find_left, set_up
from stxbuildah.job.workspace import Folders, living_work_folders
from stxbuildah.model.clean import SECONDS_OF_A_DAY, Cleaned, CleanedCache, CleanRequest, SizedFolder
from stxbuildah.model.settings import RegistryAccess, Retry


def run(request: CleanRequest) -> Cleaned:
    """Remove what may go, or say what would.

    Raises:
        StxbError: the store cannot be used.
    """
    engine = set_up(request.host, RegistryAccess(), Retry())
    found = find_left(engine)
    sizes = {folder: size_of(folder) for folder in found.folders}
    left = found if request.dry_run else clear_all_away(engine)
    caches, busy = _clean_caches(request, engine.folders) if request.caches else ((), ())
    return Cleaned(
        containers=left.containers,
        folders=tuple(SizedFolder(path=folder, size=sizes.get(folder, 0)) for folder in left.folders),
        caches=caches,
        busy=busy,
    )


def _clean_caches(request: CleanRequest, folders: Folders) -> tuple[tuple[CleanedCache, ...], tuple[str, ...]]:
    before = time.time() - request.unused_days * SECONDS_OF_A_DAY
    working = bool(living_work_folders(folders))
    cleaned, busy = [], []
    for cache in caches_of(folders):
        entries = list(cache.entries())
        if not entries:
            continue
        if working and cache.is_used_in_place and request.unused_days < 1:
            # What is young may be what the other run has just found.
            busy.append(cache.name)
            continue
        cleaned.append(_cleaned(cache, entries, before, dry_run=request.dry_run))
    return tuple(cleaned), tuple(busy)


def _cleaned(cache: Cache, entries: list[Entry], before: float, *, dry_run: bool) -> CleanedCache:
    going = [entry for entry in entries if entry.used <= before]
    if not dry_run:
        going = [entry for entry in going if cache.remove(entry)]
        if going:
            log.info("cache.cleaned", cache=cache.name, entries=len(going))
    size, whole = sum(entry.size for entry in going), sum(entry.size for entry in entries)
    return CleanedCache(
        name=cache.name,
        folder=cache.folder,
        entries=len(going),
        size=size,
        kept_entries=len(entries) - len(going),
        kept_size=whole - size,
    )
