# SPDX-License-Identifier: Apache-2.0
"""Wheels that can be had: from a package index and from folders or pages of links.

The index speaks the "Simple repository API" of the PyPA specifications (PEP 503, 592, 658, 691), as HTML or JSON.
Sdists are passed over: they would have to be built.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import attrs
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, NormalizedName, parse_wheel_filename
from packaging.version import Version

from stxbuildah import log
from stxbuildah.engine.download import Downloader, MissingFileError, shown
from stxbuildah.errors import InputError, RegistryError

# What pip and uv ask when nobody names another.
DEFAULT_INDEX = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@attrs.frozen(kw_only=True)
class WheelLink:
    """A wheel that an index or a folder offers.

    Attributes:
        url: http(s) URL, with the file's digest as fragment where the index tells it; empty for a file.
        path: the file; None for a URL.
        name: name of the distribution, normalized after PEP 503.
        version: version of the distribution.
        build: build tag; empty when there is none.
        tags: what it can be installed for.
        requires_python: its ``Requires-Python`` value, or empty.
        yanked: whether it was withdrawn.
        metadata: digest of the metadata file beside it, as ``sha256=HEX`` or empty; None when there is none.
    """

    url: str = ""
    path: Path | None = None
    name: NormalizedName
    version: Version
    build: BuildTag = ()
    tags: frozenset[Tag]
    requires_python: str = ""
    yanked: bool = False
    metadata: str | None = None

    @property
    def filename(self) -> str:
        """The wheel's own name."""
        return self.path.name if self.path is not None else _last(self.url)


@attrs.define(kw_only=True)
class PackageIndex:
    """Everything that offers wheels, and what it said when it was asked.

    Attributes:
        downloader: fetches pages and wheels.
        index_url: the index; may hold user and password, which are used for its host alone. Empty for none.
        find_links: folders, wheel files, http(s) pages of links, or URLs of wheels.
        folder: existing folder for what is fetched.
    """

    downloader: Downloader
    index_url: str = DEFAULT_INDEX
    find_links: tuple[str, ...] = ()
    folder: Path
    _asked: dict[NormalizedName, tuple[WheelLink, ...]] = attrs.field(factory=dict, init=False)
    _fetched: dict[WheelLink, Path] = attrs.field(factory=dict, init=False)

    def links(self, name: NormalizedName) -> tuple[WheelLink, ...]:
        """Give every wheel of a distribution, in no particular order; those of ``find_links`` first.

        Raises:
            StxbError: the index cannot be reached, or answers something that is no index page.
        """
        if name not in self._asked:
            given = tuple(link for link in self._given if link.name == name)
            self._asked[name] = (*given, *(link for link in self._of_index(name) if link.name == name))
        return self._asked[name]

    def fetch(self, link: WheelLink) -> Path:
        """Give the file of a wheel; fetched once.

        Raises:
            StxbError: it cannot be fetched, or its digest is wrong.
        """
        if link.path is not None:
            return link.path
        if link not in self._fetched:
            self._fetched[link] = self.downloader.fetch(self._with_login(link.url), self.folder)
        return self._fetched[link]

    def metadata(self, link: WheelLink) -> bytes:
        """Give the METADATA file of a wheel, without the wheel where the index has it apart (PEP 658)."""
        from stxbuildah.wheels.metadata import read_metadata

        if link.metadata is None or link.path is not None:
            return read_metadata(self.fetch(link))
        data, _ = self.downloader.read(self._with_login(urldefrag(link.url).url) + ".metadata")
        _check(data, link)
        return data

    def _with_login(self, url: str) -> str:
        """Give a URL of the index's own host with the user and password of the index."""
        login, at, host = urlsplit(self.index_url).netloc.rpartition("@")
        parts = urlsplit(url)
        if at and (parts.scheme, parts.netloc) == (urlsplit(self.index_url).scheme, host):
            return parts._replace(netloc=login + at + host).geturl()
        return url

    @cached_property
    def _given(self) -> tuple[WheelLink, ...]:
        return tuple(link for place in self.find_links for link in self._of_place(place))

    def _of_place(self, place: str) -> Iterator[WheelLink]:
        if "://" in place:
            if urlsplit(place).path.endswith(".whl"):
                yield from _parsed([{"url": place}])
            else:
                yield from _parsed(_page(*self.downloader.read(place, accept=_ACCEPT)))
            return
        path = Path(place)
        if not path.exists():
            raise InputError(f"--find-links {place} is neither a folder, a wheel nor a URL")
        for file in sorted(path.glob("*.whl")) if path.is_dir() else [path]:
            yield from _parsed([{"path": str(file)}])

    def _of_index(self, name: NormalizedName) -> Iterable[WheelLink]:
        if not self.index_url:
            return ()
        url = f"{self.index_url.rstrip('/')}/{name}/"
        try:
            return _parsed(_page(*self.downloader.read(url, accept=_ACCEPT)))
        except MissingFileError:
            return ()


