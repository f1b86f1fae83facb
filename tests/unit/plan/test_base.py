# SPDX-License-Identifier: Apache-2.0
from typing import Any

import attrs
import pytest

from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.model.base import (
    BaseContent,
    BaseNaming,
    BaseRequest,
    BaseSystem,
    BuildVariables,
)
from stxbuildah.model.baseplan import BasePlan, BaseStep
from stxbuildah.plan.base import plan_base
from stxbuildah.plan.baseorigin import hide_passwords
from stxbuildah.recipes import recipe

FOLDER = recipe("containers", "base")
RECIPE = attrs.evolve(
    read_base_recipe(FOLDER / "debian-trixie/recipe.toml", FOLDER, "debian"),
    mirror="http://public.example/debian",
    security_mirror="http://public.example/security",
)
REQUEST = BaseRequest(
    system=BaseSystem(os="debian", codename="trixie", arch="amd64"), naming=BaseNaming(user="u", version="1.0")
)
VARIABLES = BuildVariables(
    snapshot="http://snapshot.example/20250901",
    security_snapshot="http://snapshot.example/security",
    distribution="bullseye",
    repomgr_url="http://repo.internal/",
    repomgr_origin="starlingx",
)
NONE = BuildVariables()
COMMENT = "# The distribution's own packages."
REPOSITORY = "deb [trusted=yes] http://repo.example/x trixie main"


def plan(variables: BuildVariables = NONE, **content: Any) -> BasePlan:
    request = attrs.evolve(REQUEST, content=BaseContent(**content), variables=variables)
    return plan_base(request, RECIPE)


def lists(found: BasePlan) -> dict[str, list[str]]:
    return {path.removeprefix("/etc/apt/"): text.splitlines() for path, text in found.origin.files}


def test_an_image_from_the_distribution_alone() -> None:
    found = plan()
    debian = [
        "deb http://public.example/debian trixie main",
        "deb http://public.example/debian trixie-updates main",
        "deb http://public.example/security trixie-security main",
    ]
    assert (found.origin.sources, found.origin.repositories, found.origin.preferences) == (tuple(debian), (), "")
    assert lists(found) == {
        "sources.list.d/debian.list": [COMMENT, *debian],
        "sources.list.d/debian.list.disabled": [COMMENT, *debian],
    }
    assert found.system.version == "13"
    assert [str(name) for name in found.references] == ["u/stx-debian:trixie-amd64-stable-1.0"]
    assert found.packages == RECIPE.packages
    assert dict(found.labels) == {
        "org.opencontainers.image.title": "stx-debian",
        "org.opencontainers.image.version": "1.0",
        "org.opencontainers.image.description": "debian trixie for amd64",
    }


def test_given_repositories_switch_the_distributions_off() -> None:
    found = plan(repositories=(REPOSITORY,))
    assert found.origin.repositories == (REPOSITORY,)
    pin = [
        "Explanation: the build's own packages win over the distribution's",
        "Package: *",
        'Pin: origin "repo.example"',
        "Pin-Priority: 999",
    ]
    assert found.origin.preferences.splitlines() == pin
    assert {name: text for name, text in lists(found).items() if "debian" not in name} == {
        "sources.list.d/stx.list": [REPOSITORY],
        "sources.list.d/stx.list.disabled": [REPOSITORY],
        "preferences.d/stx": pin,
    }
    assert "sources.list.d/debian.list" not in lists(found)
    assert lists(found)["sources.list.d/debian.list.disabled"][0] == COMMENT


def test_the_builds_own_repositories_and_snapshots() -> None:
    found = plan(VARIABLES, local=True)
    assert found.origin.sources == (
        "deb http://snapshot.example/20250901 trixie main",
        "deb http://snapshot.example/20250901 trixie-updates main",
        "deb http://snapshot.example/security trixie-security main",
    )
    assert found.origin.repositories == (
        "deb [trusted=yes] http://repo.internal/deb-local-binary bullseye main",
        "deb [trusted=yes] http://repo.internal/deb-local-build bullseye main",
    )
    assert "Pin: release o=starlingx\n" in found.origin.preferences
    assert lists(found)["sources.list.d/stx.list"] == list(found.origin.repositories)


