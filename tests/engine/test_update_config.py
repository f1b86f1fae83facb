# SPDX-License-Identifier: Apache-2.0
"""An update leaves what the image says of itself alone, whichever lane made it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from tests.engine.environments import USUAL_PATH
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

RECORDED = ("org.opencontainers.image.created", "org.opencontainers.image.base.name",
            "org.opencontainers.image.base.digest", "io.stxbuildah.update.installed",
            "io.stxbuildah.update.base.name", "io.stxbuildah.update.base.digest")  # fmt: skip
TYPES = {"oci": OCI_MANIFEST, "docker": DOCKER_MANIFEST}
LAYER_TYPES = {
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
    "docker": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
ENTRYPOINTS = {"exec": '["/usr/bin/env", "--", "python3", "/srv/ask.py"]', "shell": "python3 /srv/ask.py"}
# The images' own program, which their entry point runs.
ASK = "import getpass, json, os, stx_set; print(json.dumps([getpass.getuser(), os.getcwd(), stx_set.VERSION]))\n"
CUSTOMIZATION = "#!/bin/sh\nset -e\ntest $(id -u) = 0\nid -un > /etc/ran-as\n"


def containerfile(base: ImageReference, entrypoint: str) -> str:
    return f"""\
FROM {base}
RUN echo worker:x:4321:4321::/srv/work:/bin/sh >> /etc/passwd && mkdir /srv/work && chown worker /srv/work
COPY ask.py /srv/ask.py
ENV COLOUR=blue GREETING="hello  world" PATH=/srv/bin:{USUAL_PATH}
WORKDIR /srv/work
LABEL org.example.kept="yes" org.example.changed="before"
VOLUME ["/srv/state", "/var/cache/own"]
EXPOSE 8080 53/udp
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=7s --timeout=3s --retries=4 CMD python3 -c pass
ONBUILD RUN touch /triggered
ONBUILD COPY . /copied
USER worker
ENTRYPOINT {entrypoint}
CMD ["-c", "print('default command')"]
"""


@pytest.fixture(scope="module", params=[(form, kind) for form in TYPES for kind in ENTRYPOINTS], ids="-".join)
def base(
    request: pytest.FixtureRequest, runner: Runner, base_image: ImageReference, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """An image with every setting; gives its manifest's form and its name."""
    form, kind = request.param
    reference = f"localhost/tests/settings:{form}-{kind}"
    file = tmp_path_factory.mktemp("settings") / "Containerfile"
    file.write_text(containerfile(base_image, ENTRYPOINTS[kind]))
    (file.parent / "ask.py").write_text(ASK)
    (file.parent / "ask.py").chmod(0o644)
    runner.run(
        ["buildah", "bud", "-q", "--isolation", "chroot", "--pull-never", "--format", form, "-t", reference,
         "-f", str(file), str(file.parent)]
    )  # fmt: skip
    return form, reference


