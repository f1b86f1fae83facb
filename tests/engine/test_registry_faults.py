# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` in a registry that fails, stalls, limits or lies: what is tried again, what is said, no half tag.

The registry is docker-registry behind a server that spoils requests. Each fault is a line of docs/faults.md, with what
was seen here: ``STXB_WRITE_FAULTS=1 pytest -m engine tests/engine/test_registry_faults.py`` writes the page anew.
"""

import base64
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.registry.upload import SINGLE_PUT
from tests.engine import faulttable
from tests.engine.faultplaces import IMAGE, Place, left, make_place, run_here, seen, with_temporary_folder, words
from tests.engine.faultrules import BEFORE, Fault
from tests.engine.faultserver import running_fault_server
from tests.engine.registries import Registry, free_port
from tests.engine.stxb import Stxb
from tests.engine.tokengate import Tokens
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

LAYER = f"/blobs/{IMAGE.layers[1]['digest']}"
DENIED = b'{"errors": [{"code": "DENIED", "message": "the quota of this project is used up"}]}'
UPLOADS = "/blobs/uploads/"


@attrs.frozen(kw_only=True)
class Row:
    """A fault.

    Attributes:
        happens: what it is, for the page.
        does: what is done about it, for the page.
        fault: makes it.
        requests: how often the request is sent that it strikes.
        blobs: how many blobs it strikes, each so often; layer and configuration are sent at the same time.
        status: exit status; 0 where the command gets over it.
        asked: method and path of that request, where they are not those of the fault.
        tokens: makes the registry ask for tokens.
        large: the new layer is so large that it is uploaded in pieces.
        shown: what else is said.
        variables: of the environment.
    """

    happens: str
    does: str
    fault: Callable[[], Fault] = Fault
    requests: int
    blobs: int = 1
    status: int = 0
    asked: tuple[str, str] | None = None
    tokens: Callable[[], Tokens] | None = None
    large: bool = False
    shown: str = ""
    variables: tuple[tuple[str, str], ...] = ()


def reading(**fields: Any) -> Callable[[], Fault]:
    """A fault of every request for a layer."""
    return lambda: Fault(**{"method": "GET", "path": LAYER, "times": -1, **fields})


def sending(method: str, path: str, **fields: Any) -> Callable[[], Fault]:
    """A fault of every such request."""
    return lambda: Fault(**{"method": method, "path": path, "times": -1, **fields})


AGAIN = "tries again, three times in all unless `--attempts` says more"
FAILS = [
    Row(
        happens="a layer is not what its digest says",
        does="stops, and believes nothing of it: to read it again would not help",
        fault=reading(corrupt_at=100_000), requests=1, status=2,
    ),
    Row(
        happens="a layer is said to have another size",
        does="stops before it is read",
        fault=reading(headers={"Content-Length": "17"}), requests=1, status=2,
    ),
    Row(
        happens="a layer's stream ends too early",
        does=f"{AGAIN}; each time it goes on where it stood",
        fault=reading(truncate_at=20_000), requests=3, status=5,
    ),
    Row(
        happens="the connection breaks while a layer is read",
        does=f"{AGAIN}; each time it goes on where it stood",
        fault=reading(reset_at=20_000), requests=3, status=5,
    ),
    Row(
        happens="the registry falls silent",
        does=f"takes it for dead after 60 seconds without a byte (`STXB_REGISTRY_TIMEOUT`), and {AGAIN}",
        fault=reading(stall_at=20_000), requests=3, status=5, variables=(("STXB_REGISTRY_TIMEOUT", "1"),),
    ),
    Row(
        happens="429, too many requests",
        does=f"waits as long as Retry-After says, at most five minutes, and {AGAIN}",
        fault=reading(status=429, headers={"Retry-After": "0"}, code="TOOMANYREQUESTS"), requests=3, status=5,
    ),
    Row(
        happens="500 while FROM is looked up",
        does=AGAIN,
        fault=sending("GET", "/manifests/1", status=500), requests=3, status=5,
    ),
    Row(
        happens="the manifest of FROM never ends",
        does="stops after 4 MiB, the most that registries need to take",
        fault=sending("GET", "/manifests/1", endless=True), requests=1, status=5,
    ),
    Row(
        happens="the manifest of FROM is not what its digest says",
        does="stops",
        fault=sending("GET", "/manifests/1", corrupt_at=30), requests=1, status=2,
    ),
    Row(
        happens="503 when an upload begins",
        does=AGAIN,
        fault=sending("POST", UPLOADS, status=503), requests=3, blobs=2, status=5,
    ),
    Row(
        happens="a quota is used up, or the account may not write",
        does="stops, and shows the registry's own words, which tell the one from the other",
        fault=sending("POST", UPLOADS, status=403, body=DENIED), requests=1, blobs=2, status=4,
        shown="DENIED: the quota of this project is used up",
    ),
    Row(
        happens="a gateway takes no request of that size (413)",
        does="stops",
        fault=sending("PUT", UPLOADS, status=413), requests=1, blobs=2, status=5,
    ),
    Row(
        happens="the connection breaks in the middle of an upload",
        does=f"goes on where the registry says that the upload stands, or begins it anew; {AGAIN}",
        fault=sending("PATCH", UPLOADS, reset_request_at=10_000_000), requests=3, status=5, large=True,
    ),
    Row(
        happens="the registry loses every upload in its middle (404)",
        does=f"begins it anew; {AGAIN}",
        fault=sending("PATCH", UPLOADS, status=404, code="BLOB_UPLOAD_UNKNOWN"), requests=3, status=5, large=True,
    ),
    Row(
        happens="bytes change on their way to the registry",
        does="sends the blob once more; if they change again, that is not by chance",
        fault=sending("PUT", "digest=", corrupt_request_at=100), requests=2, blobs=2, status=5,
    ),
    Row(
        happens="name and password are wrong, or none are known",
        does="stops",
        tokens=lambda: Tokens(login=("a", "b")), requests=1, asked=("GET", "/token"), status=4,
    ),
    Row(
        happens="the registry does not take the manifest",
        does="stops; the tag stays what it was",
        fault=sending("PUT", "/manifests/new", status=400, code="MANIFEST_INVALID"), requests=1, status=5,
    ),
    Row(
        happens="500 when the manifest is written",
        does=f"{AGAIN}; the tag stays what it was",
        fault=sending("PUT", "/manifests/new", status=500), requests=3, status=5,
    ),
]  # fmt: skip
# One command gets over all of these.
GOT_OVER = [
    Row(
        happens="a layer's stream never ends",
        does="reads as many bytes as the manifest says, and no more",
        fault=lambda: Fault(method="GET", path=f"/blobs/{IMAGE.layers[0]['digest']}", endless=True), requests=1,
    ),
    Row(
        happens="the registry gives no part of a blob (Range), and the connection breaks",
        does="reads from the beginning, and passes over what it has",
        fault=reading(reset_at=20_000, request_headers={"range": None}, times=1), requests=2,
    ),
    Row(
        happens="the registry has lost an upload in its middle (404)",
        does="begins it anew",
        fault=sending("PATCH", UPLOADS, status=404, code="BLOB_UPLOAD_UNKNOWN", times=1), requests=2,
    ),
    Row(
        happens="the answer to the manifest is lost",
        does="writes the same manifest again",
        fault=sending("PUT", "/manifests/new", reset_at=BEFORE, times=1), requests=2,
    ),
    Row(
        happens="the registry refuses the inventory that is stored beside the new image",
        does="warns; the image is there already",
        fault=sending("PUT", "/manifests/sha256:", status=400, code="MANIFEST_INVALID"), requests=1,
        shown="inventory.artifact.not_stored",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A small wheel, and one whose layer is uploaded in pieces."""
    folder = tmp_path_factory.mktemp("wheels")
    text = base64.b64encode(random.Random(2).randbytes(SINGLE_PUT + 500_000)).decode()  # noqa: S311 # always the same
    return {
        False: make_wheel(folder / "small", "stx-faulty", "1.0"),
        True: make_wheel(folder / "large", "stx-faulty", "1.0", files={"stx_faulty.py": text}),
    }


