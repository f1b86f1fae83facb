# SPDX-License-Identifier: Apache-2.0
"""The user's own choice of store reaches buildah, podman and skopeo alike."""

import json
from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from tests.engine.stxb import Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_store_named_by_flags(
    stxb: Stxb, engine_folder: Path, base_layout: Path, tmp_path: Path, runner: Runner, driver: str
) -> None:
    root, runroot = engine_folder / f"flags-{driver}", engine_folder / f"run-{driver}"
    flags = ["--root", str(root), "--runroot", str(runroot), "--storage-driver", driver]
    where = f"containers-storage:[{driver}@{root}+{runroot}]localhost/tests/elsewhere:1"
    runner.run(["buildah", "unshare", "skopeo", "copy", "--quiet", f"oci:{base_layout}:base", where])
    words = ["--from", "localhost/tests/elsewhere:1", "--wheel", make_wheel(tmp_path, "stx-w", "1.0")]
    result = stxb.update(*flags, *words, "--pkg", make_deb(tmp_path, "stx-deb", "1.0"))
    listed = json.loads(runner.run(["podman", *flags, "images", "--format", "json"]).stdout)
    names = {name for image in listed for name in image["Names"]}
    assert names == {"localhost/tests/elsewhere:1", "localhost/tests/elsewhere:1.1"}
    assert result["changes"]["deb"] == ["+ stx-deb 1.0 all"]
    usual = json.loads(runner.run(["buildah", "images", "--json"]).stdout)
    assert "localhost/tests/elsewhere:1.1" not in {name for image in usual for name in image.get("names") or []}
