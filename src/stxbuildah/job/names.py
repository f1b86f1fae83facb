# SPDX-License-Identifier: Apache-2.0
"""The names of an update: the image to change, the resulting one, and the places where they lie."""

import re

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.target import updated_reference
from stxbuildah.model.update import TargetOptions, UpdateDirectives, UpdateRequest
from stxbuildah.model.value import Value

_NO_NAME = re.compile(r"[^a-z0-9]+")
_ARCHIVE_ENDING = re.compile(r"(?:\.(?:tar|tgz|gz|zst|oci))+\Z")


@attrs.frozen(kw_only=True)
class UpdateNames(Value):
    """Which image an update changes, and what the result is called.

    Attributes:
        base: the image to change; of one in a file, the name that it has there.
        target: the resulting image.
        source: the layout or archive that holds the image to change; None for one of a registry or the local store.
        destination: the layout or archive that the result is written to; None for a registry and the local store.
    """

    base: ImageReference
    target: ImageReference
    source: ImageLocation | None = None
    destination: ImageLocation | None = None


def settle_names(request: UpdateRequest, directives: UpdateDirectives) -> UpdateNames:
    """Give FROM and the resulting image, and where they lie when that is neither a registry nor the local store.

    Args:
        request: its ``from_image`` and ``target`` win over the file's.
        directives: what the directives file says.

    Raises:
        InputError: FROM is given nowhere, is no image, or the result would overwrite it.
    """
    if not request.from_image and directives.from_image is None:
        raise InputError(
            "no image to change was named", hint="give it by --from IMAGE, or as FROM=IMAGE in the directives file"
        )
    location = ImageLocation.parse(request.from_image or str(directives.from_image))
    source = None if location.transport is Transport.REGISTRY else location
    base = reference_of(location)
    options = attrs.evolve(request.target, version=request.target.version or directives.version or "")
    if options.to:
        return _written_to(ImageLocation.parse(options.to), base, source, options)
    target = updated_reference(
        base,
        version=options.version,
        registry=options.registry,
        user=options.user,
        account=options.account,
        tag=options.tag,
    )
    if source is None:
        return UpdateNames(base=base, target=target)
    if request.push:
        if not options.registry:
            raise InputError(
                f"{source} lies in a file, so nobody knows where to push its update", hint="name the image by --to"
            )
        return UpdateNames(base=base, target=target, source=source)
    return UpdateNames(base=base, target=target, source=source, destination=_beside(source, target))


def reference_of(location: ImageLocation) -> ImageReference:
    """Give an image's name: its reference; in a layout or an archive what it is called there, else the file's name."""
    if location.reference is not None:
        return location.reference
    if ":" in location.tag or "/" in location.tag:
        return ImageReference.parse(location.tag)
    file = location.path.name.lower() if location.path else ""
    stem = _NO_NAME.sub("-", _ARCHIVE_ENDING.sub("", file)).strip("-")
    return ImageReference(stem or "image", location.tag or "latest")


def _written_to(
    to: ImageLocation, base: ImageReference, source: ImageLocation | None, options: TargetOptions
) -> UpdateNames:
    """Give the names when the user says where the result goes."""
    if options.registry or options.user:
        raise InputError("--to names the whole place of the result", hint="leave --registry and --user out")
    named = reference_of(to) if to.reference or to.tag else None
    if named is not None and named.tag and (options.tag or options.version):
        raise InputError(f"--to {to} names the result's tag", hint="leave --tag and --version out")
    if named is not None and named.digest:
        raise InputError(f"--to {to} has a digest, which is what writing an image gives", hint="leave it out")
    tag = named.tag if named is not None and named.tag else _next_tag(base, options)
    if to.transport is Transport.REGISTRY:
        target = attrs.evolve(reference_of(to), tag=tag)
        _refuse_overwriting(base, target, same_place=source is None)
        return UpdateNames(base=base, target=target, source=source)
    whole = named is not None and (to.reference is not None or "/" in to.tag or ":" in to.tag)
    target = attrs.evolve(named if whole and named is not None else base, tag=tag, digest="")
    destination = to
    if to.transport is Transport.DOCKER_ARCHIVE:
        destination = attrs.evolve(to, reference=target)
    elif not to.tag:
        destination = attrs.evolve(to, tag=tag)
    same_place = source is None or (source.path, source.transport) == (to.path, to.transport)
    _refuse_overwriting(base, target, same_place=same_place)
    return UpdateNames(base=base, target=target, source=source, destination=destination)


def _next_tag(base: ImageReference, options: TargetOptions) -> str:
    return updated_reference(base, version=options.version, tag=options.tag).tag


def _refuse_overwriting(base: ImageReference, target: ImageReference, *, same_place: bool) -> None:
    if same_place and attrs.evolve(base, digest="").qualified == target.qualified and (base.tag or not base.digest):
        raise InputError(
            f"the updated image would be {target}, which is the image to update, and would overwrite it",
            hint="give another name or tag to --to",
        )


def _beside(source: ImageLocation, target: ImageReference) -> ImageLocation:
    """Give the place of a result beside the image it was made from."""
    if source.transport is not Transport.OCI:
        raise InputError(
            f"{source} is an archive, which is written once and holds what it holds",
            hint="name another file by --to, as --to oci-archive:updated.tar",
        )
    whole = "/" in source.tag or ":" in source.tag
    return attrs.evolve(source, tag=str(target) if whole else target.tag)
