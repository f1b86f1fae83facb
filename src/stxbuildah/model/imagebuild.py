# SPDX-License-Identifier: Apache-2.0
"""What an image directives file says, and which of them a run builds."""

from enum import Enum
from pathlib import Path

import attrs

from stxbuildah.errors import Problem

REMOVED_PYTHON_PACKAGES = ("pip",)
REMOVED_OS_PACKAGES = ("python3-pip", "python-pip-whl")
DEFAULT_ID = 42424
DEFAULT_REF = "master"
INFRA = "infra"


class Builder(Enum):
    """How an image is built: the values of BUILDER."""

    DOCKER = "docker"
    LOCI = "loci"
    SCRIPT = "script"


@attrs.frozen(kw_only=True)
class Checkout:
    """A git repository at a commit, with patches on top.

    Attributes:
        url: the repository.
        ref: branch, tag or commit; empty for the repository's HEAD.
        patches: patch files, applied in this order.
    """

    url: str
    ref: str = ""
    patches: tuple[Path, ...] = ()


@attrs.frozen(kw_only=True)
class DockerBuild:
    """What BUILDER=docker builds.

    Attributes:
        checkout: DOCKER_REPO, DOCKER_REF and DOCKER_PATCHES; the Containerfile is in it. None for a folder.
        context: DOCKER_CONTEXT; None when there is a checkout.
        containerfile: DOCKER_FILE; None when there is a checkout.
    """

    checkout: Checkout | None = None
    context: Path | None = None
    containerfile: Path | None = None


@attrs.frozen(kw_only=True)
class LociBuild:
    """What BUILDER=loci builds; each attribute is the key of that name in lower case.

    Attributes:
        project_repo: a git repository, or a local folder when ``mirror_local``; empty for the project ``infra``.
        project_ref: branch, tag or commit; empty when the file does not say.
        python3: false when PYTHON3 is ``no``, which means Python 2.
        dist_repos: apt lists switched on for the build, or off where a dash stands before the name.
        spice_repo: empty for LOCI's own.
    """

    project_repo: str = ""
    project_ref: str = ""
    project_uid: int = DEFAULT_ID
    project_gid: int = DEFAULT_ID
    pip_packages: tuple[str, ...] = ()
    upgrade_pip_packages: tuple[str, ...] = ()
    dist_packages: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    python3: bool = True
    mirror_local: bool = False
    dist_repos: tuple[str, ...] = ()
    non_unique_system_account: bool = False
    update_system_account: bool = False
    spice_repo: str = ""
    spice_ref: str = ""


@attrs.frozen(kw_only=True)
class ScriptBuild:
    """What BUILDER=script runs: ``COMMAND SCRIPT ARGS IMAGE`` in a checkout.

    Attributes:
        checkout: SOURCE_REPO, SOURCE_REF and SOURCE_PATCHES.
        command: COMMAND, which is ``bash``.
        script: SCRIPT, beside the directives file.
        arguments: ARGS, split at blanks.
    """

    checkout: Checkout
    command: str = "bash"
    script: Path
    arguments: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class PostBuild:
    """What is done in the image after it was built.

    Attributes:
        customization: CUSTOMIZATION, a command for bash, byte for byte; may be empty.
        remove_python_packages: POSTBUILD_REMOVE_PYTHON_PACKAGES; ``pip`` when it is not set.
        remove_os_packages: POSTBUILD_REMOVE_OS_PACKAGES; pip's packages when it is not set.
        command: POSTBUILD_COMMAND, byte for byte; may be empty.
    """

    customization: str = ""
    remove_python_packages: tuple[str, ...] = REMOVED_PYTHON_PACKAGES
    remove_os_packages: tuple[str, ...] = REMOVED_OS_PACKAGES
    command: str = ""

    @property
    def runs_commands(self) -> bool:
        """Whether commands of the directives are run, which may take long."""
        return bool(self.customization or self.command)


@attrs.frozen(kw_only=True)
class ImageDirectives:
    """An image directives file without a mistake.

    Attributes:
        file: the file.
        builder: BUILDER.
        label: LABEL, the image's name.
        project: PROJECT; may be empty.
        build: what the builder needs.
        post_build: what follows.
        update_version: IMAGE_UPDATE_VER, the last number of the tag.
    """

    file: Path
    builder: Builder
    label: str
    project: str = ""
    build: DockerBuild | LociBuild | ScriptBuild
    post_build: PostBuild = PostBuild()
    update_version: int = 0


@attrs.frozen(kw_only=True)
class ReadDirectives:
    """An image directives file as it was read, with whatever is wrong in it.

    Attributes:
        file: the file.
        keys: the keys that it sets, in the file's order, each with the value that bash would assign.
        directives: what it says; None when there is a mistake.
        problems: every mistake, by line and column.
    """

    file: Path
    keys: tuple[tuple[str, str], ...] = ()
    directives: ImageDirectives | None = None
    problems: tuple[Problem, ...] = ()

    def key(self, name: str) -> str:
        """Give the value of a key; empty when it is not set."""
        return dict(self.keys).get(name, "")


@attrs.frozen(kw_only=True)
class SelectionRequest:
    """Which images a run is to build.

    Attributes:
        roots: folders that are searched for repositories.
        os: operating system, as ``debian``; empty for this machine's.
        codename: its release, as ``trixie``; empty for this machine's.
        stream: build stream, as ``stable``.
        only: labels or projects that alone are built; empty for all.
        skip: labels or projects that are not built.
    """

    roots: tuple[Path, ...]
    os: str = ""
    codename: str = ""
    stream: str = "stable"
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class SelectedImage:
    """An image that was found, and whether it is built.

    Attributes:
        label: its LABEL.
        project: its PROJECT; may be empty.
        builder: its BUILDER.
        file: its directives file.
        listed: the list that names its folder, and the line, as ``FILE:LINE``.
        left_out: why it is not built; empty when it is.
    """

    label: str
    project: str
    builder: Builder
    file: Path
    listed: str
    left_out: str = ""


@attrs.frozen(kw_only=True)
class ImageSelection:
    """All images that were found, by label, and all that is wrong with the files."""

    images: tuple[SelectedImage, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def built(self) -> tuple[SelectedImage, ...]:
        """The images that are built."""
        return tuple(image for image in self.images if not image.left_out)
