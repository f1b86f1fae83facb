# SPDX-License-Identifier: Apache-2.0
"""Writes the manual pages when a wheel is built; they are installed as share/man/man1/."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface):
    """Adds the pages to a wheel; an editable installation has none."""

    folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages and have them installed."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "src")))
        from stxbuildah.cli.manpages import write_pages

        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        self.folder = Path(tempfile.mkdtemp(prefix="stxb-man-"))
        for page in write_pages(self.folder, int(epoch) if epoch else None):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 # hatchling's
        """Remove what was written for the wheel."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
