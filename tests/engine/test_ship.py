# SPDX-License-Identifier: Apache-2.0
"""``stxb ship`` to a real sshd on loopback: into another store of podman, and into stubs of docker and ctr."""

import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from tests.engine.conftest import unavailable
from tests.engine.sshserver import SSHD, SshServer, running_sshd, wrapper
from tests.engine.stxb import Ended, Images, Stxb

pytestmark = pytest.mark.engine

LARGE = 24_000_000
HELD = 1_000_000
FIRST, SECOND = "localhost/tests/shipped:1", "localhost/tests/shipped:2"


@pytest.fixture(scope="module")
def server(engine_folder: Path) -> Iterator[SshServer]:
    if not Path(SSHD).exists():
        unavailable(f"there is no {SSHD}; ./bootstrap installs what the tests need")
    with running_sshd(engine_folder / "ssh") as running:
        yield running


@pytest.fixture(scope="module")
def other_store(engine_folder: Path, server: SshServer) -> Runner:
    """Runs programs on the store of the other machine."""
    folder = engine_folder / "there"
    (folder / "run").mkdir(parents=True)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrootless_storage_path = "{folder}/root"\n'
        f'runroot = "{folder}/run/containers"\n'
    )
    policy = server.home / ".config/containers/policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    environment = {
        "HOME": str(server.home),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
    }
    server.add("podman", wrapper("podman", environment))
    return Runner(extra=tuple(environment.items()))


