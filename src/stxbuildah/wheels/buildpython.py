# SPDX-License-Identifier: Apache-2.0
"""The Python of the builder image, and build requirements as folders that it can import from."""

import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import NormalizedName, canonicalize_name

from stxbuildah import log
from stxbuildah.engine.podman import PodmanService
from stxbuildah.errors import BuildError
from stxbuildah.model.container import ContainerJob, Mount
from stxbuildah.model.inventory import Distribution, MetadataFormat
from stxbuildah.wheels.dependencies import TargetPython, download_requirements
from stxbuildah.wheels.index import PackageIndex
from stxbuildah.wheels.keyed import KeyedFolders
from stxbuildah.wheels.room import check_room

INSIDE = Path(__file__).with_name("inside")
_FACTS, _FACTS_PROGRAM = "facts.json", "facts.py"
_LARGEST_FACTS = 16 * 2**20
_OUT, _PROGRAMS, _WHEELS = "/build/out", "/build/programs", "/build/wheels"
_TIMEOUT = 600.0


@attrs.frozen(kw_only=True)
class BuildPython:
    """The Python of a builder image.

    Attributes:
        target: what it can use.
        installed: what the image has for it.
        compiler_flags: what it gives a C compiler.
    """

    target: TargetPython
    installed: tuple[Distribution, ...]
    compiler_flags: str = ""


def known_python(service: PodmanService, image: str, kept: KeyedFolders) -> BuildPython:
    """Do as ``examine_python``, once for each image.

    Args:
        service: runs the container.
        image: the builder image.
        kept: where the answers are kept, under the images' ids.

    Raises:
        BuildError: as ``examine_python``.
    """
    parts = (service.image_id(image).encode(), (INSIDE / _FACTS_PROGRAM).read_bytes())
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()
    with kept.held(key) as slot:
        if not slot.is_there:
            (slot.draft / _FACTS).write_bytes(examine_python(service, image))
            slot.keep()
        return parse_facts((slot.folder / _FACTS).read_bytes(), image)


def examine_python(service: PodmanService, image: str) -> bytes:
    """Ask the Python of a builder image what it is.

    Returns:
        What it says, as ``parse_facts`` reads it.

    Raises:
        BuildError: the image has no ``python3`` that can tell, or no container can be made of it.
    """
    with tempfile.TemporaryDirectory(prefix="stxb-facts-") as folder:
        ended = service.run(
            ContainerJob(
                image=image,
                command=("python3", f"{_PROGRAMS}/{_FACTS_PROGRAM}", _OUT),
                mounts=(Mount(source=INSIDE, target=_PROGRAMS), Mount(source=Path(folder), target=_OUT, writable=True)),
                environment={"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
                working_folder="/",
                timeout=_TIMEOUT,
            )
        )
        file = Path(folder, _FACTS)
        readable = file.is_file() and not file.is_symlink() and file.stat().st_size <= _LARGEST_FACTS
        if ended.status != 0 or not readable:
            raise BuildError(
                f"the builder image {image} has no Python that wheels can be built with",
                hint="it needs python3 with setuptools and pip",
                details=ended.tail,
            )
        data = file.read_bytes()
    parse_facts(data, image)
    return data


def parse_facts(data: bytes, image: str) -> BuildPython:
    """Read what the Python of an image says of itself.

    Raises:
        BuildError: it makes no sense.
    """
    try:
        facts = json.loads(data)
        tags: list[Tag] = [tag for text in facts["tags"] for tag in parse_tag(text)]
        version = str(facts["version"])
        markers = {str(name): str(value) for name, value in facts["markers"].items()}
        installed = tuple(_distribution(one) for one in facts["installed"])
        shown, compiler_flags = str(facts["shown"]), str(facts["compiler_flags"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(
            f"the Python of the builder image {image} tells nothing sensible of itself: {error!r}"
        ) from error

    def fits(requires_python: str) -> bool:
        try:
            return SpecifierSet(requires_python).contains(version, prereleases=True)
        except InvalidSpecifier:
            return False

    target = TargetPython(shown=shown, markers=markers, supported=lambda _: tags, fits=fits)
    return BuildPython(target=target, installed=installed, compiler_flags=compiler_flags)


def _distribution(told: Mapping[str, object]) -> Distribution:
    requires = told["requires"]
    if not isinstance(requires, list):
        raise TypeError("requires")
    return Distribution(
        name=canonicalize_name(str(told["name"])),
        display_name=str(told["name"]),
        version=str(told["version"]),
        location="",
        metadata_path="",
        format=MetadataFormat.DIST_INFO,
        requires=tuple(map(str, requires)),
    )


@attrs.define(kw_only=True)
class RequirementFolders:
    """Build requirements, installed into folders that are kept and shared.

    Attributes:
        service: runs the containers that install them.
        image: the builder image.
        python: its Python.
        index: where wheels come from; asked by one thread at a time.
        pins: versions that they must have.
        kept: where the folders are kept.
    """

    service: PodmanService
    image: str
    python: BuildPython
    index: PackageIndex
    pins: Mapping[NormalizedName, SpecifierSet]
    kept: KeyedFolders
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _known: dict[frozenset[str], Path | None] = attrs.field(factory=dict, init=False)

    def provide(self, requires: Iterable[Requirement], parent: str) -> Path | None:
        """Give a folder that holds what the image lacks of some requirements; None when it lacks nothing.

        Raises:
            StxbError: they contradict each other, there is no wheel of one, or the index cannot be reached.
        """
        wanted = tuple(requires)
        key = frozenset(map(str, wanted))
        with self._lock:
            if key not in self._known:
                self._known[key] = self._made(wanted, parent)
            return self._known[key]

    def _made(self, wanted: tuple[Requirement, ...], parent: str) -> Path | None:
        files = download_requirements(
            wanted, parent, self.python.installed, self.python.target, self.index, constraints=self.pins
        )
        if not files:
            return None
        digest = hashlib.sha256(self.image.encode())
        for file in files:
            digest.update(b"\0" + file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        with self.kept.held(digest.hexdigest()) as slot:
            if not slot.is_there:
                self._install(files, slot.draft)
                slot.keep()
            return slot.folder

    def _install(self, files: tuple[Path, ...], folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="stxb-requires-") as wheels:
            for file in files:
                shutil.copyfile(file, Path(wheels, file.name))
            ended = self.service.run(
                ContainerJob(
                    image=self.image,
                    command=(
                        "python3", "-m", "pip", "install", "--no-index", "--no-deps", "--no-cache-dir", "--compile",
                        "--root-user-action=ignore", "--disable-pip-version-check", "--target", _OUT,
                        *(f"{_WHEELS}/{file.name}" for file in files),
                    ),
                    mounts=(
                        Mount(source=Path(wheels), target=_WHEELS),
                        Mount(source=folder, target=_OUT, writable=True),
                    ),
                    environment={"HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},  # noqa: S108 # of the container
                    working_folder="/",
                    timeout=_TIMEOUT,
                ),
                lambda line: check_room(line, folder),
            )  # fmt: skip
        if ended.status != 0:
            names = ", ".join(file.name for file in files)
            raise BuildError(f"the build requirements {names} cannot be installed", details=ended.tail)
        log.info("wheels.requirements.installed", wheels=[file.name for file in files], folder=str(folder))
