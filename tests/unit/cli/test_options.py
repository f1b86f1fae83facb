# SPDX-License-Identifier: Apache-2.0
"""What the options and the environment become at the door."""

import click
import pytest

from stxbuildah.cli.options import key_values, registry_access, source_date_epoch
from stxbuildah.errors import InputError

NO_ACCESS = {"authfile": None, "creds": "", "cert_dir": None, "tls_verify": None}


@pytest.mark.parametrize(("text", "value"), [("", None), ("0", 0), ("1700000000", 1700000000)])
def test_source_date_epoch(monkeypatch: pytest.MonkeyPatch, text: str, value: int | None) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert source_date_epoch() == value


@pytest.mark.parametrize("text", ["now", "-1", "1.5", "253402300800", "\u0663"])
def test_source_date_epoch_that_is_no_time(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
        source_date_epoch()


@pytest.mark.parametrize(("text", "seconds"), [("", 60.0), ("120", 120.0), ("0.5", 0.5), ("99999.999", 99999.999)])
def test_registry_timeout(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("STXB_REGISTRY_TIMEOUT", text)
    assert registry_access(NO_ACCESS).timeout == seconds


@pytest.mark.parametrize("text", ["0", "0.000", "-1", "1e3", "100000", "nan", "60s", " 60", "\u0663"])
def test_registry_timeout_that_is_no_time(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("STXB_REGISTRY_TIMEOUT", text)
    with pytest.raises(InputError, match="STXB_REGISTRY_TIMEOUT"):
        registry_access(NO_ACCESS)


def test_names_and_values() -> None:
    assert key_values(("a=1", "b=x=y", "c="), "--label") == (("a", "1"), ("b", "x=y"), ("c", ""))
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        key_values(("=1",), "--label")
