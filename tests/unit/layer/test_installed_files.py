# SPDX-License-Identifier: Apache-2.0
import io
import json
from pathlib import Path

import pytest

from stxbuildah import log
from stxbuildah.errors import InputError
from stxbuildah.layer.distributions import find_distributions
from stxbuildah.layer.installed_files import FileEdit, edits_of, emptied_directories, files_of
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.ownership import package_of
from stxbuildah.model.inventory import Distribution, PythonEnvironment
from stxbuildah.model.tree import Entry, Kind
from tests.unit.layer.test_distributions import SITE, Content, environment_of, said
from tests.unit.layer.test_rpmdb import package, sqlite_file

SCRIPT = b"#!/usr/local/bin/python3\n# -*- coding: utf-8 -*-\nimport sys\nfrom one.cli import main\nsys.exit(main())\n"


def the(content: Content, name: str = "one") -> tuple[MemoryTree, PythonEnvironment, Distribution]:
    tree, environment = environment_of(content)
    (distribution,) = (one for one in find_distributions(tree, environment) if one.name == name)
    return tree, environment, distribution


def dist_info(record: str, name: str = "one") -> Content:
    info = f"{SITE}/{name}-1.0.dist-info"
    return {f"{info}/METADATA": said(name, "1.0"), f"{info}/RECORD": record.encode("utf-8", "surrogateescape")}


INFO = [f"{SITE}/one-1.0.dist-info/METADATA", f"{SITE}/one-1.0.dist-info/RECORD"]


def test_a_record_is_followed_with_what_it_does_not_list() -> None:
    content: Content = {
        **dist_info('one/__init__.py,sha256=x,0\n"one/a,b",,\none/gone.py,,\n../../../bin/listed,,\none,,\n'),
        f"{SITE}/one-1.0.dist-info/REQUESTED": b"",
        f"{SITE}/one-1.0.dist-info/licenses/deep/LICENSE": b"",
        f"{SITE}/one-1.0.dist-info/entry_points.txt": b"[console_scripts]\none = one.cli:main [x]\n"
        b"other = one.cli:main\n[gui_scripts]\nwin=one.cli:gui\n[plugins]\nlisted = one\n",
        f"{SITE}/one/__init__.py": b"",
        f"{SITE}/one/a,b": b"",
        f"{SITE}/one/kept.txt": b"",
        f"{SITE}/one/__pycache__/__init__.cpython-311.pyc": b"",
        f"{SITE}/one/__pycache__/__init__.cpython-311.opt-1.pyc": b"",
        f"{SITE}/one/__pycache__/gone.cpython-311.pyc": b"",
        "/usr/local/bin/listed": b"",
        "/usr/local/bin/one": SCRIPT,
        "/usr/local/bin/other": b"#!/bin/sh\nexec something else\n",
        "/usr/local/bin/win-script.py": SCRIPT,
    }
    assert files_of(*the(content)) == (
        "/usr/local/bin/listed",
        "/usr/local/bin/one",
        "/usr/local/bin/win-script.py",
        INFO[0],
        INFO[1],
        f"{SITE}/one-1.0.dist-info/REQUESTED",
        f"{SITE}/one-1.0.dist-info/entry_points.txt",
        f"{SITE}/one-1.0.dist-info/licenses/deep/LICENSE",
        f"{SITE}/one/__init__.py",
        f"{SITE}/one/__pycache__/__init__.cpython-311.opt-1.pyc",
        f"{SITE}/one/__pycache__/__init__.cpython-311.pyc",
        f"{SITE}/one/a,b",
    )


def test_a_record_never_leads_out_of_the_environment() -> None:
    record = (
        "/etc/passwd,,\n../../../../../etc/shadow,,\n../../../../bin/sh,,\n../../../bin/python3.11,,\n"
        "one/link/x,,\n\0,,\n"
    )
    content: Content = {
        **dist_info(record),
        "/etc/passwd": b"root",
        "/etc/shadow": b"root",
        "/usr/bin/sh": b"",
        f"{SITE}/one/link": symlink("/etc"),
        "/etc/x": b"",
    }
    stream = io.StringIO()
    with log.configured(log.LogSettings(json=True, stream=stream)):
        assert files_of(*the(content)) == tuple(INFO)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one["path"]) for one in told] == [
        ("inventory.file.outside", path)
        for path in ("/etc/passwd", "/etc/shadow", "/usr/bin/sh", "/usr/local/bin/python3.11", "/etc/x")
    ]


