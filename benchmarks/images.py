# SPDX-License-Identifier: Apache-2.0
"""Eight docker images of equal work: ``stxb images`` with two jobs against one, and with one against ``buildah bud``.

The work in each is short, so that what stands around it shows, or as long as that of a small real image.
``python -m benchmarks.images`` prints the rows, and how long a run takes that has nothing to do.
"""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.__main__ import base_image
from benchmarks.cases import STXB, Comparison, compare
from benchmarks.measure import Command
from benchmarks.world import World, world

PARALLEL_LIMIT = 0.65
LOOP_LIMIT = 1.0
ROUNDS = 5
IMAGES = 8
# Compiling a part of Python's own library is work for one processor that leaves files behind.
_CONTAINERFILE = """\
ARG BASE
FROM ${BASE}
COPY payload /usr/share/payload
RUN mkdir /opt/work && cp -r /usr/lib/python3*/asyncio /usr/lib/python3*/email /usr/lib/python3*/json /opt/work \
@WORK@
LABEL number=@NUMBER@
"""
_COMPILED = " && python3 -m compileall -q -f /opt/work"
# How often that is compiled.
_LENGTHS = {"short": 1, "longer": 8}


def make_product(bench: World, length: str) -> Path:
    """Write a repository of eight images, and give its folder.

    Args:
        bench: the world.
        length: ``short`` or ``longer`` work.
    """
    root = bench.folder / f"product-{length}"
    text = _CONTAINERFILE.replace("@WORK@", " \\\n".join([_COMPILED] * _LENGTHS[length]))
    for number in range(IMAGES):
        folder = root / f"image{number}/debian/all"
        (folder / "docker").mkdir(parents=True)
        (folder / "docker/Dockerfile").write_text(text.replace("@NUMBER@", str(number)), encoding="utf-8")
        (folder / "docker/payload").write_bytes(bytes([number]) * 1_000_000)
        (folder / f"image{number}.stable_docker_image").write_text(
            f"BUILDER=docker\nLABEL=stx-bench{number}\n", encoding="utf-8"
        )
    names = "".join(f"image{number}\n" for number in range(IMAGES))
    (root / "debian_stable_docker_images.inc").write_text(names, encoding="utf-8")
    return root


def images_cases(bench: World, rounds: int) -> tuple[Comparison, ...]:
    """Compare two jobs with one, one job with a loop of ``buildah bud``, and having nothing to do with building."""
    base = base_image(bench, None)
    return (*_cases(bench, base, "short", rounds), *_cases(bench, base, "longer", rounds)[:2])


def _cases(bench: World, base: str, length: str, rounds: int) -> tuple[Comparison, Comparison, Comparison]:
    root = make_product(bench, length)
    options = ("--repo-root", str(root), "--os", "debian", "--os-codename", "trixie", "--user", length, "--base", base)

    def ours(name: str, *further: str) -> Command:
        return Command(name=name, script=((STXB, "--quiet", "images", *options, *further),))

    choices = json.loads(bench.run(STXB, "doctor", "--format", "json"))["choices"]
    # As much of a wall around the programs, and the same network.
    alike = ("--isolation", choices["isolation"], "--network", choices["network"])
    loop = Command(
        name="buildah bud",
        script=tuple(
            (
                *("buildah", "bud", "--quiet", *alike, "--build-arg", f"BASE={base}"),
                *("--tag", f"localhost/loop/stx-{length}{number}:build"),
                str(root / f"image{number}/debian/all/docker"),
            )
            for number in range(IMAGES)
        ),
    )
    two, one = ours("two jobs", "--force", "--jobs", "2"), ours("one job", "--force", "--jobs", "1")
    idle = ours("nothing to do", "--jobs", "2")
    shown = f"{IMAGES} images of {length} work"
    return (
        compare(bench, f"{shown}, two jobs to one", (two, one), rounds, PARALLEL_LIMIT),
        compare(bench, f"{shown}, one job to a loop of buildah bud", (one, loop), rounds, LOOP_LIMIT),
        compare(bench, "the same again with nothing to do, to building them", (idle, one), rounds, None),
    )


def main() -> int:
    """Measure, and print the rows."""
    shared = Path("/dev/shm")  # noqa: S108 # a folder of our own is made below it
    with world(shared if shared.is_dir() else Path(tempfile.gettempdir())) as bench:
        rows = images_cases(bench, ROUNDS)
        sys.stdout.write(report.comparison_table(list(rows), "the other", update="images") + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
