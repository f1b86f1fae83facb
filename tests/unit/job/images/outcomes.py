# SPDX-License-Identifier: Apache-2.0
"""Plans and outcomes of a made-up product, for tests of what tells of them."""

from pathlib import Path
from typing import Any

import attrs

from stxbuildah.model.imagebuild import Builder, DockerBuild, ImageDirectives
from stxbuildah.model.imagesrun import BuiltLayer, ImageNames, ImageOutcome, ImagesPlan, ImageState, PlannedImage
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference

OS_LABELS = ("debian-trixie-amd64", "debian")
STREAM = "stable"


def planned(label: str, *, version: str = "1.0", parents: tuple[str, ...] = ()) -> PlannedImage:
    """Give an image of the plan, with the names that it has by two labels of the system."""
    name = ImageReference.parse(f"registry.example:5000/starlingx/{label}")
    return PlannedImage(
        directives=ImageDirectives(
            file=Path(f"repository/{label}.stable_docker_image"), builder=Builder.DOCKER, label=label,
            build=DockerBuild(),
        ),
        names=ImageNames(
            build=ImageReference.parse(f"localhost/starlingx/{label}:{OS_LABELS[0]}-{STREAM}-build"),
            versioned=tuple(name.with_tag(f"{os_label}-{STREAM}-{version}.0") for os_label in OS_LABELS),
            latest=tuple(name.with_tag(f"{os_label}-{STREAM}-latest") for os_label in OS_LABELS),
        ),
        parents=parents,
    )  # fmt: skip


def product(folder: Path, *images: PlannedImage, **changes: Any) -> ImagesPlan:
    """Give the plan of a run of all images of a product."""
    plan = ImagesPlan(images=images, records=folder, stream=STREAM, os_labels=OS_LABELS)
    return attrs.evolve(plan, **changes)


def built(image: PlannedImage, *, pushed: bool = False, digest: str = "sha256:" + "a" * 64) -> ImageOutcome:
    """Give what comes of an image that can be built."""
    targets = (*image.names.versioned, *image.names.latest)
    return ImageOutcome(
        label=image.label,
        builder=image.directives.builder.value,
        file=image.directives.file,
        state=ImageState.BUILT,
        reason="it is not in the local store",
        reference=image.names.build,
        digest=digest,
        targets=targets,
        pushed=tuple((name, digest) for name in targets) if pushed else (),
        base="registry.example:5000/starlingx/stx-debian:trixie",
        base_digest="sha256:" + "b" * 64,
        inputs=(("base", "sha256:" + "b" * 64), ("directives", "sha256:" + "c" * 64)),
        layers=(
            BuiltLayer(digest="sha256:" + "d" * 64, size=48_000_000, created_by="stxb base"),
            BuiltLayer(digest="sha256:" + "e" * 64, size=1_234_567, created_by=f"stxb images {image.label}"),
        ),
        packages=PackageLists(python=("pip==25.0", "six==1.17.0"), deb=("base-files 13.8 amd64",)),
        started=1.25,
        seconds=(("installing distribution packages", 12.5), ("storing the image", 1.75)),
    )


def failed(image: PlannedImage, *tail: str) -> ImageOutcome:
    """Give what comes of an image that cannot be built."""
    return attrs.evolve(
        built(image, digest=""),
        state=ImageState.FAILED,
        reason=f"{image.label}: installing distribution packages failed: apt-get ended with exit status 100",
        hint="look for the name of the package that is missing",
        tail=tail or ("E: Unable to locate package libnothing",),
        layers=(),
        packages=PackageLists(),
        exit_code=1,
    )
