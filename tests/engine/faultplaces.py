# SPDX-License-Identifier: Apache-2.0
"""Repositories whose tags are watched, and the command ``stxb`` beside them, for tests of what goes wrong."""

import contextlib
import http.client
import io
import json
import random
import re
import signal
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import attrs
import pytest

from stxbuildah.cli import main as commandline
from stxbuildah.registry.documents import ACCEPT
from tests.engine.faultserver import FaultServer
from tests.engine.faulttable import Seen
from tests.engine.pythonimages import PythonImage, file, folder, make_image, python
from tests.engine.registries import Registry
from tests.engine.stxb import Ended, Stxb

NOISE = random.Random(1).randbytes(200_000)  # noqa: S311 # the same in every run
# The second layer has the same bytes wherever it is made.
IMAGE = make_image(python(), [folder("opt"), file("opt/noise", NOISE)], compression=("gzip", "none"))


@attrs.frozen(kw_only=True)
class Place:
    """A repository of a test's own, whose tags ``1`` and ``new`` are the same image until ``new`` is written.

    Attributes:
        registry: where it is.
        repository: its name.
        before: its tags, and the digests that they stand for.
    """

    registry: Registry
    repository: str
    before: dict[str, str] = attrs.field(factory=dict)

    def image(self, server: FaultServer, tag: str = "1") -> str:
        """Give the name of an image by way of a server in front of the registry."""
        return f"{server.address}/{self.repository}:{tag}"

    def tags(self) -> dict[str, str]:
        """Give all tags, and the digests that they stand for now."""
        with contextlib.closing(http.client.HTTPConnection(self.registry.address, timeout=60)) as connection:
            connection.request("GET", f"/v2/{self.repository}/tags/list")
            listed = json.loads(connection.getresponse().read())["tags"]
            found = {}
            for tag in listed:
                connection.request("HEAD", f"/v2/{self.repository}/manifests/{tag}", headers={"Accept": ACCEPT})
                answer = connection.getresponse()
                answer.read()
                found[tag] = answer.headers["Docker-Content-Digest"]
        return found

    def check_unchanged(self) -> None:
        assert self.tags() == self.before

    def check_new(self, layers: int = 3) -> None:
        """The tag ``new`` is whole: the registry gives each of its blobs with the right size; nothing else changed."""
        after = self.tags()
        assert after.pop("new") != self.before["new"]
        # Where the registry lists no referrers, a tag does so.
        assert {tag: digest for tag, digest in after.items() if not tag.startswith("sha256-")} == {
            "1": self.before["1"]
        }
        manifest = json.loads(self.registry.manifest(self.repository, "new"))
        assert len(manifest["layers"]) == layers
        with contextlib.closing(http.client.HTTPConnection(self.registry.address, timeout=60)) as connection:
            for blob in (manifest["config"], *manifest["layers"]):
                connection.request("HEAD", f"/v2/{self.repository}/blobs/{blob['digest']}")
                answer = connection.getresponse()
                answer.read()
                assert (answer.status, answer.headers["Content-Length"]) == (200, str(blob["size"]))


def make_place(registry: Registry, repository: str, image: PythonImage = IMAGE) -> Place:
    image.push(registry, f"{repository}:1")
    registry.put_manifest(repository, "new", image.document.data, image.document.media_type)
    place = Place(registry=registry, repository=repository)
    return attrs.evolve(place, before=place.tags())


def with_temporary_folder(stxb: Stxb) -> Stxb:
    """Give the command a folder of temporary files of its own."""
    temporary = stxb.folder / "temporary"
    temporary.mkdir()
    return attrs.evolve(stxb, environment={**stxb.environment, "TMPDIR": str(temporary)})


def words(
    place: Place, server: FaultServer, wheel: Path, *, base: str = "1", result: tuple[str, str] = ("--tag", "new")
) -> tuple[object, ...]:
    """Give the words of an update of a place's image by way of a server.

    Args:
        place: the repository.
        server: stands in front of the registry.
        wheel: what is put into the image.
        base: tag of the image.
        result: says what the result is called.
    """
    return (
        "update", "--lane", "registry", "--from", place.image(server, base), "--wheel", wheel, "--push", *result,
        "--tls-verify", "false", "--attempts", "3", "--retry-delay", "0",
    )  # fmt: skip


def run_here(stxb: Stxb, *words: object, extra: tuple[tuple[str, str], ...] = ()) -> Ended:
    """Run the whole command in this process, which saves the time of its start."""
    before = set(threading.enumerate())
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in {**stxb.environment, "MY_WORKSPACE": str(stxb.folder), **dict(extra)}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["stxb", *map(str, words)])
        status = 0
        try:
            commandline.main()
        except SystemExit as ending:
            status = int(ending.code or 0)
        finally:
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)
            # As at the end of a process.
            for thread in set(threading.enumerate()) - before:
                if not thread.daemon:
                    thread.join()
    return Ended(status=status, out=out.getvalue(), err=err.getvalue())


def left(stxb: Stxb) -> list[Path]:
    """Give what lies about of a run: files of its work, and drafts in the cache."""
    found = [path for path in Path(stxb.environment["TMPDIR"]).rglob("*") if path.name != f"stxb-{path.stat().st_uid}"]
    cache = Path(stxb.environment["XDG_CACHE_HOME"]) / "stxb"
    return [*found, *(path for path in cache.rglob("*") if path.name.endswith(".part"))]


def seen(ended: Ended, place: Place, requests: int) -> Seen:
    """Give what became of a command, in words that are the same each time."""
    assert "Traceback" not in ended.err
    return Seen(
        requests=requests,
        status=ended.status,
        said=ended.err,
        replaced=(
            (r"127\.0\.0\.1:[0-9]+", "registry.example"),
            (re.escape(place.repository), "app"),
            (r"sha256:[0-9a-f]{64}", "sha256:…"),
            (r"(?<=uploads/)[^ ]*", "…"),
            (r"(a/){20,}", "a/…/"),
        ),
    )
