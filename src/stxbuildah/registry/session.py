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
from stxbuildah.registry.certificates import Trust, find_trust
from stxbuildah.registry.credentials import Credentials, find_credentials, given_credentials
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.fault import RegistryFault, status_fault
from stxbuildah.registry.http import CONNECT_TIMEOUT, READ_TIMEOUT, Connections, Content, Request, Response, origin
from stxbuildah.registry.registriesconf import Registries, read_registries
from stxbuildah.registry.tokens import Authorizer, TokenRequest, parse_challenges

__all__ = ["RegistryFault", "RegistrySession", "Response"]

# One answer in a hundred of a busy registry is a transient fault; a user who asks for a single attempt of a push does
# not ask for each of its hundred requests to be right at once.
_LEAST_ATTEMPTS = 3
_SHORT_DELAY = 0.5
_ERROR_BYTES = 64 * 2**10
_TOKEN_BYTES = 2**20
_UNAUTHORIZED = 401
_READING = frozenset({"GET", "HEAD"})
# What an insecure registry may answer to TLS when it speaks plain HTTP, or listens at that port only.
_WITHOUT_TLS = frozenset(
    {FaultKind.PLAIN_HTTP, FaultKind.TLS, FaultKind.CONNECTION_REFUSED, FaultKind.RESET, FaultKind.TIMEOUT}
)
_SAYS_LITTLE = frozenset({FaultKind.PLAIN_HTTP, FaultKind.CONNECTION_REFUSED})


