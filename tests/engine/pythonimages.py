# SPDX-License-Identifier: Apache-2.0
"""Small images made to order that look like Debian with a Python: a layer is a list of a tar's members.

Nothing in them can run; all that ``stxb update`` wants to know of an image is there to be read.
"""

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST
from stxbuildah.model.reference import ImageReference
from tests.engine.registries import Registry

CREATED = "2025-06-01T00:00:00Z"
SYSTEM = "usr/lib/python3/dist-packages"
LOCAL = "usr/local/lib/python3.13/dist-packages"
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
# e_machine of elf(5).
_MACHINES = {"amd64": 62, "arm64": 183}
_MTIME = 1_600_000_000


@attrs.frozen
class Member:
    """One member of a layer's tar; owners are root."""

    path: str
    type: bytes = tarfile.REGTYPE
    content: bytes = b""
    mode: int = 0o644
    target: str = ""


Layer = Sequence[Member]


def file(path: str, content: str | bytes = "", mode: int = 0o644) -> Member:
    """A file."""
    return Member(path, content=content.encode() if isinstance(content, str) else content, mode=mode)


def folder(path: str, mode: int = 0o755) -> Member:
    """A folder."""
    return Member(path, tarfile.DIRTYPE, mode=mode)


def link(path: str, target: str) -> Member:
    """A symbolic link."""
    return Member(path, tarfile.SYMTYPE, mode=0o777, target=target)


def hard_link(path: str, target: str) -> Member:
    """A further name of a file."""
    return Member(path, tarfile.LNKTYPE, target=target)


def whiteout(path: str) -> Member:
    """Takes away what lower layers have at a path."""
    above, _, name = path.rpartition("/")
    return file(f"{above}/.wh.{name}" if above else f".wh.{name}")


def opaque(path: str) -> Member:
    """Takes away all that lower layers have in a folder."""
    return file(f"{path}/.wh..wh..opq")


