# SPDX-License-Identifier: Apache-2.0
"""The page of a run in a real browser: its search, its colours, and what its security policy lets happen."""

import platform
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import attrs
import pytest

from stxbuildah.job.images.page import write_page
from stxbuildah.model.imagesrun import ImagesResult
from stxbuildah.model.packages import PackageLists
from tests.engine.conftest import unavailable
from tests.unit.job.images.outcomes import built, failed, planned, product

pytestmark = pytest.mark.engine

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ATTACK = "<img src=x onerror=\"document.title='taken'\"></style><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nova, horizon = planned("stx-nova"), planned("stx-horizon")
    lists = PackageLists(python=("oslo.config==9.7.0", "six==1.17.0"), deb=("bash 5.2.37-2 amd64",))
    outcomes = (
        attrs.evolve(built(nova, pushed=True), packages=lists),
        attrs.evolve(built(planned("stx-keystone")), packages=PackageLists(python=("six==1.17.0", "Six==1.18.0"))),
        attrs.evolve(failed(horizon, ATTACK), reason=ATTACK, packages=PackageLists(python=(f"{ATTACK}==1",))),
    )
    plan = product(Path("records"), nova, horizon, remarks=(ATTACK,))
    path = tmp_path_factory.mktemp("page") / "build.html"
    write_page(ImagesResult(plan=plan, outcomes=outcomes, started=0.0, seconds=30.0), path)
    return path


class Browser:
    """A browser without a window."""

    def __init__(self, program: str, folder: Path) -> None:
        self._words = (
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
        )  # fmt: skip
        self._folder = folder

    def look(self, url: str, *words: str) -> str:
        """Open a page, and give what the browser says on standard output; no script may have failed."""
        done = subprocess.run([*self._words, *words, url], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "CONSOLE" not in done.stderr, done.stderr
        return done.stdout

    def colour(self, url: str, *words: str) -> tuple[int, ...]:
        """Give red, green and blue of a page's upper left corner."""
        picture = self._folder / "picture.png"
        self.look(url, f"--screenshot={picture}", "--window-size=800,600", *words)
        data, place, pieces = picture.read_bytes(), 8, b""
        while place < len(data):
            size, kind = struct.unpack(">I4s", data[place : place + 8])
            pieces += data[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
            place += size + 12
        # One byte says how the first row is written, which makes no difference to its first point.
        return tuple(zlib.decompressobj().decompress(pieces, 4)[1:])


@pytest.fixture(scope="module")
def browser(engine_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sentence = f"this needs a browser: one of {', '.join(BROWSERS)}"
        if platform.freedesktop_os_release()["ID"] == "debian":
            unavailable(sentence)
        # Others have none as a package that ./bootstrap could install.
        pytest.skip(sentence)
    return Browser(program, tmp_path_factory.mktemp("browser"))


def shown_packages(document: str) -> list[str]:
    rows = re.findall(
        r"<tr(?: data-images=\"[^\"]*\")?><td class=\"break\">(.*?)</td><td class=\"break mono\">(.*?)<", document
    )
    return [f"{name} {version}" for name, version in rows]


def test_the_search_shows_the_rows_that_have_every_word(browser: Browser, file: Path) -> None:
    document = browser.look(f"{file.as_uri()}#q=SIX%20keystone", "--dump-dom")
    assert shown_packages(document) == ["Six 1.18.0", "six 1.17.0"]
    assert re.search(r'<output id="found"[^>]*>2 of 5</output>', document)
    assert re.search(r'<details class="card" id="packages" open="">', document)


def test_what_it_tells_is_text_and_an_image_is_opened_by_its_link(browser: Browser, file: Path) -> None:
    document = browser.look(f"{file.as_uri()}#image-stx-nova", "--dump-dom")
    assert "<title>Images of debian-trixie-amd64, stable</title>" in document
    assert "<img" not in document
    assert document.count("<script>") == 1
    assert re.findall(r'<details class="card image" id="([^"]*)" open="">', document) == ["image-stx-nova"]
    assert len(shown_packages(document)) == 5


def test_it_is_dark_where_that_is_wanted(browser: Browser, file: Path) -> None:
    assert browser.colour(file.as_uri(), "--blink-settings=preferredColorScheme=1") == (0xF6, 0xF7, 0xF9)
    assert browser.colour(file.as_uri(), "--blink-settings=preferredColorScheme=0") == (0x0F, 0x13, 0x18)
