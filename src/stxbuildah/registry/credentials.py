# SPDX-License-Identifier: Apache-2.0
"""The user's credentials, from where podman keeps them: containers-auth.json(5), Docker's files, credential helpers.

The order of the places and of the entries in a file is that of containers/image (``pkg/docker/config``,
``GetCredentialsForRef``); ``credsStore``, which Docker writes and podman leaves to Docker, is asked last in its file.
"""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.process import Runner
from stxbuildah.errors import HostError, InputError
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.model.value import Value

_DOCKER_NAMES = frozenset({"docker.io", "registry-1.docker.io", "index.docker.io"})
_DOCKER_KEY = "https://index.docker.io/v1/"
# What containers/image calls the files in a list of helpers.
FILES = "containers-auth.json"
_HELPER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# The user name by which a helper says that its secret is an identity token.
_TOKEN_USER = "<token>"  # noqa: S105 # a name, not a secret
_NOT_FOUND = ("credentials not found", "credentials missing server url", "credentials missing username")
_HELPER_SECONDS = 60.0
_MAXIMUM_BYTES = 4 * 2**20


@attrs.frozen(kw_only=True)
class Credentials(Value):
    """An account of a registry.

    Attributes:
        username: its name.
        password: its password, or a token in place of one.
        identity_token: a refresh token for the token service; then there is no password.
    """

    username: str
    password: str = attrs.field(default="", repr=False)
    identity_token: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class _Place(Value):
    """A file of credentials: ``legacy`` for Docker's first format, ``named`` by what the user gave its name with."""

    path: Path
    legacy: bool = False
    named: str = ""


def given_credentials(creds: str) -> Credentials:
    """Read what the command line gives.

    Raises:
        InputError: it is not of the form ``user:password``.
    """
    user, _, password = creds.partition(":")
    if not user or not password:
        raise InputError(
            "the credentials are not of the form user:password",
            hint="write --creds user:password, or better log in by podman login and leave --creds out",
        )
    return Credentials(username=user, password=password)


def find_credentials(
    registry: str,
    repository: str,
    *,
    access: RegistryAccess,
    environment: Mapping[str, str],
    runner: Runner,
    helpers: tuple[str, ...] = (),
) -> Credentials | None:
    """Find the account for a repository; what the command line gives is not looked at.

    Args:
        registry: host and port as in references; ``docker.io`` for Docker's own.
        repository: path below it; entries may be for a part of it.
        access: what the user set; a file named there is the only one that is read.
        environment: the variables that podman reads.
        runner: runs credential helpers.
        helpers: ``credential-helpers`` of registries.conf; the files alone when empty.

    Raises:
        InputError: a file is damaged, or not there though it was named.
        HostError: a credential helper is not installed, or failed.
    """
    for helper in helpers or (FILES,):
        if helper == FILES:
            found = _from_files(registry, repository, access=access, environment=environment, runner=runner)
        else:
            found = _from_helper(helper, registry, environment, runner, "registries.conf")
        if found is not None:
            return found
    return None


def _from_files(
    registry: str, repository: str, *, access: RegistryAccess, environment: Mapping[str, str], runner: Runner
) -> Credentials | None:
    for place in _places(access, environment):
        content = _read(place)
        found = _entry(place, content, registry, repository)
        if isinstance(found, str):
            found = _from_helper(found, registry, environment, runner, str(place.path))
        if found is not None:
            log.debug("registry.credentials.found", registry=registry, file=str(place.path))
            return found
    return None


def _places(access: RegistryAccess, environment: Mapping[str, str]) -> Iterator[_Place]:
    if access.authfile is not None:
        yield _Place(path=access.authfile, named="--authfile")
        return
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield _Place(path=Path(named), named="REGISTRY_AUTH_FILE")
        return
    runtime = environment.get("XDG_RUNTIME_DIR")
    yield _Place(
        path=Path(runtime, "containers/auth.json") if runtime else Path(f"/run/containers/{os.getuid()}/auth.json")
    )
    home = environment.get("HOME", "")
    configuration = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    if configuration:
        yield _Place(path=Path(configuration, "containers/auth.json"))
    docker = environment.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    if docker:
        yield _Place(path=Path(docker, "config.json"))
    if home:
        yield _Place(path=Path(home, ".dockercfg"), legacy=True)


