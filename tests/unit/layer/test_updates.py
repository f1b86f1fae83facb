# SPDX-License-Identifier: Apache-2.0
"""Which layers of an image updates made, what was below them, and what a further update says of itself."""

import json
from collections.abc import Callable

import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.append import append_layer, created_time, empty_image
from stxbuildah.layer.documents import Json
from stxbuildah.layer.updates import (
    BASE_DIGEST_LABEL,
    BASE_NAME_LABEL,
    OCI_BASE_DIGEST,
    OCI_BASE_NAME,
    BaseAndUpdates,
    UpdateLayer,
    base_labels,
    installed_names,
    split_updates,
)
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Compression, LayerBlob
from stxbuildah.model.stored import digest_of

CREATED = 1_700_000_000
ORIGINAL = ("quay.example/base:1", "sha256:" + "a" * 64)


def blob(digit: str) -> LayerBlob:
    return LayerBlob(
        diff_id="sha256:" + digit * 64,
        digest="sha256:" + digit * 63 + "f",
        size=int(digit, 16),
        uncompressed_size=1024,
        compression=Compression.GZIP,
    )


def base() -> ImageDocuments:
    """Give an image of two layers that nobody updated."""
    documents = empty_image(architecture="amd64", config={"Cmd": ["sh"], "Labels": {"own": "1"}})
    for digit in "12":
        documents = append_layer(documents, blob(digit), timestamp=CREATED, created_by=f"RUN {digit}")
    return documents


def update(documents: ImageDocuments, digit: str, *names: str, labels: dict[str, str] | None = None) -> ImageDocuments:
    """Put a layer on an image as an update does."""
    return append_layer(
        documents,
        blob(digit),
        timestamp=created_time(documents.config),
        created_by="stxb update " + " ".join(names),
        comment="stxbuildah 0.1.0",
        labels=labels or {},
    )


def split(documents: ImageDocuments) -> BaseAndUpdates:
    found = split_updates(documents)
    assert found is not None
    return found


def changed(documents: ImageDocuments, change: Callable[[dict[str, Json]], object]) -> ImageDocuments:
    """Change an image's configuration; its manifest names the new one."""
    config = json.loads(documents.config)
    change(config)
    data = json.dumps(config).encode()
    manifest = json.loads(documents.manifest)
    manifest["config"].update(digest=digest_of(data), size=len(data))
    return ImageDocuments(manifest=json.dumps(manifest).encode(), config=data)


def empty_step(position: int, created_by: str = "CMD") -> Callable[[dict[str, Json]], object]:
    def change(config: dict[str, Json]) -> None:
        history = config["history"]
        assert isinstance(history, list)
        history.insert(position, {"created_by": created_by, "comment": "stxbuildah", "empty_layer": True})

    return change


def test_an_image_without_updates_stays_whole() -> None:
    assert split_updates(base()) is None
    assert split_updates(changed(base(), lambda config: config.pop("history"))) is None


def test_updates_are_taken_off_down_to_the_base() -> None:
    documents = update(update(base(), "3", "six==1.16.0"), "4", "Django==5.0", "x_1_all.deb")

    found = split(documents)

    assert found.updates == (
        UpdateLayer(
            descriptor=Descriptor(
                media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=blob("3").digest, size=3
            ),
            diff_id=blob("3").diff_id,
            installed=("six==1.16.0",),
        ),
        UpdateLayer(
            descriptor=Descriptor(
                media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=blob("4").digest, size=4
            ),
            diff_id=blob("4").diff_id,
            installed=("Django==5.0", "x_1_all.deb"),
        ),
    )
    assert found.below == base()


def test_what_an_update_says_of_the_image_stays() -> None:
    documents = update(base(), "3", labels={"io.stxbuildah.update.installed": "six"})
    config = json.loads(split(documents).below.config)
    assert config["config"] == {"Cmd": ["sh"], "Labels": {"own": "1", "io.stxbuildah.update.installed": "six"}}


def test_the_time_is_the_same_however_many_updates_are_replaced() -> None:
    documents = base()
    for digit in "3456":
        documents = update(documents, digit)
        assert created_time(split(documents).below.config) == created_time(documents.config) == CREATED


def test_a_layer_of_another_kind_ends_the_run() -> None:
    documents = append_layer(update(base(), "3"), blob("4"), timestamp=CREATED, created_by="RUN x")
    assert split_updates(documents) is None
    found = split(update(documents, "5"))
    assert [layer.diff_id for layer in found.updates] == [blob("5").diff_id]
    assert found.below == documents


@pytest.mark.parametrize(
    ("created_by", "comment"),
    [
        ("stxb updates", "stxbuildah 1"), ("stxb update six", ""), ("stxb update six", "buildah"),
        ("RUN stxb update", "stxbuildah 1"),
    ],
)  # fmt: skip
def test_both_the_step_and_its_comment_are_ours(created_by: str, comment: str) -> None:
    documents = append_layer(base(), blob("3"), timestamp=CREATED, created_by=created_by, comment=comment)
    assert split_updates(documents) is None


@pytest.mark.parametrize("position", [2, 3, 4])
def test_steps_without_a_layer_stay_where_they_are(position: int) -> None:
    documents = changed(update(update(base(), "3"), "4"), empty_step(position, "stxb update by name only"))

    found = split(documents)

    assert [layer.diff_id for layer in found.updates] == [blob("3").diff_id, blob("4").diff_id]
    history = [step["created_by"] for step in json.loads(found.below.config)["history"]]
    assert history == ["RUN 1", "RUN 2", "stxb update by name only"]
    assert append_layer(found.below, blob("5"), timestamp=CREATED, created_by="more").config


