# SPDX-License-Identifier: Apache-2.0
"""BUILDER=docker: what buildah makes of Containerfiles, and that nothing else is left of a build."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.children import Children
from stxbuildah.engine.execute import Postponed
from stxbuildah.engine.locks import BUILDS
from stxbuildah.engine.orphans import find_orphans, remove_orphans
from stxbuildah.engine.process import Runner
from stxbuildah.errors import BuildError, InterruptedByUserError
from stxbuildah.job.images import docker
from stxbuildah.job.images.work import RunMaterial, WheelsTarball
from stxbuildah.model.imagebuild import ImageDirectives, SelectionRequest
from stxbuildah.model.imagesrun import ImageMaterial, ImageNaming, ImagesRequest
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices, Proxies, RegistryAccess
from stxbuildah.model.update import HostOptions
from tests.engine.conftest import EngineStore
from tests.engine.images import image_with
from tests.engine.imageworks import make_work, read_directives, stored
from tests.engine.registries import Registry
from tests.engine.repositories import commit, make_patch, make_repository, write_files
from tests.engine.stxb import Images, signals_as_in_a_terminal

pytestmark = pytest.mark.engine

DOCKER = "BUILDER=docker\nLABEL={label}\n"
PROXY = "http://someone:proxysecret@127.0.0.1:1"


def containers(runner: Runner) -> set[str]:
    """The ids of all working containers."""
    listed = json.loads(runner.run(["buildah", "containers", "--json"]).stdout) or []
    return {container["id"] for container in listed}


def directives(folder: Path, label: str, files: dict[str, str], more: str = "") -> ImageDirectives:
    """An image with a context of these files."""
    write_files(folder / "docker", files)
    return read_directives(folder / f"{label}.stable_docker_image", DOCKER.format(label=label) + more)


PARENT = "ARG BASE\nFROM $BASE\nRUN echo 1 > /of-parent\n"
CONTAINERFILE = """\
# syntax=docker/dockerfile:1
ARG BASE
FROM stx-parent AS parent
FROM ${BASE} AS work
ARG http_proxy
ARG WHEELS
COPY . /context
COPY --from=parent /of-parent /of-parent
SHELL ["/bin/bash", "-ec"]
RUN <<EOF
test "$http_proxy" = "$(cat /context/wanted-proxy)"
cat "$WHEELS" > /wheels
case $- in *e*) echo bash > /shell ;; esac
EOF
RUN <<-'A' cat > /a && python3 <<B > /b
	first line
	A
