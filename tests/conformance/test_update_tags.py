# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from stxbuildah.model.reference import ImageReference
from stxbuildah.model.target import updated_reference


def test_names_of_updated_images_are_those_of_the_replaced_script(corpus: Path) -> None:
    cases = json.loads((corpus / "update_tags.expected.json").read_text(encoding="utf-8"))
    assert cases
    ours = [
        str(
            updated_reference(
                ImageReference.parse(case["from"]),
                version=case["version"],
                registry=case["registry"],
                user=case["user"],
                account=case["env_USER"],
            )
        )
        for case in cases
    ]
    assert ours == [case["updated_image"] for case in cases]