def _read(place: _Place) -> Mapping[str, object]:
    try:
        with place.path.open("rb") as stream:
            data = stream.read(_MAXIMUM_BYTES)
        # An empty file is what logging out of everything may leave.
        content = json.loads(data) if data.strip() else {}
    except (FileNotFoundError, NotADirectoryError) as error:
        if not place.named:
            return {}
        # podman would go on as nobody, and the registry's refusal hides the misspelled name.
        raise InputError(
            f"the credentials file {place.path} ({place.named}) cannot be read: {error.strerror}",
            hint="podman login --authfile FILE writes such a file",
        ) from error
    except OSError as error:
        raise InputError(f"the credentials file {place.path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the credentials file {place.path} is not JSON: {error}", hint="podman login --authfile FILE writes one"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"the credentials file {place.path} is not a JSON object")
    return {"auths": content} if place.legacy else content


def _entry(place: _Place, content: Mapping[str, object], registry: str, repository: str) -> Credentials | str | None:
    """Give what a file says of a repository: an account, the name of a helper that knows it, or nothing."""
    for name, helper in _table(content, "credHelpers").items():
        if isinstance(helper, str) and _plain_key(name, legacy=False) == _normal(registry):
            return helper
    entries = _table(content, "auths")
    for key in matching_keys(entries, registry, repository, legacy=place.legacy):
        found = _decoded(entries[key], place.path, key)
        if found is not None:
            return found
    store = content.get("credsStore")
    return store if isinstance(store, str) and store else None


def _table(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def matching_keys(
    entries: Mapping[str, object], registry: str, repository: str, *, legacy: bool = False
) -> Iterator[str]:
    """Give the keys of a file's entries that are for a repository, the most particular one first.

    Args:
        entries: by ``registry``, ``registry/namespace/...`` or a URL, as old programs wrote them.
        registry: host and port.
        repository: path below it.
        legacy: the file is Docker's first one, which knows registries alone.
    """
    parts = [] if legacy else repository.split("/")
    exact = ["/".join([registry, *parts[:count]]) for count in range(len(parts), -1, -1)]
    yield from (key for key in exact if key in entries)
    yield from (key for key in entries if key not in exact and _plain_key(key, legacy=legacy) == _normal(registry))


def _plain_key(key: str, *, legacy: bool) -> str:
    plain = key.removeprefix("http://").removeprefix("https://")
    # A URL is for the registry it begins with; a key without a scheme may end in a namespace.
    if legacy or plain != key:
        plain = plain.partition("/")[0]
    return _normal(plain)


def _normal(registry: str) -> str:
    return "docker.io" if registry in _DOCKER_NAMES else registry


def _decoded(entry: object, path: Path, key: str) -> Credentials | None:
    if not isinstance(entry, dict):
        raise InputError(f"the credentials file {path} has no JSON object for {key}")
    token, auth = entry.get("identitytoken"), entry.get("auth")
    if not isinstance(auth, str) or not auth:
        return Credentials(username="", identity_token=token) if isinstance(token, str) and token else None
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        colon = user = password = ""
    if not colon:
        # The cause would show a part of the secret.
        raise InputError(
            f"the credentials file {path} has no base64 of user:password for {key}", hint="log in anew by podman login"
        )
    if isinstance(token, str) and token:
        return Credentials(username=user, identity_token=token)
    return Credentials(username=user, password=password.strip("\x00"))


def _from_helper(
    helper: str, registry: str, environment: Mapping[str, str], runner: Runner, source: str
) -> Credentials | None:
    if _HELPER.fullmatch(helper) is None:
        raise InputError(f"{helper!r} in {source} is not the name of a credential helper")
    names = (_DOCKER_KEY, registry) if _normal(registry) == "docker.io" else (registry,)
    for name in names:
        found = _asked(f"docker-credential-{helper}", name, environment, runner)
        if found is not None:
            return found
    return None


def _asked(program: str, name: str, environment: Mapping[str, str], runner: Runner) -> Credentials | None:
    """Ask a helper, by the protocol of github.com/docker/docker-credential-helpers."""
    # It is the user's own keeper of secrets and needs the user's settings, as AWS_PROFILE, whole.
    completed = runner.run(
        [program, "get"], stdin=name.encode(), timeout=_HELPER_SECONDS, extra=environment, check=False
    )
    if completed.returncode:
        said = completed.stdout[:2000].decode("utf-8", "replace").strip()
        if said.startswith(_NOT_FOUND):
            return None
        # What it wrote on standard output may be a secret; what it wrote on standard error was meant to be read.
        raise HostError(
            f"the credential helper {program} failed for {name}",
            hint=f"try it: echo {name} | {program} get",
            details=completed.tail,
        )
    try:
        answer = json.loads(completed.stdout)
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"Username": str(user), "Secret": str(secret)} if secret:
            if user == _TOKEN_USER:
                return Credentials(username="", identity_token=secret)
            return Credentials(username=user, password=secret)
        case {"Username": "", "Secret": ""}:
            return None
        case _:
            raise HostError(f"the credential helper {program} answers for {name} with what is no account")
