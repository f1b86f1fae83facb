# SPDX-License-Identifier: Apache-2.0
"""Ephemeral containers: what one is to do, and how it ended."""

from collections.abc import Mapping
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Mount:
    """A folder or file of this machine inside a container.

    Attributes:
        source: absolute path on this machine.
        target: absolute path in the container.
        writable: whether the container may write to it.
    """

    source: Path
    target: str
    writable: bool = False


@attrs.frozen(kw_only=True)
class ContainerJob:
    """What one ephemeral container does.

    Attributes:
        image: image reference or id; it must be in the store.
        command: program and arguments.
        mounts: folders and files it sees.
        environment: variables of the program.
        network: ``none`` or ``host``.
        working_folder: absolute path in the container; empty for the image's.
        memory: bytes of address space that each process may have; 0 for no limit. An ``ulimit``, since an ordinary
            account can set no cgroup limit on every machine.
        timeout: seconds after which the container is killed.
        labels: labels, as pairs.
        read_only: the image's files cannot be written; /tmp, /var/tmp and /run then are in memory.
    """

    image: str
    command: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = attrs.field(factory=dict)
    network: str = "none"
    working_folder: str = ""
    memory: int = 0
    timeout: float = 3600.0
    labels: tuple[tuple[str, str], ...] = ()
    read_only: bool = False


@attrs.frozen(kw_only=True)
class Ended:
    """A container that has ended.

    Attributes:
        status: exit status of its program; 128 and more for a signal.
        tail: the last lines it wrote.
        timed_out: whether it was killed because it took too long.
    """

    status: int
    tail: tuple[str, ...]
    timed_out: bool = False
