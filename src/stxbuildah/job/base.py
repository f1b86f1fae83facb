# SPDX-License-Identifier: Apache-2.0
"""``stxb base``: a base image from nothing but the distribution's packages."""

import platform
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah import __version__, log
from stxbuildah.directive.baseconfig import BaseConfig, default_config_name, parse_base_config
from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.engine.debootstrap import Bootstrap, find_keyring, make_tar, signed_by
from stxbuildah.errors import InputError
from stxbuildah.job.engine import Engine, opened_engine
from stxbuildah.job.gather import read_text
from stxbuildah.job.room import opened_room
from stxbuildah.job.workspace import work_folder
from stxbuildah.layer.append import append_layer, empty_image, rfc3339
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.osrelease import parse_os_release
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.tararchive import opened_tar
from stxbuildah.model.base import BasePlan, BaseRecipe, BaseRequest, BaseResult, BaseSystem
from stxbuildah.model.layer import LayerBlob
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import stored_names
from stxbuildah.plan.base import plan_base
from stxbuildah.recipes import recipe

Say = Callable[[str], None]

# The kernel's name of a machine, Debian's name of its architecture, and what images call it: name and variant.
_ARCHITECTURES = (
    ("x86_64", "amd64", "amd64", ""),
    ("aarch64", "arm64", "arm64", "v8"),
    ("armv7l", "armhf", "arm", "v7"),
    ("i686", "i386", "386", ""),
    ("ppc64le", "ppc64el", "ppc64le", ""),
    ("riscv64", "riscv64", "riscv64", ""),
    ("s390x", "s390x", "s390x", ""),
)
_NAME = re.compile(r"[a-z0-9][a-z0-9.]*")
_OS_RELEASE = Path("/etc/os-release")


def plan(request: BaseRequest) -> BasePlan:
    """Gather what is needed and make the plan; nothing is changed.

    Raises:
        InputError: an option, the configuration file or the recipe is not what is needed.
    """
    return _planned(request)[1]


def run(request: BaseRequest, say: Say) -> BaseResult:
    """Make a base image.

    Args:
        request: what to make.
        say: told what is being done, a sentence at a time.

    Raises:
        StxbError: it could not be made; images of the same names are as they were, unless they were replaced whole.
    """
    request, planned, how = _planned(request)
    keyring = find_keyring(how.keyring_files, how.keyring_package)
    signed = tuple(signed_by(line, keyring) for line in planned.sources)
    with (
        opened_engine(request.host, request.access, request.retry) as engine,
        work_folder(engine.folders, keep=request.keep) as folder,
    ):
        return _Making(request, attrs.evolve(planned, sources=signed), engine, folder, say).make()


def _planned(request: BaseRequest) -> tuple[BaseRequest, BasePlan, BaseRecipe]:
    request = attrs.evolve(request, system=complete_system(request.system))
    request = with_config(request, read_config(request))
    how = find_recipe(request.system)
    return request, plan_base(request, how), how


