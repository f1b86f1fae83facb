# SPDX-License-Identifier: Apache-2.0
"""LOCI images: made by the image's own programs, out of a tarball of wheels and a package repository of the test."""

import functools
import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.job.images.container import ImageContainer
from stxbuildah.job.images.loci import inputs, provision
from stxbuildah.job.images.locirecord import folder_entries
from stxbuildah.job.images.locisources import NOVNC, SPICE, _check_out_pages
from stxbuildah.job.images.wheelstarball import resolve_wheels
from stxbuildah.job.images.work import ImageWork, RunMaterial, WheelsTarball
from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.imagebuild import SelectionRequest
from stxbuildah.model.imagesrun import ImageMaterial, ImagesRequest
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.reference import ImageReference
from tests.engine import debrepo
from tests.engine.conftest import EngineStore
from tests.engine.imageworks import TIMESTAMP, make_work, read_directives, stored
from tests.engine.stxb import Images
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

# A back end that a distribution package brings; what its wheel's program prints is a module of a dependency.
BACKEND = """\
import zipfile
from pathlib import Path
import tiny_base
def build_wheel(folder, settings=None, metadata=None):
    wheel = "demo-2.0-py3-none-any.whl"
    info = "demo-2.0.dist-info/"
    with zipfile.ZipFile(Path(folder, wheel), "w") as out:
        for name, text in {
            "demo.py": Path("demo.py").read_text(),
            info + "METADATA": "Metadata-Version: 2.1\\nName: demo\\nVersion: 2.0\\nRequires-Dist: tiny-dep\\n",
            info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            info + "entry_points.txt": "[console_scripts]\\ndemo-serve = demo:main\\n",
            info + "RECORD": "",
        }.items():
            out.writestr(zipfile.ZipInfo(name), text)
    return wheel
"""
PYPROJECT = '[build-system]\nrequires = ["tiny-backend"]\nbuild-backend = "tiny_backend"\n'
DEMO = "import tiny_dep\ndef main():\n    print('serving with', tiny_dep.VERSION)\n"
SITE = "/usr/lib/python3/dist-packages"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package repository; gives its URL."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("lsb-release", "sudo", "netbase", "stx-library", "tiny-shared"):
        make_deb(folder, name, "1.0")
    make_deb(folder, "stx-tool", "1.0", depends="stx-library, tiny-shared")
    information = f"{SITE}/tiny_backend-1.0.dist-info"
    make_deb(
        folder, "python3-tiny-backend", "1.0", depends="python3-tiny-base, tiny-shared",
        files={
            f"{SITE}/tiny_backend.py": BACKEND,
            f"{information}/METADATA": "Metadata-Version: 2.1\nName: tiny-backend\nVersion: 1.0\n",
        },
    )  # fmt: skip
    make_deb(folder, "python3-tiny-base", "1.0", files={f"{SITE}/tiny_base.py": ""})
    debrepo.write_lists(folder, origin="tests")
    with debrepo.served(folder) as url:
        yield url


@pytest.fixture(scope="module")
def base(
    stores: dict[str, EngineStore], base_image: ImageReference, packages: str, tmp_path_factory: pytest.TempPathFactory
) -> ImageReference:
    """The base image, whose packages come from the test's repository, which is switched off in it."""
    store, folder = stores["overlay"], tmp_path_factory.mktemp("loci-base")
    texts = {
        "/etc/apt/sources.list": "",
        "/etc/apt/sources.list.d/debian.list.disabled": f"deb [trusted=yes] {packages} ./\n",
        "/etc/apt/sources.list.d/stx.list": "deb http://stx.invalid/ nowhere main\n",
    }
    entries = [
        LayerEntry(path=path, change=Change.FILE, size=len(text), opener=functools.partial(io.BytesIO, text.encode()))
        for path, text in sorted(texts.items())
    ]
    folders = [LayerEntry(path=path, change=Change.DIRECTORY, mode=0o755) for path in
               ("/etc", "/etc/apt", "/etc/apt/sources.list.d")]  # fmt: skip
    content = LayerContent(tuple(sorted([*folders, *entries], key=lambda entry: entry.path)))
    blob = write_layer(content, folder / "layer", timestamp=TIMESTAMP)
    found = stored(store, base_image)
    documents = append_layer(found.documents, blob, timestamp=TIMESTAMP, created_by="the tests")
    reference = ImageReference.parse("localhost/tests/loci-base:1")
    store.store.import_image(write_layout(folder / "image", documents, {blob.digest: folder / "layer"}), reference)
    return reference


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "1.5"):
        make_wheel(folder, "tiny-dep", version)
    make_wheel(folder, "stx-client", "3.0", requires=("tiny-dep>=1.0",))
    (folder / "upper-constraints.txt").write_text("tiny-dep===1.0\nDemo===1.9\n")
    with tarfile.open(folder.parent / "stx-wheels.tar", "w") as tar:
        tar.add(folder, "./wheels")
    return folder.parent / "stx-wheels.tar"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "demo.py").write_text(DEMO)
    commit(folder)
    (folder / "demo.py").write_text("not committed\n")
    return folder


