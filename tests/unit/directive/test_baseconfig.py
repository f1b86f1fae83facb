# SPDX-License-Identifier: Apache-2.0
import pytest

from stxbuildah.directive.baseconfig import BaseConfig, default_config_names, parse_base_config
from stxbuildah.errors import ProblemsError


def test_every_key() -> None:
    text = """
# comment
version=2.0.1
 user = starlingx
registry=registry.example:9001
proxy=http://proxy.example:3128

repo=deb [trusted=yes] http://a.example/x trixie main
repo=deb http://b.example/y?a=b ./
"""
    assert parse_base_config(text, "base.cfg") == BaseConfig(
        version="2.0.1",
        user="starlingx",
        registry="registry.example:9001",
        proxy="http://proxy.example:3128",
        repositories=("deb [trusted=yes] http://a.example/x trixie main", "deb http://b.example/y?a=b ./"),
    )


def test_an_empty_file_sets_nothing() -> None:
    assert parse_base_config("", "base.cfg") == BaseConfig()


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_base_config("version=1\nversion=2\n  latest=yes\nuser\n", "base.cfg")
    keys = "version, user, proxy, registry, repo"
    assert [str(problem) for problem in caught.value.problems] == [
        "base.cfg:2:1: version is already set above",
        f"base.cfg:3:3: 'latest=yes' is not KEY=VALUE with one of the keys {keys}",
        f"base.cfg:4:1: 'user' is not KEY=VALUE with one of the keys {keys}",
    ]


def test_the_default_file_is_named_after_the_system_and_the_stream() -> None:
    assert default_config_names("debian", "trixie", "stable") == (
        "base-image-build-debian-trixie-stable.cfg",
        "base-image-build-debian-stable.cfg",
    )
