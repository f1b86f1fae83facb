# SPDX-License-Identifier: Apache-2.0
"""What the command ``docker`` of a script has to know; written by the run that starts the script."""

from typing import NamedTuple

_DOCKER = "docker.io/"


class Settings(NamedTuple):
    """How programs are run, and for whom.

    Attributes:
        isolation: buildah's isolation.
        runtime: OCI runtime; empty for the default.
        network: network of containers, as ``host``.
        timestamp: time of what is built, in seconds since the epoch.
        format: of images that are built, ``docker`` or ``oci``.
        cache: keep and use layers of builds before.
        mark: options by which builds are known.
        label: label by which containers are known, as ``key=value``.
        buildah: words behind ``buildah``.
        podman: words behind ``podman``.
        given: the name of the image that the script is to make.
        temporary: the name that it has in the store until it is finished.
        temporary_name: name, without a tag, of images that are removed at the end of the run.
        temporary_file: file that lists them.
        containers_file: made when a container is started.
        empty: an empty folder.
    """

    isolation: str
    runtime: str
    network: str
    timestamp: int
    format: str
    cache: bool
    mark: list[str]
    label: str
    buildah: list[str]
    podman: list[str]
    given: str
    temporary: str
    temporary_name: str
    temporary_file: str
    containers_file: str
    empty: str

    def mapped(self, word: str) -> str:
        """Give a word, or the image's temporary name where it is the name of the image that the script makes."""
        return self.temporary if _plain(word) == _plain(self.given) else word


def registry_of(name: str) -> str:
    """Give the registry's host and port of an image's name; empty when it names none (Docker's rule)."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def qualified(name: str) -> str:
    """Give the whole name of an image as Docker reads it."""
    if registry_of(name):
        return name
    return f"{_DOCKER}{name}" if "/" in name else f"{_DOCKER}library/{name}"


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine: Docker needs no certificate there (127.0.0.0/8, ::1, localhost)."""
    host = registry.rpartition(":")[0] or registry
    return host in {"localhost", "[::1]"} or host.startswith("127.")


def _plain(name: str) -> str:
    for prefix in ("localhost/", "docker.io/library/", _DOCKER):
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
