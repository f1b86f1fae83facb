# SPDX-License-Identifier: Apache-2.0
"""Credentials: which file, which entry, which helper."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from stxbuildah import log
from stxbuildah.engine.process import Runner
from stxbuildah.errors import HostError, InputError
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.registry.credentials import Credentials, find_credentials, given_credentials

SECRET = "s3cr:et"  # noqa: S105 # of registries that do not exist


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@attrs.frozen
class Home:
    """A home with files of credentials, and programs on PATH."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "runtime"),
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
        }

    def write(self, path: str, content: object) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content if isinstance(content, str) else json.dumps(content))
        return target

    def helper(self, name: str, script: str) -> None:
        self.write(f"bin/docker-credential-{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)

    def find(
        self,
        registry: str = "r.example",
        repository: str = "team/app",
        *,
        access: RegistryAccess | None = None,
        variables: Mapping[str, str] | None = None,
        helpers: tuple[str, ...] = (),
    ) -> Credentials | None:
        return find_credentials(
            registry,
            repository,
            access=access or RegistryAccess(),
            environment={**self.environment, **(variables or {})},
            runner=Runner(),
            helpers=helpers,
        )

    def user(self, registry: str = "r.example", repository: str = "team/app") -> str | None:
        found = self.find(registry, repository)
        return None if found is None else found.username


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_nothing_anywhere(home: Home) -> None:
    assert home.find() is None


def test_the_order_of_the_files(home: Home) -> None:
    places = [
        (".dockercfg", {"r.example": auth("first-docker")}),
        (".docker/config.json", {"auths": {"r.example": auth("docker")}}),
        (".config/containers/auth.json", {"auths": {"r.example": auth("configuration")}}),
        ("runtime/containers/auth.json", {"auths": {"r.example": auth("runtime")}}),
    ]
    users = []
    for path, content in places:
        home.write(path, content)
        users.append(home.user())
    assert users == ["first-docker", "docker", "configuration", "runtime"]

    named = home.write("named.json", {"auths": {"r.example": auth("variable")}})
    found = home.find(variables={"REGISTRY_AUTH_FILE": str(named)})
    assert found == Credentials(username="variable", password=SECRET)
    given = home.write("given.json", {"auths": {"r.example": auth("option")}})
    found = home.find(access=RegistryAccess(authfile=given), variables={"REGISTRY_AUTH_FILE": str(named)})
    assert found == Credentials(username="option", password=SECRET)


def test_a_named_file_is_the_only_one(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"r.example": auth("docker")}})
    empty = home.write("empty.json", {})
    assert home.find(access=RegistryAccess(authfile=empty)) is None
    assert home.find(variables={"REGISTRY_AUTH_FILE": str(empty)}) is None


def test_other_folders_by_variables(home: Home) -> None:
    home.write("elsewhere/config.json", {"auths": {"r.example": auth("docker")}})
    home.write("configuration/containers/auth.json", {"auths": {"q.example": auth("podman")}})
    variables = {"DOCKER_CONFIG": str(home.folder / "elsewhere"), "XDG_CONFIG_HOME": str(home.folder / "configuration")}
    assert home.find(variables=variables) == Credentials(username="docker", password=SECRET)
    assert home.find("q.example", variables=variables) == Credentials(username="podman", password=SECRET)


def test_the_most_particular_entry_wins(home: Home) -> None:
    keys = ["r.example", "r.example/team", "r.example/team/app", "r.example/team/app/deep", "r.example:5000"]
    home.write(".docker/config.json", {"auths": {key: auth(key.replace(":", " port ")) for key in keys}})
    assert home.user("r.example", "team/app/deep") == "r.example/team/app/deep"
    assert home.user("r.example", "team/app") == "r.example/team/app"
    assert home.user("r.example", "team/apple") == "r.example/team"
    assert home.user("r.example", "teams/app") == "r.example"
    assert home.user("r.example:5000", "team/app") == "r.example port 5000"
    assert home.user("other.example", "team/app") is None


@pytest.mark.parametrize("registry", ["docker.io", "index.docker.io", "registry-1.docker.io"])
@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_by_any_of_its_names(registry: str, key: str, home: Home) -> None:
    home.write(".docker/config.json", {"auths": {key: auth("docker")}})
    assert home.user(registry, "library/debian") == "docker"


def test_urls_of_old_programs(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"https://r.example/v1/": auth("url")}})
    home.write(".dockercfg", {"http://q.example:5000/v1/": auth("old"), "s.example/path": auth("old path")})
    assert home.user("r.example") == "url"
    assert home.user("q.example:5000") == "old"
    assert home.user("s.example") == "old path"


def test_an_exact_entry_before_a_url(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"https://r.example/v1/": auth("url"), "r.example": auth("exact")}})
    assert home.user() == "exact"


def test_an_entry_without_an_account_lets_the_next_file_speak(home: Home) -> None:
    home.write("runtime/containers/auth.json", {"auths": {"r.example": {}}})
    home.write(".docker/config.json", {"auths": {"r.example": auth("docker")}})
    assert home.user() == "docker"


def test_an_identity_token(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"r.example": {**auth("me", ""), "identitytoken": SECRET}}})
    assert home.find() == Credentials(username="me", identity_token=SECRET)
    home.write(".docker/config.json", {"auths": {"r.example": {"identitytoken": SECRET}}})
    assert home.find() == Credentials(username="", identity_token=SECRET)


ANSWER = f"""read registry; echo '{{"ServerURL": "x", "Username": "'"$registry by $KEY"'", "Secret": "{SECRET}"}}'"""


