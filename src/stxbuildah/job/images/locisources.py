# SPDX-License-Identifier: Apache-2.0
"""What a LOCI image is made of besides its base: wheels, recipes, and sources that are cloned on this machine."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import attrs

from stxbuildah import recipes
from stxbuildah.engine.git import Git, without_secret
from stxbuildah.errors import InputError
from stxbuildah.job.images.work import ImageWork, WheelsTarball
from stxbuildah.job.textfile import read_whole
from stxbuildah.model.imagebuild import INFRA, LociBuild

BINDEP, PYDEP, CONSOLES = "bindep.txt", "pydep.txt", "consoles.json"
NOVA = "nova"
NOVNC, SPICE = "/usr/share/novnc", "/usr/share/spice-html5"


def loci_build(work: ImageWork) -> LociBuild:
    """Give what the directives say; they must be of BUILDER=loci."""
    build = work.image.directives.build
    assert isinstance(build, LociBuild)  # noqa: S101 # the caller's to know
    return build


def wheels_of(work: ImageWork) -> WheelsTarball:
    """Give the wheels for the image's Python.

    Raises:
        InputError: the run has none.
    """
    material = work.material
    found = material.wheels if loci_build(work).python3 else material.wheels_python2 or material.wheels
    if found is None:
        raise InputError(f"{work.image.label} is built with a tarball of wheels", hint="name it with --wheels")
    return found


def recipe_file(work: ImageWork, name: str) -> Path:
    """Give the list of packages to choose from: the user's own, else the one that is shipped.

    Args:
        work: what is built.
        name: ``BINDEP`` or ``PYDEP``.
    """
    own = work.request.material.bindep if name == BINDEP else work.request.material.pydep
    return own or recipes.recipe("containers", "loci", name)


def recipe_text(work: ImageWork, name: str) -> str:
    """Give the content of ``recipe_file``.

    Raises:
        InputError: it cannot be read.
    """
    return read_whole(recipe_file(work, name), "list of packages")


def sources(work: ImageWork) -> dict[str, str]:
    """Give the commit of each source that the image is made of now, by what the source is called.

    Raises:
        StxbError: a repository cannot be asked.
    """
    git = _git(work)
    found = {}
    if (source := _project(work)) is not None:
        found["source"] = git.commit_of(*source)
    for target, (url, ref) in _consoles(work).items():
        found[target.rpartition("/")[2]] = git.commit_of(url, ref)
    return found


def check_out_project(work: ImageWork, target: Path) -> Path | None:
    """Clone the project.

    Args:
        work: what is built.
        target: folder to make.

    Returns:
        That folder; None for the project ``infra``, which has no source.

    Raises:
        StxbError: it cannot be cloned.
    """
    source = _project(work)
    if source is None:
        return None
    url, ref = source
    work.tell(f"cloning {without_secret(url)}")
    _git(work).checkout(url, ref, target)
    return target


def check_out_consoles(work: ImageWork, folder: Path) -> dict[str, Path]:
    """Clone the pages of nova's consoles, which no distribution has without much else.

    Args:
        work: what is built.
        folder: existing folder.

    Returns:
        Folders by their paths in the image; none for other projects.

    Raises:
        StxbError: one cannot be cloned.
    """
    return _check_out_pages(work, _consoles(work), folder)


def _check_out_pages(work: ImageWork, consoles: Mapping[str, tuple[str, str]], folder: Path) -> dict[str, Path]:
    found = {}
    for target, (url, ref) in consoles.items():
        work.tell(f"cloning {without_secret(url)}")
        found[target] = folder / target.rpartition("/")[2]
        _git(work).checkout(url, ref, found[target])
    if NOVNC in found and not (page := found[NOVNC] / "vnc_auto.html").exists():
        # Nova's addresses still have the name that the page had before noVNC 1.0.
        page.symlink_to("vnc_lite.html")
    return found


def _git(work: ImageWork) -> Git:
    request, seconds = work.request, work.seconds_left
    git = Git(runner=work.engine.runner, proxies=request.host.proxies, ca_bundle=request.material.build_ca_bundle)
    return git if seconds is None else attrs.evolve(git, timeout=seconds)


def _project(work: ImageWork) -> tuple[str, str] | None:
    """Give the project's repository and what to take of it; None for the project ``infra``."""
    directives, build = work.image.directives, loci_build(work)
    if directives.project == INFRA:
        return None
    if not build.mirror_local:
        return build.project_repo, build.project_ref
    folder = (directives.file.parent / build.project_repo.removeprefix("file://")).absolute()
    # Of a local one its HEAD is built, whatever PROJECT_REF says.
    return f"file://{quote(str(folder))}", ""


def _consoles(work: ImageWork) -> dict[str, tuple[str, str]]:
    """Give repository and ref of nova's consoles, by where they go in the image; none for other projects."""
    if work.image.directives.project != NOVA:
        return {}
    build = loci_build(work)
    shipped = json.loads(recipes.recipe("containers", "loci", CONSOLES).read_text(encoding="utf-8"))
    novnc, spice = shipped["novnc"], shipped["spice-html5"]
    return {
        NOVNC: (novnc["repository"], novnc["ref"]),
        SPICE: (build.spice_repo or spice["repository"], build.spice_ref or spice["ref"]),
    }
