# SPDX-License-Identifier: Apache-2.0
"""What the lines of a wheels.cfg name: fetched once, kept, and laid out for a build."""

import hashlib
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import attrs

from stxbuildah.engine.download import Downloader, file_name, shown
from stxbuildah.engine.git import Git, secrets_of
from stxbuildah.errors import InputError
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.wheels.keyed import KeyedFolders
from stxbuildah.wheels.unpack import unpack_tar, unpack_zip

_CHUNK = 1 << 20


@attrs.frozen(kw_only=True)
class Material:
    """Something that a wheel is made of, as it was fetched.

    Attributes:
        digest: ``sha256:HEX`` of the file, or ``git:COMMIT``.
        file: the archive or wheel; None for a git repository.
        commit: the commit; empty for a file.
    """

    digest: str
    file: Path | None = None
    commit: str = ""


@attrs.frozen(kw_only=True)
class LaidOut:
    """A source that is ready to be built.

    Attributes:
        top: the folder of all that its build may look at.
        inner: the project's folder, relative to ``top``.
        epoch: time of its newest change, in seconds since the epoch.
    """

    top: Path
    inner: PurePosixPath
    epoch: int


@attrs.frozen(kw_only=True)
class Materials:
    """Fetches what wheels are made of.

    Attributes:
        downloader: fetches files.
        git: fetches repositories.
        kept: keeps files, by the digest of their URL.
        use_kept: take a file that an earlier run fetched from the same URL.
    """

    downloader: Downloader
    git: Git
    kept: KeyedFolders
    use_kept: bool = True

    def fetch(self, source: WheelSource) -> Material:
        """Fetch what a line names; of a repository only the name of the commit.

        Raises:
            InputError: there is no such file or ref, the URL still holds a mark, or the digest is wrong.
            StxbError: the server cannot be reached, or wants credentials.
        """
        if source.unfilled:
            raise InputError(
                f"{source.unfilled} in the URL stands for a server that is not filled in",
                hint=f"write scheme and host in place of {source.unfilled} in {source.source}",
            )
        if source.kind is SourceKind.GIT:
            commit = self._git_for(source).commit_of(source.url, source.ref)
            return Material(digest=f"git:{commit}", commit=commit)
        file = _local_file(source.url) if source.url.startswith("file:") else self._download(source)
        digest = _digest_of(file)
        if source.sha256 and digest != source.sha256:
            raise InputError(
                f"{shown(source.url)} is not what it should be: its SHA-256 is {digest}, the line says {source.sha256}",
                hint="the file was changed on the server, or the digest in the line is wrong",
            )
        return Material(digest=f"sha256:{digest}", file=file)

    def lay_out(self, source: WheelSource, material: Material, target: Path) -> LaidOut:
        """Unpack or check out a source into a new folder.

        Raises:
            InputError: the archive is damaged or hostile, or has no such folder.
            StxbError: the repository cannot be fetched.
        """
        if material.file is None:
            git = self._git_for(source)
            git.checkout(source.url, material.commit, target)
            # The folder that git clone would make is the top here.
            inner = PurePosixPath(*PurePosixPath(source.basedir).parts[1:])
            epoch = git.commit_time(target)
        else:
            target.mkdir()
            epoch = (unpack_tar if source.kind is SourceKind.TAR else unpack_zip)(material.file, target)
            inner = PurePosixPath(source.basedir)
        folder = target / inner
        if not folder.is_dir() or not folder.resolve().is_relative_to(target.resolve()):
            there = ", ".join(
                sorted(path.name for path in target.iterdir() if path.is_dir() and path.name != ".git")[:5]
            )
            raise InputError(
                f"the source has no folder {source.basedir!r}", hint=f"its folders are: {there}" if there else ""
            )
        if source.fix_setup:
            fix_setup(folder / "setup.py")
        return LaidOut(top=target, inner=inner, epoch=epoch)

    def _git_for(self, source: WheelSource) -> Git:
        runner = self.git.runner
        return attrs.evolve(self.git, runner=attrs.evolve(runner, secrets=(*runner.secrets, *secrets_of(source.url))))

    def _download(self, source: WheelSource) -> Path:
        key = hashlib.sha256(source.url.encode()).hexdigest()
        name = file_name(source.url)
        there = self.kept.find(key) if self.use_kept else None
        if there is not None and (there / name).is_file():
            return there / name
        with self.kept.held(key) as slot:
            # Another run may have fetched it while this one waited.
            if not (self.use_kept and slot.is_there):
                url = f"{source.url}#sha256={source.sha256}" if source.sha256 else source.url
                self.downloader.fetch(url, slot.draft)
                slot.keep()
            return slot.folder / name


def fix_setup(setup: Path) -> None:
    """Turn an old setup.py from distutils, which knows no wheels, to setuptools.

    Raises:
        InputError: there is no setup.py.
    """
    import re

    if not setup.is_file() or setup.is_symlink():
        raise InputError("fix_setup is asked for, and the source has no setup.py")
    # As bytes: an old file may be in any encoding.
    text = setup.read_bytes()
    text = re.sub(rb"(?m)^([ \t]*)from distutils\.core import ", rb"\1from setuptools import ", text)
    text = re.sub(rb"(?m)^([ \t]*)import distutils\.core[ \t]*$", rb"\1import setuptools, distutils.core", text)
    setup.write_bytes(text)


def copy_wheel(material: Material, source: WheelSource, folder: Path) -> Path:
    """Copy a wheel that was fetched into a folder, under the name its URL gives it.

    Raises:
        InputError: the URL does not end in the name of a file.
    """
    if material.file is None:
        raise InputError(f"{source.wheel} is not fetched as a file")
    return Path(shutil.copyfile(material.file, folder / file_name(source.url)))


def _local_file(url: str) -> Path:
    path = Path(unquote(urlsplit(url).path))
    if not path.is_file():
        raise InputError(f"{path} is no file")
    return path


def _digest_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