def test_a_helper_is_asked_with_the_users_own_settings(home: Home) -> None:
    home.helper("keep", ANSWER)
    home.write(".docker/config.json", {"credHelpers": {"r.example": "keep"}, "auths": {"r.example": auth("file")}})
    found = home.find(variables={"KEY": "key"})
    assert found == Credentials(username="r.example by key", password=SECRET)
    assert home.find("q.example") is None


def test_a_store_is_asked_after_the_files_own_entries(home: Home) -> None:
    home.helper("store", ANSWER)
    home.write(
        ".docker/config.json", {"credsStore": "store", "auths": {"r.example": {}, "q.example": auth("q-account")}}
    )
    assert home.user("r.example") == "r.example by "
    assert home.user("q.example") == "q-account"


def test_docker_is_asked_for_by_its_old_url_first(home: Home) -> None:
    home.helper("store", f"read registry; case $registry in https:*) {ANSWER.partition(';')[2]};; *) exit 3;; esac")
    home.write(".docker/config.json", {"credsStore": "store"})
    assert home.user("docker.io", "library/debian") == "https://index.docker.io/v1/ by "


def test_a_helpers_identity_token(home: Home) -> None:
    home.helper("keep", """echo '{"Username": "<token>", "Secret": "refresh"}'""")
    assert home.find(helpers=("keep",)) == Credentials(username="", identity_token="refresh")  # noqa: S106 # as above


def test_helpers_of_registries_conf_in_their_order(home: Home) -> None:
    home.helper("empty", 'echo "credentials not found in native keychain"; exit 1')
    home.helper("keep", ANSWER)
    home.write(".docker/config.json", {"auths": {"r.example": auth("file")}})
    assert home.user() == "file"
    for helpers, user in [
        (("empty", "containers-auth.json", "keep"), "file"),
        (("empty", "keep", "containers-auth.json"), "r.example by "),
    ]:
        found = home.find(helpers=helpers)
        assert found is not None
        assert found.username == user


@pytest.mark.parametrize(
    ("script", "details"),
    [
        (f'echo "{SECRET}"; echo "the vault is sealed" >&2; exit 1', ("the vault is sealed",)),
        (f"echo '{SECRET}'", ()),
        (f"""echo '{{"Username": "me", "Password": "{SECRET}"}}'""", ()),
    ],
)
def test_a_helper_that_fails_is_told_without_its_secret(script: str, details: tuple[str, ...], home: Home) -> None:
    home.helper("bad", script)
    home.write(".docker/config.json", {"credHelpers": {"r.example": "bad"}})
    stream = io.StringIO()
    with (
        log.configured(log.LogSettings(level=log.Level.DEBUG, stream=stream)),
        pytest.raises(
            HostError, match=r"the credential helper docker-credential-bad (failed|answers) for r\.example"
        ) as caught,
    ):
        home.find()
    assert caught.value.details == details
    assert SECRET not in f"{caught.value} {caught.value.hint} {stream.getvalue()}"


def test_a_helper_that_is_not_there(home: Home) -> None:
    home.write(".docker/config.json", {"credHelpers": {"r.example": "absent"}})
    with pytest.raises(HostError, match="the program docker-credential-absent is not installed"):
        home.find()


@pytest.mark.parametrize("name", ["../../bin/evil", "a b", "-x", ""])
def test_a_helper_is_a_plain_name(name: str, home: Home) -> None:
    home.write(".docker/config.json", {"credHelpers": {"r.example": name}})
    with pytest.raises(InputError, match=r"in .*/\.docker/config\.json is not the name of a credential helper"):
        home.find()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"config\.json is not JSON"),
        ("[" * 100_000, r"config\.json is not JSON"),
        ("[]", r"config\.json is not a JSON object"),
        ({"auths": {"r.example": {"auth": "?"}}}, r"no base64 of user:password for r\.example"),
        ({"auths": {"r.example": {"auth": base64.b64encode(SECRET[:4].encode()).decode()}}}, "no base64 of"),
        ({"auths": {"r.example": "x"}}, r"config\.json has no JSON object for r\.example"),
    ],
)
def test_a_damaged_file_is_named(content: object, message: str, home: Home) -> None:
    home.write(".docker/config.json", content)
    with pytest.raises(InputError, match=message) as caught:
        home.find()
    assert SECRET[:4] not in str(caught.value)


def test_an_empty_file_says_nothing(home: Home) -> None:
    home.write("runtime/containers/auth.json", "\n")
    assert home.find() is None


def test_a_named_file_that_is_not_there(home: Home) -> None:
    absent = str(home.folder / "none.json")
    with pytest.raises(InputError, match=r"none\.json \(REGISTRY_AUTH_FILE\) cannot be read: No such file"):
        home.find(variables={"REGISTRY_AUTH_FILE": absent})
    with pytest.raises(InputError, match=r"none\.json \(--authfile\) cannot be read: No such file"):
        home.find(access=RegistryAccess(authfile=Path(absent)))


def test_credentials_of_the_command_line() -> None:
    assert given_credentials(f"me:{SECRET}") == Credentials(username="me", password=SECRET)
    for wrong in ("me", "me:", ":x"):
        with pytest.raises(InputError, match="not of the form user:password"):
            given_credentials(wrong)


def test_nothing_secret_is_shown() -> None:
    shown = repr(Credentials(username="me", password=SECRET, identity_token=SECRET))
    assert SECRET not in shown
