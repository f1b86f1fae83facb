# SPDX-License-Identifier: Apache-2.0
"""What the store gives after a kill, on a full disk, and without subordinate users."""

import contextlib
import os
import signal
import time
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Store
from stxbuildah.errors import DiskFullError, InterruptedByUserError
from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.images import documents_of, image_with

pytestmark = pytest.mark.engine

parse = ImageReference.parse
BIG = 8 << 20


def kill(process_id: int, number: signal.Signals) -> None:
    """Send a signal to a program and what it started: skopeo runs itself again inside its user namespace."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
        for child in children.split():
            kill(int(child), number)
        os.kill(process_id, number)


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_store_whose_writer_was_killed_is_usable(
    driver: str, stores: dict[str, EngineStore], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = stores[driver].store
    base_name = request.getfixturevalue("base_image" if driver == "overlay" else "vfs_base_image")
    base = store.documents(base_name)
    assert base is not None
    source = image_with(tmp_path, os.urandom(BIG).hex(), base=base)
    name = parse("localhost/killed:1")

    unfinished = 0
    for moment in (0.05, 0.1, 0.2):
        argv = ["skopeo", "copy", "--quiet", source, f"containers-storage:{name}"]
        with store.runner.start(argv) as process:
            time.sleep(moment)
            kill(process.pid, signal.SIGKILL)
        unfinished += process.returncode == -signal.SIGKILL
        assert store.documents(base_name) == base
        assert store.documents(name) in {None, documents_of(source)}
    assert unfinished, "no writer was killed in time"

    store.import_image(source, name)
    assert store.documents(name) == documents_of(source)
    script = (
        'container=$(buildah from "$1") && stat -c %s "$(buildah mount $container)/text" && buildah rm $container >&2'
    )
    told = store.runner.run(["buildah", "unshare", "sh", "-c", script, "sh", str(name)])
    assert int(told.stdout.split()[0]) == 2 * BIG


def test_a_stopped_push_is_an_interruption(store: Store, tmp_path: Path) -> None:
    wrapper = tmp_path / "skopeo"
    wrapper.write_text("#!/bin/sh\nkill -TERM $$\n")
    wrapper.chmod(0o755)
    runner = Runner(extra=(*store.runner.extra, ("PATH", f"{tmp_path}:{os.environ['PATH']}")))
    with pytest.raises(InterruptedByUserError, match="was asked to stop"):
        attrs.evolve(store, runner=runner).push(parse("localhost/a:1"), parse("127.0.0.1:1/a:1"))


def test_a_full_disk_is_told_as_such(store: Store, base_layout: Path, tmp_path: Path) -> None:
    # A store on a file system of 8 MiB, mounted where nobody else sees it.
    full = tmp_path / "full"
    full.mkdir()
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{full}/root"\nrootless_storage_path = "{full}/root"\n'
        f'runroot = "{full}/run"\n'
    )
    wrapper = tmp_path / "skopeo"
    wrapper.write_text(
        f"""\
#!/bin/sh
PATH={os.environ["PATH"]}
exec buildah unshare sh -c 'mount -t tmpfs -o size=8m none {full} && exec skopeo "$@"' skopeo "$@"
"""
    )
    wrapper.chmod(0o755)
    extra = dict(store.runner.extra)
    extra |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf")}
    small = attrs.evolve(store, runner=Runner(extra=tuple(extra.items())))

    with pytest.raises(DiskFullError, match="storing localhost/full:1 failed: no space is left on the disk") as caught:
        small.import_image(f"oci:{base_layout}:base", parse("localhost/full:1"))

    assert "graphRoot" in caught.value.hint
