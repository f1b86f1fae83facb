# SPDX-License-Identifier: Apache-2.0
"""What ssh says when it fails; the lines are OpenSSH 9.2's."""

import pytest

from stxbuildah.engine.sshfaults import is_layer_missing, remote_error, ssh_error
from stxbuildah.errors import (
    AuthenticationError,
    BuildError,
    DiskFullError,
    HostError,
    InputError,
    RegistryError,
    StxbError,
)
from stxbuildah.model.ship import SshDestination

THERE = SshDestination(host="controller-0", user="sysadmin", port=2222)


@pytest.mark.parametrize(
    ("lines", "error", "hint"),
    [
        (
            ["No ED25519 host key is known for [controller-0]:2222 and you have requested strict checking.",
             "Host key verification failed."],
            AuthenticationError, "ssh -p 2222 sysadmin@controller-0",
        ),
        (
            ["@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", "Host key verification failed."],
            AuthenticationError, "ssh-keygen -R '[controller-0]:2222'",
        ),
        (["sysadmin@controller-0: Permission denied (publickey,password)."], AuthenticationError, "ssh-copy-id"),
        (["command-line: line 0: Bad configuration option: nosuch"], InputError, "--ssh-option"),
        (["ssh: Could not resolve hostname controller-0: Name or service not known"], RegistryError, "DNS"),
        (["ssh: connect to host controller-0 port 2222: Connection refused"], RegistryError, "goes on where it was"),
        (["ssh: connect to host controller-0 port 2222: Connection timed out"], RegistryError, "goes on where it was"),
        (["Timeout, server controller-0 not responding."], RegistryError, "goes on where it was"),
        (["client_loop: send disconnect: Broken pipe"], RegistryError, "goes on where it was"),
        (["Unable to negotiate with 10.0.0.1 port 22: no matching host key type found."], RegistryError, "too old"),
        (["something new"], RegistryError, "try `ssh -p 2222 sysadmin@controller-0`"),
        ([], RegistryError, "try `ssh"),
    ],
)  # fmt: skip
def test_a_connection_that_failed(lines: list[str], error: type[StxbError], hint: str) -> None:
    told = ssh_error(THERE, lines)
    assert type(told) is error
    assert "ssh://sysadmin@controller-0:2222" in told.message or error is InputError
    assert hint in told.hint


@pytest.mark.parametrize(
    ("status", "lines", "error"),
    [
        (1, ["cat: write error: No space left on device"], DiskFullError),
        (1, ["sudo: a password is required"], HostError),
        (41, ["neither podman nor docker nor ctr is on PATH"], HostError),
        (42, ["docker cannot be used"], HostError),
        (127, ["sh: 1: sha256sum: not found"], HostError),
        (44, ["of abc not all bytes came"], BuildError),
        (125, ["Error: something"], BuildError),
    ],
)
def test_a_step_that_failed(status: int, lines: list[str], error: type[StxbError]) -> None:
    assert type(remote_error(THERE, "sending sha256:abc", status, lines)) is error


def test_what_another_machine_says_does_not_steer_the_terminal() -> None:
    assert ssh_error(THERE, ["\x1b]0;title\x07said\r"]).details == ("?]0;title?said?",)


@pytest.mark.parametrize(
    "line",
    [
        # podman 4.3, docker 20.10, containerd 1.6
        f"Error: reading blob sha256:{'a' * 64}: open /x/import.7/{'a' * 64}: no such file or directory",
        f"open /var/lib/docker/tmp/docker-import-3225535066/{'a' * 64}.tar: no such file or directory",
        f"ctr: failed to get reader from content store: content digest sha256:{'a' * 64}: not found",
    ],
)
def test_a_layer_that_is_missing_there_is_known(line: str) -> None:
    assert is_layer_missing(remote_error(THERE, "importing x", 1, [line]))
    assert not is_layer_missing(remote_error(THERE, "importing x", 1, ["Error: other"]))
