# SPDX-License-Identifier: Apache-2.0
"""``stxb base --from-image`` on real images: Debian by apt, an rpm system by dnf, from repositories made here."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine import debrepo
from tests.engine.conftest import EngineStore
from tests.engine.registries import Registry
from tests.engine.rpmimage import cached_rpm_layout, make_rpm
from tests.engine.stxb import PROGRAM, Images, Stxb

pytestmark = pytest.mark.engine

PAGE = Path(__file__).resolve().parents[2] / "docs/base.md"
EXAMPLE = re.compile(r"^<!-- tested -->\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EPOCH = "1770000000"
CREATED = "2026-02-02T02:40:00Z"
OFF = ".disabled"
LISTS = "etc/apt/sources.list.d"
REPO_LINES = ("enabled=1", "gpgcheck=0", "skip_if_unavailable=1", "metadata_expire=0")
RECIPE = ("ca-certificates", "openssh-clients", "python3", "python3-mod_wsgi", "python3-pip", "python3-setuptools")


@attrs.frozen(kw_only=True)
class Served:
    """Two repositories, the distribution's and that of the build, and what is above both."""

    distribution: str
    build: str
    root: str = ""


def top_files(images: Images, reference: str) -> dict[str, bytes]:
    """Give what the last layer has at each path; nothing for a folder or a link."""
    with images.top_layer_tar(reference) as tar:
        members = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        return {name: stream.read() if stream else b"" for name, stream in members.items()}


def with_epoch(stxb: Stxb) -> Stxb:
    return attrs.evolve(stxb, environment={**stxb.environment, "SOURCE_DATE_EPOCH": EPOCH})


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Flat apt repositories. The build's packages are older, so that they are there only by their pin."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("distribution", "build")}
    # Of the base image's own packages this one is upgraded.
    debrepo.make_package(folders["distribution"], "media-types", "99", {"usr/share/media-types-99": ""})
    for name, version in (("distribution", "2.0"), ("build", "1.0")):
        debrepo.make_package(folders[name], "stx-tool", version, {"usr/share/stx-tool/version": f"{version}\n"})
        debrepo.write_lists(folders[name], origin=name)
    with debrepo.served(folders["distribution"]) as distribution, debrepo.served(folders["build"]) as build:
        yield Served(distribution=distribution, build=build)


