# SPDX-License-Identifier: Apache-2.0
"""A base image from nothing but the distribution's packages."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from stxbuildah import __version__
from stxbuildah.engine.debootstrap import Bootstrap, make_tar
from stxbuildah.job.basework import BaseWork, NewBase
from stxbuildah.job.room import opened_room
from stxbuildah.layer.append import append_layer, empty_image, rfc3339
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.tararchive import opened_tar
from stxbuildah.model.base import image_platform
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import LayerBlob


def bootstrapped(work: BaseWork, sources: Sequence[str]) -> NewBase:
    """Install a system from its packages, and make it the one layer of an image.

    Args:
        work: what to make.
        sources: the distribution's sources.list lines, with the keys that they are trusted by.

    Raises:
        StxbError: it could not be installed.
    """
    plan = work.plan
    with work.step("install", f"installing {plan.system.os} {plan.system.codename} from its packages"):
        archive = _install(work, sources)
    with work.step("write layer", "writing the layer"):
        layer = work.folder / "layer"
        with opened_tar(archive, leave_out=plan.leave_out, files=plan.origin.files) as content:
            blob = write_layer(content, layer, timestamp=work.timestamp, compression=work.request.compression)
        archive.unlink()
        documents = _documents(work, blob)
    return NewBase(documents=documents, file=layer, blob=blob, paths=len(content.entries))


def _install(work: BaseWork, sources: Sequence[str]) -> Path:
    plan, request, runner = work.plan, work.request, work.engine.runner
    if request.proxy:
        proxies = {"http_proxy": request.proxy, "https_proxy": request.proxy}
        runner = attrs.evolve(runner, extra=(*runner.extra, *proxies.items()))
    bootstrap = Bootstrap(
        suite=plan.system.codename,
        architecture=plan.system.arch,
        packages=plan.packages,
        sources=(*sources, *plan.origin.repositories),
        preferences=plan.origin.preferences,
        timestamp=work.timestamp,
        attempts=request.retry.attempts,
    )
    runner = attrs.evolve(runner, secrets=(*runner.secrets, *plan.origin.secrets))
    with opened_room(work.engine.runner, work.engine.folders) as room:
        return make_tar(runner, bootstrap, work.folder, room=room)


def _documents(work: BaseWork, blob: LayerBlob) -> ImageDocuments:
    plan = work.plan
    architecture, variant = image_platform(plan.system.arch)
    labels = {**dict(plan.labels), "org.opencontainers.image.created": rfc3339(work.timestamp)}
    return append_layer(
        empty_image(
            architecture=architecture,
            variant=variant,
            config={"Env": list(plan.environment), "Cmd": list(plan.command)},
        ),
        blob,
        timestamp=work.timestamp,
        created_by=f"stxb base --os {plan.system.os} --os-codename {plan.system.codename}",
        comment=f"stxbuildah {__version__}",
        labels=labels,
        annotations=labels,
    )
