# SPDX-License-Identifier: Apache-2.0
"""The command line of ``stxb base``: options and the environment on their way to a plan; nothing is made here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("stxb")
DEBIAN = ("--os", "debian", "--os-codename", "trixie", "--user", "u")
CENTOS = ("--os", "centos", "--os-codename", "stream9", "--user", "u", "--from-image", "registry.example/centos:9")


def stxb(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "USER": "builder", **variables}
    return subprocess.run(
        [PROGRAM, "base", "--dry-run", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def plan(folder: Path, *words: str, **variables: str) -> Any:
    told = stxb(folder, "--format", "json", *words, **variables)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def repositories(found: Any) -> list[str]:
    return next(step["subjects"] for step in found["steps"] if step["action"] == "from")


def test_variables_come_from_the_environment_and_options_win(tmp_path: Path) -> None:
    (tmp_path / "stx.list.in").write_text("deb @REPOMGR_DEPLOY_URL@/@FLAVOUR@ @DEBIAN_DISTRIBUTION@ main\n")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout/debian_build_layer.cfg").write_text("flock\n")
    found = plan(
        tmp_path, *DEBIAN, "--apt-template", "stx.list.in", "--var", "FLAVOUR=x=y", "--var", "DEBIAN_SNAPSHOT=http://b",
        "--publish_repos", "false", "--repomgr-publish-url", "http://p",
        REPOMGR_DEPLOY_URL="http://r", DEBIAN_SNAPSHOT="http://a", DEBIAN_DISTRIBUTION="sid",
        MY_REPO=f"{tmp_path}/checkout",
    )  # fmt: skip
    assert repositories(found) == [
        "deb http://b trixie main",
        "deb http://b trixie-updates main",
        "deb http://r/x=y sid main",
    ]
    lists = "/etc/apt/sources.list.d"
    assert found["from"] is None
    assert found["files"] == [
        "/etc/apt/preferences.d/stx",
        *(
            f"{lists}/{name}"
            for name in ("debian.list.disabled", "flock.list.disabled", "stx.list", "stx.list.disabled")
        ),
    ]


def test_the_repositories_of_a_build_on_this_machine(tmp_path: Path) -> None:
    found = plan(
        tmp_path, *CENTOS, "--local", "--hostname", "builder", "--stream", "dev", MY_WORKSPACE="/w", MY_REPO="/r"
    )
    assert repositories(found) == [
        "local-std,http://builder:8088/w/std/rpmbuild/RPMS",
        "stx-distro,http://builder:8089/r/cgcs-centos-repo/Binary",
    ]
    assert found["from"] == "registry.example/centos:9"
    assert found["references"] == ["u/stx-centos:stream9-amd64-dev-9"]
    assert found["packages"][0] == "centos-release-openstack-caracal"


def test_options_that_have_nothing_to_do_say_so(tmp_path: Path) -> None:
    told = stxb(tmp_path, *DEBIAN, "--cache", "--hostname", "here")
    assert told.returncode == 0
    assert [line.split("option=")[1].split()[0] for line in told.stderr.splitlines()] == ["--cache", "--hostname"]
    assert stxb(tmp_path, *CENTOS, "--local", "--hostname", "h", MY_WORKSPACE="/w", MY_REPO="/r").stderr == ""


def test_mistakes(tmp_path: Path) -> None:
    told = stxb(tmp_path, *DEBIAN, "--var", "low=1", "--var", "9=1")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.count("is no variable's name") == 2
    told = stxb(
        tmp_path, "--os", "rocky", "--os-version", "9", "--mirror", "http://x", "--minimal", "--packages", "a b"
    )
    assert told.returncode == 2
    for part in ("starts from an image of a registry", "--mirror is for apt", "--packages and --minimal exclude"):
        assert part in told.stderr
