# SPDX-License-Identifier: Apache-2.0
"""Templates, layers and publishing: what the apt lists of a Debian base image say."""

from typing import Any

import attrs
import pytest

from stxbuildah.directive.baserecipe import read_base_recipe
from stxbuildah.errors import ProblemsError
from stxbuildah.model.base import BaseContent, BaseNaming, BaseRequest, BaseSystem, BuildVariables
from stxbuildah.model.baseplan import BasePlan, Template
from stxbuildah.model.update import PullPolicy
from stxbuildah.plan.base import plan_base
from stxbuildah.recipes import recipe

FOLDER = recipe("containers", "base")
RECIPE = attrs.evolve(
    read_base_recipe(FOLDER / "debian-trixie/recipe.toml", FOLDER, "debian"),
    mirror="http://public.example/debian",
    security_mirror="http://public.example/security",
)
VARIABLES = BuildVariables(
    snapshot="http://inside.example/snapshot",
    security_snapshot="http://inside.example/security",
    distribution="trixie",
    repomgr_url="http://inside.example:81/aptly/",
    repomgr_origin="starlingx",
)
# As the replaced script's own: stx-debian-trixie/apt.
SNAPSHOT = "deb [check-valid-until=0] @DEBIAN_SNAPSHOT@ @DEBIAN_DISTRIBUTION@ main\n"
SECURITY = "deb [check-valid-until=0] @DEBIAN_SECURITY_SNAPSHOT@ @DEBIAN_DISTRIBUTION@-security main\n"
PREFERENCES = "Package: *\nPin: release o=@REPOMGR_ORIGIN@\nPin-Priority: 999\n"
PLACE = "deb [trusted=yes] {} trixie main"


def template(text: str, source: str = "mine.in") -> Template:
    return Template(text=text, source=source, given=True)


def plan(
    variables: BuildVariables = VARIABLES, layers: tuple[str, ...] = (), *, content: dict[str, Any], **given: Template
) -> BasePlan:
    request = BaseRequest(
        system=BaseSystem(os="debian", codename="trixie", arch="amd64"),
        naming=BaseNaming(user="u"),
        content=BaseContent(**content),
        variables=variables,
    )
    return plan_base(
        request, attrs.evolve(RECIPE, templates=attrs.evolve(RECIPE.templates, **given)), found_layers=layers
    )


def files(found: BasePlan) -> dict[str, str]:
    return {path.removeprefix("/etc/apt/"): text for path, text in found.origin.files}


def test_templates_of_the_user_say_where_packages_come_from_and_what_the_image_says() -> None:
    found = plan(
        attrs.evolve(VARIABLES, further=(("COLOUR", "blue"),)),
        content={},
        debian_list=template(f"# snapshots\n{SNAPSHOT}{SECURITY}"),
        stx_list=template("deb [trusted=yes] @REPOMGR_PUBLISH_URL@/deb-@COLOUR@ @DEBIAN_DISTRIBUTION@ main\n"),
        preferences=template(PREFERENCES),
    )
    debian = (
        "deb [check-valid-until=0] http://inside.example/snapshot trixie main",
        "deb [check-valid-until=0] http://inside.example/security trixie-security main",
    )
    stx = PLACE.format("http://inside.example:81/aptly/deb-blue")
    assert found.origin.sources == debian
    assert found.origin.repositories == (stx,)
    assert found.origin.preferences == PREFERENCES.replace("@REPOMGR_ORIGIN@", "starlingx")
    assert files(found) == {
        "sources.list.d/debian.list.disabled": "\n".join(["# snapshots", *debian, ""]),
        "sources.list.d/stx.list": f"{stx}\n",
        "sources.list.d/stx.list.disabled": f"{stx}\n",
        "preferences.d/stx": found.origin.preferences,
    }


def test_the_image_names_published_places_and_nothing_of_the_build() -> None:
    found = plan(
        content={"publish_url": "https://outside.example/apt", "private": True, "build_layers": ("flock",)},
        debian_list=template(f"{SNAPSHOT}deb http://inside.example/more trixie main\n"),
        stx_list=template(
            "deb [trusted=yes] @REPOMGR_PUBLISH_URL@/a trixie main\ndeb [trusted=yes] http://inside.example/b c main\n"
        ),
        preferences=template('Package: *\nPin: origin "@REPOMGR_HOST@"\nPin-Priority: 999\n'),
    )
    assert files(found)["sources.list.d/stx.list"] == f"{PLACE.format('https://outside.example/apt/a')}\n"
    assert files(found)["sources.list.d/flock.list.disabled"] == (
        f"{PLACE.format('https://outside.example/apt/deb-local-binary-flock')}\n"
    )
    assert 'Pin: origin "outside.example"' in files(found)["preferences.d/stx"]
    assert 'Pin: origin "inside.example"' in found.origin.preferences
    assert len(found.origin.sources) + len(found.origin.repositories) == 4
    assert "http://public.example/debian trixie main" in files(found)["sources.list.d/debian.list.disabled"]
    assert not [path for path, text in files(found).items() if "inside" in text]


