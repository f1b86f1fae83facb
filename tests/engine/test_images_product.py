# SPDX-License-Identifier: Apache-2.0
"""A whole product: ten images of all builders, built in parallel, pushed, recorded, and not built again."""

import shutil
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.product import GOOD, Product, make_product
from tests.engine.registries import Registry
from tests.engine.stxb import Ended, Images, Stxb

pytestmark = pytest.mark.engine

LABEL = "debian-trixie-amd64-stable"
TAG = f"dev-{LABEL}"
RECORDS = "stxb-out/build-images"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, base_image: ImageReference) -> Product:
    """The product's source tree."""
    return make_product(tmp_path_factory.mktemp("product"), str(base_image))


def options(product: Product, registry: str, base: ImageReference) -> tuple[object, ...]:
    """Give the options of every run."""
    return (
        *("--repo-root", product.root, "--os", "debian", "--os-codename", "trixie", "--os-arch", "amd64"),
        *("--base", base, "--wheels", product.wheels, "--allow-scripts", "--user", "tests", "--jobs", "2"),
        *("--registry", registry, "--tls-verify", "false", "--version", "1", "--latest", "--format", "json"),
    )


@pytest.fixture(scope="module")
def first(
    module_stxb: Stxb, product: Product, registry: Registry, base_image: ImageReference
) -> tuple[Ended, tuple[object, ...]]:
    """The first run, which pushes, and its options."""
    given = options(product, registry.address, base_image)
    ended = module_stxb.run("images", *given, "--push", "--report", "build.html")
    assert "Traceback" not in ended.err
    return ended, given


def states(ended: Ended) -> dict[str, str]:
    """Give the state of each image."""
    return {image["label"]: image["state"] for image in ended.json["images"]}


def test_all_images_are_built_but_the_broken_one_and_its_child(
    first: tuple[Ended, tuple[object, ...]], module_stxb: Stxb
) -> None:
    ended, _ = first

    assert states(ended) == {
        **dict.fromkeys(GOOD, "built"), "stx-broken": "failed", "stx-below": "left out",
    }, ended.err  # fmt: skip
    assert ended.status == 1
    log = (module_stxb.folder / RECORDS / f"docker-stx-broken-{LABEL}.log").read_text()
    assert "it breaks here" in log
    assert "it breaks here" in ended.err + ended.out


def test_what_was_pushed_is_on_the_lists(
    first: tuple[Ended, tuple[object, ...]], module_stxb: Stxb, registry: Registry
) -> None:
    del first
    records = module_stxb.folder / RECORDS
    versioned = (records / f"images-{LABEL}-versioned.lst").read_text().splitlines()
    update = {"stx-delta": 2}

    assert sorted(versioned) == [f"{registry.address}/tests/{label}:{TAG}-1.{update.get(label, 0)}" for label in GOOD]
    latest = (records / f"images-{LABEL}-latest.lst").read_text().splitlines()
    assert sorted(latest) == [f"{registry.address}/tests/{label}:{TAG}-latest" for label in GOOD]
    for reference in (*versioned, *latest):
        found = ImageReference.parse(reference)
        assert registry.manifest(f"tests/{found.label}", found.tag)


def test_images_hold_what_their_directives_say(first: tuple[Ended, tuple[object, ...]], images: Images) -> None:
    del first

    def run(label: str, *words: str) -> str:
        return images.run(f"localhost/tests/{label}:{TAG}-build", *words)

    assert run("stx-beta", "cat", "/etc/beta") == "stx-alpha\n"
    assert run("stx-gamma", "cat", "/etc/words", "/etc/gamma") == "one\ntwo\n*\n"
    assert run("stx-script", "cat", "/etc/scripted") == "from a script\n"
    assert run("stx-service", "/var/lib/openstack/bin/service") == "service\n"
    assert run("stx-service", "id", "-u", "service") == "42424\n"
    imports = "import helper, tools; print(helper.VERSION, tools.VERSION)"
    assert run("stx-delta", "/var/lib/openstack/bin/python3", "-c", imports) == "2.0 3.1\n"
    assert images.config(f"localhost/tests/stx-alpha:{TAG}-build")["config"]["User"] == "1000:1000"


