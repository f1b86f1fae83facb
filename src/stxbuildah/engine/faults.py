# SPDX-License-Identifier: Apache-2.0
"""What a failed buildah, podman or skopeo means, read from its last lines.

The programs end with 1 or 125 whatever went wrong; only their text tells. The patterns are the sentences of
containers/image, containers/storage, Go's net/http and the distribution registry's error codes
(https://distribution.github.io/distribution/spec/api/#errors-2).
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cache

import attrs

from stxbuildah.errors import (
    AuthenticationError,
    BuildError,
    DiskFullError,
    HostError,
    InputError,
    InterruptedByUserError,
    RegistryError,
    StxbError,
)
from stxbuildah.model.value import Value


class FaultKind(StrEnum):
    """What went wrong, as far as it makes a difference to what is done about it."""

    NOT_FOUND = "not found"
    AUTHENTICATION = "authentication required"
    DENIED = "access denied"
    DNS = "host name not found"
    CONNECTION_REFUSED = "connection refused"
    TLS = "certificate not trusted"
    PLAIN_HTTP = "registry speaks plain HTTP"
    RATE_LIMIT = "rate limit"
    SERVER_ERROR = "server error"
    RESET = "connection broken"
    TIMEOUT = "timeout"
    DISK_FULL = "disk full"
    STORAGE_RACE = "image store changed meanwhile"
    BLOB_MISSING = "blob missing in the layout"
    NO_USER_NAMESPACE = "no user namespace"
    INTERRUPTED = "interrupted"
    OTHER = "other"


# A refused connection is a registry that restarts as often as one that is not there; a missing name in the DNS is
# a spelling mistake much more often than an outage.
_TRANSIENT = frozenset(
    {
        FaultKind.CONNECTION_REFUSED,
        FaultKind.RATE_LIMIT,
        FaultKind.SERVER_ERROR,
        FaultKind.RESET,
        FaultKind.TIMEOUT,
        FaultKind.STORAGE_RACE,
    }
)

# Signals that somebody sends to end a program; 128 + N is how a shell between us and it tells the same.
_ENDING_SIGNALS = frozenset({1, 2, 15})


@attrs.frozen(kw_only=True)
class Fault(Value):
    """Why a program failed.

    Attributes:
        kind: what went wrong.
        line: the line of the program's output that told, or its last line.
        retry_after: seconds the registry asked to wait, when the text names them.
    """

    kind: FaultKind
    line: str = ""
    retry_after: float | None = None

    @property
    def transient(self) -> bool:
        """Whether the same may work a little later."""
        return self.kind in _TRANSIENT


# The first kind that matches a line decides: the more particular ones come first, because a fault's text often wraps
# another's. Words without a space are asked for with what stands around them, because an image may be called so.
_PATTERNS: tuple[tuple[FaultKind, tuple[str, ...]], ...] = (
    (FaultKind.DISK_FULL, (r"no space left on device", r"disk quota exceeded")),
    (
        FaultKind.NO_USER_NAMESPACE,
        (
            r"no sub[ug]id ranges found",
            r"cannot find (?:UID|GID) mappings? for user",
            r"insufficient UIDs or GIDs",
            r"new[ug]idmap\b.*(?:operation not permitted|failed|executable file not found)",
            r"error (?:creating|joining) user namespace",
            r"cannot clone: ",
            r"cannot re-exec process",
            r"error during unshare\(.*\): ",
            r"user namespaces are not enabled",
            # The account has no entry in the password database, so it has no ranges either.
            r"unknown userid [0-9]+",
        ),
    ),
    (
        FaultKind.RATE_LIMIT,
        (
            r"\btoomanyrequests: ",
            r"too many requests",
            r"reached your (?:\w+ )?pull rate limit",
            r"(?:status(?: code)?|http code):? (?:[a-z]+ )*429\b",
        ),
    ),
    (
        FaultKind.AUTHENTICATION,
        (
            r"(?:^|: )unauthorized: ",
            r"authentication required",
            r"invalid username/password",
            r"unable to retrieve auth token",
            r"no basic auth credentials",
            r"status(?: code)?:? (?:from .* )?401\b",
        ),
    ),
    (
        FaultKind.DENIED,
        (
            r"access to the resource is denied",
            r"(?:^|: )denied: ",
            r"insufficient_scope",
            r"\b403 \(?Forbidden",
            r"status(?: code)?:? (?:from .* )?403\b",
        ),
    ),
    (FaultKind.PLAIN_HTTP, (r"server gave HTTP response to HTTPS client",)),
    (FaultKind.TLS, (r"x509: ", r"\btls: ", r"first record does not look like a TLS handshake")),
    (FaultKind.DNS, (r"no such host", r"name or service not known", r"server misbehaving")),
    (
        FaultKind.TIMEOUT,
        (
            r"i/o timeout",
            r"TLS handshake timeout",
            r"context deadline exceeded",
            r"Client\.Timeout exceeded",
            r"timeout awaiting response headers",
            r"(?:connection|operation) timed out",
            r"no end after [0-9.e+]+ seconds",
            r"408 \(?Request Timeout",
        ),
    ),
    (FaultKind.CONNECTION_REFUSED, (r"connection refused", r"network is unreachable", r"no route to host")),
    (
        FaultKind.RESET,
        (
            r"connection reset by peer",
            r"broken pipe",
            r"(?:^|: |unexpected )EOF\b",
            r"server closed idle connection",
            r"http2: .*(?:GOAWAY|stream error)",
            r"transport connection broken",
            r"use of closed network connection",
        ),
    ),
    (
        FaultKind.SERVER_ERROR,
        (
            r"internal server error",
            r"bad gateway",
            r"service unavailable",
            r"gateway time-?out",
            r"(?:status(?: code)?|http code):? (?:[a-z]+ )*5[0-9][0-9]\b",
        ),
    ),
    (FaultKind.BLOB_MISSING, (r"\b(?:open|stat|lstat) \S*/[0-9a-f]{64}: no such file or directory",)),
    (
        FaultKind.STORAGE_RACE,
        (
            r"layer not known",
            r"layer is in use by",
            r"error locating (?:image|layer) with ID",
            r"that (?:ID|name) is already in use",
        ),
    ),
    (
        FaultKind.NOT_FOUND,
        (
            r"manifest unknown",
            r"name unknown",
            r"name not known",
            r"identifier is not an image",
            r"image not known",
            r"does not resolve to an image ID",
            r"did not resolve to an alias",
            r"no such image",
            r"404 \(?Not Found",
            r"status(?: code)?:? (?:from .* )?404\b",
        ),
    ),
)

_RETRY_AFTER = (
    r"(?:retry[- ]after|try again in|retry in)[:= ]+(?P<seconds>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[µu]s|ms|m|s)?(?!\w)"
)
_UNIT = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_LOGRUS = r'time="[^"]*" level=(?P<level>\w+) msg=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>\S+)).*'
_ERROR_LEVELS = frozenset({"error", "fatal", "panic"})


@cache
def _compiled() -> tuple[tuple[FaultKind, re.Pattern[str]], ...]:
    # Only a failure pays for it.
    return tuple((kind, re.compile("|".join(patterns), re.IGNORECASE)) for kind, patterns in _PATTERNS)


def message_of(line: str) -> str:
    r"""Give the sentence of one line that a program wrote about a failure; empty for warnings and progress.

    skopeo writes ``time="..." level=fatal msg="..."``, buildah and podman ``Error: ...``; the marks are removed.
    """
    match = re.fullmatch(_LOGRUS, line)
    if match is None:
        return line.strip().removeprefix("Error:").removeprefix("*").strip()
    if match["level"] not in _ERROR_LEVELS:
        return ""
    return match["plain"] or re.sub(r"\\(.)", _unescaped, match["quoted"]).strip()


def _unescaped(match: re.Match[str]) -> str:
    return {"n": " ", "t": " "}.get(match[1], match[1])


def classify(lines: Sequence[str], returncode: int) -> Fault:
    """Tell what went wrong from the last lines a program wrote and how it ended.

    Args:
        lines: its last lines, oldest first, as ``Completed.tail``.
        returncode: its exit status; negative for the signal that ended it.
    """
    texts = [text for text in map(message_of, lines) if text]
    # Newest first: an older line may tell of a fault that the program got over by itself.
    for text in reversed(texts):
        for kind, pattern in _compiled():
            if pattern.search(text):
                return Fault(kind=kind, line=text, retry_after=_retry_after(texts))
    last = texts[-1] if texts else ""
    signal_number = -returncode if returncode < 0 else returncode - 128
    if signal_number in _ENDING_SIGNALS:
        return Fault(kind=FaultKind.INTERRUPTED, line=last)
    return Fault(kind=FaultKind.OTHER, line=last)


def _retry_after(texts: Sequence[str]) -> float | None:
    for text in reversed(texts):
        match = re.search(_RETRY_AFTER, text, re.IGNORECASE)
        if match is not None:
            return float(match["seconds"]) * _UNIT[(match["unit"] or "s").lower()]
    return None


def to_error(fault: Fault, what: str, *, registry: str = "", folder: str = "") -> StxbError:
    """Give the error that tells the user of a fault.

    Args:
        fault: what went wrong.
        what: what was tried, as ``pushing 127.0.0.1:5000/stx-nova:1``; begins the sentence.
        registry: host and port of the registry that took part; empty for none.
        folder: the image store's folder, named when the disk is full.
    """
    kind = _KINDS[fault.kind]
    hint = kind.hint.format(
        registry=registry or "the registry",
        login=f"podman login {registry or 'REGISTRY'}",
        folder=folder or _FULL_FOLDERS,
    )
    sentence = f"{what} failed: {kind.sentence.format(registry=registry or 'the registry')}"
    return kind.error(sentence.rstrip(": "), hint=hint, details=[fault.line] if fault.line else [])


_FULL_FOLDERS = "the image store's folder (podman info names it: graphRoot) or in TMPDIR"


@attrs.frozen
class _Told(Value):
    error: type[StxbError]
    sentence: str
    hint: str = ""


_KINDS: dict[FaultKind, _Told] = {
    FaultKind.NOT_FOUND: _Told(
        InputError,
        "there is no such image or repository",
        "check the name and the tag; podman images lists what the store has",
    ),
    FaultKind.AUTHENTICATION: _Told(
        AuthenticationError,
        "{registry} asks for credentials, or refuses those it was given",
        "log in by `{login}`, or name a credentials file by --authfile",
    ),
    FaultKind.DENIED: _Told(
        AuthenticationError,
        "{registry} does not allow this account to do that",
        "check the repository's name and the account's rights; `{login}` changes the account",
    ),
    FaultKind.DNS: _Told(
        RegistryError,
        "the host name of {registry} is not known",
        "check the spelling, the DNS, and whether a proxy is needed",
    ),
    FaultKind.CONNECTION_REFUSED: _Told(
        RegistryError, "{registry} takes no connections", "check host and port, and whether the registry runs"
    ),
    FaultKind.TLS: _Told(
        RegistryError,
        "the certificate of {registry} is not trusted",
        "put the CA's certificate into ~/.config/containers/certs.d/{registry}/ca.crt, or name its folder by "
        "--cert-dir; --tls-verify=false trusts anybody",
    ),
    FaultKind.PLAIN_HTTP: _Told(
        RegistryError,
        "{registry} answers by plain HTTP where TLS is expected",
        "--tls-verify=false allows plain HTTP; registries.conf allows it for good (insecure = true)",
    ),
    FaultKind.RATE_LIMIT: _Told(
        RegistryError,
        "{registry} limits how many requests it takes",
        "wait, raise --attempts and --retry-delay, or log in by `{login}`: accounts get more",
    ),
    FaultKind.SERVER_ERROR: _Told(RegistryError, "{registry} failed by itself", "try again later, or raise --attempts"),
    FaultKind.RESET: _Told(
        RegistryError, "the connection to {registry} broke off", "try again later, or raise --attempts"
    ),
    FaultKind.TIMEOUT: _Told(
        RegistryError,
        "{registry} did not answer in time",
        "check the network and the proxy settings; try again later, or raise --attempts",
    ),
    FaultKind.DISK_FULL: _Told(
        DiskFullError, "no space is left on the disk", "make room in {folder}; df -h shows what is full"
    ),
    FaultKind.STORAGE_RACE: _Told(
        BuildError,
        "the image store was changed by another program at the same time",
        "run it again; do not remove images while images are built",
    ),
    FaultKind.BLOB_MISSING: _Told(BuildError, "a layer of the base image is neither in the layout nor in the registry"),
    FaultKind.NO_USER_NAMESPACE: _Told(
        HostError,
        "this account cannot make a user namespace",
        "mostly newuidmap is missing (package uidmap or shadow-utils), or the account's ranges: `sudo usermod "
        "--add-subuids 100000-165535 --add-subgids 100000-165535 $USER`; stxb doctor names what it is",
    ),
    FaultKind.INTERRUPTED: _Told(InterruptedByUserError, "it was asked to stop"),
    FaultKind.OTHER: _Told(BuildError, ""),
}
