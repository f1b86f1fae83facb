# SPDX-License-Identifier: Apache-2.0
"""FROM and --to: which image is changed, what the result is called and where it lies."""

from typing import Any

import pytest

from stxbuildah.errors import InputError
from stxbuildah.job.names import UpdateNames, settle_names
from stxbuildah.model.update import TargetOptions, UpdateDirectives, UpdateRequest


def named(from_image: str, *, push: bool = False, **target: Any) -> UpdateNames:
    request = UpdateRequest(from_image=from_image, push=push, target=TargetOptions(**target))
    return settle_names(request, UpdateDirectives())


def shown(names: UpdateNames) -> tuple[str, str]:
    return str(names.target), str(names.destination or "")


@pytest.mark.parametrize(
    ("from_image", "target", "destination"),
    [
        ("registry.example/stx-nova:1.0", "registry.example/stx-nova:1.1", ""),
        ("docker://registry.example/stx-nova:1.0", "registry.example/stx-nova:1.1", ""),
        ("oci:/srv/layout:1.0", "layout:1.1", "oci:/srv/layout:1.1"),
        ("oci:/srv/Big_Layout", "big-layout:latest.1", "oci:/srv/Big_Layout:latest.1"),
        ("oci:out:registry.example/a:1.0", "registry.example/a:1.1", "oci:out:registry.example/a:1.1"),
    ],
)
def test_where_a_result_goes_by_itself(from_image: str, target: str, destination: str) -> None:
    assert shown(named(from_image)) == (target, destination)


@pytest.mark.parametrize(
    ("to", "target", "destination"),
    [
        ("registry.example/b:7", "registry.example/b:7", ""),
        ("docker://registry.example/b", "registry.example/b:1.1", ""),
        ("oci:out", "registry.example/a:1.1", "oci:out:1.1"),
        ("oci:out:new", "registry.example/a:new", "oci:out:new"),
        ("oci:out:other.example/x:3", "other.example/x:3", "oci:out:other.example/x:3"),
        ("oci-archive:out.tar", "registry.example/a:1.1", "oci-archive:out.tar:1.1"),
        ("docker-archive:out.tar", "registry.example/a:1.1", "docker-archive:out.tar:registry.example/a:1.1"),
        ("docker-archive:out.tar:x:3", "x:3", "docker-archive:out.tar:x:3"),
        ("docker-archive:out.tar:x", "x:1.1", "docker-archive:out.tar:x:1.1"),
    ],
)
def test_where_the_user_sends_a_result(to: str, target: str, destination: str) -> None:
    assert shown(named("registry.example/a:1.0", to=to)) == (target, destination)


def test_an_archive_s_name_is_its_image_s() -> None:
    assert str(named("oci-archive:/srv/stx-nova.tar.gz", to="oci:out").base) == "stx-nova:latest"
    assert str(named("docker-archive:x.tar:localhost/a:2", to="oci:out").base) == "localhost/a:2"


def test_version_and_tag_are_for_the_result_s_tag() -> None:
    assert shown(named("oci:out:1.0", version="7")) == ("out:1.7", "oci:out:1.7")
    assert shown(named("a:1.0", to="oci:out", tag="x")) == ("a:x", "oci:out:x")


def test_a_file_s_image_is_pushed_where_it_is_told() -> None:
    names = named("oci:/srv/stx-nova:1.0", push=True, registry="registry.example", user="me")
    assert (str(names.target), names.destination) == ("registry.example/me/stx-nova:1.1", None)


@pytest.mark.parametrize(
    ("from_image", "target", "word"),
    [
        ("", {}, "no image to change"),
        ("registry.example/a:1", {"to": "registry.example/a:1"}, "overwrite"),
        ("registry.example/a:1", {"to": "oci:out:1"}, "overwrite"),
        ("oci:out:1", {"to": "oci:out:1"}, "overwrite"),
        ("oci-archive:a.tar", {}, "written once"),
        ("a:1", {"to": "b:2", "registry": "x"}, "leave --registry"),
        ("a:1", {"to": "b:2", "tag": "x"}, "leave --tag"),
        ("a:1", {"to": "oci:out:2", "version": "9"}, "leave --tag"),
        ("a:1", {"to": f"b@sha256:{'0' * 64}"}, "digest"),
        ("a:1", {"to": "dir:out"}, "transport"),
    ],
)
def test_what_cannot_be_meant(from_image: str, target: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError) as caught:
        named(from_image, **target)
    assert word in f"{caught.value.message} {caught.value.hint}"


def test_the_same_name_elsewhere_overwrites_nothing() -> None:
    assert shown(named("oci:here:1", to="oci:there:1")) == ("here:1", "oci:there:1")


def test_a_push_of_a_file_s_image_needs_a_place() -> None:
    with pytest.raises(InputError, match="where to push"):
        named("oci:out:1", push=True)