def test_files_below_a_linked_folder_are_named_where_they_are() -> None:
    content: Content = {
        **dist_info("one/data/x,,\none/data,,\nlinked.py,,\n"),
        f"{SITE}/one/data": symlink("../../../../share/one"),
        "/usr/local/share/one/x": b"",
        f"{SITE}/linked.py": symlink("/nowhere"),
    }
    assert files_of(*the(content)) == (f"{SITE}/linked.py", *INFO, f"{SITE}/one/data", "/usr/local/share/one/x")


def test_an_egg_info_with_its_list() -> None:
    info = f"{SITE}/one-1.0-py2.7.egg-info"
    content: Content = {
        f"{info}/PKG-INFO": said("one", "1.0"),
        f"{info}/installed-files.txt": b"../one.py\n../one.pyc\n\n../../../../bin/tool\nPKG-INFO\n",
        f"{SITE}/one.py": b"",
        f"{SITE}/one.pyc": b"",
        f"{SITE}/one.pyo": b"",
        "/usr/local/bin/tool": b"",
    }
    assert files_of(*the(content)) == (
        "/usr/local/bin/tool",
        f"{info}/PKG-INFO",
        f"{info}/installed-files.txt",
        f"{SITE}/one.py",
        f"{SITE}/one.pyc",
        f"{SITE}/one.pyo",
    )


EASY_INSTALL = (
    b"import sys; sys.__plen = len(sys.path)\n./one-1.0-py3.11.egg\n./two-1.0.egg\nimport sys; new=sys.path\n"
)


@pytest.mark.parametrize("alone", [True, False])
def test_an_egg_goes_with_its_line(alone: bool) -> None:
    egg = f"{SITE}/one-1.0-py3.11.egg"
    lines = EASY_INSTALL.replace(b"./two-1.0.egg\n", b"") if alone else EASY_INSTALL
    content: Content = {
        f"{SITE}/easy-install.pth": lines,
        f"{egg}/EGG-INFO/PKG-INFO": said("one", "1.0"),
        f"{egg}/EGG-INFO/scripts/tool": b"",
        f"{egg}/EGG-INFO/entry_points.txt": b"[console_scripts]\none = one.cli:main\n",
        f"{egg}/one.py": b"",
        f"{SITE}/two-1.0.egg/EGG-INFO/PKG-INFO": said("two", "1.0"),
        "/usr/local/bin/one": b"#!/x\n# EASY-INSTALL-ENTRY-SCRIPT: 'one==1.0','console_scripts','one'\n",
        "/usr/local/bin/tool": b"#!/x\n# EASY-INSTALL-SCRIPT: 'one==1.0','tool'\n",
    }
    assert files_of(*the(content)) == (
        "/usr/local/bin/one",
        "/usr/local/bin/tool",
        f"{egg}/EGG-INFO/PKG-INFO",
        f"{egg}/EGG-INFO/entry_points.txt",
        f"{egg}/EGG-INFO/scripts/tool",
        f"{egg}/one.py",
    )
    kept = None if alone else EASY_INSTALL.replace(b"./one-1.0-py3.11.egg\n", b"")
    assert edits_of(*the(content)) == (FileEdit(path=f"{SITE}/easy-install.pth", content=kept),)


def test_eggs_that_go_together_share_one_edit() -> None:
    content: Content = {
        f"{SITE}/easy-install.pth": b"./one-1.0.egg\n./two-1.0.egg\n./three-1.0.egg\n",
        **{f"{SITE}/{name}-1.0.egg/EGG-INFO/PKG-INFO": said(name, "1.0") for name in ("one", "two", "three")},
    }
    tree, environment, one = the(content)
    two = the(content, "two")[2]
    path = f"{SITE}/easy-install.pth"
    assert edits_of(tree, environment, one, two) == (FileEdit(path=path, content=b"./three-1.0.egg\n"),)
    assert edits_of(tree, environment) == ()


