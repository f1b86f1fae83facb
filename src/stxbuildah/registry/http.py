# SPDX-License-Identifier: Apache-2.0
"""The only door to urllib3: connections, redirects, and what breaks on them.

Imported by the lane that speaks to registries and by nothing else, because urllib3 takes its time to load.
"""

import errno
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from stxbuildah.engine.download import shown
from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError
from stxbuildah.model.reference import is_loopback
from stxbuildah.model.settings import Proxies
from stxbuildah.registry.certificates import Trust, tls_context
from stxbuildah.registry.fault import RegistryFault, status_fault
from stxbuildah.registry.request import Content, Request, redirected

CONNECT_TIMEOUT = 30.0
READ_TIMEOUT = 60.0
CHUNK = 256 * 2**10
USER_AGENT = "stxbuildah"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
# What is read of an answer that tells of a fault.
_ERROR_BYTES = 64 * 2**10
# What is still to come of an answer that nobody reads, before its connection is given up instead.
_DRAINED = 64 * 2**10
# Registries that lanes and mirrors name, and their storage; layers that are read at the same time.
_HOSTS = 16
_CONNECTIONS = 8
_UNREACHABLE = frozenset({errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL})
# What OpenSSL calls an answer that is no TLS at all; the name has changed with its versions.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"})
# Anything that urllib3, http.client, ssl or a URL's text can raise.
_FOREIGN = (exceptions.HTTPError, HTTPException, OSError, ValueError)


