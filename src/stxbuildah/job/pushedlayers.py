# SPDX-License-Identifier: Apache-2.0
"""Layers compressed as podman, buildah and skopeo do when they push: by their library, which skopeo brings."""

from pathlib import Path

import attrs

from stxbuildah.engine.process import Runner
from stxbuildah.engine.transfer import recompressed
from stxbuildah.layer.documents import as_list, as_object, encoded, parsed
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.plainmanifest import plain_manifest
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Compression
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.documents import text_of


@attrs.frozen(kw_only=True)
class PushedLayers:
    """Compresses layers of a folder of blobs.

    Attributes:
        runner: runs skopeo.
        blobs: where the plain layers lie, and the compressed ones come to.
        folder: an empty folder on the same file system.
    """

    runner: Runner
    blobs: BlobFolder
    folder: Path

    def recompress(self, diff_id: str, compression: Compression) -> str:
        """Compress a layer, put it among the blobs, and give its digest.

        Args:
            diff_id: digest of its plain tar.
            compression: how.

        Raises:
            DiskFullError: no space is left.
            StxbError: skopeo fails.
        """
        layer = self.blobs.path(diff_id)
        config = encoded({"architecture": "", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}})
        manifest = plain_manifest(config, [(diff_id.removeprefix("sha256:"), layer.stat().st_size)])
        source = write_layout(self.folder / "plain", ImageDocuments(manifest=manifest, config=config), {diff_id: layer})
        target = self.folder / "pushed"
        recompressed(self.runner, source, f"dir:{target}", str(compression))
        made = parsed((target / "manifest.json").read_bytes(), "manifest")
        [described] = as_list(made.get("layers"), "layers")
        digest = text_of(as_object(described, "layer"), "digest")
        (target / digest.removeprefix("sha256:")).replace(self.blobs.path(digest))
        return digest
