# SPDX-License-Identifier: Apache-2.0
"""What follows the build of an image, in real containers."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.images.container import FinishedImage, ImageContainer
from stxbuildah.job.images.postbuild import post_build
from stxbuildah.model.imagebuild import PostBuild
from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.images import image_with
from tests.engine.imageworks import make_work, read_directives, stored
from tests.engine.rpmimage import cached_rpm_layout, make_rpm
from tests.engine.stxb import Images

pytestmark = pytest.mark.engine

SITE = "/usr/local/lib/python3.13/dist-packages"
RECORD = "stx_demo.py,,\nstx_demo-1.0.dist-info/METADATA,,\nstx_demo-1.0.dist-info/RECORD,,\n"
# Quotes, patterns, backslashes, what looks like variables, and an end with lines of its own.
CUSTOMIZATION = f"""\
set -e
  printf %s "$BASH_EXECUTION_STRING" > /etc/customization
pwd > "/etc/place"; id -u >> /etc/place
printf '%s\\n' '*' "a\\\\b" \\* `echo "$((1 + 1))"` > /etc/words
mkdir -p {SITE}/stx_demo-1.0.dist-info
cd {SITE}
touch stx_demo.py
printf 'Metadata-Version: 2.1\\nName: stx-demo\\nVersion: 1.0\\n' > stx_demo-1.0.dist-info/METADATA
printf %s '{RECORD}' > stx_demo-1.0.dist-info/RECORD