def test_debian_by_templates_upgraded_pinned_and_in_one_layer(
    stxb: Stxb, images: Images, base_image: ImageReference, registry_base: ImageReference, debs: Served
) -> None:
    templates = stxb.folder / "apt"
    templates.mkdir()
    (templates / "debian.sources.list.in").write_text("deb [trusted=yes] @DEBIAN_SNAPSHOT@ ./\n")
    (templates / "stx.sources.list.in").write_text("deb [trusted=yes] @REPOMGR_DEPLOY_URL@ ./\n")
    (templates / "stx.preferences.part.in").write_text(
        "Package: *\nPin: release o=@REPOMGR_ORIGIN@\nPin-Priority: 999\n"
    )
    (stxb.folder / "debian_build_layer.cfg").write_text("distro\n")
    # The pull needs the registry, the installation nothing but the two repositories.
    words = (
        "base", "--os", "debian", "--os-codename", "trixie", "--from-image", registry_base, "--tls-verify", "false",
        "--apt-template", templates, "--packages", "stx-tool", "--user", "from", "--build-layer", "flock",
        "--repo-root", stxb.folder, "--var", f"REPOMGR_DEPLOY_URL={debs.build}", "--format", "json",
    )  # fmt: skip
    variables = {"DEBIAN_SNAPSHOT": debs.distribution, "DEBIAN_DISTRIBUTION": "trixie", "REPOMGR_ORIGIN": "build"}
    made = with_epoch(stxb).done(*words, extra=variables).json
    assert made["image"] == "localhost/from/stx-debian:trixie-amd64-stable-13"
    assert made["from"]["image"] == str(registry_base)
    base, config = images.config(str(base_image)), images.config(made["image"])
    assert config["rootfs"]["diff_ids"] == [*base["rootfs"]["diff_ids"], made["layer"]["diff_id"]]
    assert config["created"] == CREATED
    assert config["config"]["Cmd"] == ["/bin/bash"]
    assert config["config"]["Labels"] == {
        "org.opencontainers.image.base.digest": made["from"]["digest"],
        "org.opencontainers.image.base.name": str(registry_base),
        "org.opencontainers.image.created": CREATED,
        "org.opencontainers.image.description": "debian trixie for amd64",
        "org.opencontainers.image.title": "stx-debian",
        "org.opencontainers.image.version": "13",
    }
    found = top_files(images, made["image"])
    pinned = b"Package: *\nPin: release o=build\nPin-Priority: 999\n"
    layered = f"deb [trusted=yes] {debs.build}/deb-local-binary-{{}} trixie main\n"
    lists = {
        f"{LISTS}/debian.list{OFF}": f"deb [trusted=yes] {debs.distribution} ./\n".encode(),
        f"{LISTS}/stx.list": f"deb [trusted=yes] {debs.build} ./\n".encode(),
        f"{LISTS}/stx.list{OFF}": f"deb [trusted=yes] {debs.build} ./\n".encode(),
        f"{LISTS}/distro.list{OFF}": layered.format("distro").encode(),
        f"{LISTS}/flock.list{OFF}": layered.format("flock").encode(),
        "etc/apt/preferences.d/stx": pinned,
    }
    assert {name: found.get(name) for name in lists} == lists
    # The lists that the image was made with are off, and the image has nothing of their packages' lists.
    assert b" trixie main" in found[f"etc/apt/sources.list{OFF}"]
    assert "etc/apt/.wh.sources.list" in found
    assert not [
        name for name in found if name.startswith(("var/lib/apt/lists/", "var/cache", "var/log", "image-update"))
    ]
    assert not [name for name in found if "__pycache__" in name or name.startswith(("tmp/", "run/"))]
    script = "dpkg-query -W -f '${Package} ${Version}\\n' media-types stx-tool; cat /usr/share/stx-tool/version"
    assert images.run(made["image"], "sh", "-c", script).split("\n")[:3] == ["media-types 99", "stx-tool 1.0", "1.0"]
    again = with_epoch(stxb).done(*words, extra=variables).json
    assert (again["digest"], again["layer"]) == (made["digest"], made["layer"])


