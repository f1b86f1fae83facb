# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import yaml

from stxbuildah.directive.tags import read_tags, repeated_targets


def test_the_real_tags_file(corpus: Path) -> None:
    text = (corpus / "tags" / "image-tags-trixie.yaml").read_text(encoding="utf-8")
    entries, problems = read_tags(text, "image-tags-trixie.yaml")
    assert (problems, repeated_targets(entries)) == ((), ())
    images = [image for document in yaml.safe_load_all(text) for image in document["images"]]
    assert len(entries) == 20
    assert [
        {"name": entry.name, "src_build_tag": entry.build_tag, "src_ref": entry.origin, "tag": entry.tag}
        for entry in entries
    ] == images
    lines = text.splitlines()
    assert all(lines[entry.line - 1] == f"  - name: {entry.name}" for entry in entries)
