# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from stxbuildah.directive.shellvars import parse_assignments


def test_values_of_directive_files_are_those_of_bash(corpus: Path) -> None:
    cases = json.loads((corpus / "directives.expected.json").read_text(encoding="utf-8"))
    assert cases
    for case in cases:
        text = (corpus / case["path"]).read_text(encoding="utf-8")
        values = {assignment.key: assignment.value for assignment in parse_assignments(text, case["path"])}
        assert values == {key: case["raw"][key] for key in case["set_keys"]}, case["path"]


def test_every_directive_file_of_the_tree_is_covered(corpus: Path) -> None:
    cases = json.loads((corpus / "directives.expected.json").read_text(encoding="utf-8"))
    files = {path.relative_to(corpus).as_posix() for path in (corpus / "tree").rglob("*_docker_image")}
    assert files == {case["path"] for case in cases}
