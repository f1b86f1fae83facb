# SPDX-License-Identifier: Apache-2.0
"""Which wheels are fetched because an image lacks them; from folders, HTML and JSON indexes on this machine."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import attrs
import pytest
from packaging.utils import canonicalize_name

from stxbuildah.engine.download import Downloader
from stxbuildah.errors import AuthenticationError, InputError, RegistryError
from stxbuildah.layer.compatibility import python_fits, supported_tags
from stxbuildah.layer.requirements import marker_environment
from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment, SchemeKind
from stxbuildah.wheels.dependencies import TargetPython, download_dependencies
from stxbuildah.wheels.index import PackageIndex
from tests.unit.engine.servers import Answer, Server, running_server
from tests.unit.layer.wheel_maker import make_wheel

ENVIRONMENT = PythonEnvironment(
    interpreter="/usr/bin/python3", real_interpreter="/usr/bin/python3.9", version=(3, 9), kind=SchemeKind.PREFIX,
    prefix="/usr", purelib="/p", platlib="/p", scripts="/usr/bin", data="/usr", headers="/h", search_path=("/p",),
    machine="x86_64", glibc=(2, 31),
)  # fmt: skip
TARGET = TargetPython(
    shown="Python 3.9 with glibc 2.31",
    markers=marker_environment(ENVIRONMENT),
    supported=partial(supported_tags, ENVIRONMENT),
    fits=lambda requires: python_fits(requires, ENVIRONMENT.version),
)


def wheel(folder: Path, name: str, version: str, *requires: str, tag: str = "py3-none-any", python: str = "") -> Path:
    headers = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    headers += [f"Requires-Dist: {line}" for line in requires]
    headers += [f"Requires-Python: {python}"] if python else []
    return make_wheel(folder, name, version, tag=tag, metadata="\n".join(headers) + "\n")


def there(name: str, version: str, *requires: str) -> Distribution:
    return Distribution(
        name=canonicalize_name(name), display_name=name, version=version, location="/p",
        metadata_path=f"/p/{name}-{version}.dist-info", format=MetadataFormat.DIST_INFO, requires=requires,
    )  # fmt: skip


@attrs.define
class World:
    """Wheels that are offered, and what is asked of them."""

    offers: Path
    folder: Path

    def offer(self, name: str, version: str, *requires: str, tag: str = "py3-none-any", python: str = "") -> Path:
        return wheel(self.offers, name, version, *requires, tag=tag, python=python)

    def resolve(
        self,
        *requires: str,
        installed: tuple[Distribution, ...] = (),
        index_url: str = "",
        given: Mapping[str, str] | None = None,
    ) -> list[str]:
        """What is fetched for a wheel ``main`` with these requirements, and for other wheels given by version."""
        own = self.folder / "given"
        own.mkdir(exist_ok=True)
        wheels = [read_wheel(wheel(own, "main", "1", *requires))]
        wheels += [read_wheel(wheel(own, name, version)) for name, version in (given or {}).items()]
        fetched = self.folder / "fetched"
        fetched.mkdir(exist_ok=True)
        links = () if index_url else (str(self.offers),)
        index = PackageIndex(downloader=Downloader(), index_url=index_url, find_links=links, folder=fetched)
        return [path.name for path in download_dependencies(wheels, installed, TARGET, index)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "offers").mkdir()
    return World(tmp_path / "offers", tmp_path)


def test_nothing_is_missing(world: World) -> None:
    world.offer("one", "2.0")
    assert world.resolve() == []
    assert world.resolve("one>=1", installed=(there("One", "1.0"),)) == []
    assert world.resolve("one>=1", given={"one": "1.5"}) == []


def test_requirements_of_requirements_are_fetched(world: World) -> None:
    world.offer("one", "1.0", "two>1")
    world.offer("two", "1.0")
    world.offer("two", "1.5")
    assert world.resolve("One") == ["one-1.0-py3-none-any.whl", "two-1.5-py3-none-any.whl"]


def test_what_is_installed_and_fits_stays(world: World) -> None:
    world.offer("one", "3.0", "two")
    world.offer("two", "9.0")
    installed = (there("one", "2.0", "two"), there("two", "1.0"))
    assert world.resolve("one", installed=installed) == []
    assert world.resolve("one>=3", installed=installed) == ["one-3.0-py3-none-any.whl"]


def test_what_is_missing_of_an_installed_one_is_fetched(world: World) -> None:
    world.offer("two", "9.0")
    assert world.resolve("one", installed=(there("one", "2.0", "two"),)) == ["two-9.0-py3-none-any.whl"]


def test_an_installed_one_stays_in_a_version_that_others_take(world: World) -> None:
    world.offer("two", "2.0")
    world.offer("two", "3.0")
    installed = (there("one", "1.0", "two<3"), there("two", "1.0"))
    assert world.resolve("one", "two>=2", installed=installed) == ["two-2.0-py3-none-any.whl"]


def test_an_installed_version_that_is_none_is_replaced(world: World) -> None:
    world.offer("one", "1.0")
    assert world.resolve("one", installed=(there("one", "not a version"),)) == ["one-1.0-py3-none-any.whl"]


def test_markers_are_the_images(world: World) -> None:
    for name in ("old", "new", "windows", "arm"):
        world.offer(name, "1.0")
    requires = (
        'old; python_version < "3.10"', 'new; python_version >= "3.10"', 'windows; sys_platform == "win32"',
        'arm; platform_machine == "aarch64"',
    )  # fmt: skip
    assert world.resolve(*requires) == ["old-1.0-py3-none-any.whl"]


def test_extras(world: World) -> None:
    world.offer(
        "one", "1.0", 'two; extra == "fast"', 'three; extra == "slow"', 'four; extra == "fast" and os_name == "nt"'
    )
    world.offer("two", "1.0")
    world.offer("three", "1.0")
    assert world.resolve("one") == ["one-1.0-py3-none-any.whl"]
    assert world.resolve("one[Fast]") == ["one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"]
    installed = (there("one", "1.0", 'two; extra == "fast"'),)
    assert world.resolve("one[fast]", installed=installed) == ["two-1.0-py3-none-any.whl"]


def test_only_wheels_for_the_images_python(world: World) -> None:
    for tag in ("cp310-cp310-manylinux_2_17_x86_64", "cp39-cp39-manylinux_2_34_x86_64", "cp39-cp39-win_amd64"):
        world.offer("one", "2.0", tag=tag)
    world.offer("one", "1.9", python=">=3.10")
    world.offer("one", "1.5", tag="cp39-cp39-manylinux_2_17_x86_64")
    world.offer("one", "1.5")
    assert world.resolve("one") == ["one-1.5-cp39-cp39-manylinux_2_17_x86_64.whl"]


def test_a_pre_release_is_taken_when_it_is_asked_for_or_alone(world: World) -> None:
    world.offer("one", "1.0")
    world.offer("one", "2.0rc1")
    world.offer("two", "2.0b1")
    assert world.resolve("one") == ["one-1.0-py3-none-any.whl"]
    assert world.resolve("one>=2.0rc1") == ["one-2.0rc1-py3-none-any.whl"]
    assert world.resolve("two") == ["two-2.0b1-py3-none-any.whl"]


def test_it_goes_back_to_an_older_version(world: World) -> None:
    world.offer("one", "1.0")
    world.offer("one", "2.0", "two<1")
    world.offer("two", "1.0")
    assert world.resolve("one", "two") == ["one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"]


def test_a_circle(world: World) -> None:
    world.offer("one", "1.0", "two")
    world.offer("two", "1.0", "one")
    assert world.resolve("one") == ["one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("requires", "given", "names", "details"),
    [
        (("gone",), {}, "gone", ("main 1 requires gone", "gone: the index has no wheel of it")),
        (("one>5",), {}, "one", ("main 1 requires one>5",)),
        (("one>5",), {"one": "4"}, "one", ("main 1 requires one>5", "one 4 is given")),
        (("one<2", "two"), {}, "one", ("main 1 requires one<2", "two 1.0 requires one>=2")),
    ],
)
def test_what_cannot_be_met(
    world: World, requires: tuple[str, ...], given: dict[str, str], names: str, details: tuple[str, ...]
) -> None:
    world.offer("one", "1.0")
    world.offer("one", "2.0")
    world.offer("two", "1.0", "one>=2")
    with pytest.raises(InputError) as caught:
        world.resolve(*requires, given=given)
    assert caught.value.message == f"no wheel of {names} for Python 3.9 with glibc 2.31 meets all requirements"
    assert set(details) <= set(caught.value.details)


def test_a_requirement_by_url_is_not_fetched(world: World) -> None:
    with pytest.raises(
        InputError, match=r"^main 1 requires one ?@ https://h/one\.whl: requirements that name a URL are not fetched$"
    ):
        world.resolve("one @ https://h/one.whl")


def test_links_that_are_nowhere(world: World) -> None:
    world.offers.rmdir()
    with pytest.raises(InputError, match="neither a folder, a wheel nor a URL"):
        world.resolve("one")


# Indexes.


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def html_index(files: Mapping[Path, str]) -> dict[str, Answer]:
    """A PEP 503 index: the page of each name, with further attributes for each file."""
    pages: dict[str, list[str]] = {}
    answers: dict[str, Answer] = {}
    for path, attributes in files.items():
        link = f'<a href="../../files/{path.name}#sha256={sha256(path)}" {attributes}>{path.name}</a>'
        pages.setdefault(path.name.split("-")[0], []).append(link)
        answers[f"/files/{path.name}"] = Answer(path.read_bytes())
    for name, links in pages.items():
        page = "<!DOCTYPE html><html><body>" + "<br>".join([*links, '<a href="../../one-1.tar.gz">sdist</a>'])
        answers[f"/simple/{name}/"] = Answer(page.encode(), headers={"Content-Type": "text/html"})
    return answers


@pytest.fixture
def serve() -> Iterator[Callable[[Mapping[str, Answer]], Server]]:
    with running_server() as server:

        def answering(answers: Mapping[str, Answer]) -> Server:
            server.answers.update(answers)
            return server

        yield answering


def test_an_html_index(world: World, serve: Callable[[Mapping[str, Answer]], Server]) -> None:
    files = {
        world.offer("one", "3.0"): 'data-requires-python="&gt;=3.10"',
        world.offer("one", "2.0"): 'data-yanked="broken"',
        world.offer("one", "1.0", "two"): "",
        world.offer("two", "1.0"): 'data-requires-python="&gt;=3.6"',
    }
    server = serve(html_index(files))
    url = f"{server.url}/simple/"
    assert world.resolve("one", index_url=url) == ["one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"]
    assert world.resolve("one==2.0", index_url=url) == ["one-2.0-py3-none-any.whl"]
    assert (world.folder / "fetched/one-1.0-py3-none-any.whl").read_bytes() == (
        world.offers / "one-1.0-py3-none-any.whl"
    ).read_bytes()
    with pytest.raises(InputError, match="no wheel of gone"):
        world.resolve("gone", index_url=url)


def test_a_json_index_with_metadata_apart(world: World, serve: Callable[[Mapping[str, Answer]], Server]) -> None:
    one, older, two = world.offer("one", "2.0", "two>8"), world.offer("one", "1.0"), world.offer("two", "1.0")
    metadata = b"Metadata-Version: 2.1\nName: one\nVersion: 2.0\nRequires-Dist: two>8\n"
    files = [
        {"url": "/files/" + one.name, "hashes": {"sha256": sha256(one)},
         "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()}},
        {"url": "/files/" + older.name, "hashes": {}, "requires-python": None, "yanked": False},
    ]  # fmt: skip
    server = serve(
        {
            "/simple/one/": Answer(json.dumps({"files": files}).encode()),
            "/simple/two/": Answer(json.dumps({"files": [{"url": "/files/" + two.name, "hashes": {}}]}).encode()),
            f"/files/{one.name}.metadata": Answer(metadata),
            f"/files/{older.name}": Answer(older.read_bytes()),
            f"/files/{two.name}": Answer(two.read_bytes()),
        }
    )
    assert world.resolve("one", "two", index_url=f"{server.url}/simple") == [older.name, two.name]
    # The wheel that did not fit was never fetched.
    assert f"/files/{one.name}" not in server.asked
    server.answers[f"/files/{one.name}.metadata"] = Answer(metadata + b"changed")
    with pytest.raises(RegistryError, match=r"the metadata of one-2\.0-py3-none-any\.whl are not what the index says"):
        world.resolve("one", index_url=f"{server.url}/simple")


def test_a_wheel_that_was_changed_on_the_server(world: World, serve: Callable[[Mapping[str, Answer]], Server]) -> None:
    one = world.offer("one", "1.0")
    server = serve(html_index({one: ""}))
    server.answers[f"/files/{one.name}"] = Answer(one.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"one-1\.0-py3-none-any\.whl is not the file it should be"):
        world.resolve("one", index_url=f"{server.url}/simple")


def test_an_index_with_a_password(world: World, serve: Callable[[Mapping[str, Answer]], Server]) -> None:
    one = world.offer("one", "1.0")
    server = serve(html_index({one: ""}))
    server.login = ("me", "secret")
    named = server.url.replace("http://", "http://me:secret@")
    assert world.resolve("one", index_url=f"{named}/simple") == [one.name]
    with pytest.raises(AuthenticationError):
        world.resolve("one", index_url=f"{server.url}/simple")


def test_a_page_of_links(world: World, serve: Callable[[Mapping[str, Answer]], Server]) -> None:
    one, two = world.offer("one", "1.0"), world.offer("two", "1.0")
    page = f'<html><head><base href="/files/"></head><a href="{one.name}">one</a><a name="x">no link</a></html>'
    server = serve(
        {
            "/links.html": Answer(page.encode()),
            f"/files/{one.name}": Answer(one.read_bytes()),
            f"/files/{two.name}": Answer(two.read_bytes()),
        }
    )
    (world.folder / "fetched").mkdir()
    index = PackageIndex(
        downloader=Downloader(),
        index_url="",
        find_links=(f"{server.url}/links.html", f"{server.url}/files/{two.name}"),
        folder=world.folder / "fetched",
    )
    own = [read_wheel(wheel(world.folder, "main", "1", "one", "two"))]
    assert [path.name for path in download_dependencies(own, (), TARGET, index)] == [one.name, two.name]