print("from python")
B
COPY <<'ONE' <<TWO /here/
$HOME
ONE
two
TWO
RUN --mount=type=bind,source=.,target=/media,rw echo written > /media/by-the-build
HEALTHCHECK CMD true
FROM work
CMD ["last"]
"""

IGNORE = """\
*.log
!kept.log
deep/**/secret
Containerfile
.containerignore
hidden
!hidden/but
"""
IN_CONTEXT = ("x.log", "kept.log", "deep/er/secret", "deep/er/open", "deep/secret", "hidden/but", "hidden/else")
SEEN = ["deep", "deep/er", "deep/er/open", "hidden", "hidden/but", "kept.log", "wanted-proxy"]
LOOK = "cat /wheels /shell /a /b /here/ONE /here/TWO /of-parent; cd /context; find * | sort; ls /mnt"
LOOKED = ["the wheels", "bash", "first line", "from python", "$HOME", "two", "1", *SEEN]


def test_a_containerfile_with_everything(
    stores: dict[str, EngineStore], base_image: ImageReference, images: Images, tmp_path: Path
) -> None:
    store = stores["overlay"]
    before = containers(store.runner)
    parent = directives(tmp_path / "parent", "stx-parent", {"Dockerfile": PARENT})
    made = docker.build_docker(make_work(store, tmp_path, parent, base=base_image)).reference
    files = {"Containerfile": CONTAINERFILE, ".containerignore": IGNORE, "wanted-proxy": PROXY}
    files |= dict.fromkeys(IN_CONTEXT, "")
    image = directives(tmp_path / "image", "stx-image", files, "DOCKER_FILE=docker/Containerfile\n")
    assert docker.problems(image) == []
    assert docker.parents(image, {"stx-parent", "stx-other"}) == ("stx-parent",)
    assert docker.uses_base(image)
    assert docker.remarks(image) == []
    (tmp_path / "some wheels.tar").write_text("the wheels\n")
    request = ImagesRequest(
        selection=SelectionRequest(roots=()),
        host=HostOptions(proxies=Proxies(http=PROXY)),
        material=ImageMaterial(wheels=str(tmp_path / "some wheels.tar")),
    )
    lines: list[str] = []
    steps: list[str] = []
    parents = {"stx-parent": stored(store, made)}
    work = make_work(
        store, tmp_path, image, base=base_image, parents=parents, request=request, on_line=lines.append,
        tell=steps.append,
    )  # fmt: skip
    raw = str(docker.build_docker(work).reference)

    assert any(step.startswith("STEP ") and "RUN" in step for step in steps)
    assert not any("proxysecret" in line for line in [*lines, *steps])
    config = images.config(raw)
    assert config["config"]["Cmd"] == ["last"]
    assert config["config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]
    assert "proxy" not in json.dumps(config["config"])
    assert "proxysecret" not in json.dumps(config)
    assert config["created"].startswith("2025-10-09T")
    assert images.run(raw, "sh", "-c", LOOK).splitlines() == LOOKED
    # The context that a program wrote to was a copy.
    assert not (tmp_path / "image/docker/by-the-build").exists()
    assert containers(store.runner) == before
    assert list((work.engine.folders.state / BUILDS).iterdir()) == []


def test_what_an_image_is_made_of(stores: dict[str, EngineStore], base_image: ImageReference, tmp_path: Path) -> None:
    containerfile = "ARG BASE\nARG WHEELS\nFROM ${BASE}\nFROM stx-parent\n"
    image = directives(tmp_path, "stx-image", {"Dockerfile": containerfile, "file": "1"})
    wheels = WheelsTarball(folder=tmp_path, digest="sha256:1", text="wheels.tar")
    late = make_work(stores["overlay"], tmp_path, image, base=base_image, material=RunMaterial(wheels=wheels))
    base = late.base
    work = attrs.evolve(late, parents={"stx-parent": base})

    first = docker.inputs(work)
    assert sorted(first) == ["base", "containerfile", "context", "image stx-parent", "wheels"]
    assert first["base"] == base.digest
    assert first["wheels"] == "sha256:1"
    (tmp_path / "docker/file").write_text("2")
    assert [name for name, digest in docker.inputs(work).items() if first[name] != digest] == ["context"]
    late = attrs.evolve(late, labels=frozenset({"stx-parent"}))
    with pytest.raises(Postponed) as caught:
        docker.inputs(late)
    assert caught.value.labels == ("stx-parent",)
    there = docker.inputs(attrs.evolve(late, finished={"stx-parent": base}))
    assert there["image stx-parent"] == first["image stx-parent"]


def test_a_repository_with_patches(
    stores: dict[str, EngineStore], base_image: ImageReference, images: Images, tmp_path: Path
) -> None:
    store, repository = stores["overlay"], tmp_path / "one/repo.git"
    url = make_repository(repository, {"sub/Dockerfile": "ARG BASE\nFROM $BASE\nCOPY text /\n", "sub/text": "plain\n"})
    other = make_repository(tmp_path / "two/repo.git", {"Dockerfile": "FROM scratch\nCOPY text /\n", "text": "other\n"})
    first = make_patch(repository, tmp_path / "first.patch", {"sub/text": "patched\n"})
    outdated = make_patch(repository, tmp_path / "outdated.patch", {"sub/text": "otherwise\n"})

    def image(label: str, *keys: str) -> ImageDirectives:
        text = DOCKER.format(label=label) + "\n".join(keys) + "\n"
        return read_directives(tmp_path / f"{label}.stable_docker_image", text)

    patched = image("stx-a", f"DOCKER_REPO={url}", f"DOCKER_PATCHES={first.name}")
    assert docker.problems(patched) == []
    work = make_work(store, tmp_path, patched, base=base_image)
    inputs = docker.inputs(work)
    assert sorted(inputs) == ["base", "patches", "source"]
    assert images.run(str(docker.build_docker(work).reference), "cat", "/text") == "patched\n"

    # Another repository whose URL ends alike, without the base image.
    raw = docker.build_docker(make_work(store, tmp_path, image("stx-b", f"DOCKER_REPO={other}"))).reference
    with images.top_layer_tar(str(raw)) as layer:
        member = layer.extractfile("text")
        assert member is not None
        assert member.read() == b"other\n"

    write_files(repository, {"new": ""})
    new = commit(repository, "new")
    assert docker.inputs(work) == {**inputs, "source": new}
    assert inputs["source"] != new

    both = image("stx-c", f"DOCKER_REPO={url}", f"DOCKER_PATCHES='{first.name} {outdated.name}'")
    with pytest.raises(BuildError, match=r"the patch .*outdated\.patch does not apply") as caught:
        docker.build_docker(make_work(store, tmp_path, both, base=base_image))
    assert any("patch does not apply" in line for line in caught.value.details)


def test_an_image_from_elsewhere_is_fetched(
    stores: dict[str, EngineStore], registry: Registry, runner: Runner, images: Images, tmp_path: Path
) -> None:
    store, name = stores["overlay"], f"{registry.address}/tests/elsewhere:1"
    source = image_with(tmp_path / "elsewhere", "from elsewhere")
    runner.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, f"docker://{name}"])
    image = directives(
        tmp_path, "stx-image", {"Dockerfile": f"FROM {name}\nCOPY file /file\nONBUILD RUN x\n", "file": ""}
    )
    assert not docker.uses_base(image)
    assert [remark.endswith(f" has no FROM ${{BASE}}: it is built on {name}") for remark in docker.remarks(image)] == [
        True
    ]
    request = ImagesRequest(
        selection=SelectionRequest(roots=()),
        naming=ImageNaming(registry=registry.address),
        access=RegistryAccess(tls_verify=False),
    )
    work = make_work(store, tmp_path, image, request=request)
    assert sorted(docker.inputs(work)) == ["containerfile", "context"]
    raw = docker.build_docker(work, {"a.label": '{"b": "c=d"}'}).reference
    config = images.config(str(raw))["config"]
    assert config["Labels"]["a.label"] == '{"b": "c=d"}'
    assert config["OnBuild"] == ["RUN x"]
    layers = images.manifest(str(raw))["layers"]
    assert len(layers) == 2
    assert images.manifest(str(raw))["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"


def test_a_step_that_fails(stores: dict[str, EngineStore], base_image: ImageReference, tmp_path: Path) -> None:
    store = stores["overlay"]
    before = containers(store.runner)
    image = directives(tmp_path, "stx-image", {"Dockerfile": "ARG BASE\nFROM $BASE\nRUN sleep 0.5; false\n"})
    with pytest.raises(BuildError, match=r"the build failed at RUN sleep 0\.5; false: "):
        docker.build_docker(make_work(store, tmp_path, image, base=base_image))
    assert containers(store.runner) == before


# Nobody else sleeps as long; one of the programs leaves the process group.
NAP = str(100_000 + os.getpid())
HANGS = f"ARG BASE\nFROM $BASE\nRUN setsid sleep {NAP} & echo it hangs; sleep {NAP}\n"


def hanging() -> list[str]:
    """The programs of builds that hang."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", NAP.encode()]:
            found.append(folder.name)
    return found


