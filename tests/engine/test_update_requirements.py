# SPDX-License-Identifier: Apache-2.0
"""Requirements: told when they are not met, as pip tells them; fetched when that is asked for."""

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

# pip's sentences: "a 1 requires b, which is not installed." and "a 1 has requirement b>2, but you have b 1."
_PIP_CHECK = re.compile(r"^(\S+) \S+ (?:requires ([\w.-]+), which|has requirement ([\w.-]+).*, but)")
_OURS = re.compile(r"^(\S+) \S+ requires ([\w.-]+?)(?:[<>=!~].*)?, (?:which|but)")
REQUIRES = (
    "stx-there>=1",
    "stx-leaf>=2,<3",
    'stx-never; python_version < "3"',
    'stx-never; sys_platform == "win32"',
    'stx-optional; extra == "more"',
    "stx-rich[colour]",
)


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("main"), "stx-main", "1.0", requires=REQUIRES)


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels to choose from."""
    folder = tmp_path_factory.mktemp("offered")
    for version in ("1.0", "2.0", "2.5", "3.0"):
        make_wheel(folder, "stx-leaf", version)
    make_wheel(folder, "stx-there", "9.0")
    make_wheel(folder, "stx-never", "1.0")
    make_wheel(folder, "stx-optional", "1.0")
    make_wheel(folder, "stx-paint", "1.0")
    rich = ('stx-paint; extra == "colour"', 'stx-never; extra == "other"')
    make_wheel(folder, "stx-rich", "1.0", requires=rich)
    return folder


@pytest.fixture(scope="module")
def base(module_stxb: Stxb, base_image: ImageReference, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that has one of the requirements already."""
    wheel = make_wheel(tmp_path_factory.mktemp("there"), "stx-there", "1.0")
    return str(module_stxb.update("--from", base_image, "--wheel", wheel, "--tag", "requirements")["image"])


@pytest.fixture(scope="module")
def index(offered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same wheels behind the pages of PEP 503."""
    folder = tmp_path_factory.mktemp("index")
    for wheel in offered.glob("*.whl"):
        project = folder / "simple" / wheel.name.partition("-")[0].replace("_", "-")
        project.mkdir(parents=True, exist_ok=True)
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with (project / "index.html").open("a") as page:
            page.write(f'<a href="../../{wheel.name}#sha256={digest}">{wheel.name}</a><br>\n')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def pip_check(images: Images, image: str) -> set[tuple[str, str]]:
    """Give who lacks what, as the image's own pip says it."""
    said = images.run(image, "sh", "-c", "python3 -m pip check || true").splitlines()
    if said == ["No broken requirements found."]:
        return set()
    found = [_PIP_CHECK.match(line) for line in said]
    assert all(found), said
    return {(match[1], match[2] or match[3]) for match in found if match}


def lacking(sentences: list[str]) -> set[tuple[str, str]]:
    found = [_OURS.match(sentence) for sentence in sentences]
    assert all(found), sentences
    return {(match[1], match[2]) for match in found if match}


def test_unmet_requirements_are_told_as_pip_tells_them(
    stxb: Stxb, images: Images, base: str, main: Path, tmp_path: Path
) -> None:
    wheels = [main, make_wheel(tmp_path, "stx-leaf", "1.0"), make_wheel(tmp_path, "stx-other", "1.0")]
    result = stxb.update("--from", base, *(word for wheel in wheels for word in ("--wheel", wheel)))
    expected = {("stx-main", "stx-leaf"), ("stx-main", "stx-rich")}
    assert lacking(result["unmet_requirements"]) == expected == pip_check(images, result["image"])
    assert result["changes"]["python"] == ["+ stx-leaf==1.0", "+ stx-main==1.0", "+ stx-other==1.0"]


def test_an_update_that_breaks_another_module_says_so(
    stxb: Stxb, images: Images, base: str, main: Path, index: str, tmp_path: Path
) -> None:
    first = stxb.update("--from", base, "--wheel", main, "--with-deps", "--index-url", index)
    assert first["unmet_requirements"] == []
    second = stxb.update("--from", first["image"], "--wheel", make_wheel(tmp_path, "stx-leaf", "3.0"))
    expected = {("stx-main", "stx-leaf")}
    assert lacking(second["unmet_requirements"]) == expected == pip_check(images, second["image"])


@pytest.mark.parametrize("source", ["folder", "index"])
def test_only_what_is_missing_is_fetched(
    source: str, stxb: Stxb, images: Images, base: str, main: Path, offered: Path, index: str
) -> None:
    # An index that knows no project, beside a folder that has them all.
    words = ("--index-url", index) if source == "index" else ("--index-url", f"{index}/none", "--find-links", offered)
    result = stxb.update("--from", base, "--wheel", main, "--with-deps", *words)
    assert result["changes"]["python"] == [
        "+ stx-leaf==2.5", "+ stx-main==1.0", "+ stx-paint==1.0", "+ stx-rich==1.0",
    ]  # fmt: skip
    assert result["unmet_requirements"] == []
    assert pip_check(images, result["image"]) == set()
    before, after = images.config(base), images.config(result["image"])
    assert len(after["rootfs"]["diff_ids"]) == len(before["rootfs"]["diff_ids"]) + 1


def test_a_contradiction_is_named(stxb: Stxb, base: str, index: str, tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path, "stx-left", "1.0", requires=("stx-leaf<2",)),
        make_wheel(tmp_path, "stx-right", "1.0", requires=("stx-leaf>=2",)),
    ]
    words = [word for wheel in wheels for word in ("--wheel", wheel)]
    said = stxb.refused(2, "--from", base, *words, "--with-deps", "--index-url", index, "--tag", "never")
    for word in ("stx-left", "stx-right", "stx-leaf"):
        assert word in said


def test_a_requirement_that_nobody_offers_is_named(stxb: Stxb, base: str, index: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "stx-lost", "1.0", requires=("stx-nowhere>=4",))
    said = stxb.refused(2, "--from", base, "--wheel", wheel, "--with-deps", "--index-url", index, "--tag", "never")
    assert "stx-nowhere" in said
    assert "stx-lost" in said
