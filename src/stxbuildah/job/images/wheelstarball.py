# SPDX-License-Identifier: Apache-2.0
"""The tarball of wheels that images are built with: from a file, a server or an image, unpacked once for a run."""

import filecmp
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stxbuildah import log
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import InputError
from stxbuildah.job.engine import Engine
from stxbuildah.job.images.work import WheelsTarball
from stxbuildah.job.sessionmounts import check_mountable
from stxbuildah.job.startable import startable_image
from stxbuildah.model.imagesrun import ImagesRequest
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.tree import Kind
from stxbuildah.wheels.unpack import MAXIMUM_UNPACKED, unpack_tar

CONSTRAINTS, REQUIREMENTS = "upper-constraints.txt", "global-requirements.txt"
_TEXTS = frozenset({CONSTRAINTS, REQUIREMENTS})
_DOCKER = "docker://"
_FILE_NAMES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def resolve_wheels(engine: Engine, text: str, request: ImagesRequest, folder: Path) -> WheelsTarball:
    """Bring a tarball of wheels here and unpack it.

    Args:
        engine: programs and store, for an image.
        text: a file, an http(s) URL, or an image; one that the local store lacks is pulled.
        request: proxies, certificates and attempts for downloads.
        folder: existing folder of the run, in which it is unpacked.

    Raises:
        InputError: there is no such file or image, it is damaged, or holds no wheel.
        StxbError: it cannot be fetched.
    """
    check_mountable(folder)
    content = Path(tempfile.mkdtemp(prefix="wheels-", dir=folder))
    content.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="tarball-", dir=folder) as scratch:
        if text.startswith(("http://", "https://")):
            _take_archive(_downloaded(text, request, Path(scratch)), Path(scratch), content)
        elif (file := _local_file(text)) is not None:
            _take_archive(file, Path(scratch), content)
        else:
            _take_image(engine, text, Path(scratch), content)
    names = sorted(path.name for path in content.iterdir())
    if not any(name.endswith(".whl") for name in names):
        raise InputError(f"{text} holds no wheel", hint="stxb wheels makes such tarballs")
    digest = content_digest(content)
    log.info("images.wheels.found", wheels=text, files=len(names), digest=digest)
    return WheelsTarball(folder=content, digest=digest, text=text)


def content_digest(folder: Path) -> str:
    """Give the digest of what the files of a folder are called and hold, as ``sha256:<hex>``.

    However they were packed, the same wheels and constraints have the same digest.
    """
    listed = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        with path.open("rb") as stream:
            listed.append((path.name, hashlib.file_digest(stream, "sha256").hexdigest()))
    return "sha256:" + hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _local_file(text: str) -> Path | None:
    """Give the file that a text names; None when it names an image."""
    path = Path(unquote(urlsplit(text).path)) if text.startswith("file://") else Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise InputError(f"{path} is a folder, where a tarball of wheels is expected")
    if text.startswith(("file://", "/", "./", "../")) or text.endswith(_FILE_NAMES):
        raise InputError(f"the tarball of wheels {path} is not there", hint="stxb wheels makes it")
    return None


def _downloaded(url: str, request: ImagesRequest, folder: Path) -> Path:
    from stxbuildah.engine.download import Downloader

    downloader = Downloader(
        proxies=request.host.proxies, retry=request.retry, ca_bundle=request.material.build_ca_bundle
    )
    return downloader.fetch(url, folder)


def _take_archive(archive: Path, scratch: Path, content: Path) -> None:
    """Unpack an archive, and take what belongs into a tarball of wheels, at whatever depth it is."""
    unpacked = scratch / "unpacked"
    unpacked.mkdir()
    unpack_tar(archive, unpacked)
    for path in sorted(unpacked.rglob("*")):
        if not _wanted(path.name) or path.is_symlink() or not path.is_file():
            continue
        target = content / path.name
        if target.exists() and not filecmp.cmp(path, target, shallow=False):
            raise InputError(f"{archive} holds two different files {path.name}")
        path.replace(target)


def _take_image(engine: Engine, text: str, scratch: Path, content: Path) -> None:
    """Take the files at the top of an image; nothing of it runs."""
    with _image_files(engine, ImageReference.parse(text.removeprefix(_DOCKER)), scratch) as tree:
        size = 0
        for name, entry in tree.scandir("/").items():
            if entry.kind is not Kind.FILE or not _wanted(name):
                continue
            size += entry.size
            if size > MAXIMUM_UNPACKED:
                raise InputError(f"the wheels of the image {text} are more than {MAXIMUM_UNPACKED >> 30} GiB")
            with tree.open_file(f"/{name}") as source, (content / name).open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def _image_files(engine: Engine, reference: ImageReference, folder: Path) -> Iterator[ContainerTree]:
    image = engine.store.read(reference)
    if image is None:
        pulled = engine.store.pull(reference)
        image = engine.store.read(pulled)
    if image is None:
        raise InputError(f"the local store lacks {reference} although it was just pulled")
    with (
        startable_image(engine, image, folder) as name,
        WorkingContainer.create(engine.runner, engine.choices, name, state_folder=engine.folders.state) as container,
        container.tree() as tree,
    ):
        yield tree


def _wanted(name: str) -> bool:
    # Hidden files are none of a tarball's own: layered file systems keep theirs under such names.
    return not name.startswith(".") and (name.endswith(".whl") or name in _TEXTS)
