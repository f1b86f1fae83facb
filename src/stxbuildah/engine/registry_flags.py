# SPDX-License-Identifier: Apache-2.0
"""How a registry is reached, as options of buildah, podman and skopeo.

certs.d, registries.conf, REGISTRY_AUTH_FILE and podman's own credential files need no option: the programs find them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from stxbuildah import log
from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference, is_loopback
from stxbuildah.model.settings import RegistryAccess


class Side(StrEnum):
    """What begins the options' names: skopeo copy has two registries, everything else one."""

    ONLY = "--"
    SOURCE = "--src-"
    DESTINATION = "--dest-"


@contextmanager
def registry_options(
    access: RegistryAccess, reference: ImageReference, side: Side = Side.ONLY, *, runtime_folder: str = ""
) -> Iterator[tuple[str, ...]]:
    """Give the options by which a program reaches the registry of an image.

    A password given on the command line is handed on in a credentials file of mode 600 that lives as long as the
    block: arguments can be read by every account of the machine.

    Args:
        access: what the user set.
        reference: the image; its registry is the only one that the password is for.
        side: which registry of the program it is.
        runtime_folder: XDG_RUNTIME_DIR, where the password's file is written; the temporary folder when empty.

    Raises:
        InputError: the credentials are not of the form ``user:password``; the credentials file or the folder of
            certificates is not there or damaged.
    """
    options: list[str] = []
    if access.tls_verify is not None:
        options.append(f"{side}tls-verify={str(access.tls_verify).lower()}")
        if not access.tls_verify:
            _warn_unverified(registry_of(reference))
    if access.cert_dir is not None:
        if not access.cert_dir.is_dir():
            raise InputError(f"the folder of certificates {access.cert_dir} is not there")
        options += [f"{side}cert-dir", str(access.cert_dir)]
    if access.creds:
        with _credentials_file(access.creds, registry_of(reference), runtime_folder) as path:
            yield (*options, f"{side}authfile", str(path))
        return
    if access.authfile is not None:
        _check_authfile(access.authfile)
        options += [f"{side}authfile", str(access.authfile)]
    yield tuple(options)


def _check_authfile(path: Path) -> None:
    # Without the file skopeo goes on as nobody, and the registry's refusal hides the misspelled name.
    import json

    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"the credentials file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            f"the credentials file {path} is not JSON: {error}", hint="podman login --authfile FILE writes such a file"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"the credentials file {path} is not a JSON object")


def registry_of(reference: ImageReference) -> str:
    """Give the registry that an image is pushed to or pulled from; Docker's for a name without one."""
    return reference.qualified.registry


def _warn_unverified(registry: str) -> None:
    # Nobody stands between us and ourselves.
    if not is_loopback(registry):
        log.warning("registry.tls.unverified", registry=registry, hint="anybody on the way can change the image")


@contextmanager
def _credentials_file(creds: str, registry: str, runtime_folder: str) -> Iterator[Path]:
    import base64
    import json
    import tempfile

    user, _, password = creds.partition(":")
    if not user or not password:
        raise InputError(
            "the credentials are not of the form user:password",
            hint="write --creds user:password, or better log in by podman login and leave --creds out",
        )
    auth = base64.b64encode(creds.encode()).decode()
    text = json.dumps({"auths": {registry: {"auth": auth}}})
    # The run-time directory is a tmpfs of the account's own: not even a killed program leaves the password on a disk.
    folder = runtime_folder if os.access(runtime_folder, os.W_OK) else None
    with tempfile.NamedTemporaryFile("w", prefix="stxb-auth-", suffix=".json", dir=folder) as stream:
        stream.write(text)
        stream.flush()
        yield Path(stream.name)