def python(architecture: str = "amd64") -> list[Member]:
    """Debian's Python, and what is around it."""
    return [
        folder("etc"), folder("tmp", 0o1777), folder("usr"), folder("usr/bin"), folder("usr/lib"),
        file("etc/os-release", 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'),
        file("usr/bin/python3.13", _program(architecture), 0o755),
        link("usr/bin/python3", "python3.13"),
        folder("usr/lib/python3.13"), file("usr/lib/python3.13/os.py"),
        file("usr/lib/python3.13/site.py", "# dist-packages\n"),
        folder("usr/lib/python3"), folder(SYSTEM),
        folder("usr/local"), folder("usr/local/bin", 0o2775), folder("usr/local/lib"),
        folder("usr/local/lib/python3.13"), folder(LOCAL, 0o2775),
        folder("var"), folder("var/lib"), folder("var/lib/dpkg"), folder("var/lib/dpkg/info"),
        file("var/lib/dpkg/status", _stanza("base-files", "13")),
    ]  # fmt: skip


def module(name: str, version: str, *, site: str = LOCAL, files: Mapping[str, str] | None = None) -> list[Member]:
    """A distribution as pip leaves it, with a console script and a compiled file.

    Args:
        name: of the distribution and of its package.
        version: of the distribution.
        site: the folder that it is installed to.
        files: further files by path below the folder.
    """
    information = f"{name}-{version}.dist-info"
    contents = {
        f"{name}/__init__.py": f"VERSION = {version!r}\ndef main(): pass\n",
        f"{name}/old_{version.replace('.', '_')}.py": "",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/INSTALLER": "pip\n",
        f"{information}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        **(files or {}),
    }
    up = "../" * len(site.split("/"))
    record = [f"{path},," for path in contents]
    record += [
        f"{name}/__pycache__/__init__.cpython-313.pyc,,",
        f"{up}usr/local/bin/{name},,",
        f"{information}/RECORD,,",
    ]
    contents[f"{information}/RECORD"] = "\n".join([*record, ""])
    return [
        folder(f"{site}/{name}"), folder(f"{site}/{name}/__pycache__"), folder(f"{site}/{information}"),
        *(file(f"{site}/{path}", text) for path, text in contents.items()),
        file(f"{site}/{name}/__pycache__/__init__.cpython-313.pyc", b"\0compiled"),
        file(f"usr/local/bin/{name}", "#!/usr/bin/python3\n", 0o755),
    ]  # fmt: skip


def package(name: str, version: str) -> list[Member]:
    """A module that belongs to a Debian package, ``python3-NAME``; it brings the whole list of packages anew."""
    information = f"{SYSTEM}/{name}-{version}.dist-info"
    paths = [f"{SYSTEM}/{name}.py", f"{information}/METADATA", f"{information}/INSTALLER"]
    listed = ["/.", f"/{SYSTEM}", f"/{information}", *(f"/{path}" for path in paths)]
    return [
        file(paths[0], f"VERSION = {version!r}\n"), folder(information),
        file(paths[1], f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"), file(paths[2], "debian\n"),
        file(f"var/lib/dpkg/info/python3-{name}.list", "\n".join([*listed, ""])),
        file("var/lib/dpkg/status", _stanza("base-files", "13") + "\n" + _stanza(f"python3-{name}", version)),
    ]  # fmt: skip


def virtual_environment(prefix: str) -> list[Member]:
    """A virtual environment of the image's Python; the path is without a leading slash."""
    return [
        folder(prefix), folder(f"{prefix}/bin"), folder(f"{prefix}/lib"), folder(f"{prefix}/lib/python3.13"),
        folder(f"{prefix}/lib/python3.13/site-packages"), link(f"{prefix}/bin/python3", "/usr/bin/python3"),
        file(f"{prefix}/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.13.5\n"),
    ]  # fmt: skip


@attrs.frozen(kw_only=True)
class PythonImage:
    """An image with its blobs.

    Attributes:
        document: its manifest.
        config: its configuration.
        blobs: configuration and layers by their digests; without those that may not be distributed.
    """

    document: Document
    config: bytes
    blobs: Mapping[str, bytes] = attrs.field(repr=False)

    @property
    def layers(self) -> list[dict[str, object]]:
        """What its manifest says of its layers."""
        found: list[dict[str, object]] = json.loads(self.document.data)["layers"]
        return found

    def push(self, registry: Registry, name: str) -> ImageReference:
        """Push it to a registry under ``repository:tag``."""
        repository, _, tag = name.partition(":")
        for digest, data in self.blobs.items():
            push_blob(registry, repository, digest, data)
        registry.put_manifest(repository, tag, self.document.data, self.document.media_type)
        return ImageReference.parse(f"{registry.address}/{name}")

    def lay_out(self, path: Path, tag: str) -> Path:
        """Write it to a new OCI image layout."""
        blobs = path / "blobs/sha256"
        blobs.mkdir(parents=True)
        for digest, data in {**self.blobs, self.document.digest: self.document.data}.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        descriptor = self.document.descriptor
        entry = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
        (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return path


def make_image(
    *layers: Layer,
    architecture: str = "amd64",
    docker: bool = False,
    compression: Sequence[str] = (),
    path_variable: str = USUAL_PATH,
    foreign: Mapping[int, Sequence[str]] | None = None,
    title: str = "",
) -> PythonImage:
    """Make an image.

    Args:
        layers: its layers, the lowest first.
        architecture: what it says it is for.
        docker: it has a manifest of Docker's type.
        compression: of each layer: ``gzip`` (also where nothing is said), ``zstd`` or ``none``.
        path_variable: PATH.
        foreign: URLs of layers that may not be distributed, by their numbers.
        title: a label, so that images can differ.
    """
    urls = foreign or {}
    kinds = [*compression, *("gzip" for _ in layers)]
    history: list[object] = [{"created": CREATED, "created_by": "ENV PATH", "empty_layer": True}]
    diff_ids, listed, blobs = [], [], {}
    for number, members in enumerate(layers):
        tar = as_tar(members)
        data = _packed(tar, kinds[number])
        diff_ids.append(_digest(tar))
        entry: dict[str, object] = {
            "mediaType": _layer_type(kinds[number], docker=docker, foreign=number in urls),
            "digest": _digest(data),
            "size": len(data),
        }
        if number in urls:
            entry["urls"] = list(urls[number])
        else:
            blobs[_digest(data)] = data
        listed.append(entry)
        history.append({"created": CREATED, "created_by": f"layer {number}"})
        history.append({"created": CREATED, "created_by": "LABEL x=y", "empty_layer": True})
    settings = {"Env": [f"PATH={path_variable}"], "Labels": {"title": title}}
    config = _json(
        {
            "created": CREATED, "architecture": architecture, "os": "linux", "config": settings,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        }
    )  # fmt: skip
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    config_type = _DOCKER_CONFIG if docker else OCI_CONFIG
    described = {"mediaType": config_type, "digest": _digest(config), "size": len(config)}
    manifest = _json({"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": listed})
    blobs[_digest(config)] = config
    return PythonImage(document=Document(media_type, manifest), config=config, blobs=blobs)


def as_tar(members: Layer) -> bytes:
    """Give the tar with these members, in this order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            information = tarfile.TarInfo(member.path)
            information.type, information.mode, information.linkname = member.type, member.mode, member.target
            information.mtime, information.size = _MTIME, len(member.content)
            archive.addfile(information, io.BytesIO(member.content))
    return stream.getvalue()


def push_blob(registry: Registry, repository: str, digest: str, data: bytes) -> None:
    """Upload a blob in one piece."""
    connection = http.client.HTTPConnection(registry.address, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
        answer = connection.getresponse()
        place = answer.headers["Location"]
        answer.read()
        separator = "&" if "?" in place else "?"
        headers = {"Content-Type": "application/octet-stream"}
        connection.request("PUT", f"{place}{separator}digest={digest}", body=data, headers=headers)
        answer = connection.getresponse()
        assert answer.status == http.HTTPStatus.CREATED, answer.read()


def _layer_type(compression: str, *, docker: bool, foreign: bool) -> str:
    if docker:
        return "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" if foreign else DOCKER_LAYER
    start = "application/vnd.oci.image.layer.nondistributable.v1.tar" if foreign else _OCI_LAYER
    return start if compression == "none" else f"{start}+{compression}"


def _packed(tar: bytes, compression: str) -> bytes:
    if compression == "none":
        return tar
    if compression == "gzip":
        return gzip.compress(tar, 1, mtime=0)
    import zstandard

    return zstandard.ZstdCompressor(write_checksum=True).compress(tar)


def _program(architecture: str) -> bytes:
    identification = b"\x7fELF\x02\x01\x01" + bytes(9)
    numbers = (2, _MACHINES[architecture], 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)
    return identification + struct.pack("<HHIQQQIHHHHHH", *numbers)


def _stanza(name: str, version: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: all\n"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
