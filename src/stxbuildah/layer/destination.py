# SPDX-License-Identifier: Apache-2.0
"""Where the files of a wheel go in an environment.

Source: "Binary distribution format", "Installing a wheel", and what pip does where that leaves a choice: the folder for
headers, the ``#!`` lines, INSTALLER and REQUESTED, paths in RECORD. ``installer.install`` would do most of it, but it
reads every file's content once more, which the wheel's check has done.
"""

import io
import posixpath
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import attrs

from stxbuildah import log
from stxbuildah.layer.archive import open_member
from stxbuildah.layer.paths import is_below
from stxbuildah.layer.record import record_digest, write_record
from stxbuildah.layer.scripts import entry_point_script, with_interpreter
from stxbuildah.model.inventory import PythonEnvironment
from stxbuildah.model.value import Value
from stxbuildah.model.wheel import Wheel, WheelMember

INSTALLER_NAME = "stxb"
_MODE = 0o644
_EXECUTABLE_MODE = 0o755
_WRITTEN_HERE = frozenset({"INSTALLER", "REQUESTED"})


@attrs.frozen(kw_only=True)
class InstalledFile(Value):
    """A file as a wheel's installation writes it.

    Attributes:
        path: absolute path by the environment's own names, links not followed.
        mode: permission bits.
        size: bytes.
        sha256: digest as RECORD spells it.
        opener: opens the content.
    """

    path: str
    mode: int
    size: int
    sha256: str
    opener: Callable[[], BinaryIO] = attrs.field(eq=False, repr=False)


def installed_files(wheel: Wheel, environment: PythonEnvironment) -> tuple[InstalledFile, ...]:
    """Give every file that installing a wheel writes, RECORD last."""
    root = environment.purelib if wheel.root_is_purelib else environment.platlib
    dist_info = posixpath.join(root, wheel.dist_info)
    files: dict[str, InstalledFile] = {}
    for file in _all_files(wheel, environment, root, dist_info):
        if file.path in files:
            # As with pip, a command's script wins over a file of the same name.
            log.debug("content.file.doubled", wheel=str(wheel.path), path=file.path)
        files.setdefault(file.path, file)
    record_path = posixpath.join(dist_info, "RECORD")
    rows = [(_relative(file.path, root), file.sha256, file.size) for file in files.values()]
    record = write_record(rows, _relative(record_path, root))
    return (*files.values(), _generated(record_path, record, _MODE))


def _all_files(wheel: Wheel, environment: PythonEnvironment, root: str, dist_info: str) -> Iterator[InstalledFile]:
    for entry_point in wheel.entry_points:
        script = entry_point_script(entry_point, environment.interpreter)
        yield _generated(posixpath.join(environment.scripts, entry_point.name), script, _EXECUTABLE_MODE)
    schemes = {
        "purelib": environment.purelib,
        "platlib": environment.platlib,
        "headers": posixpath.join(environment.headers, wheel.display_name),
        "scripts": environment.scripts,
        "data": environment.data,
    }
    for member in wheel.members:
        top, _, rest = member.stored.name.partition("/")
        if top == wheel.dist_info and rest in _WRITTEN_HERE:
            continue
        if rest and top.lower().endswith(".data"):
            scheme, _, name = rest.partition("/")
            yield _placed(wheel, member, posixpath.join(schemes[scheme], name), environment, scheme)
        else:
            yield _placed(wheel, member, f"{root}/{member.stored.name}", environment)
    yield _generated(posixpath.join(dist_info, "INSTALLER"), f"{INSTALLER_NAME}\n".encode("ascii"), _MODE)
    yield _generated(posixpath.join(dist_info, "REQUESTED"), b"", _MODE)


def _placed(
    wheel: Wheel, member: WheelMember, path: str, environment: PythonEnvironment, scheme: str = ""
) -> InstalledFile:
    opener = partial(open_member, wheel.path, member.stored)
    if scheme == "scripts":
        with opener() as stream:
            start = stream.read(len(b"#!python"))
            if start == b"#!python":
                content = with_interpreter(start + stream.read(), environment.interpreter)
                return _generated(path, content, _EXECUTABLE_MODE)
    executable = scheme == "scripts" or member.stored.executable
    return InstalledFile(
        path=path,
        mode=_EXECUTABLE_MODE if executable else _MODE,
        size=member.stored.size,
        sha256=member.sha256,
        opener=opener,
    )


def _relative(path: str, root: str) -> str:
    # relpath takes ten times as long, and nearly every file is below the root.
    return path[len(root) + 1 :] if is_below(path, root) else posixpath.relpath(path, root)


def _generated(path: str, content: bytes, mode: int) -> InstalledFile:
    return InstalledFile(
        path=path, mode=mode, size=len(content), sha256=record_digest(content), opener=partial(io.BytesIO, content)
    )
