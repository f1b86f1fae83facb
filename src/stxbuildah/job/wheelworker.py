# SPDX-License-Identifier: Apache-2.0
"""What is done for one wheel: fetched, looked up, built, checked, put into its place."""

import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import attrs

from stxbuildah.engine.download import Downloader
from stxbuildah.engine.git import Git
from stxbuildah.engine.process import Runner
from stxbuildah.errors import DiskFullError, InputError, StxbError
from stxbuildah.job.wheelshop import WheelShop
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import LockedSource, WheelOutcome, WheelsPlan, WheelsRequest, WheelState, WheelStep
from stxbuildah.wheels.agreement import check_wheel
from stxbuildah.wheels.keyed import KeyedFolders
from stxbuildah.wheels.material import Material, Materials, copy_wheel
from stxbuildah.wheels.sourcebuild import build_source
from stxbuildah.wheels.wheelcache import build_key, kept_wheel

_UNFIT = re.compile(r"[^A-Za-z0-9._+-]")


@attrs.frozen(kw_only=True)
class ToBuild:
    """What is known of a wheel that has to be built.

    Attributes:
        material: what it is built from.
        key: what it is kept under.
    """

    material: Material
    key: str


@attrs.frozen(kw_only=True)
class WheelWorker:
    """Does what a wheel needs; several threads use one.

    Attributes:
        request: what was asked.
        plan: where things go.
        shop: where wheels are built.
        cache: folder of what is kept between runs.
        work: folder of this run.
        locked: what wheels have to be made of, by the wheel as the list has it; None when any source will do.
        only_fetch: fetch what wheels are made of, and build none.
    """

    request: WheelsRequest
    plan: WheelsPlan
    shop: WheelShop
    cache: Path
    work: Path
    locked: Mapping[str, LockedSource] | None = None
    only_fetch: bool = False

    def fetch(self, step: WheelStep) -> WheelOutcome | ToBuild:
        """Fetch what a wheel is made of; give its outcome when nothing is to be built.

        Raises:
            DiskFullError: no space is left.
            RunStoppedError: no wheel can be built at all.
        """
        started, source = time.monotonic(), step.source
        try:
            material = self._materials.fetch(source)
            self._check_lock(source, material)
            if self.only_fetch:
                return _fetched(source, material, started)
            if source.kind is SourceKind.PYPI:
                folder = self._scratch(source, "download")
                wheel = copy_wheel(material, source, folder)
                return self._placed(source, wheel, WheelState.DOWNLOADED, material, started)
            requires = self.shop.requires_digest
            key = build_key(source, material, self.shop.builder_identity(), self.request.limits, requires)
            kept = kept_wheel(self._built.find(key)) if self.request.use_cache else None
            if kept is not None:
                return self._placed(source, kept, WheelState.KEPT, material, started)
            return ToBuild(material=material, key=key)
        except DiskFullError:
            raise
        except StxbError as error:
            return _failure(source, error, started)

    def build(self, step: WheelStep, found: ToBuild) -> WheelOutcome:
        """Build a wheel, unless another run did meanwhile; errors are those of ``fetch``."""
        started, source = time.monotonic(), step.source
        log_file = self.plan.logs / f"{_UNFIT.sub('_', source.wheel.removesuffix('.whl'))}.log"
        workshop = self.shop.open()
        try:
            with self._built.held(found.key) as slot:
                kept = kept_wheel(slot.folder) if self.request.use_cache else None
                if kept is not None:
                    return self._placed(source, kept, WheelState.KEPT, found.material, started)
                started = time.monotonic()
                log_file.unlink(missing_ok=True)
                folder = self._scratch(source, "build")
                try:
                    laid_out = self._materials.lay_out(source, found.material, folder / "source")
                    out = folder / "out"
                    out.mkdir()
                    wheel = build_source(source, laid_out, workshop, out, log_file)
                    check_wheel(wheel, source)
                    shutil.copyfile(wheel, slot.draft / wheel.name)
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
                slot.keep()
                wheel = slot.folder / wheel.name
                placed = self._placed(source, wheel, WheelState.BUILT, found.material, started)
                return attrs.evolve(placed, log=log_file)
        except DiskFullError:
            raise
        except StxbError as error:
            return _failure(source, error, started, log_file if log_file.exists() else None)

    @cached_property
    def _materials(self) -> Materials:
        request = self.request
        proxies = request.host.proxies
        return Materials(
            downloader=Downloader(proxies=proxies, retry=request.retry, ca_bundle=request.ca_bundle),
            git=Git(runner=Runner(), proxies=proxies, ca_bundle=request.ca_bundle),
            kept=KeyedFolders(top=self.cache / "downloads"),
            use_kept=request.use_cache,
        )

    @cached_property
    def _built(self) -> KeyedFolders:
        return KeyedFolders(top=self.cache / "built")

    def _scratch(self, source: WheelSource, what: str) -> Path:
        # Two lists may have one wheel.
        return Path(tempfile.mkdtemp(prefix=f"{what}-{_UNFIT.sub('_', source.module)}-", dir=self.work))

    def _check_lock(self, source: WheelSource, material: Material) -> None:
        """Refuse what the lock file does not name.

        Raises:
            InputError: it is another source, or none that the file knows.
        """
        if self.locked is None:
            return
        one = self.locked.get(source.wheel)
        hint = "stxb wheels lock writes the file anew, once you know that this is right"
        if one is None:
            raise InputError(f"the lock file does not know {source.wheel}", hint=hint)
        told = f"git:{one.commit}" if one.commit else f"sha256:{one.sha256}"
        if (one.url, told) != (source.shown_url, material.digest):
            raise InputError(
                f"{source.wheel} is not what the lock file says: {source.shown_url} is {material.digest}, "
                f"and {one.url} was {told}",
                hint=hint,
            )

    def _placed(
        self, source: WheelSource, wheel: Path, state: WheelState, material: Material, started: float
    ) -> WheelOutcome:
        """Check a wheel and put it into its folder, unless the very same is there."""
        import hashlib

        note = check_wheel(wheel, source)
        target = self.plan.folder / wheel.name
        content = wheel.read_bytes()
        if not (target.is_file() and target.stat().st_size == len(content) and target.read_bytes() == content):
            with written_beside(target) as out:
                out.write(content)
        return WheelOutcome(
            source=source,
            state=state,
            name=wheel.name,
            sha256=hashlib.sha256(content).hexdigest(),
            material=material.digest,
            note=note,
            seconds=time.monotonic() - started,
        )


def _fetched(source: WheelSource, material: Material, started: float) -> WheelOutcome:
    return WheelOutcome(
        source=source,
        state=WheelState.DOWNLOADED,
        material=material.digest,
        seconds=time.monotonic() - started,
    )


def _failure(source: WheelSource, error: StxbError, started: float, log_file: Path | None = None) -> WheelOutcome:
    return WheelOutcome(
        source=source,
        state=WheelState.FAILED,
        error=error.message,
        hint=error.hint,
        tail=error.details,
        log=log_file,
        seconds=time.monotonic() - started,
    )
