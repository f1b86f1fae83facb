# SPDX-License-Identifier: Apache-2.0
"""Files that the user names by an http(s) URL."""

import errno
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import Fault, FaultKind
from stxbuildah.engine.retry import pause
from stxbuildah.errors import AuthenticationError, DiskFullError, InputError, RegistryError, StxbError
from stxbuildah.model.settings import Proxies, Retry

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector, Request

Result = TypeVar("Result")

# More than any wheel or package; a server that sends without end must not fill the disk.
MAXIMUM_BYTES = 4 * 2**30
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~:@!=-]*")
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PARTIAL, _HTTP_ERROR = 206, 400
_TOO_MANY = 429
_DENIED = frozenset({401, 403, 407})
_MISSING = frozenset({404, 410})


class MissingFileError(InputError):
    """The server has no such file."""


class _TransientError(Exception):
    """The same may work a little later; carries the error to raise when it does not."""

    def __init__(self, error: StxbError, fault: Fault) -> None:
        super().__init__(error.message)
        self.error = error
        self.fault = fault


@attrs.define(kw_only=True)
class Downloader:
    """Fetches files over http and https, and over nothing else, redirects included.

    Attributes:
        proxies: for http and https.
        retry: how often a transient fault is tried again.
        ca_bundle: certificates to trust besides the system's; None for the system's alone.
        timeout: seconds without a byte after which a server is taken for dead.
        maximum_bytes: size that no file may pass.
    """

    proxies: Proxies = attrs.field(factory=Proxies)
    retry: Retry = attrs.field(factory=Retry)
    ca_bundle: Path | None = None
    timeout: float = 60.0
    maximum_bytes: int = MAXIMUM_BYTES
    _director: "OpenerDirector | None" = attrs.field(default=None, init=False, eq=False, repr=False)

    def fetch(self, url: str, folder: Path) -> Path:
        """Fetch a file into a folder, under the last part of the URL's path.

        A fragment ``#sha256=HEX`` is checked. The file appears whole or not at all. When a download breaks off and is
        tried again, it goes on where it stopped, if the server says that the file is still the same (RFC 9110, 13.1.5).

        Args:
            url: http or https URL; user and password in it are sent to its own host only.
            folder: existing folder.

        Raises:
            InputError: it is no such URL, there is no such file, its size or digest is wrong.
            AuthenticationError: the server wants credentials.
            RegistryError: the server cannot be reached or fails.
            DiskFullError: no space is left.
        """
        _request(url)
        name, target = shown(url), folder / file_name(url)
        draft = _Draft(path=folder / f".{target.name}.part")

        def attempt() -> Path:
            try:
                with self._opened(url, headers=draft.going_on()) as response, draft.opened(response) as out:
                    self._copy(response, out, name, draft)
                _check_digest(url, draft.digest.hexdigest())
                draft.path.replace(target)
            except OSError as error:
                raise _disk_error(error, target) from error
            return target

        log.info("download.started", url=name)
        try:
            return self._retrying(name, attempt)
        finally:
            draft.path.unlink(missing_ok=True)

    def read(self, url: str, *, limit: int = 64 * 2**20, accept: str = "*/*") -> tuple[bytes, str]:
        """Read a document whole.

        Args:
            url: http or https URL.
            limit: bytes that it may have.
            accept: media types that are understood.

        Returns:
            Its bytes, and the URL it came from after redirects.

        Raises:
            StxbError: as ``fetch``.
        """

        def attempt() -> tuple[bytes, str]:
            with self._opened(url, accept) as response:
                data = response.read(limit + 1)
                if len(data) > limit:
                    raise InputError(f"{shown(url)} has more than {limit} bytes")
                return data, response.url

        return self._retrying(shown(url), attempt)

    def _retrying(self, name: str, attempt: Callable[[], Result]) -> Result:
        failed = 0
        while True:
            try:
                return attempt()
            except _TransientError as transient:
                failed += 1
                if failed >= self.retry.attempts:
                    raise transient.error from transient
                seconds = pause(self.retry, failed, transient.fault)
                log.warning("retry.scheduled", what=name, fault=str(transient), seconds=round(seconds, 1))
            time.sleep(seconds)

    @contextmanager
    def _opened(
        self, url: str, accept: str = "*/*", headers: Mapping[str, str] | None = None
    ) -> "Iterator[HTTPResponse]":
        from ssl import SSLCertVerificationError
        from urllib.error import HTTPError, URLError

        from stxbuildah.engine.opener import opener

        name = shown(url)
        request = _request(url, accept)
        for header, value in (headers or {}).items():
            request.add_header(header, value)
        try:
            if self._director is None:
                # Once: reading the system's certificates takes a twentieth of a second.
                self._director = opener(self.proxies, self.ca_bundle)
            with self._director.open(request, timeout=self.timeout) as response:
                if response.status >= _HTTP_ERROR:
                    raise _status_error(name, response)
                yield response
        except URLError as error:
            if isinstance(error, HTTPError):
                # A redirect that is not followed comes with the answer that told it.
                error.close()
            reason = error.reason
            if isinstance(reason, SSLCertVerificationError):
                raise RegistryError(
                    f"{name}: the server's certificate is not trusted: {reason.verify_message}",
                    hint="name the CA's file by --build-ca-bundle, or by the variable SSL_CERT_FILE",
                ) from error
            raise _TransientError(
                RegistryError(f"{name} cannot be fetched: {reason}", hint="check the URL, the network and proxies"),
                Fault(kind=FaultKind.RESET),
            ) from error
        except (HTTPException, ConnectionError, TimeoutError) as error:
            raise _TransientError(
                RegistryError(f"{name} cannot be fetched: the connection broke off ({error!r})"),
                Fault(kind=FaultKind.RESET),
            ) from error

    def _copy(self, response: "HTTPResponse", out: IO[bytes], name: str, draft: "_Draft") -> None:
        received = 0
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if draft.size + len(chunk) > self.maximum_bytes:
                raise InputError(f"{name} has more than {self.maximum_bytes} bytes")
            out.write(chunk)
            draft.add(chunk)
        expected = response.headers.get("Content-Length", "")
        if expected.isdecimal() and int(expected) != received:
            raise _TransientError(
                RegistryError(f"{name} broke off after {received} of {expected} bytes"), Fault(kind=FaultKind.RESET)
            )


