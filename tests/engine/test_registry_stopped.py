# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` in a registry, overtaken by others or stopped in the middle: no half tag, nothing left for good."""

import base64
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stxbuildah.registry.upload import SINGLE_PUT
from tests.engine import faulttable
from tests.engine.faultplaces import IMAGE, Place, left, make_place, run_here, seen, with_temporary_folder, words
from tests.engine.faultrules import BEFORE, Fault
from tests.engine.faultserver import running_fault_server
from tests.engine.pythonimages import file, make_image, python
from tests.engine.registries import Registry
from tests.engine.stxb import Ended, Stxb
from tests.engine.tokengate import Tokens
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

UPLOADS = "/blobs/uploads/"
LAYER = f"/blobs/{IMAGE.layers[1]['digest']}"
OTHER = make_image(python(), [file("other", b"pushed meanwhile")])
GRACE = 60.0


@pytest.fixture
def stxb(stxb: Stxb) -> Stxb:
    """The command, with a folder of temporary files of its own."""
    return with_temporary_folder(stxb)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "stx-stopped", "1.0")


@pytest.fixture(scope="module")
def large_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = base64.b64encode(random.Random(3).randbytes(SINGLE_PUT + 500_000)).decode()  # noqa: S311 # always the same
    return make_wheel(tmp_path_factory.mktemp("wheel"), "stx-stopped", "1.0", files={"stx_stopped.py": text})


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + GRACE
    while not what():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.02)


def ended(stxb: Stxb, process: subprocess.Popen[bytes]) -> Ended:
    return Ended(status=process.wait(GRACE), out="", err=stxb.said.read_text())


def move(place: Place) -> None:
    """Push another image under the name of FROM."""
    OTHER.push(place.registry, f"{place.repository}:1")


def test_from_has_moved(stxb: Stxb, registry: Registry, wheel: Path) -> None:
    place = make_place(registry, "stopped/moved")
    expected = ("--expect-digest", place.before["1"])
    move(place)
    with running_fault_server(registry.address) as server:
        refused = run_here(stxb, *words(place, server, wheel), *expected)
        assert (refused.status, server.asked("POST|PUT|PATCH"), server.asked("GET", LAYER)) == (2, [], [])
        assert place.tags() == {"1": OTHER.document.digest, "new": place.before["new"]}
        faulttable.check(
            "FROM is another image by now than `--expect-digest` says",
            "stops before a layer is read",
            seen(refused, place, 0),
        )


def test_from_moves_meanwhile(stxb: Stxb, registry: Registry, wheel: Path) -> None:
    place = make_place(registry, "stopped/moving")
    held = threading.Event()
    with running_fault_server(registry.address, Fault(method="POST", path=UPLOADS, times=-1, held=held)) as server:
        process = stxb.start(*words(place, server, wheel), "--expect-digest", place.before["1"])
        wait_for(lambda: server.asked("POST", UPLOADS), process, stxb.said)
        move(place)
        held.set()
        refused = ended(stxb, process)
        assert refused.status == 2, refused.err
        assert place.tags() == {"1": OTHER.document.digest, "new": place.before["new"]}
        assert left(stxb) == []
        faulttable.check(
            "FROM moves while the update is made, and `--expect-digest` was given",
            "stops before the manifest is written",
            seen(refused, place, 0),
        )


def test_the_answer_to_the_manifest_is_lost_each_time(stxb: Stxb, registry: Registry, wheel: Path) -> None:
    place = make_place(registry, "stopped/unanswered")
    fault = Fault(method="PUT", path="/manifests/new", reset_at=BEFORE, times=-1)
    with running_fault_server(registry.address, fault) as server:
        failed = run_here(stxb, *words(place, server, wheel))
        assert (failed.status, len(server.asked("PUT", "/manifests/new"))) == (5, 3), failed.err
        place.check_new()
        faulttable.check(
            "each answer to the manifest is lost",
            "tries again, three times in all unless `--attempts` says more; the tag may be the new image, whole",
            seen(failed, place, 3),
        )


def test_a_registry_that_can_little(stxb: Stxb, registry: Registry, wheel: Path) -> None:
    """No mounts between repositories, no referrers API, and tokens that expire soon."""
    source, target = make_place(registry, "stopped/source"), Place(registry=registry, repository="stopped/target")
    fault = Fault(method="POST", path="mount=", without=("mount", "from"), times=-1)
    # More than are ever under way at the same time, and fewer than are needed.
    tokens = Tokens(uses=8)
    with running_fault_server(registry.address, fault, tokens=tokens) as server:
        done = run_here(stxb, *words(source, server, wheel, result=("--to", target.image(server, "new"))))
        assert done.status == 0, done.err
        mounts = server.asked("POST", "mount=")
        assert len([exchange for exchange in mounts if exchange.status == 202]) == len(IMAGE.layers)
        assert len(tokens.given) > len(set(tokens.given))
        assert server.statuses("GET", "/referrers/")[-1] == 404
    tags = target.tags()
    assert tags.keys() == {"new", tags["new"].replace(":", "-")}
    source.check_unchanged()
    got_over = faulttable.Seen(requests=0, status=0, said="")
    for happens, does in (
        ("a token expires in the middle", "gets a new one and goes on"),
        ("the registry mounts no blobs from another repository", "streams them"),
        ("the registry has no referrers API", "lists the inventory under a tag, as the specification says"),
    ):
        faulttable.check(happens, does, got_over)


MIDDLE = pytest.mark.parametrize(
    "fault",
    [
        lambda: Fault(method="GET", path=LAYER, stall_at=20_000),
        lambda: Fault(method="PATCH", path=UPLOADS, held=threading.Event()),
    ],
    ids=["download", "upload"],
)


@MIDDLE
def test_an_interrupt(stxb: Stxb, registry: Registry, large_wheel: Path, fault: Callable[[], Fault]) -> None:
    middle = fault()
    place = make_place(registry, f"stopped/interrupted-{middle.method.lower()}")
    with running_fault_server(registry.address, middle) as server:
        process = stxb.start(*words(place, server, large_wheel))
        wait_for(lambda: server.asked(middle.method, middle.path), process, stxb.said)
        process.send_signal(signal.SIGINT)
        stopped = ended(stxb, process)
        assert stopped.status == 130, stopped.err
        assert left(stxb) == []
        place.check_unchanged()
        does = "stops and removes its temporary files; an unfinished upload is forgotten by the registry in its time"
        faulttable.check("Ctrl-C, SIGTERM, SIGHUP", does, seen(stopped, place, 0))


@MIDDLE
def test_a_kill(stxb: Stxb, registry: Registry, large_wheel: Path, fault: Callable[[], Fault]) -> None:
    middle = fault()
    place = make_place(registry, f"stopped/killed-{middle.method.lower()}")
    with running_fault_server(registry.address, middle) as server:
        command = words(place, server, large_wheel)
        process = stxb.start(*command)
        wait_for(lambda: server.asked(middle.method, middle.path), process, stxb.said)
        process.kill()
        assert process.wait(GRACE) == -signal.SIGKILL
        assert left(stxb) != []
        place.check_unchanged()
        server.faults.clear()
        again = run_here(stxb, *command)
        assert again.status == 0, again.err
        place.check_new()
        assert left(stxb) == []
    faulttable.check(
        "SIGKILL, or the machine goes down",
        "leaves temporary files; the next run removes them",
        faulttable.Seen(requests=0, status=137, said=""),
    )
