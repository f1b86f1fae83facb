# SPDX-License-Identifier: Apache-2.0
"""Files of real containers, and what changed in them, on both storage drivers."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.session import WorkingContainer
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.thin import thin
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.tree import Entry, Kind
from tests.engine.conftest import EngineStore

pytestmark = pytest.mark.engine

# Done to an image of two layers, the upper of which has whiteouts and an opaque folder already.
PREPARE = r"""
rm -rf /usr/share/doc/apt /usr/share/common-licenses && mkdir /usr/share/common-licenses
echo own > /usr/share/common-licenses/own; mkdir -p /srv/deep/er; echo 1 > /srv/deep/er/file; ln -s er /srv/deep/link
echo one > /srv/hard; ln /srv/hard /srv/hard2; mkfifo /srv/fifo; echo gone > /srv/gone; rm /etc/motd
"""
CHANGE = r"""
echo new > /new; ln /new /new2; ln /etc/passwd /etc/passwd2; echo more >> /etc/group; touch /etc/profile
chmod 600 /etc/debian_version; chown 33:44 /srv; rm /srv/gone; rm -rf /opt
rm -rf /srv/deep; mkdir /srv/deep; echo 2 > /srv/deep/other
rm -rf /etc/apt; echo file > /etc/apt
rm /etc/profile; mkdir /etc/profile; echo 1 > /etc/profile/inside
mv /usr/share/perl5 /usr/share/perl6; cp -a /usr/share/common-licenses /usr/share/copied
cp -p /etc/debian_version /same; cat /same > /etc/issue; cp -p /etc/issue.net /etc/issue.copy
mv /etc/issue.copy /etc/issue.net
mkdir -p /var/made/inside; chmod 1777 /var/made; ln -sfn /nowhere /usr/share/common-licenses/link; mkfifo /fifo
rm /usr/bin/python3; ln -s /usr/bin/python3.13 /usr/bin/python3 || true
python3 - <<'END'
import os
open(b"/bad\xff\nname", "w").close()
os.setxattr("/new", "user.colour", b"blue")
with open("/sparse", "wb") as stream:
    stream.truncate(3_000_000)
END
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def two_layers(
    stores: dict[str, EngineStore], base_image: ImageReference, vfs_base_image: ImageReference, state: Path
) -> Iterator[dict[str, str]]:
    """The same image of two layers in both stores, by driver."""
    images = {}
    for driver, base in (("overlay", base_image), ("vfs", vfs_base_image)):
        engine = stores[driver]
        with WorkingContainer.create(engine.runner, engine.choices, str(base), state_folder=state) as container:
            container.run(["sh", "-c", PREPARE])
            name = f"localhost/tests/two-{driver}:1"
            engine.runner.run(["buildah", "commit", "--quiet", container.name, name])
            images[driver] = name
    yield images
    for driver, name in images.items():
        stores[driver].runner.run(["buildah", "rmi", name])


def with_digests(entries: tuple[LayerEntry, ...]) -> list[tuple[LayerEntry, str]]:
    found = []
    for entry in entries:
        digest = ""
        if entry.opener is not None:
            with entry.opener() as stream:
                digest = hashlib.sha256(stream.read()).hexdigest()
        found.append((entry, digest))
    return found


def test_both_drivers_tell_the_same_changes(
    stores: dict[str, EngineStore], two_layers: dict[str, str], state: Path
) -> None:
    found = {}
    for driver, image in two_layers.items():
        engine = stores[driver]
        with WorkingContainer.create(engine.runner, engine.choices, image, state_folder=state) as container:
            container.run(["sh", "-c", CHANGE])
            with container.tree(comparable=True) as tree:
                assert tree.layered == (driver == "overlay")
                found[driver] = with_digests(tree.changes())
    assert found["overlay"] == found["vfs"]
    told = {entry.path: entry for entry, _ in found["overlay"]}
    changes = {path: entry.change for path, entry in told.items()}
    assert changes["/srv/deep"] is Change.DIRECTORY
    assert changes["/srv/deep/er"] is Change.WHITEOUT
    assert changes["/srv/deep/link"] is Change.WHITEOUT
    assert changes["/srv/deep/other"] is Change.FILE
    assert "/srv/deep/er/file" not in told
    assert "/srv/hard" not in told
    assert (told["/srv"].uid, told["/srv"].gid) == (33, 44)
    assert changes["/etc/apt"] is Change.FILE
    assert changes["/etc/profile/inside"] is Change.FILE
    assert told["/etc/debian_version"].mode == 0o600
    assert changes["/new2"] is Change.HARDLINK
    assert changes["/etc/passwd2"] is Change.FILE
    assert "/etc/passwd" not in told
    assert "/etc/issue.net" not in told
    assert told["/new"].xattrs == (("user.colour", b"blue"),)
    assert "/bad\udcff\nname" in told
    assert "/fifo" not in told
    assert told["/sparse"].size == 3_000_000


