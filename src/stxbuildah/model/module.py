# SPDX-License-Identifier: Apache-2.0
"""Python modules that are built from their source."""

import re
from pathlib import Path

import attrs
from packaging.tags import Tag
from packaging.utils import NormalizedName
from packaging.version import Version

from stxbuildah.model.value import Value

# The password of ``scheme://user:password@host``; a user name alone (a token, as some servers want it) counts too,
# except over ssh, where it is the account to log in to.
_USER_INFO = re.compile(r"(?P<scheme>https?)://[^/@]+@")


@attrs.frozen(kw_only=True)
class ModuleSource(Value):
    """Where a module's source is, and what version it is to report.

    Attributes:
        text: as the user wrote it.
        folder: the folder that holds it; None when it is in a git repository.
        url: the git repository; empty when it is a folder.
        ref: branch, tag, commit or full reference; empty for the repository's HEAD.
        version: what the built module reports; None for what its own build says.
    """

    text: str
    folder: Path | None = None
    url: str = ""
    ref: str = ""
    version: Version | None = None

    @property
    def shown(self) -> str:
        """The source as written, without what a URL says of user and password."""
        return _USER_INFO.sub(r"\g<scheme>://", self.text)


@attrs.frozen(kw_only=True)
class BuiltModule(Value):
    """A wheel that was built from a module's source.

    Attributes:
        wheel: the wheel's file.
        name: name of the distribution, normalized after PEP 503.
        version: version that it reports.
        tags: what it can be installed for.
        commit: the commit it was built from; empty for a folder.
    """

    wheel: Path
    name: NormalizedName
    version: Version
    tags: frozenset[Tag]
    commit: str = ""
