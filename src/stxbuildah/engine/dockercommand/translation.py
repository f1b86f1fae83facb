# SPDX-License-Identifier: Apache-2.0
"""Words of a ``docker`` command, translated into those of buildah and podman."""

from pathlib import Path
from typing import NamedTuple

from stxbuildah.engine.dockercommand.settings import Settings, is_loopback, qualified, registry_of

# podman understands these as docker does.
_SAME = frozenset(
    {
        "attach", "commit", "cp", "create", "diff", "events", "exec", "export", "history", "import", "info", "inspect",
        "kill", "load", "login", "logout", "logs", "network", "pause", "port", "ps", "rename", "restart", "rm", "start",
        "stats", "stop", "tag", "top", "unpause", "version", "volume", "wait",
    }
)  # fmt: skip
_GROUPS = {
    ("image", "build"): "build", ("image", "ls"): "images", ("image", "list"): "images", ("image", "tag"): "tag",
    ("image", "push"): "push", ("image", "pull"): "pull", ("image", "save"): "save", ("image", "load"): "load",
    ("image", "history"): "history", ("image", "import"): "import", ("container", "ls"): "ps",
    ("container", "list"): "ps", ("container", "run"): "run", ("buildx", "build"): "build",
    ("builder", "build"): "build",
}  # fmt: skip
_PRUNED = frozenset({"image", "system", "builder", "buildx", "container"})
_GLOBAL_WITH_VALUE = frozenset(
    {"-H", "--host", "--config", "-c", "--context", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"}
)
_GLOBAL = frozenset({"-D", "--debug", "--tls", "--tlsverify"})
# Of docker's options for building those that mean nothing here, and those among them that have a value.
_LEFT_OUT = frozenset({"--load", "--compress", "--disable-content-trust", "--rm", "--force-rm"})
_LEFT_OUT_WITH_VALUE = frozenset(
    {"--progress", "--cache-from", "--cache-to", "--builder", "--metadata-file", "--provenance", "--sbom", "--attest",
     "--isolation", "--no-cache-filter"}
)  # fmt: skip
_WITH_VALUE = frozenset(
    {
        "-t", "--tag", "-f", "--file", "--build-arg", "--label", "--target", "--platform", "--add-host", "--iidfile",
        "--secret", "--ssh", "--ulimit", "-m", "--memory", "--memory-swap", "--shm-size", "--security-opt", "-o",
        "--output", "--build-context", "--cgroup-parent", "-c", "--cpu-shares", "--cpu-period", "--cpu-quota",
        "--cpuset-cpus", "--cpuset-mems", "--annotation",
    }
)  # fmt: skip
_OWN_NETWORK = frozenset({"bridge", "default"})
_NOTHING = "nothing"


class Command(NamedTuple):
    """A program to run.

    Attributes:
        argv: program and arguments; empty when there is nothing to do.
        as_docker_names: it writes names of images, which docker writes otherwise.
    """

    argv: list[str]
    as_docker_names: bool = False


class Refusal(NamedTuple):
    """What cannot be done.

    Attributes:
        sentence: why.
        status: exit status.
    """

    sentence: str
    status: int = 125


def without_global_options(words: list[str]) -> list[str]:
    """Leave out what stands before the command and says which daemon to speak to."""
    rest = list(words)
    while rest and (
        rest[0] in _GLOBAL_WITH_VALUE or rest[0] in _GLOBAL or rest[0].startswith(("--host=", "--config="))
    ):
        del rest[: 2 if rest[0] in _GLOBAL_WITH_VALUE else 1]
    return rest


def translate(settings: Settings, words: list[str]) -> Command | Refusal:
    """Give the program that does what a docker command asks for.

    Args:
        settings: how programs are run.
        words: the command without ``docker`` and its global options.
    """
    name, rest = _plain_command(words)
    rest = [_mapped(settings, word) for word in rest]
    if name in _TRANSLATED:
        return _TRANSLATED[name](settings, rest)
    if name in _SAME:
        return Command(["podman", *settings.podman, name, *rest])
    if name == _NOTHING:
        return Command([])
    return Refusal(
        f"{name!r} is not among what scripts can ask for here (build, tag, images, rmi, inspect, run, push, pull, "
        "save, load and others); this docker is a part of stxb and has no daemon"
    )


def _plain_command(words: list[str]) -> tuple[str, list[str]]:
    """Give the command's name without its group, and its arguments."""
    name, rest = (words[0], words[1:]) if words else ("", [])
    inner = rest[0] if rest else ""
    if (name, inner) in _GROUPS:
        return _GROUPS[name, inner], rest[1:]
    if (name, inner) == ("image", "inspect"):
        return "inspect", ["--type", "image", *rest[1:]]
    if name in _PRUNED and inner == "prune":
        # Other builds may be using what looks unused.
        return _NOTHING, []
    return (inner, rest[1:]) if name == "container" else (name, rest)


def _mapped(settings: Settings, word: str) -> str:
    """Put the temporary name in place of the image's, also where it is one word with its option."""
    for option in ("--tag=", "-t"):
        if word.startswith(option) and len(word) > len(option):
            return option + settings.mapped(word.removeprefix(option))
    return settings.mapped(word)


def _build(settings: Settings, words: list[str]) -> Command:
    kept, context, network, has_file, pulls = _sorted_options(words)
    argv = ["buildah", *settings.buildah, "build", "--isolation", settings.isolation]
    if settings.runtime and settings.isolation != "chroot":
        argv += ["--runtime", settings.runtime]
    argv += ["--network", network if network and network not in _OWN_NETWORK else settings.network]
    argv += [f"--pull={str(pulls).lower()}", "--force-rm", f"--layers={str(settings.cache).lower()}"]
    argv += ["--timestamp", str(settings.timestamp), "--format", settings.format, *settings.mark, *kept]
    if context == "-":
        return Command([*argv, "--file", "-", settings.empty])
    if not has_file and context and Path(context, "Dockerfile").is_file():
        # buildah prefers a Containerfile, of which docker knows nothing.
        argv += ["--file", str(Path(context, "Dockerfile"))]
    return Command([*argv, *([context] if context else [])])


def _sorted_options(words: list[str]) -> tuple[list[str], str, str, bool, bool]:
    """Give the options for buildah, the context, the network, and whether a file is named and images are pulled."""
    kept: list[str] = []
    context = network = ""
    has_file = pulls = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in {"--network", "--net"}:
            network = value if equals else rest.pop(0) if rest else ""
        elif name == "--pull":
            pulls = value != "false"
        elif name in _LEFT_OUT or (name in _LEFT_OUT_WITH_VALUE and equals):
            continue
        elif name in _LEFT_OUT_WITH_VALUE:
            del rest[:1]
        elif word == "-" or not word.startswith("-"):
            context = word
        else:
            has_file = has_file or name in {"-f", "--file"} or (word.startswith("-f") and not word.startswith("--"))
            kept.append(word)
            if name in _WITH_VALUE and not equals and rest:
                kept.append(rest.pop(0))
    return kept, context, network, has_file, pulls


def _run(settings: Settings, words: list[str]) -> Command:
    Path(settings.containers_file).touch()
    named = any(word.partition("=")[0] in {"--network", "--net"} for word in words)
    network = [] if named or settings.network == "private" else ["--network", settings.network]
    return Command(["podman", *settings.podman, "run", "--label", settings.label, *network, *words])


def _images(settings: Settings, words: list[str]) -> Command:
    return Command(["podman", *settings.podman, "images", *words], as_docker_names=True)


def _save(settings: Settings, words: list[str]) -> Command:
    several = len(_positionals(words, {"-o", "--output", "--format"})) > 1
    return Command(["podman", *settings.podman, "save", *(["--multi-image-archive"] if several else []), *words])


def _version(settings: Settings, words: list[str]) -> Command:
    del words
    return Command(["podman", *settings.podman, "--version"])


def _push(settings: Settings, words: list[str]) -> Command:
    return _transfer(settings, "push", words)


def _pull(settings: Settings, words: list[str]) -> Command:
    return _transfer(settings, "pull", words)


def _transfer(settings: Settings, name: str, words: list[str]) -> Command:
    """Name the registry that docker would take."""
    flags = [word for word in words if word.startswith("-")]
    images = [word for word in words if not word.startswith("-")]
    argv = ["podman", *settings.podman, name, *(flag for flag in flags if flag != "--disable-content-trust")]
    targets = [settings.given if image == settings.temporary else image for image in images]
    if any(is_loopback(registry_of(target)) for target in targets):
        argv.append("--tls-verify=false")
    if name == "pull":
        return Command([*argv, *map(qualified, targets)])
    return Command([*argv, *images, *(f"docker://{qualified(target)}" for target in targets[:1])])


def _positionals(words: list[str], with_value: set[str]) -> list[str]:
    found = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in with_value:
            del rest[:1]
        elif not word.startswith("-"):
            found.append(word)
    return found


_TRANSLATED = {
    "build": _build, "run": _run, "images": _images, "push": _push, "pull": _pull, "save": _save,
    "--version": _version, "-v": _version,
}  # fmt: skip
