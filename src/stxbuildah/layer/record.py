# SPDX-License-Identifier: Apache-2.0
"""RECORD, the list of a distribution's files: as a wheel brings it and as an installer leaves it.

Source: "Recording installed projects" of the PyPA specifications: ``path,algorithm=digest,size`` as CSV.
"""

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Iterable

import attrs

from stxbuildah.model.value import Value

# RECORD cannot hold its own hash, nor that of what signs it.
RECORD_SIGNATURES = ("RECORD", "RECORD.jws", "RECORD.p7s")
# The specification: SHA-256 or better; MD5, SHA-1 and SHA-224 are not.
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"})
_FIELDS = 3


@attrs.frozen
class RecordLine(Value):
    """What RECORD says of a file.

    Attributes:
        algorithm: name of the hash, as ``sha256``.
        digest: the hash as base64 for URLs without padding.
        size: bytes of the file; None when RECORD does not say.
    """

    algorithm: str
    digest: str
    size: int | None


def read_record(content: bytes, report: Callable[[str], None]) -> dict[str, RecordLine]:
    """Read a wheel's RECORD.

    Args:
        content: the file.
        report: is called with each mistake, as a sentence.

    Returns:
        By path; without the lines of RECORD itself and of its signatures.
    """
    lines: dict[str, RecordLine] = {}
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        report(f"RECORD cannot be read: {error}")
        return lines
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        if len(row) != _FIELDS:
            report(f"line {number} of RECORD has {len(row)} fields, not {_FIELDS}")
            continue
        path, digest, size = row
        if path in lines:
            report(f"RECORD lists {path} twice")
        elif not _is_own(path):
            line = _line(path, digest, size, report)
            if line is not None:
                lines[path] = line
    return lines


def spelled(digest: bytes) -> str:
    """Give a digest as RECORD spells it: base64 for URLs without padding."""
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def record_digest(content: bytes) -> str:
    """Give the SHA-256 of some content as RECORD spells it."""
    return spelled(hashlib.sha256(content).digest())


def write_record(rows: Iterable[tuple[str, str, int]], own_path: str) -> bytes:
    """Give the RECORD of an installed distribution.

    Args:
        rows: path relative to the folder of ``.dist-info``, SHA-256 as base64 for URLs without padding, and size.
        own_path: path of RECORD itself.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    for path, sha256, size in sorted([*rows, (own_path, "", 0)]):
        writer.writerow((path, f"sha256={sha256}", size) if sha256 else (path, "", ""))
    return stream.getvalue().encode("utf-8", "surrogateescape")


def _line(path: str, digest: str, size: str, report: Callable[[str], None]) -> RecordLine | None:
    algorithm, equals, value = digest.partition("=")
    if not equals or not value:
        report(f"RECORD has no hash for {path}")
    elif algorithm not in _ALGORITHMS or algorithm not in hashlib.algorithms_available:
        report(f"RECORD has a hash of kind {algorithm!r} for {path}, where sha256 or better is needed")
    elif size and not (size.isascii() and size.isdigit()):
        report(f"RECORD says that {path} has {size!r} bytes")
    else:
        return RecordLine(algorithm, value.rstrip("="), int(size) if size else None)
    return None


def _is_own(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name in RECORD_SIGNATURES and folder.endswith(".dist-info") and "/" not in folder