def test_a_pin_by_server_names_the_published_one_in_the_image() -> None:
    variables = attrs.evolve(VARIABLES, repomgr_origin="")
    found = plan(variables, content={"local": True, "publish_url": "https://outside.example/apt"})
    assert 'origin "inside.example"' in found.origin.preferences
    assert 'origin "outside.example"' in files(found)["preferences.d/stx"]


def test_each_layer_has_a_list_that_is_off() -> None:
    found = plan(layers=("distro", "flock"), content={"build_layers": ("containers", "flock")})
    layered = {name: text for name, text in files(found).items() if not name.startswith("sources.list.d/debian")}
    assert layered == {
        f"sources.list.d/{layer}.list.disabled": (
            f"{PLACE.format(f'http://inside.example:81/aptly/deb-local-binary-{layer}')}\n"
        )
        for layer in ("containers", "distro", "flock")
    }


def test_layers_of_checkouts_are_passed_over_where_the_repositories_are_not_named() -> None:
    assert set(files(plan(BuildVariables(), ("flock",), content={}))) == {
        "sources.list.d/debian.list",
        "sources.list.d/debian.list.disabled",
    }


def test_a_checkouts_layer_stays_in_the_folder_of_lists() -> None:
    with pytest.raises(ProblemsError, match=r"'\.\./\.\./x' is not the name of a layer"):
        plan(layers=("../../x",), content={})


def test_every_mistake_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(
            BuildVariables(),
            content={
                "build_layers": ("Flock", "stx"), "repositories": ("nonsense",), "publish_url": "http://x",
                "pull": PullPolicy.ALWAYS, "minimal": True, "packages": ("-x",),
            },
            debian_list=template("deb @DEBIAN_SNAPSHOT@ x\n\ndeb @NOTHING@ @LAYER@ main\n", "debian.list.in"),
            stx_list=template("deb x\n", "stx.list.in"),
        )  # fmt: skip
    told = [(problem.source, problem.line, problem.column, problem.message) for problem in caught.value.problems]
    expected = [
        ("command line", 0, 0, "--pull says how --from-image is fetched"),
        ("command line", 0, 0, "--packages and --minimal exclude each other"),
        ("command line", 0, 0, "'-x' is not the name of a package"),
        ("command line", 0, 0, "--repomgr-publish-url stands for the build's own repositories"),
        ("debian.list.in", 3, 5, "@NOTHING@ has no value: set NOTHING in the environment or by --var NOTHING=VALUE"),
        ("debian.list.in", 3, 15, "@LAYER@ has no value"),
        ("command line", 0, 0, "the template stx.list.in and --repo exclude each other"),
        ("command line", 0, 0, "the repository 'nonsense' is no sources.list line"),
        ("command line", 0, 0, "'Flock' is not the name of a layer"),
        ("command line", 0, 0, "'stx' is not the name of a layer"),
        ("command line", 0, 0, "--build-layer uses the build's own repositories"),
    ]
    assert [one[:3] for one in told] == [one[:3] for one in expected]
    assert all(said.startswith(start) for (*_, said), (*_, start) in zip(told, expected, strict=True))


def test_an_image_to_start_from() -> None:
    found = plan(content={"from_image": "registry.example/debian:trixie", "pull": PullPolicy.ALWAYS})
    assert str(found.from_image) == "registry.example/debian:trixie"
    assert [step.action for step in found.steps] == [
        "pull", "open container", "from", "upgrade", "install", "write into the image", "write layer", "store",
    ]  # fmt: skip
    assert found.origin.only_given


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("u/stx-debian:trixie-amd64-stable-13", "the result would be called like --from-image"),
        ("localhost/u/stx-debian:trixie-amd64-stable-13", "the result would be called like --from-image"),
        ("x/UPPER", "--from-image: 'x/UPPER' is not an image reference"),
    ],
)
def test_names_that_cannot_be_started_from(name: str, told: str) -> None:
    with pytest.raises(ProblemsError, match=told):
        plan(content={"from_image": name})
