# SPDX-License-Identifier: Apache-2.0
"""What is written into a LOCI image when all is installed."""

from pathlib import Path

import pytest

from stxbuildah.errors import BuildError
from stxbuildah.job.images.locirecord import final_content, folder_entries
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.parents import with_parents
from stxbuildah.model.layer import Change, LayerEntry
from stxbuildah.model.tree import Entry, Kind

ENVIRONMENT = "/var/lib/openstack"
SITE = f"{ENVIRONMENT}/lib/python3.13/site-packages"
STATES = b"Package: kept\nAuto-Installed: 1\n\nPackage: gone\nAuto-Installed: 1\n\n"
METADATA = b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n"
IMAGE = MemoryTree(
    {
        "/usr/bin/python3.13": (Entry(Kind.FILE, mode=0o755), b"\x7fELF"),
        "/usr/lib/python3.13/os.py": b"",
        "/etc": Entry(Kind.DIRECTORY, mode=0o751, uid=3, gid=4),
        f"{ENVIRONMENT}/bin/python3": Entry(Kind.SYMLINK, target="/usr/bin/python3.13"),
        f"{ENVIRONMENT}/pyvenv.cfg": b"home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.13.5\n",
        f"{ENVIRONMENT}/lib/python3.13/no-global-site-packages.txt": b"",
        f"{SITE}/six-1.0.dist-info/METADATA": METADATA,
        "/var/lib/dpkg/status": b"Package: kept\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n",
        "/var/lib/apt/extended_states": STATES,
    }
)


def contents(entries: tuple[LayerEntry, ...]) -> dict[str, bytes]:
    found = {}
    for entry in entries:
        if entry.opener is not None:
            with entry.opener() as stream:
                found[entry.path] = stream.read()
    return found


def test_lists_settings_and_what_is_gone() -> None:
    found = final_content(IMAGE, f"{ENVIRONMENT}/bin:/usr/bin", {})
    assert contents(found.entries) == {
        "/etc/image_info/packages.txt": b"kept 2 all\n",
        "/etc/image_info/pip.txt": b"six==1.0\n",
        f"{ENVIRONMENT}/pyvenv.cfg": b"home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.13.5\n",
        "/var/lib/apt/extended_states": b"Package: kept\nAuto-Installed: 1\n\n",
    }
    gone = [entry.path for entry in found.entries if entry.change is Change.WHITEOUT]
    assert gone == [f"{ENVIRONMENT}/lib/python3.13/no-global-site-packages.txt"]
    folders = {entry.path: entry for entry in found.entries if entry.change is Change.DIRECTORY}
    assert (folders["/etc"].mode, folders["/etc"].uid, folders["/etc"].gid) == (0o751, 3, 4)
    assert folders["/etc/image_info"].mode == 0o755


def test_an_image_without_an_environment_is_an_error() -> None:
    with pytest.raises(BuildError, match="no virtual environment"):
        final_content(MemoryTree({}), "/usr/bin", {})


def test_a_folder_of_this_machine_comes_without_gits_own(tmp_path: Path) -> None:
    for path in ("index.html", "app/ui.js", "run", ".git/config"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "page.html").symlink_to("index.html")
    found = with_parents(IMAGE, folder_entries(tmp_path, "/usr/share/novnc")).entries
    assert [(entry.path, entry.change, entry.mode, entry.target) for entry in found] == [
        ("/usr", Change.DIRECTORY, 0o755, ""),
        ("/usr/share", Change.DIRECTORY, 0o755, ""),
        ("/usr/share/novnc", Change.DIRECTORY, 0o755, ""),
        ("/usr/share/novnc/app", Change.DIRECTORY, 0o755, ""),
        ("/usr/share/novnc/app/ui.js", Change.FILE, 0o644, ""),
        ("/usr/share/novnc/index.html", Change.FILE, 0o644, ""),
        ("/usr/share/novnc/page.html", Change.SYMLINK, 0o777, "index.html"),
        ("/usr/share/novnc/run", Change.FILE, 0o755, ""),
    ]
    assert contents(found)["/usr/share/novnc/app/ui.js"] == b"app/ui.js"
