# SPDX-License-Identifier: Apache-2.0
import email.parser
import io
import zipfile
from importlib import metadata
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from stxbuildah.layer.distributions import all_distributions, find_distributions
from stxbuildah.layer.environment import find_environment
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.metadata import egg_requirements, read_headers
from stxbuildah.layer.sitepath import search_path
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment
from stxbuildah.model.tree import Entry, Kind

Content = dict[str, bytes | Entry | tuple[Entry, bytes]]

SITE = "/usr/local/lib/python3.11/site-packages"
BASE: Content = {
    "/usr/local/bin/python3": symlink("python3.11"),
    "/usr/local/bin/python3.11": (Entry(Kind.FILE, mode=0o755), b""),
    "/usr/local/lib/python3.11/os.py": b"",
    SITE: Entry(Kind.DIRECTORY, mode=0o755),
}


def environment_of(content: Content) -> tuple[MemoryTree, PythonEnvironment]:
    tree = MemoryTree({**BASE, **content})
    environment = find_environment(tree, "")
    assert environment is not None
    return tree, environment


def found(content: Content) -> tuple[Distribution, ...]:
    return find_distributions(*environment_of(content))


def said(name: str, version: str, more: str = "") -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\nVersion: 0\n".encode()


def expected(name: str, version: str, path: str, kind: MetadataFormat) -> Distribution:
    return Distribution(
        name=canonicalize_name(name),
        display_name=name,
        version=version,
        location=path.rpartition("/")[0],
        metadata_path=path,
        format=kind,
    )


def test_a_dist_info_with_everything() -> None:
    info = f"{SITE}/Zope.Interface-5.4.dist-info"
    requires = (
        "Requires-Dist: setuptools\nRequires-Dist: Sphinx ;\n extra == 'docs'\n"
        "Requires-Python: >=3.7\nLicense: a\n  Name: b\n"
    )
    assert found(
        {
            f"{info}/METADATA": said("Zope.Interface", "5.4", requires),
            f"{info}/INSTALLER": b"pip\n",
            f"{info}/direct_url.json": b'{"url": "file:///x"}\n',
        }
    ) == (
        attrs.evolve(
            expected("Zope.Interface", "5.4", info, MetadataFormat.DIST_INFO),
            requires=("setuptools", "Sphinx ; extra == 'docs'"),
            requires_python=">=3.7",
            installer="pip",
            direct_url='{"url": "file:///x"}',
        ),
    )


def test_an_egg_info_folder_has_its_requirements_in_a_file() -> None:
    info = f"{SITE}/oslo.log-1.0-py3.11.egg-info"
    assert found(
        {f"{info}/PKG-INFO": said("oslo.log", "1.0"), f"{info}/requires.txt": b"six>=1\n\n[test]\nnose\n"}
    ) == (
        attrs.evolve(
            expected("oslo.log", "1.0", info, MetadataFormat.EGG_INFO), requires=("six>=1", 'nose ; extra == "test"')
        ),
    )


def test_an_egg_info_file_is_its_metadata() -> None:
    info = f"{SITE}/PyYAML-3.10-py2.7.egg-info"
    assert found({info: said("PyYAML", "3.10")}) == (expected("PyYAML", "3.10", info, MetadataFormat.EGG_INFO_FILE),)


def test_metadata_without_names_fall_back_to_the_folders_name() -> None:
    info = f"{SITE}/some_thing-1.2.dist-info"
    assert found({f"{info}/METADATA": b"\nNothing\n"}) == (
        expected("some_thing", "1.2", info, MetadataFormat.DIST_INFO),
    )


def test_the_first_on_the_search_path_wins_and_the_others_are_known() -> None:
    extra = "/opt/modules"
    content: Content = {
        f"{SITE}/more.pth": b"/opt/modules\n",
        f"{SITE}/one-2.0.dist-info/METADATA": said("one", "2.0"),
        f"{extra}/One-1.0.dist-info/METADATA": said("One", "1.0"),
        f"{extra}/two-1.0.egg-info/PKG-INFO": said("two", "1.0"),
        f"{extra}/two-3.0.dist-info/METADATA": said("two", "3.0"),
    }
    assert [(one.name, one.version) for one in found(content)] == [("one", "2.0"), ("two", "3.0")]
    assert [(one.name, one.version) for one in all_distributions(*environment_of(content))] == [
        ("one", "2.0"),
        ("one", "1.0"),
        ("two", "3.0"),
        ("two", "1.0"),
    ]


def test_what_is_no_distribution_is_passed_over() -> None:
    assert (
        found(
            {
                f"{SITE}/~ip-1.0.dist-info/METADATA": said("pip", "1.0"),
                f"{SITE}/empty-1.0.dist-info": Entry(Kind.DIRECTORY),
                f"{SITE}/file-1.0.dist-info": b"Name: file\n",
                f"{SITE}/bad-1.0.dist-info/METADATA": said("../bad", "1.0"),
                f"{SITE}/folder.egg-link/PKG-INFO": said("folder", "1.0"),
                f"{SITE}/dangling-1.0.dist-info": symlink("/nowhere"),
                f"{SITE}/not-1.0.egg/EGG-INFO/PKG-INFO": said("not", "1.0"),
                f"{SITE}/gone.egg-link": b"/nowhere\n.",
            }
        )
        == ()
    )


