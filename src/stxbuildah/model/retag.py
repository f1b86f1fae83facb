# SPDX-License-Identifier: Apache-2.0
"""Tags that are to be promoted: what a tag-management file lists."""

import attrs

from stxbuildah.model.reference import ImageReference


@attrs.frozen(kw_only=True)
class RetagEntry:
    """One image whose tag of a build is to get another tag beside it.

    Attributes:
        name: the repository, as the file writes it.
        build_tag: the tag that the build gave, ``src_build_tag``.
        origin: what the image was built from, ``src_ref``, for people; may be empty.
        tag: the new tag.
        source: the file that lists it, as the user named that.
        line: the line where the entry begins, from 1.
    """

    name: str
    build_tag: str
    origin: str = ""
    tag: str
    source: str
    line: int

    @property
    def built(self) -> ImageReference:
        """The image that is there, with its registry written out."""
        return ImageReference(self.name, self.build_tag).qualified

    @property
    def target(self) -> ImageReference:
        """The image that is to be there, with its registry written out."""
        return ImageReference(self.name, self.tag).qualified
