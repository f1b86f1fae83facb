# SPDX-License-Identifier: Apache-2.0
"""An image whose packages are rpm's: Debian's Python, dnf and rpm without dpkg's database, and packages for it."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.engine.baseimage import SUITE, cached_layout

PACKAGES = "ca-certificates,python3,dnf,rpm"
OS_RELEASE = 'ID=stxrpm\nID_LIKE="rhel fedora"\nVERSION_ID=1\nPRETTY_NAME="rpm image of the tests"\n'
# The module that belongs to a package, as python3-* packages of rpm distributions own theirs.
_OWNED = "/usr/lib/python3/dist-packages"
_OWNED_METADATA = f"{_OWNED}/stx_owned-1.0.dist-info"
_OWNED_FILES = {
    f"{_OWNED}/stx_owned.py": "VERSION = '1.0'\n",
    f"{_OWNED_METADATA}/METADATA": "Metadata-Version: 2.1\nName: stx-owned\nVersion: 1.0\n",
    f"{_OWNED_METADATA}/INSTALLER": "rpm\n",
}
_CREATED = 1_750_000_000


def cached_rpm_layout() -> Path:
    """Give the OCI layout that holds the image as ``base``; made from Debian's mirror if it is missing.

    Its rpm database knows two packages: ``stx-release`` stands for all that Debian brought, and
    ``python3-stx-owned`` owns a Python module.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder)
        given.chmod(0o755)
        (given / "os-release").write_text(OS_RELEASE)
        release = make_rpm(given, "stx-release", "1.0", provides=("/bin/sh",))
        owned = make_rpm(given, "python3-stx-owned", "1.0", files=_OWNED_FILES, folders=(_OWNED_METADATA,))
        hooks = [
            f"copy-in {given}/os-release {release} {owned} /",
            'mv "$1/os-release" "$1/usr/lib/os-release"',
            'mkdir -p "$1/etc/yum.repos.d"',
            f'chroot "$1" rpm --install /{release.name} /{owned.name}',
            'rm -rf "$1"/*.rpm "$1/var/lib/rpm/"*-shm "$1/var/lib/rpm/"*-wal "$1/var/lib/rpm/.rpm.lock"',
            'rm -rf "$1/var/lib/dpkg" "$1/var/lib/apt" "$1/usr/bin/dpkg" "$1/usr/bin/apt-get"',
        ]
        recipe = ["mmdebstrap", "--mode=unshare", "--variant=apt", f"--include={PACKAGES}"]
        recipe += [*(f"--customize-hook={hook}" for hook in hooks), "--format=tar", SUITE]
        named = [word.replace(str(given), "") for word in recipe]
        return cached_layout(
            "rpm", recipe, made_of=[*named, OS_RELEASE, _OWNED_METADATA, *_OWNED_FILES, *_OWNED_FILES.values()]
        )


def make_rpm(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    folders: Sequence[str] = (),
    requires: Sequence[str] = (),
    provides: Sequence[str] = (),
    post: str = "",
) -> Path:
    """Make an rpm package for every architecture.

    Args:
        folder: where it goes.
        name: name of the package.
        version: its version; the release is 1.
        files: contents by absolute path; one file under /usr/share when None.
        folders: those of its files' folders that belong to it.
        requires: what it depends on, as ``stx-b >= 2``.
        provides: what it is good for besides its name.
        post: script that runs after its installation.
    """
    contents = files if files is not None else {f"/usr/share/{name}/{name}.txt": f"{name} {version}\n"}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        specification = Path(work) / "package.spec"
        lines = [f"Name: {name}", f"Version: {version}", "Release: 1", "Summary: made by the tests"]
        lines += ["License: Apache-2.0", "BuildArch: noarch", "AutoReqProv: no"]
        lines += [f"Requires: {need}" for need in requires] + [f"Provides: {offer}" for offer in provides]
        lines += ["%description", "Made by the tests.", "%files", *contents]
        lines += [f"%dir {owned}" for owned in folders]
        lines += ["%post", post] if post else []
        specification.write_text("\n".join([*lines, ""]))
        root = Path(work) / "root"
        for path, text in contents.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o755 if "/bin/" in path else 0o644)
        macros = {"_rpmdir": folder, "_topdir": work, "_dbpath": f"{work}/db", "_build_name_fmt": _FILE_NAME}
        macros |= {"_buildhost": "tests", "use_source_date_epoch_as_buildtime": "1"}
        options = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
        subprocess.run(
            ["rpmbuild", "-bb", "--noclean", "--buildroot", root, *options, specification],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "HOME": work, "SOURCE_DATE_EPOCH": str(_CREATED)},
        )
    return folder / f"{name}-{version}-1.noarch.rpm"


_FILE_NAME = "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"
