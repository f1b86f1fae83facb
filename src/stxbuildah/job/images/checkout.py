# SPDX-License-Identifier: Apache-2.0
"""Checkouts that images are built from: a repository at a commit, with patches on top."""

import errno
import hashlib
import shutil
from pathlib import Path

import attrs

from stxbuildah.engine.git import Git, secrets_of
from stxbuildah.errors import DiskFullError, InputError, Problem
from stxbuildah.job.images.work import ImageWork
from stxbuildah.model.imagebuild import Checkout
from stxbuildah.wheels.keyed import KeyedFolders

# Folder of checkouts in the cache.
CHECKOUTS = "checkouts"


@attrs.frozen(kw_only=True)
class CheckedOut:
    """A checkout as it lies on the disk.

    Attributes:
        folder: its top; shared with other builds, and not to be changed.
        commit: the commit that the ref named.
        patches: digest of the patches; empty when there are none.
    """

    folder: Path
    commit: str
    patches: str = ""

    @property
    def inputs(self) -> dict[str, str]:
        """What an image is made of because of it, by component."""
        return {"source": self.commit, **({"patches": self.patches} if self.patches else {})}


def check_out(work: ImageWork, checkout: Checkout) -> CheckedOut:
    """Give a checkout; one that was made of the same before is used again.

    Each is kept under the digest of the whole URL, the commit and the patches: no two share a folder that are not one.

    Args:
        work: what is built.
        checkout: repository, ref and patches.

    Raises:
        BuildError: a patch does not apply.
        StxbError: the repository cannot be reached, or has no such ref.
    """
    url = _url(checkout.url)
    git = _git(work, url)
    commit = git.commit_of(url, checkout.ref)
    patches = _patches_digest(checkout)
    folders = KeyedFolders(top=work.engine.folders.cache / CHECKOUTS)
    key = hashlib.sha256(f"{url}\0{commit}\0{patches}".encode()).hexdigest()
    found = folders.find(key)
    if found is None:
        work.tell("checking the repository out")
        with folders.held(key) as slot:
            if not slot.is_there:
                target = slot.draft / "checkout"
                git.checkout(url, commit, target)
                for patch in checkout.patches:
                    git.apply(target, patch)
                slot.keep()
            found = slot.folder
    return CheckedOut(folder=found / "checkout", commit=commit, patches=patches)


def scratch_copy(source: Path, folder: Path) -> Path:
    """Copy a folder into a new one, where it may be changed.

    Raises:
        DiskFullError: no space is left.
        InputError: something in it cannot be read, or is no file, folder or link.
    """
    try:
        shutil.copytree(source, folder, symlinks=True)
    except OSError as error:
        # Of several mistakes copytree tells all, as (source, target, reason).
        reasons = [str(one[2]) for one in error.args[0]] if isinstance(error, shutil.Error) else [str(error)]
        full = error.errno in {errno.ENOSPC, errno.EDQUOT} or any("No space left" in reason for reason in reasons)
        message = f"{source} cannot be copied into the work folder"
        kind = DiskFullError if full else InputError
        raise kind(message, hint="make room, df -h shows where" if full else "", details=reasons[:10]) from error
    return folder


def patch_problems(file: Path, checkout: Checkout) -> tuple[Problem, ...]:
    """Give the patches that are not there.

    Args:
        file: the directives file that names them.
        checkout: the checkout.
    """
    return tuple(
        Problem(str(file), f"the patch {patch} is not there") for patch in checkout.patches if not patch.is_file()
    )


def _git(work: ImageWork, url: str) -> Git:
    engine = work.engine
    runner = attrs.evolve(engine.runner, secrets=(*engine.runner.secrets, *secrets_of(url)))
    proxies, bundle = work.request.host.proxies, work.request.material.build_ca_bundle
    left = work.seconds_left
    git = Git(runner=runner, proxies=proxies, ca_bundle=bundle)
    return git if left is None else attrs.evolve(git, timeout=min(left, git.timeout))


def _url(text: str) -> str:
    return Path(text).as_uri() if text.startswith("/") else text


def _patches_digest(checkout: Checkout) -> str:
    digests = []
    for patch in checkout.patches:
        try:
            digests.append(hashlib.sha256(patch.read_bytes()).hexdigest())
        except OSError as error:
            raise InputError(f"the patch {patch} cannot be read: {error.strerror}") from error
    return f"sha256:{hashlib.sha256(' '.join(digests).encode()).hexdigest()}" if digests else ""
