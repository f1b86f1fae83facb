# SPDX-License-Identifier: Apache-2.0
"""What this machine can do for the other commands."""

from stxbuildah.engine import probe
from stxbuildah.model.host import HostReport, UserChoices
from stxbuildah.model.update import HostOptions


def examine(host: HostOptions, runtime: str = "") -> HostReport:
    """Try this machine out anew and tell all that was found; the choices are kept for the other commands.

    Args:
        host: what the user says of this machine.
        runtime: OCI runtime's name or path; empty for what the trial finds.

    Raises:
        HostError: a settings file of our own is needed and cannot be written.
        InputError: what the user set is wrong: a settings file that is not there or no TOML, an unknown isolation.
    """
    return probe.examine(
        UserChoices(isolation=host.isolation, network=host.network, runtime=runtime, storage=host.storage)
    )
