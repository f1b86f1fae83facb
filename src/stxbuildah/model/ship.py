# SPDX-License-Identifier: Apache-2.0
"""Images that are brought to another machine by ssh."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Self

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.transfer import Packing
from stxbuildah.model.update import HostOptions

# Narrower than what ssh takes: nothing in it can be read as an option, nor mean anything to a shell.
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_DESTINATION = re.compile(
    rf"ssh://(?:(?P<user>{_WORD})@)?(?:\[(?P<address>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_]+)?)\]|(?P<host>{_WORD}))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_HIGHEST_PORT = 65535


class EngineThere(StrEnum):
    """What keeps images on the other machine."""

    PODMAN = "podman"
    DOCKER = "docker"
    CONTAINERD = "containerd"


class ShipState(StrEnum):
    """How an image stands on the other machine.

    PRESENT: it is there under its name. TAG: it is there under another name, or none. SEND: it is not there, or that
    cannot be told.
    """

    PRESENT = "present"
    TAG = "tag"
    SEND = "send"


@attrs.frozen(kw_only=True)
class SshDestination:
    """Another machine, as ssh reaches it.

    Attributes:
        host: name, address or the name of an entry in ssh_config(5).
        user: account there; empty for what ssh takes by itself.
        port: 0 for what ssh takes by itself.
    """

    host: str
    user: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ssh://[user@]host[:port]``.

        Raises:
            InputError: it is something else.
        """
        match = _DESTINATION.fullmatch(text)
        if match is None or not 0 <= int(match["port"] or 1) - 1 < _HIGHEST_PORT:
            hint = "write it as ssh://sysadmin@controller-0, ssh://10.10.10.3:2222 or ssh://root@[fd00::3]"
            raise InputError(f"{_without_password(text)!r} is no machine to ship to", hint=hint)
        return cls(host=match["address"] or match["host"], user=match["user"] or "", port=int(match["port"] or 0))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{f'{self.user}@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"


def _without_password(text: str) -> str:
    return re.sub(r"(://[^/@]*:)[^/]*@", r"\1********@", text)


@attrs.frozen(kw_only=True)
class SshOptions:
    """How the other machine is reached; the rest is what ssh_config(5) says.

    Attributes:
        identity: private key; None for those that ssh finds.
        known_hosts: the only file that the host's key may be in; None for the usual ones.
        options: ``NAME=VALUE`` as of ssh_config(5).
    """

    identity: Path | None = None
    known_hosts: Path | None = None
    options: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ShipRequest:
    """What was asked.

    Attributes:
        images: images of the local store.
        destination: where they are to be.
        ssh: how it is reached.
        into: what takes them there; None to find out.
        namespace: of containerd.
        sudo: run what takes them there as root, by sudo.
        packing: how layers are compressed on their way; None for gzip where the other machine has it.
        keep: leave the layers there for the next images.
        host: what the user says of this machine.
    """

    images: tuple[ImageReference, ...]
    destination: SshDestination
    ssh: SshOptions = attrs.field(factory=SshOptions)
    into: EngineThere | None = None
    namespace: str = "k8s.io"
    sudo: bool = False
    packing: Packing | None = None
    keep: bool = False
    host: HostOptions = attrs.field(factory=HostOptions)


@attrs.frozen(kw_only=True)
class ShippedImage:
    """One image, and what is done about it.

    Attributes:
        reference: its name on both machines.
        image_id: its ID, without ``sha256:``.
        state: how it stood there.
        layers: digests of its layers' tars, the lowest first.
        lacking: those of them that have to be sent, whole or in part.
    """

    reference: str
    image_id: str
    state: ShipState
    layers: tuple[str, ...]
    lacking: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ShipPlan:
    """What is there, and what is to be sent.

    Attributes:
        engine: what takes the images there.
        images: each image.
        packing: how layers are compressed on their way.
    """

    engine: EngineThere
    images: tuple[ShippedImage, ...]
    packing: Packing


@attrs.frozen(kw_only=True)
class SentLayer:
    """A layer that was sent.

    Attributes:
        digest: of its tar.
        size: of its tar, in bytes.
        begun_at: bytes that were there from an earlier run.
    """

    digest: str
    size: int
    begun_at: int


@attrs.frozen(kw_only=True)
class Shipped:
    """What was done.

    Attributes:
        plan: what was to be done.
        layers: what was sent.
        travelled: bytes of layers that went over, compressed as they were.
    """

    plan: ShipPlan
    layers: tuple[SentLayer, ...] = ()
    travelled: int = 0


@attrs.frozen(kw_only=True)
class ShipProgress:
    """How far a run is.

    Attributes:
        number: of the layer that is sent, from 1.
        count: how many there are.
        digest: of the layer's tar.
        done: bytes of it that are there.
        size: of its tar.
    """

    number: int
    count: int
    digest: str
    done: int
    size: int
