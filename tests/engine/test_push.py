# SPDX-License-Identifier: Apache-2.0
import hashlib
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Presence, Store
from stxbuildah.errors import AuthenticationError, InputError, InterruptedByUserError, RegistryError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.stored import digest_of
from tests.engine.images import documents_of, image_with, manifest_digest
from tests.engine.registries import PASSWORD, USER, FaultProxy, Registry, Rule, free_port, write_authfile

pytestmark = pytest.mark.engine

parse = ImageReference.parse
UPLOADS = "/blobs/uploads/"
MANIFESTS = "/manifests/"
BROKEN = 0
QUICK = Retry(attempts=3, delay=0.01)


@pytest.fixture
def image(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> ImageReference:
    """An image in the store that no other test has pushed anywhere."""
    key = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    reference = parse(f"localhost/push/{key}:1")
    store.import_image(image_with(tmp_path / "image-of-its-own", key), reference)
    return reference


def destination(address: str, name: ImageReference) -> ImageReference:
    return parse(f"{address}/tests/{name.label}:1")


def test_the_digest_is_what_the_registry_serves(store: Store, registry: Registry, image: ImageReference) -> None:
    target = destination(registry.address, image)

    digest = store.push(image, target)

    assert digest == digest_of(registry.manifest(f"tests/{image.label}", "1"))
    assert store.exists_in_registry(target.with_digest(digest)).presence is Presence.PRESENT


def test_pushing_again_gives_the_same_digest(store: Store, registry: Registry, image: ImageReference) -> None:
    first = store.push(image, destination(registry.address, image))
    assert store.push(image, destination(registry.address, image)) == first


def test_a_layout_is_pushed_as_it_is_before_the_store_has_it(
    store: Store, registry: Registry, registry_base: ImageReference, base_image: ImageReference, tmp_path: Path
) -> None:
    # In the repository of the base the registry has the base's layer; the layout lacks it.
    source = image_with(tmp_path, "straight", base=store.documents(base_image))
    never = parse("localhost/never-stored:1")

    digest = store.push(never, registry_base.with_tag("straight"), layout=source, stored=lambda: pytest.fail("waited"))

    assert digest == manifest_digest(source)
    assert registry.manifest("tests/base", "straight") == documents_of(source).manifest
    assert store.find(never) is None


def test_the_bases_layers_are_mounted_from_another_repository(
    store: Store, registry: Registry, registry_base: ImageReference, base_image: ImageReference, tmp_path: Path
) -> None:
    assert registry_base.name.endswith("/tests/base")
    source = image_with(tmp_path, "mounted", base=store.documents(base_image))
    target = parse(f"{registry.address}/elsewhere/mounted:1")

    digest = store.push(parse("localhost/never-stored:1"), target, layout=source)

    assert digest == manifest_digest(source)
    assert registry.manifest("elsewhere/mounted", "1") == documents_of(source).manifest


def test_without_the_bases_layers_in_the_registry_the_store_is_waited_for_and_pushed(
    store: Store, tls_registry: Registry, tmp_path: Path
) -> None:
    base = image_with(tmp_path / "base", "a base that no registry has")
    store.import_image(base, parse("localhost/fallback-base:1"))
    source = image_with(tmp_path, "fallback", base=documents_of(base))
    name = parse("localhost/fallback:1")
    target = parse(f"{tls_registry.address}/tests/fallback:1")
    waited: list[str] = []

    digest = store.push(name, target, layout=source, stored=lambda: waited.append(store.import_image(source, name)))

    assert waited == [manifest_digest(source)]
    assert store.exists_in_registry(target).digest == digest


def test_layers_are_compressed_as_asked(store: Store, registry: Registry, image: ImageReference) -> None:
    store.push(image, destination(registry.address, image), compression_format="zstd")
    assert b"tar+zstd" in registry.manifest(f"tests/{image.label}", "1")


def trusting(store: Store, registry: Registry, home: Path) -> Store:
    """Give the store with a home whose certs.d trusts the registry, and with verification left on."""
    assert registry.certs_d is not None
    shutil.copytree(registry.certs_d, home / ".config/containers/certs.d" / registry.address)
    shutil.copy(Path(dict(store.runner.extra)["HOME"]) / ".config/containers/policy.json", home / ".config/containers")
    runner = Runner(extra=(*store.runner.extra, ("HOME", str(home)), ("XDG_CONFIG_HOME", str(home / ".config"))))
    return attrs.evolve(store, runner=runner, access=RegistryAccess())


def test_a_private_authority_in_certs_d_is_trusted(
    store: Store, tls_registry: Registry, image: ImageReference, tmp_path: Path
) -> None:
    trusted = trusting(store, tls_registry, tmp_path)
    target = destination(tls_registry.address, image)

    digest = trusted.push(image, target)

    assert trusted.exists_in_registry(target).digest == digest
    assert trusted.pull(target) == target


def test_a_private_authority_in_a_named_folder_is_trusted(
    store: Store, tls_registry: Registry, image: ImageReference
) -> None:
    named = attrs.evolve(store, access=RegistryAccess(cert_dir=tls_registry.certs_d))
    target = destination(tls_registry.address, image)
    assert named.exists_in_registry(target).presence is Presence.ABSENT
    assert named.push(image, target) == named.exists_in_registry(target).digest


def test_an_unknown_authority_is_refused_at_once(store: Store, tls_registry: Registry, image: ImageReference) -> None:
    strict = attrs.evolve(store, access=RegistryAccess(), retry=Retry(attempts=3, delay=60))

    with pytest.raises(RegistryError, match=f"the certificate of {tls_registry.address} is not trusted") as caught:
        strict.push(image, destination(tls_registry.address, image))

    assert f"certs.d/{tls_registry.address}/ca.crt" in caught.value.hint


def test_plain_http_is_refused_unless_it_is_allowed(store: Store, registry: Registry, image: ImageReference) -> None:
    strict = attrs.evolve(store, access=RegistryAccess(), retry=Retry(attempts=3, delay=60))

    with pytest.raises(RegistryError, match=f"{registry.address} answers by plain HTTP") as caught:
        strict.push(image, destination(registry.address, image))

    assert "--tls-verify=false" in caught.value.hint


def test_an_auth_file_opens_a_registry(store: Store, auth_registry: Registry, image: ImageReference) -> None:
    access = RegistryAccess(authfile=auth_registry.authfile, tls_verify=False)
    known = attrs.evolve(store, access=access)
    target = destination(auth_registry.address, image)

    digest = known.push(image, target)

    assert known.exists_in_registry(target).digest == digest
    assert known.pull(target) == target


def test_the_auth_file_of_the_environment_is_used(store: Store, auth_registry: Registry, image: ImageReference) -> None:
    runner = Runner(extra=(*store.runner.extra, ("REGISTRY_AUTH_FILE", str(auth_registry.authfile))))
    target = destination(auth_registry.address, image)
    assert attrs.evolve(store, runner=runner).push(image, target).startswith("sha256:")


def test_credentials_of_the_command_line_work_and_stay_hidden(
    store: Store, auth_registry: Registry, image: ImageReference
) -> None:
    lines: list[str] = []
    wrong = "x" + PASSWORD
    runner = attrs.evolve(store.runner, on_line=lines.append)
    for password, works in ((PASSWORD, True), (wrong, False)):
        access = RegistryAccess(creds=f"{USER}:{password}", tls_verify=False)
        known = attrs.evolve(store, runner=runner, access=access)
        target = destination(auth_registry.address, image)
        if works:
            assert known.push(image, target).startswith("sha256:")
        else:
            with pytest.raises(AuthenticationError) as caught:
                known.push(image, target)
            cause = caught.value.__cause__
            told = "\n".join(
                [str(caught.value), caught.value.hint, *caught.value.details, *lines, str(cause), repr(known)]
            )
            assert password not in told
    runtime = Path(dict(store.runner.extra)["XDG_RUNTIME_DIR"])
    assert list(runtime.glob("stxb-*")) == []


@pytest.mark.parametrize("creds", ["nobody", ":password", "nobody:"])
def test_credentials_without_name_or_password_are_an_error_of_the_input(
    store: Store, auth_registry: Registry, image: ImageReference, creds: str
) -> None:
    known = attrs.evolve(store, access=RegistryAccess(creds=creds, tls_verify=False))
    with pytest.raises(InputError, match="not of the form user:password"):
        known.push(image, destination(auth_registry.address, image))


def test_wrong_credentials_are_not_tried_again(
    store: Store,
    auth_registry: Registry,
    image: ImageReference,
    fault_proxy: Callable[..., FaultProxy],
    tmp_path: Path,
) -> None:
    proxy = fault_proxy(upstream=auth_registry)
    authfile = write_authfile(tmp_path / "auth.json", proxy.address, password="wrong")  # noqa: S106 # is meant to be wrong
    known = attrs.evolve(
        store, access=RegistryAccess(authfile=authfile, tls_verify=False), retry=Retry(attempts=3, delay=60)
    )

    with pytest.raises(AuthenticationError, match=f"{proxy.address} asks for credentials") as caught:
        known.push(image, destination(proxy.address, image))

    assert f"podman login {proxy.address}" in caught.value.hint
    assert set(proxy.statuses("GET", "/v2/$")) == {401}
    assert proxy.statuses("POST", UPLOADS) == []


def retried(store: Store, retry: Retry = QUICK) -> Store:
    return attrs.evolve(store, retry=retry)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(method="POST", path=UPLOADS, status=500),
        Rule(method="PATCH", path=UPLOADS, status=502),
        Rule(method="PUT", path=UPLOADS, status=503),
        Rule(method="PUT", path=MANIFESTS, status=504),
        Rule(method="HEAD", path="/blobs/sha256:", status=503),
        Rule(method="GET", path="/v2/$", status=BROKEN),
        Rule(method="POST", path=UPLOADS, status=BROKEN),
        Rule(method="PATCH", path=UPLOADS, status=BROKEN),
        Rule(method="PUT", path=UPLOADS, status=BROKEN),
        Rule(method="PUT", path=MANIFESTS, status=BROKEN),
    ],
    ids=lambda rule: f"{rule.method} {rule.path} {rule.status or 'reset'}",
)
def test_a_failing_server_is_tried_again_and_all_is_right(
    store: Store, registry: Registry, image: ImageReference, fault_proxy: Callable[..., FaultProxy], rule: Rule
) -> None:
    proxy = fault_proxy(attrs.evolve(rule))

    digest = retried(store).push(image, destination(proxy.address, image))

    assert proxy.statuses(rule.method, rule.path)[0] == rule.status
    assert digest == digest_of(registry.manifest(f"tests/{image.label}", "1"))