def test_an_image_of_updates_alone_keeps_its_lowest() -> None:
    documents = update(update(empty_image(architecture="amd64"), "1"), "2")
    assert [layer.diff_id for layer in split(documents).updates] == [blob("2").diff_id]
    assert split_updates(update(empty_image(architecture="amd64"), "1")) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config["rootfs"]["diff_ids"].append("sha256:x"), "manifest lists 3 layers"),
        (lambda config: config["rootfs"]["diff_ids"].__setitem__(2, "sha512:x"), "a diff ID of its configuration"),
        (lambda config: config["rootfs"]["diff_ids"].__setitem__(2, 7), "a diff ID of its configuration"),
        (lambda config: config.__setitem__("history", ["x"]), "a step of the history"),
        (lambda config: config["config"].__setitem__("Labels", "x"), "labels of the configuration"),
    ],
)
def test_damaged_documents_are_refused(change: Callable[[dict[str, Json]], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_updates(changed(update(base(), "3"), change))


def test_the_original_base_is_handed_on() -> None:
    documents = base()
    labels = base_labels(documents, *ORIGINAL)
    assert labels == {
        OCI_BASE_NAME: ORIGINAL[0],
        OCI_BASE_DIGEST: ORIGINAL[1],
        BASE_NAME_LABEL: ORIGINAL[0],
        BASE_DIGEST_LABEL: ORIGINAL[1],
    }
    for digit in "345":
        documents = update(documents, digit, labels=labels)
        assert base_labels(documents, "x:1", "sha256:x", replace=True) == base_labels(base(), *ORIGINAL)
        labels = base_labels(documents, f"x:{digit}", f"sha256:{digit}")
        assert labels == {
            OCI_BASE_NAME: f"x:{digit}",
            OCI_BASE_DIGEST: f"sha256:{digit}",
            BASE_NAME_LABEL: ORIGINAL[0],
            BASE_DIGEST_LABEL: ORIGINAL[1],
        }
    assert (split(documents).base_name, split(documents).base_digest) == ORIGINAL


def test_an_image_built_on_an_updated_one_is_a_base_of_its_own() -> None:
    updated = update(base(), "3", labels=base_labels(base(), *ORIGINAL))
    built = append_layer(updated, blob("4"), timestamp=CREATED, created_by="RUN x")
    assert base_labels(built, "built:1", "sha256:b", replace=True) == {
        OCI_BASE_NAME: "built:1",
        OCI_BASE_DIGEST: "sha256:b",
        BASE_NAME_LABEL: "built:1",
        BASE_DIGEST_LABEL: "sha256:b",
    }


def test_one_update_that_only_names_what_it_was_made_from_is_enough() -> None:
    old = dict(zip((OCI_BASE_NAME, OCI_BASE_DIGEST), ORIGINAL, strict=True))
    documents = update(base(), "3", labels=old)
    assert base_labels(documents, "x:1", "sha256:x", replace=True) == base_labels(base(), *ORIGINAL)


def test_above_several_of_those_the_base_is_unknown_and_stays_so() -> None:
    old = dict(zip((OCI_BASE_NAME, OCI_BASE_DIGEST), ORIGINAL, strict=True))
    documents = update(update(base(), "3", labels=old), "4", labels=old)

    labels = base_labels(documents, "x:1", "sha256:x", replace=True)

    assert labels == {OCI_BASE_NAME: "x:1", OCI_BASE_DIGEST: "sha256:x", BASE_NAME_LABEL: "", BASE_DIGEST_LABEL: ""}
    again = base_labels(update(base(), "5", labels=labels), "y:1", "sha256:y", replace=True)
    assert again == {OCI_BASE_NAME: "y:1", OCI_BASE_DIGEST: "sha256:y", BASE_NAME_LABEL: "", BASE_DIGEST_LABEL: ""}


@pytest.mark.parametrize(
    ("replaced", "new", "expected"),
    [
        ([], ["six==1.17.0"], ["six==1.17.0"]),
        ([["six==1.16.0"], ["six==1.17.0", "a==1"]], ["a==2"], ["a==2", "six==1.17.0"]),
        ([["six==1.17.0"]], ["six==1.16.0"], ["six==1.16.0"]),
        ([["fix.sh"], ["fix.sh"]], ["other.sh"], ["fix.sh", "other.sh"]),
        ([["vim_2.1-1_amd64.deb"]], ["vim_2.2-1_amd64.deb", "vim_2.1-1_i386.deb"],
         ["vim_2.1-1_i386.deb", "vim_2.2-1_amd64.deb"]),
        ([["a-b-1.0-1.el9.noarch.rpm"]], ["a-b-1.1-3.el9.noarch.rpm"], ["a-b-1.1-3.el9.noarch.rpm"]),
        ([["a-b-1.0-1.el9.noarch.rpm"]], ["a-1.1-3.el9.noarch.rpm"],
         ["a-1.1-3.el9.noarch.rpm", "a-b-1.0-1.el9.noarch.rpm"]),
        ([["strange.deb", "strange.rpm"]], ["strange==1"], ["strange.deb", "strange.rpm", "strange==1"]),
    ],
)  # fmt: skip
def test_what_all_updates_installed(replaced: list[list[str]], new: list[str], expected: list[str]) -> None:
    documents = base()
    for number, names in enumerate(replaced, 3):
        documents = update(documents, str(number), *names)
    updates = split(documents).updates if replaced else ()
    assert list(installed_names(updates, new)) == expected