def test_a_develop_link_goes_and_its_source_stays() -> None:
    content: Content = {
        f"{SITE}/one.egg-link": b"/opt/one\n.",
        f"{SITE}/easy-install.pth": b"/opt/two\n/opt/one\n",
        "/opt/one/one.egg-info/PKG-INFO": said("one", "1.0"),
        "/opt/one/one.egg-info/entry_points.txt": b"[console_scripts]\none = one.cli:main\n",
        "/opt/one/one/cli.py": b"",
        "/opt/two/x": b"",
        "/usr/local/bin/one": b"#!/x\n__import__('pkg_resources').require('one==1.0')\n",
    }
    assert files_of(*the(content)) == ("/usr/local/bin/one", f"{SITE}/one.egg-link")
    assert edits_of(*the(content)) == (FileEdit(path=f"{SITE}/easy-install.pth", content=b"/opt/two\n"),)


def test_what_has_a_list_needs_no_edit() -> None:
    assert edits_of(*the(dist_info(""))) == ()


def unlisted(name: str = "one", more: dict[str, bytes] | None = None) -> Content:
    info = f"{SITE}/{name}-1.0-py3.11.egg-info"
    return {f"{info}/PKG-INFO": said(name, "1.0"), **{f"{info}/{key}": text for key, text in (more or {}).items()}}


def test_without_a_list_the_top_level_modules_are_taken() -> None:
    content: Content = {
        **unlisted(more={"top_level.txt": b"one\n_one\nsingle\n"}),
        f"{SITE}/one/deep/x.txt": b"",
        f"{SITE}/_one.cpython-311-x86_64-linux-gnu.so": b"",
        f"{SITE}/single.py": b"",
        f"{SITE}/__pycache__/single.cpython-311.pyc": b"",
        f"{SITE}/__pycache__/single_other.cpython-311.pyc": b"",
        f"{SITE}/one_more/x.py": b"",
    }
    info = f"{SITE}/one-1.0-py3.11.egg-info"
    assert files_of(*the(content)) == (
        f"{SITE}/__pycache__/single.cpython-311.pyc",
        f"{SITE}/_one.cpython-311-x86_64-linux-gnu.so",
        f"{info}/PKG-INFO",
        f"{info}/top_level.txt",
        f"{SITE}/one/deep/x.txt",
        f"{SITE}/single.py",
    )


@pytest.mark.parametrize(
    "other", [unlisted("two", {"top_level.txt": b"shared\n"}), dist_info("shared/two.py,,\n", "two")]
)
def test_a_shared_folder_is_only_touched_by_a_list_of_sources(other: Content) -> None:
    files: Content = {f"{SITE}/shared/one/x.py": b"", f"{SITE}/shared/two.py": b"", **other}
    known = unlisted(
        more={"top_level.txt": b"shared\n", "SOURCES.txt": b"setup.py\nsrc/shared/one/x.py\nshared/none.py\n"}
    )
    info = f"{SITE}/one-1.0-py3.11.egg-info"
    assert files_of(*the({**files, **known})) == (
        f"{info}/PKG-INFO",
        f"{info}/SOURCES.txt",
        f"{info}/top_level.txt",
        f"{SITE}/shared/one/x.py",
    )
    unknown = unlisted(more={"top_level.txt": b"shared\n"})
    with pytest.raises(InputError) as caught:
        files_of(*the({**files, **unknown}))
    assert caught.value.message == (
        f"one 1.0 in {SITE} cannot be replaced: which files are its own cannot be told, "
        "since others have modules in shared too, and it has no SOURCES.txt"
    )


def test_a_declared_namespace_is_shared_even_when_nobody_else_is_there() -> None:
    content = unlisted(more={"top_level.txt": b"space\n", "namespace_packages.txt": b"space\n"})
    with pytest.raises(InputError, match="others have modules in space too"):
        files_of(*the({**content, f"{SITE}/space/one.py": b""}))


@pytest.mark.parametrize(
    "content",
    [
        {f"{SITE}/one-1.0-py3.11.egg-info": said("one", "1.0")},
        {f"{SITE}/one-1.0.dist-info/METADATA": said("one", "1.0")},
        unlisted(more={"top_level.txt": b"..\na/b\n"}),
    ],
)
def test_a_distribution_that_says_nothing_of_its_files_is_an_error(content: Content) -> None:
    with pytest.raises(InputError, match=r"has neither RECORD, installed-files\.txt nor top_level\.txt") as caught:
        files_of(*the(content))
    assert "customization script" in caught.value.hint


