# SPDX-License-Identifier: Apache-2.0
"""The file ``build.json``: what came of each image, for machines and for the next run."""

import json
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.documents import Json
from stxbuildah.model.imagesjson import outcome_object
from stxbuildah.model.imagesrun import BuiltLayer, ImageOutcome, ImageState
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference

BUILD_FILE = "build.json"
VERSION = 1
# What tells images apart grows with their number and layers, and stays far below this.
_MAXIMUM_SIZE = 256 << 20
PACKAGE_KINDS = (("python", "piplst"), ("deb", "deblst"), ("rpm", "rpmlst"))


@attrs.frozen(kw_only=True)
class ImageRecord:
    """What the records tell of one image.

    Attributes:
        outcome: what came of it; without its packages, which stand in files of their own.
        recorded: when that was written, as ``2026-11-21T19:35:03Z``.
        lists: for each of the outcome's targets, the list that it stands on once it was pushed.
        packages: names of the files with its packages, by kind.
    """

    outcome: ImageOutcome
    recorded: str
    lists: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()


def read_build_file(folder: Path) -> dict[str, ImageRecord]:
    """Give the records of a folder by LABEL; none when there is no file.

    Raises:
        InputError: the file cannot be read, or is not one of these.
    """
    path = folder / BUILD_FILE
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAXIMUM_SIZE)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"the records {path} cannot be read: {error.strerror}") from error
    hint = "move it away; images that are in the local store are not built again for that"
    try:
        found = _object(json.loads(data))
        version = found["version"]
        images = _list(found["images"]) if version == VERSION else []
        records = [_record(_object(image), folder) for image in images]
    except (KeyError, TypeError, ValueError, RecursionError, InputError) as error:
        raise InputError(f"the records {path} are damaged: {type(error).__name__}: {error}", hint=hint) from error
    if version != VERSION:
        raise InputError(f"the records {path} are of version {version!r}, where {VERSION} is known", hint=hint)
    return {record.outcome.label: record for record in records}


def write_build_file(folder: Path, records: dict[str, ImageRecord]) -> Path:
    """Write the records of a folder, which exists; whole, or not at all.

    Raises:
        DiskFullError: there is no room for them.
    """
    images = [_image_object(record, folder) for _, record in sorted(records.items())]
    path = folder / BUILD_FILE
    with written_beside(path) as stream:
        text = json.dumps({"version": VERSION, "images": images}, indent=1, ensure_ascii=False)
        stream.write(f"{text}\n".encode("utf-8", "replace"))
    return path


def _image_object(record: ImageRecord, folder: Path) -> dict[str, object]:
    outcome = record.outcome
    log = None if outcome.log is None else outcome.log.absolute()
    if log is not None and log.is_relative_to(folder.absolute()):
        log = log.relative_to(folder.absolute())
    return {
        **outcome_object(outcome),
        "lists": list(record.lists),
        "packages": dict(record.packages),
        "log": str(log or ""),
        "recorded": record.recorded,
    }


def _record(found: dict[str, Json], folder: Path) -> ImageRecord:
    log = _text(found["log"])
    reference = _text(found["reference"])
    outcome = ImageOutcome(
        label=_text(found["label"]),
        builder=_text(found["builder"]),
        file=Path(_text(found["file"])),
        state=ImageState(_text(found["state"])),
        reason=_text(found["reason"]),
        hint=_text(found["hint"]),
        exit_code=int(_number(found["exit_code"])),
        reference=ImageReference.parse(reference) if reference else None,
        digest=_text(found["digest"]),
        targets=tuple(ImageReference.parse(_text(name)) for name in _list(found["targets"])),
        pushed=tuple(_pushed(_object(one)) for one in _list(found["pushed"])),
        base=_text(found["base"]),
        base_digest=_text(found["base_digest"]),
        inputs=tuple(sorted((name, _text(digest)) for name, digest in _object(found["inputs"]).items())),
        layers=tuple(_layer(_object(one)) for one in _list(found["layers"])),
        log=folder / log if log else None,
        started=_number(found["started"]),
        seconds=tuple(_step(_object(one)) for one in _list(found["seconds"])),
        tail=tuple(map(_text, _list(found["tail"]))),
    )
    lists = tuple(map(_file_name, _list(found["lists"])))
    if len(lists) != len(outcome.targets):
        raise ValueError(f"{outcome.label} has {len(outcome.targets)} targets and {len(lists)} lists")
    return ImageRecord(
        outcome=outcome,
        recorded=_text(found["recorded"]),
        lists=lists,
        packages=tuple(sorted((kind, _file_name(name)) for kind, name in _object(found["packages"]).items())),
    )


def read_packages(folder: Path, record: ImageRecord) -> PackageLists:
    """Give an image's packages from their files; a list whose file has gone is None."""
    found = {}
    for kind, name in record.packages:
        try:
            found[kind] = tuple((folder / name).read_text(encoding="utf-8", errors="replace").splitlines())
        except OSError:
            continue
    return PackageLists(python=found.get("python"), deb=found.get("deb"), rpm=found.get("rpm"))


def _pushed(found: dict[str, Json]) -> tuple[ImageReference, str]:
    return ImageReference.parse(_text(found["reference"])), _text(found["digest"])


def _layer(found: dict[str, Json]) -> BuiltLayer:
    size = int(_number(found["size"]))
    return BuiltLayer(digest=_text(found["digest"]), size=size, created_by=_text(found["created_by"]))


def _step(found: dict[str, Json]) -> tuple[str, float]:
    return _text(found["step"]), _number(found["seconds"])


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise TypeError(f"no object: {value!r:.60}")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(f"no list: {value!r:.60}")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r:.60}")
    return value


def _number(value: Json) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r:.60}")
    return value


def _file_name(value: Json) -> str:
    """Give the name of a file of the records' folder, and of no other."""
    name = _text(value)
    if name != Path(name).name:
        raise ValueError(f"no file name: {name!r:.60}")
    return name
