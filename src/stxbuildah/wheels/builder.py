# SPDX-License-Identifier: Apache-2.0
"""The image that wheels are built in.

Made once for each release of a distribution, from nothing but its mirror, and kept in the local store under a name
that tells its recipe's digest: a changed recipe is another image.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import classify, to_error
from stxbuildah.engine.podman import PodmanService
from stxbuildah.engine.process import ProcessError, Runner
from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.settings import Proxies

REPOSITORY = "localhost/stxb-wheel-builder"
CONTAINERFILE = "Containerfile"
# On top of the image of CONTAINERFILE: what the wheels of a whole list want besides.
LIST_CONTAINERFILE = "Containerfile.wheels"
# What the base of a builder needs besides apt itself, to fetch packages from a mirror that speaks TLS.
_BASE_PACKAGES = "ca-certificates"


@attrs.frozen(kw_only=True)
class BuilderRecipe:
    """How a builder image is made.

    Attributes:
        folder: holds the Containerfile, which takes its base as build argument BASE.
        codename: the distribution's release, as mmdebstrap knows it.
        base: image to build on; empty for one bootstrapped by mmdebstrap.
        mirror: package mirror for mmdebstrap, a URL or a sources.list line; empty for its default.
        containerfile: name of the Containerfile in the folder.
    """

    folder: Path
    codename: str
    base: str = ""
    mirror: str = ""
    containerfile: str = CONTAINERFILE

    @property
    def reference(self) -> str:
        """The name of the image that this recipe gives.

        Raises:
            InputError: there is no such recipe.
        """
        try:
            text = (self.folder / self.containerfile).read_bytes()
        except OSError as error:
            raise InputError(
                f"{self.folder / self.containerfile} cannot be read: {error.strerror}",
                hint="name a ready image by --builder",
            ) from error
        digest = hashlib.sha256(b"\0".join((text, self.base.encode(), self.mirror.encode())))
        kind = self.containerfile.removeprefix(CONTAINERFILE).replace(".", "-")
        return f"{REPOSITORY}:{self.codename}{kind}-{digest.hexdigest()[:12]}"


def ensure_builder(
    runner: Runner,
    service: PodmanService,
    recipe: BuilderRecipe,
    *,
    proxies: Proxies | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Give the builder image of a recipe; make it when the store lacks it, which takes about a minute.

    Two programs that make it at once make the same image; the second name replaces the first.

    Args:
        runner: runs mmdebstrap, podman and buildah on the store.
        service: podman on the same store.
        recipe: how it is made.
        proxies: for the package mirror.
        on_line: called with what the programs write.

    Returns:
        The image's name in the local store.

    Raises:
        InputError: there is no such recipe.
        BuildError: the image cannot be made.
        HostError: a program is missing.
    """
    reference = recipe.reference
    if service.has_image(reference):
        return reference
    log.info("builder.image.started", image=reference, base=recipe.base or f"mmdebstrap {recipe.codename}")
    loud = attrs.evolve(runner, on_line=on_line or runner.on_line)
    variables = proxies.variables if proxies else {}
    try:
        base = recipe.base or _bootstrap(loud, recipe, variables)
        _build(loud, recipe, base, reference, variables)
    except ProcessError as error:
        completed = error.completed
        fault = classify(completed.tail, completed.returncode)
        told = to_error(fault, f"making the builder image for {recipe.codename}")
        raise BuildError(
            told.message,
            hint=told.hint or "name a ready image by --builder",
            details=completed.tail,
        ) from error
    log.info("builder.image.made", image=reference)
    return reference


def ensure_list_builder(
    runner: Runner,
    service: PodmanService,
    recipe: BuilderRecipe,
    *,
    proxies: Proxies | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Give the image that the wheels of a whole list are built in; make it when the store lacks it.

    It stands on the image of ``recipe``, and has compilers' headers and libraries for what such lists hold.

    Args:
        runner: runs mmdebstrap, podman and buildah on the store.
        service: podman on the same store.
        recipe: how the image below it is made.
        proxies: for the package mirror.
        on_line: called with what the programs write.

    Returns:
        The image's name in the local store.

    Raises:
        StxbError: as ``ensure_builder``.
    """
    upper = list_recipe(recipe)
    if not service.has_image(upper.reference):
        ensure_builder(runner, service, recipe, proxies=proxies, on_line=on_line)
    return ensure_builder(runner, service, upper, proxies=proxies, on_line=on_line)


def list_recipe(recipe: BuilderRecipe) -> BuilderRecipe:
    """Give the recipe of the image for whole lists, by the recipe of the one that it stands on.

    Raises:
        InputError: there is no such recipe.
    """
    return attrs.evolve(recipe, base=recipe.reference, mirror="", containerfile=LIST_CONTAINERFILE)


def _bootstrap(runner: Runner, recipe: BuilderRecipe, variables: dict[str, str]) -> str:
    """Give the id of an image that holds the release's smallest system with apt."""
    with tempfile.TemporaryDirectory(prefix="stxb-builder-") as folder:
        tar = Path(folder, "base.tar")
        argv = ["mmdebstrap", "--variant=apt", "--format=tar", f"--include={_BASE_PACKAGES}", recipe.codename, str(tar)]
        runner.run([*argv, *([recipe.mirror] if recipe.mirror else [])], extra=variables)
        return runner.run(["podman", "import", "--quiet", str(tar)]).stdout.decode("ascii").strip()


def _build(runner: Runner, recipe: BuilderRecipe, base: str, reference: str, variables: dict[str, str]) -> None:
    # Predefined build arguments: they reach RUN and leave no trace in the image or its history.
    arguments = {"BASE": base.removeprefix("sha256:"), **variables}
    runner.run(
        [
            "buildah",
            "build",
            "--isolation=chroot",
            "--pull=missing",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            f"--label=stxbuildah.builder={recipe.codename}",
            f"--tag={reference}",
            f"--file={recipe.folder / recipe.containerfile}",
            str(recipe.folder),
        ],
        stream_stdout=True,
    )
