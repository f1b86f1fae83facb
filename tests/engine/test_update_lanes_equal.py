# SPDX-License-Identifier: Apache-2.0
"""Where an update is computed makes no difference: the registry lane gives the image that the computed lane gives."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from stxbuildah.model.reference import ImageReference
from tests.engine import pythonimages
from tests.engine.pythonimages import (
    LOCAL,
    Member,
    file,
    folder,
    hard_link,
    link,
    make_image,
    module,
    opaque,
    package,
    python,
    virtual_environment,
    whiteout,
)
from tests.engine.registries import Registry
from tests.engine.stxb import Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

PLAIN = ("--tls-verify", "false")
# Everything that a wheel may bring besides modules.
WHEEL = {
    "stxmod/__init__.py": "VERSION = '2.0'\ndef main(): pass\n",
    "stxmod/sub/__init__.py": "",
    "stxspace/stxmod.py": "",
    "stxmod-2.0.data/data/etc/stxmod/stxmod.conf": "new settings\n",
    "stxmod-2.0.data/scripts/stxmod-script": "#!python\n",
    "stxmod-2.0.data/headers/stxmod.h": "",
}
POINTS = "[console_scripts]\nstxmod = stxmod:main\nstxmod-more = stxmod:main\n"


def made_by_both(stxb: Stxb, registry: Registry, base: ImageReference, *words: object) -> Any:
    """Update an image in both lanes, compare everything, and give the result."""
    options = ("--from", base, "--push", *PLAIN, *words)
    here = stxb.update(*options, "--tag", "here", "--lane", "computed", "--pull", "always", "--clean")
    there = stxb.update(*options, "--tag", "there", "--lane", "registry")
    assert (here["lane"], there["lane"]) == ("computed", "registry")
    same = ("digest", "layer", "changes", "unmet_requirements")
    assert [there[key] for key in same] == [here[key] for key in same]
    repository = base.name.partition("/")[2]
    manifests = [registry.manifest(repository, tag) for tag in ("here", "there")]
    # The manifest names layers and configuration, byte for byte.
    assert json.loads(manifests[1]) == json.loads(manifests[0])
    assert manifests[1] == manifests[0]
    return there


@attrs.frozen(kw_only=True)
class Case:
    """An image in which something is installed in a certain way."""

    origin: str
    place: str
    layers: Sequence[Sequence[Member]] = attrs.field(repr=False)
    words: tuple[str, ...]
    compression: tuple[str, ...]
    docker: bool
    path: str


def _older(site: str) -> list[Member]:
    more = {"stxspace/older.py": "", "stxmod/data.txt": "data\n"}
    return [folder(f"{site}/stxspace"), *module("stxmod", "1.0", site=site, files=more)]


ORIGINS: dict[str, Callable[[str], list[list[Member]]]] = {
    "nothing": lambda _: [],
    "pip": lambda site: [_older(site)],
    "pip and a file that is changed later": lambda site: [
        _older(site),
        [file(f"{site}/stxmod/__init__.py", "x = 1\n")],
    ],
    "two versions, the older taken away": lambda site: [
        module("stxmod", "0.9", site=site),
        [whiteout(f"{site}/stxmod"), whiteout(f"{site}/stxmod-0.9.dist-info")],
        _older(site),
    ],
    "an opaque folder": lambda site: [
        module("stxmod", "1.0", site=site, files={"stxmod/hidden.py": ""}),
        [folder(f"{site}/stxmod"), opaque(f"{site}/stxmod"), file(f"{site}/stxmod/__init__.py", "only = 1\n")],
    ],
    "links and hard links": lambda site: [
        _older(site),
        [
            link(f"{site}/stxmod/linked.py", "__init__.py"),
            file(f"{site}/stxmod/data.txt", "of this layer\n"),
            hard_link(f"{site}/stxmod/hard.py", f"{site}/stxmod/data.txt"),
            link("usr/local/bin/stxmod-more", "stxmod"),
        ],
    ],
    "a module in place of the package": lambda site: [
        [file(f"{site}/stxmod.py", "x = 1\n"), folder(f"{site}/stxmod/__pycache__")],
        [whiteout(f"{site}/stxmod.py")],
    ],
    "a package of the distribution": lambda _: [package("stxmod", "1.0")],
    "a package below what pip brought": lambda site: [package("stxmod", "0.9"), _older(site)],
    "a folder that was a file": lambda site: [[file("etc/stxmod", "file\n")], [whiteout("etc/stxmod")], _older(site)],
    "a folder with a mode of its own": lambda _: [
        [folder("etc/stxmod", 0o750), file("etc/stxmod/stxmod.conf", "older\n", 0o600)]
    ],
}
PLACES: dict[str, tuple[str, list[Member], str]] = {
    "usual": (LOCAL, [], pythonimages.USUAL_PATH),
    "linked": ("opt/site", [folder("opt/site", 0o2755)], pythonimages.USUAL_PATH),
    "environment": (
        "opt/env/lib/python3.13/site-packages",
        virtual_environment("opt/env"),
        f"/opt/env/bin:{pythonimages.USUAL_PATH}",
    ),
    "linked environment": (
        "opt/env/lib/python3.13/site-packages",
        [*virtual_environment("opt/env"), link("opt/current", "env")],
        f"/opt/current/bin:{pythonimages.USUAL_PATH}",
    ),
}  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    place, origin = draw(st.sampled_from(sorted(PLACES))), draw(st.sampled_from(sorted(ORIGINS)))
    site, extra, path = PLACES[place]
    start = python()
    if site == "opt/site":
        start = [link(LOCAL, "/opt/site") if member.path == LOCAL else member for member in start]
    layers = [[*start, *extra], *ORIGINS[origin](site)]
    if draw(st.booleans()):
        # Folders that the tar leaves out, and one whose mode a higher layer changes.
        layers.append([file("srv/left/out/file"), folder("etc", 0o700)])
    docker = draw(st.booleans())
    kinds = st.just("gzip") if docker else st.sampled_from(["gzip", "zstd"])
    words = ["--break-system-packages"]
    if not docker and draw(st.booleans()):
        words += ["--compression-format", "zstd"]
    if draw(st.booleans()):
        words += ["--label", "stx.label=täg", "--annotation", "stx.note=yes"]
    compression = tuple(draw(kinds) for _ in layers)
    return Case(
        origin=origin, place=place, layers=layers, words=tuple(words), compression=compression, docker=docker, path=path
    )


@settings(
    max_examples=14,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_any_image(module_stxb: Stxb, registry: Registry, case: Case) -> None:
    note(repr(case))
    image = make_image(*case.layers, docker=case.docker, compression=case.compression, path_variable=case.path)
    base = image.push(registry, f"equal/{image.document.digest[-20:]}:1")
    with tempfile.TemporaryDirectory() as made:
        wheel = make_wheel(Path(made), "stxmod", "2.0", files=WHEEL, entry_points=POINTS)
        result = made_by_both(module_stxb, registry, base, "--wheel", wheel, *case.words)
    assert "+ stxmod==2.0" in result["changes"]["python"]
