# SPDX-License-Identifier: Apache-2.0
"""Brings images to another machine by ssh: only layers that are not there, and what an earlier run began goes on.

Layers travel as the plain tars that their diff IDs are digests of (image-spec, config.md), whatever they are compressed
by on the way: so each is verified there by its own name, and both machines call an image by the same ID.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs

from stxbuildah import log
from stxbuildah.engine.process import Runner
from stxbuildah.engine.ssh import connected
from stxbuildah.engine.sshfaults import is_layer_missing
from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.engine import Engine, opened_engine
from stxbuildah.job.shiplayers import ArchivedImage, docker_frame, oci_frame
from stxbuildah.job.shipthere import Answer, Part, There, script, settings
from stxbuildah.job.storedlayers import streamed_layers
from stxbuildah.layer.documents import diff_ids_of
from stxbuildah.layer.pack import packed
from stxbuildah.layer.plainmanifest import plain_manifest
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.ship import (
    EngineThere,
    SentLayer,
    Shipped,
    ShippedImage,
    ShipPlan,
    ShipProgress,
    ShipRequest,
    ShipState,
)
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.transfer import Packing

OnProgress = Callable[[ShipProgress], None]
Say = Callable[[str], None]

# What lay there damaged is removed, and sent in the next pass.
_PASSES = 3
_ALGORITHM = "sha256:"


def plan(request: ShipRequest) -> ShipPlan:
    """Say what would be sent; nothing is changed on either machine.

    Raises:
        StxbError: an image is missing, or the other machine cannot be asked.
    """
    with opened_engine(request.host, RegistryAccess(), Retry()) as engine:
        images = _found(engine, request.images)
        with _connected(request) as there:
            return planned(request, images, there.ask(request.into))


def run(request: ShipRequest, say: Say, on_progress: OnProgress) -> Shipped:
    """Bring images to the other machine.

    Args:
        request: what to bring where.
        say: told what is being done, a sentence at a time.
        on_progress: told how far the run is.

    Raises:
        StxbError: an image is missing, or could not be brought over; what was sent of it waits there.
    """
    with opened_engine(request.host, RegistryAccess(), Retry()) as engine:
        images = _found(engine, request.images)
        with _connected(request) as there:
            answer = there.ask(request.into)
            shipping = Shipping(
                engine=engine, there=there, images=images, plan=planned(request, images, answer), say=say,
                on_progress=on_progress,
            )  # fmt: skip
            return shipping.carried_out(answer)


@contextmanager
def _connected(request: ShipRequest) -> Iterator[There]:
    runner = Runner(on_line=lambda line: log.debug("ssh.line", line=line))
    hold = ("hold", *settings(request, None))
    with connected(runner, request.destination, request.ssh, script=script(), hold=hold) as remote:
        yield There(remote=remote, request=request)


def _found(engine: Engine, references: Sequence[ImageReference]) -> dict[str, StoredImage]:
    """Read the images of the local store, by the names that they have in it."""
    by_digest = [str(reference) for reference in references if reference.digest]
    if by_digest:
        raise InputError(
            f"by its digest an image has no name on the other machine: {', '.join(by_digest)}",
            hint="name it by a tag; podman tag gives one",
        )
    images = {reference: engine.store.read(reference) for reference in references}
    missing = [str(reference) for reference, image in images.items() if image is None]
    if missing:
        raise InputError(
            f"not in the local store: {', '.join(missing)}", hint="podman images lists what is; podman pull fetches"
        )
    return {str(image.reference): image for image in images.values() if image is not None}


def planned(request: ShipRequest, images: Mapping[str, StoredImage], answer: Answer) -> ShipPlan:
    """Say what there is to do, by what the other machine says of itself.

    Args:
        request: what was asked.
        images: the images, by the names that they have in the local store.
        answer: what the other machine says.

    Raises:
        InputError: layers are to be compressed by what it does not have.
    """
    packing = request.packing
    if packing is None:
        packing = Packing.GZIP if Packing.GZIP in answer.tools else Packing.NONE
    if packing is not Packing.NONE and packing not in answer.tools:
        raise InputError(f"there is no {packing} on {request.destination}", hint="choose another by --compress")
    return ShipPlan(
        engine=answer.engine,
        images=tuple(_judged(name, image, answer) for name, image in images.items()),
        packing=packing,
    )


def _judged(name: str, image: StoredImage, answer: Answer) -> ShippedImage:
    layers = diff_ids_of(image.documents.config)
    state = ShipState.SEND
    if image.image_id in answer.images:
        state = ShipState.PRESENT if answer.names.get(name) == image.image_id else ShipState.TAG
    lacking = _lacking(_needed(layers, answer), answer)
    return ShippedImage(
        reference=name,
        image_id=image.image_id,
        state=state,
        layers=layers,
        lacking=lacking if state is ShipState.SEND else (),
    )


def _needed(layers: Sequence[str], answer: Answer) -> tuple[str, ...]:
    """Give the layers of an image that must be in what the engine there is given."""
    usable = answer.usable(layers)
    return tuple(digest for digest in dict.fromkeys(layers) if digest not in usable)


def _lacking(needed: Iterable[str], answer: Answer) -> tuple[str, ...]:
    """Give the layers that do not wait there."""
    return tuple(digest for digest in needed if digest.removeprefix(_ALGORITHM) not in answer.blobs)


@attrs.define(kw_only=True)
class Shipping:
    """One run, after the other machine was asked.

    Attributes:
        engine: the local store.
        there: the other machine.
        images: the images, by name.
        plan: what is to be done.
        say: told what is being done.
        on_progress: told how far the run is.
        needed: layers that must be in what the engine there is given.
        sizes: of all layers' tars, by digest without ``sha256:``, as they become known.
        sent: layers that were sent.
        travelled: bytes that went over.
    """

    engine: Engine
    there: There
    images: Mapping[str, StoredImage]
    plan: ShipPlan
    say: Say
    on_progress: OnProgress
    needed: tuple[str, ...] = ()
    sizes: dict[str, int] = attrs.field(factory=dict)
    sent: list[SentLayer] = attrs.field(factory=list)
    travelled: int = 0

    def carried_out(self, answer: Answer) -> Shipped:
        """Send what lacks, have it imported, and clean up.

        Raises:
            StxbError: it could not be done.
        """
        for image in self.plan.images:
            if image.state is ShipState.TAG:
                self.say(f"{image.reference} is there, and gets its name")
                self.there.tag(self.plan.engine, image.image_id, image.reference)
        todo = [image for image in self.plan.images if image.state is ShipState.SEND]
        if todo:
            self._bring(todo, answer)
        return Shipped(plan=self.plan, layers=tuple(self.sent), travelled=self.travelled)

    def _bring(self, todo: Sequence[ShippedImage], answer: Answer) -> None:
        try:
            self._send(todo, answer)
            self._import(todo)
        except BuildError as error:
            if not is_layer_missing(error):
                raise
            # It was removed there meanwhile; or the engine knows of a layer, and cannot give it.
            self.say(f"{self.plan.engine} there has not all layers that it says to have; the others are sent, too")
            self._send(todo, self.there.ask(self.plan.engine).without_layers())
            self._import(todo)
        if not self.there.request.keep:
            used = {digest.removeprefix(_ALGORITHM) for image in todo for digest in (*image.layers, image.image_id)}
            self.there.forget(sorted(used))

    def _send(self, todo: Sequence[ShippedImage], answer: Answer) -> None:
        """Send what is not there, until all of it is whole."""
        for _ in range(_PASSES):
            self.needed = tuple(dict.fromkeys(digest for one in todo for digest in _needed(one.layers, answer)))
            lacking = {digest.removeprefix(_ALGORITHM) for digest in _lacking(self.needed, answer)}
            known = self.sizes.keys() | answer.blobs.keys()
            self.sizes.update(answer.blobs)
            if not lacking and all(digest.removeprefix(_ALGORITHM) in known for one in todo for digest in one.layers):
                return
            if self._pass(todo, lacking, answer.parts):
                return
            asked = self.there.ask(self.plan.engine)
            answer = asked if answer.layers else asked.without_layers()
        raise BuildError(
            f"layers did not arrive at {self.there.name} as they were sent, {_PASSES} times",
            hint="its disk or its memory may be bad; ~/.cache/stxb-ship there may be removed",
        )

    def _pass(self, todo: Sequence[ShippedImage], lacking: set[str], parts: Mapping[str, Part]) -> bool:
        """Go through the layers once, and send those that lack; False when something there was damaged."""
        good, number = True, 0
        with streamed_layers(self.engine.runner, [self.images[image.reference] for image in todo]) as layers:
            for digest, size, chunks in layers:
                self.sizes[digest] = size
                if digest in lacking:
                    number += 1
                    sending = _Sending(
                        digest=digest, size=size, number=number, count=len(lacking), on_progress=self.on_progress
                    )
                    good = self._put(sending, parts.get(digest), chunks) and good
        return good

    def _put(self, sending: "_Sending", part: Part | None, chunks: Iterator[bytes]) -> bool:
        begin = 0
        if part is not None and 0 < part.size <= sending.size:
            chunks, same = sending.passed_over(chunks, part)
            if same:
                begin = part.size
        if part is not None and not begin and part.size:
            # Nothing is added to it, and it is not what its name says: so it goes.
            self.there.put(sending.digest, part.size, 0, Packing.NONE, ())
            return False
        self.say(f"send sha256:{sending.digest[:12]}, {sending.size} bytes{f', from {begin} on' if begin else ''}")
        packing = self.plan.packing
        pieces = packed(sending.told(chunks, begin), packing, threads=len(os.sched_getaffinity(0)))
        good = self.there.put(sending.digest, begin, sending.size, packing, self._counted(pieces))
        if good:
            log.info("ship.layer.sent", digest=f"sha256:{sending.digest}", size=sending.size, begun_at=begin)
            self.sent.append(SentLayer(digest=f"sha256:{sending.digest}", size=sending.size, begun_at=begin))
        return good

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.travelled += len(piece)
            yield piece

    def _import(self, todo: Sequence[ShippedImage]) -> None:
        """Have the images taken there."""
        self.say(f"import by {self.plan.engine}")
        if self.plan.engine is EngineThere.PODMAN:
            for image in todo:
                config = self.images[image.reference].documents.config
                self.there.put(image.image_id, 0, len(config), Packing.NONE, (config,))
                layers = self._sized(image.layers)
                blobs = (image.image_id, *dict.fromkeys(digest for digest, _ in layers))
                self.there.pull(image.reference, blobs, plain_manifest(config, layers))
            return
        archived: dict[str, ArchivedImage] = {}
        for image in todo:
            before = archived.get(image.image_id)
            archived[image.image_id] = ArchivedImage(
                names=(*(before.names if before else ()), image.reference),
                image_id=image.image_id,
                config=self.images[image.reference].documents.config,
                layers=tuple(digest.removeprefix(_ALGORITHM) for digest in image.layers),
            )
        layers = self._sized(self.needed)
        archives = tuple(archived.values())
        docker = self.plan.engine is EngineThere.DOCKER
        frame = docker_frame(archives, layers) if docker else oci_frame(archives, layers, self.sizes)
        self.there.load(self.plan.engine, layers, frame)

    def _sized(self, digests: Sequence[str]) -> list[tuple[str, int]]:
        hexadecimal = [digest.removeprefix(_ALGORITHM) for digest in digests]
        return [(digest, self.sizes[digest]) for digest in hexadecimal]


@attrs.frozen(kw_only=True)
class _Sending:
    """One layer on its way."""

    digest: str
    size: int
    number: int
    count: int
    on_progress: OnProgress

    def passed_over(self, chunks: Iterator[bytes], part: Part) -> tuple[Iterator[bytes], bool]:
        """Pass over the bytes that are there; False when they are others."""
        hashed = hashlib.sha256()
        left = part.size
        rest = b""
        while left and (chunk := next(chunks, b"")):
            hashed.update(memoryview(chunk)[:left])
            rest = chunk[left:]
            left = max(0, left - len(chunk))

        def following() -> Iterator[bytes]:
            if rest:
                yield rest
            yield from chunks

        return following(), not left and hashed.hexdigest() == part.digest

    def told(self, chunks: Iterator[bytes], begin: int) -> Iterator[bytes]:
        """Give the chunks, and tell how far they are."""
        done = begin
        for chunk in chunks:
            done += len(chunk)
            yield chunk
            self.on_progress(
                ShipProgress(
                    number=self.number,
                    count=self.count,
                    digest=f"sha256:{self.digest}",
                    done=done,
                    size=self.size,
                )
            )