def settled(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give a configuration without what an update is there to change."""
    kept = {key: value for key, value in config.items() if key not in {"created", "history", "rootfs"}}
    labels = {name: text for name, text in config["config"]["Labels"].items() if name not in RECORDED}
    return {**kept, "config": {**config["config"], "Labels": labels}}


def started(runner: Runner, image: str) -> str:
    """Start an image as its own settings say, and give what it wrote."""
    name = runner.run(["buildah", "from", "--pull-never", image]).stdout.decode().strip()
    try:
        entrypoint = json.loads(runner.run(["buildah", "inspect", name]).stdout)["OCIv1"]["config"]["Entrypoint"]
        argv = ["buildah", "run", "--isolation", "chroot", "--network", "host", name, "--", *entrypoint]
        return runner.run(argv).stdout.decode()
    finally:
        runner.run(["buildah", "rm", name])


@pytest.mark.parametrize("lane", ["computed", "session"])
def test_nothing_changes_but_what_was_asked_for(
    lane: str, base: tuple[str, str], stxb: Stxb, images: Images, runner: Runner, tmp_path: Path
) -> None:
    form, reference = base
    before, manifest_before = images.config(reference), images.manifest(reference)
    settings = before["config"]
    expected = {"User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"}
    # The OCI format has no place for these two, so buildah drops them from it.
    assert set(settings) >= expected | ({"Healthcheck", "OnBuild"} if form == "docker" else set())
    words: list[object] = ["--wheel", make_wheel(tmp_path, "stx-set", "1.0")]
    if lane == "session":
        (script := tmp_path / "customize.sh").write_text(CUSTOMIZATION)
        words += ["--pkg", make_deb(tmp_path, "stx-kit", "1.0"), "--customize", script]
    words += ["--label", "org.example.changed=after", "--label", "org.example.new=a=b c"]
    result = stxb.update("--from", reference, *words, "--annotation", "org.example.note=noted")
    assert result["lane"] == lane

    after, manifest = images.config(result["image"]), images.manifest(result["image"])
    wanted = settled(before)
    wanted["config"]["Labels"] |= {"org.example.changed": "after", "org.example.new": "a=b c"}
    assert settled(after) == wanted
    assert after["rootfs"]["diff_ids"][:-1] == before["rootfs"]["diff_ids"]
    assert after["history"][:-1] == before["history"]
    assert set(RECORDED) <= set(after["config"]["Labels"])

    assert manifest["mediaType"] == manifest_before["mediaType"] == TYPES[form]
    assert manifest["config"]["mediaType"] == manifest_before["config"]["mediaType"]
    assert manifest["layers"][-1]["mediaType"] == LAYER_TYPES[form]
    if form == "oci":
        assert manifest["annotations"]["org.example.note"] == "noted"
        assert set(manifest["annotations"]) >= set(RECORDED)
    else:
        assert "annotations" not in manifest
    # The triggers are for those who build on the image, and an update does not.
    changed = {member.name for member in images.top_layer(result["image"])}
    assert not changed & {"triggered", "copied", "srv", "srv/state", "var/cache", "proc", "dev"}
    assert not [name for name in images.listed() if "stxb-temporary" in str(name)]
    assert images.containers() == []
    if form == "oci":
        assert json.loads(started(runner, result["image"])) == ["worker", "/srv/work", "1.0"]
    if lane == "session":
        assert "etc/ran-as" in changed
        with images.top_layer_tar(result["image"]) as layer:
            written = layer.extractfile("etc/ran-as")
            assert written is not None
            assert written.read().decode() == "root\n"


def test_what_docker_cannot_hold_is_said(stxb: Stxb, base: tuple[str, str], tmp_path: Path) -> None:
    form, reference = base
    words = ("--from", reference, "--wheel", make_wheel(tmp_path, "stx-set", "1.0"), "--compression-format", "zstd")
    if form == "docker":
        said = stxb.refused(2, *words, "--tag", "zstd")
        assert "the image has a Docker manifest, which knows no layers compressed by zstd" in said
    else:
        assert json.loads(stxb.done("update", "--format", "json", *words, "--tag", "zstd").out)["layer"]["size"] > 0


def test_the_copy_of_a_killed_run_goes_with_the_next(
    stxb: Stxb, images: Images, runner: Runner, base_image: ImageReference
) -> None:
    left, own = "localhost/stxb-temporary:0123456789abcdef", "localhost/tests/of-the-user:1"
    for name in (left, own):
        runner.run(["buildah", "tag", str(base_image), name])
    folder = Path(stxb.environment["XDG_CACHE_HOME"]) / "stxb/work/stxb-killed"
    folder.mkdir(parents=True)
    (folder / "owner.lock").touch()
    # The last line is cut off in the middle, and what is left of it names another image.
    (folder / "temporary-images").write_text(f"{left}\n{own}")
    stxb.done("clean")
    names = {name for of_one in images.listed() for name in of_one}
    assert (left in names, own in names, str(base_image) in names) == (False, True, True)
    assert not folder.exists()
    runner.run(["buildah", "rmi", own])
