# SPDX-License-Identifier: Apache-2.0
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Presence, Store
from stxbuildah.errors import BuildError, InputError, RegistryError
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST, ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import digest_of
from tests.engine.conftest import EngineStore
from tests.engine.images import as_docker, documents_of, image_with, manifest_digest
from tests.engine.registries import Registry, free_port

pytestmark = pytest.mark.engine

parse = ImageReference.parse


def names(store: Store, digest: str) -> set[str]:
    return {name for image in store.list() if image.digest == digest for name in image.names}


def test_the_base_is_read_byte_for_byte(store: Store, base_image: ImageReference, base_layout: Path) -> None:
    index = json.loads((base_layout / "index.json").read_text())
    blobs = base_layout / "blobs/sha256"
    manifest = (blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes()
    config_digest = json.loads(manifest)["config"]["digest"].removeprefix("sha256:")

    stored = store.read(base_image)

    assert stored is not None
    assert stored.documents == ImageDocuments(manifest=manifest, config=(blobs / config_digest).read_bytes())
    assert (stored.reference, stored.image_id) == (base_image, config_digest)
    assert stored.digest == index["manifests"][0]["digest"]


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_an_image_is_stored_from_a_layout_that_lacks_the_bases_layer(
    driver: str, stores: dict[str, EngineStore], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = stores[driver].store
    base = store.documents(request.getfixturevalue("base_image" if driver == "overlay" else "vfs_base_image"))
    assert base is not None
    source = image_with(tmp_path, "thin", base=base)

    digest = store.import_image(source, parse("thin:1"))

    stored = store.read(parse("thin:1"))
    assert stored is not None
    assert stored.reference == parse("localhost/thin:1")
    assert stored.documents == documents_of(source)
    assert digest == stored.digest == manifest_digest(source)


def test_a_manifest_of_dockers_type_is_stored_as_it_is(store: Store, tmp_path: Path) -> None:
    source = as_docker(image_with(tmp_path, "docker"))

    store.import_image(source, parse("localhost/docker:1"))

    assert store.documents(parse("localhost/docker:1")) == documents_of(source)


def test_a_layout_whose_base_is_unknown_is_an_error(store: Store, tmp_path: Path) -> None:
    base = documents_of(image_with(tmp_path / "base", "unknown base"))
    source = image_with(tmp_path, "orphan", base=base)

    with pytest.raises(BuildError, match="storing localhost/orphan:1 failed: a layer of the base image is neither"):
        store.import_image(source, parse("localhost/orphan:1"))

    assert store.find(parse("localhost/orphan:1")) is None


def test_a_short_name_is_first_a_local_one_then_dockers(store: Store, tmp_path: Path) -> None:
    store.import_image(image_with(tmp_path / "b", "docker's"), parse("docker.io/library/short-both:1"))
    store.import_image(image_with(tmp_path / "a", "local"), parse("localhost/short-both:1"))
    store.import_image(image_with(tmp_path / "c", "other"), parse("docker.io/library/short-one:latest"))

    assert store.find(parse("short-both:1")) == parse("localhost/short-both:1")
    assert store.find(parse("short-one")) == parse("docker.io/library/short-one:latest")
    assert store.find(parse("short-none")) is None
    assert store.read(parse("short-none")) is None


def test_an_image_is_found_by_its_digest(store: Store, tmp_path: Path) -> None:
    source = image_with(tmp_path, "by digest")
    digest = store.import_image(source, parse("localhost/digested:1"))

    assert store.documents(parse(f"localhost/digested@{digest}")) == documents_of(source)
    assert store.documents(parse(f"localhost/digested:1@{digest}")) == documents_of(source)
    assert store.find(parse(f"localhost/digested@sha256:{'0' * 64}")) is None


def test_names_come_and_go_and_the_image_stays(store: Store, tmp_path: Path) -> None:
    digest = store.import_image(image_with(tmp_path, "names"), parse("localhost/names:1"))

    store.tag(parse("names:1"), parse("registry.example/names:2"))
    assert names(store, digest) == {"localhost/names:1", "registry.example/names:2"}

    store.untag(parse("localhost/names:1"))
    store.untag(parse("registry.example/names:2"))
    assert [image.names for image in store.list() if image.digest == digest] == [()]

    store.import_image(f"dir:{tmp_path}/image", parse("localhost/names:3"))
    store.remove(parse("localhost/names:3"))
    assert [image for image in store.list() if image.digest == digest] == []


def test_removing_an_image_leaves_its_base(store: Store, base_image: ImageReference, tmp_path: Path) -> None:
    base = store.documents(base_image)
    store.import_image(image_with(tmp_path, "child", base=base), parse("localhost/child:1"))

    store.remove(parse("localhost/child:1"))

    assert store.find(parse("localhost/child:1")) is None
    assert store.documents(base_image) == base


@pytest.mark.parametrize("action", ["tag", "untag", "remove"])
def test_a_name_that_the_store_lacks_is_an_error_of_the_input(store: Store, action: str) -> None:
    more = [parse("localhost/somewhere:1")] if action == "tag" else []
    with pytest.raises(InputError, match=r"localhost/nowhere:1.* failed: there is no such image"):
        getattr(store, action)(parse("localhost/nowhere:1"), *more)


def test_images_are_listed_by_label(store: Store, base_image: ImageReference) -> None:
    listed = store.list(label="org.opencontainers.image.title=base image of the tests")

    assert str(base_image) in {name for image in listed for name in image.names}
    assert store.list(label="org.opencontainers.image.title=something else") == ()


def test_two_writers_of_one_store_both_end_right(stores: dict[str, EngineStore], tmp_path: Path) -> None:
    store = stores["overlay"].store
    sources = {number: image_with(tmp_path / str(number), f"writer {number}") for number in range(8)}

    with ThreadPoolExecutor(4) as pool:
        written = [pool.submit(store.import_image, sources[n], parse(f"localhost/writers:{n}")) for n in sources]
        digests = [future.result() for future in written]

    assert digests == [manifest_digest(source) for source in sources.values()]
    for number, source in sources.items():
        assert store.documents(parse(f"localhost/writers:{number}")) == documents_of(source)


def test_two_writers_of_one_name_leave_one_whole_image(store: Store, tmp_path: Path) -> None:
    sources = [image_with(tmp_path / str(number), f"rival {number}") for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda source: store.import_image(source, parse("localhost/rivals:1")), sources))

    assert store.documents(parse("localhost/rivals:1")) in [documents_of(source) for source in sources]


def test_pulling_gives_the_name_and_the_registrys_bytes(store: Store, registry: Registry, tmp_path: Path) -> None:
    source = image_with(tmp_path, "pulled")
    wanted = parse(f"{registry.address}/tests/pulled:1")
    store.import_image(source, parse("localhost/to-pull:1"))
    store.push(parse("localhost/to-pull:1"), wanted)
    store.remove(parse("localhost/to-pull:1"))

    assert store.pull(wanted) == wanted

    pulled = store.documents(wanted)
    assert pulled is not None
    assert pulled.manifest == registry.manifest("tests/pulled", "1")
    assert pulled.config == documents_of(source).config


def push_index(registry: Registry, runner: Runner, repository: str, sources: dict[str, str]) -> str:
    """Push images and the list of them, by their architectures, and give the list's digest."""
    manifests = []
    for architecture, source in sources.items():
        target = f"docker://{registry.address}/{repository}:{architecture}"
        runner.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", source, target])
        document = documents_of(source).manifest
        platform = {"architecture": architecture, "os": "linux"}
        manifests.append(
            {"mediaType": OCI_MANIFEST, "digest": digest_of(document), "size": len(document), "platform": platform}
        )
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    document = json.dumps(index).encode()
    registry.put_manifest(repository, "1", document, OCI_INDEX)
    return digest_of(document)


@pytest.mark.parametrize("by_digest", [False, True])
def test_of_a_list_of_manifests_the_one_for_this_machine_is_read(
    store: Store, runner: Runner, registry: Registry, tmp_path: Path, by_digest: bool
) -> None:
    repository = f"tests/listed-{by_digest}".lower()
    native = runner.run(["buildah", "version", "--json"])
    machine = json.loads(native.stdout)["buildPlatform"].removeprefix("linux/")
    sources = {
        architecture: image_with(tmp_path / architecture, f"{repository} {architecture}", architecture=architecture)
        for architecture in ("s390x", machine, "riscv64")
    }
    digest = push_index(registry, runner, repository, sources)
    wanted = parse(f"{registry.address}/{repository}" + (f"@{digest}" if by_digest else ":1"))

    name = store.pull(wanted)

    assert store.find(wanted) == name
    assert store.documents(wanted) == documents_of(sources[machine])


def test_a_registry_says_what_it_has(store: Store, registry: Registry, tmp_path: Path) -> None:
    source = image_with(tmp_path, "asked for")
    store.import_image(source, parse("localhost/asked:1"))
    digest = store.push(parse("localhost/asked:1"), parse(f"{registry.address}/tests/asked:1"))

    present = store.exists_in_registry(parse(f"{registry.address}/tests/asked:1"))
    absent = store.exists_in_registry(parse(f"{registry.address}/tests/asked:2"))
    elsewhere = store.exists_in_registry(parse(f"{registry.address}/tests/never:1"))
    unknown = store.exists_in_registry(parse(f"127.0.0.1:{free_port()}/tests/asked:1"))

    assert (present.presence, present.digest, present.fault) == (Presence.PRESENT, digest, None)
    assert (absent.presence, elsewhere.presence, unknown.presence) == (
        Presence.ABSENT,
        Presence.ABSENT,
        Presence.UNKNOWN,
    )
    assert unknown.fault is not None
    assert unknown.fault.kind.value == "connection refused"


def test_what_no_registry_has_is_an_error_of_the_input(store: Store, registry: Registry) -> None:
    with pytest.raises(InputError, match=r"pulling .*/tests/never:1 failed: there is no such image"):
        store.pull(parse(f"{registry.address}/tests/never:1"))


def test_a_registry_that_is_not_there_is_an_error_of_its_own(store: Store) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryError, match=f"{address} takes no connections"):
        store.pull(parse(f"{address}/tests/base:1"))