@pytest.fixture(scope="module")
def shipped(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two images; the second has a further layer."""
    folder = tmp_path_factory.mktemp("shipped")
    (folder / "large").write_bytes(os.urandom(LARGE))
    (folder / "small").write_text("small\n")
    base = "scratch"
    for name, file in ((FIRST, "large"), (SECOND, "small")):
        container = images.runner.run(["buildah", "from", base]).stdout.decode().strip()
        images.runner.run(["buildah", "copy", "--quiet", container, str(folder / file), f"/{file}"])
        images.runner.run(["buildah", "commit", "--quiet", "--rm", container, name])
        base = name
    yield FIRST, SECOND
    for name in (SECOND, FIRST):
        images.runner.run(["buildah", "rmi", name])


@pytest.fixture
def emptied(other_store: Runner, server: SshServer) -> Iterator[None]:
    yield
    other_store.run(["podman", "rmi", "--all", "--force"])
    subprocess.run(["rm", "-rf", server.staged], check=True)


Ship = Callable[..., Ended]


@pytest.fixture
def ship(stxb: Stxb, server: SshServer) -> Ship:
    return lambda *words: stxb.run("ship", *words, server.destination, *server.flags)


def done(ended: Ended) -> Ended:
    assert ended.status == 0, f"{ended.out}\n{ended.err}"
    return ended


def identity(runner: Runner, name: str) -> str:
    return runner.run(["podman", "image", "inspect", "--format", "{{.Id}}", name]).stdout.decode().strip()


def layers_of(images: Images, name: str) -> list[str]:
    listed: list[str] = images.config(name)["rootfs"]["diff_ids"]
    return listed


@pytest.mark.usefixtures("emptied")
def test_only_what_lacks_travels(
    ship: Ship, images: Images, other_store: Runner, shipped: tuple[str, str], server: SshServer
) -> None:
    first, second = shipped
    large, small = layers_of(images, second)
    listed = done(ship(first, "--dry-run", "--format", "json")).json
    assert (listed["into"], listed["compression"]) == ("podman", "gzip")
    assert [(image["reference"], image["state"], image["lacking"]) for image in listed["images"]] == [
        (first, "send", [large])
    ]
    assert not server.staged.exists()

    assert done(ship(first, "--compress", "none")).out == f"{first}\n"
    assert identity(other_store, first) == identity(images.runner, first)
    # Of the second image only its own layer; the first is as it should be.
    sent = done(ship(first, second, "--format", "json")).json
    assert [image["state"] for image in sent["images"]] == ["present", "send"]
    assert [layer["digest"] for layer in sent["sent"]] == [small]
    assert sent["bytes_sent"] < 2000
    assert identity(other_store, second) == identity(images.runner, second)
    assert layers_of(Images(runner=other_store, registry=images.registry), second) == [large, small]
    # What is there under another name gets its name, and what is there is left alone.
    other_store.run(["podman", "tag", second, "localhost/other:1"])
    other_store.run(["podman", "untag", second, second])
    again = done(ship(first, second, "--format", "json")).json
    assert ([image["state"] for image in again["images"]], again["sent"]) == (["present", "tag"], [])
    assert identity(other_store, second) == identity(images.runner, second)
    assert not server.staged.exists()


@pytest.mark.usefixtures("emptied")
def test_a_killed_run_goes_on(
    stxb: Stxb, ship: Ship, images: Images, other_store: Runner, shipped: tuple[str, str], server: SshServer
) -> None:
    first, _ = shipped
    [large] = layers_of(images, first)
    part = server.staged / "blobs" / f"{large.removeprefix('sha256:')}.part"
    hold, ended = server.folder / "hold", server.folder / "ended"
    hold.touch()
    usual = server.programs / "cat"
    real = usual.readlink()
    server.add(
        "cat",
        f'#!/bin/sh\n[ -e {hold} ] || exec {real} "$@"\n/usr/bin/head -c {HELD}\n'
        f"while [ -e {hold} ]; do /bin/sleep 0.05; done\n{real}\n: > {ended}.$$\n",
    )
    process = stxb.start("ship", first, server.destination, *server.flags, "--compress", "none")
    try:
        wait_for(lambda: part.exists() and part.stat().st_size >= HELD, stxb.said)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        hold.unlink()
    # What was on its way arrives: the two that read, one of them the layer.
    wait_for(lambda: len(list(server.folder.glob("ended.*"))) == 2, stxb.said)
    usual.unlink()
    usual.symlink_to(real)
    arrived = part.stat().st_size
    assert HELD <= arrived < LARGE
    sent = done(
        ship(first, "--format", "json", "--compress", "zstd" if (server.programs / "zstd").exists() else "gzip")
    )
    assert [(layer["digest"], layer["begun_at"]) for layer in sent.json["sent"]] == [(large, arrived)]
    assert sent.json["bytes_sent"] < LARGE - arrived + 100_000
    assert identity(other_store, first) == identity(images.runner, first)


def wait_for(condition: Callable[[], bool], said: Path) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.02)


@pytest.mark.usefixtures("emptied")
def test_what_lies_there_damaged_is_sent_again(
    ship: Ship, images: Images, other_store: Runner, shipped: tuple[str, str], server: SshServer
) -> None:
    _, second = shipped
    blobs = server.staged / "blobs"
    blobs.mkdir(parents=True)
    large, small = (digest.removeprefix("sha256:") for digest in layers_of(images, second))
    (blobs / f"{large}.part").write_bytes(bytes(HELD))
    (blobs / f"{small}.part").write_bytes(bytes(HELD))
    sent = done(ship(second, "--format", "json")).json
    assert sorted((layer["digest"], layer["begun_at"]) for layer in sent["sent"]) == sorted(
        [(f"sha256:{large}", 0), (f"sha256:{small}", 0)]
    )
    assert identity(other_store, second) == identity(images.runner, second)


@pytest.mark.usefixtures("emptied")
def test_a_store_that_lacks_what_it_says_to_have(
    ship: Ship, images: Images, other_store: Runner, shipped: tuple[str, str], server: SshServer
) -> None:
    first, _ = shipped
    usual = (server.programs / "podman").read_text()
    told = f"image {'0' * 64} layer:{layers_of(images, first)[0]}"
    command, rest = usual.split("\n", 1)
    images_of = f'if [ "$1" = images ]; then echo sha256:{"0" * 64}; exit; fi'
    layers_in = f'if [ "$2" = inspect ]; then echo "{told}"; exit; fi'
    server.add("podman", f"{command}\n{images_of}\n{layers_in}\n{rest}")
    try:
        ended = done(ship(first))
    finally:
        server.add("podman", usual)
    assert "podman there has not all layers that it says to have" in ended.err
    assert identity(other_store, first) == identity(images.runner, first)


@pytest.fixture
def stub(server: SshServer, other_store: Runner) -> Iterator[Callable[[str], Path]]:
    """Puts a program that records its arguments and what it is given in place of podman; gives the record."""
    podman = server.programs / "podman"
    podman.rename(server.folder / "podman")
    added = []

    def make(name: str) -> Path:
        record = server.folder / f"{name}.record"
        # What it has is in files beside the record.
        status = f'"$(cat {record}.status 2>/dev/null || echo 0)"'
        cases = (
            f"load|*import*) cat > {record}.tar; exit {status}",
            f"images*--all*) cat {record}.inspect 2>/dev/null | cut -d ' ' -f 2",
            f"*inspect*) cat {record}.inspect",
            f"*content*) cat {record}.content 2>/dev/null",
        )
        added.append(
            server.add(name, f'#!/bin/sh\necho "$@" >> {record}\ncase "$*" in {" ;; ".join(cases)} ;; esac\nexit 0\n')
        )
        added.append(record)
        added.extend(record.with_name(f"{record.name}.{kind}") for kind in ("tar", "inspect", "content"))
        return record

    yield make
    for path in added:
        path.unlink(missing_ok=True)
    (server.folder / "podman").rename(podman)


@pytest.mark.usefixtures("emptied")
def test_docker_and_containerd_take_an_archive(
    ship: Ship,
    images: Images,
    other_store: Runner,
    shipped: tuple[str, str],
    server: SshServer,
    stub: Callable[[str], Path],
) -> None:
    first, second = shipped
    docker, ctr = stub("docker"), stub("ctr")
    sent = done(ship(first, "--format", "json", "--keep-layers")).json
    assert (sent["into"], len(sent["sent"])) == ("docker", 1)
    assert docker.read_text().splitlines() == ["images --all --quiet --no-trunc", "load"]
    # Of the next image only the layer that does not wait there; a kubelet's images are containerd's.
    kubelet = server.add("kubelet", "#!/bin/sh\n")
    sudo = server.add("sudo", '#!/bin/sh\nshift 2\nexec "$@"\n')
    sent = done(ship(second, "--format", "json", "--sudo")).json
    kubelet.unlink()
    sudo.unlink()
    assert (sent["into"], len(sent["sent"])) == ("containerd", 1)
    assert ctr.read_text().splitlines() == [
        "--namespace k8s.io content ls -q",
        "--namespace k8s.io images import -",
    ]
    assert not server.staged.exists()
    # Both are archives that a real engine takes.
    for record, name, listed, named in (
        (docker, first, "manifest.json", f'"RepoTags":["{first}"]'),
        (ctr, second, "index.json", f'"annotations":{{"io.containerd.image.name":"{second}"}}'),
    ):
        archive = record.with_name(f"{record.name}.tar")
        with tarfile.open(archive) as tar:
            content = tar.extractfile(listed)
            assert content is not None
            assert named in content.read().decode()
        other_store.run(["podman", "load", "--quiet", "--input", str(archive)])
        image = identity(images.runner, name)
        assert identity(other_store, image) == image


@pytest.mark.usefixtures("emptied")
def test_docker_and_containerd_take_what_they_lack(
    ship: Ship, images: Images, shipped: tuple[str, str], server: SshServer, stub: Callable[[str], Path]
) -> None:
    first, second = shipped
    large, small = layers_of(images, second)
    docker, ctr = stub("docker"), stub("ctr")
    docker.with_name(f"{docker.name}.inspect").write_text(f"image sha256:{'0' * 64} name:{first} layer:{large}\n")
    ctr.with_name(f"{ctr.name}.content").write_text(f"sha256:{'0' * 64}\n{large}\n")
    for into, record, name in (("docker", docker, "{}.tar"), ("containerd", ctr, "blobs/sha256/{}")):
        sent = done(ship(second, "--into", into, "--format", "json")).json
        assert [layer["digest"] for layer in sent["sent"]] == [small]
        with tarfile.open(record.with_name(f"{record.name}.tar")) as tar:
            found = [name.format(digest.removeprefix("sha256:")) in tar.getnames() for digest in (large, small)]
        assert found == [False, True]


@pytest.mark.usefixtures("emptied")
def test_what_goes_wrong_there(
    ship: Ship, images: Images, shipped: tuple[str, str], server: SshServer, stub: Callable[[str], Path]
) -> None:
    first, _ = shipped
    nothing = ship(first)
    assert (nothing.status, nothing.out) == (3, "")
    assert "neither podman nor docker nor ctr is on PATH" in nothing.err
    server.add("docker", "#!/bin/sh\necho permission denied on /var/run/docker.sock >&2\nexit 1\n")
    useless = ship(first)
    assert useless.status == 3
    assert "docker cannot be used on ssh://127.0.0.1" in useless.err
    assert "permission denied on /var/run/docker.sock" in useless.err
    record = stub("docker")
    # Where a layer is written, there is no room.
    [large] = layers_of(images, first)
    (server.staged / "blobs").mkdir(parents=True)
    place = server.staged / "blobs" / f"{large.removeprefix('sha256:')}.part"
    place.symlink_to("/dev/full")
    full = ship(first)
    assert full.status == 6
    assert "no space is left on ssh://127.0.0.1" in full.err
    place.unlink()
    # It takes the archive, and says no.
    record.with_name(f"{record.name}.status").write_text("1")
    refused = ship(first)
    record.with_name(f"{record.name}.status").unlink()
    assert refused.status == 1
    assert "importing the images failed on ssh://127.0.0.1" in refused.err


def test_whom_ssh_does_not_reach(stxb: Stxb, shipped: tuple[str, str], server: SshServer, tmp_path: Path) -> None:
    first, _ = shipped
    nobody, stranger = tmp_path / "nobody", tmp_path / "stranger"
    nobody.touch()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'stranger.pub').read_text()}")
    key, known = ("--identity", server.folder / "user_key"), ("--known-hosts", server.folder / "known_hosts")
    there = server.destination
    cases: tuple[tuple[tuple[object, ...], int, str], ...] = (
        ((there, *key, "--known-hosts", nobody), 4, "is not known, so nothing tells that it is the right machine"),
        # Whoever asks for it does not get it either.
        ((there, *key, "--known-hosts", nobody, "--ssh-option", "StrictHostKeyChecking=no"), 4, "is not known"),
        ((there, *key, "--known-hosts", changed), 4, "has another host key than the one that is known"),
        ((there, "--identity", stranger, *known), 4, "does not let this account in"),
        (("ssh://127.0.0.1:9", *key, *known), 5, "ssh://127.0.0.1:9 cannot be reached"),
        ((there, *key, *known, "--ssh-option", "NoSuchOption=yes"), 2, "ssh does not understand how"),
        ((there, *key, *known, "--ssh-option", "-oProxyCommand=touch"), 2, "is not NAME=VALUE"),
        ((there, "--identity", tmp_path / "absent", *known), 2, "there is no such file"),
        (("ssh://me:secret@host",), 2, "'ssh://me:********@host' is no machine to ship to"),
        (("ssh://-oProxyCommand=touch",), 2, "is no machine to ship to"),
    )
    for words, status, said in cases:
        ended = stxb.run("ship", first, *words)
        assert (ended.status, ended.out) == (status, ""), ended.err
        assert said in ended.err
    absent = stxb.run("ship", "none:1", there, *key, *known)
    assert (absent.status, absent.err.splitlines()[0]) == (2, "error: not in the local store: none:1")
