# SPDX-License-Identifier: Apache-2.0
"""Image references: parsed once, then a value."""

import re
from typing import Self

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.value import Value

# The grammar of github.com/distribution/reference, which podman, buildah and skopeo use.
_HOST_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_TAG_ONLY = re.compile(_TAG)
_MAXIMUM_NAME = 255


@attrs.frozen
class ImageReference(Value):
    """The name of an image in a registry or in the local store.

    Attributes:
        name: repository with its registry, as the user wrote it; ``stx-nova`` stays ``stx-nova``.
        tag: the tag, or empty.
        digest: the digest, as ``sha256:...``, or empty.
    """

    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference.

        Args:
            text: ``[registry[:port]/]path[:tag][@digest]``, after the distribution project's reference grammar; a
                leading ``docker://`` is accepted.

        Raises:
            InputError: the text is no image reference.
        """
        match = _REFERENCE.fullmatch(text.removeprefix("docker://"))
        if match is None:
            raise InputError(
                f"{text!r} is not an image reference",
                hint="write it as registry.example:5000/path/name:tag; repository names are lower case",
            )
        if len(match["name"]) > _MAXIMUM_NAME:
            raise InputError(f"the repository name {match['name'][:40]}... is longer than {_MAXIMUM_NAME} characters")
        return cls(match["name"], match["tag"] or "", match["digest"] or "")

    @property
    def registry(self) -> str:
        """The registry's host and port, or empty when the name does not begin with one."""
        first, slash, _ = self.name.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
            return first
        return ""

    @property
    def label(self) -> str:
        """The last part of the repository's path."""
        return self.name.rpartition("/")[2]

    @property
    def qualified(self) -> Self:
        """The same image with the registry and tag that Docker and podman read into a short reference."""
        name = self.name
        if not self.registry:
            name = f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"
        tag = self.tag if self.tag or self.digest else "latest"
        return attrs.evolve(self, name=name, tag=tag)

    def with_tag(self, tag: str) -> Self:
        """Give the same repository with another tag and no digest.

        Raises:
            InputError: the tag is not one a registry accepts.
        """
        if _TAG_ONLY.fullmatch(tag) is None:
            raise InputError(
                f"{tag!r} is not a tag", hint="a tag has up to 128 letters, digits, dots, dashes and underscores"
            )
        return attrs.evolve(self, tag=tag, digest="")

    def with_digest(self, digest: str) -> Self:
        """Give the same repository by digest alone."""
        return attrs.evolve(self, tag="", digest=digest)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def is_loopback(registry: str) -> bool:
    """Tell whether a host, with or without a port, is this machine itself by its very name."""
    import ipaddress

    host = re.sub(r":[0-9]+$", "", registry)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
