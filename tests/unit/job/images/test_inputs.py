# SPDX-License-Identifier: Apache-2.0
"""The digests of an image's inputs, as the image itself carries them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.job.images.inputs import digest_of_values, reason_to_build, recorded_inputs, written_inputs
from stxbuildah.layer.append import empty_image, with_settings
from stxbuildah.model.imagesrun import INPUTS_LABEL
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage


def stored(**labels: str) -> StoredImage:
    documents = with_settings(empty_image(architecture="amd64"), labels=labels)
    return StoredImage(reference=ImageReference.parse("localhost/ada/a:build"), documents=documents)


INPUTS = {"base": "sha256:1", "directives": "sha256:2", "wheels": "sha256:3"}


@given(st.dictionaries(st.text(), st.text()))
def test_what_is_written_is_read(inputs: dict[str, str]) -> None:
    assert recorded_inputs(stored(**{INPUTS_LABEL: written_inputs(inputs)})) == inputs


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", json.dumps("text")])
def test_labels_of_others_say_nothing(text: str) -> None:
    assert recorded_inputs(stored(**{INPUTS_LABEL: text})) == {}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (INPUTS, ""),
        ({**INPUTS, "base": "sha256:9"}, "base changed"),
        ({**INPUTS, "base": "sha256:9", "wheels": "sha256:9"}, "base and wheels changed"),
        ({**INPUTS, "context": "sha256:4", "base": "", "wheels": ""}, "base, context and wheels changed"),
        ({"base": "sha256:1"}, "directives and wheels changed"),
    ],
)
def test_the_reason_names_every_component_that_changed(now: dict[str, str], reason: str) -> None:
    assert reason_to_build(stored(**{INPUTS_LABEL: written_inputs(INPUTS)}), now, force=False) == reason


def test_an_image_that_is_missing_says_nothing_or_is_forced_is_built() -> None:
    there = stored(**{INPUTS_LABEL: written_inputs(INPUTS)})

    assert reason_to_build(None, INPUTS, force=False) == "it is not in the local store"
    assert reason_to_build(there, INPUTS, force=True) == "--force"
    assert reason_to_build(stored(), INPUTS, force=False) == (
        "the one in the local store does not say what it was built of"
    )


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_texts_have_different_digests(first: list[str], second: list[str]) -> None:
    assert (digest_of_values(*first) == digest_of_values(*second)) == (first == second)