def test_debian_without_a_word_of_its_repositories(
    stxb: Stxb, images: Images, base_image: ImageReference, registry: Registry, debs: Served
) -> None:
    closed = debs.build.replace("http://", "http://me:hidden-word@")
    ended = with_epoch(stxb).done(
        "base", "--os", "debian", "--os-codename", "bullseye", "--os-arch", "amd64", "--dry-run",
        "--from-image", base_image, "--repo", f"deb [trusted=yes] {closed} ./", "--publish-repos", "no",
    )  # fmt: skip
    assert "hidden-word" not in ended.out + ended.err
    (stxb.folder / "debian.list.in").write_text(f"deb [trusted=yes] {debs.distribution} ./\n")
    ended = with_epoch(stxb).done(
        "base", "--os", "debian", "--os-codename", "trixie", "--from-image", base_image, "--pull", "never",
        "--repo", f"deb [trusted=yes] {closed} ./", "--publish-repos", "no", "--packages", "stx-tool",
        "--apt-template", "debian.list.in", "--cache", "--hostname", "here", "--debug",
        "--registry", registry.address, "--user", "from", "--version", "1.0", "--latest", "--push", "--clean",
        "--tls-verify", "false",
    )  # fmt: skip
    assert "hidden-word" not in ended.out + ended.err
    assert ended.err.count("option.without_effect") == 2
    names = [line.partition("@")[0] for line in ended.out.splitlines()]
    repository = f"{registry.address}/from/stx-debian"
    assert names == [f"{repository}:trixie-amd64-stable-{end}" for end in ("1.0", "latest")]
    assert not [names for names in images.listed() if any(name.startswith(repository) for name in names)]
    # FROM was there before, and stays.
    assert any(str(base_image) in names for names in images.listed())
    images.runner.run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            f"docker://{names[0]}",
            f"containers-storage:{names[0]}",
        ]
    )
    documents = json.dumps([images.config(names[0]), images.manifest(names[0])])
    found = top_files(images, names[0])
    for secret in (debs.build, debs.distribution, "hidden-word", debs.build.rpartition(":")[2]):
        assert secret not in documents
        assert not [name for name, content in found.items() if secret.encode() in content]
    assert f"{LISTS}/stx.list" not in found
    assert b"http://deb.debian.org/debian trixie main" in found[f"{LISTS}/debian.list"]


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Repositories of rpm packages, those of the build where the guide says that a build leaves them.

    What a recipe asks for is provided by one package for all.
    """
    root = tmp_path_factory.mktemp("rpms")
    upstream, build = root / "upstream", root / "ws/std/rpmbuild/RPMS"
    make_rpm(build, "stx-tool", "2.0")
    make_rpm(build, "stx-recipe", "1.0", provides=RECIPE)
    make_rpm(upstream, "centos-release-openstack-caracal", "1.0")
    make_rpm(upstream, "stx-upstream", "1.0", provides=RECIPE)
    distribution = root / "repo/cgcs-centos-repo/Binary"
    make_rpm(distribution, "stx-distro", "1.0")
    for folder in (upstream, build, distribution):
        subprocess.run(["createrepo_c", "--quiet", folder], check=True, capture_output=True)
    with debrepo.served(root) as url:
        yield Served(root=url, distribution=f"{url}/upstream", build=f"{url}/ws/std/rpmbuild/RPMS")


@pytest.fixture(scope="module")
def centos(
    stores: dict[str, EngineStore], module_stxb: Stxb, rpms: Served, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """An image that says it is CentOS, with an old package, set up for the distribution's repository."""
    plain = ImageReference.parse("localhost/tests/rpm-plain:1")
    stores["overlay"].store.import_image(f"oci:{cached_rpm_layout()}:base", plain)
    folder = tmp_path_factory.mktemp("centos")
    script = folder / "centos.sh"
    script.write_text(
        "rm -f /etc/os-release\n"
        'printf \'ID="centos"\\nVERSION_ID="9"\\nPRETTY_NAME="CentOS Stream 9"\\n\' > /etc/os-release\n'
        f"printf '[upstream]\\nname=upstream\\nbaseurl={rpms.distribution}\\ngpgcheck=0\\n' "
        "> /etc/yum.repos.d/centos.repo\n"
    )
    old = make_rpm(folder, "stx-tool", "1.0")
    made: Any = module_stxb.update("--from", plain, "--pkg", old, "--customize", script, "--tag", "centos")
    return str(made["image"])


BASE_CENTOS = ("base", "--os", "centos", "--os-codename", "stream9", "--user", "from", "--format", "json")


def test_an_rpm_system_without_a_word_of_its_repositories(
    stxb: Stxb, images: Images, centos: str, rpms: Served
) -> None:
    words = ("--from-image", centos, "--repo", f"stx-build,{rpms.build}", "--publish-repos", "no", "--minimal")
    made = with_epoch(stxb).done(*BASE_CENTOS, *words).json
    assert made["image"] == "localhost/from/stx-centos:stream9-amd64-stable-9"
    base, config = images.config(centos), images.config(made["image"])
    assert config["rootfs"]["diff_ids"] == [*base["rootfs"]["diff_ids"], made["layer"]["diff_id"]]
    found = top_files(images, made["image"])
    assert "etc/yum.repos.d/stx.repo" not in found
    assert not [name for name, content in found.items() if rpms.build.encode() in content]
    assert rpms.build not in json.dumps([config, images.manifest(made["image"])])
    folders = ("var/cache/", "var/log/", "image-update", "tmp/", "run/", "var/lib/dnf/history")
    assert not [name for name in found if name.startswith(folders)]
    assert images.run(made["image"], "rpm", "-q", "stx-tool", "stx-recipe").split() == [
        "stx-tool-2.0-1.noarch",
        "stx-recipe-1.0-1.noarch",
    ]
    assert images.containers() == []


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--repo", "gone,{build}/none"), 2, "Status code: 404"),
        (("--repo", "stx,{build}", "--packages", "stx-none"), 2, "stx-none"),
    ],
)
def test_what_cannot_be_had(
    stxb: Stxb, images: Images, centos: str, rpms: Served, words: tuple[str, ...], status: int, told: str
) -> None:
    ended = stxb.run(*BASE_CENTOS, "--from-image", centos, *(word.format(build=rpms.build) for word in words))
    assert (ended.status, ended.out) == (status, ""), ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert images.containers() == []


