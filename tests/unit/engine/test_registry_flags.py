# SPDX-License-Identifier: Apache-2.0
import base64
import io
import json
import stat
from pathlib import Path

import pytest

from stxbuildah import log
from stxbuildah.engine.registry_flags import Side, registry_options
from stxbuildah.errors import InputError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess

IMAGE = ImageReference.parse("r.example:5000/team/app:1")


def test_nothing_set_asks_for_nothing() -> None:
    with registry_options(RegistryAccess(), IMAGE) as options:
        assert options == ()


@pytest.mark.parametrize(("side", "begin"), [(Side.ONLY, "--"), (Side.SOURCE, "--src-"), (Side.DESTINATION, "--dest-")])
def test_what_is_set_becomes_options_of_the_side(side: Side, begin: str, tmp_path: Path) -> None:
    authfile = tmp_path / "auth.json"
    authfile.write_text("{}")
    access = RegistryAccess(authfile=authfile, cert_dir=tmp_path, tls_verify=True)

    with registry_options(access, IMAGE, side) as options:
        assert options == (
            f"{begin}tls-verify=true", f"{begin}cert-dir", str(tmp_path), f"{begin}authfile", str(authfile),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("image", "registry"),
    [("r.example:5000/team/app:1", "r.example:5000"), ("app", "docker.io"), ("team/app:1", "docker.io")],
)
def test_a_password_is_handed_on_in_a_file_of_its_own_that_goes_away(image: str, registry: str, tmp_path: Path) -> None:
    access = RegistryAccess(creds="me:se:cret")
    with registry_options(
        access, ImageReference.parse(image), Side.DESTINATION, runtime_folder=str(tmp_path)
    ) as options:
        name, path = options
        assert name == "--dest-authfile"
        assert Path(path).parent == tmp_path
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        auth = base64.b64encode(b"me:se:cret").decode()
        assert json.loads(Path(path).read_text()) == {"auths": {registry: {"auth": auth}}}
    assert list(tmp_path.iterdir()) == []


def test_the_password_wins_over_the_file(tmp_path: Path) -> None:
    access = RegistryAccess(creds="me:secret", authfile=tmp_path / "missing.json")
    with registry_options(access, IMAGE, runtime_folder=str(tmp_path)) as options:
        assert str(tmp_path / "missing.json") not in options


@pytest.mark.parametrize("creds", ["me", ":secret", "me:", ":"])
def test_credentials_of_another_form_are_an_error_that_does_not_show_them(creds: str) -> None:
    with pytest.raises(InputError) as caught, registry_options(RegistryAccess(creds=creds), IMAGE):
        pass
    assert caught.value.message == "the credentials are not of the form user:password"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("\udcff", "not JSON"),
    ],
)
def test_a_credentials_file_that_is_none_is_an_error(content: str | None, message: str, tmp_path: Path) -> None:
    authfile = tmp_path / "auth.json"
    if content is not None:
        authfile.write_bytes(content.encode(errors="surrogateescape"))
    with (
        pytest.raises(InputError, match=message) as caught,
        registry_options(RegistryAccess(authfile=authfile), IMAGE),
    ):
        pass
    assert str(authfile) in caught.value.message


def test_a_folder_of_certificates_that_is_none_is_an_error(tmp_path: Path) -> None:
    access = RegistryAccess(cert_dir=tmp_path / "missing")
    with pytest.raises(InputError, match="missing is not there"), registry_options(access, IMAGE):
        pass


@pytest.mark.parametrize(
    ("image", "warned"),
    [
        ("r.example:5000/app", "r.example:5000"),
        ("app", "docker.io"),
        ("10.0.0.1/app", "10.0.0.1"),
        ("localhost.example/app", "localhost.example"),
        ("127.0.0.1:5000/app", ""),
        ("localhost:5000/app", ""),
        ("localhost/app", ""),
        ("[::1]:5000/app", ""),
    ],
)
def test_unverified_registries_are_warned_of_by_name(image: str, warned: str) -> None:
    stream = io.StringIO()
    access = RegistryAccess(tls_verify=False)
    with (
        log.configured(log.LogSettings(stream=stream, json=True)),
        registry_options(access, ImageReference.parse(image)) as options,
    ):
        assert options == ("--tls-verify=false",)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(event["event"], event["registry"]) for event in events] == (
        [("registry.tls.unverified", warned)] if warned else []
    )
