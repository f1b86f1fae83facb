# SPDX-License-Identifier: Apache-2.0
"""From the values of the options of ``stxb base`` to a request."""

import os
import platform
import re
from pathlib import Path
from typing import Any

from stxbuildah.cli import options
from stxbuildah.errors import Problem, ProblemsError
from stxbuildah.model.base import BaseContent, BaseNaming, BaseRequest, BaseSystem, BuildVariables
from stxbuildah.model.layer import Compression
from stxbuildah.model.update import HostOptions, PullPolicy

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def make_request(given: dict[str, Any]) -> BaseRequest:
    """Make the request from click's values.

    Raises:
        InputError: a variable has no name, or SOURCE_DATE_EPOCH is no whole number.
    """
    checkout = os.environ.get("MY_REPO")
    return BaseRequest(
        system=BaseSystem(
            os=given["os_name"].lower(), codename=given["os_codename"].lower(), arch=given["os_arch"],
            version=given["os_version"],
        ),
        naming=BaseNaming(
            version=given["version"], stream=given["stream"], prefix=given["prefix"], latest=given["latest"],
            latest_tag=given["latest_tag"], registry=given["registry"], user=given["user"], account=options.account(),
        ),
        content=BaseContent(
            from_image=given["from_image"], pull=PullPolicy(given["pull"]) if given["pull"] else None,
            build_ca_bundle=given["build_ca_bundle"],
            repositories=given["repositories"], local=given["local"], publish_url=given["repomgr_publish_url"],
            templates=given["templates"], build_layers=options.names(given["build_layers"]),
            private=given["private_repos"] or not given["publish_repos"],
            mirror=given["mirror"], security_mirror=given["security_mirror"],
            packages=options.names(given["packages"]) if given["packages"] else None, minimal=given["minimal"],
        ),
        config_file=given["config_file"],
        config_folder=Path(checkout, "build-tools", "build-docker-images") if checkout else Path(),
        roots=given["roots"] or ((Path(checkout),) if checkout and Path(checkout).is_dir() else ()),
        proxy=given["proxy"],
        variables=_variables(given),
        host=HostOptions(
            storage=options.storage(given["root"], given["runroot"], given["storage_driver"]),
            isolation=given["isolation"] or "", network=given["network"], proxies=options.proxies("", "", ""),
        ),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
        push=given["push"], clean=given["clean"], keep=given["keep"],
        compression=Compression(given["compression_format"]),
        labels=options.key_values(given["labels"], "--label"),
        source_date_epoch=options.source_date_epoch(),
    )  # fmt: skip


def _variables(given: dict[str, Any]) -> BuildVariables:
    """Take the build's variables from the options, else from the environment."""
    named = dict(options.key_values(given["variables"], "--var"))
    wrong = [name for name in named if not _VARIABLE.fullmatch(name)]
    if wrong:
        message = "is no variable's name: capital letters, digits and underscores"
        raise ProblemsError([Problem("command line", f"--var {name!r} {message}") for name in wrong])

    def value(name: str) -> str:
        return named.pop(name, os.environ.get(name, ""))

    return BuildVariables(
        snapshot=value("DEBIAN_SNAPSHOT"), security_snapshot=value("DEBIAN_SECURITY_SNAPSHOT"),
        distribution=value("DEBIAN_DISTRIBUTION"), repomgr_url=value("REPOMGR_DEPLOY_URL"),
        repomgr_origin=value("REPOMGR_ORIGIN"), workspace=value("MY_WORKSPACE"), checkout=value("MY_REPO"),
        hostname=given["hostname"] or os.environ.get("HOSTNAME") or platform.node(),
        further=tuple(sorted(named.items())),
    )  # fmt: skip
