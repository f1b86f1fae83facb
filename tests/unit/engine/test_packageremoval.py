# SPDX-License-Identifier: Apache-2.0
"""What dpkg and rpm say when others need what is to go; their words, as they were seen."""

import pytest

from stxbuildah.engine.packageremoval import removal_command, removal_refusal
from stxbuildah.engine.process import Completed

DPKG = """\
dpkg: dependency problems prevent removal of python3-pip:
 stx-tool depends on python3-pip.
 stx-other depends on python3-pip; however:
  Package python3-pip is to be removed.

dpkg: error processing package python3-pip (--purge):
 dependency problems - not removing
Errors were encountered while processing:
 python3-pip
"""
RPM = """\
error: Failed dependencies:
\tpython3-pip is needed by (installed) stx-tool-1.0-1.noarch
\tpython3-pip >= 9 is needed by (installed) stx-other-1.0-1.noarch
"""


def refused(text: str) -> Completed:
    return Completed(argv=("buildah",), returncode=1, stdout=b"", tail=tuple(text.splitlines()))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DPKG, "stx-tool needs python3-pip; stx-other needs python3-pip"),
        (RPM, "stx-tool-1.0-1.noarch needs python3-pip; stx-other-1.0-1.noarch needs python3-pip >= 9"),
        ("dpkg: error: it is locked", "exit status 1"),
    ],
)
def test_who_needs_it_is_named(text: str, reason: str) -> None:
    error = removal_refusal(("python3-pip", "python-pip-whl"), refused(text))
    assert error.message == f"python3-pip, python-pip-whl could not be removed: {reason}"
    assert error.details == tuple(text.splitlines())


@pytest.mark.parametrize(("manager", "option"), [("dpkg", "--purge"), ("rpm", "--erase")])
def test_the_command(manager: str, option: str) -> None:
    assert removal_command(manager, ["one", "two"])[-4:] == (manager, option, "one", "two")
