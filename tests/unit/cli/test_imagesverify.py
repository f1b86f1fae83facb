# SPDX-License-Identifier: Apache-2.0
"""How verified images are told."""

from pathlib import Path

import click

from stxbuildah.cli.imagesverify import report_object, report_text
from stxbuildah.model.verify import Check, CheckResult, Verdict, VerifiedImage

LEFT = tuple(f"/tmp/{number}\x1b[2J is a temporary file" for number in range(12))
IMAGES = (
    VerifiedImage(
        image="localhost/stx/nova:build", label="stx-nova", file=Path("nova.image"), digest="sha256:1", base="base:1",
        results=(
            CheckResult(check=Check.STARTS, verdict=Verdict.OK, sentence="nova-api ended with exit status 0"),
            CheckResult(check=Check.LEFTOVERS, verdict=Verdict.FAILED, sentence=f"left: {LEFT[0]}", details=LEFT),
        ),
    ),
    VerifiedImage(
        image="localhost/other:1",
        results=(
            CheckResult(check=Check.ACCOUNT, verdict=Verdict.SKIPPED, sentence="two\nlines"),
            CheckResult(check=Check.STARTS, verdict=Verdict.FAILED, sentence="alone", details=("alone",)),
        ),
    ),
)  # fmt: skip


def test_the_table_and_what_stands_behind_it() -> None:
    assert click.unstyle("\n".join(report_text(IMAGES))).splitlines() == [
        "IMAGE              CHECK",
        "stx-nova           starts     ok       nova-api ended with exit status 0",
        r"stx-nova           leftovers  failed   left: /tmp/0\x1b[2J is a temporary file",
        "localhost/other:1  account    skipped  two lines",
        "localhost/other:1  starts     failed   alone",
        "",
        "stx-nova, leftovers:",
        *(rf"  /tmp/{number}\x1b[2J is a temporary file" for number in range(10)),
        "  and 2 more; --format json tells all",
    ]


def test_for_machines() -> None:
    found = report_object(IMAGES[1])
    assert found == {
        "image": "localhost/other:1", "digest": "", "label": "", "file": "", "base": "", "ok": False,
        "checks": [
            {"check": "account", "result": "skipped", "sentence": "two\nlines", "details": []},
            {"check": "starts", "result": "failed", "sentence": "alone", "details": ["alone"]},
        ],
    }  # fmt: skip
    assert (report_object(IMAGES[0])["file"], report_object(IMAGES[0])["base"]) == ("nova.image", "base:1")
