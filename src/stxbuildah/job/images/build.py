# SPDX-License-Identifier: Apache-2.0
"""Building one image: by its builder, then what follows every build, and the image with its name."""

from stxbuildah.errors import InputError
from stxbuildah.job.image import layers_above
from stxbuildah.job.images import docker, postbuild, script
from stxbuildah.job.images.container import FinishedImage, ImageContainer
from stxbuildah.job.images.inputs import common_inputs, written_inputs
from stxbuildah.job.images.work import ImageWork, RawImage
from stxbuildah.layer.append import rfc3339
from stxbuildah.layer.updates import OCI_BASE_DIGEST, OCI_BASE_NAME
from stxbuildah.model.imagebuild import Builder
from stxbuildah.model.imagesrun import INPUTS_LABEL
from stxbuildah.model.stored import StoredImage

CREATED_BY = "stxb images "


def image_inputs(work: ImageWork) -> dict[str, str]:
    """Give the digest of each component that an image is made of.

    Raises:
        StxbError: a component is missing or cannot be read.
    """
    builder = work.image.directives.builder
    if builder is Builder.LOCI:
        from stxbuildah.job.images import loci

        return {**common_inputs(work), **loci.inputs(work)}
    own = script.inputs(work) if builder is Builder.SCRIPT else docker.inputs(work)
    return {**common_inputs(work), **own}


def build_image(work: ImageWork, inputs: dict[str, str]) -> FinishedImage:
    """Build an image and put it into the local store under its name; one of that name is replaced whole, or not at all.

    Args:
        work: what is built.
        inputs: as ``image_inputs`` gives them.

    Raises:
        Postponed: others of the run have to be built first.
        StxbError: it cannot be built.
    """
    directives = work.image.directives
    facts = {INPUTS_LABEL: written_inputs(inputs), "org.opencontainers.image.created": rfc3339(work.timestamp)}
    created_by = f"{CREATED_BY}{directives.label}"
    if directives.builder is Builder.LOCI:
        from stxbuildah.job.images import loci

        base = work.base
        facts |= {OCI_BASE_NAME: str(base.reference), OCI_BASE_DIGEST: base.digest}
        with ImageContainer.opened(work, base) as container:
            loci.provision(container)
            postbuild.post_build(container)
            return container.finish(work.image.names.build, labels=facts, created_by=created_by)
    # An image that has its labels from the start, and no layer to come, is there when it is built.
    raw = script.build_script(work) if directives.builder is Builder.SCRIPT else docker.build_docker(work, facts)
    if not directives.post_build.runs_commands:
        work.built()
    stored = _stored(work, raw)
    with ImageContainer.opened(work, stored, _below(work, stored)) as container:
        postbuild.post_build(container)
        return container.finish(work.image.names.build, labels=facts, created_by=created_by)


def _stored(work: ImageWork, raw: RawImage) -> StoredImage:
    found = work.engine.store.read(raw.reference)
    if found is None:
        raise InputError(f"{work.image.label}: the image that was built is not in the local store any more")
    return found


def _below(work: ImageWork, image: StoredImage) -> StoredImage | None:
    """Give the image of the run that an image stands on, with the fewest layers between them."""
    known = [*work.finished.values(), *([work.material.base] if work.material.base is not None else [])]
    standing = [below for below in known if layers_above(image, below)]
    return min(standing, key=lambda below: layers_above(image, below), default=None)
