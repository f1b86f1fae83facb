# SPDX-License-Identifier: Apache-2.0
"""Layers of wheels as listings: one line a path, as an image's owner would check them."""

from collections.abc import Callable, Mapping

from stxbuildah.layer.content import WheelLayer, wheel_content
from stxbuildah.layer.distributions import find_distributions
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.inventory import Inventory, OsRelease, PythonEnvironment, SchemeKind
from stxbuildah.model.layer import Change, LayerContent
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.wheel import Wheel

Content = Mapping[str, bytes | Entry | tuple[Entry, bytes]]
MakeWheel = Callable[..., Wheel]

SITE = "/opt/v/lib/python3.11/site-packages"
ENVIRONMENT = PythonEnvironment(
    interpreter="/opt/v/bin/python3",
    real_interpreter="/usr/bin/python3.11",
    version=(3, 11),
    kind=SchemeKind.VENV,
    prefix="/opt/v",
    purelib=SITE,
    platlib=SITE,
    scripts="/opt/v/bin",
    data="/opt/v",
    headers="/opt/v/include/site/python3.11",
    search_path=(SITE,),
    machine="x86_64",
    glibc=(2, 36),
)
BASE: Content = {
    "/usr/bin/python3.11": (Entry(Kind.FILE, mode=0o755), b"\x7fELF"),
    "/opt/v/bin/python3": symlink("/usr/bin/python3.11"),
    SITE: Entry(Kind.DIRECTORY, mode=0o2775, uid=3, gid=50),
}
PARENTS = [
    "d 755 0:0 /opt",
    "d 755 0:0 /opt/v",
    "d 755 0:0 /opt/v/lib",
    "d 755 0:0 /opt/v/lib/python3.11",
    f"d 2775 3:50 {SITE}",
]
_LETTERS = {Change.FILE: "f", Change.DIRECTORY: "d", Change.WHITEOUT: "-"}


def installed(name: str, version: str, *files: str, site: str = SITE, **contents: bytes) -> Content:
    """Give an installed distribution; files are relative to its site folder."""
    dist_info = f"{name}-{version}.dist-info"
    names = [*files, f"{dist_info}/METADATA", f"{dist_info}/INSTALLER", f"{dist_info}/RECORD"]
    return {
        **{f"{site}/{file}" if not file.startswith("..") else _beside(site, file): b"old" for file in files},
        f"{site}/{dist_info}/METADATA": f"Name: {name}\nVersion: {version}\n".encode(),
        f"{site}/{dist_info}/INSTALLER": b"pip\n",
        f"{site}/{dist_info}/RECORD": "".join(f"{file},,\n" for file in names).encode(),
        **contents,
    }


def _beside(site: str, file: str) -> str:
    folders = site.split("/")
    while file.startswith("../"):
        folders.pop()
        file = file.removeprefix("../")
    return "/".join([*folders, file])


def inventory_of(tree: FileTree, environment: PythonEnvironment = ENVIRONMENT) -> Inventory:
    return Inventory(
        os_release=OsRelease(), environment=environment, distributions=find_distributions(tree, environment)
    )


def layer_for(
    content: Content, *wheels: Wheel, environment: PythonEnvironment = ENVIRONMENT, break_system_packages: bool = False
) -> WheelLayer:
    tree = MemoryTree({**BASE, **content})
    inventory = inventory_of(tree, environment)
    made = wheel_content(tree, inventory, wheels, break_system_packages=break_system_packages)
    paths = [entry.path for entry in made.content.entries]
    assert paths == sorted(set(paths))
    return made


def listing(content: LayerContent) -> list[str]:
    return [
        f"{_LETTERS[entry.change]} {entry.path}"
        if entry.change is Change.WHITEOUT
        else f"{_LETTERS[entry.change]} {entry.mode:o} {entry.uid}:{entry.gid} {entry.path}"
        for entry in content.entries
    ]


def lines_for(content: Content, *wheels: Wheel, **options: object) -> list[str]:
    """Give the listing without the metadata that every wheel brings and the folders above the site folder."""
    lines = listing(layer_for(content, *wheels, **options).content)  # type: ignore[arg-type]
    return [line for line in lines if line not in PARENTS and ".dist-info/" not in line]


def text(content: LayerContent, path: str) -> str:
    entry = next(entry for entry in content.entries if entry.path == path)
    assert entry.opener is not None
    with entry.opener() as stream:
        data = stream.read()
    assert len(data) == entry.size
    return data.decode()


def files_below(tree: FileTree, folder: str) -> list[str]:
    """Give the paths of all files and links below a folder."""
    found = []
    for name, entry in tree.scandir(folder).items():
        path = f"{folder}/{name}"
        found += files_below(tree, path) if entry.kind is Kind.DIRECTORY else [path]
    return found
