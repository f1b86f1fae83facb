# SPDX-License-Identifier: Apache-2.0
"""An update inside a working container: packages, wheels, the customization script, then what changed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs

from stxbuildah.engine.packages import find_manager, package_suffix, refusal
from stxbuildah.engine.process import Completed
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.errors import BuildError
from stxbuildah.job.engine import Engine
from stxbuildah.job.image import declared_volumes, path_variable
from stxbuildah.job.programs import Program, run_programs
from stxbuildah.job.publish import timestamp_of
from stxbuildah.job.sessionmounts import check_mountable, find_shell, mount_point, session_variables, standard_mounts
from stxbuildah.job.sources import Sources
from stxbuildah.job.staging import MOUNT_POINT, Staging
from stxbuildah.job.startable import startable_image
from stxbuildah.layer.content import wheel_content
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.thin import thin
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.layer import LayerContent
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree
from stxbuildah.model.update import UpdateRequest


@attrs.define(kw_only=True)
class UpdateSession:
    """A working container of the image to change, and what was done in it.

    Attributes:
        engine: programs and folders.
        base: the image.
        base_tree: its files, untouched.
        request: what was asked.
        sources: the inputs on this machine.
        staging: what the container sees as ``/image-update``.
        container: the working container.
        volumes: mounts for every program that runs in it.
        mount_points: paths where the engine mounts something, which no layer may hold.
        waiting: programs to run in it before anything looks at its files.
    """

    engine: Engine
    base: StoredImage
    base_tree: FileTree
    request: UpdateRequest
    sources: Sources
    staging: Staging
    container: WorkingContainer
    volumes: tuple[str, ...]
    mount_points: tuple[str, ...]
    waiting: list[Program] = attrs.field(factory=list)

    @classmethod
    @contextmanager
    def opened(
        cls,
        engine: Engine,
        base: StoredImage,
        base_tree: FileTree,
        *,
        sources: Sources,
        folder: Path,
    ) -> Iterator["UpdateSession"]:
        """Stage the inputs and make the working container; it is removed at the end whatever happened.

        Args:
            engine: programs and folders.
            base: the image to change.
            base_tree: its files.
            sources: the inputs on this machine, and what was asked.
            folder: work folder.
        """
        request = sources.request
        check_mountable(folder)
        staging = Staging.make(
            folder / "image-update",
            script=sources.inputs.customization_script,
            extras=sources.extra_files,
            wheels=[wheel.path for wheel in sources.wheels],
            packages=sources.packages,
        )
        volumes = (staging.volume, *standard_mounts(base_tree, folder, request.install.build_ca_bundle))
        with (
            startable_image(engine, base, folder) as name,
            WorkingContainer.create(
                engine.runner, engine.choices, name, state_folder=engine.folders.state, keep=request.keep
            ) as container,
        ):
            yield cls(
                engine=engine, base=base, base_tree=base_tree, request=request, sources=sources, staging=staging,
                container=container, volumes=volumes,
                mount_points=(*map(mount_point, volumes), *declared_volumes(base)),
            )  # fmt: skip

    def install_packages(self) -> None:
        """Have the distribution packages installed, offline unless the repositories are allowed.

        They are when the next step needs it: what follows may share the start of the container.

        Raises:
            InputError: the image has no manager for these packages.
        """
        names = [path.name for path in self.sources.packages]
        manager = find_manager(self.base_tree, package_suffix(names), image=str(self.base.reference))
        allowed = self.request.install.allow_repositories
        files = [f"{MOUNT_POINT}/dist-packages/{name}" for name in names]
        failed = partial(refusal, manager, allow_repositories=allowed)
        commands = manager.commands(files, allow_repositories=allowed)
        self.waiting += [Program(argv=argv, failed=failed) for argv in commands]

    def install_wheels(self) -> None:
        """Put the computed layer of the wheels into the container, on top of the packages.

        Raises:
            StxbError: see ``layer.content.wheel_content``.
        """
        self._run_waiting()
        install = self.request.install
        with self.container.tree() as tree:
            inventory = take_inventory(tree, path_variable(self.base), install.python)
            made = wheel_content(
                tree, inventory, self.sources.wheels, break_system_packages=install.break_system_packages
            )
            tree.apply(made.content, timestamp_of(self.request, self.base))
        if install.compile_bytecode:
            self._compile(inventory, made.content)

    def customize(self) -> None:
        """Have the customization script run as root, by bash when the image has it, else by sh.

        Raises:
            BuildError: the image has no shell.
        """
        script = self.sources.inputs.customization_script
        shell = find_shell(self.base_tree)
        if not shell:
            raise BuildError(f"the image {self.base.reference} has no shell to run {script} with")
        self.waiting.append(Program(argv=(shell, f"{MOUNT_POINT}/customize.sh"), failed=partial(_script_error, script)))

    @contextmanager
    def changes(self) -> Iterator[LayerContent]:
        """Give what changed, as far as it belongs into a layer; its files can be read inside the block.

        Raises:
            BuildError: a package manager refused, or the script ended with an error.
        """
        self._run_waiting()
        with self.container.tree(comparable=True) as tree:
            yield thin(
                tree.changes(),
                mount_points=self.mount_points,
                base=self.base_tree,
                keep_bytecode=self.request.install.compile_bytecode,
            )

    def _compile(self, inventory: Inventory, content: LayerContent) -> None:
        environment = inventory.environment
        if environment is None:
            return
        modules = [entry.path for entry in content.entries if entry.opener is not None and entry.path.endswith(".py")]
        folders = sorted({path.rpartition("/")[0] for path in modules})
        argv = (environment.interpreter, "-m", "compileall", "-q", "-l", *folders)
        self.waiting.append(Program(argv=argv, failed=_compiler_error))

    def _run_waiting(self) -> None:
        waiting, self.waiting = self.waiting, []
        shell = find_shell(self.base_tree)
        run_programs(
            waiting,
            self._run,
            bash=shell if shell.endswith("bash") else "",
            environment=session_variables(
                self.request.host.proxies, self.request.install.build_ca_bundle, timestamp_of(self.request, self.base)
            ),
            folder=self.staging.folder.parent,
        )

    def _run(self, argv: Sequence[str], volumes: Sequence[str], environment: Mapping[str, str]) -> Completed:
        return self.container.run(argv, volumes=(*self.volumes, *volumes), env=environment, check=False)


def _script_error(script: Path | None, completed: Completed) -> BuildError:
    lines = [*completed.stdout.decode("utf-8", "replace").splitlines(), *completed.tail]
    return BuildError(
        f"the customization script {script} ended with exit status {completed.returncode}", details=lines[-20:]
    )


def _compiler_error(completed: Completed) -> BuildError:
    return BuildError("bytecode could not be compiled", details=completed.tail)