def test_the_changes_applied_to_the_image_give_the_container(
    stores: dict[str, EngineStore], two_layers: dict[str, str], state: Path
) -> None:
    engine = stores["overlay"]

    def create() -> WorkingContainer:
        return WorkingContainer.create(engine.runner, engine.choices, two_layers["overlay"], state_folder=state)

    with ExitStack() as stack:
        changed, copy = stack.enter_context(create()), stack.enter_context(create())
        changed.run(["sh", "-c", CHANGE])
        source = changed.tree()
        wanted = source.changes()
        copy.tree().apply(LayerContent(wanted), 1_700_000_000)
        assert with_digests(copy.tree().changes()) == with_digests(wanted)


def test_an_image_of_more_layers_than_mount_options_hold(stores: dict[str, EngineStore], state: Path) -> None:
    """The driver then names the layers relative to its own folder, as their full paths exceed a page."""
    found = {}
    for driver, engine in stores.items():
        reference = ImageReference.parse(f"localhost/tests/many-{driver}:1")
        engine.store.import_image(many_layers(state.parent / driver, count=64), reference)
        with WorkingContainer.create(engine.runner, engine.choices, str(reference), state_folder=state) as container:
            tree = container.tree(comparable=True)
            assert list(tree.scandir("/d")) == ["all", "f63"]
            tree.apply(
                LayerContent(
                    (
                        LayerEntry(path="/d", change=Change.DIRECTORY, mode=0o755),
                        file("/d/all", b"63"),
                        file("/d/f62", b"back"),
                        LayerEntry(path="/d/f63", change=Change.WHITEOUT),
                        file("/d/f9", b"back"),
                        LayerEntry(path="/e", change=Change.WHITEOUT),
                    )
                ),
                0,
            )
            found[driver] = [(entry.path, entry.change) for entry in tree.changes()]
        engine.store.remove(reference)
    expected = [
        ("/d", Change.DIRECTORY),
        ("/d/f62", Change.FILE),
        ("/d/f63", Change.WHITEOUT),
        ("/d/f9", Change.FILE),
        ("/e", Change.WHITEOUT),
    ]
    assert found == {"overlay": expected, "vfs": expected}


def many_layers(folder: Path, *, count: int) -> str:
    """Make an image each of whose layers replaces ``/d/all`` and has a file that the next layer removes."""
    folder.mkdir()
    documents, blobs = empty_image(architecture="amd64"), {}
    for number in range(count):
        text = str(number).encode()
        gone = [LayerEntry(path=f"/d/f{number - 1}", change=Change.WHITEOUT)] if number else []
        entries = [
            LayerEntry(path="/d", change=Change.DIRECTORY, mode=0o755),
            file("/d/all", text),
            *gone,
            file(f"/d/f{number}", text),
            LayerEntry(path="/e", change=Change.DIRECTORY, mode=0o755),
            file(f"/e/{number}", text),
        ]
        content = LayerContent(tuple(sorted(entries, key=lambda entry: entry.path)))
        blob = write_layer(content, folder / f"{number}.tar", timestamp=1_750_000_000)
        documents = append_layer(documents, blob, timestamp=1_750_000_000, created_by="the tests")
        blobs[blob.digest] = folder / f"{number}.tar"
    return write_layout(folder / "image", documents, blobs)


def file(path: str, data: bytes) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, size=len(data), opener=lambda: io.BytesIO(data))


