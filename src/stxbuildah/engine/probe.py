# SPDX-License-Identifier: Apache-2.0
"""How programs are run on this machine, and why."""

import os
from collections.abc import Mapping

from stxbuildah.engine import hostcache
from stxbuildah.engine.process import parent_environment
from stxbuildah.model.host import HostReport, UserChoices
from stxbuildah.model.settings import HostChoices


def choose_host(user: UserChoices, environment: Mapping[str, str] | None = None) -> HostChoices:
    """Give how buildah, podman and skopeo are run here, and a reason for each choice.

    What the user sets wins: flags first, then the environment and the settings files it names, then what was tried.
    The machine is tried out once (``engine.hostcache``); a command after that pays some calls of stat(2).

    Args:
        user: what was set by flags.
        environment: the user's environment; this process's when None.

    Raises:
        HostError: a settings file of our own is needed and cannot be written.
        InputError: what the user set is wrong: a settings file that is not there or no TOML, an unknown isolation.
    """
    seen = parent_environment() if environment is None else environment
    kept = hostcache.load(hostcache.fingerprint(user, seen), seen)
    return _choose(user, seen) if kept is None else kept


def examine(user: UserChoices, environment: Mapping[str, str] | None = None) -> HostReport:
    """Try this machine out anew, and tell all that was found.

    The choices are kept for the commands that follow.

    Args:
        user: what was set by flags.
        environment: the user's environment; this process's when None.

    Raises:
        HostError: a settings file of our own is needed and cannot be written.
        InputError: what the user set is wrong: a settings file that is not there or no TOML, an unknown isolation.
    """
    from stxbuildah.engine.doctor import report

    seen = parent_environment() if environment is None else environment
    return report(user, seen, _choose(user, seen))


def _choose(user: UserChoices, environment: Mapping[str, str]) -> HostChoices:
    from stxbuildah.engine.containersconf import Places
    from stxbuildah.engine.hostchoice import Chooser
    from stxbuildah.engine.trial import opened_trials

    places = Places(rootless=os.geteuid() != 0, environment=environment)
    mark = hostcache.fingerprint(user, environment)
    with opened_trials(environment, {}) as trials:
        choices = Chooser(user=user, places=places, trials=trials).decide()
    hostcache.save(mark, choices, environment)
    return choices
