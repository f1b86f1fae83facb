# SPDX-License-Identifier: Apache-2.0
"""BUILDER=script: images that a script makes, on this machine, with a command ``docker`` that is ours.

What the script does to the image of the given name happens to a temporary one: the image that was built before keeps
its name until the new one is finished, and a script that fails leaves no half image under it.
"""

import hashlib
import shutil
from pathlib import Path

import attrs

from stxbuildah.directive.shellvars import read_assignments
from stxbuildah.engine.dockercommand.settings import Settings
from stxbuildah.engine.dockerlauncher import write_docker_command
from stxbuildah.engine.imagebuild import (
    SCRIPT_LABEL,
    ended_after,
    mark_options,
    marked,
    remove_script_containers,
    telling_steps,
)
from stxbuildah.engine.leftover import MARK_VARIABLE
from stxbuildah.engine.locks import OwnerLock
from stxbuildah.engine.process import Completed, child_environment, describe_exit, parent_environment
from stxbuildah.errors import BuildError, InputError, Problem
from stxbuildah.job.engine import TEMPORARY_NAME
from stxbuildah.job.images.checkout import check_out, patch_problems, scratch_copy
from stxbuildah.job.images.docker import proxy_secrets
from stxbuildah.job.images.work import ImageWork, RawImage
from stxbuildah.job.workspace import TEMPORARY_IMAGES
from stxbuildah.model.imagebuild import ImageDirectives, ScriptBuild
from stxbuildah.model.layer import Compression
from stxbuildah.model.reference import ImageReference

# Where StarlingX's scripts look for its sources and outputs; nothing else of the environment is handed on.
_WORKSPACE = ("MY_REPO", "MY_WORKSPACE")
_LOCAL = "localhost/"


def problems(directives: ImageDirectives) -> list[Problem]:
    """Give what keeps an image from being built: a script or patches that are not there."""
    settings = _settings(directives)
    found = list(patch_problems(directives.file, settings.checkout))
    if not settings.script.is_file():
        line = _line_of(directives.file, "SCRIPT")
        found.append(Problem(str(directives.file), f"the script {settings.script} is not there", line))
    return found


def inputs(work: ImageWork) -> dict[str, str]:
    """Give the digest of each component that an image is made of, besides its directives.

    Raises:
        StxbError: a component is missing or cannot be read.
    """
    settings = _settings(work.image.directives)
    return {**check_out(work, settings.checkout).inputs, "script": _digest(settings.script)}


def build_script(work: ImageWork) -> RawImage:
    """Run an image's script in a copy of its checkout, and take the image that it leaves.

    Raises:
        InputError: scripts are not allowed.
        StxbError: the script fails, takes too long, or leaves no image.
    """
    directives = work.image.directives
    settings = _settings(directives)
    if not work.request.allow_scripts:
        raise InputError(
            f"{directives.label}: its script runs on this machine, with this account's rights",
            hint="allow it with --allow-scripts",
        )
    checkout = scratch_copy(check_out(work, settings.checkout).folder, work.folder / "checkout")
    script = _copied_script(directives, settings, checkout)
    given = str(work.image.names.build).removeprefix(_LOCAL)
    temporary = work.temporary_name()
    proxies = work.request.host.proxies
    argv = [settings.command, script, *settings.arguments, given]
    argv += [value for value in (proxies.http, proxies.https, proxies.no) if value]
    before = _image_id(work, work.image.names.build)
    engine = work.engine
    runner = attrs.evolve(engine.runner, secrets=(*engine.runner.secrets, *proxy_secrets(proxies)))
    with marked(runner, engine.choices, engine.folders.state) as lock:
        used = work.folder / "containers-used"
        environment = _environment(work, lock, given, temporary, used)
        timeout = work.seconds_left
        work.tell(f"running {script}")
        try:
            with ended_after(lock.name, timeout) as late:
                completed = telling_steps(runner, work.tell).run(
                    argv, extra=environment, cwd=checkout, check=False, stream_stdout=True
                )
        finally:
            if used.exists():
                remove_script_containers(runner, engine.choices, lock.name)
        if late.is_set() or completed.returncode:
            raise _failed(settings.script.name, completed, timeout if late.is_set() else None)
    return RawImage(reference=_left_image(work, temporary, before))


