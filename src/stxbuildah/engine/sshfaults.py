# SPDX-License-Identifier: Apache-2.0
"""What a failed ssh means, read from its last lines, and what the other machine's side said when it gave up.

ssh(1) ends with 255 whatever went wrong, and else with the status of what ran there. The patterns are the sentences of
OpenSSH's ssh, sshconnect.c, sshconnect2.c, readconf.c and packet.c.
"""

import re
from collections.abc import Sequence

import attrs

from stxbuildah.engine.faults import FaultKind, classify
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

# As podman, docker load and containerd tell it.
_MISSING = re.compile(r"[0-9a-f]{64}(?:\.tar)?\"?:? (?:no such file or directory|not found)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@attrs.frozen
class _Told:
    pattern: str
    error: type[StxbError]
    sentence: str
    hint: str


# The first one decides: a changed key is also an unknown one.
_TOLD = (
    _Told(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed|possible DNS SPOOFING",
        AuthenticationError,
        "{there} has another host key than the one that is known: it is another machine, or was installed anew",
        "ask whoever runs it; if it was installed anew, `ssh-keygen -R {name}` forgets the old key, and the new one is "
        "compared as {compare}",
    ),
    _Told(
        r"Host key verification failed|No \S+ host key is known|host key .*(?:revoked|not match)",
        AuthenticationError,
        "the host key of {there} is not known, so nothing tells that it is the right machine",
        "connect once by `{login}` and compare the key that it shows with {compare}; or name a file that has it by "
        "--known-hosts",
    ),
    _Told(
        r"Permission denied|Too many authentication failures|No supported authentication methods|"
        r"sign_and_send_pubkey",
        AuthenticationError,
        "{there} does not let this account in",
        "no password is asked for: try `{login}`, add a key by ssh-copy-id, name one by --identity, or load one with a "
        "passphrase by ssh-add",
    ),
    _Told(
        r"Bad configuration option|extra arguments at end of line|keyword .* missing|unsupported option|"
        r"Bad owner or permissions|command-line line 0|Bad port|invalid quotes|missing argument",
        InputError,
        "ssh does not understand how it is to connect",
        "check --ssh-option and ~/.ssh/config; ssh_config(5) has the names",
    ),
    _Told(
        r"Could not resolve hostname|Name or service not known",
        RegistryError,
        "the host name of {there} is not known",
        "check the spelling, the DNS, and ~/.ssh/config",
    ),
    _Told(
        r"Unable to negotiate|no matching (?:host key type|key exchange|cipher|MAC)",
        RegistryError,
        "{there} and this machine's ssh agree on no way to encrypt",
        "one of the two is too old for the other",
    ),
    _Told(
        r"Connection refused|No route to host|Network is unreachable|timed out|Timeout, server .* not responding|"
        r"Connection (?:closed|reset)|kex_exchange_identification|Broken pipe|client_loop|mux_client|"
        r"Control socket|banner|Connection to .* closed",
        RegistryError,
        "{there} cannot be reached, or the connection broke off",
        "check address and port, and whether sshd runs there; run it again, and it goes on where it was",
    ),
)


def ssh_error(destination: SshDestination, tail: Sequence[str]) -> StxbError:
    """Give the error for an ssh that could not connect, or whose connection broke.

    Args:
        destination: the other machine.
        tail: ssh's last lines.
    """
    lines = shown(tail)
    user = f"{destination.user}@" if destination.user else ""
    port = f"-p {destination.port} " if destination.port else ""
    names = {
        "there": str(destination),
        "name": f"'[{destination.host}]:{destination.port}'" if destination.port else destination.host,
        "login": f"ssh {port}{user}{destination.host}",
        "compare": "what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says there",
    }
    for told in _TOLD:
        if any(re.search(told.pattern, line) for line in lines):
            return told.error(told.sentence.format(**names), hint=told.hint.format(**names), details=lines)
    return RegistryError(f"the connection to {destination} failed", hint=f"try `{names['login']}`", details=lines)


def remote_error(destination: SshDestination, what: str, status: int, tail: Sequence[str]) -> StxbError:
    """Give the error for a step that failed on the other machine.

    Args:
        destination: the other machine.
        what: the step, as ``sending sha256:...``.
        status: the step's exit status.
        tail: its last lines.
    """
    lines = shown(tail)
    failed = f"{what} failed on {destination}"
    if any("sudo: " in line for line in lines):
        return HostError(
            f"sudo on {destination} does not run what takes the images",
            hint="it must ask for no password there (NOPASSWD in sudoers), or ship as root",
            details=lines,
        )
    fault = classify(lines, status)
    if fault.kind is FaultKind.DISK_FULL:
        return DiskFullError(
            f"no space is left on {destination}",
            hint="make room there; layers wait in ~/.cache/stxb-ship, and the engine needs as much again",
            details=lines,
        )
    last = lines[-1] if lines else ""
    # The statuses of engine/there/ship.sh, and a shell's own for a program that is not there.
    match status:
        case 41:
            error: StxbError = HostError(
                f"{destination} has nothing that takes images: {last}",
                hint="install podman, docker or containerd there, or put it on the PATH that ssh gives",
            )
        case 42:
            error = HostError(
                f"{last} on {destination}",
                hint="its account may need rights: --sudo, or the group docker; --into names another engine",
                details=lines[:-1],
            )
        case 43 | 127:
            error = HostError(f"{destination} lacks a program", hint="install it there", details=lines)
        case 44:
            error = BuildError(f"{failed}: the layers there were changed meanwhile", hint="run it again", details=lines)
        case _:
            error = BuildError(failed, details=lines)
    return error


def is_layer_missing(error: StxbError) -> bool:
    """Tell whether the other machine's store lacks a layer that it had said to have."""
    return any(_MISSING.search(line) for line in error.details)


def shown(tail: Sequence[str]) -> list[str]:
    """Give another machine's lines without the characters that steer a terminal."""
    return [_CONTROL.sub("?", line) for line in tail if line.strip()]
