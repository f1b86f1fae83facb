# SPDX-License-Identifier: Apache-2.0
"""What a lane loads before it begins: imports are most of the time of a small update."""

import subprocess
import sys

import pytest

ENGINE = {
    "podman",
    "stxbuildah.engine.podman",
    "stxbuildah.engine.probe",
    "stxbuildah.engine.session",
    "stxbuildah.engine.store",
    "stxbuildah.job.engine",
    "stxbuildah.job.session",
}
STREAMS = {"stxbuildah.layer.layerindex", "stxbuildah.layer.tarwalk", "stxbuildah.layer.inflate", "zstandard"}
MERGING = {"stxbuildah.layer.layertar", "stxbuildah.layer.merge", "tarfile"}
REGISTRY = {"stxbuildah.job.registry", "stxbuildah.registry.session", "ssl", "urllib3"}
NEVER = {"requests", "rich", "stamina", "structlog", "yaml"}


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (("job.registry", "registry.session", "job.artifactupload"), ENGINE | STREAMS | MERGING | NEVER),
        (("job.steps", "job.engine"), REGISTRY | STREAMS | MERGING | NEVER | {"podman", "stxbuildah.job.session"}),
    ],
    ids=["registry", "computed"],
)  # fmt: skip
def test_a_lane_loads_what_it_needs(modules: tuple[str, ...], unwanted: set[str]) -> None:
    names = ["cli.update", "jobs", "job.update", "job.sources", "cli.report", *modules]
    program = "".join(f"import stxbuildah.{name}\n" for name in names) + "import sys\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert f"stxbuildah.{modules[0]}" in loaded
    assert set(loaded) & unwanted == set()
