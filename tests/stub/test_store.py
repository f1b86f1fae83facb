# SPDX-License-Identifier: Apache-2.0
import base64
import json
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.store import Store
from stxbuildah.errors import InputError, RegistryError
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.stored import ListedImage, digest_of
from tests.stub.conftest import StubPrograms

parse = ImageReference.parse
DIGEST = "sha256:" + "5" * 64
CONFIG = '{"os": "linux"}'
MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": digest_of(CONFIG.encode())}})
MISSING = 'time="t" level=fatal msg="reference does not resolve to an image ID: identifier is not an image"'
BUSY = 'time="t" level=fatal msg="received unexpected HTTP status: 503 Service Unavailable"'
NO_BLOB = f'time="t" level=fatal msg="writing blob: open /layout/{"a" * 64}: no such file or directory"'


@pytest.fixture
def store(programs: StubPrograms) -> Store:
    return Store(runner=programs.runner)


def without_digest_file(argv: list[str]) -> list[str]:
    at = argv.index("--digestfile")
    assert Path(argv[at + 1]).name.startswith("stxb-digest-")
    return argv[:at] + argv[at + 2 :]


def test_an_image_is_read_by_two_calls(store: Store, programs: StubPrograms) -> None:
    programs.answer("--config", stdout=CONFIG)
    programs.answer("inspect", stdout=MANIFEST)

    stored = store.read(parse("r.example/app"))

    assert stored is not None
    assert stored.reference == parse("r.example/app:latest")
    assert stored.digest == digest_of(MANIFEST.encode())
    name = "containers-storage:r.example/app:latest"
    assert sorted(programs.commands) == [
        ["skopeo", "inspect", "--raw", "--config", name],
        ["skopeo", "inspect", "--raw", name],
    ]


def test_an_image_that_got_its_name_in_between_is_read_again(store: Store, programs: StubPrograms) -> None:
    programs.answer("--config", stdout='{"os": "another"}', once=True)
    programs.answer("--config", stdout=CONFIG)
    programs.answer("inspect", stdout=MANIFEST)

    documents = store.documents(parse("r.example/app:1"))

    assert documents == ImageDocuments(manifest=MANIFEST.encode(), config=CONFIG.encode())
    assert len(programs.calls) == 4


def test_a_manifest_that_names_no_configuration_is_an_error(store: Store, programs: StubPrograms) -> None:
    programs.answer("--config", stdout=CONFIG)
    programs.answer("inspect", stdout='{"schemaVersion": 1}')
    with pytest.raises(InputError, match=r"no manifest of r\.example/app:1 in the store names the configuration"):
        store.read(parse("r.example/app:1"))


def test_a_short_name_is_looked_for_in_its_order(store: Store, programs: StubPrograms) -> None:
    programs.answer("inspect", stderr=MISSING, status=1)

    assert store.find(parse("app:1")) is None

    assert programs.commands == [
        ["skopeo", "inspect", "--raw", "containers-storage:localhost/app:1"],
        ["skopeo", "inspect", "--raw", "containers-storage:docker.io/library/app:1"],
    ]


def test_a_layout_is_stored_by_one_copy(store: Store, programs: StubPrograms) -> None:
    programs.answer("copy", writes={"--digestfile": DIGEST})

    assert store.import_image("dir:/build/image", parse("app:1")) == DIGEST

    (argv,) = programs.commands
    assert without_digest_file(argv) == [
        "skopeo", "copy", "--quiet", "dir:/build/image", "containers-storage:localhost/app:1",
    ]  # fmt: skip


def test_a_push_has_the_options_of_its_registry(programs: StubPrograms, tmp_path: Path) -> None:
    authfile = tmp_path / "auth.json"
    authfile.write_text("{}")
    access = RegistryAccess(authfile=authfile, cert_dir=tmp_path, tls_verify=True)
    store = Store(runner=programs.runner, access=access)
    programs.answer("copy", writes={"--digestfile": f"{DIGEST}\n"})

    digest = store.push(parse("localhost/app:1"), parse("r.example/app:1"), compression_format="zstd")

    assert digest == DIGEST
    (argv,) = programs.commands
    assert without_digest_file(argv) == [
        "skopeo", "copy", "--quiet", "--dest-compress-format", "zstd", "--dest-tls-verify=true",
        "--dest-cert-dir", str(tmp_path), "--dest-authfile", str(authfile),
        "containers-storage:localhost/app:1", "docker://r.example/app:1",
    ]  # fmt: skip


def test_a_layout_that_lacks_a_blob_gives_way_to_the_store(store: Store, programs: StubPrograms) -> None:
    programs.answer("copy", "dir:/build/image", stderr=NO_BLOB, status=1)
    programs.answer("copy", writes={"--digestfile": DIGEST})
    waited: list[int] = []

    digest = store.push(
        parse("localhost/app:1"),
        parse("r.example/app:1"),
        layout="dir:/build/image",
        stored=lambda: waited.append(len(programs.calls)),
    )

    assert (digest, waited) == (DIGEST, [1])
    assert [argv[-2:] for argv in programs.commands] == [
        ["dir:/build/image", "docker://r.example/app:1"],
        ["containers-storage:localhost/app:1", "docker://r.example/app:1"],
    ]


