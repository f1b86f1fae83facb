# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens as registries ask for them (distribution's token specification), for a fault server."""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

import attrs


@attrs.define(kw_only=True)
class Tokens:
    """Makes the server ask for bearer tokens, which it gives at /token, as registries do.

    Attributes:
        uses: how many requests a token is good for; then it has expired.
        login: user and password that /token wants; None to give tokens to everybody.
        refused: pattern of repositories that no token is given for.
        given: the scopes of every token that was given, in order.
    """

    uses: int = 1 << 30
    login: tuple[str, str] | None = None
    refused: str = r"(?!)"
    given: list[tuple[str, ...]] = attrs.field(factory=list)
    _left: dict[str, int] = attrs.field(factory=dict, init=False)

    def give(self, query: str, authorization: str) -> bytes | None:
        """Give the document that holds a new token; None when the password is wrong."""
        if self.login is not None:
            expected = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if authorization != expected:
                return None
        asked = [word for value in parse_qs(query).get("scope", []) for word in value.split()]
        self.given.append(tuple(scope for scope in asked if not re.fullmatch(self.refused, scope.split(":")[1])))
        token = f"token-{len(self.given)}"
        self._left[token] = self.uses
        return json.dumps({"token": token, "expires_in": 3600}).encode()

    def challenge(self, method: str, target: str, authorization: str) -> str | None:
        """Give what is missing of a request's rights, as the words of a challenge; None when nothing is."""
        needed = _needed(method, target)
        token = authorization.removeprefix("Bearer ")
        if self._left.get(token, 0) > 0 and self._covers(token, needed):
            self._left[token] -= 1
            return None
        scope = f',scope="{" ".join(needed)}"' if needed else ""
        return scope + (',error="invalid_token"' if token in self._left else "")

    def _covers(self, token: str, needed: Iterable[str]) -> bool:
        granted: dict[str, set[str]] = {}
        for scope in self.given[int(token.removeprefix("token-")) - 1]:
            name, _, actions = scope.rpartition(":")
            granted.setdefault(name, set()).update(actions.split(","))
        pairs = [scope.rpartition(":") for scope in needed]
        return all(set(actions.split(",")) <= granted.get(name, set()) for name, _, actions in pairs)


def _needed(method: str, target: str) -> list[str]:
    parts = urlsplit(target)
    found = re.match(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/", parts.path)
    if found is None:
        return []
    needed = [f"repository:{found[1]}:{'pull' if method in {'GET', 'HEAD'} else 'pull,push'}"]
    return needed + [f"repository:{source}:pull" for source in parse_qs(parts.query).get("from", [])]