@pytest.fixture
def place(registry: Registry, request: pytest.FixtureRequest) -> Place:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    return make_place(registry, f"faults/{name}")


@pytest.fixture
def stxb(stxb: Stxb) -> Stxb:
    """The command, with a folder of temporary files of its own."""
    return with_temporary_folder(stxb)


@pytest.mark.parametrize("row", FAILS, ids=lambda row: row.happens)
def test_a_fault_that_stays(row: Row, stxb: Stxb, registry: Registry, place: Place, wheels: dict[bool, Path]) -> None:
    fault = row.fault()
    method, path = row.asked or (fault.method, fault.path)
    tokens = row.tokens() if row.tokens else None
    with running_fault_server(registry.address, *([] if tokens else [fault]), tokens=tokens) as server:
        command = (*words(place, server, wheels[row.large]), "--no-inventory-artifact")
        ended = run_here(stxb, *command, extra=row.variables)
        assert (ended.status, len(server.asked(method, path))) == (row.status, row.requests * row.blobs), ended.err
        assert row.shown in ended.err
        assert ended.out == ""
        assert left(stxb) == []
        place.check_unchanged()
        # What was begun was ended, or the registry told to forget it.
        ended_well = server.statuses("PUT", UPLOADS).count(201)
        assert server.statuses("POST", UPLOADS).count(202) == ended_well + len(server.asked("DELETE", UPLOADS))
        server.faults.clear()
        server.tokens = None
        again = run_here(stxb, *command)
        assert again.status == 0, again.err
        place.check_new()
        faulttable.check(row.happens, row.does, seen(ended, place, row.requests))


