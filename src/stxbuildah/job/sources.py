# SPDX-License-Identifier: Apache-2.0
"""The inputs of an update on this machine: files as they are, URLs fetched, module sources built."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah import log
from stxbuildah.errors import HostError, InputError
from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.inventory import Inventory, PythonEnvironment
from stxbuildah.model.update import UpdateInputs, UpdateRequest
from stxbuildah.model.wheel import Wheel
from stxbuildah.plan.update import is_url

if TYPE_CHECKING:
    from stxbuildah.engine.download import Downloader
    from stxbuildah.engine.podman import PodmanService
    from stxbuildah.job.engine import Engine
    from stxbuildah.wheels.build import BuildSettings
    from stxbuildah.wheels.dependencies import TargetPython


_BUILDERS = ("containers", "wheel-builder")
_OTHERWISE = "trixie"


def read_wheels(files: Iterable[str]) -> list[Wheel]:
    """Read and check the wheels that are files already; the mistakes of all of them are told at once.

    Args:
        files: paths, and URLs, which are left for later.

    Raises:
        InputError: one of them is no sound wheel.
        ProblemsError: several mistakes.
    """
    wheels, errors = [], []
    for file in files:
        if is_url(file):
            continue
        try:
            wheels.append(read_wheel(Path(file)))
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputError(
            f"{len(errors)} wheels cannot be used", details=[line for e in errors for line in (e.message, *e.details)]
        )
    return wheels


@attrs.define(kw_only=True)
class Sources:
    """What an update installs, as it becomes known.

    Attributes:
        engine: programs and folders; None where no engine works, which only module sources need.
        request: what was asked.
        inputs: files, URLs and module sources.
        folder: work folder.
        say: told what is being done.
        wheels: wheels that are there, checked.
        packages: package files that are there.
        extra_files: extra files that are there.
    """

    engine: "Engine | None"
    request: UpdateRequest
    inputs: UpdateInputs
    folder: Path
    say: Callable[[str], None]
    wheels: list[Wheel] = attrs.field(factory=list)
    packages: list[Path] = attrs.field(init=False)
    extra_files: list[Path] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Take the inputs that are files already."""
        self.packages = [Path(file) for file in self.inputs.packages if not is_url(file)]
        self.extra_files = [Path(file) for file in self.inputs.extra_files if not is_url(file)]

    def download(self) -> None:
        """Fetch the inputs that are named by URL.

        Raises:
            RegistryError: a server is unreachable or failing.
            InputError: a file is not there, or is no wheel.
        """
        self.wheels += [read_wheel(path) for path in self._fetched(self.inputs.wheels)]
        self.packages += self._fetched(self.inputs.packages)
        self.extra_files += self._fetched(self.inputs.extra_files)

    def _downloader(self) -> "Downloader":
        from stxbuildah.engine.download import Downloader

        request = self.request
        return Downloader(proxies=request.host.proxies, retry=request.retry, ca_bundle=request.install.build_ca_bundle)

    def _fetched(self, files: tuple[str, ...]) -> list[Path]:
        urls = [file for file in files if is_url(file)]
        target = self.folder / "downloads"
        target.mkdir(exist_ok=True)
        return [self._downloader().fetch(url, target) for url in urls]

    def build_modules(self, inventory: Inventory) -> None:
        """Build a wheel of each module source, in ephemeral containers.

        Args:
            inventory: of the image to change; its system says which builder fits.

        Raises:
            StxbError: a source is wrong, or its build failed.
        """
        from stxbuildah.directive.modulesource import parse_module_source
        from stxbuildah.wheels.build import build_wheel

        if self.engine is None:
            raise HostError("module sources are built in a container, and no engine works here")
        with self._podman(self.engine) as service:
            builder, alike = self._builder(self.engine, service, inventory)
            for number, text in enumerate(self.inputs.module_sources):
                folder = self.folder / "modules" / str(number)
                folder.mkdir(parents=True)
                source = parse_module_source(text, Path.cwd())
                built = build_wheel(
                    source,
                    self._build_settings(builder),
                    service=service,
                    runner=self.engine.runner,
                    folder=folder,
                    on_line=self.say_line,
                )
                wheel = read_wheel(built.wheel)
                if not alike and any(tag.platform != "any" for tag in wheel.tags):
                    raise InputError(
                        f"the module {source.shown} holds compiled code, and {builder} is not of the image's system",
                        hint="name an image of that system with a compiler by --builder",
                    )
                self.say(f"built {built.wheel.name}")
                self.wheels.append(wheel)

    def say_line(self, line: str) -> None:
        """Pass on a line that a build wrote, for those who want to see everything."""
        log.debug("module.build.line", line=line)

    @staticmethod
    def _podman(engine: "Engine") -> "PodmanService":
        from stxbuildah.engine.podman import PodmanService

        return PodmanService(engine.runner, engine.choices, engine.folders.state)

    def _build_settings(self, builder: str) -> "BuildSettings":
        from stxbuildah.wheels.build import BuildSettings

        install = self.request.install
        return BuildSettings(
            builder=builder,
            network=self.request.host.network or "host",
            index_url=install.index_url,
            find_links=install.find_links,
            ca_bundle=install.build_ca_bundle,
            proxies=self.request.host.proxies,
            epoch=self.request.source_date_epoch,
        )

    def _builder(self, engine: "Engine", service: "PodmanService", inventory: Inventory) -> tuple[str, bool]:
        """Give the image to build in, and whether what is compiled there runs in the image to change.

        The image that was named, else one made for the image's system; for a system without a recipe another one,
        which does for modules without compiled code.
        """
        from stxbuildah import recipes
        from stxbuildah.wheels.builder import BuilderRecipe, ensure_builder

        if self.request.install.builder:
            return self.request.install.builder, True
        system = inventory.os_release
        try:
            folder = recipes.recipe(*_BUILDERS, f"{system.id}-{system.codename}")
            codename, alike = system.codename, True
        except InputError:
            folder, codename, alike = recipes.recipe(*_BUILDERS, f"debian-{_OTHERWISE}"), _OTHERWISE, False
        recipe = BuilderRecipe(folder=folder, codename=codename)
        self.say(f"build in {recipe.reference}")
        builder = ensure_builder(engine.runner, service, recipe, proxies=self.request.host.proxies)
        return builder, alike

    def fetch_requirements(self, inventory: Inventory) -> None:
        """Fetch the wheels of requirements that the image does not meet; what is there and fits stays.

        Args:
            inventory: of the image to change.

        Raises:
            StxbError: no set of wheels meets the requirements, or the index cannot be reached.
        """
        from stxbuildah.wheels.dependencies import download_dependencies
        from stxbuildah.wheels.index import DEFAULT_INDEX, PackageIndex

        environment = inventory.environment
        if environment is None:
            return
        folder = self.folder / "requirements"
        folder.mkdir()
        index = PackageIndex(
            downloader=self._downloader(),
            index_url=self.request.install.index_url or DEFAULT_INDEX,
            find_links=self.request.install.find_links,
            folder=folder,
        )
        found = download_dependencies(self.wheels, inventory.distributions, target_python(environment), index)
        for path in found:
            self.say(f"fetched {path.name}")
            self.wheels.append(read_wheel(path))


def target_python(environment: PythonEnvironment) -> "TargetPython":
    """Describe an image's Python to the resolver."""
    from stxbuildah.layer.compatibility import described, python_fits, supported_tags
    from stxbuildah.layer.requirements import marker_environment
    from stxbuildah.wheels.dependencies import TargetPython

    return TargetPython(
        shown=described(environment),
        markers=marker_environment(environment),
        supported=lambda tags: supported_tags(environment, tags),
        fits=lambda requires_python: python_fits(requires_python, environment.version),
    )
