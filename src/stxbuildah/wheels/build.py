# SPDX-License-Identifier: Apache-2.0
"""A module's source to a wheel, in a container that lives as long as the build.

Any PEP 517 back end, run by ``pip wheel``. What a build may see is a copy of the source, the builder image and, if it
is let, a package index; what it may write is the copy and one folder for the wheel.
"""

import re
from collections.abc import Callable
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.git import Git, secrets_of
from stxbuildah.engine.podman import PodmanService
from stxbuildah.engine.process import Runner, redact
from stxbuildah.errors import BuildError
from stxbuildah.model.container import ContainerJob, Ended, Mount
from stxbuildah.model.module import BuiltModule, ModuleSource
from stxbuildah.model.settings import Proxies
from stxbuildah.wheels.metadata import examine, with_version
from stxbuildah.wheels.source import PreparedSource, prepare

# The same paths for every build: compilers write them into what they make.
_SOURCE = "/build/source"
_WHEELS = "/build/wheels"
_CERTIFICATES = "/build/ca-certificates.crt"
_LINKS = "/build/links"
# The oldest time a zip file can tell (1980-01-01); wheel, flit and hatchling refuse or lift anything older.
_OLDEST_EPOCH = 315532800

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"versioning for this project requires|unable to detect version|cannot determine version|no git tags",
        "the project takes its version from git, and there is no history: give a version, as DIR|1.2.3",
    ),
    (
        r"no module named pip|can't open file .*pip",
        "the builder image has no pip; leave --builder out for an image of ours",
    ),
    (r"certificate verify failed|certificate_verify_failed", "name the CA's file by --build-ca-bundle"),
    (
        r"newconnectionerror|name resolution|no matching distribution found|connection (?:refused|broken|timed out)",
        "the build's own requirements come from a package index: check --index-url, --network and the proxies",
    ),
    (
        r"gcc.*(?:no such file|not found)|python\.h: no such file",
        "the builder image lacks a compiler or Python's headers",
    ),
    (r"memoryerror|cannot allocate memory|virtual memory exhausted", "the build was given too little memory"),
    (r"no space left on device", "make room where containers and TMPDIR are"),
)


@attrs.frozen(kw_only=True)
class BuildSettings:
    """How modules are built.

    Attributes:
        builder: image to build in; it must be in the store.
        network: ``host``: each build gets the requirements it asks for from a package index; ``none``: it must
            do with what the builder image has.
        index_url: package index; empty for pip's default. May hold user and password.
        find_links: folders or pages with further wheels of build requirements.
        ca_bundle: certificates for the index, given to the container for the time of the run; None for its own.
        proxies: for the index.
        memory: bytes of address space for each process of a build; 0 for no limit.
        timeout: seconds that one build may take.
        epoch: SOURCE_DATE_EPOCH of the build; None for the time of the source's newest change.
        labels: labels of the container, as pairs.
    """

    builder: str
    network: str = "host"
    index_url: str = ""
    find_links: tuple[str, ...] = ()
    ca_bundle: Path | None = None
    proxies: Proxies = attrs.field(factory=Proxies)
    memory: int = 16 * 2**30
    timeout: float = 3600.0
    epoch: int | None = None
    labels: tuple[tuple[str, str], ...] = ()


def build_wheel(
    source: ModuleSource,
    settings: BuildSettings,
    *,
    service: PodmanService,
    runner: Runner,
    folder: Path,
    on_line: Callable[[str], None] | None = None,
) -> BuiltModule:
    """Build the wheel of one module.

    Args:
        source: where its source is, and the version it is to report.
        settings: how it is built.
        service: runs the container.
        runner: runs git.
        folder: an existing, empty folder for the work; the wheel is left in it.
        on_line: called with each line the build writes.

    Returns:
        The wheel, and what it says of itself. With a version in ``source``, it is the version of the wheel: by the
        variables that back ends know, else written into the wheel's metadata.

    Raises:
        InputError: the source is missing, no Python project, or has no such ref.
        BuildError: the build failed, or gave no proper wheel.
        StxbError: the source cannot be fetched, or no container can be made.
    """
    git = Git(
        runner=attrs.evolve(runner, secrets=(*runner.secrets, *secrets_of(source.url))),
        proxies=settings.proxies,
        ca_bundle=settings.ca_bundle,
    )
    prepared = prepare(source, git, folder / "source")
    wheels = folder / "wheels"
    wheels.mkdir()
    log.info("module.build.started", source=source.shown, builder=settings.builder, commit=prepared.commit)
    secrets = _secrets(settings)
    ended = service.run(_job(source, prepared, settings, wheels), _redacting(on_line, secrets))
    if ended.status != 0:
        raise _build_error(source, ended, settings)
    built = attrs.evolve(examine(_only_wheel(wheels, source)), commit=prepared.commit)
    if source.version is not None and built.version != source.version:
        log.info("module.version.rewritten", wheel=built.wheel.name, version=str(source.version))
        wheel = with_version(built.wheel, source.version, folder)
        built = attrs.evolve(examine(wheel), commit=prepared.commit)
    log.info("module.built", source=source.shown, wheel=built.wheel.name)
    return built