def test_images_that_cannot_be_started_from(stxb: Stxb, registry: Registry, base_image: ImageReference) -> None:
    unknown = f"{registry.address}/tests/none:1"
    for words, status, told in (
        ((), 2, "starts from an image of a registry or of the local store: name it with --from-image"),
        (("--from-image", unknown, "--tls-verify", "false"), 2, "there is no such image"),
        (("--from-image", unknown, "--pull", "never"), 2, "is not in the local store"),
        (("--from-image", base_image, "--os-arch", "arm64"), 2, "is for amd64, not for arm64"),
    ):
        ended = stxb.run(*BASE_CENTOS, *words)
        assert (ended.status, ended.out) == (status, ""), ended.err
        assert told in ended.err
        assert "Traceback" not in ended.err


def test_the_examples_of_the_guide(
    stxb: Stxb, images: Images, centos: str, rpms: Served, registry: Registry, tmp_path: Path
) -> None:
    settings = tmp_path / "home/.config/containers"
    shutil.copytree(Path(stxb.environment["XDG_CONFIG_HOME"]) / "containers", settings)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
    fetched = f"{registry.address}/centos/centos:stream9"
    images.runner.run(
        ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"containers-storage:{centos}", f"docker://{fetched}"]
    )
    environment = {
        **stxb.environment,
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        "USER": "builder",
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(settings.parent),
        "MY_WORKSPACE": "/ws",
        "MY_REPO": "/repo",
        "DOCKER_REGISTRY": registry.address,
        "CENTOS": fetched,
        "BUILD_SERVER": rpms.root,
    }
    outputs = []
    for example in EXAMPLE.findall(PAGE.read_text()):
        argv = ["/bin/bash", "-c", example]
        ended = subprocess.run(argv, env=environment, cwd=stxb.folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{example}\n{ended.stdout}\n{ended.stderr}"
        outputs.append(ended.stdout.splitlines())
    repository = f"{registry.address}/builder/stx-centos"
    tags = [
        f"stream9-amd64-{stream}-master-{stream}-{end}" for stream, end in (("stable", "builder"), ("dev", "builder"))
    ]
    assert [[line.partition("@")[0] for line in lines] for lines in outputs] == [
        [f"{repository}:{tag}"] for tag in tags
    ]
    # --clean takes FROM away too, since these commands brought it here.
    assert not [name for names in images.listed() for name in names if name.startswith((fetched, repository))]
    added = []
    for tag in tags:
        manifest = json.loads(registry.manifest("builder/stx-centos", tag))
        assert len(manifest["layers"]) == len(images.manifest(centos)["layers"]) + 1
        pulled = f"containers-storage:{repository}:{tag}"
        images.runner.run(
            ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{repository}:{tag}", pulled]
        )
        added.append(set(images.run(f"{repository}:{tag}", "rpm", "-qa").split()))
    stx_repo = top_files(images, f"{repository}:{tags[0]}")["etc/yum.repos.d/stx.repo"].decode()
    assert [text.splitlines() for text in stx_repo.split("\n\n")] == [
        [f"[{name}]", f"name={name}", f"baseurl={rpms.root}/{folder}", *REPO_LINES]
        for name, folder in (
            ("local-stx-build", "/ws/std/rpmbuild/RPMS"), ("stx-distro", "/repo/cgcs-centos-repo/Binary"),
        )
    ]  # fmt: skip
    assert "etc/yum.repos.d/stx.repo" not in top_files(images, f"{repository}:{tags[1]}")
    stable, dev = added
    assert stable - dev == {"stx-recipe-1.0-1.noarch", "stx-tool-2.0-1.noarch"}
    assert dev - stable == {
        "centos-release-openstack-caracal-1.0-1.noarch", "stx-tool-1.0-1.noarch", "stx-upstream-1.0-1.noarch",
    }  # fmt: skip
