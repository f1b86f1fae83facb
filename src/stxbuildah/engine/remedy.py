# SPDX-License-Identifier: Apache-2.0
"""Commands that make a machine more able, in the words of its own distribution."""

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
    package = program
    if program == "newuidmap":
        package = "uidmap" if debian else "shadow-utils"
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


def _package_tool(system: Sequence[str]) -> tuple[str, bool]:
    """Give the command that installs packages, and whether it is Debian's."""
    for systems, command in _PACKAGE_TOOLS:
        if any(word.split("-")[0] in systems for word in system):
            return command, "debian" in systems
    return "", False
