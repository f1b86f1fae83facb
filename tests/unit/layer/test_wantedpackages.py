# SPDX-License-Identifier: Apache-2.0
"""Packages that were asked for, in an image of dpkg's, one of rpm's, and among Python distributions."""

import pytest

from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.wantedpackages import lacking_os_packages, lacking_python_packages
from tests.unit.layer.test_requirements import one
from tests.unit.layer.test_rpmdb import Value, header, sqlite_file


def stanza(name: str, version: str, *lines: str, architecture: str = "amd64") -> str:
    head = f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: {architecture}\n"
    return head + "".join(f"{line}\n" for line in lines)


DEBIAN = MemoryTree(
    {
        "/var/lib/dpkg/status": "\n".join(
            [
                stanza("nginx", "1.26-3", "Provides: httpd, httpd-cgi (= 1)"),
                stanza("tzdata", "2025b", architecture="all"),
                stanza("g++", "4:14"),
                "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n",
            ]
        ).encode()
    }
)


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        ("nginx", ""),
        ("nginx:amd64", ""),
        ("nginx:arm64", "nginx:arm64 is not installed"),
        ("nginx=1.26-3", ""),
        ("nginx=1.26*", ""),
        ("nginx=1.27-1", "nginx=1.27-1 was asked for, and nginx 1.26-3 is installed"),
        ("nginx/trixie", ""),
        ("httpd", ""),
        ("httpd-cgi", ""),
        ("tzdata:amd64", ""),
        ("g++", ""),
        ("nginx+", ""),
        ("absent-", ""),
        ("nginx-", "nginx-: nginx is installed"),
        ("absent+", "absent+: absent is not installed"),
        ("gone", "gone is not installed"),
        ("absent", "absent is not installed"),
        ("=1", "=1 is no name of a package"),
    ],
)
def test_debian(wanted: str, lacking: str) -> None:
    assert lacking_os_packages(DEBIAN, [wanted, wanted]) == ((lacking,) if lacking else ())


@pytest.fixture(scope="module")
def rpm_image(tmp_path_factory: pytest.TempPathFactory) -> MemoryTree:
    tags: dict[int, Value] = {1000: "httpd", 1001: "2.4", 1002: "1", 1022: "x86_64"}
    blob = header({**tags, 1047: ["httpd", "webserver", "config(httpd)"]})
    data = sqlite_file(tmp_path_factory.mktemp("rpm"), (blob,), write_ahead=False)
    return MemoryTree({"/var/lib/rpm/rpmdb.sqlite": data, "/usr/bin/httpd": b""})


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        *((word, "") for word in (
            "httpd", "httpd.x86_64", "httpd-2.4", "httpd-2.4-1", "httpd-2.4-1.x86_64", "webserver", "config(httpd)",
            "/usr/bin/httpd", "htt*", "@core",
        )),
        *((word, f"{word} is not installed") for word in ("httpd-2.5", "httpd.i686", "absent", "/usr/bin/none", "ab*")),
    ],
)  # fmt: skip
def test_rpm(rpm_image: MemoryTree, wanted: str, lacking: str) -> None:
    assert lacking_os_packages(rpm_image, [wanted]) == ((lacking,) if lacking else ())


def test_an_image_without_packages() -> None:
    assert lacking_os_packages(MemoryTree({}), []) == ()
    found = lacking_os_packages(MemoryTree({}), ["one"])
    assert found == ("one is not installed: the image has no database of packages",)


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        ("Stx_Demo", ""),
        ("stx.demo[all]>=1.0,<2", ""),
        ("stx-demo==1.*", ""),
        ("odd===1.0-odd", ""),
        ("git+https://example.org/x@v1#egg=stx_demo", ""),
        ("git+https://example.org/x@v1", ""),
        ("stx-demo @ https://example.org/x.whl", ""),
        ("git+https://example.org/x#egg=absent", "git+https://example.org/x#egg=absent is not installed"),
        ("absent", "absent is not installed"),
        ("stx-demo>=2", "stx-demo>=2 was asked for, and stx-demo 1.5 is installed"),
        ("odd>=2", "odd>=2 was asked for, and odd 1.0-odd is installed"),
    ],
)
def test_python(wanted: str, lacking: str) -> None:
    installed = [one("stx-demo", "1.5"), one("odd", "1.0-odd")]
    assert lacking_python_packages(installed, [wanted]) == ((lacking,) if lacking else ())
