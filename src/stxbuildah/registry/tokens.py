# SPDX-License-Identifier: Apache-2.0
"""Who we are to a registry: its challenges, Basic, and the bearer tokens of its token service.

After RFC 9110 11.6.1 (challenges), and the distribution project's token and OAuth 2 specifications
(https://distribution.github.io/distribution/spec/auth/token/, .../auth/oauth/).
"""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from stxbuildah.engine.download import shown
from stxbuildah.engine.faults import FaultKind
from stxbuildah.model.reference import is_loopback
from stxbuildah.model.value import Value
from stxbuildah.registry.credentials import Credentials
from stxbuildah.registry.fault import RegistryFault

# The specification's own default; a token lives at least as long, or it says so.
_DEFAULT_LIFETIME = 60.0
# A token is not used to its last moment: the request is still under way then.
_USED_SHARE = 0.8
_LONGEST_LIFETIME = 24 * 3600.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_CLIENT = "stxbuildah"

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_NAME})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_NAME}))[ \t]*')
_SCHEME = re.compile(rf"({_NAME})(?:[ \t]+|(?=,|$))")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")


@attrs.frozen(kw_only=True)
class Challenge(Value):
    """One way to log in that a registry names.

    Attributes:
        scheme: in lower case, as ``bearer``.
        parameters: by their name in lower case; the first of a name counts.
    """

    scheme: str
    parameters: Mapping[str, str] = attrs.field(factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read a WWW-Authenticate header, or several joined by commas.

    What cannot be read ends the list: half a challenge is none.
    """
    found: list[Challenge] = []
    place = 0
    while (place := _skipped(header, place)) < len(header):
        scheme = _SCHEME.match(header, place)
        if scheme is None:
            break
        place, parameters = _parameters(header, scheme.end())
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
        if place < len(header) and header[place] != ",":
            found.pop()
            break
    return tuple(found)


def _skipped(header: str, place: int) -> int:
    while place < len(header) and header[place] in ", \t":
        place += 1
    return place


def _parameters(header: str, place: int) -> tuple[int, dict[str, str]]:
    parameters: dict[str, str] = {}
    while (found := _PARAMETER.match(header, place)) is not None:
        name, quoted, plain = found.groups()
        parameters.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        place = found.end()
        if place >= len(header) or header[place] != ",":
            return place, parameters
        following = _skipped(header, place)
        if _PARAMETER.match(header, following) is None:
            return place, parameters
        place = following
    # NTLM, Negotiate and their like have one bare word in place of parameters.
    word = None if parameters else _TOKEN68.match(header, place)
    return (word.end() if word is not None else place), parameters


@attrs.frozen(kw_only=True)
class TokenRequest(Value):
    """What a token service is asked.

    Attributes:
        url: with its query.
        authorization: value of that header; or empty.
        form: body of a POST; None for a GET.
    """

    url: str
    authorization: str = attrs.field(default="", repr=False)
    form: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class _Token(Value):
    value: str = attrs.field(repr=False)
    until: float


class Authorizer:
    """Gives the Authorization header for one registry and one account. Safe for several threads.

    Args:
        registry: host and port, for messages.
        credentials: the account; None for nobody.
        ask: sends a request to the token service and gives its answer's body; raises RegistryFault.
        plain: whether the token service may be spoken to without TLS, as the registry itself.
        clock: gives seconds that only go forward.
    """

    def __init__(
        self,
        *,
        registry: str,
        credentials: Credentials | None,
        ask: Callable[[TokenRequest], bytes],
        plain: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._credentials = credentials
        self._ask = ask
        self._plain = plain
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[frozenset[str], _Token] = {}
        self._wider: dict[frozenset[str], frozenset[str]] = {}

    def header(self, scopes: Iterable[str]) -> str:
        """Give the header for a request; empty as long as the registry has not asked for one.

        Raises:
            RegistryFault: the token service refused, failed or cannot be trusted.
        """
        with self._lock:
            return self._header(frozenset(scopes), refused="")

    def learn(self, challenges: Iterable[Challenge]) -> None:
        """Take note of what a registry asks for."""
        with self._lock:
            self._learn(challenges)

    def renewed(self, challenges: Iterable[Challenge], scopes: Iterable[str], refused: str) -> str:
        """Give another header after a request was refused; empty when there is none to try.

        Args:
            challenges: of the refusal.
            scopes: of the request.
            refused: the header that it had; or empty.

        Raises:
            RegistryFault: as ``header``.
        """
        with self._lock:
            asked = self._learn(challenges)
            wanted = frozenset(scopes)
            if refused.startswith("Bearer ") and asked is not None:
                # The registry may want more than we thought, as for a mount.
                further = frozenset(asked.parameters.get("scope", "").split())
                self._wider[wanted] = self._wider.get(wanted, wanted) | further
            header = self._header(wanted, refused=refused)
            return "" if header == refused else header

    def _learn(self, challenges: Iterable[Challenge]) -> Challenge | None:
        known = {challenge.scheme: challenge for challenge in reversed(tuple(challenges))}
        bearer = known.get("bearer")
        chosen = bearer if bearer is not None and bearer.parameters.get("realm") else known.get("basic")
        if chosen is not None:
            self._challenge = chosen
        return chosen

    def _header(self, scopes: frozenset[str], *, refused: str) -> str:
        if self._challenge is None:
            return ""
        if self._challenge.scheme == "basic":
            return _basic(self._credentials)
        wanted = self._wider.get(scopes, scopes)
        token = self._tokens.get(wanted)
        if token is None or token.until <= self._clock() or f"Bearer {token.value}" == refused:
            token = self._tokens[wanted] = self._fetched(self._challenge, wanted)
        return f"Bearer {token.value}"

    def _fetched(self, challenge: Challenge, scopes: frozenset[str]) -> _Token:
        asked = self._clock()
        value, lifetime = _answer(self._ask(self._request(challenge, scopes)))
        if _TOKEN.fullmatch(value) is None:
            raise RegistryFault(
                FaultKind.OTHER, text="the token service answers without a token", registry=self._registry
            )
        return _Token(value=value, until=asked + _USED_SHARE * lifetime)

    def _request(self, challenge: Challenge, scopes: frozenset[str]) -> TokenRequest:
        realm = challenge.parameters["realm"]
        self._check(realm)
        service = challenge.parameters.get("service", "")
        ordered = sorted(scopes)
        if self._credentials is not None and self._credentials.identity_token:
            fields = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": _CLIENT,
                "scope": " ".join(ordered),
                "refresh_token": self._credentials.identity_token,
            }
            return TokenRequest(url=realm, form=urlencode(fields).encode())
        parts = urlsplit(realm)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if self._credentials is not None:
            query.append(("account", self._credentials.username))
        if service:
            query.append(("service", service))
        query += [("scope", scope) for scope in ordered]
        return TokenRequest(
            url=parts._replace(query=urlencode(query), fragment="").geturl(), authorization=_basic(self._credentials)
        )

    def _check(self, realm: str) -> None:
        # The realm is the registry's own word; credentials must not leave by it in clear text.
        try:
            parts = urlsplit(realm)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if not host or parts.username is not None or parts.scheme not in {"http", "https"}:
            raise RegistryFault(
                FaultKind.OTHER, text=f"the token service {shown_realm(realm)} is no URL", registry=self._registry
            )
        if parts.scheme == "http" and not self._plain and not is_loopback(parts.netloc):
            raise RegistryFault(
                FaultKind.OTHER,
                text=f"the token service {shown_realm(realm)} is not spoken to by TLS; no credentials are sent there",
                registry=self._registry,
            )


def shown_realm(realm: str) -> str:
    """Give a realm to read, whatever it is: without user, password and query."""
    try:
        return repr(shown(realm))
    except ValueError:
        return "of its challenge"


def _basic(credentials: Credentials | None) -> str:
    if credentials is None or not credentials.username:
        return ""
    pair = f"{credentials.username}:{credentials.password}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _answer(body: bytes) -> tuple[str, float]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "", 0.0
    if not isinstance(parsed, dict):
        return "", 0.0
    # Services call it by either name, or by both.
    value = parsed.get("token") or parsed.get("access_token")
    seconds = parsed.get("expires_in")
    lifetime = min(seconds, _LONGEST_LIFETIME) if isinstance(seconds, int) and seconds > 0 else _DEFAULT_LIFETIME
    return value if isinstance(value, str) else "", lifetime
