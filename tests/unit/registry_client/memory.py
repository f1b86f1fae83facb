# SPDX-License-Identifier: Apache-2.0
"""A registry on loopback that keeps everything in memory, after the OCI distribution specification 1.1.

It is stricter than most: Locations are relative and carry a state that must come back, chunks must follow each other,
and nothing is taken that has another digest. What arrived of a broken PATCH is kept.
"""

import hashlib
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import attrs

from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.image import OCI_INDEX

_PATH = re.compile(r"/v2/(?P<repository>.+?)/(?P<what>manifests|referrers|blobs/uploads|blobs)/(?P<name>[^/]*)")


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int = 1) -> bytes:
    """Give bytes that no two places of a blob have in common."""
    return random.Random(seed).randbytes(size)  # noqa: S311 # the same in every run


def described(data: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip") -> Descriptor:
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))


@attrs.define(kw_only=True)
class MemoryRegistry:
    """A registry under way.

    Attributes:
        address: its host and port.
        blobs: contents by repository and digest.
        manifests: media type and content by repository and tag or digest.
        uploads: what arrived of unfinished uploads, by their name.
        referrers: whether it lists them.
        filters: whether it applies a filter to that list.
        page: how many entries a page of that list has.
        ranges: whether it gives a part of a blob.
        least_chunk: told as OCI-Chunk-Min-Length, and asked of every chunk but the last; 0 for none.
        headers: headers that are set in each answer, or taken out by None.
        begun: how many uploads have been begun.
    """

    address: str
    blobs: dict[tuple[str, str], bytes] = attrs.field(factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = attrs.field(factory=dict)
    uploads: dict[str, bytearray] = attrs.field(factory=dict)
    referrers: bool = True
    filters: bool = True
    page: int = 100
    ranges: bool = True
    least_chunk: int = 0
    headers: dict[str, str | None] = attrs.field(factory=dict)
    begun: int = 0
    lock: threading.RLock = attrs.field(factory=threading.RLock, repr=False)

    def add_blob(self, repository: str, data: bytes) -> str:
        self.blobs[repository, digest_of(data)] = data
        return digest_of(data)

    def add_manifest(self, repository: str, tag: str, media_type: str, data: bytes) -> str:
        with self.lock:
            for name in (tag, digest_of(data)):
                self.manifests[repository, name] = (media_type, data)
        return digest_of(data)

    def listed(self, repository: str, subject: str) -> list[dict[str, object]]:
        """Give descriptors of the manifests that have this subject."""
        found = []
        for (place, name), (media_type, data) in self.manifests.items():
            document = json.loads(data)
            if place == repository and name == digest_of(data) and document.get("subject", {}).get("digest") == subject:
                entry = {"mediaType": media_type, "digest": name, "size": len(data)}
                found.append({**entry, "artifactType": document.get("artifactType")})
        return found


@contextmanager
def running_registry() -> Iterator[MemoryRegistry]:
    """Run a registry until the block ends."""
    listening = _Listening(("127.0.0.1", 0), _Handler)
    listening.registry = MemoryRegistry(address=f"127.0.0.1:{listening.server_address[1]}")
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listening.registry
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    registry: MemoryRegistry

    def handle_error(self, *_: object) -> None:
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listening
    repository = name = ""
    query: dict[str, str]

    def log_message(self, *_: object) -> None:
        return

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = _PATH.fullmatch(parts.path)
        if found is None:
            self._answer(200 if parts.path == "/v2/" else 404)
            return
        self.repository, self.name = found["repository"], found["name"]
        what = found["what"].replace("/", "_")
        method = getattr(self, f"_{self.command.lower().replace('head', 'get')}_{what}", None)
        if method is None:
            self._read()
            self._refuse(405, "UNSUPPORTED")
        else:
            method()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 # the base class calls them so

    def _get_manifests(self) -> None:
        found = self.server.registry.manifests.get((self.repository, self.name))
        if found is None:
            self._refuse(404, "MANIFEST_UNKNOWN")
        else:
            media_type, data = found
            self._answer(200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(data)})

    def _put_manifests(self) -> None:
        registry, data = self.server.registry, self._read()
        document = json.loads(data)
        named = [document.get("config", {}), *document.get("layers", [])]
        if any((self.repository, one["digest"]) not in registry.blobs for one in named if one):
            self._refuse(400, "MANIFEST_BLOB_UNKNOWN")
            return
        digest = registry.add_manifest(self.repository, self.name, self.headers["Content-Type"], data)
        subject = document.get("subject", {}).get("digest")
        told = {"OCI-Subject": subject} if subject and registry.referrers else {}
        self._answer(201, b"", {"Docker-Content-Digest": digest, **told})

    def _get_referrers(self) -> None:
        registry = self.server.registry
        if not registry.referrers:
            self._refuse(404, "UNSUPPORTED")
            return
        with registry.lock:
            entries, start = registry.listed(self.repository, self.name), int(self.query.get("start", "0"))
        headers = {"Content-Type": OCI_INDEX}
        if registry.filters and "artifactType" in self.query:
            entries = [entry for entry in entries if entry["artifactType"] == self.query["artifactType"]]
            headers["OCI-Filters-Applied"] = "artifactType"
        if start + registry.page < len(entries):
            headers["Link"] = f'<{urlsplit(self.path).path}?start={start + registry.page}>; rel="next"'
        document = {"schemaVersion": 2, "manifests": entries[start : start + registry.page]}
        self._answer(200, json.dumps(document).encode(), headers)

    def _get_blobs(self) -> None:
        registry = self.server.registry
        data = registry.blobs.get((self.repository, self.name))
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", self.headers.get("Range", ""))
        if data is None:
            self._refuse(404, "BLOB_UNKNOWN")
        elif asked is not None and registry.ranges:
            start, end = int(asked[1]), int(asked[2] or len(data) - 1)
            told = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
            self._answer(206, data[start : end + 1], told)
        else:
            self._answer(200, data)

    def _post_blobs_uploads(self) -> None:
        registry = self.server.registry
        self._read()
        mounted = registry.blobs.get((self.query.get("from", ""), self.query.get("mount", "")))
        if mounted is not None:
            registry.add_blob(self.repository, mounted)
            self._answer(201, b"", {"Location": f"/v2/{self.repository}/blobs/{self.query['mount']}"})
            return
        with registry.lock:
            registry.begun += 1
            self.name = f"upload-{registry.begun}"
            registry.uploads[self.name] = bytearray()
        told = {"OCI-Chunk-Min-Length": str(registry.least_chunk)} if registry.least_chunk else {}
        self._stands(202, told)

    def _get_blobs_uploads(self) -> None:
        if self._upload() is not None:
            self._stands(204)

    def _patch_blobs_uploads(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        told = self.headers.get("Content-Range", f"{len(upload)}-")
        if int(told.partition("-")[0]) != len(upload):
            self._read()
            self._refuse(416, "RANGE_INVALID")
            return
        self._read(upload)
        self._stands(202)

    def _put_blobs_uploads(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        self._read(upload)
        del self.server.registry.uploads[self.name]
        if digest_of(bytes(upload)) != self.query["digest"]:
            self._refuse(400, "DIGEST_INVALID")
            return
        digest = self.server.registry.add_blob(self.repository, bytes(upload))
        location = f"/v2/{self.repository}/blobs/{digest}"
        self._answer(201, b"", {"Location": location, "Docker-Content-Digest": digest})

    def _delete_blobs_uploads(self) -> None:
        if self._upload() is not None:
            del self.server.registry.uploads[self.name]
            self._answer(204)

    def _upload(self) -> bytearray | None:
        found = self.server.registry.uploads.get(self.name)
        if found is None or self.query.get("state") != f"of-{self.name}":
            self._read()
            self._refuse(404, "BLOB_UPLOAD_UNKNOWN")
            return None
        return found

    def _stands(self, status: int, headers: dict[str, str] | None = None) -> None:
        size = len(self.server.registry.uploads[self.name])
        location = f"/v2/{self.repository}/blobs/uploads/{self.name}?state=of-{self.name}"
        self._answer(status, b"", {"Location": location, "Range": f"0-{max(size - 1, 0)}", **(headers or {})})

    def _read(self, into: bytearray | None = None) -> bytes:
        content = bytearray() if into is None else into
        left = int(self.headers.get("Content-Length", "0"))
        while left and (piece := self.rfile.read1(min(left, 1 << 16))):
            left -= len(piece)
            content += piece
        if left:
            raise ConnectionError("the client went away")
        return bytes(content)

    def _refuse(self, status: int, code: str) -> None:
        problem = {"errors": [{"code": code, "message": "the registry in memory says no"}]}
        self._answer(status, json.dumps(problem).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {
            "Content-Length": str(len(body)),
            **(headers or {}),
            **self.server.registry.headers,
        }.items():
            if value is not None and not (name == "Content-Length" and status == 204):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