@pytest.mark.parametrize("isolation", ["chroot", "rootless"])
def test_a_build_that_takes_too_long_leaves_nothing(
    stores: dict[str, EngineStore], base_image: ImageReference, tmp_path: Path, isolation: str
) -> None:
    store = stores["overlay"]
    if isolation != "chroot" and store.choices.isolation == "chroot":
        pytest.skip("no other isolation works on this machine")
    before = containers(store.runner)
    image = directives(tmp_path, "stx-image", {"Dockerfile": HANGS})
    begun = threading.Event()

    def on_line(line: str) -> None:
        if line == "it hangs":
            begun.set()

    work = make_work(store, tmp_path, image, base=base_image, on_line=on_line)
    choices = attrs.evolve(store.choices, isolation=isolation)
    work = attrs.evolve(work, engine=attrs.evolve(work.engine, choices=choices))
    for seconds in (4, 16, 64, 256):
        late = attrs.evolve(work, deadline=time.monotonic() + seconds)
        with pytest.raises(BuildError, match=r"had not ended after .* seconds and was stopped"):
            docker.build_docker(late)
        if begun.is_set():
            break
    assert begun.is_set()
    assert containers(store.runner) == before
    assert hanging() == []
    assert list((work.engine.folders.state / BUILDS).iterdir()) == []


def test_an_interrupted_build_leaves_nothing(
    stores: dict[str, EngineStore], base_image: ImageReference, tmp_path: Path
) -> None:
    store, children = stores["overlay"], Children()
    before = containers(store.runner)

    def on_line(line: str) -> None:
        if line == "it hangs":
            threading.Thread(target=children.end).start()

    image = directives(tmp_path, "stx-image", {"Dockerfile": HANGS})
    work = make_work(store, tmp_path, image, base=base_image)
    runner = attrs.evolve(store.runner, on_line=on_line, children=children)
    with pytest.raises(InterruptedByUserError):
        docker.build_docker(attrs.evolve(work, engine=attrs.evolve(work.engine, runner=runner)))
    assert containers(store.runner) == before
    assert hanging() == []


OWNER = """
import sys
from pathlib import Path
from stxbuildah.engine.imagebuild import BuildOrder, build
from stxbuildah.engine.process import Runner
from stxbuildah.model.settings import HostChoices, Storage
runner = Runner(on_line=lambda line: print(line, flush=True))
order = BuildOrder(
    context=Path(sys.argv[1]), containerfile=Path(sys.argv[1], "Dockerfile"), name="localhost/tests/orphan:1",
    arguments=(("BASE", sys.argv[2]),), timestamp=1,
)
build(runner, {choices!r}, order, state_folder=Path(sys.argv[3]), timeout=None, on_step=lambda step: None)
"""


def test_a_killed_owners_build_is_ended_by_the_next_run(
    choices: HostChoices, runner: Runner, base_image: ImageReference, tmp_path: Path
) -> None:
    before = containers(runner)
    write_files(tmp_path / "context", {"Dockerfile": HANGS})
    state = tmp_path / "state"
    code = OWNER.replace("{choices!r}", repr(choices))
    with signals_as_in_a_terminal():
        child = runner.start([sys.executable, "-c", code, str(tmp_path / "context"), str(base_image), str(state)])
    assert child.stdout is not None
    assert child.stderr is not None
    with child:
        while b"it hangs" not in child.stdout.readline():
            assert child.poll() is None
        assert find_orphans(choices, state) == ()
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert len(containers(runner) - before) == 1
        assert len(find_orphans(choices, state)) == 1
        assert len(remove_orphans(runner, choices, state)) == 1
    assert containers(runner) == before
    assert hanging() == []
    assert find_orphans(choices, state) == ()
