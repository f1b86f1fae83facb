# SPDX-License-Identifier: Apache-2.0
from typing import Any

import attrs
import pytest

from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.errors import ProblemsError
from stxbuildah.model.base import BaseContent, BaseNaming, BaseRequest, BaseSystem, BuildVariables
from stxbuildah.model.baseplan import BasePlan
from stxbuildah.plan.base import plan_base
from stxbuildah.plan.baseyum import REPOSITORY_FILE, repository_names
from stxbuildah.recipes import recipe

FOLDER = recipe("containers", "base")
RECIPE = read_base_recipe(FOLDER / "centos-stream9/recipe.toml", FOLDER, "centos")
REPOSITORIES = ("local-std,http://inside.example:8088/std", "stx-distro, http://me:pass@inside.example/distro")
FIRST = """\
[local-std]
name=local-std
baseurl=http://inside.example:8088/std
enabled=1
gpgcheck=0
skip_if_unavailable=1
metadata_expire=0
"""


def plan(variables: BuildVariables | None = None, stream: str = "stable", **content: Any) -> BasePlan:
    request = BaseRequest(
        system=BaseSystem(os="centos", codename="stream9", arch="amd64"),
        naming=BaseNaming(user="u", stream=stream),
        content=BaseContent(**{"from_image": "quay.io/centos/centos:stream9", **content}),
        variables=variables or BuildVariables(),
    )
    return plan_base(request, RECIPE)


def test_given_repositories_are_the_only_ones_and_the_image_names_them() -> None:
    found = plan(repositories=REPOSITORIES[:1])
    assert [str(name) for name in found.references] == ["u/stx-centos:stream9-amd64-stable-9"]
    assert found.origin.only_given
    assert found.origin.repository_file == FIRST
    assert found.origin.files == ((REPOSITORY_FILE, FIRST),)
    assert found.packages == RECIPE.packages
    assert found.first_packages == ()
    assert [step.action for step in found.steps] == [
        "pull", "open container", "from", "upgrade", "install", "write into the image", "write layer", "store",
    ]  # fmt: skip


def test_repositories_stay_out_of_the_image() -> None:
    found = plan(repositories=REPOSITORIES, private=True)
    assert found.origin.files == ()
    assert found.origin.repository_file.startswith(f"{FIRST}\n[stx-distro]\n")
    assert found.origin.secrets == ("pass",)
    assert repository_names(found.origin) == ("local-std", "stx-distro")
    assert "pass@" not in str(found)
    assert "http://me:********@inside.example/distro" in str(found.steps)


def test_the_dev_stream_adds_upstreams_repositories() -> None:
    found = plan(stream="dev", repositories=REPOSITORIES[:1])
    assert (found.first_packages, found.origin.only_given) == (RECIPE.dev_packages, False)
    assert not plan(stream="dev").origin.only_given
    assert plan(stream="dev", packages=("a",)).first_packages == ()


def test_the_repositories_of_a_build_on_this_machine() -> None:
    variables = BuildVariables(workspace="/ws", checkout="/src/", hostname="builder")
    found = plan(variables, local=True)
    assert found.origin.repositories == (
        "local-std,http://builder:8088/ws/std/rpmbuild/RPMS",
        "stx-distro,http://builder:8089/src/cgcs-centos-repo/Binary",
    )


def test_every_mistake_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(
            from_image="", local=True, mirror="http://m", templates=(FOLDER,), build_layers=("x",),
            packages=("--nogpgcheck", "@group", "a;b"),
            repositories=("a,http://x", "a,http://y", "b http://x", "c,gopher://x", REPOSITORIES[1]),
        )  # fmt: skip
    parts = [
        "a base image of centos starts from an image",
        "'--nogpgcheck' is not the name of a package",
        "'a;b' is not the name of a package",
        "--mirror is for apt", "--apt-template is for apt", "--build-layer is for apt",
        "--local and --repo exclude each other",
        "--local uses the repositories of the build on this machine",
    ]  # fmt: skip
    said = [problem.message for problem in caught.value.problems]
    assert [one[: len(part)] for one, part in zip(said, parts, strict=False)] == parts


def test_mistakes_of_repositories() -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(
            repositories=(
                "a,http://x",
                "a,http://y",
                "b http://me:p@x",
                "c,gopher://x",
                "d,http://x\ne",
                REPOSITORIES[1],
            )
        )
    assert [problem.message.partition(":")[0] for problem in caught.value.problems[-2:]] == [
        "two repositories are called a",
        "the image's /etc/yum.repos.d/stx.repo would hold a password",
    ]
    told = [problem.message for problem in caught.value.problems[:-2]]
    assert [one.rpartition(" is not NAME,URL")[0] for one in told] == [
        "the repository 'b http://me:********@x'", "the repository 'c,gopher://x'", r"the repository 'd,http://x\ne'",
    ]  # fmt: skip


def test_a_release_that_is_none_of_the_recipe() -> None:
    request = BaseRequest(
        system=BaseSystem(os="centos", codename="stream9", arch="amd64", version="8"),
        naming=BaseNaming(user="u"),
        content=BaseContent(from_image="x"),
    )
    with pytest.raises(ProblemsError, match="centos stream9 is release 9, not 8"):
        plan_base(request, RECIPE)
    any_release = attrs.evolve(RECIPE, os_version="")
    assert str(plan_base(request, any_release).references[0]) == "u/stx-centos:stream9-amd64-stable-8"
