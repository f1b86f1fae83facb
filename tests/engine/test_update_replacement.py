# SPDX-License-Identifier: Apache-2.0
"""A newer version replaces the older one whole, whichever installer had brought it."""

from pathlib import Path
from typing import Any

import pytest

from stxbuildah.job.publish import INSTALLED_LABEL
from stxbuildah.layer.updates import BASE_DIGEST_LABEL, BASE_NAME_LABEL
from stxbuildah.model.reference import ImageReference
from tests.engine.environments import SYSTEM, USUAL_PATH, Facts, WithPath, facts, new_paths, new_wheel
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

SITE = "/usr/local/lib/python3.13/dist-packages"
PACKAGES = "/usr/lib/python3/dist-packages"
LABELS = {
    INSTALLED_LABEL, BASE_NAME_LABEL, BASE_DIGEST_LABEL,
    *(f"org.opencontainers.image.{name}" for name in ("created", "base.name", "base.digest")),
}  # fmt: skip
OF_SYSTEM = ("stx-bare", "stx-egg", "stx-legacy", "stx-pip", "stx-uv")


@pytest.fixture(scope="module")
def base(environments: WithPath) -> ImageReference:
    return environments(USUAL_PATH)


@pytest.fixture(scope="module")
def before(images: Images, base: ImageReference) -> dict[str, Facts]:
    return facts(images, str(base), dict.fromkeys((*OF_SYSTEM, "stx-owned"), SYSTEM))


@pytest.fixture(scope="module")
def updated(module_stxb: Stxb, base: ImageReference, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("new")
    wheels = [word for name in OF_SYSTEM for word in ("--wheel", new_wheel(folder, name))]
    return module_stxb.update("--from", base, "--tag", "replaced", *wheels)


@pytest.fixture(scope="module")
def after(images: Images, updated: Any) -> dict[str, Facts]:
    return facts(images, str(updated["image"]), dict.fromkeys(OF_SYSTEM, SYSTEM))


@pytest.mark.parametrize("name", OF_SYSTEM)
def test_nothing_of_the_old_version_is_left(name: str, before: dict[str, Facts], after: dict[str, Facts]) -> None:
    old = before[name]
    assert (old.version, old.pip, old.script) == ("1.0", ("1.0",), f"{name} 1.0")
    assert any(path.endswith("/gone.py") for path in old.paths)
    assert any(path.endswith(f"bin/{name}-script") for path in old.paths)
    files = new_paths(name, site=SITE, scripts="/usr/local/bin")
    assert after[name] == Facts(paths=files, version="2.0", record=files, pip=("2.0",), script=f"{name} 2.0")


def test_what_was_recorded_is_what_pip_says(images: Images, module_stxb: Stxb, updated: Any) -> None:
    (recorded,) = (path for path in updated["records"] if path.endswith(".piplst"))
    frozen = images.run(str(updated["image"]), SYSTEM, "-m", "pip", "freeze").splitlines()
    assert sorted((module_stxb.folder / recorded).read_text().splitlines()) == sorted(frozen)
    assert updated["changes"]["python"] == [line for name in OF_SYSTEM for line in (f"- {name}==1.0", f"+ {name}==2.0")]


def test_what_the_distribution_owns_stays_unless_insisted(
    stxb: Stxb, images: Images, base: ImageReference, before: dict[str, Facts], tmp_path: Path
) -> None:
    assert before["stx-owned"].paths[:4] == (
        *(f"{PACKAGES}/stx_owned-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA")),
        f"{PACKAGES}/stx_owned/__init__.py",
        f"{PACKAGES}/stx_owned/gone.py",
    )
    words = ("--from", base, "--wheel", new_wheel(tmp_path, "stx-owned"), "--tag", "owned")
    said = stxb.refused(2, *words)
    assert "stx-owned 1.0 belongs to the image's package stx-owned" in said
    assert "--break-system-packages" in said
    result = stxb.update(*words, "--break-system-packages")
    found = facts(images, result["image"], {"stx-owned": SYSTEM})["stx-owned"]
    files = new_paths("stx-owned", site=SITE, scripts="/usr/local/bin")
    of_dpkg = ("/usr/share/doc/stx-owned", "/var/lib/dpkg/info/stx-owned.")
    assert tuple(path for path in found.paths if not path.startswith(of_dpkg)) == files
    assert (found.version, found.record, found.pip, found.script) == ("2.0", files, ("2.0",), "stx-owned 2.0")


def test_files_of_a_namespace_that_others_have_stay(stxb: Stxb, images: Images, base_image: ImageReference) -> None:
    folder = stxb.folder / "wheels"
    ours = {"stx_space/ours/__init__.py": "", "stx_space/ours/old.py": "", "stx_space/data/ours.txt": "1"}
    theirs = {"stx_space/theirs/__init__.py": "WHOSE = 'theirs'\n", "stx_space/data/theirs.txt": "1"}
    wheels = [
        make_wheel(folder, "stx-space-ours", "1.0", files=ours),
        make_wheel(folder, "stx-space-theirs", "1.0", files=theirs),
    ]
    first = stxb.update("--from", base_image, "--tag", "spaces", *(word for one in wheels for word in ("--wheel", one)))
    new = make_wheel(folder, "stx-space-ours", "1.1", files={"stx_space/ours/__init__.py": "NEW = True\n"})
    second = stxb.update("--from", first["image"], "--wheel", new)
    asked = (
        "cd /%s && find stx_space -type f | sort && python3 -c 'from stx_space import ours, theirs; print(ours.NEW)'"
    )
    assert images.run(second["image"], "sh", "-c", asked % SITE.lstrip("/")).splitlines() == [
        "stx_space/data/theirs.txt",
        "stx_space/ours/__init__.py",
        "stx_space/theirs/__init__.py",
        "True",
    ]


def test_twenty_updates_in_a_row(stxb: Stxb, images: Images, base_image: ImageReference) -> None:
    folder = stxb.folder / "wheels"
    image, layers = str(base_image), len(images.config(str(base_image))["rootfs"]["diff_ids"])
    for number in range(1, 21):
        files = {"stx_often/__init__.py": f"NUMBER = {number}\n", f"stx_often/only_{number}.py": ""}
        wheel = make_wheel(folder, "stx-often", f"1.{number}", files=files)
        image = stxb.update("--from", image, "--wheel", wheel, "--tag", f"often.{number}")["image"]
        layers += 1
        config = images.config(image)
        assert len(config["rootfs"]["diff_ids"]) == layers
        assert config["config"]["Labels"][INSTALLED_LABEL] == f"stx-often==1.{number}"
    assert set(images.config(image)["config"]["Labels"]) == {*LABELS, "org.opencontainers.image.title"}
    assert set(images.manifest(image).get("annotations", {})) == LABELS
    asked = f"cd {SITE} && ls -d stx_often*; ls stx_often; python3 -c 'import stx_often as m; print(m.NUMBER)'"
    assert images.run(image, "sh", "-c", asked).split() == [
        "stx_often", "stx_often-1.20.dist-info", "__init__.py", "only_20.py", "20",
    ]  # fmt: skip
