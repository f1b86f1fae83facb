# SPDX-License-Identifier: Apache-2.0
"""What an image is to hold, and what not: what the checks of an engine test do not come by."""

import json
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.append import empty_image
from stxbuildah.layer.comparison import walked
from stxbuildah.layer.documents import Json
from stxbuildah.layer.imagechecks import (
    check_account,
    check_dist_packages,
    check_programs,
    check_python,
    compiled_modules,
    guarded,
    result,
)
from stxbuildah.layer.imageremains import BaseImage, check_leftovers, check_permissions
from stxbuildah.layer.memory import MemoryTree
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.imagebuild import Builder, DockerBuild, ImageDirectives, LociBuild, PostBuild
from stxbuildah.model.tree import Entry, Kind
from stxbuildah.model.verify import Check, CheckResult, Verdict
from tests.unit.layer.elf_maker import make_elf
from tests.unit.layer.test_uninstall import PATH, PYTHON, SITE, module

Content = dict[str, bytes | Entry | tuple[Entry, bytes]]
LOCI = ImageDirectives(
    file=Path("demo.image"), builder=Builder.LOCI, label="demo", project="demo",
    build=LociBuild(
        project_uid=5, project_gid=6, dist_packages=("nginx", "python3-pip"), pip_packages=("tools", "pip>=1")
    ),
)  # fmt: skip
DOCKER = ImageDirectives(file=Path("demo.image"), builder=Builder.DOCKER, label="demo", build=DockerBuild())
PROGRAM = (Entry(Kind.FILE, mode=0o755), make_elf(static=True))


def folder(mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(Kind.DIRECTORY, mode=mode, uid=uid, gid=gid)


def documents(*history: str, **settings: Json) -> ImageDocuments:
    base = empty_image(architecture="amd64")
    config = json.loads(base.config)
    config["config"] = settings
    config["history"] = [{"created_by": text} for text in history]
    return attrs.evolve(base, config=json.dumps(config).encode())


def based_on(content: Content, *history: str, **settings: Json) -> BaseImage:
    return BaseImage(tree=MemoryTree(content), documents=documents(*history, **settings))


def test_how_much_is_told() -> None:
    assert result(Check.ACCOUNT, [], "good", "bad").sentence == "good"
    assert result(Check.ACCOUNT, ["one"], "good", "bad").sentence == "one"
    several = result(Check.ACCOUNT, ["one", "two", "three"], "good", "bad")
    assert (several.sentence, several.details) == ("bad: one, and 2 more", ("one", "two", "three"))


def test_damage_is_a_failure() -> None:
    def damaged() -> CheckResult:
        raise InputError("the image's rpm database is damaged")

    found = guarded(Check.DIST_PACKAGES, damaged)
    assert (found.verdict, found.sentence) == (Verdict.FAILED, "the image's rpm database is damaged")


def test_an_entry_point_that_needs_nothing() -> None:
    entry, libraries = check_programs(MemoryTree({"/run-me": PROGRAM}), {"Cmd": ["/run-me"]}, "amd64")
    assert (entry.verdict, libraries.verdict) == (Verdict.OK, Verdict.OK)


def test_an_entry_point_that_is_not_there() -> None:
    entry, libraries = check_programs(MemoryTree({}), {"Cmd": ["/run-me"]}, "amd64")
    assert (entry.verdict, libraries.verdict) == (Verdict.FAILED, Verdict.SKIPPED)


def test_libraries_of_compiled_modules() -> None:
    environment: dict[str, Json] = {"Env": [f"PATH={PATH}"]}
    tree = MemoryTree(
        {
            **PYTHON,
            f"{SITE}/fast/_core.cpython-313-x86_64-linux-gnu.so": make_elf("libfast.so.1", "libown-1.so.2"),
            f"{SITE}/fast.libs/libown-1.so.2": make_elf(),
            "/usr/lib/python3/dist-packages/other.so": make_elf("libother.so"),
        }
    )
    modules = compiled_modules(tree, walked(tree), environment)
    assert [path.rpartition("/")[2] for path in modules] == [
        "libown-1.so.2", "_core.cpython-313-x86_64-linux-gnu.so",
    ]  # fmt: skip
    entry, libraries = check_programs(tree, environment, "amd64", modules)
    assert entry.verdict is Verdict.SKIPPED
    assert libraries.sentence == f"libfast.so.1, which {modules[1]} needs"
    assert compiled_modules(MemoryTree({}), {}, environment) == ()


@pytest.mark.parametrize("directives", [None, DOCKER, attrs.evolve(LOCI, build=LociBuild())])
def test_where_nothing_is_asked_for_nothing_is_looked_for(directives: ImageDirectives | None) -> None:
    tree = MemoryTree(PYTHON)
    assert check_dist_packages(tree, directives).verdict is Verdict.SKIPPED
    assert check_python(tree, {}, directives)[1].verdict is Verdict.SKIPPED


def test_what_was_removed_after_the_build_is_not_missed() -> None:
    status = b"Package: nginx\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
    tree = MemoryTree({**PYTHON, **module(SITE, "tools"), "/var/lib/dpkg/status": status})
    environment: dict[str, Json] = {"Env": [f"PATH={PATH}"]}
    assert check_dist_packages(tree, LOCI).sentence == "it is installed"
    assert check_python(tree, environment, LOCI)[1].sentence == "it is installed"
    kept = attrs.evolve(LOCI, post_build=PostBuild(remove_python_packages=(), remove_os_packages=()))
    assert check_dist_packages(tree, kept).sentence == "python3-pip is not installed"
    assert check_python(tree, environment, kept)[1].sentence == "pip>=1 is not installed"


def test_python_2_that_is_not_there() -> None:
    python2 = attrs.evolve(LOCI, build=LociBuild(python3=False, pip_packages=("tools",)))
    requirements, packages = check_python(MemoryTree({}), {}, python2)
    assert requirements.sentence.startswith("the image has no python on its PATH")
    assert packages.sentence == "tools is not installed"


ACCOUNT: Content = {
    "/etc/passwd": b"# comment\nbroken:line\ndemo:x:5:6::/var/lib/demo:/usr/sbin/nologin\n",
    "/etc/group": b"demo:x:6:\n",
    **{f"{above}/demo": folder(0o755, 5, 6) for above in ("/etc", "/var/log", "/var/lib", "/var/cache")},
}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ()),
        ({"/etc/passwd": b""}, ("there is no user demo",)),
        ({"/etc/group": b"demo\n"}, ("there is no group demo",)),
        ({"/etc/passwd": b"demo:x:5:7::/:/\n"}, ("the user demo has the ids 5:7, not 5:6",)),
        ({"/etc/group": b"demo:x:60:\n"}, ("the group demo has the id 60, not 6",)),
        ({"/var/log/demo": folder()}, ("/var/log/demo belongs to 0:0, not to 5:6",)),
    ],
)
def test_the_account(changes: Content, wrong: tuple[str, ...]) -> None:
    found = check_account(MemoryTree({**ACCOUNT, **changes}), LOCI)
    assert (found.verdict, found.details) == (Verdict.FAILED if wrong else Verdict.OK, wrong)


