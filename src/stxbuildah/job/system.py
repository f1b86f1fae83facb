# SPDX-License-Identifier: Apache-2.0
"""The system that images are made for, as far as this machine tells it."""

import platform
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.osrelease import parse_os_release
from stxbuildah.model.base import KNOWN_ARCHITECTURES, BaseSystem, architecture_of, image_platform

_OS_RELEASE = Path("/etc/os-release")


def complete_system(system: BaseSystem) -> BaseSystem:
    """Fill in what was not named by what this machine is.

    Raises:
        InputError: this machine does not say, or is another system than the one that was named.
    """
    try:
        values = parse_os_release(_OS_RELEASE.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        values = {}
    host, codename = values.get("ID", "").lower(), values.get("VERSION_CODENAME", "").lower()
    name = system.os or host
    codename = system.codename or (codename if name == host else "")
    if not name or not codename:
        raise InputError(
            f"the release of {name or 'the operating system'} is not known",
            hint="name the operating system with --os and its release with --os-codename, as debian and trixie",
        )
    machine = platform.machine()
    arch = system.arch or architecture_of(machine)
    if arch not in KNOWN_ARCHITECTURES:
        image_platform(arch or machine)
    return attrs.evolve(system, os=name, codename=codename, arch=arch)
