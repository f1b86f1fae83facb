# SPDX-License-Identifier: Apache-2.0
"""Requests to registries, with all that is the same for each of them: where, as whom, how often.

What is asked for (OCI distribution specification, "Endpoints") is the client's concern. Imported by the lane that
speaks to registries alone, because of urllib3.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self
from urllib.parse import urljoin

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind
from stxbuildah.engine.process import Runner
from stxbuildah.engine.retry import pause
from stxbuildah.errors import InterruptedByUserError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.model.value import Value
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.fault import RegistryFault
from stxbuildah.registry.hosts import Hosts
from stxbuildah.registry.http import (
    CONNECT_TIMEOUT,
    Connections,
    ContentError,
    Response,
)
from stxbuildah.registry.registriesconf import Registries
from stxbuildah.registry.request import Content, Request, origin
from stxbuildah.registry.tokens import parse_challenges

__all__ = ["RegistryFault", "RegistrySession", "Response"]

# A job sends many small requests, and every one of them has to succeed; a user who asks for a single attempt of a push
# does not mean each of these.
_LEAST_ATTEMPTS = 3
_SHORT_DELAY = 0.5
_UNAUTHORIZED = 401
_READING = frozenset({"GET", "HEAD"})


@attrs.frozen(kw_only=True)
class _Exchange(Value):
    """A request as the client asked for it."""

    endpoint: Endpoint
    method: str
    path: str
    scopes: tuple[str, ...]
    headers: Mapping[str, str]
    content: Content | None
    length: int | None
    expect: frozenset[int]


class RegistrySession:
    """Speaks to registries as long as a job lasts. Safe for several threads.

    Args:
        access: what the user set, the seconds after which a silent registry is taken for dead among it; its password is
            for the registries that references name, and not for their mirrors.
        retry: how often a transient fault is tried again; three attempts in all are the least.
        proxies: for http and https.
        runner: runs credential helpers.
        environment: the variables that podman reads.
        connect_timeout: seconds to connect in.
    """

    def __init__(
        self,
        *,
        access: RegistryAccess,
        retry: Retry,
        proxies: Proxies,
        runner: Runner,
        environment: Mapping[str, str],
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self._attempts = max(_LEAST_ATTEMPTS, retry.attempts)
        self._retry = retry if retry.attempts > 1 else Retry(attempts=self._attempts, delay=_SHORT_DELAY)
        self._connections = Connections(
            proxies=proxies, environment=environment, connect_timeout=connect_timeout, read_timeout=access.timeout
        )
        self._hosts = Hosts(access=access, runner=runner, environment=environment, connections=self._connections)
        self._closed = threading.Event()

    def close(self) -> None:
        """Close the connections. What other threads do with them ends: transfers, pauses between two attempts."""
        self._closed.set()
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def attempts(self) -> int:
        """How often a request is tried in all, and a transfer that is gone on with after a break."""
        return self._attempts

    @property
    def registries(self) -> Registries:
        """What registries.conf says.

        Raises:
            InputError: it has mistakes.
        """
        return self._hosts.registries

    def endpoints(self, reference: ImageReference, *, pull: bool) -> tuple[Endpoint, ...]:
        """Give the places where an image is looked for, in order: mirrors and location to pull, itself to push.

        Raises:
            InputError: registries.conf has mistakes, or blocks the registry.
        """
        return tuple(self._hosts.settled(place) for place in self.registries.endpoints(reference, pull=pull))

    @contextmanager
    def request(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        *,
        scopes: tuple[str, ...] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Callable[[], Iterable[bytes]] | None = None,
        length: int | None = None,
        expect: frozenset[int],
        attempts: int | None = None,
    ) -> Iterator[Response]:
        """Send a request, again while it fails by a transient fault, and give the answer inside the block.

        Args:
            endpoint: where to.
            method: its method; GET and HEAD follow redirects.
            path: below ``/v2/``; or the registry's own Location: an absolute path or URL. Credentials go along to the
                registry's own host only.
            scopes: what a token must allow, as ``repository:a/b:pull``; when None that of reading the endpoint's
                repository, or of reading and writing it for other methods than GET and HEAD.
            headers: further ones.
            body: bytes, or what gives them in pieces; it is called anew for every attempt. What it raises comes out.
            length: bytes of a body in pieces; None to send it chunked.
            expect: the statuses that are right.
            attempts: how often in all; None for the session's.

        Raises:
            RegistryFault: another status, or no answer, in the last attempt.
            InputError: files of credentials or certificates are damaged.
            HostError: a credential helper failed.
            InterruptedByUserError: the session was closed in a pause.
        """
        rights = "pull" if method in _READING else "pull,push"
        exchange = _Exchange(
            endpoint=self._hosts.settled(endpoint),
            method=method,
            path=path,
            scopes=(f"repository:{endpoint.repository}:{rights}",) if scopes is None else scopes,
            headers=headers or {},
            content=(lambda: (body,)) if isinstance(body, bytes) else body,
            length=len(body) if isinstance(body, bytes) else length,
            expect=expect,
        )
        response = self._answered(exchange, self._attempts if attempts is None else attempts)
        try:
            yield response
        finally:
            response.close()

    def _answered(self, exchange: _Exchange, attempts: int) -> Response:
        failed = 0
        while True:
            try:
                return self._attempt(exchange)
            except ContentError as error:
                # Even a fault of another registry, which is read from meanwhile, is not this one's.
                raise error.cause from error.cause.__cause__
            except RegistryFault as fault:
                failed += 1
                if failed >= attempts or not fault.transient:
                    raise
                what = f"{exchange.method} {exchange.endpoint.registry}/{exchange.endpoint.repository}"
                self.pause(what, fault, failed=failed, attempts=attempts)

    def pause(self, what: str, fault: RegistryFault, *, failed: int, attempts: int) -> None:
        """Wait before the next attempt, and say so.

        Args:
            what: what is tried, for the log.
            fault: why it failed.
            failed: how many attempts have failed.
            attempts: how many there are in all.

        Raises:
            InterruptedByUserError: the session is closed, or was meanwhile.
        """
        if self._closed.is_set():
            # The fault is most likely that the connections were closed, of which nobody wants to read.
            raise InterruptedByUserError(f"{what} was stopped")
        seconds = pause(self._retry, failed, fault.fault)
        log.warning(
            "retry.scheduled",
            what=what,
            fault=fault.kind.value,
            line=fault.text,
            attempt=failed,
            attempts=attempts,
            seconds=round(seconds, 1),
        )
        if self._closed.wait(seconds):
            raise InterruptedByUserError(f"{what} was stopped between two attempts")

    def _attempt(self, exchange: _Exchange) -> Response:
        endpoint = exchange.endpoint
        if self._closed.is_set():
            raise InterruptedByUserError(f"{exchange.method} {endpoint.registry}/{endpoint.repository} was stopped")
        url, own = _target(self._hosts.base(endpoint), exchange.path, endpoint)
        request = Request(
            method=exchange.method,
            url=url,
            registry=endpoint.registry,
            trust=self._hosts.trust(endpoint, url),
            headers=exchange.headers,
            content=exchange.content,
            length=exchange.length,
            plain=endpoint.insecure,
        )
        if not own:
            return self._right(self._connections.open(request), exchange)
        authorizer = self._hosts.authorizer(endpoint)
        header = authorizer.header(exchange.scopes)
        response = self._connections.open(attrs.evolve(request, authorization=header))
        if response.status == _UNAUTHORIZED and response.status not in exchange.expect:
            challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
            fault = response.fault(endpoint.registry)
            renewed = authorizer.renewed(challenges, exchange.scopes, header)
            if not renewed:
                raise fault
            response = self._connections.open(attrs.evolve(request, authorization=renewed))
        return self._right(response, exchange)

    def _right(self, response: Response, exchange: _Exchange) -> Response:
        if response.status in exchange.expect:
            return response
        raise response.fault(exchange.endpoint.registry)


def _target(base: str, path: str, endpoint: Endpoint) -> tuple[str, bool]:
    """Give the URL of a request, and whether it is the registry's own.

    A registry behind a gateway that ends its TLS may name itself by ``http``; that is still the same place.
    """
    try:
        url = urljoin(base, path)
        here, there = origin(base), origin(url)
    except ValueError as error:
        raise RegistryFault(FaultKind.OTHER, text=f"an address that is {error}", registry=endpoint.registry) from error
    if there[1:] == here[1:] or (there[0] == "http" and there[1] == here[1] and there[2] == 80):  # noqa: PLR2004
        start = base.partition("/v2/")[0]
        rest = url.split("/", 3)[3] if url.count("/") > 2 else ""  # noqa: PLR2004
        return f"{start}/{rest}", True
    if there[0] == "http" and not endpoint.insecure:
        raise RegistryFault(FaultKind.OTHER, text=f"a Location without TLS at {there[1]}", registry=endpoint.registry)
    return url, False