def test_metadata_behind_links_are_read_inside_the_image() -> None:
    info = f"{SITE}/linked-1.0.dist-info"
    assert found(
        {
            info: symlink("/opt/store/linked"),
            "/opt/store/linked/METADATA": symlink("/opt/store/text"),
            "/opt/store/text": said("linked", "1.0"),
        }
    ) == (expected("linked", "1.0", info, MetadataFormat.DIST_INFO),)


def zipped_egg() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("EGG-INFO/PKG-INFO", said("zipped", "2.0"))
        archive.writestr("EGG-INFO/requires.txt", "six\n")
    return stream.getvalue()


def test_eggs_count_when_a_pth_file_names_them() -> None:
    content: Content = {
        f"{SITE}/easy-install.pth": b"import sys; sys.__plen = len(sys.path)\n"
        b"./folder-1.0-py3.11.egg\n./zipped-2.0.egg\n./bad.egg\n"
        b"import sys; new=sys.path[sys.__plen:]; p=getattr(sys,'__egginsert',0); sys.__egginsert = p+len(new)\n",
        f"{SITE}/folder-1.0-py3.11.egg/EGG-INFO/PKG-INFO": said("folder", "1.0"),
        f"{SITE}/zipped-2.0.egg": zipped_egg(),
        f"{SITE}/bad.egg": b"no archive",
        f"{SITE}/folder-3.0.dist-info/METADATA": said("folder", "3.0"),
    }
    assert environment_of(content)[1].search_path == (
        f"{SITE}/folder-1.0-py3.11.egg",
        f"{SITE}/zipped-2.0.egg",
        f"{SITE}/bad.egg",
        SITE,
    )
    assert found(content) == (
        expected("folder", "1.0", f"{SITE}/folder-1.0-py3.11.egg", MetadataFormat.EGG),
        attrs.evolve(expected("zipped", "2.0", f"{SITE}/zipped-2.0.egg", MetadataFormat.EGG), requires=("six",)),
    )


@pytest.mark.parametrize("on_path", [True, False])
def test_a_develop_link_is_found_whether_or_not_its_folder_is_on_the_path(on_path: bool) -> None:
    content: Content = {
        f"{SITE}/nova.egg-link": b"/opt/nova\n.",
        "/opt/nova/nova.egg-info/PKG-INFO": said("nova", "29.0"),
        "/opt/nova/other.egg-info/PKG-INFO": said("other", "1.0") if not on_path else b"",
    }
    if on_path:
        content[f"{SITE}/easy-install.pth"] = b"/opt/nova\n"
    assert [one for one in found(content) if one.name == "nova"] == [
        attrs.evolve(
            expected("nova", "29.0", f"{SITE}/nova.egg-link", MetadataFormat.EGG_LINK),
            direct_url='{"dir_info": {"editable": true}, "url": "file:///opt/nova"}',
        )
    ]


def test_pth_files_add_folders_and_never_run() -> None:
    tree = MemoryTree(
        {
            "/s/a.pth": b"# comment\n\n/opt/one\nimport os; os.makedirs('/x')\nimport\tsys\n"
            b"relative\n/opt/none\n/opt/one  \n",
            "/s/.hidden.pth": b"/opt/two\n",
            "/s/b.pth": symlink("/opt/linked.pth"),
            "/s/c.pth": b"/opt/three",
            "/s/folder.pth/x": b"",
            "/s/relative/x.pth": b"/opt/two",
            "/opt/linked.pth": b"/opt/one/../two\n\0\n",
            "/opt/one/x": b"",
            "/opt/two/x": b"",
            "/opt/three": symlink("one"),
            "/t": symlink("s"),
        }
    )
    assert search_path(tree, ["/s", "/missing", "/t"]) == ("/s", "/opt/one", "/s/relative", "/opt/two", "/missing")


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Name", "version", "Requires-Dist", "Other", "License"]),
        st.lists(
            st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8), min_size=1, max_size=3
        ),
    ),
    max_size=6,
)


@given(HEADERS)
def test_headers_are_read_as_the_standard_library_reads_them(headers: list[tuple[str, list[str]]]) -> None:
    text = "".join(name + ": " + "\n  ".join(lines) + "\n" for name, lines in headers)
    text += "\nName: in the description\n"
    message = email.parser.Parser().parsestr(text)
    wanted = {"name", "version", "requires-dist"}
    values = {
        name: [" ".join(str(value).split()) for value in message.get_all(name, [])]
        for name in wanted
        if name in message
    }
    assert read_headers(text.encode(), frozenset(wanted)) == values


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_headers_end_at_the_first_empty_line(end: str) -> None:
    names = frozenset({"name"})
    assert read_headers(f"A: b{end}Name: x{end} y{end}{end}Name: z{end}{end}".encode(), names) == {"name": ["x y"]}
    assert read_headers(f"{end}Name: x{end}".encode(), names) == {}
    assert read_headers(f" Name: x{end}Name:{end}".encode(), names) == {"name": [""]}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(content: bytes) -> None:
    read_headers(content, frozenset({"name"}))
    list(egg_requirements(content))


def test_egg_requirements_are_those_of_importlib(tmp_path: Path) -> None:
    text = "six\n\n[test]\nnose\na>=1\n[:python_version<'3']\nenum34\n[docs:python_version>'3']\nsphinx\n"
    folder = tmp_path / "x.egg-info"
    folder.mkdir()
    (folder / "requires.txt").write_text(text)
    theirs = metadata.PathDistribution(folder).requires or []
    assert [line.replace(" ", "") for line in egg_requirements(text.encode())] == [
        line.replace(" ", "") for line in theirs
    ]
