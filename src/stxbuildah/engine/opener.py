# SPDX-License-Identifier: Apache-2.0
"""urllib, held to http and https. Imported with the first download: urllib and ssl take their time to load."""

import ssl
from collections.abc import Mapping
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib import request
from urllib.parse import urlsplit

from stxbuildah.errors import InputError
from stxbuildah.model.settings import Proxies


class _Redirects(request.HTTPRedirectHandler):
    """Follows a redirect to http or https, never from https to http."""

    def redirect_request(  # noqa: PLR0917 # urllib's signature
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in {"http", "https"} or (old.scheme, new.scheme) == ("https", "http"):
            fp.close()
            raise InputError(
                f"{old.hostname} redirects from {old.scheme} to {new.scheme}, which is not followed",
                hint=f"give the final URL itself: {new._replace(netloc=new.hostname or '').geturl()}",
            )
        # What was set by add_unredirected_header (credentials) stays with the first host.
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Proxied(request.ProxyHandler):
    """Uses the given proxies, except for the given hosts."""

    def __init__(self, proxies: Mapping[str, str], no: str) -> None:
        self.no = no
        super().__init__(dict(proxies))

    def proxy_open(self, req: request.Request, proxy: str, type: str) -> object:  # noqa: A002 # urllib's name
        if self.no and request.proxy_bypass_environment(req.host, {"no": self.no}):  # type: ignore[attr-defined]
            return None
        return super().proxy_open(req, proxy, type)


class _Statuses(request.HTTPErrorProcessor):
    """Hands redirects on to be followed; every other status is the caller's to read."""

    def http_response(self, request: request.Request, response: HTTPResponse) -> HTTPResponse:
        if response.status in {301, 302, 303, 307, 308} and "location" in response.headers:
            followed: HTTPResponse = super().http_response(request, response)
            return followed
        return response

    https_response = http_response


def opener(proxies: Proxies, ca_bundle: Path | None) -> request.OpenerDirector:
    """Give what opens http and https URLs, and nothing else.

    Args:
        proxies: for http and https, and the hosts that need none.
        ca_bundle: certificates to trust besides the system's; None for the system's alone.

    Raises:
        InputError: the bundle cannot be read.
    """
    context = ssl.create_default_context()
    if ca_bundle is not None:
        try:
            context.load_verify_locations(ca_bundle)
        except OSError as error:
            raise InputError(f"{ca_bundle} is no file of certificates: {error}") from error
    named = {name: url for name, url in (("http", proxies.http), ("https", proxies.https)) if url}
    director = request.OpenerDirector()
    # Put together by hand: build_opener() would add file:, ftp: and data:.
    for handler in (
        _Proxied(named, proxies.no),
        request.HTTPHandler(),
        request.HTTPSHandler(context=context),
        _Redirects(),
        request.HTTPDefaultErrorHandler(),
        _Statuses(),
    ):
        director.add_handler(handler)
    return director
