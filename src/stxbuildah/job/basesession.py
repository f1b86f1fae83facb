# SPDX-License-Identifier: Apache-2.0
"""A base image of an image: its packages upgraded and others installed in a working container, as one layer on top."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah import __version__, log
from stxbuildah.engine.packages import find_manager
from stxbuildah.engine.provision import Provisioning, provision_error
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.basework import BaseWork, NewBase
from stxbuildah.job.image import declared_volumes, image_tree
from stxbuildah.job.sessionmounts import check_mountable, mount_point, session_variables, standard_mounts
from stxbuildah.job.startable import startable_image
from stxbuildah.layer.append import append_layer, rfc3339
from stxbuildah.layer.documents import Json
from stxbuildah.layer.filechanges import file_changes
from stxbuildah.layer.osrelease import read_os_release
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.thin import thin
from stxbuildah.layer.updates import OCI_BASE_DIGEST, OCI_BASE_NAME
from stxbuildah.model.base import image_platform
from stxbuildah.model.baseplan import BasePlan, PackageFamily
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import LayerBlob, LayerContent
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.update import PullPolicy
from stxbuildah.plan.baseapt import LISTS, OFF, PREFERENCES
from stxbuildah.plan.baseyum import repository_names

_MOUNT_POINT = "/image-update"
_MAIN_LIST = "/etc/apt/sources.list"
_LONGEST_LIST = 1_000_000


def provisioned(work: BaseWork, from_image: ImageReference) -> NewBase:
    """Upgrade and install the packages of an image in a working container, and make one layer of what changed.

    Args:
        work: what to make.
        from_image: the image to start from; fetched as the plan says.

    Raises:
        StxbError: the image cannot be had or is of another system, or its packages could not be installed.
    """
    image, pulled = _fetched(work, from_image)
    check_platform(image, work.plan)
    check_mountable(work.folder)
    layer = work.folder / "layer"
    with image_tree(work.engine, image, folder=work.folder, wait=True) as tree:
        check_system(tree, image, work.plan)
        with _Session.opened(work, image, tree) as session:
            session.install()
            with work.step("write layer", "writing the layer"), session.changes() as content:
                blob = write_layer(content, layer, timestamp=work.timestamp, compression=work.request.compression)
    documents = _documents(work, image, blob)
    return NewBase(documents=documents, file=layer, blob=blob, paths=len(content.entries), image=image, pulled=pulled)


def check_platform(image: StoredImage, plan: BasePlan) -> None:
    """Make sure that an image is of the architecture that was asked for.

    Raises:
        InputError: it is of another one.
    """
    architecture = json.loads(image.documents.config).get("architecture")
    if architecture != image_platform(plan.system.arch)[0]:
        raise InputError(
            f"the image {image.reference} is for {architecture}, not for {plan.system.arch}",
            hint="name the architecture with --os-arch, or an image for it with --from-image",
        )


def check_system(tree: FileTree, image: StoredImage, plan: BasePlan) -> None:
    """Make sure that an image holds the system and release that were asked for.

    Raises:
        InputError: it holds another one, or has no program that installs from repositories.
    """
    found, system = read_os_release(tree), plan.system
    named = found.pretty_name or " ".join(filter(None, (found.id, found.version_id))) or "of an unknown system"
    is_deb = plan.family is PackageFamily.DEB
    other_release = (
        found.codename not in {"", system.codename} if is_deb else _is_other(found.version_id, system.version)
    )
    if found.id != system.os or other_release:
        raise InputError(
            f"the image {image.reference} is {named}, not {system.os} {system.codename}",
            hint="name its system with --os and --os-codename, or another image with --from-image",
        )
    if not find_manager(tree, f".{plan.family.value}", image=str(image.reference)).fetches:
        raise InputError(f"the image {image.reference} has no program that installs packages from repositories")


def _is_other(found: str, wanted: str) -> bool:
    """Tell whether two releases differ in their first number, as far as both have one."""
    first, second = found.partition(".")[0], wanted.partition(".")[0]
    return first.isdigit() and second.isdigit() and first != second


def _fetched(work: BaseWork, wanted: ImageReference) -> tuple[StoredImage, bool]:
    """Give the image to start from, and whether it came into the store just now without having been there."""
    store, policy = work.engine.store, work.plan.pull
    stored = store.read(wanted)
    if stored is not None and policy is not PullPolicy.ALWAYS:
        return stored, False
    if policy is PullPolicy.NEVER:
        raise InputError(f"the image {wanted} is not in the local store", hint="--pull missing fetches it")
    with work.step("pull", f"pulling {wanted}"):
        pulled = store.read(store.pull(wanted))
    if pulled is None:
        raise BuildError(f"the image {wanted} went away from the local store")
    return pulled, stored is None


@attrs.frozen(kw_only=True)
class _Session:
    """A working container of the image to start from."""

    work: BaseWork
    image: StoredImage
    base: FileTree
    container: WorkingContainer
    volumes: tuple[str, ...]

    @classmethod
    @contextmanager
    def opened(cls, work: BaseWork, image: StoredImage, base: FileTree) -> Iterator["_Session"]:
        engine, plan = work.engine, work.plan
        volumes = (
            f"{_stage(work.folder / 'image-update', plan)}:{_MOUNT_POINT}:ro",
            *standard_mounts(base, work.folder, work.request.content.build_ca_bundle),
        )
        runner = attrs.evolve(engine.runner, secrets=(*engine.runner.secrets, *plan.origin.secrets))
        with (
            startable_image(engine, image, work.folder) as name,
            WorkingContainer.create(
                runner, engine.choices, name, state_folder=engine.folders.state, keep=work.request.keep
            ) as container,
        ):
            yield cls(work=work, image=image, base=base, container=container, volumes=volumes)

    def install(self) -> None:
        """Install and upgrade, and write what the image says of repositories."""
        work, plan = self.work, self.work.plan
        name, provisioning = self.image.reference, self._provisioning()
        if plan.first_packages:
            with work.step("install first", f"installing {' '.join(plan.first_packages)}"):
                self._run(provisioning.install(plan.first_packages), f"installing packages into {name}")
        with work.step("upgrade", f"upgrading the packages of {name}"):
            self._run(provisioning.upgrade(), f"upgrading the packages of {name}")
        if plan.packages:
            with work.step("install", f"installing {len(plan.packages)} packages"):
                self._run(provisioning.install(plan.packages), f"installing packages into {name}")
        with self.container.tree() as tree:
            tree.apply(file_changes(tree, image_lists(tree, plan)), work.timestamp)

    @contextmanager
    def changes(self) -> Iterator[LayerContent]:
        """Give what changed, as far as it belongs into a layer; its files can be read inside the block."""
        points = (*map(mount_point, self.volumes), *declared_volumes(self.image))
        with self.container.tree(comparable=True) as tree:
            yield thin(tree.changes(), mount_points=points, base=self.base, keep_bytecode=False)

    def _provisioning(self) -> Provisioning:
        origin = self.work.plan.origin
        is_rpm = self.work.plan.family is PackageFamily.RPM
        return Provisioning(
            manager=find_manager(self.base, f".{self.work.plan.family.value}", image=str(self.image.reference)),
            folder=_MOUNT_POINT,
            has_preferences=bool(origin.preferences),
            repositories=repository_names(origin) if is_rpm else (),
            only_given=origin.only_given,
            attempts=self.work.request.retry.attempts,
            ca_bundle=self._variables().get("SSL_CERT_FILE", ""),
        )

    def _variables(self) -> dict[str, str]:
        request = self.work.request
        proxies = request.host.proxies
        if request.proxy:
            proxies = Proxies(http=request.proxy, https=request.proxy, no=proxies.no)
        return session_variables(proxies, request.content.build_ca_bundle, self.work.timestamp)

    def _run(self, commands: tuple[tuple[str, ...], ...], what: str) -> None:
        network = self.work.request.host.network or "host"
        for argv in commands:
            completed = self.container.run(
                argv, volumes=self.volumes, env=self._variables(), network=network, check=False
            )
            if completed.returncode != 0:
                raise provision_error(what, completed)


def image_lists(tree: FileTree, plan: BasePlan) -> dict[str, bytes | None]:
    """Give what becomes of an image's lists of repositories: content by path, None for what goes away.

    FROM's own apt lists are switched off, and kept under their names with ``.disabled``; ``.repo`` files stay as they
    are. What an earlier base image put there is replaced.

    Args:
        tree: the files of the image that the base is made of.
        plan: names the files that the image is to have.
    """
    files: dict[str, bytes | None] = {path: text.encode() for path, text in plan.origin.files}
    if plan.family is not PackageFamily.DEB:
        return files
    for path in (f"{LISTS}/stx.list", f"{LISTS}/stx.list{OFF}", PREFERENCES):
        files.setdefault(path, None)
    listed = [f"{LISTS}/{name}" for name in tree.scandir(LISTS) if name.endswith((".list", ".sources"))]
    for path in (_MAIN_LIST, *listed):
        found = tree.lstat(path)
        if found is None or files.get(path) is not None:
            continue
        if path not in files and found.kind is Kind.FILE and found.size:
            files.setdefault(f"{path}{OFF}", _read_list(tree, path))
        files[path] = None
    return files


def _read_list(tree: FileTree, path: str) -> bytes:
    content = tree.read_start(path, _LONGEST_LIST + 1)
    if len(content) > _LONGEST_LIST:
        raise BuildError(f"the image's {path} is longer than {_LONGEST_LIST} bytes: this is no list of repositories")
    return content


def _stage(folder: Path, plan: BasePlan) -> Path:
    """Write what the package manager in the container reads; some of it may hold passwords."""
    origin = plan.origin
    (folder / "repositories").mkdir(parents=True)
    sources = "".join(f"{line}\n" for line in (*origin.sources, *origin.repositories))
    texts = {"preferences": origin.preferences, "repositories/stx.repo": origin.repository_file}
    if plan.family is PackageFamily.DEB:
        texts["sources.list"] = sources
    for name, text in texts.items():
        if text:
            (folder / name).write_text(text, encoding="utf-8")
            # The container's root is this account.
            (folder / name).chmod(0o600)
    return folder


def _documents(work: BaseWork, image: StoredImage, blob: LayerBlob) -> ImageDocuments:
    plan = work.plan
    labels = {
        "org.opencontainers.image.created": rfc3339(work.timestamp),
        OCI_BASE_NAME: str(image.reference),
        OCI_BASE_DIGEST: image.digest,
        **dict(plan.labels),
    }
    system = plan.system
    log.info("base.layer.made", image=str(image.reference), digest=image.digest)
    return append_layer(
        image.documents,
        blob,
        timestamp=work.timestamp,
        created_by=f"stxb base --os {system.os} --os-codename {system.codename} --from-image {image.reference}",
        comment=f"stxbuildah {__version__}",
        labels=labels,
        annotations=labels,
        config_changes=settings(image, plan),
    )


def settings(image: StoredImage, plan: BasePlan) -> dict[str, Json]:
    """Give what of an image's settings becomes another: the recipe's variables, and its command.

    The rest stays as FROM has it, its command too when that is for an entry point.

    Args:
        image: the image that the base is made of.
        plan: names variables and command.
    """
    found = json.loads(image.documents.config).get("config") or {}
    own = {variable.partition("=")[0] for variable in plan.environment}
    kept = [variable for variable in found.get("Env") or () if str(variable).partition("=")[0] not in own]
    changes: dict[str, Json] = {"Env": [*plan.environment, *kept]}
    if not found.get("Entrypoint"):
        changes["Cmd"] = list(plan.command)
    return changes
