# SPDX-License-Identifier: Apache-2.0
"""A dozen sdists of a real list: ``stxb wheels build``, against one after the other in one container.

``python -m benchmarks.wheels`` prints the row; downloads and the builder image are not measured. The other side is what
build-wheel-tarball.sh does in its container, with archives that this account can unpack. stxb has its bytecode, as an
installed program has.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.cases import STXB, Comparison, compare
from benchmarks.measure import Command
from benchmarks.world import World, world

LIMIT = 0.6
ROUNDS = 5
FILES = "https://files.pythonhosted.org/packages/"
# Wheel, place of the source below FILES, folder in it; two hold C extensions.
SOURCES = (
    (
        "amqplib-1.0.2-py3-none-any.whl",
        "75/b7/8c2429bf8d92354a0118614f9a4d15e53bc69ebedce534284111de5a0102/amqplib-1.0.2.tgz",
        "amqplib-1.0.2",
    ),
    (
        "construct-2.10.70-py3-none-any.whl",
        "02/77/8c84b98eca70d245a2a956452f21d57930d22ab88cbeed9290ca630cf03f/construct-2.10.70.tar.gz",
        "construct-2.10.70",
    ),
    (
        "crc16-0.1.1-cp313-cp313-linux_x86_64.whl",
        "a6/e0/70a44c4385f2b33df82e518005aae16b5c1feaf082c73c0acebe3426fc0a/crc16-0.1.1.tar.gz",
        "crc16-0.1.1",
    ),
    (
        "docopt-0.6.2-py2.py3-none-any.whl",
        "a2/55/8f8cab2afd404cf578136ef2cc5dfb50baa1761b68c9da1fb1e4eed343c9/docopt-0.6.2.tar.gz",
        "docopt-0.6.2",
    ),
    (
        "etcd3-0.10.0-py2.py3-none-any.whl",
        "09/f1/93603a26daf7a993a0acbbcfd32afce8b2fdf30a765d5651571ab635969b/etcd3-0.10.0.tar.gz",
        "etcd3-0.10.0",
    ),
    (
        "frozendict-1.2-py3-none-any.whl",
        "4e/55/a12ded2c426a4d2bee73f88304c9c08ebbdbadb82569ebdd6a0c007cfd08/frozendict-1.2.tar.gz",
        "frozendict-1.2",
    ),
    (
        "future-0.18.2-py3-none-any.whl",
        "45/0b/38b06fd9b92dc2b68d58b75f900e97884c45bedd2ff83203d933cf5851c9/future-0.18.2.tar.gz",
        "future-0.18.2",
    ),
    (
        "netifaces-0.11.0-cp313-cp313-linux_x86_64.whl",
        "a6/91/86a6eac449ddfae239e93ffc1918cf33fd9bab35c04d1e963b311e347a73/netifaces-0.11.0.tar.gz",
        "netifaces-0.11.0",
    ),
    (
        "prettytable-0.7.2-py3-none-any.whl",
        "e0/a1/36203205f77ccf98f3c6cf17cf068c972e6458d7e58509ca66da949ca347/prettytable-0.7.2.tar.gz",
        "prettytable-0.7.2",
    ),
    (
        "pyinotify-0.9.6-py3-none-any.whl",
        "e3/c0/fd5b18dde17c1249658521f69598f3252f11d9d7a980c5be8619970646e1/pyinotify-0.9.6.tar.gz",
        "pyinotify-0.9.6",
    ),
    (
        "requests_aws-0.1.8-py3-none-any.whl",
        "5e/2f/4da17752036c04cf4c9af7a2da0d41ef2205043f1c61008006475aa24b8b/requests-aws-0.1.8.tar.gz",
        "requests-aws-0.1.8",
    ),
    (
        "retrying-1.4.2-py3-none-any.whl",
        "c8/5a/b17e1e257d3e6f2e7758930e1256832c9ddd576f8631781e6a072914befa/retrying-1.4.2.tar.gz",
        "retrying-1.4.2",
    ),
)
# Setuptools brings bdist_wheel to projects that import distutils only when it is imported first.
_ONE_AFTER_THE_OTHER = """\
set -e
mkdir /tmp/work
for archive in /sources/*; do
    cd /tmp/work
    tar --extract --gzip --no-same-owner --file "$archive"
    cd "$(tar --list --gzip --file "$archive" | head -n 1 | cut -d / -f 1)"
    python3 -c 'import setuptools, sys; sys.argv = ["setup.py", "bdist_wheel", "--dist-dir", "/wheels"]
exec(compile(open("setup.py").read(), "setup.py", "exec"), {"__name__": "__main__", "__file__": "setup.py"})'
done
"""


def wheels_case(bench: World, rounds: int) -> Comparison:
    """Compare the building of all sources."""
    folder = bench.folder / "sdists"
    folder.mkdir()
    lines = []
    for wheel, place, basedir in SOURCES:
        archive = folder / place.rpartition("/")[2]
        bench.run("curl", "--silent", "--show-error", "--fail", "--output", archive, FILES + place)
        lines.append(f"{wheel}|tar|file://{archive}|{basedir}")
    config = bench.folder / "bench-wheels.cfg"
    config.write_text("\n".join([*lines, ""]), encoding="utf-8")
    build = (STXB, "--quiet", "wheels", "build", "--config", str(config), "--output", str(bench.folder / "wheels-out"))
    # Makes the builder image, and what builds require.
    bench.run(*build)
    image = next(line.split()[1] for line in bench.run(*build, "--dry-run").splitlines() if line.startswith("builder"))
    target = bench.folder / "wheels-of-the-other"

    def forget_the_wheels(number: int) -> None:
        del number
        shutil.rmtree(bench.folder / "cache/stxb/wheels/built", ignore_errors=True)

    def empty_the_folder(number: int) -> None:
        del number
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()

    volumes = (f"--volume={folder}:/sources:ro", f"--volume={target}:/wheels")
    other = ("podman", "run", "--rm", "--network=none", *volumes, image, "sh", "-c", _ONE_AFTER_THE_OTHER)
    # An empty PYTHONDONTWRITEBYTECODE is none; the first run, which is not measured, writes what the others find.
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bench.folder / "bytecode")}
    sides = (
        Command(name="stxb wheels", script=(build,), prepare=forget_the_wheels, variables=bytecode),
        Command(name="one after the other", script=(other,), prepare=empty_the_folder),
    )
    return compare(bench, f"{len(SOURCES)} sdists, two of them with C extensions", sides, rounds, LIMIT)


def main() -> int:
    """Measure, and print the row."""
    shared = Path("/dev/shm")  # noqa: S108 # a folder of our own is made below it
    with world(shared if shared.is_dir() else Path(tempfile.gettempdir())) as bench:
        case = wheels_case(bench, ROUNDS)
        sys.stdout.write(report.comparison_table([case], "one after the other", update="wheels") + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
