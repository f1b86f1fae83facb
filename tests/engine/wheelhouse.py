# SPDX-License-Identifier: Apache-2.0
"""Wheels and packages made for tests, small and exactly as wanted."""

import base64
import hashlib
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    entry_points: str = "",
    requires: tuple[str, ...] = (),
    requires_python: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """Make a wheel with a sound RECORD.

    Args:
        folder: where it goes.
        name: name of the distribution; its one module has the same name unless ``files`` says otherwise.
        version: version of the distribution.
        files: contents by path in the wheel; a module that tells the version when None.
        entry_points: content of entry_points.txt.
        requires: Requires-Dist values.
        requires_python: Requires-Python value.
        tag: the wheel's tag.
    """
    folder.mkdir(parents=True, exist_ok=True)
    escaped = name.replace("-", "_")
    information = f"{escaped}-{version}.dist-info"
    members = dict(files if files is not None else {f"{escaped}.py": f"VERSION = {version!r}\n"})
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    members[f"{information}/METADATA"] = "\n".join(metadata) + "\n"
    members[f"{information}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    if entry_points:
        members[f"{information}/entry_points.txt"] = entry_points
    record = [f"{path},sha256={_hash(text)},{len(text.encode())}" for path, text in members.items()]
    members[f"{information}/RECORD"] = "\n".join([*record, f"{information}/RECORD,,", ""])
    path = folder / f"{escaped}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
    return path


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def make_deb(
    folder: Path, name: str, version: str, *, files: Mapping[str, str] | None = None, depends: str = ""
) -> Path:
    """Make a Debian package for every architecture.

    Args:
        folder: where it goes.
        name: name of the package.
        version: its version.
        files: contents by absolute path; one file under /usr/share when None.
        depends: value of Depends.
    """
    tree = folder / f"{name}-{version}.tree"
    for path, text in (files or {f"/usr/share/{name}/{name}.txt": f"{name} {version}\n"}).items():
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if "/bin/" in path else 0o644)
    control = [f"Package: {name}", f"Version: {version}", "Architecture: all", "Maintainer: tests <tests@example.org>"]
    control += [f"Depends: {depends}"] if depends else []
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text("\n".join([*control, "Description: made by the tests", ""]))
    package = folder / f"{name}_{version}_all.deb"
    subprocess.run(
        ["/usr/bin/dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)], check=True, capture_output=True
    )
    return package
