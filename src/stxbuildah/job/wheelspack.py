# SPDX-License-Identifier: Apache-2.0
"""From collected wheels to the tarball: constraints, duplicates, one archive."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs
from packaging.utils import NormalizedName

from stxbuildah import log
from stxbuildah.directive.openstackcfg import parse_openstack_config
from stxbuildah.engine.download import Downloader
from stxbuildah.errors import InputError
from stxbuildah.job.textfile import read_whole
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.wheelsrun import WheelsPlan, WheelsRequest
from stxbuildah.wheels.constraints import WheelVersion, updated_constraints
from stxbuildah.wheels.metadata import examine_named
from stxbuildah.wheels.tarball import write_tarball

CONSTRAINTS, REQUIREMENTS = "upper-constraints.txt", "global-requirements.txt"
_OPENSTACK = "openstack.cfg"


@attrs.frozen(kw_only=True)
class Packed:
    """What was packed.

    Attributes:
        sha256: digest of the tarball, in hexadecimal.
        notes: what the user should know.
    """

    sha256: str
    notes: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ReleaseFiles:
    """The two files of an OpenStack release.

    Attributes:
        constraints: ``upper-constraints.txt``; empty when no release is named.
        requirements: ``global-requirements.txt``; None when no release is named.
    """

    constraints: str = ""
    requirements: str | None = None


def read_release(request: WheelsRequest, configs: Sequence[Path]) -> ReleaseFiles:
    """Read the constraints of the release that openstack.cfg names for the stream.

    Args:
        request: stream, and the file when it was named.
        configs: the lists of wheels; the file lies beside the first.

    Raises:
        InputError: the named file is missing or wrong, or the release has no such files.
        StxbError: they cannot be fetched.
    """
    file = request.openstack or configs[0].parent / _OPENSTACK
    if request.openstack is None and not file.is_file():
        return ReleaseFiles()
    places = parse_openstack_config(read_whole(file, _OPENSTACK), str(file))
    place = places.of(request.stream, python2=request.python2)
    if not place:
        raise InputError(f"{file} names no constraints for the stream {request.stream}")
    return ReleaseFiles(
        constraints=_read(place, CONSTRAINTS, file, request), requirements=_read(place, REQUIREMENTS, file, request)
    )


def _read(place: str, name: str, file: Path, request: WheelsRequest) -> str:
    if place.startswith(("http://", "https://")):
        downloader = Downloader(proxies=request.host.proxies, retry=request.retry, ca_bundle=request.ca_bundle)
        data, url = downloader.read(f"{place.rstrip('/')}/{name}")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{url} is not UTF-8 text") from error
    # The replaced script takes a folder relative to the file, whatever slashes it begins with.
    path = unquote(urlsplit(place).path) if place.startswith("file:") else place
    beside = file.parent / path.lstrip("/") / name
    return read_whole(beside if beside.is_file() else Path(path, name), name)


def pack(planned: WheelsPlan, groups: Iterable[Sequence[Path]], release: ReleaseFiles) -> Packed:
    """Write the tarball, and the folder that shows what is in it.

    Args:
        planned: where they go.
        groups: the wheels, one group an origin; of two of one name the later counts.
        release: the constraints to begin with.

    Raises:
        StxbError: a wheel cannot be read, or no space is left.
    """
    assert planned.tarball is not None  # noqa: S101 # the caller's to know
    places: dict[str, Path] = {}
    notes: list[str] = []
    for group in groups:
        for path in group:
            earlier = places.get(path.name)
            if earlier is not None and earlier.read_bytes() != path.read_bytes():
                notes.append(f"{path.name} is there twice, and differs: {path} is taken, not {earlier}")
            places[path.name] = path
    files = [places[name] for name in sorted(places)]
    versions = [wheel_version(path) for path in files]
    notes += [
        f"{name} is there {len(names)} times: {', '.join(names)}" for name, names in _repeated(files, versions).items()
    ]
    texts = {CONSTRAINTS: updated_constraints(release.constraints, versions).encode()}
    if release.requirements is not None:
        texts[REQUIREMENTS] = release.requirements.encode()
    _show(planned.contents, files, texts)
    with written_beside(planned.tarball) as stream:
        digest = write_tarball(stream, files, texts)
    log.info("wheels.tarball.written", file=str(planned.tarball), sha256=digest)
    return Packed(sha256=digest, notes=tuple(notes))


def wheel_version(wheel: Path) -> WheelVersion:
    """Give name and version of a wheel.

    Raises:
        BuildError: it is no sound wheel.
    """
    built, name = examine_named(wheel)
    return WheelVersion(name=name, version=built.version)


def _repeated(files: Sequence[Path], versions: Sequence[WheelVersion]) -> dict[NormalizedName, list[str]]:
    names: dict[NormalizedName, list[str]] = {}
    for path, version in zip(files, versions, strict=True):
        names.setdefault(version.key, []).append(path.name)
    return {name: found for name, found in sorted(names.items()) if len(found) > 1}


def _show(folder: Path, files: Iterable[Path], texts: Mapping[str, bytes]) -> None:
    """Make the folder that holds what is in the tarball; files that are elsewhere on the same disk take no room."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in files:
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copyfile(path, folder / path.name)
    for name, data in texts.items():
        (folder / name).write_bytes(data)
