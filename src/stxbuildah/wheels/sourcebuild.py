# SPDX-License-Identifier: Apache-2.0
"""One source of a wheels.cfg to a wheel, in a container that sees this source and one folder for the wheel alone."""

import errno
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from packaging.requirements import Requirement

from stxbuildah import log
from stxbuildah.engine.podman import PodmanService
from stxbuildah.errors import BuildError, DiskFullError
from stxbuildah.model.container import ContainerJob, Ended, Mount
from stxbuildah.model.settings import Proxies
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import WheelLimits
from stxbuildah.wheels.benches import Benches, BenchJob
from stxbuildah.wheels.buildneeds import BuildNeeds, parse_need, read_needs
from stxbuildah.wheels.buildpython import INSIDE, RequirementFolders
from stxbuildah.wheels.inside.backend import MISSING
from stxbuildah.wheels.material import LaidOut
from stxbuildah.wheels.room import MAKE_ROOM, NO_SPACE, check_room

# The same paths for every build: compilers write them into what they make.
_SOURCE, _OUT, _PROGRAMS, _REQUIRES = "/build/source", "/build/out", "/build/programs", "/build/requires"
_CERTIFICATES = "/build/ca-certificates.crt"
_ASKED = "requires.json"
_LARGEST_ASKED = 64 << 10
_MOST_ASKED = 100
# What a back end asks for may ask for more: PEP 517 knows one round, hooks of hooks a few.
_ROUNDS = 3
# The oldest time a zip file can tell (1980-01-01).
_OLDEST_EPOCH = 315532800
_LARGEST_LOG = 64 * 2**20
_VERSION_VARIABLES = ("PBR_VERSION", "SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION")
# One stream for both outputs: podman reads two pipes, and could put a traceback before what it is about. The limit of
# memory is set here and not by podman: the OCI runtime, which wants a gigabyte of address space, would fall under it.
_START = 'ulimit -v "$1" && shift && exec "$@" 2>&1'
# Nobody who installs a wheel reads debugging information, and to make it takes a good part of a compiler's time.
_WITHOUT_DEBUGGING = "-g0"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Variables of every build.
_SETTLED = {
    "HOME": "/tmp",  # noqa: S108 # of the container
    "LC_ALL": "C.UTF-8",
    "PATH": _PATH,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}

_HINTS: tuple[tuple[str, str], ...] = (
    (r"memoryerror|cannot allocate memory|virtual memory exhausted", "it had too little memory: --build-memory"),
    (r"name resolution|could not resolve|network is unreachable", "it wants the network: --build-network"),
    (r"no module named 'distutils|requires? fix_setup|invalid command 'bdist_wheel'", "try the word fix_setup"),
    (r"fatal error: [\w./+-]+\.h: no such file", "the builder image lacks a -dev package: name another by --builder"),
    (NO_SPACE.pattern, "its /tmp was full, which is in memory, or else where containers are"),
)


@attrs.frozen(kw_only=True)
class Workshop:
    """What builds are done with.

    Attributes:
        service: runs containers.
        image: the builder image.
        requirements: provides what builds need; None for Python 2, which builds with what the image has.
        limits: what one build may take.
        proxies: for builds that may reach the network.
        ca_bundle: certificates for those; None for the image's.
        turns: how many builds run at a time; others are made ready meanwhile.
        benches: containers that builds may share one after the other; None for one of its own for each.
    """

    service: PodmanService
    image: str
    requirements: RequirementFolders | None
    limits: WheelLimits
    proxies: Proxies = attrs.field(factory=Proxies)
    ca_bundle: Path | None = None
    turns: threading.Semaphore = attrs.field(factory=threading.Semaphore)
    benches: Benches | None = None


def shared_benches(service: PodmanService, image: str, work: Path) -> Benches:
    """Give containers for builds that need nothing but what all builds have.

    Args:
        service: runs them.
        image: the builder image.
        work: existing folder, on the file system of all sources that are laid out.
    """
    names = (Path(_SOURCE).name, Path(_OUT).name)
    return Benches(
        service=service, image=image, environment=_SETTLED, top=str(Path(_SOURCE).parent), names=names, work=work
    )