@pytest.mark.parametrize(
    ("happens", "does", "status", "options"),
    [
        ("there is no such image", "stops", 2, ("--tls-verify", "false")),
        ("the registry speaks plain HTTP", "stops, unless it is told to accept that", 5, ()),
        ("nothing answers at the registry's address", AGAIN, 5, ("--tls-verify", "false")),
        ("the registry's certificate is not trusted", "stops", 5, ()),
    ],
)
def test_from_cannot_be_read(
    happens: str,
    does: str,
    status: int,
    options: tuple[str, ...],
    stxb: Stxb,
    registry: Registry,
    tls_registry: Registry,
    wheels: dict[bool, Path],
) -> None:
    addresses = {
        "nothing answers at the registry's address": f"127.0.0.1:{free_port()}",
        "the registry's certificate is not trusted": tls_registry.address,
    }
    address = addresses.get(happens, registry.address)
    command = ("update", "--lane", "registry", "--from", f"{address}/nowhere/app:1", "--wheel", wheels[False], "--push")
    failed = run_here(stxb, *command, "--attempts", "3", "--retry-delay", "0", *options)
    assert (failed.status, failed.out) == (status, ""), failed.err
    assert left(stxb) == []
    nowhere = Place(registry=attrs.evolve(registry, address=address), repository="nowhere/app")
    faulttable.check(happens, does, seen(failed, nowhere, 0))


def test_faults_that_one_command_gets_over(
    stxb: Stxb, registry: Registry, place: Place, wheels: dict[bool, Path]
) -> None:
    faults = [(row, row.fault()) for row in GOT_OVER]
    with running_fault_server(registry.address, *(fault for _, fault in faults)) as server:
        ended = stxb.done(*words(place, server, wheels[True]))
        for row, fault in faults:
            assert len(server.asked(fault.method, fault.path)) == row.requests, row.happens
            assert row.shown in ended.err
            faulttable.check(row.happens, row.does, seen(ended, place, row.requests))
    place.check_new()
    assert left(stxb) == []


def test_the_page_has_no_line_that_no_test_writes() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_registry_*.py"))
    assert [happens for happens in faulttable.faults_of_the_page() if f'"{happens}"' not in tests] == []
