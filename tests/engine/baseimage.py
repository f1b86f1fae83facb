# SPDX-License-Identifier: Apache-2.0
"""The base image of the engine tests: Debian with Python, made once and kept in the user's cache."""

import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stxbuildah.job.workspace import locked
from stxbuildah.model.image import OCI_CONFIG, OCI_MANIFEST

SUITE = "trixie"
PACKAGES = "ca-certificates,python3,python3-pip"
CREATED = "2025-09-01T00:00:00Z"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def cached_base_layout() -> Path:
    """Give the OCI layout that holds the base image as ``base``; made from the distribution's mirror if missing.

    The mirror is the distribution's own unless STXB_TEST_MIRROR names another.
    """
    return cached_layout(
        "base", ["mmdebstrap", "--mode=unshare", "--variant=apt", f"--include={PACKAGES}", "--format=tar", SUITE]
    )


def cached_layout(name: str, recipe: Sequence[str], *, made_of: Sequence[str] = ()) -> Path:
    """Give the OCI layout with the one image ``base`` that a call of mmdebstrap makes; made if it is missing.

    Args:
        name: beginning of the folder's name in the cache.
        recipe: the call, without the output and the mirror.
        made_of: what else the image depends on; another image is made when it changes. When given, the recipe's own
            words are not looked at, since they may name temporary files.
    """
    key = hashlib.sha256(json.dumps([made_of or recipe, CREATED]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stxbuildah-tests"
    layout = cache / f"{name}-{key}"
    # Tests run in several processes: one makes it, the others wait.
    with locked(cache / f"{name}-{key}.lock"):
        if not layout.is_dir():
            _make_layout(layout, recipe)
    return layout


def _make_layout(layout: Path, recipe: Sequence[str]) -> None:
    # The account that mmdebstrap maps root to must be able to pass through the folder, which mkdtemp closes.
    made = Path(tempfile.mkdtemp(prefix=f"{layout.name}-", dir=layout.parent))
    try:
        archive = made / "base.tar"
        mirror = os.environ.get("STXB_TEST_MIRROR")
        with archive.open("wb") as stream:
            command = [*recipe, "-", *([mirror] if mirror else [])]
            done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, check=False, timeout=900)
        assert done.returncode == 0, f"mmdebstrap failed:\n{done.stderr.decode(errors='replace')[-3000:]}"
        write_layout(made, archive)
        archive.unlink()
        made.rename(layout)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_layout(layout: Path, archive: Path, *, name: str = "base") -> None:
    """Write an OCI layout with one image of one layer, the files of a tar archive."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    packed = layout / "layer"
    plain = hashlib.sha256()
    with archive.open("rb") as source, gzip.GzipFile(packed, "wb", compresslevel=1, mtime=0) as target:
        while chunk := source.read(1 << 20):
            plain.update(chunk)
            target.write(chunk)
    with packed.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = packed.stat().st_size
    packed.rename(blobs / digest)
    config = write_blob(
        blobs,
        {
            "created": CREATED,
            "architecture": _MACHINES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": ["python3"],
                "Labels": {"org.opencontainers.image.title": "base image of the tests"},
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{plain.hexdigest()}"]},
            "history": [{"created": CREATED, "created_by": f"mmdebstrap {SUITE}"}],
        },
        OCI_CONFIG,
    )
    layer = {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}
    manifest = write_blob(
        blobs, {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}, OCI_MANIFEST
    )
    manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def write_blob(blobs: Path, document: object, media_type: str) -> dict[str, object]:
    """Write a JSON document as a blob and give its descriptor."""
    content = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