def commit(folder: Path) -> None:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    for words in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


Make = Callable[[str], ImageWork]


@pytest.fixture
def work_of(stores: dict[str, EngineStore], base: ImageReference, tarball: Path, tmp_path: Path) -> Make:
    """Makes the work of an image from its directives."""

    def make(text: str) -> ImageWork:
        directives = read_directives(tmp_path / "image.stable_docker_image", text)
        request = ImagesRequest(selection=SelectionRequest(roots=(tmp_path,)), material=ImageMaterial(base=str(base)))
        work = make_work(stores["overlay"], tmp_path, directives, base=base, request=request)
        wheels = resolve_wheels(work.engine, str(tarball), request, tmp_path)
        return attrs.evolve(work, material=RunMaterial(base=work.material.base, wheels=wheels))

    return make


def build(work: ImageWork) -> str:
    with ImageContainer.opened(work, work.base) as container:
        provision(container)
        container.finish(work.image.names.build, labels={}, created_by="the tests")
    return str(work.image.names.build)


def test_an_image_of_a_project(work_of: Make, images: Images, project: Path, base: ImageReference) -> None:
    work = work_of(
        f"""\
        BUILDER=loci
        LABEL=stx-demo
        PROJECT=demo
        PROJECT_REPO={project}
        MIRROR_LOCAL=yes
        PROJECT_UID=42500
        PIP_PACKAGES="stx-client"
        DIST_PACKAGES="stx-tool"
        DIST_REPOS="OS -STX"
        """
    )
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, check=True, capture_output=True, text=True)
    assert inputs(work)["source"] == head.stdout.strip()
    image = build(work)
    config = images.config(image)["config"]
    assert "PATH=/var/lib/openstack/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in config["Env"]
    assert len(images.manifest(image)["layers"]) == len(images.manifest(str(base))["layers"]) + 1

    said = _answers(
        images,
        image,
        program="demo-serve",
        account="grep ^demo: /etc/passwd /etc/group; stat -c '%u:%g %n' /*/*/demo /etc/demo",
        python="cat /etc/image_info/pip.txt",
        packages="cat /etc/image_info/packages.txt",
        # The virtual environment sees what the system has.
        system="python3 -c 'import packaging, demo; print(packaging.__file__)'",
        pip="pip --version",
        apt="cat /var/lib/apt/extended_states /var/lib/dpkg/status",
        compiled="find /usr /var -name '*.pyc' -o -name __pycache__",
    )
    assert said["program"] == ["serving with 1.0"]
    assert said["account"] == [
        "/etc/passwd:demo:x:42500:42424:demo user:/var/lib/demo:/usr/sbin/nologin",
        "/etc/group:demo:x:42424:",
        *(f"42500:42424 {path}" for path in ("/var/cache/demo", "/var/lib/demo", "/var/log/demo", "/etc/demo")),
    ]
    assert said["python"] == ["demo==2.0", "stx-client==3.0", "tiny-dep==1.0"]
    assert {"sudo 1.0 all", "stx-library 1.0 all", "stx-tool 1.0 all", "tiny-shared 1.0 all"} <= set(said["packages"])
    assert said["system"][0].startswith(SITE)
    assert said["pip"][0].endswith("(python 3.13)")
    # Of the build nothing is left.
    assert not [line for line in (*said["packages"], *said["apt"]) if "tiny-b" in line]
    assert said["compiled"] == []
    members = [f"/{member.name.rstrip('/')}" for member in images.top_layer(image)]
    leftovers = ("/tmp", "/run", "/root", "/var/lib/apt/lists", "/var/cache/apt", "/var/log/apt", "/etc/machine-id")
    added = [path for path in members if "/.wh." not in path]
    assert not [path for path in added if path.startswith(leftovers) or path.endswith(".pyc") or "__pycache__" in path]
    assert not [path for path in members if path.startswith("/etc/apt")]


