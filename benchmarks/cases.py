# SPDX-License-Identifier: Apache-2.0
"""What is compared: updates by stxb, and the same by ``buildah bud`` with a Containerfile that runs pip."""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks.measure import Command, Summary, interleave, ratio
from benchmarks.world import World, make_package

STXB = str(Path(sys.executable).with_name("stxb"))
CUSTOMIZATION = "#!/bin/bash\nset -e\necho measured > /etc/stxb-bench\ncp /usr/share/stxb-bench/data /var/lib/data\n"
PIP = "python3 -m pip install --quiet --no-deps --no-index --break-system-packages --root-user-action=ignore"

APT = "apt-get --yes --no-install-recommends -o Dpkg::Use-Pty=0"


@attrs.frozen(kw_only=True)
class Comparison:
    """Two commands that were run in turns.

    Attributes:
        title: what was done.
        ours: the runs of stxb.
        theirs: the runs of the other side.
        limit: the largest ratio of ours to theirs that is good enough; None where there is no goal.
    """

    title: str
    ours: Summary
    theirs: Summary
    limit: float | None = None

    @property
    def ratio(self) -> float:
        """Median of the paired ratios of wall-clock time."""
        return ratio(self.ours, self.theirs)


def compare(bench: World, title: str, sides: tuple[Command, Command], rounds: int, limit: float | None) -> Comparison:
    """Run two commands in turns."""
    ours, theirs = interleave(sides, rounds=rounds, environment=bench.environment, log=bench.log, epochs=bench.epochs)
    return Comparison(title=title, ours=ours, theirs=theirs, limit=limit)


def update(
    bench: World, name: str, base: str, flags: Sequence[str], *, push: bool = True, lane: str = "computed"
) -> Command:
    """Give the command ``stxb update`` in the local store, which makes ``:1.1`` of a base image ``:1.0``."""
    pushing = ("--push", "--tls-verify", "false") if push else ()
    argv = (STXB, "--quiet", "update", "--from", base, "--lane", lane, *flags, *pushing)
    return Command(name=name, script=(argv,), prepare=_forget(bench, target_of(base)))


def build(bench: World, base: str, files: Sequence[Path], instructions: str) -> Command:
    """Give the same done by a Containerfile: build and push.

    Args:
        bench: the store and the registry.
        base: the image to start from.
        files: what the instructions find in the build's context.
        instructions: what follows the line FROM.
    """
    context = bench.folder / "contexts" / str(sum(1 for _ in (bench.folder / "contexts").glob("*")))
    context.mkdir(parents=True)
    for path in files:
        shutil.copy(path, context)
    (context / "Containerfile").write_text(f"FROM {base}\n{instructions}", encoding="utf-8")
    target = base.replace(":1.0", ":1.1-bud")
    building = (
        "buildah",
        "bud",
        "--quiet",
        "--isolation",
        "chroot",
        "--tls-verify=false",
        "--tag",
        target,
        str(context),
    )
    pushing = ("buildah", "push", "--quiet", "--tls-verify=false", target, f"docker://{target}")
    return Command(name="buildah bud", script=(building, pushing), prepare=_forget(bench, target))


def target_of(base: str) -> str:
    """Give the reference that ``stxb update`` makes of a base image's."""
    return base.removesuffix("1.0") + "1.1"


def _forget(bench: World, reference: str) -> Callable[[int], None]:
    def prepare(number: int) -> None:
        if number:
            bench.run("buildah", "rmi", reference)

    return prepare


def wheel_flags(wheels: Sequence[Path]) -> list[str]:
    """Give the flags of ``stxb update`` for some wheels."""
    return [word for path in wheels for word in ("--wheel", str(path))]


def wheel_case(
    bench: World,
    title: str,
    base: str,
    wheels: Sequence[Path],
    rounds: int,
    *,
    limit: float | None,
    compiled: bool = False,
) -> Comparison:
    """Compare an update by wheels.

    Args:
        bench: the store and the registry.
        title: what the row is called.
        base: the image to update.
        wheels: what is installed.
        rounds: measured runs of each side.
        limit: the goal, or None.
        compiled: let pip write bytecode, as it does unasked. stxb writes none: without it both lay down the same files.
    """
    theirs = build_with_pip(bench, base, wheels, compiled=compiled)
    return compare(bench, title, (update(bench, "stxb update", base, wheel_flags(wheels)), theirs), rounds, limit)


def build_with_pip(bench: World, base: str, wheels: Sequence[Path], *, compiled: bool) -> Command:
    """Give an update by wheels as a Containerfile does it.

    Args:
        bench: the store and the registry.
        base: the image to update.
        wheels: what is installed.
        compiled: let pip write bytecode, as it does unasked.
    """
    pip = PIP if compiled else f"{PIP} --no-compile"
    return build(bench, base, wheels, f"COPY *.whl /tmp/wheels/\nRUN {pip} /tmp/wheels/*.whl && rm -r /tmp/wheels\n")


def first_update_case(bench: World, base: str, wheels: Sequence[Path], rounds: int) -> Comparison:
    """Compare the first update of an image, of which stxb remembers nothing yet, with the second."""

    def forget_the_image(number: int) -> None:
        _forget(bench, target_of(base))(number)
        shutil.rmtree(bench.folder / "cache" / "stxb" / "trees", ignore_errors=True)

    known = update(bench, "known image", base, wheel_flags(wheels))
    first = attrs.evolve(known, name="first time", prepare=forget_the_image)
    return compare(bench, "first update of an image, to the next one", (first, known), rounds, None)


def session_cases(bench: World, base: str, rounds: int) -> tuple[Comparison, ...]:
    """Compare an update by a package and a customization script.

    stxb installs with apt-get, which checks the dependencies of all packages together. The peer with the goal does the
    same; the other takes dpkg alone, which is quicker and checks less.
    """
    package = make_package(bench)
    script = bench.folder / "customize.sh"
    script.write_text(CUSTOMIZATION, encoding="utf-8")
    flags = ["--pkg", str(package), "--customize", str(script)]
    inside = "/image-update"

    def case(title: str, installer: str, limit: float | None) -> Comparison:
        instructions = (
            f"COPY {package.name} {script.name} {inside}/\n"
            f"RUN {installer} {inside}/{package.name} && bash {inside}/{script.name} && rm -r {inside}\n"
        )
        theirs = build(bench, base, (package, script), instructions)
        ours = update(bench, "stxb update", base, flags, lane="session")
        return compare(bench, title, (ours, theirs), rounds, limit)

    return (
        case("one .deb and a script", f"{APT} install", 1.1),
        case("one .deb and a script, to dpkg alone", "dpkg --install", None),
    )


def flat_case(
    bench: World,
    title: str,
    bases: tuple[str, str],
    wheels: Sequence[Path],
    rounds: int,
    *,
    push: bool,
    limit: float | None = 1.2,
) -> Comparison:
    """Compare the same update on two base images; the larger one stands first."""
    large, small = (update(bench, base, base, wheel_flags(wheels), push=push) for base in bases)
    return compare(bench, title, (large, small), rounds, limit)


def start_case(bench: World, rounds: int) -> Comparison:
    """Compare ``stxb --help`` with the start of Python."""
    ours = Command(name="stxb --help", script=((STXB, "--help"),))
    theirs = Command(name="python3 -I -c pass", script=((sys.executable, "-I", "-c", "pass"),))
    return compare(bench, "stxb --help, to python3 -I -c pass", (ours, theirs), rounds, None)
