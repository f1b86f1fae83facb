# SPDX-License-Identifier: Apache-2.0
"""Sixteen images at eight at a time, over and over: races of the store that show rarely must never show.

``nox -s stress`` runs it; continuous integration does not, for it takes long.
"""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore, import_base, make_store, stxb_of
from tests.engine.stxb import Stxb

pytestmark = pytest.mark.stress

ROUNDS = 20
LABELS = tuple(f"stx-{number:02}" for number in range(16))
# Several layers, some alike in all images and some of one image alone; every fourth image is built from another one.
CONTAINERFILE = """\
ARG BASE
FROM {base}
RUN mkdir -p /srv/shared && seq 100000 > /srv/shared/numbers
COPY file /srv/{label}
RUN seq 200000 > /srv/numbers-{label}
"""
# What buildah and containers/storage say when one process has taken from under another what it was using.
RACES = ("not known", "no such container", "identifier is not", "database is locked", "trying again")


@attrs.frozen(kw_only=True)
class Fresh:
    """A store that nobody has used, with the base image, and the command on it."""

    store: EngineStore
    stxb: Stxb
    base: ImageReference


@pytest.fixture
def fresh(engine_folder: Path, engine_home: Path, base_layout: Path, tmp_path: Path) -> Iterator[Fresh]:
    folder = engine_folder / f"stress-{tmp_path.name}"
    (folder / "runtime").mkdir(parents=True, mode=0o700)
    store = make_store(folder, engine_home, "overlay")
    yield Fresh(store=store, stxb=stxb_of(store, tmp_path), base=import_base(store.store, base_layout))
    Runner().run(["buildah", "unshare", "rm", "-rf", str(folder)])


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of sixteen images."""
    root = tmp_path_factory.mktemp("repo")
    (root / "debian_stable_docker_images.inc").write_text("".join(f"{label}\n" for label in LABELS))
    for number, label in enumerate(LABELS):
        context = root / label / "debian" / "all" / "docker"
        context.mkdir(parents=True)
        base = LABELS[number - 1] if number % 4 == 3 else "${BASE}"
        (context / "Dockerfile").write_text(CONTAINERFILE.format(base=base, label=label))
        (context / "file").write_text(label * 100_000)
        # Most have nothing to do behind their build, which leaves the more time for what the store has to do.
        kept = "" if number % 4 == 0 else 'POSTBUILD_REMOVE_PYTHON_PACKAGES=""\nPOSTBUILD_REMOVE_OS_PACKAGES=""\n'
        (context.parent / f"{label}.stable_docker_image").write_text(f"BUILDER=docker\nLABEL={label}\n{kept}")
    return root


@pytest.mark.parametrize("number", range(ROUNDS))
def test_sixteen_images_at_eight_at_a_time(fresh: Fresh, product: Path, number: int) -> None:
    words = (
        *("images", "--repo-root", product, "--os", "debian", "--os-codename", "trixie", "--os-arch", "amd64"),
        *("--base", fresh.base, "--user", "tests", "--version", "1", "--jobs", "8", "--format", "json", "-v"),
    )
    ended = fresh.stxb.run(*words, limit=3600)
    assert ended.status == 0, f"round {number}: {ended.out}\n{ended.err}"
    images = {image["label"]: image for image in ended.json["images"]}
    assert {label: image["state"] for label, image in images.items()} == dict.fromkeys(LABELS, "built")
    logs = [path.read_text() for path in (fresh.stxb.folder / "stxb-out/build-images").glob("*.log")]
    assert len(logs) == len(LABELS)
    said = [line for text in (*logs, ended.err) for line in text.splitlines() if any(race in line for race in RACES)]
    assert said == []
    kept = fresh.store.runner.run(["buildah", "containers", "--quiet"]).stdout
    assert kept == b""
    for label, image in images.items():
        state = fresh.stxb.folder / "state"
        runner, choices = fresh.store.runner, fresh.store.choices
        with WorkingContainer.create(runner, choices, image["reference"], state_folder=state) as container:
            assert container.tree().read(f"/srv/{label}").decode() == label * 100_000
    again = fresh.stxb.done(*words).json
    assert {image["label"]: image["state"] for image in again["images"]} == dict.fromkeys(LABELS, "unchanged")
