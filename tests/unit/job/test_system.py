# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.job import system as job_system
from stxbuildah.job.system import complete_system
from stxbuildah.model.base import BaseSystem

TRIXIE = BaseSystem(os="debian", codename="trixie", arch="amd64")


def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "os-release"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(job_system, "_OS_RELEASE", path)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")


def test_what_is_not_named_is_this_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch, 'ID=debian\nVERSION_CODENAME="bookworm"\n')
    whole = BaseSystem(os="debian", codename="bookworm", arch="arm64")
    assert complete_system(BaseSystem()) == whole
    assert complete_system(TRIXIE) == TRIXIE
    assert complete_system(BaseSystem(codename="trixie")) == attrs.evolve(whole, codename="trixie")


@pytest.mark.parametrize(
    ("system", "message"),
    [
        (BaseSystem(os="debian"), "the release of debian is not known"),
        (BaseSystem(os="debian", codename="trixie", arch="z80"), "the architecture z80 is not known"),
    ],
)
def test_what_this_machine_cannot_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: BaseSystem, message: str
) -> None:
    host(tmp_path, monkeypatch, "ID=ubuntu\nVERSION_CODENAME=noble\n")
    with pytest.raises(InputError, match=message):
        complete_system(system)
