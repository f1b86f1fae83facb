# SPDX-License-Identifier: Apache-2.0
"""What is found out before an update is planned: whether an engine works here, and where the image to change is."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from threading import Event
from typing import TYPE_CHECKING

import attrs

from stxbuildah import log
from stxbuildah.engine.process import parent_environment
from stxbuildah.errors import BuildError, HostError, InputError, StxbError
from stxbuildah.job.workspace import Folders, remove_plain_orphans
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.update import Lane, PullPolicy, UpdateFacts, UpdateInputs, UpdateRequest
from stxbuildah.model.value import Value
from stxbuildah.plan.lane import LOCAL, asks_registry, is_delivered, session_needs

if TYPE_CHECKING:
    from stxbuildah.job.engine import Engine
    from stxbuildah.job.remote import RemoteBase
    from stxbuildah.registry.client import RegistryClient


@attrs.frozen(kw_only=True)
class Found(Value):
    """Where an update can work.

    Attributes:
        folders: caches, state and work folders.
        facts: what the plan is made from.
        engine: programs and store; None when they are not needed, or do not work here.
        stored: the image to change, in the local store.
        remote: the image to change, in its registry or file.
        client: gives the client of registries.
    """

    folders: Folders
    facts: UpdateFacts
    engine: "Engine | None" = None
    stored: StoredImage | None = None
    remote: "RemoteBase | None" = None
    client: "Callable[[], RegistryClient] | None" = None

    def check_expected(self, expected: str) -> None:
        """Make sure that the image to change, as far as it is there, is the one that is expected.

        Args:
            expected: its digest, or that of the index that lists it; empty for any.

        Raises:
            InputError: it is another one.
        """
        if self.remote is not None:
            images = (image.manifest.digest for image in self.remote.images)
            check_expected(expected, self.remote.source.name, self.remote.document.digest, *images)
        elif self.stored is not None:
            check_expected(expected, str(self.stored.reference), self.stored.digest)


@attrs.frozen(kw_only=True)
class _Local(Value):
    engine: "Engine | None" = None
    stored: StoredImage | None = None
    error: StxbError | None = None

    @property
    def fault(self) -> str:
        """Why no engine works here; empty when one does."""
        if self.error is None:
            return ""
        return ": ".join((self.error.message, *self.error.details[-1:]))


@attrs.frozen(kw_only=True)
class _Remote(Value):
    base: "RemoteBase | None" = None
    error: StxbError | None = None


@contextmanager
def found_out(
    request: UpdateRequest, inputs: UpdateInputs, pool: ThreadPoolExecutor, asking: Event | None = None
) -> Iterator[Found]:
    """Find out what the plan needs to know; the image can be read inside the block.

    Args:
        request: what was asked.
        inputs: its files and names.
        pool: asks the local store and the registry at the same time.
        asking: set at the latest inside the block, and before that when one of them is about to be asked: from then on
            there is time for something else.

    Raises:
        StxbError: neither the local store nor the registry can be asked for the image.
    """
    asking = asking or Event()
    with ExitStack() as stack:
        local = pool.submit(copy_context().run, _local, request, inputs, stack, asking)
        if inputs.source is None and not asks_registry(request, inputs):
            here = local.result()
            asking.set()
            if here.error is not None:
                raise _needed(here.error, request, inputs) from here.error
            yield _found(here)
            return
        from stxbuildah.job.remote import opened_client

        client = stack.enter_context(opened_client(request.access, request.retry, request.host.proxies))
        if inputs.source is None:
            client()
        asking.set()
        there = _remote(request, inputs, client, stack)
        here = local.result()
        if here.engine is None:
            remove_plain_orphans(_folders())
        yield _compared(request, inputs, here, there, client)


def _needed(error: StxbError, request: UpdateRequest, inputs: UpdateInputs) -> StxbError:
    """Say of an engine that does not work what could be done without it."""
    if is_delivered(request, inputs) or session_needs(request, inputs) or inputs.base.registry == LOCAL:
        return error
    other = "wheels alone can be put into an image of a registry without it: give --push, or --to"
    return type(error)(error.message, hint=f"{error.hint}; {other}" if error.hint else other, details=error.details)


def _local(request: UpdateRequest, inputs: UpdateInputs, stack: ExitStack, asking: Event) -> _Local:
    """Set the engine up and look for the image in the local store, where the update could need it."""
    only_registry = inputs.source is not None or request.lanes.lane is Lane.REGISTRY
    if only_registry and not inputs.module_sources:
        return _Local()
    from stxbuildah.job.engine import opened_engine

    try:
        engine = stack.enter_context(opened_engine(request.host, request.access, request.retry))
        asking.set()
        return _Local(engine=engine, stored=None if only_registry else engine.store.read(inputs.base))
    except (HostError, BuildError) as error:
        # Programs that are there and fail, as in a container without privileges, say so in many ways.
        log.info("engine.unusable", reason=error.message)
        return _Local(error=error)


def _remote(
    request: UpdateRequest, inputs: UpdateInputs, client: "Callable[[], RegistryClient]", stack: ExitStack
) -> _Remote:
    from stxbuildah.job.remote import location_of, opened_base

    location = location_of(inputs)
    name = inputs.base if inputs.source is not None else inputs.base.qualified
    try:
        return _Remote(base=stack.enter_context(opened_base(location, name, request.lanes, client)))
    except StxbError as error:
        return _Remote(error=error)


def _found(local: _Local) -> Found:
    return Found(
        folders=_folders(),
        facts=UpdateFacts(in_store=local.stored is not None, engine_fault=local.fault),
        engine=local.engine,
        stored=local.stored,
    )


def _compared(
    request: UpdateRequest,
    inputs: UpdateInputs,
    local: _Local,
    there: _Remote,
    client: "Callable[[], RegistryClient]",
) -> Found:
    """Settle which image is meant: what the local store has under the name wins, as it does when images are pulled."""
    fault = ""
    if there.error is not None:
        if local.stored is None and not isinstance(there.error, InputError):
            raise there.error
        fault = there.error.message
    elif local.stored is not None and _is_other(request, local.stored, there.base):
        fault = f"the local store has another image as {local.stored.reference}"
    forced = inputs.source is not None or request.lanes.lane is Lane.REGISTRY or bool(local.fault)
    if there.error is not None and forced:
        raise there.error
    known = _found(local)
    return attrs.evolve(
        known,
        facts=attrs.evolve(known.facts, in_registry=not fault, registry_fault=fault),
        remote=there.base if not fault else None,
        client=client,
    )


def _is_other(request: UpdateRequest, stored: StoredImage, remote: "RemoteBase | None") -> bool:
    """Say whether the local store's image is not the registry's, by the configuration that both are known by."""
    if remote is None or request.pull is PullPolicy.ALWAYS or request.lanes.platforms or request.lanes.all_platforms:
        return False
    return stored.image_id not in {image.image.image_id for image in remote.images}


def _folders() -> Folders:
    return Folders.from_environment(parent_environment())


def check_expected(expected: str, name: str, *digests: str) -> None:
    """Make sure that the image to change is the one that is expected.

    Args:
        expected: its digest; empty for any.
        name: the image as a message names it.
        digests: of its manifest, and of the index that lists it.

    Raises:
        InputError: it is another one.
    """
    if expected and expected not in digests:
        raise InputError(
            f"{name} has the digest {digests[0]} by now, not {expected}",
            hint="look at what has changed, then give the new digest to --expect-digest",
        )
