# SPDX-License-Identifier: Apache-2.0
"""The layers of earlier updates, merged with the new one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah.model.layer import LayerContent
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

if TYPE_CHECKING:
    from stxbuildah.layer.updates import BaseAndUpdates


@attrs.frozen(kw_only=True)
class EarlierUpdates(Value):
    """What earlier updates put on top of an image.

    Attributes:
        split: the image taken apart.
        layers: their layers as plain tars, the lowest first; files are read out of them.
        below: files of the image below them.
    """

    split: "BaseAndUpdates"
    layers: Sequence[Path]
    below: FileTree

    def with_new(self, content: LayerContent) -> LayerContent:
        """Give the layer that stands for all of theirs and a new one on top.

        Args:
            content: the new layer.

        Raises:
            InputError: a layer is damaged, or not one that an update wrote.
        """
        from stxbuildah.layer.layertar import read_layer
        from stxbuildah.layer.merge import merged

        whole: LayerContent | None = None
        for path in self.layers:
            layer = read_layer(path)
            whole = layer if whole is None else merged(whole, layer, self.below)
        return content if whole is None else merged(whole, content, self.below)
