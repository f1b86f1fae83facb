# SPDX-License-Identifier: Apache-2.0
"""The local image store, and images on their way to and from registries.

An image that the store's own files tell of is read there; for any other skopeo is asked. Locks are
the store's own: containers/storage serializes writers of all programs, so nothing here locks anything.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import Fault, FaultKind, to_error
from stxbuildah.engine.process import Completed, ProcessError, Runner, child_environment
from stxbuildah.engine.registry_flags import Side, registry_of, registry_options
from stxbuildah.engine.retry import fault_of, retrying
from stxbuildah.engine.storefiles import StoreFiles
from stxbuildah.errors import InputError
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.stored import ListedImage, StoredImage, digest_of, stored_names
from stxbuildah.model.value import Value

Result = TypeVar("Result")

# A name may be given to another image between the reading of its two documents.
_READS = 3


class Presence(StrEnum):
    """Whether a registry has an image."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class RegistryAnswer(Value):
    """What a registry said when it was asked for an image.

    Attributes:
        presence: whether it has it; unknown when it did not say.
        digest: digest of the manifest, or of the list of manifests, when it has it.
        fault: why it did not say, or how it said no.
    """

    presence: Presence
    digest: str = ""
    fault: Fault | None = None


@attrs.frozen(kw_only=True)
class Store(Value):
    """The local store and the registries around it.

    Attributes:
        runner: runs the programs, with the environment that names the store.
        access: how registries are reached.
        retry: how often transient faults are tried again.
        stop: set to end pauses between attempts.
        files: the local store's files; None to ask programs for everything.
    """

    runner: Runner
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
    stop: threading.Event = attrs.field(factory=threading.Event, eq=False, repr=False)
    files: StoreFiles | None = None

    def read(self, reference: ImageReference) -> StoredImage | None:
        """Give an image of the local store with its documents, byte for byte; None when the store lacks it.

        Raises:
            StxbError: the store cannot be read.
        """
        for candidate in stored_names(reference):
            documents = self._documents(candidate)
            if documents is not None:
                return StoredImage(reference=candidate, documents=documents)
        return None

    def find(self, reference: ImageReference) -> ImageReference | None:
        """Give the name under which the local store has an image; None when it lacks it.

        Raises:
            StxbError: the store cannot be read.
        """
        for candidate in stored_names(reference):
            if self._inspect(_stored(candidate)) is not None:
                return candidate
        return None

    def documents(self, reference: ImageReference) -> ImageDocuments | None:
        """Give manifest and configuration of an image of the local store; None when the store lacks it.

        Raises:
            StxbError: the store cannot be read.
        """
        stored = self.read(reference)
        return None if stored is None else stored.documents

    def _documents(self, reference: ImageReference) -> ImageDocuments | None:
        found = self.files.documents(str(reference)) if self.files is not None else None
        if found is not None:
            return found
        name = _stored(reference)
        for _ in range(_READS):
            manifest, config = _both(lambda: self._inspect(name), lambda: self._inspect(name, "--config"))
            if manifest is None or config is None:
                return None
            for document in (manifest, *self._listed(reference, manifest)):
                if _config_digest(document) == digest_of(config):
                    return ImageDocuments(manifest=document, config=config)
        raise InputError(
            f"no manifest of {reference} in the store names the configuration that the store has for it",
            hint="pull it by the digest of one image; Docker's first manifest format names none and cannot be used",
        )

    def _listed(self, reference: ImageReference, manifest: bytes) -> Iterator[bytes]:
        """Give the manifests that the store has of a list; it answers with the list when it was pulled by it."""
        for entry in json.loads(manifest).get("manifests", ()):
            found = self._inspect(_stored(reference.with_digest(entry["digest"])))
            if found is not None:
                yield found

    def _inspect(self, name: str, *options: str) -> bytes | None:
        argv = ["skopeo", "inspect", "--raw", *options, name]
        try:
            return self.runner.run(argv).stdout
        except ProcessError as error:
            fault = fault_of(error)
            if fault.kind is FaultKind.NOT_FOUND:
                return None
            raise to_error(fault, f"reading {name} from the image store") from error

    def pull(self, reference: ImageReference) -> ImageReference:
        """Bring an image from its registry into the local store, whether or not the store has it.

        Of a list of manifests the image for this machine is taken. Short names are resolved as registries.conf says,
        by ``buildah pull``, which only skopeo does not do; skopeo has no attempts of its own beside ours.

        Returns:
            The name under which the store has it.

        Raises:
            InputError: the registry has no such image.
            AuthenticationError: the registry refuses.
            RegistryError: it is unreachable, failing or limiting.
        """
        # The registry protocol asks by tag or by digest; the digest says more.
        wanted = reference.with_digest(reference.digest) if reference.digest else reference
        what = f"pulling {reference}"
        if not wanted.registry:
            return self._pull_short(what, wanted)
        wanted = wanted.qualified
        with (
            self._access_to(wanted, Side.SOURCE) as options,
            _translated(what, registry_of(wanted)),
        ):
            self._copied(what, f"docker://{wanted}", _stored(wanted), options)
        log.info("store.image.pulled", image=str(wanted))
        return wanted

    def _pull_short(self, what: str, reference: ImageReference) -> ImageReference:
        with self._access_to(reference) as options:
            # 0 would mean the default of 3 attempts 2 seconds apart, without telling one fault from another.
            own_attempts = ["--retry", "1", "--retry-delay", "1ms"]
            argv = ["buildah", "pull", "--policy", "always", *own_attempts, *options, str(reference)]
            completed = self._tried(what, argv)
        image_id = completed.stdout.decode().split()[-1]
        name = self._name_of(image_id, reference)
        log.info("store.image.pulled", image=str(name), id=image_id)
        return name

    def _name_of(self, image_id: str, reference: ImageReference) -> ImageReference:
        wanted = reference.qualified
        ending = f"/{wanted.label}" + (f"@{wanted.digest}" if wanted.digest else f":{wanted.tag}")
        names = [name for image in self.list() if image.image_id == image_id for name in image.names]
        return next((ImageReference.parse(name) for name in names if name.endswith(ending)), wanted)

    def import_image(self, source: str, reference: ImageReference) -> str:
        """Copy an image from a layout into the local store; the layout need not hold layers that the store has.

        Args:
            source: the image as skopeo names it, ``dir:FOLDER`` or ``oci:FOLDER:NAME``.
            reference: the name it gets in the store; one without a registry is put under ``localhost/``.

        Returns:
            The digest of its manifest there.

        Raises:
            DiskFullError: the store has no room.
            BuildError: the layout lacks a layer that the store lacks too.
        """
        return self._imported(source, str(stored_names(reference)[0]))

    def import_nameless(self, source: str, image_id: str) -> str:
        """Copy an image from a layout into the local store without giving it a name.

        Args:
            source: as for ``import_image``.
            image_id: its ID, without ``sha256:``.

        Raises:
            StxbError: as for ``import_image``.
        """
        return self._imported(source, f"@{image_id}")

    def _imported(self, source: str, target: str) -> str:
        what = f"storing {target}"
        with _translated(what):
            digest = self._copied(what, source, f"containers-storage:{target}", [])
        log.info("store.image.imported", image=target, digest=digest)
        return digest

    def push(
        self,
        reference: ImageReference,
        destination: ImageReference,
        *,
        layout: str = "",
        stored: Callable[[], object] | None = None,
        compression_format: str = "",
    ) -> str:
        """Copy an image to a registry.

        Args:
            reference: the image in the local store.
            destination: its name in the registry.
            layout: the same image in a layout, as for ``import_image``. It is pushed from there first, which works
                while it is still being stored, and whenever the registry has the layers that the layout lacks.
            stored: waits until the local store has the image; called before it is pushed from there.
            compression_format: ``gzip`` or ``zstd``; empty to leave the layers as they are.

        Returns:
            The digest of the manifest as the registry has it.

        Raises:
            InputError: the destination has a digest, or the store lacks the image.
            AuthenticationError: the registry refuses.
            RegistryError: it is unreachable, failing or limiting, after all attempts.
        """
        if destination.digest:
            raise InputError(f"{destination} cannot be pushed to: a digest is what a push gives", hint="leave it out")
        options = ["--dest-compress-format", compression_format] if compression_format else []
        target = f"docker://{destination}"
        what = f"pushing {destination}"
        registry = registry_of(destination)
        with self._access_to(destination, Side.DESTINATION) as flags:
            options += flags
            if layout:
                try:
                    return self._copied(what, layout, target, options)
                except ProcessError as error:
                    fault = fault_of(error)
                    if fault.kind is not FaultKind.BLOB_MISSING:
                        raise to_error(fault, what, registry=registry) from error
                    log.info("store.push.base_missing", image=str(destination), line=fault.line)
            if stored is not None:
                stored()
            source = reference.qualified if reference.registry else self.find(reference) or stored_names(reference)[0]
            with _translated(what, registry):
                return self._copied(what, _stored(source), target, options)

    def exists_in_registry(self, reference: ImageReference) -> RegistryAnswer:
        """Ask a registry whether it has an image; a transient fault is tried again before the answer is unknown."""
        wanted = reference.with_digest(reference.digest) if reference.digest else reference.qualified
        with self._access_to(wanted) as options:
            argv = ["skopeo", "inspect", "--raw", *options, f"docker://{wanted}"]
            try:
                completed = retrying(self.retry, f"asking for {wanted}", lambda: self.runner.run(argv), stop=self.stop)
            except ProcessError as error:
                fault = fault_of(error)
                absent = fault.kind is FaultKind.NOT_FOUND
                return RegistryAnswer(presence=Presence.ABSENT if absent else Presence.UNKNOWN, fault=fault)
        return RegistryAnswer(presence=Presence.PRESENT, digest=digest_of(completed.stdout))

    def tag(self, reference: ImageReference, new: ImageReference) -> None:
        """Give an image of the local store a further name.

        Raises:
            InputError: the store has no such image.
        """
        argv = ["buildah", "tag", str(stored_names(reference)[0]), str(stored_names(new)[0])]
        self._tried(f"tagging {reference} as {new}", argv)

    def name(self, image_id: str, new: ImageReference) -> None:
        """Give the image of an ID a name.

        Raises:
            InputError: the store has no such image.
        """
        target = str(stored_names(new)[0])
        self._tried(f"tagging {image_id} as {target}", ["buildah", "tag", image_id, target])

    def untag(self, reference: ImageReference) -> None:
        """Take a name from an image of the local store; the image stays, even without any name.

        Raises:
            InputError: the store has no such image.
        """
        name = str(stored_names(reference)[0])
        self._tried(f"untagging {reference}", ["podman", "untag", name, name])

    def remove(self, *references: ImageReference) -> None:
        """Remove names from the local store, and an image with its own layers when it was its last name.

        Never by force: whatever other images or working containers stand on stays. One that cannot be removed keeps no
        other.

        Raises:
            InputError: the store lacks one.
            BuildError: a container uses one.
        """
        if references:
            names = [str(stored_names(reference)[0]) for reference in references]
            self._tried(f"removing {', '.join(names)}", ["buildah", "rmi", *names])

    def list(self, *, label: str = "") -> tuple[ListedImage, ...]:
        """List the images of the local store.

        Args:
            label: ``key`` or ``key=value`` that they must have; empty for all.
        """
        filters = ["--filter", f"label={label}"] if label else []
        argv = ["buildah", "images", "--json", "--no-trunc", *filters]
        completed = self._tried("listing images", argv)
        listed = json.loads(completed.stdout or b"[]") or []
        return tuple(
            ListedImage(
                image_id=image["id"].removeprefix("sha256:"),
                names=tuple(image.get("names") or ()),
                digest=image.get("digest") or "",
                created=int(image["created"]),
            )
            for image in listed
        )

    def _access_to(self, reference: ImageReference, side: Side = Side.ONLY) -> AbstractContextManager[tuple[str, ...]]:
        runtime_folder = child_environment(dict(self.runner.extra)).get("XDG_RUNTIME_DIR", "")
        return registry_options(self.access, reference, side, runtime_folder=runtime_folder)

    def _copied(self, what: str, source: str, target: str, options: Sequence[str]) -> str:
        with _temporary_file("stxb-digest-") as digest_file:
            argv = ["skopeo", "copy", "--quiet", *options, "--digestfile", str(digest_file), source, target]
            retrying(self.retry, what, lambda: self.runner.run(argv), stop=self.stop)
            return digest_file.read_text().strip()

    def _tried(self, what: str, argv: Sequence[str], registry: str = "") -> Completed:
        with _translated(what, registry):
            return retrying(self.retry, what, lambda: self.runner.run(argv), stop=self.stop)


def _config_digest(manifest: bytes) -> str:
    config = json.loads(manifest).get("config") or {}
    return str(config.get("digest", ""))


def _stored(reference: ImageReference) -> str:
    return f"containers-storage:{reference}"


@contextmanager
def _translated(what: str, registry: str = "") -> Iterator[None]:
    try:
        yield
    except ProcessError as error:
        raise to_error(fault_of(error), what, registry=registry) from error


@contextmanager
def _temporary_file(prefix: str) -> Iterator[Path]:
    import tempfile

    with tempfile.NamedTemporaryFile(prefix=prefix) as stream:
        yield Path(stream.name)


def _both(first: Callable[[], Result], second: Callable[[], Result]) -> tuple[Result, Result]:
    """Do two things at the same time and give both results."""
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(copy_context().run, second)
        return first(), other.result()
