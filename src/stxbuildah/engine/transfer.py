# SPDX-License-Identifier: Apache-2.0
"""Images of the local store as archives, by podman."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO

from stxbuildah.engine.faults import to_error
from stxbuildah.engine.process import PIPE, TAIL_LINES, Completed, ProcessError, Runner, show, shut_down
from stxbuildah.engine.retry import fault_of
from stxbuildah.errors import BuildError, InputError
from stxbuildah.model.transfer import ArchiveForm

_CHUNK = 2**20
_NO_ARCHIVE = "payload does not match any of the supported image formats"
_LOADED = ("Loaded image: ", "Loaded image(s): ")


@contextmanager
def saved(runner: Runner, names: Sequence[str], form: ArchiveForm) -> Iterator[Iterator[bytes]]:
    """Stream an archive of images, in which their layers are plain tars; podman ends with the block.

    Args:
        runner: runs podman, with the environment that names the store.
        names: the images as the store calls them; an oci-archive has one.
        form: what the archive is inside.

    Raises:
        StxbError: an image cannot be read to its end; raised when the stream is used.
    """
    several = ["--multi-image-archive"] if len(names) > 1 else []
    plain = ["--uncompressed"] if form is ArchiveForm.OCI else []
    argv = ["podman", "save", "--quiet", "--format", str(form), *several, *plain, *names]
    process = runner.start(argv)
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 # opened as pipes by start()
    reader = threading.Thread(target=runner.drain, args=(process.stderr, tail), daemon=True)
    reader.start()

    def chunks(stream: IO[bytes]) -> Iterator[bytes]:
        with closing(stream):
            while chunk := stream.read(_CHUNK):
                yield chunk
        status = process.wait()
        reader.join()
        if status:
            completed = Completed(argv=tuple(argv), returncode=status, stdout=b"", tail=tuple(tail))
            error = ProcessError(completed, show(argv))
            raise to_error(fault_of(error), f"saving {', '.join(names)}") from error

    try:
        yield chunks(process.stdout)
    finally:
        shut_down(process)
        reader.join()


def load(runner: Runner, chunks: Iterable[bytes], name: str) -> tuple[str, ...]:
    """Load an archive into the store.

    Args:
        runner: runs podman, with the environment that names the store.
        chunks: the archive's tar. podman of Debian 12 takes no compressed one.
        name: the archive as a message names it.

    Returns:
        The names of the images in it, or their IDs where they have none.

    Raises:
        InputError: it is no archive of images.
        StxbError: the store cannot take it; or whatever reading the archive raised.
    """
    argv = ["podman", "load", "--quiet"]
    process = runner.start(argv, stdin=PIPE, merge=True)
    said: deque[str] = deque(maxlen=TAIL_LINES)
    assert process.stdout is not None and process.stdin is not None  # noqa: S101, PT018 # opened as pipes by start()
    reader = threading.Thread(target=runner.drain, args=(process.stdout, said), daemon=True)
    reader.start()
    try:
        try:
            # It may have ended; its last words tell why.
            with suppress(BrokenPipeError):
                for chunk in chunks:
                    process.stdin.write(chunk)
        except BaseException:
            # Before its input ends, so that it takes nothing for the whole archive.
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
        status = process.wait()
    finally:
        shut_down(process)
        reader.join()
    if status:
        if any(_NO_ARCHIVE in line for line in said):
            raise InputError(
                f"{name} is no archive of images",
                hint="it is neither a docker-archive nor an oci-archive, or is cut off",
            )
        error = ProcessError(Completed(argv=tuple(argv), returncode=status, stdout=b"", tail=tuple(said)), show(argv))
        raise to_error(fault_of(error), f"loading {name}") from error
    names = tuple(loaded.strip() for line in said for loaded in _names(line).split(",") if loaded.strip())
    if not names:
        raise BuildError(f"podman loaded {name} and named no image", details=said)
    return names


def _names(line: str) -> str:
    return next((line.removeprefix(beginning) for beginning in _LOADED if line.startswith(beginning)), "")


def recompressed(runner: Runner, source: str, target: str, compression: str) -> None:
    """Copy an image with its layers compressed.

    Args:
        runner: runs skopeo.
        source: the image as skopeo names it, with plain layers.
        target: where to, ``dir:FOLDER``.
        compression: ``gzip`` or ``zstd``.

    Raises:
        DiskFullError: no space is left.
        StxbError: skopeo fails.
    """
    options = ["--dest-compress", "--dest-compress-format", compression]
    try:
        runner.run(["skopeo", "copy", "--quiet", *options, source, target])
    except ProcessError as error:
        raise to_error(fault_of(error), f"compressing layers by {compression}") from error