def test_a_layout_that_fails_otherwise_is_not_pushed_from_the_store(store: Store, programs: StubPrograms) -> None:
    programs.answer("copy", stderr=BUSY, status=1)
    with pytest.raises(RegistryError, match=r"pushing r\.example/app:1 failed: r\.example failed by itself"):
        store.push(parse("localhost/app:1"), parse("r.example/app:1"), layout="dir:/build/image")
    assert len(programs.calls) == 1


def test_a_push_is_repeated_as_it_was(store: Store, programs: StubPrograms) -> None:
    programs.answer("copy", stderr=BUSY, status=1, once=True)
    programs.answer("copy", writes={"--digestfile": DIGEST})
    store = attrs.evolve(store, retry=Retry(attempts=2, delay=0))

    assert store.push(parse("localhost/app:1"), parse("r.example/app:1")) == DIGEST

    first, second = programs.commands
    assert first == second


def test_a_password_is_in_no_argument(programs: StubPrograms, tmp_path: Path) -> None:
    runner = attrs.evolve(programs.runner, extra=(*programs.runner.extra, ("XDG_RUNTIME_DIR", str(tmp_path))))
    store = Store(runner=runner, access=RegistryAccess(creds="me:secret"))
    programs.answer("copy", writes={"--digestfile": DIGEST})

    store.push(parse("localhost/app:1"), parse("r.example/app:1"))

    (call,) = programs.calls
    auth = base64.b64encode(b"me:secret").decode()
    path = call.argv[call.argv.index("--dest-authfile") + 1]
    assert json.loads(call.files[path]) == {"auths": {"r.example": {"auth": auth}}}
    assert not Path(path).exists()
    assert "secret" not in json.dumps([call.argv, call.environment])


def test_a_destination_by_digest_is_refused_before_anything_runs(store: Store, programs: StubPrograms) -> None:
    with pytest.raises(InputError, match="cannot be pushed to"):
        store.push(parse("localhost/app:1"), parse(f"r.example/app@{DIGEST}"))
    assert programs.calls == []


def test_a_qualified_image_is_pulled_without_attempts_of_skopeos_own(store: Store, programs: StubPrograms) -> None:
    assert store.pull(parse("r.example/app")) == parse("r.example/app:latest")
    (argv,) = programs.commands
    assert without_digest_file(argv) == [
        "skopeo", "copy", "--quiet", "docker://r.example/app:latest", "containers-storage:r.example/app:latest",
    ]  # fmt: skip


def test_a_digest_is_pulled_without_the_tag(store: Store, programs: StubPrograms) -> None:
    assert store.pull(parse(f"r.example/app:1@{DIGEST}")) == parse(f"r.example/app@{DIGEST}")
    assert programs.commands[0][-2] == f"docker://r.example/app@{DIGEST}"


def test_a_short_image_is_pulled_by_buildah_and_named_as_it_says(store: Store, programs: StubPrograms) -> None:
    identity = "b" * 64
    images = [
        {"id": "a" * 64, "names": ["quay.example/lib/app:1"], "digest": DIGEST, "created": 1},
        {"id": identity, "names": ["localhost/other:1", "quay.example/lib/app:1"], "digest": DIGEST, "created": 2},
    ]
    programs.answer("buildah", "pull", stdout=f"{identity}\n")
    programs.answer("buildah", "images", stdout=json.dumps(images))

    assert store.pull(parse("app:1")) == parse("quay.example/lib/app:1")

    assert programs.commands == [
        ["buildah", "pull", "--policy", "always", "--retry", "1", "--retry-delay", "1ms", "app:1"],
        ["buildah", "images", "--json", "--no-trunc"],
    ]


def test_names_are_changed_by_one_call_each(store: Store, programs: StubPrograms) -> None:
    store.tag(parse("app:1"), parse("r.example/app:2"))
    store.untag(parse("app:1"))
    store.remove(parse("r.example/app:2"))

    assert programs.commands == [
        ["buildah", "tag", "localhost/app:1", "r.example/app:2"],
        ["podman", "untag", "localhost/app:1", "localhost/app:1"],
        ["buildah", "rmi", "r.example/app:2"],
    ]


@pytest.mark.parametrize("stdout", ["", "null", "[]"])
def test_an_empty_store_lists_nothing(store: Store, programs: StubPrograms, stdout: str) -> None:
    programs.answer("images", stdout=stdout)
    assert store.list(label="a=b") == ()
    assert programs.commands == [["buildah", "images", "--json", "--no-trunc", "--filter", "label=a=b"]]


def test_images_without_names_are_listed_too(store: Store, programs: StubPrograms) -> None:
    images = [{"id": f"sha256:{'a' * 64}", "names": None, "digest": DIGEST, "created": 7}]
    programs.answer("images", stdout=json.dumps(images))
    assert store.list() == (ListedImage(image_id="a" * 64, names=(), digest=DIGEST, created=7),)


def test_a_program_sees_only_what_it_may(store: Store, programs: StubPrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/some/auth.json")
    store.tag(parse("app:1"), parse("app:2"))
    (call,) = programs.calls
    assert call.environment["REGISTRY_AUTH_FILE"] == "/some/auth.json"
    assert "SOME_TOKEN" not in call.environment
