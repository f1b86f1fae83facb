# SPDX-License-Identifier: Apache-2.0
"""Downloads, from a real server on loopback."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxbuildah.engine.download import Downloader, MissingFileError, file_name, shown
from stxbuildah.errors import AuthenticationError, InputError, RegistryError, StxbError
from stxbuildah.model.settings import Proxies, Retry
from tests.unit.engine.servers import Answer, Server, running_server

BODY = bytes(range(256)) * 5000
AGAIN = Retry(attempts=3, delay=0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def test_a_file_is_fetched_under_its_name(server: Server, tmp_path: Path) -> None:
    server.answers["/a/one-1.0%2Bx-py3-none-any.whl?token=1"] = Answer(BODY)
    url = f"{server.url}/a/one-1.0%2Bx-py3-none-any.whl?token=1#sha256={hashlib.sha256(BODY).hexdigest()}"
    path = Downloader().fetch(url, tmp_path)
    assert path == tmp_path / "one-1.0+x-py3-none-any.whl"
    assert path.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [path]


def test_a_wrong_digest_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.answers["/one.whl"] = Answer(BODY)
    with pytest.raises(
        InputError, match=r"/one\.whl is not the file it should be: its SHA-256 is [0-9a-f]{64}, the URL"
    ):
        Downloader().fetch(f"{server.url}/one.whl#sha256={'0' * 64}", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_stays_when_a_download_fails(server: Server, tmp_path: Path) -> None:
    (tmp_path / "one.whl").write_text("old")
    server.answers["/one.whl"] = Answer(BODY, headers={"Content-Length": str(len(BODY) + 1)})
    with pytest.raises(RegistryError, match="broke off"):
        Downloader().fetch(f"{server.url}/one.whl", tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("one.whl", "old")]


def test_a_file_that_is_too_large(server: Server, tmp_path: Path) -> None:
    server.answers["/one.whl"] = Answer(BODY)
    with pytest.raises(InputError, match=r"/one\.whl has more than 1000 bytes"):
        Downloader(maximum_bytes=1000).fetch(f"{server.url}/one.whl", tmp_path)
    with pytest.raises(InputError, match=r"/one\.whl has more than 1000 bytes"):
        Downloader().read(f"{server.url}/one.whl", limit=1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError), (403, AuthenticationError), (404, MissingFileError), (410, MissingFileError),
        (400, RegistryError), (501, RegistryError),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_not_tried_again(
    server: Server, tmp_path: Path, status: int, kind: type[StxbError]
) -> None:
    server.answers["/one.whl"] = Answer(status=status)
    with pytest.raises(kind, match=rf"/one\.whl: the server answers {status}"):
        Downloader(retry=AGAIN).fetch(f"{server.url}/one.whl", tmp_path)
    assert server.asked == ["/one.whl"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    fault = Answer(status=status, headers={"Retry-After": "0"})
    server.answers["/one.whl"] = [fault, fault, Answer(BODY)]
    assert Downloader(retry=AGAIN).fetch(f"{server.url}/one.whl", tmp_path).read_bytes() == BODY
    server.answers["/one.whl"] = fault
    server.asked.clear()
    with pytest.raises(RegistryError, match=f"the server answers {status}"):
        Downloader(retry=AGAIN).fetch(f"{server.url}/one.whl", tmp_path)
    assert len(server.asked) == 3


def test_a_broken_connection_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.answers["/one.whl"] = [Answer(BODY, headers={"Content-Length": "9999999"}), Answer(BODY)]
    assert Downloader(retry=AGAIN).fetch(f"{server.url}/one.whl", tmp_path).read_bytes() == BODY


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    half = len(BODY) // 2
    broken = {"Content-Length": str(len(BODY)), "ETag": '"one"'}
    rest = {"Content-Range": f"bytes {half}-{len(BODY) - 1}/{len(BODY)}", "ETag": '"one"'}
    server.answers["/one.whl"] = [Answer(BODY[:half], headers=broken), Answer(BODY[half:], status=206, headers=rest)]
    url = f"{server.url}/one.whl#sha256={hashlib.sha256(BODY).hexdigest()}"
    assert Downloader(retry=AGAIN).fetch(url, tmp_path).read_bytes() == BODY
    assert (server.headers[1]["Range"], server.headers[1]["If-Range"]) == (f"bytes={half}-", '"one"')


@pytest.mark.parametrize(
    ("etag", "second"),
    [
        # The file changed meanwhile, and comes whole.
        ('"one"', Answer(BODY)),
        # Another part than was asked for counts as a whole file, whose digest is then wrong.
        ('"one"', Answer(BODY, headers={"Content-Range": "bytes 0-9/10"})),
        # Weak validators do not tell two states of a file apart.
        ('W/"one"', Answer(BODY)),
        ("", Answer(BODY)),
    ],
)
def test_a_download_that_cannot_go_on_begins_anew(server: Server, tmp_path: Path, etag: str, second: Answer) -> None:
    headers = {"Content-Length": str(len(BODY)), **({"ETag": etag} if etag else {})}
    server.answers["/one.whl"] = [Answer(b"of another file", headers=headers), second]
    assert Downloader(retry=AGAIN).fetch(f"{server.url}/one.whl", tmp_path).read_bytes() == BODY
    assert ("Range" in server.headers[1]) == (etag == '"one"')
    assert [path.name for path in tmp_path.iterdir()] == ["one.whl"]


def test_a_server_that_says_nothing(server: Server, tmp_path: Path) -> None:
    server.answers["/one.whl"] = [Answer(BODY, hang=30), Answer(BODY)]
    assert Downloader(timeout=0.2, retry=AGAIN).fetch(f"{server.url}/one.whl", tmp_path).read_bytes() == BODY


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:9/one\.whl cannot be fetched: .*refused"):
        Downloader().fetch("http://127.0.0.1:9/one.whl", tmp_path)


def test_a_redirect_is_followed_without_the_password(server: Server, tmp_path: Path) -> None:
    with running_server() as other:
        other.answers["/real"] = Answer(BODY)
        server.login = ("me", "se:cret")
        server.answers["/one.whl"] = Answer(status=302, redirect=f"{other.url}/real")
        url = server.url.replace("http://", "http://me:se%3Acret@") + "/one.whl"
        assert Downloader().fetch(url, tmp_path).read_bytes() == BODY
        assert "Authorization" in server.headers[0]
        assert "Authorization" not in other.headers[0]
        with pytest.raises(AuthenticationError) as caught:
            Downloader().fetch(url.replace("se%3A", "wrong"), tmp_path)
        assert "wrongcret" not in caught.value.message


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_elsewhere_is_not_followed(server: Server, tmp_path: Path, place: str) -> None:
    server.answers["/one.whl"] = Answer(status=302, redirect=place)
    with pytest.raises(StxbError):
        Downloader().fetch(f"{server.url}/one.whl", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_redirects_in_a_circle(server: Server, tmp_path: Path) -> None:
    server.answers["/one.whl"] = Answer(status=301, redirect="/one.whl")
    with pytest.raises(RegistryError, match="cannot be fetched"):
        Downloader().fetch(f"{server.url}/one.whl", tmp_path)
    assert len(server.asked) < 20


def test_a_proxy_is_used_except_for_the_hosts_named(server: Server, tmp_path: Path) -> None:
    server.answers["http://files.example/one.whl"] = Answer(BODY)
    proxies = Proxies(http=server.url, no="127.0.0.1,.internal")
    assert Downloader(proxies=proxies).fetch("http://files.example/one.whl", tmp_path).read_bytes() == BODY
    server.answers["/two.whl"] = Answer(BODY)
    assert Downloader(proxies=proxies).fetch(f"{server.url}/two.whl", tmp_path).read_bytes() == BODY
    assert server.asked == ["http://files.example/one.whl", "/two.whl"]


@pytest.mark.parametrize(
    "url", ["file:///etc/x.whl", "ftp://h/x.whl", "http:///x.whl", "http://h:x/x.whl", "http://h/ x.whl", "x.whl"]
)
def test_what_is_no_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="is no"):
        Downloader().fetch(url, tmp_path)


@pytest.mark.parametrize(
    "url", ["http://h/", "http://h/..", "http://h/a%2Fb", "http://h/.hidden", "http://h/-x", "http://h/a%00"]
)
def test_names_that_are_none(url: str) -> None:
    with pytest.raises(InputError, match="does not end in the name of a file"):
        file_name(url)


def test_a_url_is_shown_without_its_secrets() -> None:
    assert shown("https://me:secret@h:8443/a/b.whl?token=1#sha256=2") == "https://h:8443/a/b.whl"


def test_a_bundle_that_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(InputError, match=r"ca\.crt is no file of certificates"):
        Downloader(ca_bundle=tmp_path / "ca.crt").fetch(f"{server.url}/one.whl", tmp_path)


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    server.answers["/one.whl"] = Answer(BODY)
    with pytest.raises(InputError, match=r"one\.whl cannot be written: No such file or directory"):
        Downloader().fetch(f"{server.url}/one.whl", tmp_path / "nowhere")
