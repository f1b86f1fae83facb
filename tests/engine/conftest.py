# SPDX-License-Identifier: Apache-2.0
"""Fixtures around the real programs: private stores, a base image, registries.

Everything lives in one folder of the session, on a tmpfs where there is one, with a home of its own: neither the
user's images nor the user's settings are touched or seen.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.probe import choose_host
from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Store
from stxbuildah.model.host import UserChoices
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices, RegistryAccess, Retry
from tests.engine import registries
from tests.engine.baseimage import cached_base_layout
from tests.engine.environments import WithPath, made_environments
from tests.engine.registries import FaultProxy, Registry, Rule
from tests.engine.stxb import Images, Stxb, StxbMaker

PROGRAMS = ("buildah", "podman", "skopeo", "mmdebstrap", "newuidmap", "openssl", "htpasswd")
ROOM_NEEDED = 4 << 30


@attrs.frozen(kw_only=True)
class EngineStore:
    """A private image store.

    Attributes:
        driver: its storage driver.
        choices: how programs are run on it.
        runner: runs them.
        store: the store as the engine sees it.
    """

    driver: str
    choices: HostChoices
    runner: Runner
    store: Store


def unavailable(sentence: str) -> None:
    """Skip, or fail where the engine tests must run (nox and CI set STXB_REQUIRE_ENGINE=1)."""
    if os.environ.get("STXB_REQUIRE_ENGINE") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def engine_folder() -> Iterator[Path]:
    """The session's folder; what is in it may belong to the account's subordinate users."""
    if os.geteuid() == 0:
        unavailable("the engine tests run as an ordinary account: root hides every rootless fault")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if shutil.which("docker-registry") is None and shutil.which("registry") is None:
        missing.append("docker-registry")
    if missing:
        unavailable(f"the engine tests need {', '.join(missing)}; ./bootstrap installs what they need")
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_NEEDED
    folder = Path(tempfile.mkdtemp(prefix="stxb-engine-", dir=memory if roomy else None))
    try:
        yield folder
    finally:
        Runner().run(["buildah", "unshare", "rm", "-rf", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def engine_home(engine_folder: Path) -> Path:
    """A home without any settings, where containers' blob-info cache lives as long as the session."""
    home = engine_folder / "home"
    configuration = home / ".config/containers"
    configuration.mkdir(parents=True)
    (configuration / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (configuration / "registries.conf").write_text('short-name-mode = "enforcing"\n')
    (engine_folder / "runtime").mkdir(mode=0o700)
    return home


@pytest.fixture(scope="session")
def stores(engine_folder: Path, engine_home: Path) -> dict[str, EngineStore]:
    """One private store for each of the drivers ``overlay`` and ``vfs``."""
    return {driver: make_store(engine_folder, engine_home, driver) for driver in ("overlay", "vfs")}


def make_store(folder: Path, home: Path, driver: str) -> EngineStore:
    """Make a private store below a folder, which has a folder ``runtime``."""
    root = folder / driver
    root.mkdir()
    # Rootless buildah and podman read graphroot from the user's own storage.conf alone; of a file that the
    # environment names they take rootless_storage_path, and the runroot from XDG_RUNTIME_DIR. skopeo takes both.
    (root / "storage.conf").write_text(
        f"""\
[storage]
driver = "{driver}"
graphroot = "{root}/root"
rootless_storage_path = "{root}/root"
runroot = "{folder}/runtime/containers"
"""
    )
    environment = {
        "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_RUNTIME_DIR": str(folder / "runtime"),
    }
    found = choose_host(UserChoices(), {**os.environ, **environment})
    choices = attrs.evolve(found, environment=tuple(sorted({**environment, **dict(found.environment)}.items())))
    runner = Runner(extra=choices.environment)
    store = Store(runner=runner, access=RegistryAccess(tls_verify=False), retry=Retry())
    return EngineStore(driver=driver, choices=choices, runner=runner, store=store)


@pytest.fixture(scope="session")
def choices(stores: dict[str, EngineStore]) -> HostChoices:
    """How programs are run on the overlay store."""
    return stores["overlay"].choices


@pytest.fixture(scope="session")
def runner(stores: dict[str, EngineStore]) -> Runner:
    """Runs programs on the overlay store."""
    return stores["overlay"].runner


@pytest.fixture(scope="session")
def store(stores: dict[str, EngineStore]) -> Store:
    """The overlay store; registries may speak plain HTTP."""
    return stores["overlay"].store


@pytest.fixture(scope="session")
def base_layout(engine_folder: Path) -> Path:
    """An OCI layout that holds the base image (Debian, Python, pip) as ``base``; not to be changed."""
    return cached_base_layout()


@pytest.fixture(scope="session")
def base_image(store: Store, base_layout: Path) -> ImageReference:
    """The base image in the overlay store."""
    return import_base(store, base_layout)


@pytest.fixture(scope="session")
def vfs_base_image(stores: dict[str, EngineStore], base_layout: Path) -> ImageReference:
    """The base image in the vfs store."""
    return import_base(stores["vfs"].store, base_layout)


def import_base(store: Store, layout: Path) -> ImageReference:
    """Put the base image into a store."""
    reference = ImageReference.parse("localhost/tests/base:1")
    store.import_image(f"oci:{layout}:base", reference)
    return reference


@pytest.fixture(scope="session")
def registry(engine_folder: Path) -> Iterator[Registry]:
    """A registry that speaks plain HTTP."""
    with registries.running_registry(engine_folder / "registry") as running:
        yield running


@pytest.fixture(scope="session")
def registry_base(registry: Registry, base_layout: Path, runner: Runner) -> ImageReference:
    """The base image in the plain registry."""
    reference = ImageReference.parse(f"{registry.address}/tests/base:1")
    source = f"oci:{base_layout}:base"
    runner.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, f"docker://{reference}"])
    return reference


