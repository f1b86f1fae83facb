# SPDX-License-Identifier: Apache-2.0
"""What an update has done to an image: what is installed before and after, and whether it is what was asked for."""

from collections.abc import Sequence

import attrs

from stxbuildah.errors import BuildError
from stxbuildah.job.inspect import installed
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.requirements import unmet
from stxbuildah.model.descriptor import Platform
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.layer import Change, LayerBlob, LayerContent
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.tree import FileTree
from stxbuildah.model.update import ImageChange
from stxbuildah.model.value import Value
from stxbuildah.model.wheel import Wheel


@attrs.frozen(kw_only=True)
class InstalledLists(Value):
    """What the records and the result tell of both images.

    Attributes:
        before: what was installed.
        after: what is installed now.
        unmet: requirements that do not hold now, one sentence each.
    """

    before: PackageLists
    after: PackageLists
    unmet: tuple[str, ...]


def installed_lists(base: FileTree, before: Inventory, content: LayerContent, after: Inventory) -> InstalledLists:
    """List what was and what is installed.

    Args:
        base: the image before.
        before: its inventory.
        content: what the update changed.
        after: inventory of the new image.
    """
    return InstalledLists(
        before=installed(base, before),
        after=installed(OverlaidTree(base, content), after),
        unmet=unmet(after.distributions, after.environment) if after.environment is not None else (),
    )


def image_change(
    digest: str,
    base_digest: str,
    blob: LayerBlob,
    content: LayerContent,
    lists: InstalledLists,
    *,
    platform: Platform | None = None,
    replaced: int = 0,
) -> ImageChange:
    """Sum up what was done to one image.

    Args:
        digest: digest of the new manifest.
        base_digest: digest of the base's.
        blob: the new layer.
        content: what is in it.
        lists: what was and what is installed.
        platform: what the image is for, when it is one of an index.
        replaced: layers of earlier updates that the new one stands for.
    """
    whiteouts = sum(entry.change in {Change.WHITEOUT, Change.OPAQUE} for entry in content.entries)
    return ImageChange(
        platform=platform,
        digest=digest,
        base_digest=base_digest,
        layer=blob,
        paths=len(content.entries) - whiteouts,
        whiteouts=whiteouts,
        replaced=replaced,
        before=lists.before,
        after=lists.after,
        unmet=lists.unmet,
    )


def check_visible(wheels: Sequence[Wheel], after: Inventory) -> None:
    """Make sure that the image will import what was installed, and not another copy.

    Raises:
        BuildError: another version, or none, would be found first.
    """
    versions = {found.name: found for found in after.distributions}
    for wheel in wheels:
        found = versions.get(wheel.name)
        if found is None or found.version != str(wheel.version):
            what = f"{found.version} in {found.location}" if found is not None else "none"
            raise BuildError(
                f"{wheel.display_name} {wheel.version} was installed, but the image's Python would find {what}",
                hint="name the interpreter to install for by --python",
            )