@attrs.frozen(kw_only=True)
class _Exchange:
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
        access: what the user set; its password is for the registries that references name, and not for their mirrors.
        retry: how often a transient fault is tried again; at least twice in any case.
        proxies: for http and https.
        runner: runs credential helpers.
        environment: the variables that podman reads.
        connect_timeout: seconds to connect in.
        read_timeout: seconds without a byte after which a registry is taken for dead.
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
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._access = access
        self._attempts = max(_LEAST_ATTEMPTS, retry.attempts)
        self._retry = retry if retry.attempts > 1 else Retry(attempts=self._attempts, delay=_SHORT_DELAY)
        self._runner = runner
        self._environment = environment
        self._connections = Connections(
            proxies=proxies, environment=environment, connect_timeout=connect_timeout, read_timeout=read_timeout
        )
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._read: Registries | None = None
        self._warned: set[str] = set()
        self._trusts: dict[tuple[str, bool], Trust] = {}
        self._schemes: dict[tuple[str, bool], str] = {}
        self._accounts: dict[Endpoint, Credentials | None] = {}
        self._authorizers: dict[tuple[str, bool, Credentials | None], Authorizer] = {}

    def close(self) -> None:
        """Close the connections; a pause between two attempts ends."""
        self._closed.set()
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def registries(self) -> Registries:
        """What registries.conf says.

        Raises:
            InputError: it has mistakes.
        """
        with self._lock:
            if self._read is None:
                self._read = read_registries(self._environment)
            return self._read

    def endpoints(self, reference: ImageReference, *, pull: bool) -> tuple[Endpoint, ...]:
        """Give the places where an image is looked for, in order: mirrors and location to pull, itself to push.

        Raises:
            InputError: registries.conf has mistakes, or blocks the registry.
        """
        return tuple(self._settled(place) for place in self.registries.endpoints(reference, pull=pull))

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
            endpoint=self._settled(endpoint),
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
            except RegistryFault as fault:
                failed += 1
                if failed >= attempts or not fault.transient:
                    raise
                self._pause(exchange, fault, failed, attempts)

    def _pause(self, exchange: _Exchange, fault: RegistryFault, failed: int, attempts: int) -> None:
        what = f"{exchange.method} {exchange.endpoint.registry}/{exchange.endpoint.repository}"
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
        base = f"{self._scheme(endpoint)}://{endpoint.host}/v2/"
        url, own = _target(base, exchange.path, endpoint.registry)
        trust = self._trust(endpoint)
        request = Request(
            method=exchange.method,
            url=url,
            registry=endpoint.registry,
            trust=trust if own else trust.elsewhere,
            headers=exchange.headers,
            content=exchange.content,
            length=exchange.length,
            plain=endpoint.insecure,
        )
        if not own:
            return self._right(self._connections.open(request), exchange)
        authorizer = self._authorizer(endpoint)
        header = authorizer.header(exchange.scopes)
        response = self._connections.open(attrs.evolve(request, authorization=header))
        if response.status == _UNAUTHORIZED and response.status not in exchange.expect:
            challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
            fault = _fault_in(response, endpoint.registry)
            renewed = authorizer.renewed(challenges, exchange.scopes, header)
            if not renewed:
                raise fault
            response = self._connections.open(attrs.evolve(request, authorization=renewed))
        return self._right(response, exchange)

    def _right(self, response: Response, exchange: _Exchange) -> Response:
        if response.status in exchange.expect:
            return response
        raise _fault_in(response, exchange.endpoint.registry)

    def _settled(self, endpoint: Endpoint) -> Endpoint:
        verify = self._access.tls_verify
        if verify is None:
            return endpoint
        if not verify and not endpoint.loopback:
            with self._lock:
                new = endpoint.registry not in self._warned
                self._warned.add(endpoint.registry)
            if new:
                hint = "anybody on the way can change the image"
                log.warning("registry.tls.unverified", registry=endpoint.registry, hint=hint)
        return attrs.evolve(endpoint, insecure=not verify)

    def _trust(self, endpoint: Endpoint) -> Trust:
        key = (endpoint.registry, endpoint.insecure)
        with self._lock:
            if key not in self._trusts:
                self._trusts[key] = find_trust(
                    self._access, self._environment, endpoint.registry, insecure=endpoint.insecure
                )
            return self._trusts[key]

    def _scheme(self, endpoint: Endpoint) -> str:
        if not endpoint.insecure:
            return "https"
        key = (endpoint.registry, endpoint.insecure)
        with self._lock:
            known = self._schemes.get(key)
        if known is None:
            # Two threads may find out at the same time; they find the same.
            known = self._found_scheme(endpoint)
            with self._lock:
                self._schemes[key] = known
        return known

    def _found_scheme(self, endpoint: Endpoint) -> str:
        """Find out whether an insecure registry speaks TLS, in the order of containers/image (``detectProperties``)."""
        try:
            self._ping(endpoint, "https")
        except RegistryFault as fault:
            if fault.kind not in _WITHOUT_TLS:
                raise
            try:
                self._ping(endpoint, "http")
            except RegistryFault as second:
                raise (second if fault.kind in _SAYS_LITTLE else fault) from second
            return "http"
        return "https"

    def _ping(self, endpoint: Endpoint, scheme: str) -> None:
        request = Request(
            method="GET",
            url=f"{scheme}://{endpoint.host}/v2/",
            registry=endpoint.registry,
            trust=self._trust(endpoint),
            plain=True,
        )
        response = self._connections.open(request)
        try:
            if response.status == _UNAUTHORIZED:
                self._authorizer(endpoint).learn(parse_challenges(response.headers.get("WWW-Authenticate", "")))
        finally:
            response.close()

    def _authorizer(self, endpoint: Endpoint) -> Authorizer:
        with self._lock:
            if endpoint not in self._accounts:
                self._accounts[endpoint] = self._account(endpoint)
            account = self._accounts[endpoint]
            key = (endpoint.registry, endpoint.insecure, account)
            if key not in self._authorizers:
                self._authorizers[key] = Authorizer(
                    registry=endpoint.registry,
                    credentials=account,
                    ask=lambda asked: self._token_answer(endpoint, asked),
                    plain=endpoint.insecure,
                )
            return self._authorizers[key]

    def _account(self, endpoint: Endpoint) -> Credentials | None:
        if self._access.creds and not endpoint.mirror:
            return given_credentials(self._access.creds)
        helpers = () if self._read is None else self._read.settings.credential_helpers
        return find_credentials(
            endpoint.registry,
            endpoint.repository,
            access=self._access,
            environment=self._environment,
            runner=self._runner,
            helpers=helpers,
        )

    def _token_answer(self, endpoint: Endpoint, asked: TokenRequest) -> bytes:
        trust = self._trust(endpoint)
        form, headers = asked.form, {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = Request(
            method="GET" if form is None else "POST",
            url=asked.url,
            registry=endpoint.registry,
            trust=trust.elsewhere,
            headers=headers,
            authorization=asked.authorization,
            content=None if form is None else lambda: (form,),
            length=None if form is None else len(form),
            plain=endpoint.insecure,
        )
        response = self._connections.open(request)
        try:
            if response.status != 200:  # noqa: PLR2004 # OK
                raise _fault_in(response, endpoint.registry)
            return response.read(_TOKEN_BYTES)
        finally:
            response.close()


def _target(base: str, path: str, registry: str) -> tuple[str, bool]:
    """Give the URL of a request, and whether it is the registry's own.

    A registry behind a gateway that ends its TLS may name itself by ``http``; that is still the same place.
    """
    try:
        url = urljoin(base, path)
        here, there = origin(base), origin(url)
    except ValueError as error:
        raise RegistryFault(FaultKind.OTHER, text=f"an address that is {error}", registry=registry) from error
    if there[1:] == here[1:] or (there[0] == "http" and there[1] == here[1] and there[2] == 80):  # noqa: PLR2004
        start = base.partition("/v2/")[0]
        rest = url.split("/", 3)[3] if url.count("/") > 2 else ""  # noqa: PLR2004
        return f"{start}/{rest}", True
    if there[0] == "http" and here[0] == "https":
        raise RegistryFault(FaultKind.OTHER, text=f"a Location without TLS at {there[1]}", registry=registry)
    return url, False


def _fault_in(response: Response, registry: str) -> RegistryFault:
    try:
        body = response.read(_ERROR_BYTES)
    except RegistryFault:
        body = b""
    finally:
        response.close()
    return status_fault(response.status, response.headers, body, registry=registry)
