# SPDX-License-Identifier: Apache-2.0
"""Requests of sessions to servers of the tests' own, in short."""

from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.session import RegistrySession
from tests.unit.registry.fakehost import Answer, Asked, FakeHost

OK = frozenset({200})
PATH = "a/b/manifests/1"


def at(host: FakeHost, *, insecure: bool = True, mirror: bool = False) -> Endpoint:
    return Endpoint(registry=host.address, repository="a/b", insecure=insecure, mirror=mirror)


def get(session: RegistrySession, endpoint: Endpoint, path: str = PATH, attempts: int | None = None) -> bytes:
    with session.request(endpoint, "GET", path, expect=OK, attempts=attempts) as response:
        return response.read(10_000)


def without_pings(host: FakeHost) -> list[Asked]:
    return [asked for asked in host.asked if asked.path != "/v2/"]


def behind_ping(host: FakeHost, *answers: Answer) -> None:
    """Answer the question for the scheme well, and then in this order."""
    left = list(answers)

    def reply(asked: Asked) -> Answer:
        if asked.path == "/v2/":
            return Answer()
        return left.pop(0) if len(left) > 1 else left[0]

    host.reply = reply