def test_a_limiting_registry_is_given_the_time_it_asks_for(
    store: Store, registry: Registry, image: ImageReference, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(Rule(method="POST", path=UPLOADS, status=429, headers={"Retry-After": "1"}))

    begin = time.monotonic()
    digest = retried(store).push(image, destination(proxy.address, image))

    assert time.monotonic() - begin >= 1
    assert 429 in proxy.statuses("POST", UPLOADS)
    assert digest == digest_of(registry.manifest(f"tests/{image.label}", "1"))


def test_a_limit_on_the_manifest_is_tried_again(
    store: Store, registry: Registry, image: ImageReference, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(Rule(method="PUT", path=MANIFESTS, status=429, headers={"Retry-After": "0"}))

    digest = retried(store).push(image, destination(proxy.address, image))

    assert proxy.statuses("PUT", MANIFESTS) == [429, 201]
    assert digest == digest_of(registry.manifest(f"tests/{image.label}", "1"))


def test_a_server_that_keeps_failing_is_given_up(
    store: Store, image: ImageReference, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(Rule(method="PUT", path=MANIFESTS, status=503, times=99))

    with pytest.raises(RegistryError, match=f"{proxy.address} failed by itself"):
        retried(store).push(image, destination(proxy.address, image))

    assert proxy.statuses("PUT", MANIFESTS) == [503, 503, 503]


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (403, AuthenticationError), (404, InputError)]
)
def test_a_refusal_is_not_tried_again(
    store: Store,
    image: ImageReference,
    fault_proxy: Callable[..., FaultProxy],
    status: int,
    error: type[Exception],
) -> None:
    proxy = fault_proxy(Rule(method="PUT", path=MANIFESTS, status=status, times=99))

    with pytest.raises(error):
        attrs.evolve(store, retry=Retry(attempts=3, delay=60)).push(image, destination(proxy.address, image))

    assert proxy.statuses("PUT", MANIFESTS) == [status]


def test_one_attempt_is_one_attempt(
    store: Store, image: ImageReference, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(Rule(method="PUT", path=MANIFESTS, status=503))

    with pytest.raises(RegistryError):
        retried(store, Retry(attempts=1)).push(image, destination(proxy.address, image))

    assert proxy.statuses("PUT", MANIFESTS) == [503]


def test_a_pause_ends_when_the_work_is_stopped(store: Store, image: ImageReference) -> None:
    stop = threading.Event()
    stopping = attrs.evolve(store, retry=Retry(attempts=3, delay=60), stop=stop)
    timer = threading.Timer(0.3, stop.set)
    timer.start()

    begin = time.monotonic()
    with pytest.raises(InterruptedByUserError):
        stopping.push(image, destination(f"127.0.0.1:{free_port()}", image))

    assert time.monotonic() - begin < 50
    timer.join()


def test_a_pull_is_tried_again_too(
    store: Store, image: ImageReference, registry: Registry, fault_proxy: Callable[..., FaultProxy]
) -> None:
    store.push(image, destination(registry.address, image))
    proxy = fault_proxy(Rule(method="GET", path=MANIFESTS, status=502), Rule(method="GET", path="/blobs/", status=0))
    name = destination(proxy.address, image)

    assert retried(store).pull(name) == name

    stored = store.documents(name)
    assert stored is not None
    assert stored.manifest == registry.manifest(f"tests/{image.label}", "1")
    assert proxy.statuses("GET", MANIFESTS)[0] == 502


def test_an_answer_about_an_image_is_asked_for_again(
    store: Store, image: ImageReference, registry: Registry, fault_proxy: Callable[..., FaultProxy]
) -> None:
    digest = store.push(image, destination(registry.address, image))
    proxy = fault_proxy(Rule(method="GET", path=MANIFESTS, status=503))

    answer = retried(store).exists_in_registry(destination(proxy.address, image))

    assert (answer.presence, answer.digest) == (Presence.PRESENT, digest)


def test_what_the_store_lacks_is_not_pushed(store: Store, registry: Registry) -> None:
    with pytest.raises(InputError, match=r"pushing .* failed: there is no such image"):
        store.push(parse("localhost/nothing:1"), parse(f"{registry.address}/tests/nothing:1"))
