# SPDX-License-Identifier: Apache-2.0
"""Whom a registry's TLS is trusted by: the system's CAs, certs.d, the user's own folder of certificates.

The files are those of containers-certs.d(5): ``*.crt`` are CAs, ``*.cert`` with ``*.key`` is what this side shows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.model.value import Value

if TYPE_CHECKING:
    import ssl

# Where the distributions keep their CAs, for a Python that was built elsewhere: the list of Go's crypto/x509.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_SYSTEM_FOLDERS = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


@attrs.frozen(kw_only=True)
class Trust(Value):
    """How the other side of a TLS connection is checked.

    Attributes:
        verify: whether it is checked at all.
        authorities: files of CAs besides the system's.
        pairs: certificate and key that this side shows, as pairs of files.
    """

    verify: bool = True
    authorities: tuple[Path, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()

    @property
    def elsewhere(self) -> "Trust":
        """The same for another host that the registry sends to: our own certificate is not shown there."""
        return attrs.evolve(self, pairs=())


def find_trust(access: RegistryAccess, environment: Mapping[str, str], registry: str, *, insecure: bool) -> Trust:
    """Find what a registry's certificate is checked by.

    The first folder of certs.d that names the registry decides alone, as for podman (containers/image,
    ``dockerCertDir``): the user's, then ``/etc/containers``, then ``/etc/docker``.

    Args:
        access: what the user set; its folder takes the place of certs.d.
        environment: the variables that podman reads; only HOME is looked at.
        registry: host and port, as folders of certs.d are called.
        insecure: certificates are not checked.

    Raises:
        InputError: the user's folder is not there, a certificate has no key or a key no certificate.
    """
    if access.cert_dir is not None:
        if not access.cert_dir.is_dir():
            raise InputError(f"the folder of certificates {access.cert_dir} is not there")
        return _trust_of(access.cert_dir, insecure=insecure)
    home = environment.get("HOME", "")
    own = (Path(home, ".config/containers/certs.d"),) if home else ()
    for folder in (*own, *_SYSTEM_FOLDERS):
        try:
            (folder / registry).stat()
        except OSError:
            # Folders that this account may not look into do not stop podman either.
            continue
        return _trust_of(folder / registry, insecure=insecure)
    return Trust(verify=not insecure)


def _trust_of(folder: Path, *, insecure: bool) -> Trust:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder of certificates {folder} cannot be read: {error.strerror}") from error
    names = {path.name for path in files}
    pairs = []
    for path in files:
        if path.suffix == ".cert":
            key = path.with_suffix(".key")
            if key.name not in names:
                raise InputError(
                    f"the certificate {path} has no key {key.name} beside it", hint="files of CAs end in .crt"
                )
            pairs.append((path, key))
        elif path.suffix == ".key" and path.with_suffix(".cert").name not in names:
            raise InputError(f"the key {path} has no certificate {path.stem}.cert beside it")
    authorities = tuple(path for path in files if path.suffix == ".crt")
    return Trust(verify=not insecure, authorities=authorities, pairs=tuple(pairs))


def tls_context(trust: Trust, environment: Mapping[str, str]) -> "ssl.SSLContext":
    """Make what a TLS connection is opened with.

    Args:
        trust: what is checked.
        environment: SSL_CERT_FILE and SSL_CERT_DIR in it take the place of the system's CAs.

    Raises:
        InputError: a file is no certificate or no key, or needs a passphrase.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.verify:
        _load_system(context, environment)
        for path in trust.authorities:
            _load_authority(context, path)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # A context has one pair for each kind of key; of two of a kind the first in the order of names stays.
    for certificate, key in reversed(trust.pairs):
        try:
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{certificate} and {key.name} are no certificate and its key without a passphrase: {error}"
            ) from error
    return context


def _load_authority(context: "ssl.SSLContext", path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise InputError(f"{path} is no file of certificates: {error}") from error


def _load_system(context: "ssl.SSLContext", environment: Mapping[str, str]) -> None:
    import ssl

    # Asked for by name: OpenSSL's own look into the variables would see this process's and not those given.
    built_in = ssl.get_default_verify_paths()
    file = Path(environment.get("SSL_CERT_FILE") or built_in.openssl_cafile)
    named = environment.get("SSL_CERT_DIR") or built_in.openssl_capath
    folders = [Path(part) for part in named.split(":") if part and Path(part).is_dir()]
    if environment.get("SSL_CERT_FILE"):
        _load_authority(context, file)
    elif file.is_file():
        context.load_verify_locations(file)
    for folder in folders:
        # Its files are looked up by their hash only when a certificate asks for one.
        context.load_verify_locations(capath=folder)
    if not folders and not file.is_file():
        found = next((path for path in _BUNDLES if Path(path).is_file()), None)
        if found is not None:
            context.load_verify_locations(found)