def test_all_images_are_as_their_directives_say(
    first: tuple[Ended, tuple[object, ...]], module_stxb: Stxb, product: Product
) -> None:
    del first
    which = ("--repo-root", product.root, "--os", "debian", "--os-codename", "trixie", "--os-arch", "amd64")
    ended = module_stxb.run("images", "verify", *which, "--user", "tests", "--skip", "stx-broken,stx-below")

    assert ended.status == 0, ended.out
    assert {line.split()[0] for line in ended.out.splitlines() if line.startswith("stx-")} == set(GOOD)


def test_nothing_is_built_again_for_nothing(first: tuple[Ended, tuple[object, ...]], module_stxb: Stxb) -> None:
    _, given = first
    again = module_stxb.run("images", *given, "--push", "--skip", "stx-broken,stx-below")

    assert again.status == 0, again.err
    assert states(again) == dict.fromkeys(GOOD, "unchanged")


def test_the_reason_for_a_build_is_told(
    first: tuple[Ended, tuple[object, ...]], module_stxb: Stxb, product: Product
) -> None:
    _, given = first
    file = product.directives("stx-alpha").parent / "docker/file"
    file.write_text("other\n")
    again = module_stxb.done("images", *given, "--only", "stx-alpha,stx-beta,stx-infra")
    reasons = {image["label"]: image["reason"] for image in again.json["images"]}

    assert reasons["stx-alpha"] == "context changed"
    assert reasons["stx-beta"] == "image stx-alpha changed"
    assert states(again)["stx-infra"] == "unchanged"


def test_the_registry_may_be_down_and_the_push_goes_on_later(
    first: tuple[Ended, tuple[object, ...]], module_stxb: Stxb, registry: Registry, images: Images
) -> None:
    _, given = first
    down = [word if word != registry.address else "127.0.0.1:1" for word in given]
    folder = module_stxb.folder / "later"
    folder.mkdir()
    ended = module_stxb.run("images", *down, "--push", "--only", "stx-infra", "--output", folder, "--force")

    assert ended.status == 5, ended.err
    assert states(ended) == {"stx-infra": "push failed"}
    assert "stxb images push" in ended.err + ended.out
    assert [f"localhost/tests/stx-infra:{TAG}-build"] in images.listed()
    # The registry is back, under the name that was meant.
    record = folder / "build-images/build.json"
    record.write_text(record.read_text().replace("127.0.0.1:1", registry.address))
    pushed = module_stxb.done("images", "push", "--output", folder, "--tls-verify", "false", "--format", "json")
    assert states(pushed) == {"stx-infra": "built"}
    lists = folder / "build-images" / f"images-{LABEL}-versioned.lst"
    assert lists.read_text() == f"{registry.address}/tests/stx-infra:{TAG}-1.0\n"


def test_mistakes_are_told_all_at_once(
    stxb: Stxb, product: Product, tmp_path: Path, base_image: ImageReference
) -> None:
    root = tmp_path / "repo"
    shutil.copytree(product.root, root)
    shutil.rmtree(root / "stx-alpha/debian/all/docker")
    (root / "stx-script/debian/all/build.sh").unlink()
    (root / "stx-free/debian/all/docker/Dockerfile").unlink()
    ended = stxb.run("images", "--repo-root", root, "--os", "debian", "--os-codename", "trixie", "--base", base_image)

    assert ended.status == 2
    for said in ("stx-alpha", "build.sh", "stx-free", "--wheels", "--allow-scripts"):
        assert said in ended.err
    assert not (stxb.folder / RECORDS).exists()


def test_the_plan_is_shown_and_nothing_is_done(stxb: Stxb, product: Product, base_image: ImageReference) -> None:
    given = options(product, "registry.example", base_image)
    plan = stxb.done("images", *given, "--dry-run", "--skip", "stx-broken,stx-below")
    order = [image["label"] for image in plan.json["images"]]

    assert order.index("stx-alpha") < order.index("stx-beta")
    assert not (stxb.folder / RECORDS).exists()
