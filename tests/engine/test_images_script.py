# SPDX-License-Identifier: Apache-2.0
"""BUILDER=script: a script runs in a checkout, its docker is ours, and nothing but the image is left."""

import json
import os
import time
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.images import script
from stxbuildah.job.images.work import ImageWork
from stxbuildah.model.imagebuild import ImageDirectives, SelectionRequest
from stxbuildah.model.imagesrun import ImagesRequest
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies
from stxbuildah.model.update import HostOptions
from tests.engine.conftest import EngineStore
from tests.engine.imageworks import make_work, read_directives
from tests.engine.repositories import make_repository
from tests.engine.stxb import Images

pytestmark = pytest.mark.engine

PROXY = "http://someone:proxysecret@127.0.0.1:1"
REQUEST = ImagesRequest(
    selection=SelectionRequest(roots=()),
    allow_scripts=True,
    host=HostOptions(proxies=Proxies(http=PROXY, no="localhost")),
)


@attrs.frozen
class Scripts:
    """Makes images of scripts.

    Attributes:
        store: the store.
        folder: of the test.
        url: a repository with a file.
    """

    store: EngineStore
    folder: Path
    url: str

    def image(self, text: str) -> ImageDirectives:
        """An image of a script."""
        (self.folder / "build").mkdir(exist_ok=True)
        (self.folder / "build/make.sh").write_text(text)
        keys = f"BUILDER=script\nLABEL=stx-made\nSOURCE_REPO={self.url}\nSCRIPT=build/make.sh\nARGS='one two'\n"
        return read_directives(self.folder / "stx-made.stable_docker_image", keys)

    def work(self, text: str, lines: list[str] | None = None, request: ImagesRequest = REQUEST) -> ImageWork:
        """The building of an image of a script."""
        on_line = None if lines is None else lines.append
        return make_work(self.store, self.folder, self.image(text), request=request, on_line=on_line)

    def names(self) -> set[str]:
        """The names of all images but the temporary ones."""
        listed = {name for image in self.store.store.list() for name in image.names}
        return {name for name in listed if "stxb-temporary" not in name}

    def containers(self) -> int:
        """How many containers there are, podman's included."""
        listed = self.store.runner.run(["buildah", "containers", "--all", "--json"]).stdout
        return len(json.loads(listed) or [])


@pytest.fixture
def scripts(stores: dict[str, EngineStore], tmp_path: Path) -> Scripts:
    return Scripts(
        stores["overlay"], tmp_path, make_repository(tmp_path / "repository", {"file": "from the repository\n"})
    )


# What such scripts do with docker. The base image is put in for @BASE@.
SCRIPT = """\
set -eu
echo "words: $*"
image=$3
case $PATH in */bin:*) ;; *) exit 3 ;; esac
test "$http_proxy" = "$4"
test "$no_proxy" = "$5"
test -z "${SOME_TOKEN:-}"
mkdir inner
printf 'FROM @BASE@\\nARG TEXT\\nCOPY file /file\\nRUN echo "$TEXT" > /text\\n' > inner/Dockerfile
cp file inner/
docker build --rm --no-cache --build-arg TEXT="built by $1" -t tests/script-step inner
docker run --rm -v "$PWD:/here" tests/script-step sh -c 'cat /text /file > /here/seen'
cat seen
test -n "$(docker images -q tests/script-step)"
docker images --format '{{.Repository}}:{{.Tag}}' | grep -x tests/script-step:latest
test "$(docker inspect --format '{{index .Config.Env 0}}' tests/script-step | cut -d= -f1)" = PATH
docker tag tests/script-step "$image"
docker save -o saved.tar "$image"
test -s saved.tar
docker rmi tests/script-step
docker image inspect "$image" > /dev/null
if docker compose up; then exit 4; fi
docker run -d @BASE@ sleep 100
"""


