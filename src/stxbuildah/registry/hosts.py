# SPDX-License-Identifier: Apache-2.0
"""What is known of each registry: how its certificate is checked, whether it speaks TLS, which account it gets."""

import threading
from collections.abc import Mapping

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind
from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.registry.certificates import Trust, find_trust
from stxbuildah.registry.credentials import Credentials, find_credentials, given_credentials
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.fault import RegistryFault
from stxbuildah.registry.http import Connections
from stxbuildah.registry.registriesconf import Registries, read_registries
from stxbuildah.registry.request import Request, host_of
from stxbuildah.registry.tokens import Authorizer, TokenRequest, parse_challenges

_TOKEN_BYTES = 2**20
_OK = 200
_UNAUTHORIZED = 401
# What an insecure registry may answer to TLS when it speaks plain HTTP.
_WITHOUT_TLS = frozenset(
    {FaultKind.PLAIN_HTTP, FaultKind.TLS, FaultKind.CONNECTION_REFUSED, FaultKind.RESET, FaultKind.TIMEOUT}
)
# Where plain HTTP fails too, its own fault tells more than these.
_SAYS_LITTLE = frozenset({FaultKind.PLAIN_HTTP, FaultKind.CONNECTION_REFUSED})


class Hosts:
    """Finds out about each registry once. Safe for several threads.

    Args:
        access: what the user set; its password is for the registries that references name, and not for their mirrors.
        runner: runs credential helpers.
        environment: the variables that podman reads.
        connections: what registries and token services are reached by.
    """

    def __init__(
        self, *, access: RegistryAccess, runner: Runner, environment: Mapping[str, str], connections: Connections
    ) -> None:
        self._access = access
        self._runner = runner
        self._environment = environment
        self._connections = connections
        self._lock = threading.Lock()
        self._read: Registries | None = None
        self._warned: set[str] = set()
        self._trusts: dict[tuple[str, bool], Trust] = {}
        self._schemes: dict[str, str] = {}
        self._accounts: dict[Endpoint, Credentials | None] = {}
        self._authorizers: dict[tuple[str, bool, Credentials | None], Authorizer] = {}

    @property
    def registries(self) -> Registries:
        """What registries.conf says.

        Raises:
            InputError: it has mistakes.
        """
        with self._lock:
            return self._registries()

    def _registries(self) -> Registries:
        if self._read is None:
            self._read = read_registries(self._environment)
        return self._read

    def settled(self, endpoint: Endpoint) -> Endpoint:
        """Give an endpoint with what ``--tls-verify`` says of it, which counts more than registries.conf.

        Nobody who trusts a registry blindly has said so of its mirrors: they are checked as registries.conf says.
        """
        verify = self._access.tls_verify
        if verify is None or (endpoint.mirror and not verify):
            return endpoint
        if not verify and not endpoint.loopback:
            with self._lock:
                new = endpoint.registry not in self._warned
                self._warned.add(endpoint.registry)
            if new:
                hint = "anybody on the way can change the image"
                log.warning("registry.tls.unverified", registry=endpoint.registry, hint=hint)
        return attrs.evolve(endpoint, insecure=not verify)

    def trust(self, endpoint: Endpoint, url: str) -> Trust:
        """Give what a host's certificate is checked by that a registry is, or sends to.

        Args:
            endpoint: the registry.
            url: where the request goes.

        Raises:
            InputError: the folder of certificates is not in order.
        """
        key = (endpoint.registry, endpoint.insecure)
        with self._lock:
            if key not in self._trusts:
                self._trusts[key] = find_trust(
                    self._access, self._environment, endpoint.registry, insecure=endpoint.insecure
                )
            own = self._trusts[key]
        return own if host_of(url) == endpoint.host else own.elsewhere

    def base(self, endpoint: Endpoint) -> str:
        """Give the URL that all paths of a registry are below.

        Raises:
            RegistryFault: an insecure registry had to be asked what it speaks, and does not answer.
        """
        scheme = "https"
        if endpoint.insecure:
            with self._lock:
                known = self._schemes.get(endpoint.registry)
            # Two threads may find out at the same time; they find the same.
            scheme = known or self._found_scheme(endpoint)
            with self._lock:
                self._schemes[endpoint.registry] = scheme
        return _base(scheme, endpoint)

    def _found_scheme(self, endpoint: Endpoint) -> str:
        """Try TLS first, then plain HTTP, as containers/image does (``detectProperties``)."""
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
        url = _base(scheme, endpoint)
        request = Request(
            method="GET", url=url, registry=endpoint.registry, trust=self.trust(endpoint, url), plain=True
        )
        response = self._connections.open(request)
        try:
            if response.status == _UNAUTHORIZED:
                self.authorizer(endpoint).learn(parse_challenges(response.headers.get("WWW-Authenticate", "")))
        finally:
            response.close()

    def authorizer(self, endpoint: Endpoint) -> Authorizer:
        """Give what makes the Authorization headers for a repository.

        Raises:
            InputError: a file of credentials is damaged, or those given are not of the right form.
            HostError: a credential helper failed.
        """
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
        return find_credentials(
            endpoint.registry,
            endpoint.repository,
            access=self._access,
            environment=self._environment,
            runner=self._runner,
            helpers=self._registries().settings.credential_helpers,
        )

    def _token_answer(self, endpoint: Endpoint, asked: TokenRequest) -> bytes:
        form, headers = asked.form, {"Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        request = Request(
            method="GET" if form is None else "POST",
            url=asked.url,
            registry=host_of(asked.url),
            trust=self.trust(endpoint, asked.url),
            headers=headers,
            authorization=asked.authorization,
            content=None if form is None else lambda: (form,),
            length=None if form is None else len(form),
            plain=endpoint.insecure,
        )
        response = self._connections.open(request)
        try:
            if response.status != _OK:
                raise response.fault(endpoint.registry)
            return response.read(_TOKEN_BYTES)
        finally:
            response.close()


def _base(scheme: str, endpoint: Endpoint) -> str:
    return f"{scheme}://{endpoint.host}/v2/"
