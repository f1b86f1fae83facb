# SPDX-License-Identifier: Apache-2.0
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.registry.session import RegistrySession
from tests.engine.registries import make_certificates
from tests.unit.registry.fakehost import Certificates, FakeHost, running_host

SessionMaker = Callable[..., RegistrySession]
# So that a test of faults does not wait: the pause is what the user set, once there is more than one attempt.
QUICK = Retry(attempts=3, delay=0.0)


@pytest.fixture
def host() -> Iterator[FakeHost]:
    """A server without TLS."""
    with running_host() as running:
        yield running


@pytest.fixture
def other_host() -> Iterator[FakeHost]:
    """Another server without TLS."""
    with running_host() as running:
        yield running


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates")
    folder = tmp_path_factory.mktemp("certificates")
    authority, certificate, key = make_certificates(folder / "made")
    return Certificates(folder=folder, authority=authority, certificate=certificate, key=key)


@pytest.fixture
def tls_host(certificates: Certificates) -> Iterator[FakeHost]:
    """A server whose certificate is of the tests' own CA; it takes a client's certificate."""
    with running_host(certificates.server_context(clients=True)) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home without any settings; registries.conf is empty whatever the machine has."""
    home = tmp_path / "home"
    (home / ".config/containers").mkdir(parents=True)
    (home / ".config/containers/registries.conf").write_text("")
    (home / "runtime").mkdir()
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "runtime")}


@pytest.fixture
def make_session(environment: dict[str, str]) -> Iterator[SessionMaker]:
    """Makes sessions: ``make_session(tls_verify=False)``."""
    with ExitStack() as open_sessions:

        def make(
            access: RegistryAccess | None = None,
            retry: Retry = QUICK,
            proxies: Proxies | None = None,
            variables: Mapping[str, str] | None = None,
        ) -> RegistrySession:
            session = RegistrySession(
                access=access or RegistryAccess(tls_verify=False),
                retry=retry,
                proxies=proxies or Proxies(),
                runner=Runner(),
                environment={**environment, **(variables or {})},
            )
            return open_sessions.enter_context(session)

        yield make
