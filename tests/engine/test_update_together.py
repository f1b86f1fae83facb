# SPDX-License-Identifier: Apache-2.0
"""Several ``stxb update`` at once on one store: all end right."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.registries import Registry
from tests.engine.stxb import Ended, Images, Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine


def together(stxb: Stxb, updates: list[tuple[object, ...]]) -> list[Ended]:
    """Run updates at the same time and expect that each succeeds."""
    with ThreadPoolExecutor(len(updates)) as pool:
        ended = list(pool.map(lambda words: stxb.run("update", "--update-id", "together", *words), updates))
    for one in ended:
        assert one.status == 0, one.err
        assert "warning" not in one.err
    return ended


def listed(stxb: Stxb) -> set[str]:
    text = (stxb.folder / "stxb-out/update-images/together/image-updates.lst").read_text()
    lines = text.splitlines()
    assert len(set(lines)) == len(lines)
    return set(lines)


@pytest.fixture
def session_words(tmp_path: Path) -> tuple[object, ...]:
    script = tmp_path / "customize.sh"
    script.write_text("date > /etc/made\n")
    return ("--customize", script, "--pkg", make_deb(tmp_path, "stx-together", "1.0"))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "stx-together", "1.0")


def test_different_images(
    stxb: Stxb, images: Images, base_image: ImageReference, wheel: Path, session_words: tuple[object, ...]
) -> None:
    names = [f"localhost/tests/together-{number}" for number in range(3)]
    for name in names:
        images.runner.run(["buildah", "tag", str(base_image), f"{name}:1"])
    updates = [("--from", f"{name}:1", "--wheel", wheel, *session_words) for name in names]
    together(stxb, updates)
    layers = len(images.manifest(str(base_image))["layers"])
    assert listed(stxb) == {f"{name}:1.1" for name in names}
    assert [len(images.manifest(f"{name}:1.1")["layers"]) for name in names] == [layers + 1] * 3
    assert images.containers() == []


def test_one_image_to_different_tags(
    stxb: Stxb, images: Images, base_image: ImageReference, wheel: Path, session_words: tuple[object, ...]
) -> None:
    lanes = [("--tag", "both-a", "--wheel", wheel), ("--tag", "both-b", *session_words)]
    together(stxb, [("--from", base_image, *words) for words in lanes])
    layers = len(images.manifest(str(base_image))["layers"])
    assert [len(images.manifest(f"localhost/tests/base:both-{name}")["layers"]) for name in "ab"] == [layers + 1] * 2
    # One label: the list holds one of the two, whichever came last.
    assert len(listed(stxb)) == 1
    assert images.containers() == []


@pytest.mark.parametrize("count", [2, 6])
def test_one_image_to_one_tag(
    stxb: Stxb, images: Images, base_image: ImageReference, registry: Registry, wheel: Path, count: int
) -> None:
    target = f"{registry.address}/together/base:same-{count}"
    words = (
        "--from", base_image, "--wheel", wheel, "--tag", f"same-{count}", "--push", "--tls-verify=false",
        "--registry", registry.address, "--user", "together",
    )  # fmt: skip
    ended = together(stxb, [words] * count)
    assert len({one.out for one in ended}) == 1
    assert listed(stxb) == {target}
    assert len(images.manifest(target)["layers"]) == len(images.manifest(str(base_image))["layers"]) + 1
    assert images.containers() == []


def test_six_of_every_kind(
    stxb: Stxb, images: Images, base_image: ImageReference, registry: Registry, tmp_path: Path,
    session_words: tuple[object, ...],
) -> None:  # fmt: skip
    names = [f"localhost/tests/six-{number}" for number in range(6)]
    updates: list[tuple[object, ...]] = []
    for number, name in enumerate(names):
        images.runner.run(["buildah", "tag", str(base_image), f"{name}:1"])
        wheel = make_wheel(tmp_path, "stx-six", f"{number}.0")
        words = session_words if number % 2 else ()
        push = ("--push", "--tls-verify=false", "--registry", registry.address, "--user", "six") if number % 3 else ()
        updates.append(("--from", f"{name}:1", "--wheel", wheel, *words, *push))
    together(stxb, updates)
    ours = {f"localhost/tests/six-{number}:1.1" for number in (0, 3)}
    pushed = {f"{registry.address}/six/six-{number}:1.1" for number in (1, 2, 4, 5)}
    assert listed(stxb) == ours | pushed
    layers = len(images.manifest(str(base_image))["layers"])
    assert {name: len(images.manifest(name)["layers"]) for name in ours | pushed} == dict.fromkeys(
        ours | pushed, layers + 1
    )
    assert images.containers() == []