def test_an_untouched_container_has_no_changes(
    stores: dict[str, EngineStore], two_layers: dict[str, str], state: Path
) -> None:
    for driver, image in two_layers.items():
        engine = stores[driver]
        with WorkingContainer.create(engine.runner, engine.choices, image, state_folder=state) as container:
            assert container.tree(comparable=True).changes() == ()


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_running_nothing_leaves_nothing_thin(
    driver: str, stores: dict[str, EngineStore], base_image: ImageReference, vfs_base_image: ImageReference, state: Path
) -> None:
    engine = stores[driver]
    image = str(base_image if driver == "overlay" else vfs_base_image)
    source, answer = state.parent / "mounted", state.parent / "answer"
    source.mkdir()
    answer.write_text("#!/bin/sh\nexit 101\n")
    points = {"/made/for/this": source, "/usr/sbin/policy-rc.d": answer, "/ca.crt": answer}
    volumes = [f"{origin}:{point}:ro" for point, origin in points.items()]
    with WorkingContainer.create(engine.runner, engine.choices, image, state_folder=state) as container:
        container.run(["true"], volumes=[f"{source}:/image-update:ro", *volumes])
        with container.tree(comparable=True) as tree:
            left = thin(tree.changes(), mount_points=points, base=MemoryTree({}), keep_bytecode=False)
    assert left == LayerContent(())


PACKAGE = r"""
set -e
mkdir -p /tmp/p/DEBIAN /tmp/p/usr/lib/python3/dist-packages
printf 'Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' > /tmp/p/DEBIAN/control
printf '#!/bin/sh\nldconfig\n' > /tmp/p/DEBIAN/postinst
chmod 755 /tmp/p/DEBIAN/postinst
echo 'X = 1' > /tmp/p/usr/lib/python3/dist-packages/hello.py
dpkg-deb -b /tmp/p /tmp/hello.deb
dpkg -i /tmp/hello.deb
python3 -c 'import hello'
test -e /usr/lib/python3/dist-packages/__pycache__/hello.*.pyc -a -e /var/log/dpkg.log
"""


def test_an_installed_package_gives_the_same_thin_layer_on_both_drivers(
    stores: dict[str, EngineStore], base_image: ImageReference, vfs_base_image: ImageReference, state: Path
) -> None:
    found = {}
    for driver, image in (("overlay", base_image), ("vfs", vfs_base_image)):
        engine = stores[driver]
        with ExitStack() as stack:
            changed, untouched = (
                stack.enter_context(
                    WorkingContainer.create(engine.runner, engine.choices, str(image), state_folder=state)
                )
                for _ in range(2)
            )
            changed.run(["sh", "-c", PACKAGE])
            content = thin(
                changed.tree(comparable=True).changes(), mount_points=(), base=untouched.tree(), keep_bytecode=False
            )
            blob = write_layer(content, state.parent / driver, timestamp=1_750_000_000)
            found[driver] = ([entry.path for entry in content.entries if entry.change is Change.FILE], blob.diff_id)
    assert found["overlay"] == found["vfs"]
    assert found["overlay"][0] == [
        "/usr/lib/python3/dist-packages/hello.py",
        "/var/lib/dpkg/info/hello.list",
        "/var/lib/dpkg/info/hello.md5sums",
        "/var/lib/dpkg/info/hello.postinst",
        "/var/lib/dpkg/status",
    ]


def test_owners_are_those_of_the_image(stores: dict[str, EngineStore], base_image: ImageReference, state: Path) -> None:
    engine = stores["overlay"]
    with WorkingContainer.create(engine.runner, engine.choices, str(base_image), state_folder=state) as container:
        container.run(
            ["sh", "-c", "umask 077; echo secret > /srv/private; chown 7:8 /srv/private; chmod 400 /srv/private"]
        )
        tree = container.tree()
        private = tree.lstat("/srv/private")
        assert private is not None
        assert attrs.evolve(private, mtime=0) == Entry(Kind.FILE, mode=0o400, uid=7, gid=8, size=7)
        assert tree.read("/srv/private") == b"secret\n"
        release = tree.lstat("/etc/os-release")
        assert release is not None
        assert release.target == "../usr/lib/os-release"
        assert b"ID=debian" in tree.read("/usr/lib/os-release")
        assert tree.lstat("/etc/os-release/x") is None
        made = LayerEntry(path="/srv/mine", change=Change.DIRECTORY, mode=0o2770, uid=1234, gid=4321)
        tree.apply(LayerContent((made,)), 99)
        assert tree.lstat("/srv/mine") == Entry(Kind.DIRECTORY, mode=0o2770, uid=1234, gid=4321, mtime=99)


def test_a_container_that_is_not_there_is_an_error_with_buildahs_words(stores: dict[str, EngineStore]) -> None:
    engine = stores["overlay"]
    with pytest.raises(Exception, match="has gone") as caught:
        ContainerTree.of_container(engine.runner, engine.choices, "stxb-0000000000000000")
    assert "stxb-0000000000000000" in "".join(getattr(caught.value, "details", ()))
