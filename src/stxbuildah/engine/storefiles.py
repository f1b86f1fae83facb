# SPDX-License-Identifier: Apache-2.0
"""The files of the local store, read as containers/storage lays them out; nothing here writes.

A program that is asked what an image is takes longer than most of what is then done with it. The layout has been the
same since 2017, and nothing of it is trusted: documents have to be those that their digests name, and layers those
that the configuration lists. Whatever is not as expected is not there, and then the programs are asked.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.settings import Storage
from stxbuildah.model.stored import digest_of
from stxbuildah.model.value import Value

_OVERLAY, _VFS = "overlay", "vfs"
_PLAIN_KEY = re.compile(r"[a-z0-9.]+")
_ID = re.compile(r"[0-9a-f]{64}")
_MOST_LAYERS = 500


@attrs.frozen(kw_only=True)
class StoreFiles(Value):
    """The folders of one store.

    Attributes:
        root: its graph root.
        driver: its storage driver.
    """

    root: Path
    driver: str

    @classmethod
    def of(cls, storage: Storage) -> "StoreFiles | None":
        """Give the files of a store; None where it is not known what they are like."""
        if not storage.root or storage.driver not in {_OVERLAY, _VFS}:
            return None
        return cls(root=Path(storage.root), driver=storage.driver)

    def documents(self, name: str) -> ImageDocuments | None:
        """Give manifest and configuration of an image, byte for byte; None where that cannot be told.

        Args:
            name: its full name, as ``localhost/nova:1``.
        """
        for image in self._records("images"):
            names = image.get("names")
            if isinstance(names, list) and name in names:
                found = self._documents(str(image["id"]))
                digest = name.partition("@")[2]
                # Of several manifests with one configuration the file holds the last that was stored.
                return found if found is None or digest in {"", digest_of(found.manifest)} else None
        return None

    def layer_folders(self, documents: ImageDocuments) -> tuple[Path, ...]:
        """Give the folders of an image's layers, top first; none where that cannot be told.

        Args:
            documents: the image's.
        """
        image_id = hashlib.sha256(documents.config).hexdigest()
        top = next((image.get("layer") for image in self._records("images") if image.get("id") == image_id), None)
        layers = {layer.get("id"): layer for layer in self._records("layers")}
        chain: list[tuple[str, object]] = []
        while isinstance(top, str) and top and len(chain) < _MOST_LAYERS:
            layer = layers.get(top)
            if layer is None:
                return ()
            chain.append((top, layer.get("diff-digest")))
            top = layer.get("parent")
        if not chain or [digest for _, digest in reversed(chain)] != _diff_ids(documents.config):
            return ()
        if self.driver == _VFS:
            return self._there([self.root / _VFS / "dir" / chain[0][0]])
        return self._overlay_folders([layer for layer, _ in chain])

    def _overlay_folders(self, layers: list[str]) -> tuple[Path, ...]:
        home = self.root / _OVERLAY
        if _text(home / ".has-mount-program") == "true":
            # fuse-overlayfs writes whiteouts, and where it must modes, in forms of its own.
            return ()
        if any(os.path.lexists(home / layer / "composefs-data") for layer in layers):
            return ()
        return self._there([home / layer / "diff" for layer in layers])

    @staticmethod
    def _there(folders: list[Path]) -> tuple[Path, ...]:
        # Not Path.is_dir(), which raises an error where it may not look.
        return tuple(folders) if all(os.path.isdir(folder) for folder in folders) else ()  # noqa: PTH112 # as above

    def _documents(self, image_id: str) -> ImageDocuments | None:
        folder = self.root / f"{self.driver}-images" / image_id
        try:
            manifest = (folder / "manifest").read_bytes()
            digest = str(json.loads(manifest)["config"]["digest"])
            config = (folder / _file_name(digest)).read_bytes()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return ImageDocuments(manifest=manifest, config=config) if digest_of(config) == digest else None

    def _records(self, kind: str) -> Iterator[dict[str, object]]:
        try:
            records = json.loads((self.root / f"{self.driver}-{kind}" / f"{kind}.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return
        for record in records if isinstance(records, list) else ():
            if isinstance(record, dict) and _ID.fullmatch(str(record.get("id"))) is not None:
                yield record


def _file_name(key: str) -> str:
    """Give the name of an image's file (containers/storage, makeBigDataBaseName)."""
    return key if _PLAIN_KEY.fullmatch(key) else f"={base64.b64encode(key.encode()).decode()}"


def _diff_ids(config: bytes) -> list[object]:
    try:
        found = json.loads(config)["rootfs"]["diff_ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
