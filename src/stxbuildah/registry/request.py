# SPDX-License-Identifier: Apache-2.0
"""A request to a registry as a value, and where a redirect takes it."""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

import attrs

from stxbuildah.engine.download import shown
from stxbuildah.engine.faults import FaultKind
from stxbuildah.model.value import Value
from stxbuildah.registry.certificates import Trust
from stxbuildah.registry.fault import RegistryFault

Content = Callable[[], Iterable[bytes]]

_PORTS = {"http": 80, "https": 443}


@attrs.frozen(kw_only=True)
class Request(Value):
    """One request.

    Attributes:
        method: its method.
        url: absolute URL.
        registry: host and port of the registry it is for, as messages name it.
        trust: how that host's certificate is checked.
        headers: without Authorization.
        authorization: value of that header, sent to the URL's own host and never with a redirect elsewhere; or empty.
        content: gives the body's pieces; None for no body.
        length: bytes of the body; None to send it chunked.
        plain: whether a redirect may lead to plain HTTP.
    """

    method: str
    url: str
    registry: str
    trust: Trust
    headers: Mapping[str, str] = attrs.field(factory=dict)
    authorization: str = attrs.field(default="", repr=False)
    content: Content | None = None
    length: int | None = None
    plain: bool = False


def origin(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port of a URL: what credentials are for.

    Raises:
        ValueError: it is no http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"no http or https URL: {shown(url)}")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def redirected(request: Request, target: str) -> Request:
    """Give the request that follows a redirect; credentials and a client's certificate stay with their own host.

    Raises:
        RegistryFault: it leads to no http or https URL, or away from TLS.
    """
    try:
        here, there = origin(request.url), origin(target)
    except ValueError as error:
        raise RegistryFault(FaultKind.OTHER, text=f"a redirect to {error}", registry=request.registry) from error
    if here == there:
        return attrs.evolve(request, url=target)
    if there[0] == "http" and here[0] == "https" and not request.plain:
        raise RegistryFault(
            FaultKind.OTHER,
            text=f"a redirect from https to {shown(target)}, which is not followed",
            registry=request.registry,
        )
    return attrs.evolve(request, url=target, registry=host_of(target), authorization="", trust=request.trust.elsewhere)


def host_of(url: str) -> str:
    """Give host and port of a URL, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]