def _page(data: bytes, url: str) -> list[Mapping[str, str]]:
    """Give the files that an index page or a page of links names."""
    if data.lstrip()[:1] == b"{":
        return _json_page(data, url)
    reader = _Anchors()
    reader.feed(data.decode("utf-8", "replace"))
    base = urljoin(url, reader.base)
    return [{**anchor, "url": urljoin(base, anchor["href"])} for anchor in reader.found]


def _json_page(data: bytes, url: str) -> list[Mapping[str, str]]:
    try:
        files = json.loads(data)["files"]
        return [_json_file(file, url) for file in files]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"{shown(url)} is no page of a package index: {error!r}") from error


def _json_file(file: Mapping[str, object], url: str) -> Mapping[str, str]:
    hashes, metadata = file.get("hashes"), file.get("core-metadata", file.get("dist-info-metadata"))
    digest = hashes.get("sha256", "") if isinstance(hashes, dict) else ""
    found = {"url": urljoin(url, str(file["url"])) + (f"#sha256={digest}" if digest else "")}
    if file.get("requires-python"):
        found["data-requires-python"] = str(file["requires-python"])
    if file.get("yanked"):
        found["data-yanked"] = ""
    if metadata:
        told = metadata.get("sha256", "") if isinstance(metadata, dict) else ""
        found["data-core-metadata"] = f"sha256={told}" if told else "true"
    return found


class _Anchors(HTMLParser):
    """Collects the links of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "base" and not self.base:
            self.base = attributes.get("href", "")
        elif tag == "a" and "href" in attributes:
            self.found.append(attributes)


def _parsed(files: Iterable[Mapping[str, str]]) -> Iterator[WheelLink]:
    for file in files:
        url, path = file.get("url", ""), file.get("path", "")
        name = Path(path).name if path else _last(url)
        if not name.endswith(".whl"):
            continue
        try:
            distribution, version, build, tags = parse_wheel_filename(name)
        except InvalidWheelFilename:
            log.debug("index.name.skipped", name=name)
            continue
        metadata = file.get("data-core-metadata", file.get("data-dist-info-metadata"))
        yield WheelLink(
            url=url,
            path=Path(path) if path else None,
            name=distribution,
            version=version,
            build=build,
            tags=tags,
            requires_python=file.get("data-requires-python", ""),
            yanked="data-yanked" in file,
            metadata=metadata if metadata is None or "=" in metadata else "",
        )


def _last(url: str) -> str:
    from urllib.parse import unquote

    return unquote(urlsplit(url).path.rpartition("/")[2])


def _check(data: bytes, link: WheelLink) -> None:
    import hashlib

    algorithm, _, expected = (link.metadata or "").partition("=")
    if algorithm == "sha256" and hashlib.sha256(data).hexdigest() != expected.lower():
        raise RegistryError(f"the metadata of {link.filename} are not what the index says they are: wrong SHA-256")
