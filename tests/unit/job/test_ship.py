# SPDX-License-Identifier: Apache-2.0
"""What another machine says of itself, what follows from it, and the archive that is put together there."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.ship import planned
from stxbuildah.job.shiplayers import ArchivedImage, docker_frame, oci_frame
from stxbuildah.job.shipthere import Answer, Part, read_answer
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.ship import EngineThere, ShipRequest, ShipState, SshDestination
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.transfer import Packing
from stxbuildah.transport.archive import opened_oci_archive
from stxbuildah.transport.documents import listed_blobs

A, B, C = "a" * 64, "b" * 64, "c" * 64
NAME = "localhost/stx-nova:1"
CONFIG = json.dumps({"rootfs": {"diff_ids": [f"sha256:{A}", f"sha256:{B}", f"sha256:{A}"]}}).encode()
IMAGE = StoredImage(reference=ImageReference.parse(NAME), documents=ImageDocuments(manifest=b"{}", config=CONFIG))


def test_an_answer_is_read() -> None:
    text = f"""\
Welcome to controller-0
engine podman
tool gzip
image sha256:{A} name:localhost/x:1 name:localhost/y:1 layer:sha256:{B}
image {B}
content sha256:{C}
image nonsense layer:sha256:{C}
blob {A} 12
blob ../../etc/passwd 12
part {C} 5 {B}
end
"""
    assert read_answer(text, "there") == Answer(
        engine=EngineThere.PODMAN,
        tools=frozenset({Packing.GZIP}),
        names={"localhost/x:1": A, "localhost/y:1": A},
        images=frozenset({A, B}),
        layers=frozenset({f"sha256:{B}", f"sha256:{C}"}),
        chains=frozenset({(f"sha256:{B}",), ()}),
        blobs={A: 12},
        parts={C: Part(size=5, digest=B)},
    )


@pytest.mark.parametrize(
    "text", ["", "engine podman\n", "end\n", "engine vmware\nend\n", "engine podman\nengine docker\nend"]
)
def test_no_answer_is_said(text: str) -> None:
    with pytest.raises(BuildError, match="there did not say what it has"):
        read_answer(text, "there")


def plan_of(answer: Answer, packing: Packing | None = None) -> tuple[ShipState, tuple[str, ...], Packing]:
    request = ShipRequest(images=(IMAGE.reference,), destination=SshDestination(host="controller-0"), packing=packing)
    made = planned(request, {NAME: IMAGE}, answer)
    [image] = made.images
    return image.state, image.lacking, made.packing


def test_what_is_sent_follows_from_what_is_there() -> None:
    podman, docker = Answer(engine=EngineThere.PODMAN), Answer(engine=EngineThere.DOCKER)
    assert plan_of(podman) == (ShipState.SEND, (f"sha256:{A}", f"sha256:{B}"), Packing.NONE)
    known = Answer(engine=EngineThere.PODMAN, layers=frozenset({f"sha256:{A}"}), tools=frozenset({Packing.GZIP}))
    assert plan_of(known) == (ShipState.SEND, (f"sha256:{B}",), Packing.GZIP)
    assert plan_of(attrs.evolve(known, engine=EngineThere.CONTAINERD))[1] == (f"sha256:{B}",)
    # docker has layers upon others, so only an image that begins with them counts; what waits there need not travel.
    for chain, lacking in (((B, C), (A, B)), ((A, C, B), (B,)), ((A, B), ())):
        chains = frozenset({tuple(f"sha256:{layer}" for layer in chain), (f"sha256:{C}",)})
        answer = Answer(engine=EngineThere.DOCKER, layers=known.layers, chains=chains)
        assert plan_of(answer)[1] == tuple(f"sha256:{layer}" for layer in lacking)
    assert plan_of(known.without_layers())[1] == (f"sha256:{A}", f"sha256:{B}")
    assert plan_of(Answer(engine=EngineThere.DOCKER, blobs={A: 3}))[1] == (f"sha256:{B}",)
    there = frozenset({IMAGE.image_id})
    assert plan_of(Answer(engine=EngineThere.DOCKER, images=there))[:2] == (ShipState.TAG, ())
    named = Answer(engine=EngineThere.PODMAN, images=there, names={NAME: IMAGE.image_id})
    assert plan_of(named)[:2] == (ShipState.PRESENT, ())
    with pytest.raises(InputError, match="there is no zstd on ssh://controller-0"):
        plan_of(docker, Packing.ZSTD)


def test_a_frame_and_the_layers_are_an_archive() -> None:
    layers = {hashlib.sha256(data).hexdigest(): data for data in (b"", b"x" * 512, b"y" * 700)}
    sizes = [(digest, len(data)) for digest, data in layers.items()]
    image = ArchivedImage(
        names=(NAME, "localhost/stx-nova:2"), image_id=IMAGE.image_id, config=CONFIG, layers=(*layers,)
    )
    frame = docker_frame((image,), sizes)
    pieces = [
        frame[512 * number : 512 * (number + 1)] + data + bytes(-len(data) % 512)
        for number, data in enumerate(layers.values())
    ]
    archive = b"".join(pieces) + frame[512 * len(layers) :]
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        members = {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}
    assert json.loads(members.pop("manifest.json")) == [
        {
            "Config": f"{IMAGE.image_id}.json",
            "RepoTags": [NAME, "localhost/stx-nova:2"],
            "Layers": [f"{digest}.tar" for digest in layers],
        }
    ]
    assert members == {f"{IMAGE.image_id}.json": CONFIG, **{f"{digest}.tar": data for digest, data in layers.items()}}


def test_an_oci_archive_names_layers_that_it_has_not(tmp_path: Path) -> None:
    layers = {hashlib.sha256(data).hexdigest(): data for data in (b"x" * 512, b"y" * 700)}
    sizes = {digest: len(data) for digest, data in layers.items()}
    here, there = layers
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{there}", f"sha256:{here}"]}}).encode()
    image_id = hashlib.sha256(config).hexdigest()
    image = ArchivedImage(names=(NAME,), image_id=image_id, config=config, layers=(there, here))
    frame = oci_frame((image,), [(here, sizes[here])], sizes)
    (tmp_path / "archive").write_bytes(frame[:512] + layers[here] + frame[512:])
    with opened_oci_archive(tmp_path / "archive", "archive") as source:
        document = source.document()
        found = list(listed_blobs(document))
        assert [blob.digest for blob in found] == [f"sha256:{digest}" for digest in (image_id, there, here)]
        for blob, data in ((found[0], config), (found[2], layers[here])):
            with source.blob(blob) as chunks:
                assert b"".join(chunks) == data
        with pytest.raises(InputError, match="has no blob"), source.blob(found[1]) as chunks:
            list(chunks)


def test_a_layer_too_large_for_a_frame_is_said() -> None:
    with pytest.raises(BuildError, match="more than 8 GiB"):
        docker_frame((), [(A, 8 << 30)])