def build_source(source: WheelSource, laid_out: LaidOut, workshop: Workshop, out: Path, log_file: Path) -> Path:
    """Build a wheel.

    Args:
        source: the line that asks for it.
        laid_out: its source, which the build may write to.
        workshop: what it is built with.
        out: existing, empty folder for the wheel.
        log_file: where everything that the build writes is kept.

    Returns:
        The wheel, in ``out``; it is not yet looked into.

    Raises:
        BuildError: the build failed, took too long, or gave no wheel; the last lines it wrote are the details.
        DiskFullError: it failed, or could not be followed, because no space is left.
        StxbError: what it needs cannot be had.
    """
    needs = read_needs(laid_out.top / laid_out.inner)
    if workshop.requirements is None:
        return _built_for_python2(source, laid_out, workshop, out, log_file)
    requires = needs.requires
    rounds = 0
    while True:
        rounds += 1
        folder = workshop.requirements.provide(requires, f"the build of {source.wheel}")
        with _logged(log_file, laid_out.top) as write:
            ended = _built(source, laid_out, needs, workshop, write, out=out, requires=folder)
        if ended.status != MISSING or rounds == _ROUNDS:
            break
        asked = _asked_for(out / _ASKED)
        log.info("wheels.build.asked", wheel=source.wheel, requires=[str(one) for one in asked])
        requires = (*requires, *asked)
    if ended.status != 0:
        raise _error(ended, workshop)
    return _only_wheel(out)


def _built_for_python2(source: WheelSource, laid_out: LaidOut, workshop: Workshop, out: Path, log_file: Path) -> Path:
    """Build a wheel as all of them were built before PEP 517."""
    program = ("python2", "setup.py", "bdist_wheel", "--dist-dir", _OUT)
    with _logged(log_file, laid_out.top) as write:
        job = _container(source, laid_out, workshop, program, out=out, requires=None)
        ended = workshop.service.run(job, write, workshop.turns)
    if ended.status != 0:
        raise _error(ended, workshop)
    return _only_wheel(out)


def _built(
    source: WheelSource, laid_out: LaidOut, needs: BuildNeeds, workshop: Workshop, write: Callable[[str], None],
    *, out: Path, requires: Path | None,
) -> Ended:  # fmt: skip
    """Build in a container that others have used before, or in one of its own when that cannot do."""
    request = {
        "backend": needs.backend, "path": list(needs.backend_path), "out": _OUT,
        "asked": f"{_OUT}/{_ASKED}" if needs.asks else "",
    }  # fmt: skip
    if workshop.benches is not None and requires is None and not workshop.limits.network:
        job = BenchJob(
            folders={Path(_SOURCE).name: laid_out.top, Path(_OUT).name: out},
            request=request,
            environment=_environment(source, laid_out, workshop, requires),
            working_folder=str(Path(_SOURCE, laid_out.inner)),
            memory=workshop.limits.memory,
            timeout=workshop.limits.timeout,
        )
        with workshop.turns:
            ended = workshop.benches.run(job, write)
        if ended is not None:
            return ended
    program = ("python3", "-B", f"{_PROGRAMS}/backend.py", json.dumps(request))
    container = _container(source, laid_out, workshop, program, out=out, requires=requires)
    return workshop.service.run(container, write, workshop.turns)


def _container(
    source: WheelSource,
    laid_out: LaidOut,
    workshop: Workshop,
    program: tuple[str, ...],
    *,
    out: Path,
    requires: Path | None,
) -> ContainerJob:
    mounts = [
        Mount(source=laid_out.top, target=_SOURCE, writable=True),
        Mount(source=out, target=_OUT, writable=True),
        Mount(source=INSIDE, target=_PROGRAMS),
    ]
    if requires is not None:
        mounts.append(Mount(source=requires, target=_REQUIRES))
    if workshop.limits.network and workshop.ca_bundle is not None:
        mounts.append(Mount(source=workshop.ca_bundle.absolute(), target=_CERTIFICATES))
    memory = str(workshop.limits.memory >> 10) if workshop.limits.memory else "unlimited"
    return ContainerJob(
        image=workshop.image,
        command=("sh", "-c", _START, "sh", memory, *program),
        mounts=tuple(mounts),
        environment=_environment(source, laid_out, workshop, requires),
        network="host" if workshop.limits.network else "none",
        working_folder=str(Path(_SOURCE, laid_out.inner)),
        timeout=workshop.limits.timeout,
    )


