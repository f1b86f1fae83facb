# SPDX-License-Identifier: Apache-2.0
"""Wheels made to order, right or wrong in a way of choice."""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

FILE = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120777
FIFO = 0o010644


def record_hash(content: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


def make_wheel(
    folder: Path,
    name: str = "sample",
    version: str = "1.0",
    *,
    files: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
    wheel: str = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
    metadata: str | None = None,
    entry_points: str = "",
    record: Mapping[str, str | None] | None = None,
    modes: Mapping[str, int] | None = None,
    extra: Iterable[tuple[str, bytes]] = (),
    algorithm: str = "sha256",
    filename: str = "",
    method: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a wheel.

    Args:
        folder: where to.
        name: of the distribution.
        version: of the distribution.
        files: its files besides the metadata; one of metadata replaces the usual one.
        tag: for the file name.
        wheel: the WHEEL file.
        metadata: the METADATA file.
        entry_points: the entry_points.txt file.
        record: lines of RECORD to replace by path; None leaves one out.
        modes: of members by path.
        extra: members that RECORD does not list.
        algorithm: of RECORD's hashes.
        filename: of the wheel, in place of the one it should have.
        method: of compression.
    """
    dist_info = f"{name}-{version}.dist-info"
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    members = {
        f"{dist_info}/METADATA": metadata.encode(),
        f"{dist_info}/WHEEL": wheel.encode(),
        **({f"{dist_info}/entry_points.txt": entry_points.encode()} if entry_points else {}),
        **(files if files is not None else {f"{name}.py": b"x = 1\n"}),
    }
    lines: dict[str, str | None] = {
        path: f"{_quoted(path)},{record_hash(content, algorithm)},{len(content)}" for path, content in members.items()
    }
    lines |= {f"{dist_info}/RECORD": f"{dist_info}/RECORD,,", **(record or {})}
    listed = "".join(f"{line}\n" for line in lines.values() if line is not None)
    path = folder / (filename or f"{name}-{version}-{tag}.whl")
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, content in [*members.items(), *extra, (f"{dist_info}/RECORD", listed.encode())]:
            info = zipfile.ZipInfo(member)
            info.compress_type = method
            info.external_attr = (modes or {}).get(member, FILE) << 16
            archive.writestr(info, content)
    return path