@pytest.fixture(scope="session")
def tls_registry(engine_folder: Path) -> Iterator[Registry]:
    """A registry with a certificate of a private CA; ``certs_d`` is the folder that makes it trusted.

    No program trusts it by itself: a test links or copies the folder to ``.config/containers/certs.d`` of a home,
    or gives it as ``--cert-dir``.
    """
    authority, certificate, key = registries.make_certificates(engine_folder / "certificates")
    with registries.running_registry(engine_folder / "tls-registry", tls=(certificate, key)) as running:
        trusted = engine_folder / "certs.d" / running.address
        trusted.mkdir(parents=True)
        shutil.copy(authority, trusted / "ca.crt")
        yield attrs.evolve(running, certs_d=trusted)


@pytest.fixture(scope="session")
def auth_registry(engine_folder: Path) -> Iterator[Registry]:
    """A registry that asks for a name and a password; ``authfile`` holds them (registries.USER and PASSWORD)."""
    folder = engine_folder / "auth"
    folder.mkdir()
    htpasswd = folder / "htpasswd"
    Runner().run(["htpasswd", "-Bic", str(htpasswd), registries.USER], stdin=registries.PASSWORD.encode())
    with registries.running_registry(engine_folder / "auth-registry", htpasswd=htpasswd) as running:
        yield attrs.evolve(running, authfile=registries.write_authfile(folder / "auth.json", running.address))


@pytest.fixture
def fault_proxy(registry: Registry) -> Iterator[Callable[..., FaultProxy]]:
    """Makes proxies in front of the plain registry: ``fault_proxy(Rule(...), Rule(...))``."""
    with ExitStack() as running:

        def make(*rules: Rule, upstream: Registry = registry) -> FaultProxy:
            opened: AbstractContextManager[FaultProxy] = registries.running_proxy(upstream, *rules)
            return running.enter_context(opened)

        yield make


@pytest.fixture
def make_stxb(stores: dict[str, EngineStore], tmp_path: Path) -> StxbMaker:
    """Makes the command ``stxb`` on one of the private stores, each with a cache and a folder of its own."""

    def make(driver: str = "overlay") -> Stxb:
        return stxb_of(stores[driver], Path(tempfile.mkdtemp(prefix=f"{driver}-", dir=tmp_path)))

    return make


@pytest.fixture(scope="module")
def module_stxb(stores: dict[str, EngineStore], tmp_path_factory: pytest.TempPathFactory) -> Stxb:
    """The command ``stxb`` on the overlay store, for fixtures that several tests share."""
    return stxb_of(stores["overlay"], tmp_path_factory.mktemp("stxb"))


def stxb_of(store: EngineStore, folder: Path) -> Stxb:
    """Give the command ``stxb`` on a store, with a cache and a state of its own in a folder."""
    own = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    return Stxb(folder=folder, environment={**dict(store.choices.environment), **own})


@pytest.fixture
def stxb(make_stxb: StxbMaker) -> Stxb:
    """The command ``stxb`` on the overlay store."""
    return make_stxb()


@pytest.fixture(scope="session")
def images(runner: Runner, registry: Registry) -> Images:
    """Looks into images of the overlay store."""
    return Images(runner=runner, registry=registry)


@pytest.fixture(scope="session")
def environments(runner: Runner, base_image: ImageReference, engine_folder: Path) -> Iterator[WithPath]:
    """Makes images that have modules of every origin (tests/engine/environments.py), with PATH as given."""
    with made_environments(runner, base_image, engine_folder / "environments") as image:
        yield image