def _settings(directives: ImageDirectives) -> ScriptBuild:
    if not isinstance(directives.build, ScriptBuild):
        raise InputError(f"{directives.label} is not built by BUILDER=script")
    return directives.build


def _line_of(file: Path, key: str) -> int:
    try:
        assignments, _ = read_assignments(file.read_text(encoding="utf-8", errors="surrogateescape"), str(file))
    except OSError:
        return 0
    return next((one.line for one in reversed(assignments) if one.key == key), 0)


def _digest(path: Path) -> str:
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError as error:
        raise InputError(f"the script {path} cannot be read: {error.strerror}") from error


def _copied_script(directives: ImageDirectives, settings: ScriptBuild, checkout: Path) -> str:
    """Copy the script into the checkout under its name, and give that; a link of the repository is not followed."""
    name = settings.script.relative_to(directives.file.parent)
    target = checkout / name
    if not target.parent.resolve().is_relative_to(checkout.resolve()):
        raise InputError(f"{name} leads out of the repository: {settings.checkout.url} has a link there")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy(settings.script, target)
    return str(name)


def _environment(
    work: ImageWork, lock: OwnerLock, given: str, temporary: ImageReference, containers_file: Path
) -> dict[str, str]:
    """Give the script's variables on top of those that every program gets, and put ``docker`` on its PATH."""
    engine, proxies = work.engine, work.request.host.proxies
    options = dict(engine.runner.options)
    empty = work.folder / "empty"
    empty.mkdir()
    zstd = work.request.compression is not Compression.GZIP
    settings = Settings(
        isolation=engine.choices.isolation,
        runtime=engine.choices.runtime,
        network=engine.choices.network,
        timestamp=work.timestamp,
        format="oci" if zstd else "docker",
        cache=work.request.cache and not work.fresh,
        mark=mark_options(lock),
        label=f"{SCRIPT_LABEL}={lock.name}",
        buildah=list(options.get("buildah", ())),
        podman=list(options.get("podman", ())),
        given=given,
        temporary=str(temporary),
        temporary_name=TEMPORARY_NAME,
        temporary_file=str(work.folder / TEMPORARY_IMAGES),
        containers_file=str(containers_file),
        empty=str(empty),
    )
    store = dict(engine.choices.environment)
    folder = write_docker_command(work.folder / "bin", settings, store)
    path = child_environment(store).get("PATH", "")
    parent = parent_environment()
    workspace = {name: parent[name] for name in _WORKSPACE if name in parent}
    own = {MARK_VARIABLE: lock.name, "PATH": f"{folder}:{path}"}
    return {**store, **workspace, **proxies.variables_in_both_cases, **own}


def _failed(name: str, completed: Completed, timeout: float | None) -> BuildError:
    if timeout is not None:
        return BuildError(
            f"the script {name} had not ended after {timeout:g} seconds and was stopped",
            hint="give it more with --timeout, or look at its log for what hangs",
            details=completed.tail,
        )
    ended = describe_exit(completed.argv[0], completed.returncode)
    return BuildError(f"the script {name} failed: {ended}", details=completed.tail)


def _image_id(work: ImageWork, reference: ImageReference) -> str:
    found = work.engine.store.read(reference)
    return "" if found is None else found.image_id


def _left_image(work: ImageWork, temporary: ImageReference, before: str) -> ImageReference:
    """Give the temporary name of the image that a script has left.

    One that was made by podman or buildah directly has the name that was given; it is taken away.
    """
    store, name = work.engine.store, work.image.names.build
    if store.find(temporary) is not None:
        return temporary
    if _image_id(work, name) in {"", before}:
        raise BuildError(
            f"the script has left no image {str(name).removeprefix(_LOCAL)}",
            hint="it must give its image the name that it gets after ARGS, as by docker build --tag or docker tag",
        )
    store.tag(name, temporary)
    store.untag(name)
    return temporary
