# SPDX-License-Identifier: Apache-2.0
"""The records of a product's images: what came of each, the lists of what was pushed, and what is installed.

Folder and names of the lists and logs are those of the replaced tool (StarlingX's build-stx-images.sh): helm chart
builds read ``images-<label>-<stream>-versioned.lst`` and its kin, one reference a line. All records are written after
each image, each beside its place and then renamed, so that a run that is killed leaves whole ones.
"""

import time
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.job.images.recordfile import (
    BUILD_FILE,
    PACKAGE_KINDS,
    ImageRecord,
    read_build_file,
    read_packages,
    write_build_file,
)
from stxbuildah.job.records import replace_reference
from stxbuildah.job.workspace import check_writable, locked
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.imagesrun import ImageOutcome, ImagesPlan, PlannedImage
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference

_LOCK = f".{BUILD_FILE}.lock"


def list_name(os_label: str, stream: str, kind: str) -> str:
    """Give the name of a list of pushed images.

    Args:
        os_label: label of the system in tags.
        stream: build stream.
        kind: ``versioned`` or ``latest``.
    """
    return f"images-{os_label}-{stream}-{kind}.lst"


@attrs.frozen(kw_only=True)
class Records:
    """The records of one folder; several threads and several runs can write them.

    Attributes:
        folder: where they are.
    """

    folder: Path
    _before: dict[str, ImageRecord]
    _stems: dict[str, str]
    _lists: dict[str, dict[ImageReference, str]]

    @classmethod
    def begin(cls, plan: ImagesPlan) -> "Records":
        """Open the records for a run.

        When the run is of the whole product, the lists of pushed images begin anew, and images that the product does
        not have any more are forgotten; what an earlier run has told of the others stays until they are noted.

        Raises:
            InputError: the records cannot be written, or those that are there are damaged.
            DiskFullError: there is no room for them.
        """
        folder = plan.records
        check_writable(folder / BUILD_FILE)
        with locked(folder / _LOCK):
            before = read_build_file(folder)
            if plan.whole:
                for os_label in plan.os_labels:
                    for kind in ("versioned", "latest"):
                        (folder / list_name(os_label, plan.stream, kind)).unlink(missing_ok=True)
                kept = {image.label: before[image.label] for image in plan.images if image.label in before}
                if kept != before:
                    write_build_file(folder, kept)
        return cls(
            folder=folder,
            before=before,
            stems={image.label: f"{image.label}-{plan.os_labels[0]}-{plan.stream}" for image in plan.images},
            lists={image.label: _lists_of(image, plan) for image in plan.images},
        )

    @classmethod
    def opened(cls, folder: Path) -> "Records":
        """Open what earlier runs have recorded, to go on with it.

        Raises:
            InputError: there are no records, or they are damaged or cannot be written.
        """
        if not (folder / BUILD_FILE).exists():
            raise InputError(
                f"{folder} has no {BUILD_FILE}: no images were built there", hint="name the folder with --output"
            )
        check_writable(folder / BUILD_FILE)
        return cls(folder=folder, before=read_build_file(folder), stems={}, lists={})

    @property
    def outcomes(self) -> tuple[ImageOutcome, ...]:
        """What had come of each image when the records were opened, sorted by LABEL."""
        found = (self.earlier(label) for label in sorted(self._before))
        return tuple(outcome for outcome in found if outcome is not None)

    def earlier(self, label: str) -> ImageOutcome | None:
        """Give what had come of an image when the records were opened, with its packages; None when they lack it."""
        record = self._before.get(label)
        if record is None:
            return None
        return attrs.evolve(record.outcome, packages=read_packages(self.folder, record))

    def complete(self, outcome: ImageOutcome) -> ImageOutcome:
        """Give an outcome with the packages that the records have of the same image, where it does not tell them."""
        record = read_build_file(self.folder).get(outcome.label)
        if record is None or not outcome.digest or record.outcome.digest != outcome.digest:
            return outcome
        if outcome.packages != PackageLists():
            return outcome
        return attrs.evolve(outcome, packages=read_packages(self.folder, record))

    def note(self, outcome: ImageOutcome) -> tuple[Path, ...]:
        """Write what came of an image: at once, and again when more has.

        An image that is the same as before keeps what was known of it: its packages, and, when it was not pushed
        now, where it was pushed.

        Returns:
            The files that tell of it.

        Raises:
            DiskFullError: there is no room.
        """
        with locked(self.folder / _LOCK):
            records = read_build_file(self.folder)
            record = self._record(outcome, records.get(outcome.label))
            if records.get(outcome.label) != record:
                write_build_file(self.folder, {**records, outcome.label: record})
            lists = self._write_lists(outcome, record)
        packages = [self.folder / name for _, name in record.packages]
        return (self.folder / BUILD_FILE, *lists, *packages)

    def _record(self, outcome: ImageOutcome, before: ImageRecord | None) -> ImageRecord:
        same = before if before is not None and outcome.digest and before.outcome.digest == outcome.digest else None
        known = self._lists.get(outcome.label)
        if known is None:
            known = dict(zip(before.outcome.targets, before.lists, strict=True)) if before is not None else {}
        packages = self._write_packages(outcome)
        pushed = outcome.pushed
        if same is not None:
            packages = packages or same.packages
            pushed = pushed or same.outcome.pushed
        record = ImageRecord(
            outcome=attrs.evolve(
                outcome,
                packages=PackageLists(),
                pushed=pushed,
                started=round(outcome.started, 3),
                seconds=tuple((step, round(seconds, 3)) for step, seconds in outcome.seconds),
            ),
            recorded=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            lists=tuple(known.get(target, "") for target in outcome.targets),
            packages=packages,
        )
        if before is not None and attrs.evolve(record, recorded=before.recorded) == before:
            return before
        return record

    def _write_packages(self, outcome: ImageOutcome) -> tuple[tuple[str, str], ...]:
        """Write the package lists of a build; one that told of an earlier build and is not written goes."""
        stem = self._stems.get(outcome.label)
        found = {kind: getattr(outcome.packages, kind) for kind, _ in PACKAGE_KINDS}
        if stem is None or not any(lines is not None for lines in found.values()):
            return ()
        written = []
        for kind, suffix in PACKAGE_KINDS:
            path = self.folder / f"{stem}.{suffix}"
            lines = found[kind]
            if lines is None:
                path.unlink(missing_ok=True)
                continue
            _write(path, lines)
            written.append((kind, path.name))
        return tuple(written)

    def _write_lists(self, outcome: ImageOutcome, record: ImageRecord) -> list[Path]:
        """Put the names that an image was pushed under on their lists, in the place of those it had there."""
        names = {target.qualified: name for target, name in zip(outcome.targets, record.lists, strict=True) if name}
        written = []
        for reference, _ in outcome.pushed:
            name = names.get(reference.qualified)
            if name is None:
                continue
            path = self.folder / name
            old = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
            new = replace_reference(old, reference)
            if list(new) != old:
                _write(path, new)
            written.append(path)
        return written


def _lists_of(image: PlannedImage, plan: ImagesPlan) -> dict[ImageReference, str]:
    """Give the list that each name of an image belongs to: its names are in the order of the system's labels."""
    names = image.names
    return {
        name: list_name(os_label, plan.stream, kind)
        for kind, listed in (("versioned", names.versioned), ("latest", names.latest))
        for name, os_label in zip(listed, plan.os_labels, strict=False)
    }


def _write(path: Path, lines: tuple[str, ...]) -> None:
    with written_beside(path) as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
