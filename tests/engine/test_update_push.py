# SPDX-License-Identifier: Apache-2.0
"""``stxb update --push`` against registries of every kind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import digest_of
from tests.engine import registries
from tests.engine.registries import FaultProxy, Registry, Rule
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "stx-pushed", "1.0")


def test_reference_and_digest_alone_on_standard_output(
    stxb: Stxb, registry: Registry, base_image: ImageReference, wheel: Path
) -> None:
    digest_file = stxb.folder / "digest"
    ended = stxb.done(
        "update", "--from", base_image, "--wheel", wheel, "--registry", registry.address, "--user", "u1", "--push",
        "--tls-verify=false", "--digestfile", digest_file, "--update-id", "push.1",
    )  # fmt: skip
    digest = digest_of(registry.manifest("u1/base", "1.1"))
    assert ended.out == f"{registry.address}/u1/base:1.1@{digest}\n"
    assert digest_file.read_text() == f"{digest}\n"
    assert (stxb.folder / "stxb-out/update-images/push.1/image-updates.lst").read_text() == (
        f"{registry.address}/u1/base:1.1\n"
    )


def test_from_a_registry_and_back_keeping_nothing_here(
    stxb: Stxb, images: Images, registry: Registry, registry_base: ImageReference, wheel: Path
) -> None:
    known = {name for image in images.listed() for name in image}
    result = stxb.update("--from", registry_base, "--wheel", wheel, "--push", "--tls-verify", "false", "--clean")
    assert result["image"] == f"{registry.address}/tests/base:1.1"
    base, new = (json.loads(registry.manifest("tests/base", tag)) for tag in ("1", "1.1"))
    assert new["layers"][:-1] == base["layers"]
    assert len(new["layers"]) == len(base["layers"]) + 1
    assert result["from"]["digest"] == digest_of(registry.manifest("tests/base", "1"))
    assert new["annotations"]["org.opencontainers.image.base.digest"] == result["from"]["digest"]
    assert {name for image in images.listed() for name in image} == known


def test_a_private_ca_in_the_certificate_folder(
    stxb: Stxb, tls_registry: Registry, base_image: ImageReference, wheel: Path
) -> None:
    words = ("--from", base_image, "--wheel", wheel, "--registry", tls_registry.address, "--user", "u1", "--push")
    said = stxb.refused(5, *words)
    assert "certs.d" in said
    assert tls_registry.certs_d is not None
    stxb.update(*words, "--cert-dir", tls_registry.certs_d)


def test_credentials_from_an_auth_file(
    stxb: Stxb, auth_registry: Registry, base_image: ImageReference, wheel: Path
) -> None:
    words = (
        "--from", base_image, "--wheel", wheel, "--registry", auth_registry.address, "--user", "u1", "--push",
        "--tls-verify=false", "--attempts", "3", "--retry-delay", "20",
    )  # fmt: skip
    said = stxb.refused(4, *words)
    assert "podman login" in said
    stxb.update(*words, "--authfile", auth_registry.authfile)
    stxb.update(*words, "--creds", f"{registries.USER}:{registries.PASSWORD}")
    ended = stxb.run("--debug", "update", *words, "--creds", f"{registries.USER}:wrong-{registries.PASSWORD}")
    assert ended.status == 4
    assert f"wrong-{registries.PASSWORD}" not in ended.err


def test_a_registry_that_is_busy_for_a_moment(
    stxb: Stxb, fault_proxy: Callable[..., FaultProxy], base_image: ImageReference, wheel: Path
) -> None:
    proxy = fault_proxy(Rule(method="PUT", path="/manifests/", status=503))
    words = (
        "--from", base_image, "--wheel", wheel, "--registry", proxy.address, "--user", "busy", "--push",
        "--tls-verify=false", "--retry-delay", "0.1",
    )  # fmt: skip
    assert "busy" in stxb.refused(5, *words, "--attempts", "1")
    again = fault_proxy(Rule(method="PUT", path="/manifests/", status=503))
    stxb.update(*words[:5], again.address, *words[6:], "--attempts", "2")
    assert again.statuses("PUT", "/manifests/")[0] == 503


def test_from_that_no_registry_has(stxb: Stxb, registry: Registry, wheel: Path) -> None:
    said = stxb.refused(2, "--from", f"{registry.address}/tests/absent:1", "--wheel", wheel, "--tls-verify=false")
    assert f"{registry.address}/tests/absent:1" in said


def test_from_that_asks_for_credentials(stxb: Stxb, auth_registry: Registry, wheel: Path) -> None:
    said = stxb.refused(4, "--from", f"{auth_registry.address}/tests/a:1", "--wheel", wheel, "--tls-verify=false")
    assert "podman login" in said


def test_a_registry_that_is_not_there(stxb: Stxb, wheel: Path) -> None:
    said = stxb.refused(5, "--from", f"127.0.0.1:{registries.free_port()}/tests/a:1", "--wheel", wheel)
    assert "refused" in said