def test_a_script_makes_an_image(
    scripts: Scripts, base_image: ImageReference, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    before = (scripts.names(), scripts.containers())
    lines: list[str] = []
    work = scripts.work(SCRIPT.replace("@BASE@", str(base_image)), lines)
    assert sorted(script.inputs(work)) == ["script", "source"]
    raw = script.build_script(work).reference
    assert str(raw).startswith("localhost/stxb-temporary:")
    assert f"words: one two tests/stx-made:build {PROXY} localhost".replace("proxysecret", "********") in lines
    assert not any("proxysecret" in line for line in lines)
    assert {"built by one", "from the repository", "Untagged: tests/script-step:latest"} <= set(lines)
    assert any(line.startswith("docker: 'compose' is not among") for line in lines)
    assert images.run(str(raw), "cat", "/text") == "built by one\n"
    assert images.config(str(raw))["created"].startswith("2025-10-09T")
    assert "proxy" not in json.dumps(images.config(str(raw))["config"])
    # No name, container or change of the repository is left.
    assert (scripts.names(), scripts.containers()) == before
    assert not (scripts.folder / "repository/seen").exists()
    assert not (scripts.folder / "repository/build").exists()


def test_what_an_earlier_run_has_built_stays_until_there_is_a_new_one(
    scripts: Scripts, base_image: ImageReference
) -> None:
    work = scripts.work("docker tag tests/none $3 || true")
    scripts.store.store.tag(base_image, work.image.names.build)
    try:
        with pytest.raises(BuildError, match="the script has left no image tests/stx-made:build"):
            script.build_script(work)
        with pytest.raises(BuildError, match=r"the script make\.sh failed: bash ended with exit status 9"):
            script.build_script(make_again(scripts, f"docker tag {base_image} $3; exit 9"))
        assert str(work.image.names.build) in scripts.names()
        # A script that calls buildah itself.
        raw = script.build_script(
            make_again(scripts, f"c=$(buildah from {base_image}); buildah commit --rm $c localhost/$3")
        ).reference
        assert scripts.store.store.find(raw) == raw
        assert str(work.image.names.build) not in scripts.names()
    finally:
        if str(work.image.names.build) in scripts.names():
            scripts.store.store.untag(work.image.names.build)


def make_again(scripts: Scripts, text: str) -> ImageWork:
    """The next attempt, in a work folder of its own."""
    work = scripts.work(text)
    folder = work.folder / text[:3].encode().hex()
    folder.mkdir()
    return attrs.evolve(work, folder=folder)


def test_a_script_that_takes_too_long_leaves_nothing(scripts: Scripts, base_image: ImageReference) -> None:
    before = (scripts.names(), scripts.containers())
    # Nobody else sleeps as long.
    nap = f"sleep {200_000 + os.getpid()}"
    text = f"setsid {nap} & printf 'FROM {base_image}\\nRUN {nap}\\n' > Dockerfile; docker build -t $3 ."
    lines: list[str] = []
    work = scripts.work(text, lines)
    for seconds in (4, 16, 64, 256):
        folder = work.folder / str(seconds)
        folder.mkdir()
        with pytest.raises(BuildError, match=r"the script make\.sh had not ended after .* seconds and was stopped"):
            script.build_script(attrs.evolve(work, folder=folder, deadline=time.monotonic() + seconds))
        if any(f"RUN {nap}" in line for line in lines):
            break
    assert any(f"RUN {nap}" in line for line in lines)
    assert (scripts.names(), scripts.containers()) == before
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [words for words in running if words.startswith(nap.replace(" ", "\0").encode())]


RUNS = """\
set -eu
docker run --rm -v "$PWD:/here" -e WORD=chroot -w /here --entrypoint sh @BASE@ -c 'echo "$WORD $PWD" > made'
test "$(cat made)" = "chroot /here"
if docker run @BASE@ sh -c 'exit 7'; then exit 1; else test $? = 7; fi
docker run @BASE@ python3 -c 'print("no entry point")' > /dev/null
if docker run -d @BASE@ sleep 100; then exit 1; fi
docker tag @BASE@ $3
"""


def test_docker_runs_without_an_oci_runtime(scripts: Scripts, base_image: ImageReference) -> None:
    before = scripts.containers()
    lines: list[str] = []
    work = scripts.work(RUNS.replace("@BASE@", str(base_image)), lines)
    choices = attrs.evolve(work.engine.choices, isolation="chroot")
    raw = script.build_script(attrs.evolve(work, engine=attrs.evolve(work.engine, choices=choices))).reference
    assert scripts.store.store.find(raw) == raw
    assert [line for line in lines if line.startswith("docker: ")] == [
        "docker: run --detach needs an OCI runtime, and none works on this machine (stxb doctor says why)",
    ]
    assert scripts.containers() == before


def test_a_script_needs_leave(scripts: Scripts) -> None:
    forbidden = attrs.evolve(REQUEST, allow_scripts=False)
    with pytest.raises(InputError, match="its script runs on this machine") as caught:
        script.build_script(scripts.work("true", request=forbidden))
    assert caught.value.hint == "allow it with --allow-scripts"
    image = scripts.image("true")
    (scripts.folder / "build/make.sh").unlink()
    assert [str(problem) for problem in script.problems(image)] == [
        f"{image.file}:4: the script {scripts.folder}/build/make.sh is not there"
    ]
