# SPDX-License-Identifier: Apache-2.0
"""What an overlay mount is made of, and how its layers are read without mounting them."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.inside.compare import Stack, is_whiteout, open_root
from stxbuildah.engine.inside.mounts import find_layers

ROOT = b"/home/u/.local/share/containers/storage/overlay/abc/merged"
HOME = ROOT.rsplit(b"/", 2)[0]


def line(options: bytes, *, root: bytes = ROOT, kind: bytes = b"overlay") -> bytes:
    return b"92 89 0:42 / %s rw,relatime shared:1 - %s overlay rw,%s\n" % (root, kind, options)


def test_the_layers_of_an_overlay_mount() -> None:
    mountinfo = (
        b"22 28 0:21 / /proc rw,nosuid - proc proc rw\n"
        + line(b"lowerdir=/l/A:/l/B,upperdir=/abc/diff,workdir=/abc/work,redirect_dir=nofollow,userxattr")
        + line(b"lowerdir=/other,upperdir=/other/diff", root=ROOT + b"2")
    )
    assert find_layers(mountinfo, ROOT) == (b"/abc/diff", [b"/l/A", b"/l/B"])


def test_relative_names_are_below_the_drivers_folder() -> None:
    assert find_layers(line(b"lowerdir=l/A:l/B,upperdir=abc/diff"), ROOT) == (
        HOME + b"/abc/diff",
        [HOME + b"/l/A", HOME + b"/l/B"],
    )


def test_newer_kernels_name_each_layer_by_itself() -> None:
    assert find_layers(line(b"lowerdir+=/l/A,lowerdir+=/l/B,upperdir=/u"), ROOT) == (b"/u", [b"/l/A", b"/l/B"])


@pytest.mark.parametrize(
    "mountinfo",
    [
        b"",
        line(b"user_id=0,group_id=0", kind=b"fuse.fuse-overlayfs"),
        line(b"lowerdir=/l/A:/l/B"),
        line(b"lowerdir=/l,upperdir=/u", root=b"/elsewhere"),
        line(b"lowerdir=/l,upperdir=/u") + line(b"size=1", kind=b"tmpfs"),
    ],
)
def test_other_mounts_show_no_layers(mountinfo: bytes) -> None:
    assert find_layers(mountinfo, ROOT) is None


def shown(name: bytes, special: bytes) -> bytes:
    """What seq_escape() of the kernel makes of it."""
    return b"".join(b"\\%03o" % byte if byte in special else bytes([byte]) for byte in name)


NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name).map(lambda name: b"/" + name)


@given(root=NAMES, upper=NAMES, lower=st.lists(NAMES, min_size=1, max_size=4))
def test_any_name_survives_the_kernels_escapes(root: bytes, upper: bytes, lower: list[bytes]) -> None:
    mounted = b":".join(name.replace(b"\\", b"\\\\").replace(b":", b"\\:") for name in lower)
    special = b",= \t\n\\"
    options = b"lowerdir=%s,upperdir=%s" % (shown(mounted, special), shown(upper.replace(b"\\", b"\\\\"), special))
    assert find_layers(line(options, root=shown(root, b" \t\n\\#")), root) == (upper, lower)


# --- layers read without mounting them ---


def layer(path: Path, *names: str) -> Path:
    """Make a layer: ``name`` a file, ``name/`` a folder, ``!name`` a whiteout."""
    path.mkdir()
    for name in names:
        place = path / name.removeprefix("!")
        place.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("!"):
            os.mknod(place, stat.S_IFCHR, 0)
        elif name.endswith("/"):
            place.mkdir()
        else:
            place.write_text(path.name)
    return path


def seen(stack: Stack, prefix: str = "") -> dict[str, str]:
    """Everything a stack shows: a file's content (the name of its layer), a folder's slash."""
    found: dict[str, str] = {}
    for name in sorted(stack.names()):
        item = stack.find(name)
        assert item is not None
        path = f"{prefix}/{name.decode()}"
        if item.kind == stat.S_IFDIR:
            found[path] = "/"
            with stack.enter(name) as inner:
                found |= seen(inner, path)
        else:
            with open(item.open(), encoding="utf-8") as stream:  # noqa: PTH123 # a descriptor
                found[path] = stream.read()
    return found


def looked_at(*folders: Path) -> dict[str, str]:
    with Stack([open_root(os.fsencode(folder)) for folder in folders]) as stack:
        return seen(stack)


def test_upper_layers_hide_and_merge(tmp_path: Path) -> None:
    bottom = layer(tmp_path / "bottom", "a", "b", "both/kept", "both/gone", "folder/x", "file", "hidden/x")
    middle = layer(tmp_path / "middle", "!b", "both/new", "!both/gone", "folder", "file/y", "!hidden")
    top = layer(tmp_path / "top", "a", "both/", "hidden/z")
    assert looked_at(top, middle, bottom) == {
        "/a": "top",
        "/both": "/",
        "/both/kept": "bottom",
        "/both/new": "middle",
        "/file": "/",
        "/file/y": "middle",
        "/folder": "middle",
        "/hidden": "/",
        "/hidden/z": "top",
    }


def test_an_opaque_folder_hides_all_below(tmp_path: Path) -> None:
    bottom = layer(tmp_path / "bottom", "folder/old")
    top = layer(tmp_path / "top", "folder/new")
    try:
        os.setxattr(top / "folder", "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("this file system has no user attributes")
    assert looked_at(top, bottom) == {"/folder": "/", "/folder/new": "top"}


def test_a_whiteout_is_a_device_of_numbers_zero(tmp_path: Path) -> None:
    layer(tmp_path / "layer", "!gone", "there")
    assert is_whiteout((tmp_path / "layer" / "gone").lstat())
    assert not is_whiteout((tmp_path / "layer" / "there").lstat())
    assert not is_whiteout(Path("/dev/null").lstat())
