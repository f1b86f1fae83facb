# SPDX-License-Identifier: Apache-2.0
"""Settings that several commands share, as values."""

from pathlib import Path

import attrs

from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class Storage(Value):
    """Where images and containers are kept; an empty field leaves the choice to the user's own configuration.

    Attributes:
        driver: storage driver, as ``overlay`` or ``vfs``.
        root: folder of images and layers (``--root``).
        runroot: folder of run-time state (``--runroot``).
    """

    driver: str = ""
    root: str = ""
    runroot: str = ""


@attrs.frozen(kw_only=True)
class Proxies(Value):
    """Proxies for downloads, never part of an image.

    Attributes:
        http: value of ``http_proxy``.
        https: value of ``https_proxy``.
        no: value of ``no_proxy``.
    """

    http: str = ""
    https: str = ""
    no: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """The proxies that are set, by the name of their variable in lower case."""
        named = {"http_proxy": self.http, "https_proxy": self.https, "no_proxy": self.no}
        return {name: value for name, value in named.items() if value}

    @property
    def variables_in_both_cases(self) -> dict[str, str]:
        """The same under both spellings, since programs differ in which they read."""
        return {spelling: value for name, value in self.variables.items() for spelling in (name, name.upper())}


@attrs.frozen(kw_only=True)
class Retry(Value):
    """How often a transient fault is tried again.

    Attributes:
        attempts: how often in all, at least 1.
        delay: seconds before the next attempt, unless the registry names a time itself.
    """

    attempts: int = 1
    delay: float = 30.0


@attrs.frozen(kw_only=True)
class RegistryAccess(Value):
    """How registries are reached.

    Attributes:
        authfile: credentials file; None for podman's own places.
        creds: ``user:password`` given on the command line; a secret, never shown.
        cert_dir: folder of ``*.crt``, ``*.cert`` and ``*.key`` files; None for certs.d.
        tls_verify: False to allow plain HTTP and unknown certificates for the registry at hand; None for
            what registries.conf says.
        timeout: seconds without a byte after which a registry is taken for dead, where this program speaks to it
            itself.
    """

    authfile: Path | None = None
    creds: str = attrs.field(default="", repr=False)
    cert_dir: Path | None = None
    tls_verify: bool | None = None
    timeout: float = 60.0


@attrs.frozen(kw_only=True)
class HostChoices(Value):
    """How programs are run on this machine, as the user set it or the probe found it.

    Attributes:
        storage: where images are kept.
        isolation: buildah's isolation: ``oci``, ``rootless`` or ``chroot``.
        runtime: OCI runtime's name or path; empty for the program's default.
        runtime_path: where that runtime's program is; empty when it is not certain, and for chroot isolation.
        network: network mode of containers, as ``host``.
        environment: variables that buildah, podman and skopeo are given on top of the allow-list
            (as CONTAINERS_CONF, CONTAINERS_STORAGE_CONF), as sorted pairs.
        reasons: one sentence for each choice, in the order they were made.
    """

    storage: Storage = attrs.field(factory=Storage)
    isolation: str = "chroot"
    runtime: str = ""
    runtime_path: str = ""
    network: str = "host"
    environment: tuple[tuple[str, str], ...] = ()
    reasons: tuple[str, ...] = ()