def complete_system(system: BaseSystem) -> BaseSystem:
    """Fill in what was not named by what this machine is.

    Raises:
        InputError: this machine does not say, or is another system than the one that was named.
    """
    try:
        values = parse_os_release(_OS_RELEASE.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        values = {}
    host, codename = values.get("ID", "").lower(), values.get("VERSION_CODENAME", "").lower()
    name = system.os or host
    codename = system.codename or (codename if name == host else "")
    if not name or not codename:
        raise InputError(
            f"the release of {name or 'the operating system'} is not known",
            hint="name the operating system with --os and its release with --os-codename, as debian and trixie",
        )
    machine = platform.machine()
    own = next((debian for kernel, debian, _, _ in _ARCHITECTURES if kernel == machine), "")
    arch = system.arch or own
    if arch not in {debian for _, debian, _, _ in _ARCHITECTURES}:
        known = ", ".join(debian for _, debian, _, _ in _ARCHITECTURES)
        raise InputError(f"the architecture {arch or machine} is not known", hint=f"--os-arch is one of {known}")
    return attrs.evolve(system, os=name, codename=codename, arch=arch)


def read_config(request: BaseRequest) -> BaseConfig:
    """Read the configuration file that was named, else the default one if it is there.

    Raises:
        InputError: the file cannot be read or holds mistakes.
    """
    path = request.config_file
    if path is None:
        system = request.system
        path = request.config_folder / default_config_name(system.os, system.codename, request.naming.stream)
        if not path.is_file():
            return BaseConfig()
        log.info("base.config.found", file=str(path))
    return parse_base_config(read_text(path, "configuration file"), str(path))


def with_config(request: BaseRequest, config: BaseConfig) -> BaseRequest:
    """Give the request with what a configuration file adds; the command line wins, and repositories are added up."""
    naming, content = request.naming, request.content
    return attrs.evolve(
        request,
        naming=attrs.evolve(
            naming,
            version=naming.version or config.version,
            user=naming.user or config.user,
            registry=naming.registry or config.registry,
        ),
        content=attrs.evolve(content, repositories=(*content.repositories, *config.repositories)),
        proxy=request.proxy or config.proxy,
    )


def find_recipe(system: BaseSystem) -> BaseRecipe:
    """Read the shipped recipe of a system.

    Raises:
        InputError: there is none.
    """
    folder = recipe("containers", "base")
    name = f"{system.os}-{system.codename}"
    if not (_NAME.fullmatch(system.os) and _NAME.fullmatch(system.codename) and (folder / name).is_dir()):
        known = sorted(path.parent.name.replace("-", " ", 1) for path in folder.glob("*/recipe.toml"))
        rpm = system.os in {"centos", "rocky", "almalinux", "fedora"}
        raise InputError(
            f"no recipe makes a base image of {system.os} {system.codename}",
            hint=f"there are recipes of {', '.join(known)}"
            + ("; base images of yum and dnf systems, which start from a registry's image, are not made yet" * rpm),
        )
    return read_base_recipe(folder / name, folder / system.os)


@attrs.define
class _Making:
    """One base image in the making."""

    request: BaseRequest
    plan: BasePlan
    engine: Engine
    folder: Path
    say: Say
    seconds: list[tuple[str, float]] = attrs.field(factory=list)

    def make(self) -> BaseResult:
        request, plan = self.request, self.plan
        epoch = request.source_date_epoch
        timestamp = int(time.time()) if epoch is None else epoch
        with self._timed("install", f"installing {plan.system.os} {plan.system.codename} from its packages"):
            archive = self._install(timestamp)
        with self._timed("write layer", "writing the layer"):
            blob, paths = self._write_layer(archive, timestamp)
            source = self._write_image(blob, timestamp)
        with self._timed("store", f"storing {plan.references[0]}"):
            digest = self.engine.store.import_image(source, plan.references[0])
            for name in plan.references[1:]:
                self.engine.store.tag(plan.references[0], name)
        references = tuple(stored_names(name)[0] for name in plan.references)
        if request.push:
            with self._timed("push", f"pushing {', '.join(str(name.qualified) for name in plan.references)}"):
                digest = self._push(source)
            if request.clean:
                self._clean(references)
            references = tuple(name.qualified for name in plan.references)
        return BaseResult(
            references=references,
            digest=digest,
            pushed=request.push,
            layer=blob,
            paths=paths,
            seconds=tuple(self.seconds),
        )

    @contextmanager
    def _timed(self, step: str, sentence: str) -> Iterator[None]:
        self.say(sentence)
        start = time.monotonic()
        yield
        self.seconds.append((step, time.monotonic() - start))

    def _install(self, timestamp: int) -> Path:
        runner = self.engine.runner
        if self.request.proxy:
            proxies = {"http_proxy": self.request.proxy, "https_proxy": self.request.proxy}
            runner = attrs.evolve(runner, extra=(*runner.extra, *proxies.items()))
        plan = self.plan
        bootstrap = Bootstrap(
            suite=plan.system.codename,
            architecture=plan.system.arch,
            packages=plan.packages,
            sources=(*plan.sources, *plan.repositories),
            preferences=plan.preferences,
            timestamp=timestamp,
            attempts=self.request.retry.attempts,
        )
        runner = attrs.evolve(runner, secrets=(*runner.secrets, *plan.secrets))
        with opened_room(self.engine.runner, self.engine.folders) as room:
            return make_tar(runner, bootstrap, self.folder, room=room)

    def _write_layer(self, archive: Path, timestamp: int) -> tuple[LayerBlob, int]:
        with opened_tar(archive, leave_out=self.plan.leave_out, files=self.plan.files) as content:
            blob = write_layer(
                content, self.folder / "layer", timestamp=timestamp, compression=self.request.compression
            )
        archive.unlink()
        return blob, len(content.entries)

    def _write_image(self, blob: LayerBlob, timestamp: int) -> str:
        plan = self.plan
        platforms = {debian: (name, variant) for _, debian, name, variant in _ARCHITECTURES}
        architecture, variant = platforms[plan.system.arch]
        labels = {**dict(plan.labels), "org.opencontainers.image.created": rfc3339(timestamp)}
        documents = append_layer(
            empty_image(
                architecture=architecture,
                variant=variant,
                config={"Env": list(plan.environment), "Cmd": list(plan.command)},
            ),
            blob,
            timestamp=timestamp,
            created_by=f"stxb base --os {plan.system.os} --os-codename {plan.system.codename}",
            comment=f"stxbuildah {__version__}",
            labels=labels,
            annotations=labels,
        )
        return write_layout(self.folder / "image", documents, {blob.digest: self.folder / "layer"})

    def _push(self, source: str) -> str:
        digests = {self.engine.store.push(name, name.qualified, layout=source) for name in self.plan.references}
        return digests.pop()

    def _clean(self, names: tuple[ImageReference, ...]) -> None:
        for name in names[1:]:
            self.engine.store.untag(name)
        self.engine.store.remove(names[0])
