# SPDX-License-Identifier: Apache-2.0
"""One place where a repository lies, as registries.conf settles it."""

import attrs

from stxbuildah.model.reference import is_loopback
from stxbuildah.model.value import Value

# Docker's registry has one name in references, credentials and certificates, and another one in the DNS.
_DOCKER = "docker.io"
_DOCKER_HOST = "registry-1.docker.io"


@attrs.frozen(kw_only=True)
class Endpoint(Value):
    """One repository of one registry.

    Attributes:
        registry: host, and port where it is not 443, as the reference names it: ``docker.io`` for Docker's own.
        repository: path below it, as ``library/debian``.
        insecure: plain HTTP and unknown certificates are allowed.
        mirror: it is a mirror of what the user named.
    """

    registry: str
    repository: str
    insecure: bool = False
    mirror: bool = False

    @property
    def host(self) -> str:
        """Host and port that a connection is made to."""
        return _DOCKER_HOST if self.registry == _DOCKER else self.registry

    @property
    def loopback(self) -> bool:
        """Whether it is this machine itself: nobody stands between us and ourselves."""
        return is_loopback(self.registry)
