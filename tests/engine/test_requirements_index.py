# SPDX-License-Identifier: Apache-2.0
"""Requirements resolved against the real package index, for another Python than the one that runs this."""

import os
from functools import partial
from pathlib import Path

import pytest
from packaging.version import Version

from stxbuildah.engine.download import Downloader
from stxbuildah.layer.compatibility import python_fits, supported_tags
from stxbuildah.layer.requirements import marker_environment
from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.inventory import PythonEnvironment, SchemeKind
from stxbuildah.wheels.dependencies import TargetPython, download_dependencies
from stxbuildah.wheels.index import PackageIndex
from tests.unit.layer.wheel_maker import make_wheel

pytestmark = pytest.mark.engine

ENVIRONMENT = PythonEnvironment(
    interpreter="/usr/bin/python3", real_interpreter="/usr/bin/python3.9", version=(3, 9), kind=SchemeKind.PREFIX,
    prefix="/usr", purelib="/p", platlib="/p", scripts="/usr/bin", data="/usr", headers="/h", search_path=("/p",),
    machine="x86_64", glibc=(2, 31),
)  # fmt: skip


def test_what_is_fetched_fits_the_images_python(tmp_path: Path) -> None:
    bundle = os.environ.get("SSL_CERT_FILE")
    (tmp_path / "fetched").mkdir()
    index = PackageIndex(downloader=Downloader(ca_bundle=Path(bundle) if bundle else None), folder=tmp_path / "fetched")
    target = TargetPython(
        shown="Python 3.9 with glibc 2.31",
        markers=marker_environment(ENVIRONMENT),
        supported=partial(supported_tags, ENVIRONMENT),
        fits=lambda requires: python_fits(requires, ENVIRONMENT.version),
    )
    metadata = (
        "Metadata-Version: 2.1\nName: main\nVersion: 1\nRequires-Dist: oslo.config>=9\nRequires-Dist: cffi<2\n"
        'Requires-Dist: tomli; python_version < "3.11"\n'
    )
    main = read_wheel(make_wheel(tmp_path, "main", "1", metadata=metadata))
    fetched = download_dependencies([main], (), target, index)
    wheels = {str(wheel.name): wheel for wheel in map(read_wheel, fetched)}
    assert {"oslo-config", "oslo-i18n", "stevedore", "pyyaml", "requests", "cffi", "pycparser", "tomli"} <= set(wheels)
    assert "main" not in wheels
    assert wheels["cffi"].version < Version("2")
    for wheel in wheels.values():
        assert any(tag in wheel.tags for tag in supported_tags(ENVIRONMENT, wheel.tags)), wheel.path.name
        assert python_fits(wheel.requires_python, ENVIRONMENT.version), wheel.path.name
