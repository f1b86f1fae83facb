# SPDX-License-Identifier: Apache-2.0
"""The folder that a working container sees as ``/image-update``, with the replaced tool's layout."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.value import Value

MOUNT_POINT = "/image-update"
_PLACES = ("extras", "pip-packages/wheels", "dist-packages")


@attrs.frozen
class Staging(Value):
    """Copies of what the container may see; the user's own files are never mounted.

    Attributes:
        folder: the folder on this machine.
    """

    folder: Path

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        script: Path | None,
        extras: Iterable[Path],
        wheels: Iterable[Path],
        packages: Iterable[Path],
    ) -> "Staging":
        """Copy everything to its place, readable for every user of the container.

        Raises:
            InputError: two files of one place have the same name.
        """
        for place in _PLACES:
            (folder / place).mkdir(parents=True, exist_ok=True)
        for place, files in zip(_PLACES, (extras, wheels, packages), strict=True):
            for file in files:
                _copy(file, folder / place / file.name)
        if script is not None:
            _copy(script, folder / "customize.sh")
            (folder / "customize.sh").chmod(0o755)
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        return cls(folder)

    @property
    def volume(self) -> str:
        """The mount for ``buildah run --volume``."""
        return f"{self.folder}:{MOUNT_POINT}"


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        raise InputError(
            f"two files named {target.name} would be {MOUNT_POINT}/{target.parent.name}/{target.name}",
            hint="rename one of them",
        )
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o111 else 0o644)
