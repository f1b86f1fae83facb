# SPDX-License-Identifier: Apache-2.0
"""The other machine of ``stxb ship``: what it says of itself, and the steps that it is told to make."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from stxbuildah import engine
from stxbuildah.engine.ssh import RemoteShell
from stxbuildah.errors import BuildError
from stxbuildah.model.ship import EngineThere, ShipRequest
from stxbuildah.model.transfer import Packing

_HEXADECIMAL = r"[0-9a-f]{64}"
_ENGINE = re.compile(r"engine (podman|docker|containerd)")
_TOOL = re.compile(r"tool (gzip|zstd)")
_BLOB = re.compile(rf"blob ({_HEXADECIMAL}) ([0-9]{{1,15}})")
_PART = re.compile(rf"part ({_HEXADECIMAL}) ([0-9]{{1,15}}) ({_HEXADECIMAL})")
_CONTENT = re.compile(rf"content (sha256:{_HEXADECIMAL})")
_IMAGE = re.compile(rf"image (?:sha256:)?({_HEXADECIMAL})((?: (?:name|layer):[^ ]+)*)")


@attrs.frozen(kw_only=True)
class Part:
    """What is there of a blob.

    Attributes:
        size: its bytes.
        digest: of these bytes, without ``sha256:``.
    """

    size: int
    digest: str


@attrs.frozen(kw_only=True)
class Answer:
    """What the other machine says.

    Attributes:
        engine: what takes images there.
        tools: what decompresses there.
        names: ID of the image that each name stands for.
        images: IDs of all images.
        layers: digests of all layers that podman or containerd can take from what it has.
        chains: digests of the layers of each image of docker, the lowest first.
        blobs: sizes of the blobs that wait there, by digest without ``sha256:``.
        parts: blobs that are there in part, likewise.
    """

    engine: EngineThere
    tools: frozenset[Packing] = frozenset()
    names: Mapping[str, str] = attrs.field(factory=dict)
    images: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    chains: frozenset[tuple[str, ...]] = frozenset()
    blobs: Mapping[str, int] = attrs.field(factory=dict)
    parts: Mapping[str, Part] = attrs.field(factory=dict)

    def usable(self, layers: Sequence[str]) -> frozenset[str]:
        """Give those layers of an image that need not be in what the engine is given.

        podman and containerd have layers by themselves; docker has a layer upon others, so only those count that an
        image there begins with.

        Args:
            layers: digests, the lowest first.
        """
        if self.engine is not EngineThere.DOCKER:
            return self.layers.intersection(layers)
        return max((_common(layers, chain) for chain in self.chains), key=len, default=frozenset())

    def without_layers(self) -> "Answer":
        """Give the same for an engine that has no layers."""
        return attrs.evolve(self, layers=frozenset(), chains=frozenset())


def _common(layers: Sequence[str], chain: Sequence[str]) -> frozenset[str]:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(layers, chain, strict=False))
    return frozenset(layer for layer, _ in same)


def read_answer(text: str, name: str) -> Answer:
    """Read what the step ``ask`` wrote; lines that an account's start files add are passed over.

    Args:
        text: its standard output.
        name: the machine, for the message.

    Raises:
        BuildError: it was cut off, or is none.
    """
    lines = text.splitlines()
    engines = [found[1] for line in lines if (found := _ENGINE.fullmatch(line))]
    if not lines or lines[-1] != "end" or len(engines) != 1:
        raise BuildError(
            f"{name} did not say what it has", hint="its account needs a shell that runs `sh -c`", details=lines[-5:]
        )
    names: dict[str, str] = {}
    images, chains = set(), set()
    for found in filter(None, map(_IMAGE.fullmatch, lines)):
        images.add(found[1])
        words = [word.partition(":") for word in found[2].split()]
        names.update({value: found[1] for kind, _, value in words if kind == "name"})
        chains.add(tuple(value for kind, _, value in words if kind == "layer"))
    layers = {layer for chain in chains for layer in chain}
    layers.update(found[1] for line in lines if (found := _CONTENT.fullmatch(line)))
    return Answer(
        engine=EngineThere(engines[0]),
        tools=frozenset(Packing(found[1]) for line in lines if (found := _TOOL.fullmatch(line))),
        names=names,
        images=frozenset(images),
        layers=frozenset(layers),
        chains=frozenset(chains),
        blobs={found[1]: int(found[2]) for line in lines if (found := _BLOB.fullmatch(line))},
        parts={
            found[1]: Part(size=int(found[2]), digest=found[3]) for line in lines if (found := _PART.fullmatch(line))
        },
    )


def script() -> str:
    """Give the program text of the steps."""
    return (Path(engine.__file__).parent / "there" / "ship.sh").read_text(encoding="utf-8")


def settings(request: ShipRequest, engine_there: EngineThere | None) -> tuple[str, str, str]:
    """Give the words that every step begins with, after its name."""
    return str(engine_there or ""), "yes" if request.sudo else "no", request.namespace


@attrs.frozen(kw_only=True)
class There:
    """Tells the other machine what to do.

    Attributes:
        remote: the connection.
        request: what was asked.
    """

    remote: RemoteShell
    request: ShipRequest

    @property
    def name(self) -> str:
        """The machine as a message names it."""
        return str(self.request.destination)

    def ask(self, engine_there: EngineThere | None) -> Answer:
        """Ask what is there.

        Args:
            engine_there: what takes the images; None to find out.

        Raises:
            HostError: nothing there takes images.
            StxbError: it cannot be asked.
        """
        said = self._step("asking what is there", "ask", engine_there)
        return read_answer(said, self.name)

    def put(self, digest: str, begin: int, size: int, packing: Packing, chunks: Iterable[bytes]) -> bool:
        """Send a blob, from a byte on.

        Args:
            digest: of the blob, without ``sha256:``.
            begin: bytes of it that are there.
            size: all its bytes.
            packing: how the chunks are compressed.
            chunks: the rest of it.

        Returns:
            Whether it is there now; False when what was there before was damaged, and is removed.

        Raises:
            StxbError: it could not be sent.
        """
        words = (digest, str(begin), str(size), str(packing))
        said = self._step(f"sending sha256:{digest}", "put", None, *words, chunks=chunks).split()
        return said[-1:] == ["kept"]

    def pull(self, name: str, blobs: Sequence[str], manifest: bytes) -> None:
        """Let podman take an image from the blobs, and give it its name.

        Args:
            name: its name.
            blobs: digests without ``sha256:``, the configuration's first; layers that podman has need not be there.
            manifest: of the image.

        Raises:
            StxbError: it could not be taken.
        """
        self._step(f"importing {name}", "podman", EngineThere.PODMAN, name, *blobs, chunks=(manifest,))

    def load(self, engine_there: EngineThere, layers: Iterable[tuple[str, int]], frame: bytes) -> None:
        """Let docker or containerd take an archive, which is put together there.

        Args:
            engine_there: which of them.
            layers: digest without ``sha256:`` and size of each layer.
            frame: a header for each layer, and what follows them in the archive.

        Raises:
            StxbError: it could not be taken.
        """
        words = [f"{digest}:{-size % 512}" for digest, size in layers]
        self._step("importing the images", "archive", engine_there, *words, chunks=(frame,))

    def tag(self, engine_there: EngineThere, image_id: str, name: str) -> None:
        """Give an image that is there a further name."""
        self._step(f"tagging {name}", "tag", engine_there, image_id, name)

    def forget(self, digests: Iterable[str]) -> None:
        """Remove blobs that were used."""
        self._step("cleaning up", "forget", None, *digests)

    def _step(
        self, what: str, step: str, engine_there: EngineThere | None, *words: str, chunks: Iterable[bytes] = ()
    ) -> str:
        return self.remote.step(what, (step, *settings(self.request, engine_there), *words), chunks)
