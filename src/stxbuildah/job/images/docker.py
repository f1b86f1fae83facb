# SPDX-License-Identifier: Apache-2.0
"""BUILDER=docker: images of a Containerfile, built by ``buildah build``.

Build arguments are BASE and WHEELS, where the Containerfile declares them. Proxies are in the environment of buildah,
which hands them on to what runs and writes them nowhere.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from stxbuildah.directive.containerimages import mounts_context
from stxbuildah.directive.containerrewrite import FILES_CONTEXT, Rewritten, rewritten
from stxbuildah.directive.ignorefile import IgnoreFile
from stxbuildah.directive.shellvars import read_assignments
from stxbuildah.engine.execute import Postponed
from stxbuildah.engine.git import secrets_of
from stxbuildah.engine.imagebuild import BuildOrder, build
from stxbuildah.engine.process import child_environment
from stxbuildah.engine.registry_flags import registry_of, registry_options
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.images.checkout import check_out, patch_problems, scratch_copy
from stxbuildah.job.images.containerrecipe import (
    BASE_ARGUMENT,
    WHEELS_ARGUMENT,
    ContainerRecipe,
    find_containerfile,
    read_recipe,
)
from stxbuildah.job.images.context import context_digest, find_ignore_file, read_ignored
from stxbuildah.job.images.work import ImageWork, RawImage
from stxbuildah.job.sessionmounts import check_mountable
from stxbuildah.layer.documents import as_object, parsed
from stxbuildah.model.imagebuild import Checkout, DockerBuild, ImageDirectives
from stxbuildah.model.layer import Compression
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies
from stxbuildah.model.stored import StoredImage

# Where files of a build are mounted for its time: the folder that FHS 3.0 has for the purpose in every system.
_MOUNTED = "/mnt"
_WHEELS_FILE = f"{_MOUNTED}/wheels.tar"
_CA_FILE = f"{_MOUNTED}/ca-bundle.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
# What only images of Docker's format can say, as instructions and as settings.
_DOCKER_INSTRUCTIONS = frozenset({"HEALTHCHECK", "ONBUILD", "SHELL"})
_DOCKER_SETTINGS = ("Healthcheck", "OnBuild", "Shell")


def parents(directives: ImageDirectives, labels: Collection[str]) -> tuple[str, ...]:
    """Give the LABELs of the product's images that an image is built from, as far as its files are on this machine.

    Args:
        directives: the image.
        labels: LABELs of the product.
    """
    recipe = _local_recipe(directives)
    return () if recipe is None else tuple(sorted({label for _, label in recipe.product_images(labels)}))


def uses_base(directives: ImageDirectives) -> bool:
    """Tell whether an image is built on the base image; of a repository that is known only when it is built."""
    recipe = _local_recipe(directives)
    return recipe is not None and recipe.uses_base


def problems(directives: ImageDirectives) -> list[Problem]:
    """Give what keeps an image from being built: files that are missing, a Containerfile that cannot be read."""
    settings = _settings(directives)
    if settings.checkout is not None:
        return list(patch_problems(directives.file, settings.checkout))
    context, containerfile = settings.context, settings.containerfile
    if context is None or not context.is_dir():
        return [_problem(directives, "DOCKER_CONTEXT", f"the folder {context} is not there: the build context")]
    if containerfile is None or not containerfile.is_file():
        return [_problem(directives, "DOCKER_FILE", f"the file {containerfile} is not there: the Containerfile")]
    try:
        return list(read_recipe(context, containerfile).problems())
    except InputError as error:
        return [_problem(directives, "DOCKER_FILE", error.message)]


def remarks(directives: ImageDirectives, labels: Collection[str] = ()) -> list[str]:
    """Give what the user should know of an image and is no mistake.

    Args:
        directives: the image.
        labels: LABELs of the product; an image that is built on one of them has the base image from there.
    """
    recipe = _local_recipe(directives)
    if recipe is None or recipe.uses_base or recipe.product_images(labels):
        return []
    images = sorted({use.image for use in recipe.uses if use.is_from and use.image}) or ["nothing"]
    return [f"{directives.label}: {recipe.path} has no FROM ${{BASE}}: it is built on {', '.join(images)}"]


def inputs(work: ImageWork) -> dict[str, str]:
    """Give the digest of each component that an image is made of, besides its directives and its planned parents.

    Raises:
        StxbError: a component is missing or cannot be read.
    """
    settings = _settings(work.image.directives)
    found: dict[str, str] = {}
    if settings.checkout is None:
        recipe = _local_recipe(work.image.directives)
        if recipe is None:
            raise InputError(f"{work.image.label}: the Containerfile or its context is not there")
        ignored = read_ignored(find_ignore_file(recipe.context, recipe.path))
        # What is mounted is seen whole.
        seen = IgnoreFile() if mounts_context(recipe.containerfile)[0] else ignored
        found["context"] = context_digest(recipe.context, seen)
        found["containerfile"] = f"sha256:{hashlib.sha256(recipe.path.read_bytes()).hexdigest()}"
    else:
        recipe, found = _checked_out(work, settings.checkout)
    if recipe.uses_base:
        found["base"] = work.base.digest
    if recipe.takes_wheels and work.material.wheels is not None:
        found["wheels"] = work.material.wheels.digest
    for label, image in _own_parents(work, recipe).items():
        found[f"image {label}"] = f"sha256:{image.image_id}"
    return found


def build_docker(work: ImageWork, facts: Mapping[str, str] | None = None) -> RawImage:
    """Build an image as its Containerfile says, under a temporary name.

    Args:
        work: what is built.
        facts: labels that the image has already when it is built, and annotations where its format has them.

    Raises:
        Postponed: others of the run have to be built first.
        StxbError: it cannot be built, or took too long.
    """
    engine, directives = work.engine, work.image.directives
    settings = _settings(directives)
    if settings.checkout is not None:
        recipe = _checked_out(work, settings.checkout)[0]
    else:
        found = _local_recipe(directives)
        if found is None:
            raise InputError(f"{work.image.label}: the Containerfile or its context is not there")
        recipe = found
    if mistakes := list(recipe.problems()):
        raise ProblemsError(mistakes)
    above = _own_parents(work, recipe)
    base = work.base if recipe.uses_base else None
    order = _order(work, recipe, above, base)
    runner = attrs.evolve(engine.runner, secrets=(*engine.runner.secrets, *proxy_secrets(work.request.host.proxies)))
    with _registry_options(work, recipe, above, base) as options:
        build(
            runner,
            engine.choices,
            attrs.evolve(order, options=options, facts=tuple((facts or {}).items())),
            state_folder=engine.folders.state,
            timeout=work.seconds_left,
            on_step=work.tell,
            on_last_step=work.built if facts and not directives.post_build.runs_commands else lambda: None,
        )
    return RawImage(reference=ImageReference.parse(order.name))


def proxy_secrets(proxies: Proxies) -> tuple[str, ...]:
    """Give what of proxies must not be shown: passwords in their URLs."""
    found = []
    for value in (proxies.http, proxies.https):
        userinfo, at, _ = urlsplit(value if "//" in value else f"//{value}").netloc.rpartition("@")
        if at and ":" in userinfo:
            found.append(userinfo.partition(":")[2])
    return tuple(found)


def _settings(directives: ImageDirectives) -> DockerBuild:
    if not isinstance(directives.build, DockerBuild):
        raise InputError(f"{directives.label} is not built by BUILDER=docker")
    return directives.build


def _local_recipe(directives: ImageDirectives) -> ContainerRecipe | None:
    """Read the Containerfile of a context on this machine; None where one of them is not there."""
    settings = _settings(directives)
    context, path = settings.context, settings.containerfile
    if context is None or path is None or not context.is_dir() or not path.is_file():
        return None
    try:
        return read_recipe(context, path)
    except InputError:
        return None


def _checked_out(work: ImageWork, checkout: Checkout) -> tuple[ContainerRecipe, dict[str, str]]:
    found = check_out(work, checkout)
    path = find_containerfile(found.folder)
    return read_recipe(path.parent, path), found.inputs


def _problem(directives: ImageDirectives, key: str, message: str) -> Problem:
    """Give a mistake at the line of a key, or at the file where the key is not set."""
    file = directives.file
    try:
        assignments, _ = read_assignments(file.read_text(encoding="utf-8", errors="surrogateescape"), str(file))
    except OSError:
        assignments = ()
    line = next((one.line for one in reversed(assignments) if one.key == key and one.value.strip()), 0)
    return Problem(str(file), message, line)


def _own_parents(work: ImageWork, recipe: ContainerRecipe) -> dict[str, StoredImage]:
    """Give the product's images that it is built from.

    Raises:
        Postponed: some are not there yet.
    """
    there = {**work.finished, **work.parents}
    wanted = sorted({label for _, label in recipe.product_images({*work.labels, *there})})
    missing = tuple(label for label in wanted if label not in there)
    if missing:
        raise Postponed(missing)
    return {label: there[label] for label in wanted}


def _order(
    work: ImageWork, recipe: ContainerRecipe, above: dict[str, StoredImage], base: StoredImage | None
) -> BuildOrder:
    """Write what buildah needs into the work folder, and give the order."""
    folder, material = work.folder, work.request.material
    check_mountable(folder)
    arguments: list[tuple[str, str]] = []
    mounts: dict[str, Path] = {}
    variables: dict[str, str] = {}
    if base is not None:
        arguments.append((BASE_ARGUMENT, str(base.reference)))
    if recipe.takes_wheels and material.wheels:
        file = Path(material.wheels)
        if secrets_of(material.wheels):
            raise InputError(
                "the URL of the wheels has a password, which the image's history would show",
                hint="fetch the tarball, and name the file with --wheels",
            )
        arguments.append((WHEELS_ARGUMENT, _WHEELS_FILE if file.is_file() else material.wheels))
        mounts |= {_WHEELS_FILE: file} if file.is_file() else {}
    if material.build_ca_bundle is not None:
        mounts[_CA_FILE] = material.build_ca_bundle
        variables = dict.fromkeys(_CA_VARIABLES, _CA_FILE)
    names = [(use, str(above[label].reference)) for use, label in recipe.product_images(above)]
    new = rewritten(recipe.containerfile, names, variables)
    path, contexts = _written(recipe, new, folder)
    context = recipe.context.absolute()
    if mounts_context(recipe.containerfile)[1]:
        # A program that may write to the context writes to a copy.
        context = scratch_copy(context, folder / "context")
    return BuildOrder(
        context=context,
        containerfile=path,
        name=str(work.temporary_name()),
        arguments=tuple(arguments),
        proxies=work.request.host.proxies.variables_in_both_cases,
        ignore_file=find_ignore_file(recipe.context, recipe.path),
        contexts=contexts,
        volumes=_volumes(folder, mounts),
        docker_format=_needs_docker_format(work, recipe, above, base),
        cache=work.request.cache and not work.fresh,
        timestamp=work.timestamp,
    )


def _written(recipe: ContainerRecipe, new: Rewritten, folder: Path) -> tuple[Path, tuple[tuple[str, Path], ...]]:
    """Write the Containerfile and the files in it, where it had to be changed."""
    if not new.changed:
        return recipe.path.absolute(), ()
    path = folder / recipe.path.name
    path.write_text(new.text, encoding="utf-8", errors="surrogateescape")
    for name, content in new.files.items():
        file = folder / FILES_CONTEXT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8", errors="surrogateescape")
        file.chmod(0o644)
    return path, ((FILES_CONTEXT, folder / FILES_CONTEXT),) if new.files else ()


def _volumes(folder: Path, mounts: dict[str, Path]) -> tuple[str, ...]:
    """Mount files over empty ones in a folder of ours, and that where images have one: no layer shows any of it."""
    if not mounts:
        return ()
    places = folder / "mounted"
    places.mkdir()
    volumes = [f"{places}:{_MOUNTED}:ro"]
    for target, file in mounts.items():
        check_mountable(file.absolute())
        (places / Path(target).name).touch()
        volumes.append(f"{file.absolute()}:{target}:ro")
    return tuple(volumes)


def _needs_docker_format(
    work: ImageWork, recipe: ContainerRecipe, above: dict[str, StoredImage], base: StoredImage | None
) -> bool:
    """Tell whether an image of OCI's format would lose something that the Containerfile or what it is built on says."""
    if any(instruction.name in _DOCKER_INSTRUCTIONS for instruction in recipe.containerfile.instructions):
        return True
    for image in (*above.values(), *([base] if base is not None else [])):
        config = parsed(image.documents.config, "configuration")
        settings = as_object(config.get("config") or {}, "config of the configuration")
        if any(settings.get(name) for name in _DOCKER_SETTINGS):
            return True
    # What an image from elsewhere says is not known before; layers of zstd are for OCI's format alone.
    return bool(recipe.other_images(above)) and work.request.compression is Compression.GZIP


@contextmanager
def _registry_options(
    work: ImageWork, recipe: ContainerRecipe, above: Collection[str], base: StoredImage | None
) -> Iterator[tuple[str, ...]]:
    """Give the options for images that buildah fetches.

    What the user set for one registry, as a password or an unchecked certificate, holds for no other.
    """
    others = recipe.other_images(above)
    if not others:
        yield ()
        return
    access = work.request.access
    known = {work.request.naming.registry, "" if base is None else base.reference.registry}
    if any(registry_of(reference) not in known for reference in others):
        access = attrs.evolve(access, creds="", tls_verify=None, cert_dir=None)
    runtime_folder = child_environment(dict(work.engine.runner.extra)).get("XDG_RUNTIME_DIR", "")
    with registry_options(access, others[0], runtime_folder=runtime_folder) as options:
        yield options