def test_the_image_names_the_published_place_of_the_builds_repositories() -> None:
    found = plan(VARIABLES, local=True, publish_url="https://repo.public/")
    assert "http://repo.internal/deb-local-build" in found.origin.repositories[1]
    assert lists(found)["sources.list.d/stx.list"] == [
        "deb [trusted=yes] https://repo.public/deb-local-binary bullseye main",
        "deb [trusted=yes] https://repo.public/deb-local-build bullseye main",
    ]


def test_private_repositories_and_mirrors_stay_out_of_the_image() -> None:
    closed = "deb http://me:pass@repo.internal2/x trixie main"
    found = plan(VARIABLES, repositories=(REPOSITORY, closed), private=True, mirror="http://inside.example/debian")
    assert found.origin.sources[0] == "deb http://inside.example/debian trixie main"
    assert found.origin.secrets == ("pass",)
    text = "".join(text for _, text in found.origin.files) + str(found.steps) + str(found.labels)
    assert "public.example" in text
    for inside in ("internal", "pass@"):
        assert inside not in "".join(text for _, text in found.origin.files)
    assert "pass@" not in str(found)
    published = plan(VARIABLES, local=True, private=True, publish_url="https://repo.public")
    assert "https://repo.public/deb-local-build" in str(lists(published)["sources.list.d/stx.list"])
    assert "internal" not in "".join(text for _, text in published.origin.files)


def test_a_mirror_alone_brings_no_security_updates_of_another_time() -> None:
    assert plan(mirror="http://m.example/debian").origin.sources == (
        "deb http://m.example/debian trixie main",
        "deb http://m.example/debian trixie-updates main",
    )
    assert plan(mirror="http://m.example/debian", security_mirror="http://m.example/s").origin.sources[-1] == (
        "deb http://m.example/s trixie-security main"
    )


def test_packages() -> None:
    assert plan(minimal=True).packages == RECIPE.minimal_packages
    assert plan(packages=("b", "a=1:2~3", "b")).packages == ("b", "a=1:2~3")
    assert plan(packages=()).packages == ()


def test_steps_of_a_push() -> None:
    request = attrs.evolve(REQUEST, push=True, clean=True, content=BaseContent(packages=("python3",)))
    name = "u/stx-debian:trixie-amd64-stable-1.0"
    steps = plan_base(request, RECIPE).steps
    assert [step.action for step in steps] == [
        "install",
        "from",
        "write into the image",
        "write layer",
        "store",
        "push",
        "clean",
    ]
    assert steps[0] == BaseStep(
        action="install", subjects=("python3",), reason="on top of the essential packages and apt"
    )
    assert steps[5] == BaseStep(action="push", subjects=(name,), reason="--push")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"repositories": (REPOSITORY,), "local": True}, "--local and --repo exclude each other"),
        ({"local": True}, "which neither the environment nor --var names"),
        ({"publish_url": "http://x.example"}, "which neither the environment nor --var names"),
        (
            {"repositories": ("deb http://me:pass@h.example x y",)},
            r"would hold a password: deb http://me:\*+@h.example",
        ),
        ({"mirror": "http://me:pass@h.example/debian"}, "would hold a password"),
    ],
)
def test_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(**content)


def test_a_version_of_another_release_is_refused() -> None:
    request = attrs.evolve(REQUEST, system=attrs.evolve(REQUEST.system, version="11.2"))
    with pytest.raises(InputError, match=r"debian trixie is release 13, not 11\.2"):
        plan_base(request, RECIPE)


def test_all_mistakes_of_packages_mirrors_and_repositories_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(
            packages=("ok", "-oDpkg::x", "a,b", "?essential"),
            mirror="http://x.example/a b",
            repositories=("http://x.example trixie main", "deb x", "deb http://x.example\ndeb http://y a b"),
        )
    line = "is no sources.list line: deb [options] URL suite component"
    assert [problem.message for problem in caught.value.problems] == [
        "'-oDpkg::x' is not the name of a package, with or without =VERSION",
        "'a,b' is not the name of a package, with or without =VERSION",
        "'?essential' is not the name of a package, with or without =VERSION",
        "'http://x.example/a b' is not the URL of a mirror",
        f"the repository 'http://x.example trixie main' {line}",
        f"the repository 'deb x' {line}",
        f"the repository 'deb http://x.example\\ndeb http://y a b' {line}",
    ]


def test_passwords_are_hidden() -> None:
    assert (
        hide_passwords("deb [a=b] https://me:se:cret@h.example/x y z")
        == "deb [a=b] https://me:********@h.example/x y z"
    )
    assert hide_passwords(REPOSITORY) == REPOSITORY
