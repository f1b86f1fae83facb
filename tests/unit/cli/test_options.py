# SPDX-License-Identifier: Apache-2.0
"""What the options and the environment become at the door."""

import click
import pytest

from stxbuildah.cli.options import key_values, source_date_epoch
from stxbuildah.errors import InputError


@pytest.mark.parametrize(("text", "value"), [("", None), ("0", 0), ("1700000000", 1700000000)])
def test_source_date_epoch(monkeypatch: pytest.MonkeyPatch, text: str, value: int | None) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert source_date_epoch() == value


@pytest.mark.parametrize("text", ["now", "-1", "1.5", "253402300800", "\u0663"])
def test_source_date_epoch_that_is_no_time(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
        source_date_epoch()


def test_names_and_values() -> None:
    assert key_values(("a=1", "b=x=y", "c="), "--label") == (("a", "1"), ("b", "x=y"), ("c", ""))
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        key_values(("=1",), "--label")