def _answers(images: Images, image: str, **commands: str) -> dict[str, list[str]]:
    """Run commands of the image's shell in one container, and give the lines of each."""
    # Bytecode that one command writes would be found by another.
    script = "export PYTHONDONTWRITEBYTECODE=1\n" + "\n".join(
        f"echo '== {name}'; {text}" for name, text in commands.items()
    )
    parts = images.run(image, "sh", "-c", script).split("== ")[1:]
    return {name: lines for name, *lines in (part.splitlines() for part in parts)}


def test_an_image_without_a_project(work_of: Make, images: Images, base: ImageReference) -> None:
    work = work_of(
        """\
        BUILDER=loci
        LABEL=stx-infra
        PROJECT=infra
        PROJECT_REPO=nil
        PIP_PACKAGES="stx-client"
        UPGRADE_PIP_PACKAGES="tiny-dep"
        DIST_REPOS="OS -STX"
        """
    )
    before = inputs(work)
    assert set(before) == {"base", "wheels", "recipe"}
    image = build(work)
    assert images.run(image, "cat", "/etc/image_info/pip.txt") == "stx-client==3.0\ntiny-dep==1.0\n"
    assert inputs(work_of("BUILDER=loci\nLABEL=other\nPROJECT=infra\nPIP_PACKAGES=tiny-dep\n")) == before


def test_the_pages_of_consoles_are_cloned(work_of: Make, tmp_path: Path) -> None:
    sources = {}
    for target, page in ((NOVNC, "vnc_lite.html"), (SPICE, "spice.html")):
        repository = Path(f"{tmp_path}/repositories{target}")
        repository.mkdir(parents=True)
        (repository / page).write_text(target)
        commit(repository)
        sources[target] = (f"file://{repository}", "")
    work = work_of("BUILDER=loci\nLABEL=nova\nPROJECT=infra\n")
    found = _check_out_pages(work, sources, tmp_path)
    entries = [entry for target, folder in found.items() for entry in folder_entries(folder, target)]
    assert [(entry.path, entry.target) for entry in entries] == [
        (NOVNC, ""), (f"{NOVNC}/vnc_auto.html", "vnc_lite.html"), (f"{NOVNC}/vnc_lite.html", ""),
        (SPICE, ""), (f"{SPICE}/spice.html", ""),
    ]  # fmt: skip


def test_the_same_wheels_have_one_digest_however_they_come(
    work_of: Make, tarball: Path, tmp_path: Path, stores: dict[str, EngineStore]
) -> None:
    work = work_of("BUILDER=loci\nLABEL=other\nPROJECT=infra\nPIP_PACKAGES=tiny-dep\n")
    plain = work.material.wheels
    assert plain is not None
    entries = [
        LayerEntry(path=f"/{path.name}", change=Change.FILE, size=path.stat().st_size,
                   opener=functools.partial(io.BytesIO, path.read_bytes()))
        for path in sorted(plain.folder.iterdir())
    ]  # fmt: skip
    name = ImageReference.parse("localhost/tests/loci-wheels:1")
    blob = write_layer(LayerContent(tuple(entries)), tmp_path / "layer", timestamp=TIMESTAMP)
    documents = append_layer(empty_image(architecture="amd64"), blob, timestamp=TIMESTAMP, created_by="the tests")
    source = write_layout(tmp_path / "image", documents, {blob.digest: tmp_path / "layer"})
    stores["overlay"].store.import_image(source, name)

    def digest(text: str) -> WheelsTarball:
        return resolve_wheels(work.engine, text, work.request, tmp_path)

    with debrepo.served(tarball.parent) as url:
        found = [digest(str(name)), digest(f"{url}/{tarball.name}"), digest(f"file://{tarball}")]
    assert [one.digest for one in found] == [plain.digest] * 3