def _environment(source: WheelSource, laid_out: LaidOut, workshop: Workshop, requires: Path | None) -> dict[str, str]:
    flags = workshop.requirements.python.compiler_flags if workshop.requirements is not None else ""
    environment = {
        **_SETTLED,
        "SOURCE_DATE_EPOCH": str(max(laid_out.epoch, _OLDEST_EPOCH)),
        # Whatever these say stands in place of Python's own flags, so those come along.
        **dict.fromkeys(("CFLAGS", "CXXFLAGS"), f"{flags} {_WITHOUT_DEBUGGING}".strip()),
    }
    if requires is not None:
        environment |= {"PYTHONPATH": _REQUIRES, "PATH": f"{_REQUIRES}/bin:{_PATH}"}
    if workshop.limits.network:
        environment |= workshop.proxies.variables_in_both_cases
        if workshop.ca_bundle is not None:
            names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
            environment |= dict.fromkeys(names, _CERTIFICATES)
    if not source.has_wildcard and source.kind is not SourceKind.GIT and not _knows_version(laid_out):
        # Back ends that take the version from git have no history here: pbr; setuptools-scm and its like; PDM.
        version = source.wheel.split("-")[1]
        environment |= dict.fromkeys(_VERSION_VARIABLES, version)
    return environment


def _knows_version(laid_out: LaidOut) -> bool:
    """Tell whether a source is an sdist, whose PKG-INFO names the version."""
    return (laid_out.top / laid_out.inner / "PKG-INFO").is_file()


@contextmanager
def _logged(file: Path, folder: Path) -> Iterator[Callable[[str], None]]:
    """Open a build's log, and give what appends a line to it, up to a size that no sensible build reaches.

    Args:
        file: the log.
        folder: where the build writes.

    Raises:
        DiskFullError: no space is left for the log, or the build says so of its folder, and it is true.
    """
    try:
        # Line by line: whoever watches a build sees what it does.
        with file.open("a", encoding="utf-8", buffering=1) as stream:

            def write(line: str) -> None:
                if stream.tell() < _LARGEST_LOG:
                    stream.write(line[:_LARGEST_ASKED] + "\n")
                check_room(line, folder)

            yield write
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(f"no space is left for {file}", hint=MAKE_ROOM) from error
        raise


def _asked_for(file: Path) -> tuple[Requirement, ...]:
    """Read what the back end asks for; the build was free to write anything there."""
    if not file.is_file() or file.is_symlink() or file.stat().st_size > _LARGEST_ASKED:
        raise BuildError("the build ended as if it lacked something, and did not say what")
    try:
        lines = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BuildError(f"what the build asks for cannot be read: {error}") from error
    file.unlink()
    if not isinstance(lines, list) or len(lines) > _MOST_ASKED or not all(isinstance(line, str) for line in lines):
        raise BuildError("what the build asks for is no list of requirements")
    return tuple(map(parse_need, lines))


def _only_wheel(folder: Path) -> Path:
    # The build was free to write here: anything but one plain file is refused, a link above all.
    found = [path for path in folder.iterdir() if path.suffix == ".whl" and path.is_file() and not path.is_symlink()]
    if len(found) != 1:
        raise BuildError(f"the build gave {len(found)} wheels where it gives one")
    return found[0]


def _error(ended: Ended, workshop: Workshop) -> BuildError:
    if ended.timed_out:
        return BuildError(
            f"the build did not end within {workshop.limits.timeout:g} seconds", hint="raise --build-timeout",
            details=ended.tail,
        )  # fmt: skip
    text = "\n".join(ended.tail)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, text, re.IGNORECASE)), "")
    what = "asks for more each time" if ended.status == MISSING else f"failed with exit status {ended.status}"
    return BuildError(f"the build {what}", hint=hint, details=ended.tail)
