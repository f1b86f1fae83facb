# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` in a registry: nothing is pulled or run, and the image is the same as of the other lanes."""

import json
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.stored import digest_of
from tests.engine.registries import FaultProxy, Registry
from tests.engine.stxb import PROGRAM, Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

PLAIN = ("--tls-verify", "false")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "stx-remote", "1.0")


def without_programs(stxb: Stxb, folder: Path) -> Stxb:
    """The same command where no other program is found."""
    folder.mkdir(exist_ok=True)
    return attrs.evolve(stxb, environment={**stxb.environment, "PATH": str(folder)})


def manifest(registry: Registry, tag: str) -> Any:
    return json.loads(registry.manifest("tests/base", tag))


def test_the_same_image_as_the_computed_lane_makes(
    make_stxb: StxbMaker, images: Images, registry: Registry, registry_base: ImageReference, wheel: Path
) -> None:
    words = ("--from", registry_base, "--wheel", wheel, "--push", *PLAIN)
    here = make_stxb().update(*words, "--tag", "same.1", "--lane", "computed", "--clean")
    before = images.listed()
    there = make_stxb().update(*words, "--tag", "same.2")
    assert (here["lane"], there["lane"]) == ("computed", "registry")
    assert there["digest"] == here["digest"]
    assert there["layer"] == here["layer"]
    assert there["changes"] == here["changes"]
    assert registry.manifest("tests/base", "same.2") == registry.manifest("tests/base", "same.1")
    assert images.listed() == before


def test_without_any_program(
    stxb: Stxb, registry: Registry, registry_base: ImageReference, wheel: Path, tmp_path: Path
) -> None:
    alone = without_programs(stxb, tmp_path / "nothing")
    result = alone.update("--from", registry_base, "--wheel", wheel, "--push", *PLAIN, "--tag", "alone")
    assert result["lane"] == "registry"
    assert digest_of(registry.manifest("tests/base", "alone")) == result["digest"]
    assert result["changes"]["python"] == ["+ stx-remote==1.0"]
    said = alone.refused(3, "--from", registry_base, "--wheel", wheel, *PLAIN)
    assert "is not installed" in said
    assert "give --push" in said


def test_only_what_is_new_is_uploaded_and_the_second_time_nothing_is_read(
    stxb: Stxb, fault_proxy: Any, registry: Registry, registry_base: ImageReference, wheel: Path
) -> None:
    proxy: FaultProxy = fault_proxy()
    base = str(registry_base).replace(registry_base.registry, proxy.address)
    words = ("--from", base, "--wheel", wheel, "--push", *PLAIN, "--lane", "registry")
    layers = [layer["digest"] for layer in manifest(registry, "1")["layers"]]
    stxb.update(*words, "--tag", "first")
    assert set(layers) <= blobs_read(proxy)
    proxy.seen.clear()
    stxb.update(*words, "--tag", "second")
    assert blobs_read(proxy) == {manifest(registry, "1")["config"]["digest"]}
    # Of the blobs only the new layer and the configuration, which are small, are sent without asking for them.
    assert proxy.statuses("POST", "/blobs/uploads/") == [202, 202]


def blobs_read(proxy: FaultProxy) -> set[str]:
    return {seen.path.rpartition("/")[2] for seen in proxy.seen if seen.method == "GET" and "/blobs/" in seen.path}


def test_from_one_registry_to_another(
    stxb: Stxb, auth_registry: Registry, registry_base: ImageReference, wheel: Path, images: Images
) -> None:
    target = f"{auth_registry.address}/moved/base:9"
    result = stxb.update(
        "--from", registry_base, "--wheel", wheel, "--to", target, *PLAIN, "--authfile", auth_registry.authfile
    )
    assert (result["lane"], result["image"], result["pushed"]) == ("registry", target, True)
    argv = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--authfile", str(auth_registry.authfile)]
    images.runner.run([*argv, f"docker://{target}", "containers-storage:localhost/moved:9"])
    found = images.run("localhost/moved:9", "python3", "-c", "import stx_remote; print(stx_remote.__name__)")
    assert found == "stx_remote\n"
    images.runner.run(["buildah", "rmi", "localhost/moved:9"])


