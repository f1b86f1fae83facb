# SPDX-License-Identifier: Apache-2.0
"""From the values of the options of ``stxb base`` to a request."""

import os
from pathlib import Path
from typing import Any

from stxbuildah.cli import options
from stxbuildah.errors import InputError
from stxbuildah.model.base import BaseContent, BaseNaming, BaseRequest, BaseSystem, BuildVariables
from stxbuildah.model.layer import Compression
from stxbuildah.model.update import HostOptions


def make_request(given: dict[str, Any]) -> BaseRequest:
    """Make the request from click's values.

    Raises:
        InputError: options that exclude each other, or SOURCE_DATE_EPOCH is no whole number.
    """
    if given["packages"] and given["minimal"]:
        raise InputError("--packages and --minimal exclude each other")
    packages = [name for text in given["packages"] for name in text.replace(",", " ").split()]
    repositories = os.environ.get("MY_REPO")
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
            repositories=given["repositories"], local=given["local"], publish_url=given["repomgr_publish_url"],
            private=given["private_repos"], mirror=given["mirror"], security_mirror=given["security_mirror"],
            packages=tuple(packages) if given["packages"] else None, minimal=given["minimal"],
        ),
        config_file=given["config_file"],
        config_folder=Path(repositories, "build-tools", "build-docker-images") if repositories else Path(),
        proxy=given["proxy"],
        variables=BuildVariables(
            snapshot=os.environ.get("DEBIAN_SNAPSHOT", ""),
            security_snapshot=os.environ.get("DEBIAN_SECURITY_SNAPSHOT", ""),
            distribution=os.environ.get("DEBIAN_DISTRIBUTION", ""),
            repomgr_url=os.environ.get("REPOMGR_DEPLOY_URL", ""),
            repomgr_origin=os.environ.get("REPOMGR_ORIGIN", ""),
        ),
        host=HostOptions(storage=options.storage(given["root"], given["runroot"], given["storage_driver"])),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
        push=given["push"], clean=given["clean"], keep=given["keep"],
        compression=Compression(given["compression_format"]),
        labels=options.key_values(given["labels"], "--label"),
        source_date_epoch=options.source_date_epoch(),
    )  # fmt: skip
