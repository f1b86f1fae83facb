# SPDX-License-Identifier: Apache-2.0
"""Which certificates count, and what is wrong with a folder of them."""

from pathlib import Path

import pytest

from stxbuildah.errors import InputError
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.registry.certificates import Trust, find_trust, tls_context
from tests.unit.registry.fakehost import Certificates

REGISTRY = "r.example:5000"


def test_the_users_folder_for_the_registry_alone(tmp_path: Path) -> None:
    folder = tmp_path / ".config/containers/certs.d" / REGISTRY
    folder.mkdir(parents=True)
    for name in ("b.crt", "a.crt", "me.cert", "me.key", "README"):
        (folder / name).touch()
    environment = {"HOME": str(tmp_path)}
    found = find_trust(RegistryAccess(), environment, REGISTRY, insecure=False)
    assert found == Trust(
        authorities=(folder / "a.crt", folder / "b.crt"), pairs=((folder / "me.cert", folder / "me.key"),)
    )
    assert found.elsewhere == Trust(authorities=found.authorities)
    assert find_trust(RegistryAccess(), environment, "r.example", insecure=False) == Trust()
    assert find_trust(RegistryAccess(), environment, "r.example", insecure=True) == Trust(verify=False)


def test_a_folder_of_the_command_line_takes_the_place_of_all(tmp_path: Path) -> None:
    (tmp_path / ".config/containers/certs.d" / REGISTRY).mkdir(parents=True)
    (tmp_path / ".config/containers/certs.d" / REGISTRY / "other.crt").touch()
    (tmp_path / "given").mkdir()
    (tmp_path / "given/ca.crt").touch()
    access = RegistryAccess(cert_dir=tmp_path / "given")
    found = find_trust(access, {"HOME": str(tmp_path)}, REGISTRY, insecure=False)
    assert found == Trust(authorities=(tmp_path / "given/ca.crt",))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("me.cert",), r"me\.cert has no key me\.key beside it"),
        (("me.key",), r"me\.key has no certificate me\.cert beside it"),
        (None, "the folder of certificates .*/given is not there"),
    ],
)
def test_what_is_not_in_order(files: tuple[str, ...] | None, message: str, tmp_path: Path) -> None:
    if files is not None:
        (tmp_path / "given").mkdir()
    for name in files or ():
        (tmp_path / "given" / name).touch()
    with pytest.raises(InputError, match=message):
        find_trust(RegistryAccess(cert_dir=tmp_path / "given"), {}, REGISTRY, insecure=False)


def test_what_is_no_certificate(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    with pytest.raises(InputError, match=r"ca\.crt is no file of certificates"):
        tls_context(Trust(authorities=(tmp_path / "ca.crt",)), {})
    with pytest.raises(InputError, match=r"ca\.crt is no file of certificates"):
        tls_context(Trust(), {"SSL_CERT_FILE": str(tmp_path / "ca.crt")})
    pair = (tmp_path / "ca.crt", certificates.key)
    with pytest.raises(InputError, match=r"ca\.crt and server\.key are no certificate and its key"):
        tls_context(Trust(pairs=(pair,)), {})


def test_the_systems_authorities_are_those_that_the_variables_name(certificates: Certificates, tmp_path: Path) -> None:
    named = {"SSL_CERT_FILE": str(certificates.authority), "SSL_CERT_DIR": str(tmp_path)}
    assert tls_context(Trust(), named).cert_store_stats()["x509_ca"] == 1
    hashed = {"SSL_CERT_FILE": str(certificates.authority), "SSL_CERT_DIR": f"{tmp_path}/absent:{tmp_path}"}
    assert tls_context(Trust(), hashed).cert_store_stats()["x509_ca"] == 1
    assert tls_context(Trust(verify=False, authorities=(tmp_path / "absent",)), named).cert_store_stats()["x509"] == 0
