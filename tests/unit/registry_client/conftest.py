# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the registry client: registries in memory, servers in front that spoil requests, and sessions."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.registry.client import RegistryClient
from stxbuildah.registry.session import RegistrySession
from tests.engine.faultrules import Fault
from tests.engine.faultserver import FaultServer, running_fault_server
from tests.engine.tokengate import Tokens
from tests.unit.registry_client.memory import MemoryRegistry, running_registry

# Longer than a busy machine needs for an answer that comes; only a stalled one takes it.
STALLED = 4.0


@attrs.define
class Scene:
    """Registries, servers in front of them, and clients, all ended with the test.

    Attributes:
        home: folder of the user's settings.
    """

    home: Path
    _running: ExitStack

    def registry(self) -> MemoryRegistry:
        return self._running.enter_context(running_registry())

    def front(self, registry: MemoryRegistry, *faults: Fault, tokens: Tokens | None = None) -> FaultServer:
        return self._running.enter_context(running_fault_server(registry.address, *faults, tokens=tokens))

    def fronted(self, registry: MemoryRegistry, *faults: Fault) -> AbstractContextManager[FaultServer]:
        """Put a server in front for a block only."""
        return running_fault_server(registry.address, *faults)

    def client(self, *, attempts: int = 4, read_timeout: float = 60.0) -> RegistryClient:
        session = RegistrySession(
            access=RegistryAccess(tls_verify=False, timeout=read_timeout),
            retry=Retry(attempts=attempts, delay=0.01),
            proxies=Proxies(),
            runner=Runner(),
            environment={"HOME": str(self.home)},
        )
        return RegistryClient(self._running.enter_context(session))

    def mirrors(self, location: str, *mirrors: str) -> None:
        """Write a registries.conf in which a registry has mirrors."""
        lines = ["[[registry]]", f'location = "{location}"', "insecure = true"]
        for mirror in mirrors:
            lines += ["[[registry.mirror]]", f'location = "{mirror}"', "insecure = true"]
        folder = self.home / ".config/containers"
        folder.mkdir(parents=True)
        (folder / "registries.conf").write_text("\n".join(lines) + "\n")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as running:
        yield Scene(tmp_path, running)


@pytest.fixture
def registry(scene: Scene) -> MemoryRegistry:
    return scene.registry()


@pytest.fixture
def client(scene: Scene) -> RegistryClient:
    return scene.client()


Front = Callable[..., FaultServer]


@pytest.fixture
def front(scene: Scene, registry: MemoryRegistry) -> Front:
    """Puts a server in front of the registry: ``front(Fault(...))``."""
    return lambda *faults, tokens=None: scene.front(registry, *faults, tokens=tokens)
