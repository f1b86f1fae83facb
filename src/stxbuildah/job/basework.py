# SPDX-License-Identifier: Apache-2.0
"""A base image in the making: what both ways of making one share."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.job.engine import Engine
from stxbuildah.model.base import BaseRequest
from stxbuildah.model.baseplan import BasePlan
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import LayerBlob
from stxbuildah.model.stored import StoredImage

Say = Callable[[str], None]


@attrs.frozen(kw_only=True)
class NewBase:
    """A base image that exists as its new layer, configuration and manifest.

    Attributes:
        documents: manifest and configuration.
        file: the new layer's blob.
        blob: its digests and sizes.
        paths: paths in it.
        image: the image it was made of; None when it was made of packages alone.
        pulled: that image came into the local store by this run.
    """

    documents: ImageDocuments
    file: Path
    blob: LayerBlob
    paths: int
    image: StoredImage | None = None
    pulled: bool = False


@attrs.define(kw_only=True)
class BaseWork:
    """One base image under way.

    Attributes:
        request: what was asked.
        plan: how it is made.
        engine: programs and store.
        folder: work folder.
        say: told what is being done, a sentence at a time.
        timestamp: time of the image and of everything in its layer, in seconds since the epoch.
        seconds: time of each finished step, in order.
    """

    request: BaseRequest
    plan: BasePlan
    engine: Engine
    folder: Path
    say: Say
    timestamp: int
    seconds: list[tuple[str, float]] = attrs.field(factory=list)

    @contextmanager
    def step(self, name: str, sentence: str) -> Iterator[None]:
        """Tell of a step, and measure it."""
        self.say(sentence)
        start = time.monotonic()
        yield
        self.seconds.append((name, time.monotonic() - start))