class _Sockets:
    """Sockets that are open, so that those which another thread waits for can be shut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def add(self, opened: socket.socket | None) -> None:
        """Know one more, as long as somebody holds it."""
        if opened is not None:
            with self._lock:
                self._open.add(opened)

    def shut(self) -> None:
        """End all waiting; it is for those who wait to close."""
        with self._lock:
            waiting = list(self._open)
        for opened in waiting:
            with suppress(OSError):
                # TLS has nothing more to say.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    """A connection whose socket is known. urllib3 lets go of it while an answer is still read."""

    def __init__(self, sockets: _Sockets, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._sockets = sockets

    def connect(self) -> None:
        """Connect."""
        super().connect()
        self._sockets.add(self.sock)


class _Secure(_Plain, HTTPSConnection):
    """The same over TLS."""


class _Unverified(_Secure):
    """A connection whose other side is not checked because the user said so; urllib3 need not say so again."""

    def connect(self) -> None:
        """Connect, and say nothing."""
        super().connect()
        self.is_verified = True


def _pools(
    kind: type[urllib3.HTTPConnectionPool], connection: type[HTTPConnection], sockets: _Sockets
) -> Callable[..., urllib3.HTTPConnectionPool]:
    def make(*words: Any, **named: Any) -> urllib3.HTTPConnectionPool:
        pool = kind(*words, **named)
        pool.ConnectionCls = partial(connection, sockets)  # type: ignore[assignment,arg-type] # it is only called
        return pool

    return make


class ContentError(Exception):
    """What gives a body's pieces failed: no fault of the registry that they are sent to.

    Args:
        cause: what it raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Response:
    """An answer whose body is read, at most once, while its block is open.

    Attributes:
        status: its status.
        headers: by name, in any case.
        url: where it came from, after redirects.
    """

    def __init__(self, answer: urllib3.BaseHTTPResponse, request: Request) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.url = request.url
        self._answer = answer
        self._registry = request.registry

    @property
    def location(self) -> str:
        """The absolute URL that its Location names; empty when it has none."""
        location = self.headers.get("Location", "")
        try:
            return urljoin(self.url, location) if location else ""
        except ValueError:
            return ""

    def read(self, limit: int) -> bytes:
        """Read the body whole.

        Args:
            limit: bytes that it may have.

        Raises:
            RegistryFault: it is longer, breaks off or stalls.
        """
        pieces, left = [], limit
        for piece in self.chunks():
            left -= len(piece)
            if left < 0:
                raise self._fault(FaultKind.OTHER, f"the answer of {shown(self.url)} has more than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """Give the body in pieces of at most ``size`` bytes, as it was sent: no content encoding is undone.

        Raises:
            RegistryFault: it breaks off or stalls.
        """
        while True:
            try:
                piece = self._answer.read(size, decode_content=False)
            except _FOREIGN as error:
                self._answer.close()
                raise fault_of(error, self._registry) from error
            if not piece:
                return
            yield piece

    def close(self) -> None:
        """Give the connection back, or up when much of the body was not read."""
        try:
            remaining = getattr(self._answer, "length_remaining", None)
            if remaining is not None and remaining <= _DRAINED:
                self._answer.read(_DRAINED, decode_content=False)
            else:
                self._answer.close()
        except _FOREIGN:
            self._answer.close()
        self._answer.release_conn()

    def fault(self, registry: str) -> RegistryFault:
        """Give what this answer means when it is not what was asked for, and close it.

        Args:
            registry: host and port that the request was for; the answer may come from its storage.
        """
        try:
            body = self.read(_ERROR_BYTES)
        except RegistryFault:
            body = b""
        finally:
            self.close()
        return status_fault(self.status, self.headers, body, registry=registry, url=shown(self.url))

    def _fault(self, kind: FaultKind, text: str) -> RegistryFault:
        return RegistryFault(kind, status=self.status, text=text, registry=self._registry)


class Connections:
    """Connections to registries and their storage, kept open between requests. Safe for several threads.

    Args:
        proxies: for http and https; this machine itself is always reached directly, as Go's programs do it.
        environment: variables that name the system's certificates.
        connect_timeout: seconds to connect in, TLS included.
        read_timeout: seconds without a byte after which the other side is taken for dead.
    """

    def __init__(
        self,
        *,
        proxies: Proxies,
        environment: Mapping[str, str],
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._proxies = proxies
        self._environment = environment
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._lock = threading.Lock()
        self._sockets = _Sockets()
        self._pools: dict[tuple[Trust | None, str], urllib3.PoolManager] = {}

    def close(self) -> None:
        """Close all connections. Who waits for an answer in another thread is told that it broke off."""
        self._sockets.shut()
        with self._lock:
            for pools in self._pools.values():
                pools.clear()
            self._pools.clear()

    def open(self, request: Request) -> Response:
        """Send a request and wait for the answer's beginning; GET and HEAD follow redirects.

        The caller closes the response.

        Raises:
            RegistryFault: no answer came, or a redirect is not to be followed.
            ContentError: what gives the body's pieces failed.
        """
        target = ""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._sent(request)
            if response.status not in _REDIRECTS or request.method not in {"GET", "HEAD"} or not response.location:
                return response
            target = response.location
            response.close()
            request = redirected(request, target)
        raise RegistryFault(
            FaultKind.OTHER,
            text=f"more than {_MOST_REDIRECTS} redirects, to {shown(target)}",
            registry=request.registry,
        )

    def _sent(self, request: Request) -> Response:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        if request.authorization:
            headers["Authorization"] = request.authorization
        if request.content is not None and request.length is not None:
            headers["Content-Length"] = str(request.length)
        body = None if request.content is None else _guarded(request.content)
        try:
            answer = self._pool(request).urlopen(
                request.method,
                request.url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=self._timeout,
            )
        except _FOREIGN as error:
            raise fault_of(error, request.registry) from error
        return Response(answer, request)

    def _pool(self, request: Request) -> urllib3.PoolManager:
        parts = urlsplit(request.url)
        proxy = self._proxy(parts.scheme, parts.netloc)
        trust = request.trust if parts.scheme == "https" else None
        with self._lock:
            if (trust, proxy) not in self._pools:
                context = None if trust is None else tls_context(trust, self._environment)
                made = self._pools[trust, proxy] = _pool_manager(proxy, context)
                secure = _Secure if trust is None or trust.verify else _Unverified
                # They are only called.
                made.pool_classes_by_scheme = {
                    "http": _pools(urllib3.HTTPConnectionPool, _Plain, self._sockets),  # type: ignore[dict-item]
                    "https": _pools(urllib3.HTTPSConnectionPool, secure, self._sockets),  # type: ignore[dict-item]
                }
            return self._pools[trust, proxy]

    def _proxy(self, scheme: str, netloc: str) -> str:
        url = self._proxies.https if scheme == "https" else self._proxies.http
        if not url or is_loopback(netloc):
            return ""
        if self._proxies.no:
            from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined] # typeshed lacks it

            if proxy_bypass_environment(netloc, {"no": self._proxies.no}):
                return ""
        return url if "://" in url else f"http://{url}"


def _pool_manager(proxy: str, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    if not proxy:
        return urllib3.PoolManager(num_pools=_HOSTS, maxsize=_CONNECTIONS, ssl_context=context)
    try:
        parts = urlsplit(proxy)
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        login = None
        if parts.username is not None:
            login = urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
        return urllib3.ProxyManager(
            plain, num_pools=_HOSTS, maxsize=_CONNECTIONS, proxy_headers=login, ssl_context=context
        )
    except (exceptions.HTTPError, ValueError) as error:
        raise InputError(f"{shown(proxy)!r} is no URL of an http or https proxy") from error


def _guarded(content: Content) -> Iterator[bytes]:
    try:
        yield from content()
    except Exception as error:
        raise ContentError(error) from error


def fault_of(error: BaseException, registry: str) -> RegistryFault:
    """Tell what a foreign exception means; the innermost one that says anything decides."""
    causes = list(_causes(error))
    text = _text(causes[-1] if isinstance(causes[-1], OSError | HTTPException) else error)
    if any(isinstance(cause, exceptions.ProxyError) for cause in causes):
        text = f"by way of the proxy: {text}"
    kind = next((kind for cause in reversed(causes) if (kind := _kind(cause)) is not None), FaultKind.OTHER)
    return RegistryFault(kind, text=text, registry=registry)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        inner = [argument for argument in found.args if isinstance(argument, BaseException)]
        named = getattr(found, "original_error", None)
        found = cast("BaseException | None", named) or (inner[0] if inner else found.__cause__)


def _text(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__


def _kind(error: BaseException) -> FaultKind | None:  # noqa: PLR0911 # a table, in the order of particularity
    match error:
        case socket.gaierror() | exceptions.NameResolutionError():
            return FaultKind.DNS
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return FaultKind.RESET
        case ssl.SSLError():
            return FaultKind.PLAIN_HTTP if error.reason in _NO_TLS else FaultKind.TLS
        case TimeoutError() | exceptions.TimeoutError() if not isinstance(error, exceptions.NewConnectionError):
            return FaultKind.TIMEOUT
        case OSError() if error.errno in _UNREACHABLE:
            return FaultKind.CONNECTION_REFUSED
        case ConnectionError() | exceptions.ProtocolError() | exceptions.IncompleteRead() | HTTPException():
            return FaultKind.RESET
        case _:
            return None