def owned(more: str = "") -> Content:
    listed = (
        f"/.\n/usr\n{SITE}\n{SITE}/one\n{SITE}/one/x.py\n{SITE}/one-1.0.egg-info\n/usr/share/doc/one/copyright\n{more}"
    )
    return {
        "/var/lib/dpkg/info/python3-one.list": listed.encode(),
        "/usr/share/doc/one/copyright": b"",
        f"{SITE}/one-1.0.egg-info": said("one", "1.0"),
        f"{SITE}/one/x.py": b"",
    }


def test_the_owning_packages_list_is_used_for_what_has_none() -> None:
    # Documentation and the like stays: it is the package's, and no part of the Python distribution.
    assert files_of(*the(owned())) == (f"{SITE}/one-1.0.egg-info", f"{SITE}/one/x.py")


def test_an_rpms_list_is_used_too(tmp_path: Path) -> None:
    files = (f"{SITE}/one-1.0.egg-info", f"{SITE}/one/x.py", "/usr/share/doc/one/README")
    database = sqlite_file(tmp_path, (package("other"), package("python3-one", "noarch", files)), write_ahead=False)
    content: Content = {
        "/var/lib/rpm/rpmdb.sqlite": database,
        f"{SITE}/one-1.0.egg-info": said("one", "1.0"),
        f"{SITE}/one/x.py": b"",
        "/usr/share/doc/one/README": b"",
    }
    tree, environment, one = the(content)
    assert package_of(tree, one) == "python3-one"
    assert files_of(tree, environment, one) == (f"{SITE}/one-1.0.egg-info", f"{SITE}/one/x.py")


def test_a_package_of_several_distributions_is_split_by_top_level_or_not_at_all() -> None:
    two = f"{SITE}/two-1.0.egg-info\n{SITE}/two.py\n"
    with pytest.raises(InputError, match="the package python3-one holds several Python distributions"):
        files_of(*the({**owned(two), f"{SITE}/two-1.0.egg-info": said("two", "1.0"), f"{SITE}/two.py": b""}))
    info = f"{SITE}/one-1.0.egg-info"
    listed = f"{info}\n{info}/PKG-INFO\n{info}/top_level.txt\n{SITE}/one/x.py\n{two}"
    content: Content = {
        "/var/lib/dpkg/info/python3-one.list": listed.encode(),
        f"{info}/PKG-INFO": said("one", "1.0"),
        f"{info}/top_level.txt": b"one\n",
        f"{SITE}/one/x.py": b"",
        f"{SITE}/two-1.0.egg-info": said("two", "1.0"),
        f"{SITE}/two.py": b"",
    }
    assert files_of(*the(content)) == (f"{info}/PKG-INFO", f"{info}/top_level.txt", f"{SITE}/one/x.py")


def test_folders_are_emptied_up_to_what_the_environment_keeps() -> None:
    tree, environment = environment_of(
        {
            f"{SITE}/one/a/b/x.py": b"",
            f"{SITE}/one/y.py": b"",
            f"{SITE}/two/x.py": b"",
            f"{SITE}/two/kept.py": b"",
            "/usr/local/share/one/x": b"",
            "/usr/local/share/man/man1/one.1": b"",
            "/usr/local/etc/one.conf": b"",
            "/usr/local/bin/one": b"",
            "/usr/local/sbin": Entry(Kind.DIRECTORY),
        }
    )
    removed = (
        f"{SITE}/one/a/b/x.py",
        f"{SITE}/one/y.py",
        f"{SITE}/two/x.py",
        "/usr/local/share/one/x",
        "/usr/local/share/man/man1/one.1",
        "/usr/local/etc/one.conf",
        "/usr/local/bin/one",
        "/usr/local/bin/python3",
        "/usr/local/bin/python3.11",
    )
    assert emptied_directories(tree, environment, removed) == (
        f"{SITE}/one",
        f"{SITE}/one/a",
        f"{SITE}/one/a/b",
        "/usr/local/share/one",
    )
    assert emptied_directories(tree, environment, ()) == ()
