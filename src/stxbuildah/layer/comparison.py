# SPDX-License-Identifier: Apache-2.0
"""Images told by their documents and trees, and compared."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from stxbuildah.layer.documents import Json, as_list, as_object, check_agreement, listed_diff_ids, parsed
from stxbuildah.layer.updates import BASE_NAME_LABEL, COMMENT, CREATED_BY
from stxbuildah.model.comparison import Changed, Comparison, ImageFacts, LayerFacts, Package
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import Entry, FileTree, Kind

_RPM = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+)\.(?P<architecture>[^.-]+)")


def facts_of(image: StoredImage, name: str) -> ImageFacts:
    """Tell of an image what its documents say.

    Args:
        image: the image.
        name: where it is, for people.

    Raises:
        InputError: the documents contradict each other.
    """
    config = parsed(image.documents.config, "configuration")
    settings = dict(_flat(config.get("config") or {}))
    architecture, variant = config.get("architecture", ""), config.get("variant", "")
    return ImageFacts(
        name=name,
        digest=image.digest,
        image_id=image.image_id,
        platform="/".join(str(part) for part in (config.get("os", ""), architecture, variant) if part),
        layers=_layers(image.documents),
        settings=settings,
        base=settings.get(f"Labels.{BASE_NAME_LABEL}", ""),
    )


def _layers(documents: ImageDocuments) -> tuple[LayerFacts, ...]:
    manifest, config = parsed(documents.manifest, "manifest"), parsed(documents.config, "configuration")
    check_agreement(manifest, config, documents)
    history = [as_object(step, "a step of the history") for step in as_list(config.get("history") or [], "history")]
    steps = [step for step in history if not step.get("empty_layer")]
    found = []
    layers = as_list(manifest["layers"], "layers of the manifest")
    for number, (layer, diff_id) in enumerate(zip(layers, listed_diff_ids(config), strict=True)):
        blob = Descriptor.from_json(layer, f"layer {number + 1} of the image")
        step = steps[number] if steps else {}
        created_by, comment = str(step.get("created_by") or ""), str(step.get("comment") or "")
        ours = created_by.startswith(CREATED_BY) and comment.startswith(COMMENT)
        found.append(
            LayerFacts(
                diff_id=str(diff_id),
                digest=blob.digest,
                size=blob.size,
                created=str(step.get("created") or ""),
                created_by=created_by,
                update=tuple(created_by.removeprefix(CREATED_BY).split()) if ours else None,
            )
        )
    return tuple(found)


def _flat(value: Json) -> Iterator[tuple[str, str]]:
    """Give settings one by one: variables of the environment and labels by name, lists as JSON."""
    for key, found in as_object(value, "config of the configuration").items():
        if key == "Env" and isinstance(found, list):
            for variable in found:
                name, _, value_of = str(variable).partition("=")
                yield f"{key}.{name}", value_of
        elif isinstance(found, dict):
            yield from ((f"{key}.{inner}", _text(deeper)) for inner, deeper in found.items())
        elif found not in (None, "", [], False):
            yield key, _text(found)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def walked(tree: FileTree) -> dict[str, Entry]:
    """Give all paths of a tree with what it says of them."""
    found: dict[str, Entry] = {}
    waiting = ["/"]
    while waiting:
        folder = waiting.pop()
        for name, entry in tree.scandir(folder).items():
            path = f"{folder.rstrip('/')}/{name}"
            found[path] = entry
            if entry.kind is Kind.DIRECTORY:
                waiting.append(path)
    return found


def compared(before: ImageFacts, after: ImageFacts) -> Comparison:
    """Compare two images by what was found out about both."""
    shared = 0
    for one, other in zip(before.layers, after.layers, strict=False):
        if one.diff_id != other.diff_id:
            break
        shared += 1
    files = None
    if before.files is not None and after.files is not None:
        told = [{path: _told(entry) for path, entry in found.items()} for found in (before.files, after.files)]
        files = _changed(*told)
    return Comparison(
        before=before,
        after=after,
        shared=shared,
        packages=_packages(before.packages, after.packages),
        settings=_changed(before.settings, after.settings),
        files=files,
    )


def _packages(before: PackageLists | None, after: PackageLists | None) -> dict[Package, tuple[Changed, ...]]:
    if before is None or after is None:
        return {}
    return {
        Package.PYTHON: _changed(_versions(before.python, _python), _versions(after.python, _python)),
        Package.DEB: _changed(_versions(before.deb, _deb), _versions(after.deb, _deb)),
        Package.RPM: _changed(_versions(before.rpm, _rpm), _versions(after.rpm, _rpm)),
    }


def _versions(lines: Sequence[str] | None, split: Callable[[str], tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines or ():
        name, version = split(line)
        # Of kernels and keys an rpm system has several versions side by side.
        found[name] = f"{found[name]}, {version}" if name in found else version
    return found


def _python(line: str) -> tuple[str, str]:
    name, _, version = line.partition("==")
    return (name, version) if version else (line.partition(" @ ")[0], line.partition(" @ ")[2])


def _deb(line: str) -> tuple[str, str]:
    name, version, architecture = line.split(" ")
    return f"{name}:{architecture}", version


def _rpm(line: str) -> tuple[str, str]:
    found = _RPM.fullmatch(line)
    return (f"{found['name']}.{found['architecture']}", found["version"]) if found else (line, "")


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Changed, ...]:
    return tuple(
        Changed(name=name, before=before.get(name), after=after.get(name))
        for name in sorted({*before, *after}, key=lambda name: (name.lower(), name))
        if before.get(name) != after.get(name)
    )


def _told(entry: Entry) -> str:
    """Give what is compared of a path. Times count for files alone: a folder has that of its last change."""
    owner = f"{entry.mode:04o} {entry.uid}:{entry.gid}"
    match entry.kind:
        case Kind.FILE:
            return f"file {owner}, {entry.size} bytes, of {entry.mtime}"
        case Kind.SYMLINK:
            return f"link to {entry.target}"
        case kind:
            return f"{kind} {owner}"
