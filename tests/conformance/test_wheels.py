# SPDX-License-Identifier: Apache-2.0
import re
from collections import Counter
from pathlib import Path

import pytest

from stxbuildah.directive.inc import parse_wheels_inc
from stxbuildah.directive.openstackcfg import parse_openstack_config
from stxbuildah.directive.wheelcfg import parse_wheels_config
from stxbuildah.errors import ProblemsError

FOLDER = Path("wheels", "debian-trixie")


def stable_list(corpus: Path) -> str:
    return (corpus / FOLDER / "stable-wheels.cfg").read_text(encoding="utf-8")


def test_every_wheel_of_the_real_list_is_read(corpus: Path) -> None:
    text = stable_list(corpus)
    lines = [
        (number, line.split("|")) for number, line in enumerate(text.splitlines(), 1) if line and line[0] != "#"
    ]  # fmt: skip
    wheels = parse_wheels_config(text, "stable-wheels.cfg")
    assert len(wheels) == 192
    assert [(wheel.line, wheel.wheel, wheel.url) for wheel in wheels] == [
        (number, fields[0], fields[2]) for number, fields in lines
    ]
    assert [wheel.fix_setup for wheel in wheels] == [fields[-1] == "fix_setup" for _, fields in lines]
    kinds = Counter(fields[1] for _, fields in lines)
    kinds["pypi"] += kinds.pop("whl")
    assert Counter(wheel.kind.value for wheel in wheels) == kinds
    assert [(wheel.basedir, wheel.ref) for wheel in wheels if wheel.kind.value == "git"] == [("python-lz4", "v4.4.5")]


def test_fifty_mistakes_in_ten_thousand_lines(corpus: Path) -> None:
    lines = [line for line in stable_list(corpus).splitlines() if line and not line.startswith("#")]
    many = [line.replace("-", f"{number}-", 1) for number in range(60) for line in lines][:10_000]
    expected = set(range(1, 10_001, 200))
    for number in expected:
        many[number - 1] = many[number - 1].replace("|", " ", 1)
    with pytest.raises(ProblemsError) as caught:
        parse_wheels_config("\n".join(many), "w.cfg")
    assert {problem.line for problem in caught.value.problems} == expected


def test_the_releases_that_openstack_cfg_names_are_there(corpus: Path) -> None:
    text = (corpus / FOLDER / "openstack.cfg").read_text(encoding="utf-8")
    places = parse_openstack_config(text, "openstack.cfg")
    assert (corpus / FOLDER / places.of("stable") / "upper-constraints.txt").is_file()
    assert places.of("dev").startswith("https://")
    assert [places.of("stable", python2=True), places.of("dev", python2=True)] == re.findall(r'_PY2="(.*)"', text)


def test_every_list_of_wheel_packages_is_read(corpus: Path) -> None:
    found = {
        path.parent.name: [entry.name for entry in parse_wheels_inc(path.read_text(encoding="utf-8"), path.name)]
        for path in (corpus / "tree").glob("*/*_wheels.inc")
    }
    assert found == {
        "fault": ["fm-api-wheel", "fm-common-wheel", "fm-rest-api-wheel", "python-fmclient-wheel"],
        "integ": ["pynetlink-wheel"],
        "nfv": ["nova-api-proxy-wheels"],
        "upstream": ["distributedcloud-client-wheels", "python3-oidcauthtools-wheels", "nfv-wheels"],
    }
