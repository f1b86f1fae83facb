# SPDX-License-Identifier: Apache-2.0
"""An image's files read from its layers' folders, which overlay would show merged."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stxbuildah.engine.process import Entrance, Runner
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import BuildError
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.tree import Kind

UID, GID = os.getuid(), os.getgid()
ENTRANCE = Entrance(programs=frozenset(), words=("env",), variables=())

Opener = Callable[..., ContainerTree]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens folders as an image's layers, top first, without a namespace: they are our own."""
    with ExitStack() as stack:
        yield lambda *folders: stack.enter_context(
            ContainerTree.of_layers(Runner(entrance=ENTRANCE), HostChoices(), folders)
        )


def layer(path: Path, *names: str) -> Path:
    """Make a layer: ``name`` is a file with the layer's name in it, ``name/`` a folder, ``name//`` an opaque one.

    ``!name`` is a whiteout, and ``name>target`` a link.
    """
    path.mkdir()
    for name in names:
        plain, _, target = name.strip("!/").partition(">")
        place = path / plain
        place.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("!"):
            whiteout(place)
        elif name.endswith("/"):
            place.mkdir(exist_ok=True)
            if name.endswith("//"):
                make_opaque(place)
        elif target:
            place.symlink_to(target)
        else:
            place.write_text(path.name)
    return path


def whiteout(place: Path) -> None:
    try:
        os.mknod(place, stat.S_IFCHR, 0)
    except PermissionError:
        pytest.skip("this kernel lets nobody but root make whiteouts")


