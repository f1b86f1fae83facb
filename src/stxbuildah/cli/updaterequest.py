# SPDX-License-Identifier: Apache-2.0
"""From the values of the options of ``stxb update`` to a request."""

import re
from typing import Any

from stxbuildah.cli import options
from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Platform
from stxbuildah.model.layer import Compression
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.update import (
    InstallOptions,
    Lane,
    LaneOptions,
    PullPolicy,
    RequestedChanges,
    TargetOptions,
    UpdateRequest,
)


def make_request(given: dict[str, Any]) -> UpdateRequest:
    """Make the request from click's values.

    Raises:
        InputError: SOURCE_DATE_EPOCH is no whole number, a platform none, or a digest none.
    """
    return UpdateRequest(
        from_image=given["from_image"],
        directives_file=given["directives_file"],
        changes=RequestedChanges(
            wheels=given["wheels"], module_sources=given["module_sources"], packages=given["packages"],
            customization_script=given["customize"], extra_files=given["extras"],
        ),
        target=TargetOptions(
            version=given["version"], registry=given["registry"], user=given["user"], tag=given["tag"],
            account=options.account(), to=given["to"],
        ),
        install=InstallOptions(
            python=given["python"], break_system_packages=given["break_system_packages"],
            compile_bytecode=given["compile_bytecode"], allow_repositories=given["allow_repos"],
            with_dependencies=given["with_deps"], index_url=given["index_url"], find_links=given["find_links"],
            builder=given["builder"], build_ca_bundle=given["build_ca_bundle"],
        ),
        host=options.host(given),
        access=options.registry_access(given),
        retry=options.retry(given["attempts"], given["retry_delay"]),
        lanes=_lanes(given), replace_updates=given["replace_updates"],
        push=given["push"] or _is_pushed_to(given["to"]),
        pull=PullPolicy(given["pull"]), clean=given["clean"], keep=given["keep"],
        compression=Compression(given["compression_format"]),
        labels=options.key_values(given["labels"], "--label"),
        annotations=options.key_values(given["annotations"], "--annotation"),
        update_id=given["update_id"], output=options.output_folder(), source_date_epoch=options.source_date_epoch(),
    )  # fmt: skip


def _lanes(given: dict[str, Any]) -> LaneOptions:
    digest = given["expect_digest"]
    if digest and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise InputError(
            f"--expect-digest {digest!r} is no digest", hint="write it as sha256: and 64 hexadecimal digits"
        )
    named = [name.strip() for text in given["platforms"] for name in text.split(",") if name.strip()]
    return LaneOptions(
        lane=Lane(given["lane"]) if given["lane"] else None,
        platforms=tuple(dict.fromkeys(Platform.parse(name) for name in named if name != "all")),
        all_platforms="all" in named,
        expect_digest=digest,
        store_inventory=not given["no_inventory_artifact"],
        trust_inventory=not given["no_trust_inventory"],
    )


def _is_pushed_to(place: str) -> bool:
    """Tell whether ``--to`` names an image of a registry, which is what a push writes to."""
    return bool(place) and ImageLocation.parse(place).transport is Transport.REGISTRY
