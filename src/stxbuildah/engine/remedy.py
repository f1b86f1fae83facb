# SPDX-License-Identifier: Apache-2.0
"""Commands that make a machine more able, in the words of its own distribution."""

import re
from collections.abc import Sequence

_PACKAGE_TOOLS = (
    (frozenset({"debian", "ubuntu"}), "sudo apt-get install"),
    (frozenset({"fedora", "rhel", "centos"}), "sudo dnf install"),
    (frozenset({"suse", "opensuse"}), "sudo zypper install"),
)


def install_command(system: Sequence[str], program: str) -> str:
    """Give the command that installs a program; empty when the system is not known.

    Args:
        system: ``ID`` and ``ID_LIKE`` of the host's os-release.
        program: the program's name.
    """
    tool, debian = _package_tool(system)
    package = {"newuidmap": "uidmap" if debian else "shadow-utils", "pasta": "passt"}.get(program, program)
    return f"{tool} {package}" if tool else ""


def upgrade_command(system: Sequence[str], program: str) -> str:
    """Give the command that brings a program's newest release; empty when the system is not known.

    Args:
        system: ``ID`` and ``ID_LIKE`` of the host's os-release.
        program: the program's name.
    """
    tool, debian = _package_tool(system)
    if debian:
        return f"{tool} --only-upgrade {program}"
    return f"{tool.removesuffix('install')}upgrade {program}" if tool else ""


def missing_network_helper(said: str) -> str:
    """Give the program that a rootless container's own network was refused for want of; empty when none is named.

    Which one it is depends on the release (pasta since buildah 1.35 and podman 5.0, slirp4netns before) and on
    ``default_rootless_network_cmd`` in containers.conf, so the program's own words are asked.

    Args:
        said: what buildah or podman answered.
    """
    named = re.search(r"could not find (pasta|slirp4netns)\b", said)
    return named[1] if named else ""


def _package_tool(system: Sequence[str]) -> tuple[str, bool]:
    """Give the command that installs packages, and whether it is Debian's."""
    for systems, command in _PACKAGE_TOOLS:
        if any(word.split("-")[0] in systems for word in system):
            return command, "debian" in systems
    return "", False