def test_a_local_image_of_the_same_name_wins(
    stxb: Stxb, images: Images, registry_base: ImageReference, base_image: ImageReference, wheel: Path
) -> None:
    name = str(registry_base.with_tag("mine"))
    container = images.runner.run(["buildah", "from", str(base_image)]).stdout.decode().strip()
    images.runner.run(["buildah", "config", "--label", "mine=yes", container])
    images.runner.run(["buildah", "commit", "--quiet", "--rm", container, name])
    images.runner.run(
        ["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false",
         f"docker://{registry_base}", f"docker://{name}"]
    )  # fmt: skip
    result = stxb.update("--from", name, "--wheel", wheel, "--push", *PLAIN)
    assert result["lane"] == "computed"
    assert "another image" in result["reason"]
    assert images.config(f"{registry_base.name}:mine.1")["config"]["Labels"]["mine"] == "yes"
    images.runner.run(["buildah", "rmi", name, f"{registry_base.name}:mine.1"])


def test_an_expected_digest(stxb: Stxb, registry: Registry, registry_base: ImageReference, wheel: Path) -> None:
    digest = digest_of(registry.manifest("tests/base", "1"))
    words = ("--from", registry_base, "--wheel", wheel, "--push", *PLAIN, "--tag", "expected")
    said = stxb.refused(2, *words, "--expect-digest", f"sha256:{'0' * 64}")
    assert digest in said
    assert registry.blobs.exists()
    stxb.update(*words, "--expect-digest", digest)


def test_an_account_without_subordinate_ids(
    stxb: Stxb, runner: Runner, registry: Registry, registry_base: ImageReference, wheel: Path
) -> None:
    """The programs are there, and can map no other user than this one."""
    argv = ["unshare", "--user", "--map-user=4321", "--map-group=4321", "--"]
    words = ["update", "--from", str(registry_base), "--wheel", str(wheel), "--push", *PLAIN, "--tag", "one-user"]
    environment = {**stxb.environment, "USER": "somebody", "HOME": str(stxb.folder)}
    completed = runner.run(
        [*argv, str(PROGRAM), *words, "--format", "json", "--verbose"], extra=environment, cwd=stxb.folder
    )
    result = json.loads(completed.stdout)
    assert result["lane"] == "registry"
    assert digest_of(registry.manifest("tests/base", "one-user")) == result["digest"]
    said = runner.run(
        [*argv, str(PROGRAM), *(word for word in words if word != "--push")],
        extra=environment,
        cwd=stxb.folder,
        check=False,
    )
    assert said.returncode == 3
    assert "give --push" in " ".join(said.tail)


def test_inside_an_unprivileged_container(
    choices: HostChoices,
    runner: Runner,
    registry: Registry,
    registry_base: ImageReference,
    base_image: ImageReference,
    wheel: Path,
) -> None:
    """The programs are there and fail one after the other: no user namespace, no mount."""
    seen = {"/usr": "ro", sys.prefix: "ro", str(Path(__file__).parents[2]): "ro", str(wheel.parent): "ro"}
    volumes = [word for path, mode in seen.items() for word in ("--volume", f"{path}:{path}:{mode}")]
    argv = [
        "podman", "run", "--rm", "--network", "host", "--cap-drop", "all", "--env", "HOME=/tmp", "--workdir", "/tmp",
        *volumes,
        str(base_image), str(Path(sys.executable).with_name("stxb")), "update", "--from", str(registry_base),
        "--wheel", str(wheel), "--push", *PLAIN, "--tag", "nested", "--format", "json",
    ]  # fmt: skip
    completed = runner.run(argv, extra=dict(choices.environment), check=False)
    assert completed.returncode == 0, completed.tail
    result = json.loads(completed.stdout)
    assert result["lane"] == "registry"
    assert digest_of(registry.manifest("tests/base", "nested")) == result["digest"]