@attrs.define(kw_only=True)
class _Draft:
    """What is there of a file, between one attempt and the next.

    Attributes:
        path: the file.
        size: bytes of it.
        digest: SHA-256 of these.
        validator: what the server calls this state of the file; empty when it does not tell.
    """

    path: Path
    size: int = 0
    digest: "hashlib._Hash" = attrs.field(factory=hashlib.sha256)
    validator: str = ""

    def add(self, chunk: bytes) -> None:
        """Count a chunk that was written."""
        self.size += len(chunk)
        self.digest.update(chunk)

    def going_on(self) -> dict[str, str]:
        """Give the headers that ask for the rest, unless the file has changed."""
        if not (self.size and self.validator):
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    @contextmanager
    def opened(self, response: "HTTPResponse") -> Iterator[IO[bytes]]:
        """Open the file for what a response brings: the rest of it, or all of it anew."""
        rest = response.headers.get("Content-Range", "").startswith(f"bytes {self.size}-")
        if response.status != _PARTIAL or not rest:
            self.size, self.digest = 0, hashlib.sha256()
        etag = response.headers.get("ETag", "")
        self.validator = "" if etag.startswith("W/") else etag
        with self.path.open("ab" if self.size else "wb") as out:
            yield out


def shown(url: str) -> str:
    """Give a URL to read: without user and password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def file_name(url: str) -> str:
    """Give the name that a download is kept under: the last part of the URL's path.

    Raises:
        InputError: the path ends in nothing that is a plain file name.
    """
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    if _NAME.fullmatch(name) is None:
        raise InputError(
            f"the URL {shown(url)} does not end in the name of a file", hint="as https://host/path/name.whl"
        )
    return name


def _request(url: str, accept: str = "*/*") -> "Request":
    import base64
    from urllib.request import Request

    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{shown(url)!r} is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or re.search(r"[\x00-\x20\x7f]", url):
        raise InputError(f"{shown(url)!r} is no http or https URL")
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    request = Request(plain, headers={"Accept": accept, "User-Agent": "stxbuildah"})  # noqa: S310 # checked above
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode("ascii"))
    return request


def _status_error(name: str, response: "HTTPResponse") -> Exception:
    status = response.status
    answer = f"{name}: the server answers {status} {response.reason}".rstrip()
    if status in _DENIED:
        return AuthenticationError(answer, hint="put user and password (or token) into the URL, if you have them")
    if status in _MISSING:
        return MissingFileError(answer, hint="check the URL")
    if status not in _TRANSIENT_STATUS:
        return RegistryError(answer)
    after = response.headers.get("Retry-After", "")
    kind = FaultKind.RATE_LIMIT if status == _TOO_MANY else FaultKind.SERVER_ERROR
    return _TransientError(
        RegistryError(answer, hint="try again later, or raise --attempts"),
        Fault(kind=kind, line=answer, retry_after=float(after) if after.isdecimal() else None),
    )


def _check_digest(url: str, digest: str) -> None:
    algorithm, equals, expected = urlsplit(url).fragment.partition("=")
    if algorithm == "sha256" and equals and digest != expected.lower():
        raise InputError(
            f"{shown(url)} is not the file it should be: its SHA-256 is {digest}, the URL says {expected}",
            hint="the file was changed on the server, or the digest in the URL is wrong",
        )


def _disk_error(error: OSError, target: Path) -> StxbError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"no space is left for {target}", hint=f"make room in {target.parent}")
    return InputError(f"{target} cannot be written: {error.strerror or error}")
