# SPDX-License-Identifier: Apache-2.0
"""What went wrong with a request to a registry, by the same classes as for the programs that speak to one."""

import json
import re
import time
from collections.abc import Mapping

from stxbuildah.engine.faults import Fault, FaultKind, to_error
from stxbuildah.errors import InputError, RegistryError, StxbError

_KIND_OF_STATUS = {
    401: FaultKind.AUTHENTICATION,
    403: FaultKind.DENIED,
    404: FaultKind.NOT_FOUND,
    408: FaultKind.TIMEOUT,
    425: FaultKind.SERVER_ERROR,
    429: FaultKind.RATE_LIMIT,
    500: FaultKind.SERVER_ERROR,
    502: FaultKind.SERVER_ERROR,
    503: FaultKind.SERVER_ERROR,
    504: FaultKind.SERVER_ERROR,
}
# Some registries hide behind another status what their code says; Docker's denies by 401.
_KIND_OF_CODE = {"DENIED": FaultKind.DENIED, "TOOMANYREQUESTS": FaultKind.RATE_LIMIT}
_SHOWN = 300


class RegistryFault(Exception):  # noqa: N818 # an error is what the user is told; this is what callers decide upon
    """A request that failed, or an answer that is not what was asked for.

    Attributes:
        kind: what went wrong.
        status: status of the answer; 0 when there was none.
        code: the registry's own code (distribution specification, error codes), as ``MANIFEST_UNKNOWN``; or empty.
        text: what the registry or the connection says of it, without secrets; one line.
        retry_after: seconds that the registry asks to wait; None when it names none.
        registry: host and port that the request was for.
    """

    def __init__(
        self,
        kind: FaultKind,
        *,
        status: int = 0,
        code: str = "",
        text: str = "",
        retry_after: float | None = None,
        registry: str = "",
    ) -> None:
        super().__init__(": ".join(part for part in (registry, kind.value, text) if part))
        self.kind = kind
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.registry = registry

    @property
    def fault(self) -> Fault:
        """The same as what is said of a program's failure."""
        return Fault(kind=self.kind, line=self.text, retry_after=self.retry_after)

    @property
    def transient(self) -> bool:
        """Whether the same may work a little later."""
        return self.fault.transient

    def error(self, what: str) -> StxbError:
        """Give the error that tells the user.

        Args:
            what: what was tried, as ``reading quay.example/stx-nova:1``; begins the sentence.
        """
        details = [self.text] if self.text else []
        if self.kind is FaultKind.NOT_FOUND:
            # The store of podman images has no part in it, so its hint would mislead.
            return InputError(
                f"{what} failed: there is no such image or repository",
                hint="check the name and the tag; some registries hide what an account may not see: "
                f"podman login {self.registry or 'REGISTRY'}",
                details=details,
            )
        if self.kind is FaultKind.OTHER:
            return RegistryError(f"{what} failed: {self.text}")
        return to_error(self.fault, what, registry=self.registry)


def status_fault(status: int, headers: Mapping[str, str], body: bytes, *, registry: str, url: str) -> RegistryFault:
    """Tell what an answer means that is not what was asked for.

    Args:
        status: its status.
        headers: by name, in any case; Retry-After is read.
        body: its beginning; the errors of the distribution specification ("Error Codes"), or anything else.
        registry: host and port that the request was for.
        url: what answered, without secrets.
    """
    code, message = _problem(body)
    kind = _KIND_OF_STATUS.get(status, FaultKind.OTHER)
    if kind in {FaultKind.AUTHENTICATION, FaultKind.DENIED}:
        kind = _KIND_OF_CODE.get(code, kind)
    told = ": ".join(part for part in (code, message) if part)
    text = f"{url} answers {status}" + (f": {told}" if told else "")
    return RegistryFault(
        kind,
        status=status,
        code=code,
        text=text,
        retry_after=retry_after(headers.get("Retry-After", "")),
        registry=registry,
    )


def _problem(body: bytes) -> tuple[str, str]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    match parsed:
        # A token service answers with one error and no list of them (RFC 6749 5.2).
        case {"errors": [{**first}, *_]}:
            code, message = first.get("code"), first.get("message")
        case {"error": str(code), **rest}:
            message = rest.get("error_description")
        case {"details": str(message)}:
            code = ""
        case _:
            return "", ""
    return _line(code), _line(message)


def _line(value: object) -> str:
    # An answer is anybody's text: no line breaks, escape sequences or marks of direction reach the terminal.
    text = value[:_SHOWN] if isinstance(value, str) else ""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def retry_after(value: str, now: float | None = None) -> float | None:
    """Give the seconds that a Retry-After header asks to wait; None when it says nothing that is understood.

    Args:
        value: seconds, or a date (RFC 9110, 10.2.3).
        now: seconds since the epoch that a date is compared with; this moment when None.
    """
    from email.utils import parsedate_to_datetime

    if re.fullmatch(r"[0-9]{1,9}", value.strip(), re.ASCII):
        return float(value)
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))
