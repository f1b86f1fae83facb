# SPDX-License-Identifier: Apache-2.0
"""Files of versions for build requirements."""

import pytest

from stxbuildah.directive.pins import parse_pins
from stxbuildah.errors import ProblemsError


def test_names_are_normalized_and_lines_of_one_name_count_together() -> None:
    pins = parse_pins("# versions\nSetuptools==78.1.1\n\nflit_core>=3 # enough\nflit-core<4\n", "pins.txt")
    assert {name: str(found) for name, found in pins.items()} == {"setuptools": "==78.1.1", "flit-core": "<4,>=3"}


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_pins("-r other.txt\na[b]==1\nc; python_version < '3'\nd @ https://h/d.whl\ne==1\n", "pins.txt")
    assert [(problem.source, problem.line) for problem in caught.value.problems] == [
        ("pins.txt", 1), ("pins.txt", 2), ("pins.txt", 3), ("pins.txt", 4),
    ]  # fmt: skip