def _job(source: ModuleSource, prepared: PreparedSource, settings: BuildSettings, wheels: Path) -> ContainerJob:
    inner = prepared.folder.relative_to(prepared.top)
    folders = [Path(link) for link in settings.find_links if "://" not in link]
    mounts = [
        Mount(source=prepared.top, target=_SOURCE, writable=True),
        Mount(source=wheels, target=_WHEELS, writable=True),
        *(Mount(source=folder.absolute(), target=f"{_LINKS}/{number}") for number, folder in enumerate(folders)),
    ]
    if settings.ca_bundle is not None:
        mounts.append(Mount(source=settings.ca_bundle.absolute(), target=_CERTIFICATES))
    links = [f"{_LINKS}/{number}" for number in range(len(folders))]
    links += [link for link in settings.find_links if "://" in link]
    # Without a network a build cannot have its requirements fetched: it gets what the image has.
    offline = ["--no-build-isolation", "--no-index"] if settings.network == "none" else []
    # One stream for both outputs: podman reads two pipes, and could put a traceback before what it is about.
    command = (
        "sh", "-c", 'exec "$@" 2>&1', "sh",
        "python3", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", _WHEELS, *offline,
        *(word for link in links for word in ("--find-links", link)), "--", str(Path(_SOURCE, inner)),
    )  # fmt: skip
    return ContainerJob(
        image=settings.builder,
        command=command,
        mounts=tuple(mounts),
        environment=_environment(source, prepared, settings),
        network=settings.network,
        working_folder="/",
        memory=settings.memory,
        timeout=settings.timeout,
        labels=settings.labels,
    )


def _environment(source: ModuleSource, prepared: PreparedSource, settings: BuildSettings) -> dict[str, str]:
    epoch = prepared.epoch if settings.epoch is None else settings.epoch
    environment = {
        "HOME": "/tmp",  # noqa: S108 # of the container
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(max(epoch, _OLDEST_EPOCH)),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COLOR": "1",
        "PIP_NO_INPUT": "1",
        "PIP_PREFER_BINARY": "1",
        "PIP_PROGRESS_BAR": "off",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    if settings.index_url:
        # Not an argument: it may hold a password.
        environment["PIP_INDEX_URL"] = settings.index_url
    if settings.ca_bundle is not None:
        named = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
        environment |= dict.fromkeys(named, _CERTIFICATES)
    environment |= settings.proxies.variables_in_both_cases
    if source.version is not None:
        # pbr; setuptools-scm, hatch-vcs and flit-scm; PDM.
        names = ("PBR_VERSION", "SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION")
        environment |= dict.fromkeys(names, str(source.version))
    return environment


def _only_wheel(folder: Path, source: ModuleSource) -> Path:
    # The build was free to write here: anything but one plain file is refused, a link above all.
    found = sorted(
        path for path in folder.iterdir() if path.suffix == ".whl" and path.is_file() and not path.is_symlink()
    )
    if len(found) != 1:
        raise BuildError(f"the build of {source.shown} gave {len(found)} wheels where it gives one")
    return found[0]


def _build_error(source: ModuleSource, ended: Ended, settings: BuildSettings) -> BuildError:
    details = [redact(line, _secrets(settings)) for line in ended.tail]
    if ended.timed_out:
        return BuildError(
            f"the build of {source.shown} did not end within {settings.timeout:g} seconds", details=details
        )
    text = "\n".join(details)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, text, re.IGNORECASE)), "")
    return BuildError(
        f"the build of {source.shown} failed in the image {settings.builder}, with exit status {ended.status}",
        hint=hint,
        details=details,
    )


def _redacting(on_line: Callable[[str], None] | None, secrets: tuple[str, ...]) -> Callable[[str], None]:
    if on_line is None:
        return lambda line: log.debug("module.build.line", line=redact(line, secrets))
    return lambda line: on_line(redact(line, secrets))


def _secrets(settings: BuildSettings) -> tuple[str, ...]:
    urls = (settings.index_url, settings.proxies.http, settings.proxies.https)
    return tuple(secret for url in urls for secret in secrets_of(url))
