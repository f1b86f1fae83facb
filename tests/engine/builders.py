# SPDX-License-Identifier: Apache-2.0
"""The builder image of the engine tests: made once as the program makes it, and kept in the user's cache."""

import os
import shutil
import tempfile
from pathlib import Path

from stxbuildah.engine.podman import PodmanService
from stxbuildah.engine.process import Runner
from stxbuildah.job.workspace import locked
from stxbuildah.recipes import recipe
from stxbuildah.wheels.builder import BuilderRecipe, ensure_builder

CODENAME = "trixie"
# A network that signs TLS anew is known to this machine, not to the containers of a build.
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def builder_recipe() -> BuilderRecipe:
    """Give the recipe; the mirror is the distribution's own unless STXB_TEST_MIRROR names another."""
    folder = recipe("containers", "wheel-builder", f"debian-{CODENAME}")
    return BuilderRecipe(folder=folder, codename=CODENAME, mirror=os.environ.get("STXB_TEST_MIRROR", ""))


def provide_builder(runner: Runner, service: PodmanService) -> str:
    """Give the builder image in a store, from the cache when it was made before."""
    made = builder_recipe()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stxbuildah-tests"
    layout = cache / f"builder-{made.reference.rpartition(':')[2]}.dir"
    # Tests run in several processes: one makes it, the others wait.
    with locked(layout.with_suffix(".lock")):
        return _provided(runner, service, made, layout)


def _provided(runner: Runner, service: PodmanService, made: BuilderRecipe, layout: Path) -> str:
    if (layout / "manifest.json").is_file():
        runner.run(["skopeo", "copy", "--quiet", f"dir:{layout}", f"containers-storage:{made.reference}"])
        return made.reference
    reference = ensure_builder(runner, service, made)
    copy = Path(tempfile.mkdtemp(prefix=layout.name, dir=layout.parent))
    try:
        runner.run(["skopeo", "copy", "--quiet", f"containers-storage:{reference}", f"dir:{copy}"])
        copy.rename(layout)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return reference
