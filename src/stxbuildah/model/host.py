# SPDX-License-Identifier: Apache-2.0
"""What a machine allows, and what the user says of it."""

from enum import StrEnum

import attrs

from stxbuildah.model.settings import HostChoices, Storage
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class UserChoices(Value):
    """What the user set by flags; an empty field leaves the choice to the environment, then to the probe.

    Attributes:
        isolation: buildah's isolation: ``oci``, ``rootless`` or ``chroot``.
        network: network mode of containers, as ``host``.
        runtime: OCI runtime's name or path.
        storage: where images are kept.
    """

    isolation: str = ""
    network: str = ""
    runtime: str = ""
    storage: Storage = attrs.field(factory=Storage)


class State(StrEnum):
    """How good one capability of a machine is for our work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen(kw_only=True)
class Capability(Value):
    """One row of what ``stxb doctor`` tells.

    Attributes:
        name: the capability.
        probed_by: the file, call or command that told.
        found: what it told.
        state: how good that is.
        consequence: what follows for this program.
        improve: the command that would make it better; empty when nothing need be done, or no command can.
    """

    name: str
    probed_by: str
    found: str
    state: State
    consequence: str
    improve: str = ""


@attrs.frozen(kw_only=True)
class HostReport(Value):
    """All that was found out about a machine.

    Attributes:
        capabilities: the rows, in the order to read them.
        choices: how programs are run here because of it.
        updates: whether images can be updated here, in both lanes.
        wheel_containers: whether wheels can be built in containers here.
    """

    capabilities: tuple[Capability, ...]
    choices: HostChoices
    updates: bool
    wheel_containers: bool

    @property
    def able(self) -> bool:
        """Whether everything this program does can work here."""
        return self.updates and self.wheel_containers
