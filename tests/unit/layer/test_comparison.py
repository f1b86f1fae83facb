# SPDX-License-Identifier: Apache-2.0
"""Images compared by what is known of them."""

import json
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.comparison import compared, facts_of
from stxbuildah.model.comparison import Changed, ImageFacts, LayerFacts, Package
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from tests.engine.pythonimages import file, make_image

TEXTS = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=5)


def facts(*layers: str, **more: Any) -> ImageFacts:
    empty = ImageFacts(name="a", digest="", image_id="/".join(layers), platform="linux", layers=(), settings={})
    made = tuple(LayerFacts(diff_id=name, digest=name, size=1) for name in layers)
    return attrs.evolve(empty, layers=made, **more)


def test_layers_in_common_are_those_at_the_bottom() -> None:
    assert compared(facts("a", "b", "c"), facts("a", "x", "c")).shared == 1
    assert compared(facts("a", "b"), facts("a", "b", "c")).shared == 2
    assert compared(facts("a"), facts("a")).same


@given(before=TEXTS, after=TEXTS)
def test_what_changed_turns_one_into_the_other(before: dict[str, str], after: dict[str, str]) -> None:
    changes = compared(facts(settings=before), facts(settings=after)).settings
    made = dict(before)
    for change in changes:
        assert change.before != change.after
        assert made.pop(change.name, None) == change.before
        if change.after is not None:
            made[change.name] = change.after
    assert made == after


def test_packages_by_their_names() -> None:
    old = PackageLists(
        python=("six==1.16.0", "local @ file:///x"),
        deb=("libc6 2.41-1 amd64", "libc6 2.41-1 i386"),
        rpm=("bash-5.2.15-1.x86_64", "gpg-pubkey-1-2.(none)", "kernel-6.1-1.x86_64"),
    )
    new = PackageLists(
        python=("six==1.17.0", "local @ file:///x"),
        deb=("libc6 2.41-2 amd64",),
        rpm=("bash-5.2.15-1.x86_64", "gpg-pubkey-1-2.(none)", "kernel-6.1-1.x86_64", "kernel-6.2-1.x86_64"),
    )
    found = compared(facts(packages=old), facts(packages=new)).packages
    assert found == {
        Package.PYTHON: (Changed(name="six", before="1.16.0", after="1.17.0"),),
        Package.DEB: (
            Changed(name="libc6:amd64", before="2.41-1", after="2.41-2"),
            Changed(name="libc6:i386", before="2.41-1", after=None),
        ),
        Package.RPM: (Changed(name="kernel.x86_64", before="6.1-1", after="6.1-1, 6.2-1"),),
    }


def test_facts_of_documents() -> None:
    image = make_image([file("a")], [file("b")], title="x")
    documents = ImageDocuments(manifest=image.document.data, config=image.config)
    found = facts_of(StoredImage(reference=ImageReference("a"), documents=documents), "a")
    assert [layer.created_by for layer in found.layers] == ["layer 0", "layer 1"]
    assert [layer.update for layer in found.layers] == [None, None]
    assert [layer.diff_id for layer in found.layers] == json.loads(image.config)["rootfs"]["diff_ids"]
    assert found.platform == "linux/amd64"
    assert found.settings["Labels.title"] == "x"
    assert found.settings["Env.PATH"].startswith("/usr/local/sbin")