def make_opaque(place: Path) -> None:
    try:
        os.setxattr(place, "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("this file system has no user attributes")


def everything(tree: ContainerTree, folder: str = "/") -> dict[str, str]:
    """Everything that a tree shows: a file's content, a link's target, a folder's slash."""
    found: dict[str, str] = {}
    for name, seen in tree.scandir(folder).items():
        path = f"{folder.rstrip('/')}/{name}"
        assert tree.lstat(path) == seen
        if seen.kind is Kind.DIRECTORY:
            found |= {path: "/", **everything(tree, path)}
        else:
            found[path] = tree.read(path).decode() if seen.kind is Kind.FILE else f">{seen.target}"
    return found


def hidden(tree: ContainerTree, *paths: str) -> bool:
    """Whether nothing can be learnt of any of these paths."""
    for path in paths:
        assert tree.lstat(path) is None
        assert tree.scandir(path) == {}
        for ask in (tree.read, tree.xattrs, tree.open_file):
            with pytest.raises(FileNotFoundError):
                ask(path)
    return True


def test_upper_layers_hide_and_merge(tmp_path: Path, opened: Opener) -> None:
    bottom = layer(tmp_path / "bottom", "a", "b", "both/kept", "both/gone", "folder/x", "file", "hidden/x", "link/x")
    middle = layer(tmp_path / "middle", "!b", "both/new", "!both/gone", "folder", "file/y", "!hidden", "link>both")
    top = layer(tmp_path / "top", "a", "both/", "hidden/z", "!nothing")
    tree = opened(top, middle, bottom)
    assert everything(tree) == {
        "/a": "top",
        "/both": "/",
        "/both/kept": "bottom",
        "/both/new": "middle",
        "/file": "/",
        "/file/y": "middle",
        "/folder": "middle",
        "/hidden": "/",
        "/hidden/z": "top",
        "/link": ">both",
    }
    gone = ("/b", "/both/gone", "/folder/x", "/hidden/x", "/nothing", "/link/x", "/link/new", "/a/x")
    assert hidden(tree, *gone, "/missing", "/missing/x", "/hidden/z/x")
    # What a layer has of its own is the same seen alone.
    assert everything(opened(bottom))["/hidden/x"] == "bottom"


def test_an_opaque_folder_hides_all_below(tmp_path: Path, opened: Opener) -> None:
    bottom = layer(tmp_path / "bottom", "folder/old", "folder/deep/old", "folder/deep/other")
    middle = layer(tmp_path / "middle", "folder//", "folder/new", "folder/deep/new")
    top = layer(tmp_path / "top", "folder/deep/newest")
    tree = opened(top, middle, bottom)
    assert everything(tree) == {
        "/folder": "/",
        "/folder/deep": "/",
        "/folder/deep/new": "middle",
        "/folder/deep/newest": "top",
        "/folder/new": "middle",
    }
    assert hidden(tree, "/folder/old", "/folder/deep/old")
    assert tree.xattrs("/folder") == ()


def test_attributes_are_those_of_the_topmost_layer(tmp_path: Path, opened: Opener) -> None:
    bottom, top = layer(tmp_path / "bottom", "d/f", "own"), layer(tmp_path / "top", "d/")
    for folder, mode, time in ((bottom, 0o755, 1000), (top, 0o711, 2000)):
        for place in (folder / "d", folder):
            place.chmod(mode)
            os.utime(place, (time, time))
    (bottom / "d/f").chmod(0o4750)
    tree = opened(top, bottom)
    for path in ("/", "/d"):
        seen = tree.lstat(path)
        assert seen is not None
        assert (seen.kind, seen.mode, seen.mtime, seen.uid, seen.gid) == (Kind.DIRECTORY, 0o711, 2000, UID, GID)
    found = tree.lstat("/d/f")
    assert found is not None
    assert (found.mode, found.size) == (0o4750, len("bottom"))
    try:
        for place, value in ((bottom / "d", b"below"), (top / "d", b"blue"), (bottom / "d/f", b"red"), (top, b"root")):
            os.setxattr(place, "user.colour", value)
    except OSError:
        pytest.skip("this file system has no user attributes")
    assert [tree.xattrs(path) for path in ("/d", "/d/f", "/", "/own")] == [
        (("user.colour", b"blue"),),
        (("user.colour", b"red"),),
        (("user.colour", b"root"),),
        (),
    ]


def test_big_files_and_big_folders_come_whole(tmp_path: Path, opened: Opener) -> None:
    bottom, top = layer(tmp_path / "bottom", "big"), layer(tmp_path / "top")
    data = os.urandom(3_500_000)
    (bottom / "big").write_bytes(data)
    for number in range(1100):
        (top / f"{number:04}").touch()
    for number in range(1000, 1200):
        (bottom / f"{number:04}").touch()
    tree = opened(top, bottom)
    assert list(tree.scandir("/")) == [*(f"{number:04}" for number in range(1200)), "big"]
    with tree.open_file("/big") as stream:
        assert stream.read(10) == tree.read_start("/big", 10) == data[:10]
        assert stream.read() == data[10:]
    assert len(tree.touched(1)) == 1100


def test_links_lead_nowhere_and_nothing_but_files_is_opened(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret")
    links = ("out>../outside", "absolute>/etc", "loop>loop", "inner>folder", "folder/up>../../outside/file")
    bottom = layer(tmp_path / "bottom", "folder/file", "out/file", *links[1:])
    top = layer(tmp_path / "top", links[0])
    os.mkfifo(top / "fifo")
    # The address of a socket is short, and that of a test's folder may not be.
    monkeypatch.chdir(top)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        tree = opened(top, bottom)
        for path in ("/out", "/absolute", "/loop", "/inner", "/folder/up", "/fifo", "/socket", "/", "/folder"):
            assert tree.lstat(path) is not None
            with pytest.raises(FileNotFoundError):
                tree.open_file(path)
        assert [tree.xattrs(path) for path in ("/out", "/fifo", "/socket")] == [()] * 3
    assert hidden(tree, "/out/file", "/absolute/passwd", "/loop/x", "/inner/file", "/folder/up/x", "/fifo/x")
    assert [entry.kind for name, entry in tree.scandir("/").items() if name in {"fifo", "socket"}] == [Kind.OTHER] * 2


@pytest.mark.parametrize("path", ["", "etc", "/..", "/a/../b", "/a//b", "/./a", "/a/"])
def test_a_path_that_is_not_normalized_is_refused(tmp_path: Path, opened: Opener, path: str) -> None:
    tree = opened(layer(tmp_path / "top"), layer(tmp_path / "bottom"))
    for ask in (tree.lstat, tree.scandir, tree.read, tree.xattrs):
        with pytest.raises(BuildError, match="not an absolute, normalized path"):
            ask(path)


def test_an_image_is_for_reading(tmp_path: Path, opened: Opener) -> None:
    """Refused is the whole layer by one answer, though it comes in many messages; and the next question is answered."""
    top, bottom = layer(tmp_path / "top", "file"), layer(tmp_path / "bottom")
    big = tmp_path / "big"
    big.write_bytes(bytes(3_000_000))
    tree = opened(top, bottom)
    written = (
        LayerEntry(path="/a", change=Change.FILE, size=3_000_000, uid=UID, gid=GID, opener=lambda: big.open("rb")),
        LayerEntry(path="/b", change=Change.DIRECTORY, uid=UID, gid=GID),
        LayerEntry(path="/file", change=Change.WHITEOUT),
    )
    for refused in (lambda: tree.apply(LayerContent(written), 0), tree.changes, lambda: tree.layered):
        with pytest.raises(BuildError, match="the files of an image are for reading"):
            refused()
        assert everything(tree) == {"/file": "top"}


def test_what_the_topmost_layers_touch(tmp_path: Path, opened: Opener) -> None:
    bottom = layer(tmp_path / "bottom", "untouched", "shown/x")
    middle = layer(tmp_path / "middle", "file", "was/inside", "gone/inside", "shown/both/a", "!shown/x", "plain>file")
    top = layer(tmp_path / "top", "file/", "file/inner", "was", "!gone", "shown/both/b", "new//", "new/inside/deep")
    tree = opened(top, middle, bottom)
    of_top = {
        "/file": True,
        "/file/inner": False,
        "/was": False,
        "/gone": False,
        "/shown": True,
        "/shown/both": True,
        "/shown/both/b": False,
        "/new": False,
    }
    assert tree.touched(0) == {}
    assert tree.touched(1) == of_top
    assert tree.touched(2) == {
        **of_top,
        "/file": False,
        "/was/inside": False,
        "/gone/inside": False,
        "/shown/both/a": False,
        "/shown/x": False,
        "/plain": False,
    }


def test_a_folder_moved_by_the_kernel_hides_what_is_below(tmp_path: Path, opened: Opener) -> None:
    top = layer(tmp_path / "top", "moved/", "moved/new")
    try:
        os.setxattr(top / "moved", "user.overlay.redirect", b"/elsewhere")
    except OSError:
        pytest.skip("this file system has no user attributes")
    assert opened(top, layer(tmp_path / "bottom", "moved/old")).touched(1) == {"/moved": False}


@pytest.mark.skipif(UID == 0, reason="root may enter every folder")
def test_a_folder_that_may_not_be_entered_is_told_and_costs_nothing(tmp_path: Path, opened: Opener) -> None:
    bottom, top = layer(tmp_path / "bottom", "closed/x"), layer(tmp_path / "top", "closed/", "file")
    (bottom / "closed").chmod(0)
    try:
        tree = opened(top, bottom)
        assert tree.read("/file") == b"top"
        files = Path(f"/proc/{tree._channel.child.pid}/fd")
        before = len(list(files.iterdir()))
        for ask in (tree.lstat, tree.scandir, tree.read):
            with pytest.raises(BuildError, match="Permission denied"):
                ask("/closed" if ask == tree.scandir else "/closed/x")
        assert len(list(files.iterdir())) == before
    finally:
        (bottom / "closed").chmod(0o700)


def test_many_layers(tmp_path: Path, opened: Opener) -> None:
    """As deep as the folder is open in each of them at once."""
    deep = "/".join("abcdefgh")
    folders = [layer(tmp_path / f"{number:03}", "all", f"{deep}/all", f"{deep}/own-{number}") for number in range(150)]
    tree = opened(*reversed(folders))
    assert (tree.read("/all"), tree.read(f"/{deep}/all"), tree.read(f"/{deep}/own-0")) == (b"149", b"149", b"000")
    assert len(tree.scandir(f"/{deep}")) == 151
    assert tree.touched(3).keys() - tree.touched(2).keys() == {f"/{deep}/own-147"}