def test_rights_that_the_base_has_are_no_surprise() -> None:
    old: Content = {
        "/srv/open": folder(0o777),
        "/srv/file": Entry(Kind.FILE, mode=0o666),
        "/usr/bin/su": Entry(Kind.FILE, mode=0o4755),
        "/usr/bin/plain": Entry(Kind.FILE, mode=0o755),
    }
    new: Content = {
        **old,
        "/usr/bin/plain": Entry(Kind.FILE, mode=0o2755),
        "/usr/bin/sudo": Entry(Kind.FILE, mode=0o4755),
        "/usr/local/lib": folder(0o2775),
        "/tmp": folder(0o1777),
        "/run/lock": folder(0o777),
        "/srv/link": Entry(Kind.SYMLINK, mode=0o777, target="file"),
        "/var/lib/dpkg/info/sudo.list": b"/usr/bin/sudo\n",
    }
    tree = MemoryTree(new)
    taken = "/usr/bin/plain runs with its owner's rights (mode 2755), and no package has brought it"
    assert check_permissions(tree, walked(tree), based_on(old)).details == (taken,)
    alone = check_permissions(tree, walked(tree), None).details
    assert [line.split()[-5:] for line in alone if "everybody" in line] == [
        ["/srv/file:", "its", "mode", "is", "0666"], ["/srv/open:", "its", "mode", "is", "0777"],
    ]  # fmt: skip
    assert len(alone) == 4


def left(content: Content, base: BaseImage | None, image: ImageDocuments, *, compiled: bool = False) -> tuple[str, ...]:
    tree = MemoryTree(content)
    return check_leftovers(tree, walked(tree), image, base, compiled=compiled).details


def test_what_the_base_has_was_not_left_by_this_build() -> None:
    old: Content = {
        "/tmp/old": b"", "/etc/machine-id": b"abc\n", "/usr/lib/x/__pycache__/a.pyc": b"",
        "/var/lib/apt/lists/old": b"",
    }  # fmt: skip
    before = based_on(old, "RUN http_proxy=http://a true", Env=["no_proxy=x"])
    same = documents("RUN http_proxy=http://a true", Env=["no_proxy=x"])
    assert left(old, before, same, compiled=True) == ()
    assert len(left(old, None, same, compiled=True)) == 6
    assert left({**old, "/etc/machine-id": b"def\n"}, before, same) == ("/etc/machine-id names one machine",)


@pytest.mark.parametrize("content", [b"", b"\n", b"uninitialized\n"])
def test_a_machine_id_to_be(content: bytes) -> None:
    assert left({"/etc/machine-id": content}, None, documents()) == ()


def test_compiled_files_are_told_by_their_topmost_folder() -> None:
    content: Content = {
        "/usr/lib/x/__pycache__/a.pyc": b"", "/usr/lib/x/__pycache__/b.pyc": b"", "/var/lib/y.pyc": b"",
        "/opt/z.pyc": b"",
    }  # fmt: skip
    assert left(content, None, documents()) == ()
    assert left(content, None, documents(), compiled=True) == (
        "/usr/lib/x/__pycache__ is compiled Python", "/var/lib/y.pyc is compiled Python",
    )  # fmt: skip


def test_a_proxy_is_told_without_its_password() -> None:
    image = documents(
        "ENV x", "|1 HTTPS_PROXY='http://u:secret@p' /bin/sh -c true", "http_proxy=", Env=["ftp_proxy=secret"]
    )
    found = left({}, None, image)
    assert found == (
        "the variable ftp_proxy is set in its configuration", "step 2 of its history tells HTTPS_PROXY",
    )  # fmt: skip
