# SPDX-License-Identifier: Apache-2.0
"""What every working container is given for the time of a run, and no layer ever holds."""

from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.layer.paths import resolve
from stxbuildah.model.settings import Proxies
from stxbuildah.model.tree import FileTree

_CA_BUNDLE = "/image-update-ca-bundle.crt"
_NO_SERVICES = "/usr/sbin/policy-rc.d"
_RPM_FOLDER = "/usr/lib/rpm"
_RPM_MACROS = "/etc/rpm/macros.stxb"
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/bin/sh")


def standard_mounts(tree: FileTree, folder: Path, ca_bundle: Path | None) -> tuple[str, ...]:
    """Give the mounts that keep package managers from starting services and from isolating what they run.

    Args:
        tree: the image's files.
        folder: work folder; what is mounted is written into it.
        ca_bundle: certificates file for the time of the run; None for none.

    Returns:
        Mounts as of ``buildah run --volume``.
    """
    mounts = []
    if tree.lstat(_NO_SERVICES) is None:
        mounts.append(f"{_no_services(folder)}:{_NO_SERVICES}:ro")
    if tree.lstat(_RPM_FOLDER) is not None:
        mounts.append(f"{_rpm_macros(folder)}:{_RPM_MACROS}:ro")
    if ca_bundle is not None:
        mounts.append(f"{ca_bundle.absolute()}:{_CA_BUNDLE}:ro")
    return tuple(mounts)


def check_mountable(folder: Path) -> None:
    """Make sure that a folder can be mounted by its name.

    Raises:
        InputError: it has a colon, which ends a mount's source.
    """
    if ":" in str(folder):
        raise InputError(f"{folder} cannot be mounted: its name has a colon", hint="set TMPDIR to another folder")


def mount_point(mount: str) -> str:
    """Give where a mount is in the container."""
    return mount.split(":")[1]


def session_variables(proxies: Proxies, ca_bundle: Path | None, timestamp: int) -> dict[str, str]:
    """Give the variables of whatever runs in a working container: proxies, time and certificates.

    Args:
        proxies: for downloads in the container.
        ca_bundle: certificates file, as for ``standard_mounts``.
        timestamp: time of what is built, in seconds since the epoch.
    """
    variables = proxies.variables_in_both_cases
    variables["SOURCE_DATE_EPOCH"] = str(timestamp)
    if ca_bundle is not None:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"):
            variables[name] = _CA_BUNDLE
    return variables


def find_shell(tree: FileTree) -> str:
    """Give the path of bash in an image, else of sh; empty when it has neither."""
    return next((shell for shell in _SHELLS if resolve(tree, shell) is not None), "")


def _no_services(folder: Path) -> Path:
    """Write the answer to packages that want to start a service: not here (Debian's policy-rc.d, 101)."""
    path = folder / "policy-rc.d"
    path.write_text("#!/bin/sh\nexit 101\n")
    path.chmod(0o755)
    return path


def _rpm_macros(folder: Path) -> Path:
    """Write macros that keep rpm from isolating packages' scripts, which fails without CAP_SYS_ADMIN.

    rpm 4.20 and later run scripts in namespaces of their own (its plugin ``unshare``), and where that is refused they
    go on without having run the script.
    """
    path = folder / "macros.stxb"
    path.write_text("%__transaction_unshare %{nil}\n")
    path.chmod(0o644)
    return path