def test_a_short_name_is_pulled_from_the_registry_that_registries_conf_names(
    stores: dict[str, EngineStore], registry: Registry, tmp_path: Path
) -> None:
    store = stores["overlay"].store
    source = image_with(tmp_path, "short pull")
    store.push(parse("localhost/nothing:1"), parse(f"{registry.address}/tests/short-pull:1"), layout=source)
    configuration = tmp_path / "registries.conf"
    configuration.write_text(f'unqualified-search-registries = ["{registry.address}"]\n')
    runner = Runner(extra=(*store.runner.extra, ("CONTAINERS_REGISTRIES_CONF", str(configuration))))

    name = attrs.evolve(store, runner=runner).pull(parse("tests/short-pull:1"))

    assert name == parse(f"{registry.address}/tests/short-pull:1")
    assert store.documents(name) == documents_of(source)


def test_a_short_name_that_nothing_resolves_is_an_error_of_the_input(store: Store) -> None:
    with pytest.raises(InputError, match="pulling nothing-resolves-this:1 failed: there is no such image"):
        store.pull(parse("nothing-resolves-this:1"))


def test_a_damaged_store_is_told_as_it_is(stores: dict[str, EngineStore], tmp_path: Path) -> None:
    unreadable = tmp_path / "storage.conf"
    unreadable.write_text("[storage\n")
    runner = Runner(extra=(*stores["overlay"].runner.extra, ("CONTAINERS_STORAGE_CONF", str(unreadable))))
    store = attrs.evolve(stores["overlay"].store, runner=runner)

    with pytest.raises(BuildError, match="reading containers-storage:localhost/base:1 from the image store failed"):
        store.read(parse("localhost/base:1"))
