# SPDX-License-Identifier: Apache-2.0
"""What comes after the build: archives against ``podman save | gzip -9``, tags against pull, tag and push.

``python -m benchmarks.carry`` prints the rows at the sizes that the goals name, which takes half an hour; in ``nox -s
bench`` they stand at smaller ones.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks import report
from benchmarks.cases import STXB, Comparison, compare
from benchmarks.distance import delayed
from benchmarks.measure import Command, interleave
from benchmarks.world import World, world

# What an image mostly is: programs, libraries, modules and texts, of this machine.
_CONTENT = ("/usr/lib", "/usr/share", "/usr/bin")
_LARGEST_FILE = 64 << 20
_GOALS = {"gz": 0.3, "zst": 0.2}
_MEGABYTE = 1_000_000


@attrs.frozen(kw_only=True)
class Retagged:
    """Tags that were promoted.

    Attributes:
        images: how many.
        megabytes: size of each.
        comparison: with pull, tag and push.
        travelled: bytes that stxb and the registry exchanged in the last round.
    """

    images: int
    megabytes: int
    comparison: Comparison
    travelled: int


def make_image(bench: World, name: str, megabytes: int) -> str:
    """Make an image of files of this machine, of one layer, and give its name in the local store."""
    reference = f"localhost/bench/{name}:1.0"
    folder = bench.folder / f"content-{name}"
    left = megabytes * _MEGABYTE
    for number, path in enumerate(_files()):
        size = path.stat().st_size
        if size > left:
            continue
        target = folder / f"{number % 1000:03}" / f"{number}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        left -= size
        if left < _MEGABYTE:
            break
    container = bench.run("buildah", "from", "scratch")
    bench.run("buildah", "copy", "--quiet", container, folder, "/content")
    bench.run("buildah", "commit", "--quiet", "--rm", container, reference)
    shutil.rmtree(folder)
    return reference


def _files() -> Iterator[Path]:
    while True:
        for top in _CONTENT:
            for parent, folders, names in os.walk(top):
                folders.sort()
                for name in sorted(names):
                    path = Path(parent, name)
                    if not path.is_symlink() and os.access(path, os.R_OK) and 0 < path.stat().st_size < _LARGEST_FILE:
                        yield path


def archive_cases(bench: World, image: str, shown: str, rounds: int) -> tuple[Comparison, ...]:
    """Compare archives of one image: by gzip and by zstd, with what gzip -9 makes of podman's.

    Args:
        bench: the store.
        image: its name.
        shown: its size, for the table.
        rounds: measured runs of each side.
    """
    target = bench.folder / "archive"

    def ours(ending: str) -> Command:
        argv = (STXB, "--quiet", "save", image, "--output", f"{target}.tar.{ending}")
        return Command(name=f"stxb save, {ending}", script=(argv,))

    pipe = 'podman save --quiet "$1" | gzip -9 > "$2"'
    theirs = Command(
        name="podman save", script=(("bash", "-o", "pipefail", "-c", pipe, "save", image, f"{target}.tgz"),)
    )
    sides = (ours("gz"), ours("zst"), theirs)
    *own, other = interleave(sides, rounds=rounds, environment=bench.environment, log=bench.log, epochs=bench.epochs)
    cases = tuple(
        Comparison(title=f"`.tar.{ending}` of {shown}", ours=one, theirs=other, limit=goal)
        for one, (ending, goal) in zip(own, _GOALS.items(), strict=True)
    )
    for path in bench.folder.glob("archive.*"):
        path.unlink()
    return cases


def retag_case(bench: World, image: str, shown: int, count: int, rounds: int) -> Retagged:
    """Compare the promotion of tags with the loop of pull, tag and push that it replaces.

    Both reach the registry by a proxy that counts. The peer removes each image afterwards, as its script does.

    Args:
        bench: the store and the registry.
        image: what lies in each repository.
        shown: its size in megabytes.
        count: how many repositories.
        rounds: measured runs of each side.
    """
    names = [f"bench/retag-{number}" for number in range(count)]
    for name in names:
        bench.run("buildah", "push", "--quiet", "--tls-verify=false", image, f"docker://{bench.registry}/{name}:built")
    carried = [0]

    def add(size: int) -> None:
        carried[0] += size

    with delayed(int(bench.registry.rpartition(":")[2]), 0.0, add) as port:
        registry = f"localhost:{port}"
        with _emptied(bench) as store:
            ours, theirs = _retag_sides(bench, registry, names, carried, store)
            compared = compare(bench, f"{count} images of {shown} MB", (ours, theirs), rounds, 0.1)
            # Once more, for the bytes.
            assert ours.prepare is not None  # noqa: S101 # made above
            ours.prepare(rounds + 1)
            bench.run(*ours.script[0])
    return Retagged(images=count, megabytes=shown, comparison=compared, travelled=carried[0])


@contextmanager
def _emptied(bench: World) -> Iterator[dict[str, str]]:
    """Give a store of its own for the peer, which has nothing at first."""
    from benchmarks.world import make_store

    folder = bench.folder / "retag-store"
    yield make_store(folder)
    bench.run("buildah", "unshare", "rm", "-rf", str(folder))


def _retag_sides(
    bench: World, registry: str, names: list[str], carried: list[int], store: dict[str, str]
) -> tuple[Command, Command]:
    file = bench.folder / "image-tags.yaml"

    def prepare(number: int) -> None:
        entries = "".join(
            f"- {{name: '{registry}/{name}', src_build_tag: built, tag: promoted-{number}}}\n" for name in names
        )
        file.write_text(f"images:\n{entries}", encoding="utf-8")
        carried[0] = 0

    ours = Command(
        name="stxb retag",
        script=((STXB, "--quiet", "retag", str(file), "--tls-verify", "false"),),
        prepare=prepare,
    )
    loop = (
        'n=$1; shift; for i in "$@"; do podman pull -q --tls-verify=false "$i:built" && '
        'podman tag "$i:built" "$i:old-$n" && podman push -q --tls-verify=false "$i:old-$n" && '
        'podman rmi "$i:old-$n" "$i:built" || exit 1; done'
    )
    repositories = tuple(f"{registry}/{name}" for name in names)
    theirs = Command(
        name="pull, tag, push",
        script=(("sh", "-c", loop, "retag", "1", *repositories),),
        variables=store,
    )
    return ours, theirs


def table(archives: tuple[Comparison, ...], retagged: Retagged) -> str:
    """Write both comparisons as Markdown."""
    promoted = (
        f"To promote {retagged.images} tags, stxb and the registry exchange {retagged.travelled / 1000:.0f} kB, "
        f"{retagged.travelled / retagged.images / 1000:.1f} kB an image: manifests, and no layer."
    )
    return "\n\n".join(
        [
            _rows("archive", "podman save, gzip -9", archives),
            _rows("tags promoted", "pull, tag, push", (retagged.comparison,)),
            promoted,
        ]
    )


def _rows(first: str, other: str, comparisons: tuple[Comparison, ...]) -> str:
    lines = [f"| {first} | stxb, s | {other}, s | ratio | goal | |", "|---|---:|---:|---:|---:|---|"]
    for case in comparisons:
        goal = "" if case.limit is None else f"{case.limit:.2f}"
        cells = [
            case.title, report.seconds(case.ours.seconds, case.ours.spread),
            report.seconds(case.theirs.seconds, case.theirs.spread), f"{case.ratio:.2f}", goal,
            report.verdict(case.ratio, case.limit),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.carry", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each command (default: 3)")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the image that is saved (default: 1000)")
    parser.add_argument("--images", type=int, default=50, help="how many images get a tag (default: 50)")
    given = parser.parse_args()
    with world(Path(tempfile.gettempdir())) as bench:
        saved = make_image(bench, "saved", given.megabytes)
        archives = archive_cases(bench, saved, f"{given.megabytes / 1000:.1f} GB", given.rounds)
        small = make_image(bench, "retagged", 300)
        retagged = retag_case(bench, small, 300, given.images, given.rounds)
        sys.stdout.write(f"{report.machine(bench, given.rounds)}\n\n{table(archives, retagged)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