"""
COMMAND = """\
! dpkg-query --show python3-pip && [[ ! -e /usr/local/lib/python3.13/dist-packages/stx_demo.py ]]
status=$?
printf %s "$BASH_EXECUTION_STRING" > /etc/command
exit "$status"
"""


@attrs.define
class Builds:
    """Makes images by what follows a build alone."""

    store: EngineStore
    folder: Path
    told: list[str] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)

    def build(self, base: ImageReference, wanted: PostBuild, package: Path | None = None) -> FinishedImage:
        directives = read_directives(self.folder / "made.image", "BUILDER=docker\nLABEL=made\nDOCKER_CONTEXT=.\n")
        work = make_work(
            self.store, self.folder, attrs.evolve(directives, post_build=wanted), base=base,
            tell=self.told.append, on_line=self.lines.append,
        )  # fmt: skip
        with ImageContainer.opened(work, work.base) as container:
            if package is not None:
                mount = f"{package.parent}:/packages:ro"
                container.run(["rpm", "--install", f"/packages/{package.name}"], what="installing", volumes=[mount])
            post_build(container)
            return container.finish(work.image.names.build, labels={}, created_by="stxb images made")


@pytest.fixture
def builds(stores: dict[str, EngineStore], tmp_path: Path) -> Builds:
    return Builds(stores["overlay"], tmp_path)


def settings(image: FinishedImage) -> dict[str, object]:
    found: dict[str, object] = json.loads(image.image.documents.config)["config"]
    return {name: value for name, value in found.items() if name != "Labels"}


def test_everything_in_one_layer(builds: Builds, base_image: ImageReference, images: Images) -> None:
    configured = configure(builds, base_image, ["--user", "nobody", "--workingdir", "/var/lib", "--cmd", "bash"])
    wanted = PostBuild(
        customization=CUSTOMIZATION, remove_python_packages=("pip", "stx_demo", "absent"), command=COMMAND
    )
    made = builds.build(configured, wanted)
    before = stored(builds.store, configured)
    config = json.loads(before.documents.config)
    assert json.loads(made.image.documents.config)["rootfs"]["diff_ids"][:-1] == config["rootfs"]["diff_ids"]
    assert settings(made) == {name: value for name, value in config["config"].items() if name != "Labels"}
    assert settings(made)["User"] == "nobody"
    assert [step for step in builds.told if "layer" not in step and "storing" not in step] == [
        "running CUSTOMIZATION",
        "removing the Python packages stx-demo 1.0 in /usr/local/lib/python3.13/dist-packages",
        "removing python3-pip and running POSTBUILD_COMMAND",
    ]
    kept = r"POSTBUILD_REMOVE_PYTHON_PACKAGES: pip \S+ in /usr/lib/python3/dist-packages stays: .* package python3-pip"
    assert [line for line in builds.lines if re.fullmatch(kept, line)]
    with images.top_layer_tar(str(made.image.reference)) as layer:
        texts = {name: layer.extractfile(f"etc/{name}") for name in ("customization", "command", "words", "place")}
        found = {name: stream.read().decode() for name, stream in texts.items() if stream is not None}
        names = layer.getnames()
    assert found == {
        "customization": CUSTOMIZATION, "command": COMMAND, "words": "*\na\\b\n*\n2\n", "place": "/var/lib\n0\n",
    }  # fmt: skip
    assert not [name for name in names if name.startswith(("run", "tmp", "var/log", "usr/local"))]
    assert "usr/bin/.wh.pip3" in names
    assert made.packages.deb is not None
    assert not [line for line in made.packages.deb if line.startswith("python3-pip ")]


def configure(builds: Builds, image: ImageReference, options: Sequence[str]) -> ImageReference:
    run = builds.store.runner.run
    name = run(["buildah", "from", "--pull-never", str(image)]).stdout.decode().strip()
    run(["buildah", "config", *options, name])
    run(["buildah", "commit", "--quiet", name, "localhost/tests/configured:1"])
    run(["buildah", "rm", name])
    return ImageReference.parse("localhost/tests/configured:1")


def test_what_others_need_is_not_removed(builds: Builds, base_image: ImageReference) -> None:
    # As dpkg itself would have written it.
    stanza = "Package: stx-tool\nStatus: install ok installed\nMaintainer: x <x@example.org>\nArchitecture: all\n"
    stanza += "Version: 1\nDepends: python3-pip\nDescription: needs it\n"
    wanted = PostBuild(
        customization=f"echo >> /var/lib/dpkg/status && printf '{stanza}' >> /var/lib/dpkg/status",
        remove_os_packages=("absent", "python3-pip"), command="touch /etc/never",
    )  # fmt: skip
    with pytest.raises(BuildError) as caught:
        builds.build(base_image, wanted)
    file = builds.folder / "made.image"
    assert caught.value.message == (
        f"POSTBUILD_REMOVE_OS_PACKAGES of {file}: python3-pip could not be removed: stx-tool needs python3-pip"
    )
    assert 'POSTBUILD_REMOVE_OS_PACKAGES="" keeps all' in caught.value.hint
    assert caught.value.details


def test_a_module_whose_files_cannot_be_told(builds: Builds, base_image: ImageReference) -> None:
    metadata = f"{SITE}/stx_old-1.0.egg-info"
    customization = f"mkdir -p {SITE}; printf 'Metadata-Version: 1.0\nName: stx-old\nVersion: 1.0\n' > {metadata}"
    wanted = PostBuild(customization=customization, remove_python_packages=("stx-old",))
    with pytest.raises(InputError, match=r"made\.image: what is to be removed after the build cannot be told: stx-old"):
        builds.build(base_image, wanted)


def test_a_command_that_fails(builds: Builds, base_image: ImageReference) -> None:
    wanted = PostBuild(customization="echo on the way; echo and out >&2; exit 7", remove_os_packages=())
    with pytest.raises(BuildError) as caught:
        builds.build(base_image, wanted)
    assert caught.value.message == f"CUSTOMIZATION of {builds.folder / 'made.image'} ended with exit status 7"
    assert {"on the way", "and out"} <= set(caught.value.details)


def test_what_no_argument_can_carry(builds: Builds, base_image: ImageReference, images: Images) -> None:
    byte = b"\xff".decode(errors="surrogateescape")
    command = f"# {'long ' * 40_000}\nprintf '{byte}' > /etc/byte\n"
    made = builds.build(
        base_image, PostBuild(remove_python_packages=("absent",), remove_os_packages=(), command=command)
    )
    with images.top_layer_tar(str(made.image.reference)) as layer:
        stream = layer.extractfile("etc/byte")
        assert stream is not None
        assert (stream.read(), layer.getnames()) == (b"\xff", ["etc", "etc/byte"])


def test_nothing_to_do_starts_nothing(builds: Builds, base_image: ImageReference) -> None:
    made = builds.build(base_image, PostBuild(remove_python_packages=("absent",), remove_os_packages=("absent",)))
    before = json.loads(stored(builds.store, base_image).documents.config)
    assert json.loads(made.image.documents.config)["rootfs"] == before["rootfs"]
    assert builds.told == ["storing the image"]


def test_what_a_removal_did_once_is_known(builds: Builds, base_image: ImageReference, images: Images) -> None:
    first = builds.build(base_image, PostBuild())
    assert builds.told[0] == "removing python3-pip"
    # Another image, with a package more.
    stanza = "Package: stx-more\\nStatus: install ok installed\\nMaintainer: x <x@example.org>\\nArchitecture: all\\n"
    stanza += "Version: 1\\nDescription: more\\n\\n"
    wanted = PostBuild(customization=f"printf '{stanza}' >> /var/lib/dpkg/status", command="touch /etc/made")
    again = attrs.evolve(builds, told=[])
    made = again.build(base_image, wanted)
    assert again.told[:3] == [
        "running CUSTOMIZATION", "removing python3-pip, as it went in another image", "running POSTBUILD_COMMAND",
    ]  # fmt: skip
    with images.top_layer_tar(str(made.image.reference)) as layer:
        names = set(layer.getnames())
    assert "etc/made" in names
    assert made.packages.deb == tuple(sorted([*(first.packages.deb or ()), "stx-more 1 all"]))
    # dpkg itself finds nothing wrong with it.
    said = images.run(
        str(made.image.reference), "sh", "-c", "dpkg --audit && dpkg-query --show && ls /usr/lib/python3/dist-packages"
    )
    assert "python3-pip" not in said
    assert "python3-wheel" in said
    layers = [
        json.loads(one.image.documents.manifest)["layers"][-1]["digest"]
        for one in (first, again.build(base_image, PostBuild()))
    ]
    assert layers[0] == layers[1]


def test_an_image_without_a_shell(builds: Builds) -> None:
    base = ImageReference.parse("localhost/tests/without-shell:1")
    builds.store.store.import_image(image_with(builds.folder / "without-shell", "only this"), base)
    builds.build(base, PostBuild(command="touch /etc/never"))
    assert builds.told == ["storing the image"]
    assert "the image has no shell: nothing is removed from it after the build, and no command is run" in builds.lines
    with pytest.raises(BuildError, match="is a command for bash, and the image has none"):
        builds.build(base, PostBuild(customization="true"))


def test_packages_of_rpm(builds: Builds, tmp_path: Path) -> None:
    base = ImageReference.parse("localhost/tests/rpm:1")
    builds.store.store.import_image(f"oci:{cached_rpm_layout()}:base", base)
    wanted = PostBuild(remove_os_packages=("absent", "python3-stx-owned"))
    made = builds.build(base, wanted)
    assert builds.told[0] == "removing python3-stx-owned"
    assert made.packages.rpm == ("stx-release-1.0-1.noarch",)
    needy = make_rpm(tmp_path / "rpms", "stx-needy", "1.0", requires=("python3-stx-owned >= 1",))
    with pytest.raises(BuildError) as caught:
        builds.build(base, wanted, needy)
    assert caught.value.message.endswith(
        "python3-stx-owned could not be removed: stx-needy-1.0-1.noarch needs python3-stx-owned >= 1"
    )
