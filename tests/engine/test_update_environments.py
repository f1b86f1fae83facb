# SPDX-License-Identifier: Apache-2.0
"""Wheels go where the image's own Python looks for them, and nothing on the way there changes."""

from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.model.reference import ImageReference
from tests.engine.environments import (
    ISOLATED,
    PLAIN,
    SEEING,
    SYSTEM,
    USUAL_PATH,
    Facts,
    WithPath,
    download,
    facts,
    new_paths,
    new_wheel,
    old_wheel,
)
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

DEBIAN = "/usr/local/lib/python3.13/dist-packages"
OPENSTACK = "/var/lib/openstack/lib/python3.13/site-packages"
# The image's PATH, --python, the module, the interpreter that must find it, its folder and that of its scripts.
PLACES = {
    "the first on PATH is a virtual environment": (
        f"/var/lib/openstack/bin:{USUAL_PATH}", "", "stx-isolated", ISOLATED, OPENSTACK, "/var/lib/openstack/bin",
    ),
    "a virtual environment behind a link": (
        f"/opt/linked/bin:{USUAL_PATH}", "", "stx-isolated", ISOLATED, OPENSTACK, "/var/lib/openstack/bin",
    ),
    "a virtual environment that sees the system": (
        f"/opt/seeing/bin:{USUAL_PATH}", "", "stx-seeing", SEEING,
        "/opt/seeing/lib/python3.13/site-packages", "/opt/seeing/bin",
    ),
    "--python wins over PATH": (
        f"/var/lib/openstack/bin:{USUAL_PATH}", SYSTEM, "stx-pip", SYSTEM, DEBIAN, "/usr/local/bin",
    ),
    "--python names a virtual environment": (
        USUAL_PATH, ISOLATED, "stx-isolated", ISOLATED, OPENSTACK, "/var/lib/openstack/bin",
    ),
    "a plain prefix on PATH": (
        f"/opt/plain/bin:{USUAL_PATH}", "", "stx-plain", PLAIN,
        "/opt/plain/lib/python3.13/site-packages", "/opt/plain/bin",
    ),
    "a second interpreter": (
        USUAL_PATH, PLAIN, "stx-plain", PLAIN, "/opt/plain/lib/python3.13/site-packages", "/opt/plain/bin",
    ),
    "a chain of links to the system's Python": (
        f"/srv/chain:{USUAL_PATH}", "", "stx-pip", SYSTEM, DEBIAN, "/usr/local/bin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_the_right_place(place: str, stxb: Stxb, images: Images, environments: WithPath, tmp_path: Path) -> None:
    path, python, name, interpreter, site, scripts = PLACES[place]
    words = ("--python", python) if python else ()
    result = stxb.update("--from", environments(path), "--wheel", new_wheel(tmp_path, name), "--tag", "placed", *words)
    files = new_paths(name, site=site, scripts=scripts)
    found = facts(images, result["image"], {name: interpreter})[name]
    assert found == Facts(paths=files, version="2.0", record=files, pip=("2.0",), script=f"{name} 2.0")
    assert result["changes"]["python"] == [f"- {name}==1.0", f"+ {name}==2.0"]


def test_what_a_virtual_environment_inherits_is_hidden_and_stays(
    stxb: Stxb, images: Images, environments: WithPath, tmp_path: Path
) -> None:
    base = environments(f"/opt/seeing/bin:{USUAL_PATH}")
    wheels = [new_wheel(tmp_path, name) for name in ("stx-pip", "stx-shadowed", "stx-owned")]
    words = [word for wheel in wheels for word in ("--wheel", wheel)]
    result = stxb.update("--from", base, "--tag", "hidden", *words)
    names = dict.fromkeys(("stx-pip", "stx-shadowed", "stx-owned"))
    inside = facts(images, result["image"], dict.fromkeys(names, SEEING))
    assert {name: one.version for name, one in inside.items()} == dict.fromkeys(names, "2.0")
    outside = facts(images, result["image"], dict.fromkeys(names, SYSTEM))
    assert {name: one.version for name, one in outside.items()} == dict.fromkeys(names, "1.0")
    assert all(member.name.startswith("opt") for member in images.top_layer(result["image"]))
    assert result["changes"]["python"] == [
        "- stx-owned==1.0", "+ stx-owned==2.0", "- stx-pip==1.0", "+ stx-pip==2.0",
        "- stx-shadowed==1.1", "+ stx-shadowed==2.0",
    ]  # fmt: skip


def test_an_image_without_the_interpreter_asked_for(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    wheel = new_wheel(tmp_path, "stx-pip")
    said = stxb.refused(2, "--from", base_image, "--wheel", wheel, "--python", "/opt/none/bin/python3")
    assert "the image has no executable /opt/none/bin/python3" in said


def test_folders_keep_modes_and_owners_and_links_stay_links(
    stxb: Stxb, images: Images, environments: WithPath, tmp_path: Path
) -> None:
    base = str(environments(USUAL_PATH))
    data = "stx_modes-1.0.data/data"
    wheel = make_wheel(
        tmp_path, "stx-modes", "1.0",
        files={
            "stx_modes.py": "def main():\n    print('modes')\n",
            f"{data}/share/open/note.txt": "", f"{data}/etc/closed/note.conf": "", f"{data}/man/man1/modes.1": "",
            f"{data}/new/deep/note.txt": "",
        },
        entry_points="[console_scripts]\nstx-modes = stx_modes:main\n",
    )  # fmt: skip
    result = stxb.update("--from", base, "--wheel", wheel)
    folders = {one.name: (one.mode, one.uid, one.gid) for one in images.top_layer(result["image"]) if one.isdir()}
    # /usr/local/man is a link to share/man: the page goes behind it.
    assert "usr/local/man" not in folders
    assert "usr/local/share/man/man1" in folders
    asked = 'cd / && stat -c "%n %a %u %g" "$@" 2> /dev/null || true'
    said = images.run(base, "sh", "-c", asked, "sh", *folders)
    there = {name: (int(mode, 8), int(uid), int(gid)) for name, mode, uid, gid in map(str.split, said.splitlines())}
    assert {name: folders[name] for name in there} == there
    new = {"usr/local/new", "usr/local/new/deep", "usr/local/share/man/man1"}
    assert {name: folders[name] for name in folders if name not in there} == {
        name: (0o755, 0, 0) for name in folders if name in new or name.endswith(".dist-info")
    }
    assert there["usr/local/bin"] == (0o2775, 0, 50)
    assert there["usr/local/share/open"] == (0o1777, 0, 0)
    assert there["usr/local/etc/closed"] == (0o700, 65534, 65534)
    assert images.run(result["image"], "readlink", "/usr/local/man").strip() == "share/man"


def test_compiled_wheels_go_behind_lib64_and_import(
    stxb: Stxb, images: Images, environments: WithPath, tmp_path: Path
) -> None:
    old, new = (download(tmp_path / version, f"MarkupSafe=={version}")[0] for version in ("3.0.1", "3.0.2"))
    path = f"/var/lib/openstack/bin:{USUAL_PATH}"
    first = stxb.update("--from", environments(path), "--wheel", old, "--tag", "compiled.1")
    second = stxb.update("--from", first["image"], "--wheel", new)
    members = images.top_layer(second["image"])
    assert not [member.name for member in members if "lib64" in member.name]
    extension = f"{OPENSTACK.lstrip('/')}/markupsafe/_speedups.cpython-313-x86_64-linux-gnu.so"
    assert extension in {member.name for member in members}
    said = images.run(
        second["image"], ISOLATED, "-c",
        "import markupsafe._speedups as m, importlib.metadata as d; print(m.__file__, d.version('markupsafe'))",
    )  # fmt: skip
    assert said.split() == [f"/{extension}", "3.0.2"]


def test_django_from_old_to_new(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    old, new = (download(tmp_path / version, f"Django=={version}")[0] for version in ("4.2.20", "5.2"))
    others = download(tmp_path / "others", "asgiref==3.8.1", "sqlparse==0.5.3")
    wheels = [word for wheel in (old, *others) for word in ("--wheel", wheel)]
    first = stxb.update("--from", base_image, "--tag", "django.1", *wheels)
    assert first["unmet_requirements"] == []
    second = stxb.update("--from", first["image"], "--wheel", new)
    assert second["changes"]["python"] == ["- Django==4.2.20", "+ Django==5.2"]
    script = f"""
import importlib.metadata as metadata, os
recorded = {{os.path.realpath(file.locate()) for file in metadata.files("Django")}}
found = {{os.path.join(folder, name) for folder, _, names in os.walk("{DEBIAN}") for name in names}}
found = {{path for path in found if "jango" in path}} | {{"/usr/local/bin/django-admin"}}
print(sorted(recorded ^ found))
"""
    assert images.run(second["image"], "python3", "-B", "-c", script).strip() == "[]"
    assert images.run(second["image"], "django-admin", "--version").strip() == "5.2"
    assert images.run(second["image"], "python3", "-m", "pip", "check").strip() == "No broken requirements found."


def test_folders_behind_links_stay_behind_them(
    stxb: Stxb, images: Images, runner: Runner, base_image: ImageReference, tmp_path: Path
) -> None:
    name = runner.run(["buildah", "from", "--pull-never", str(base_image)]).stdout.decode().strip()
    moved = "mv /usr/local /srv/local && ln -s ../srv/local /usr/local && mv /srv/local/lib /srv/libraries && "
    moved += "ln -s /srv/libraries /srv/local/lib"
    try:
        runner.run(["buildah", "run", "--isolation", "chroot", name, "--", "sh", "-c", moved])
        runner.run(["buildah", "commit", "-q", name, "localhost/tests/moved:1"])
    finally:
        runner.run(["buildah", "rm", name])
    first = stxb.update("--from", "localhost/tests/moved:1", "--wheel", old_wheel(tmp_path, "stx-moved"))
    second = stxb.update("--from", first["image"], "--wheel", new_wheel(tmp_path, "stx-moved"))
    for image in (first["image"], second["image"]):
        assert {member.name.partition("/")[0] for member in images.top_layer(image)} == {"srv"}
    files = new_paths("stx-moved", site="/srv/libraries/python3.13/dist-packages", scripts="/srv/local/bin")
    assert facts(images, second["image"], {"stx-moved": SYSTEM})["stx-moved"] == Facts(
        paths=files, version="2.0", record=files, pip=("2.0",), script="stx-moved 2.0"
    )
    links = images.run(second["image"], "readlink", "/usr/local", "/srv/local/lib")
    assert links.split() == ["../srv/local", "/srv/libraries"]
