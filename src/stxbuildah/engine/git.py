# SPDX-License-Identifier: Apache-2.0
"""Source repositories, fetched from servers and folders that nobody vouches for.

git gets an allow-list of transports, no configuration but what is said here, no hooks and nobody to ask. A whole
clone is made, not a shallow one: pbr and setuptools-scm count commits back to a tag to know a version.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from stxbuildah.engine.process import Completed, ProcessError, Runner
from stxbuildah.errors import (
    AuthenticationError,
    BuildError,
    DiskFullError,
    HostError,
    InputError,
    RegistryError,
    StxbError,
)
from stxbuildah.model.settings import Proxies

# A submodule of a repository on a server must not name a folder of this machine.
_REMOTE_TRANSPORTS = ("http", "https", "ssh")
_HASH = re.compile(r"[0-9a-f]{7,64}")
_FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

# A server that sends less than a kilobyte a second for a minute is taken for dead.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "advice.detachedHead=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
)

_FAULTS: tuple[tuple[str, type[StxbError], str, str], ...] = (
    (r"no space left on device|disk quota exceeded", DiskFullError, "no space is left on the disk", "make room"),
    (
        r"\bssh: (?:command )?not found|cannot run ssh",
        HostError,
        "the program ssh is not installed",
        "install OpenSSH's client (Debian's openssh-client), or give the repository's https URL",
    ),
    (
        (
            r"authentication failed|could not read (?:username|password)|permission denied \(|terminal prompts disabled"
            r"|returned error: 40[13]|host key verification failed"
        ),
        AuthenticationError,
        "the server refuses the credentials it was given, or asks for some",
        (
            "for ssh:// load the key into ssh-agent and put the host into known_hosts; for https:// a private "
            "repository needs user and token in the URL"
        ),
    ),
    (
        (
            r"could not resolve host|couldn't connect|failed to connect|connection (?:refused|timed out|reset)"
            r"|could not connect|operation timed out|network is unreachable|no route to host|no end after"
            r"|ssl|certificate|gnutls|early eof|hung up unexpectedly|operation too slow|returned error: (?:429|5\d\d)"
            r"|could not resolve (?:hostname|proxy)"
        ),
        RegistryError,
        "the server cannot be reached",
        "check the host's name, the network, proxies and certificates; try again later",
    ),
    (r"dubious ownership|unsafe repository", InputError, "it belongs to another account", "clone it as this account"),
    (
        r"transport '\w+' not allowed|protocol '\w+' is not supported|remote helper",
        InputError,
        "it, or a submodule of it, uses a transport that is not allowed",
        "allowed are file (when asked for), http, https and ssh",
    ),
    (
        (
            r"repository .*not found|does not appear to be a git repository|does not exist|no such file"
            r"|not a git repository|returned error: 404|not valid: is this a git repository"
        ),
        InputError,
        "there is no such repository",
        "check the URL",
    ),
)


@attrs.frozen(kw_only=True)
class Git:
    """The git program, as far as sources of modules need it.

    Attributes:
        runner: runs it.
        proxies: for http and https.
        ca_bundle: certificates to trust instead of the system's; None for the system's.
        timeout: seconds that one command may take.
    """

    runner: Runner
    proxies: Proxies = attrs.field(factory=Proxies)
    ca_bundle: Path | None = None
    timeout: float = 1800.0

    def checkout(self, url: str, ref: str, target: Path, *, submodules: bool = True) -> str:
        """Clone a repository and check a ref out.

        Args:
            url: ``file://``, ``http://``, ``https://`` or ``ssh://``, or ``user@host:path``, as
                ``directive.modulesource`` lets through.
            ref: a branch, else a tag, else a full reference (``refs/changes/...``), else a commit; empty for the
                repository's HEAD. A branch goes before a tag of the same name, as in ``git clone --branch``.
            target: folder to make; it must not be there yet.
            submodules: fetch submodules too, by the same rules.

        Returns:
            The commit's hash.

        Raises:
            InputError: there is no such repository or ref, or a transport is not allowed.
            RegistryError: the server cannot be reached.
            AuthenticationError: the server wants credentials.
            DiskFullError: no space is left.
        """
        transports = (*_REMOTE_TRANSPORTS, "file") if url.startswith("file:") else _REMOTE_TRANSPORTS
        try:
            self._run(
                ["clone", "--quiet", "--no-checkout", "--template=", "--origin", "origin", "--", url, str(target)],
                transports,
            )
            commit = self._commit(url, ref, target, transports)
            self._run(["checkout", "--quiet", "--detach", "--force", commit], transports, target)
            if submodules and (target / ".gitmodules").is_file():
                self._run(["submodule", "--quiet", "update", "--init", "--recursive"], transports, target)
        except ProcessError as error:
            shutil.rmtree(target, ignore_errors=True)
            raise explain(error, url) from error
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        return commit

    def commit_of(self, url: str, ref: str) -> str:
        """Give the commit that a ref of a server's repository names now, without cloning it.

        Args:
            url: as for ``checkout``.
            ref: as for ``checkout``; of a commit, the whole hash.

        Returns:
            The commit's hash; that of an abbreviated one is not known without a clone, and it is given as it is.

        Raises:
            StxbError: as ``checkout``.
        """
        if _FULL_HASH.fullmatch(ref):
            return ref
        transports = (*_REMOTE_TRANSPORTS, "file") if url.startswith("file:") else _REMOTE_TRANSPORTS
        try:
            # All of them: a pattern would match the last parts of other names, too.
            listed = self._run(["ls-remote", "--quiet", "--", url], transports).stdout
        except ProcessError as error:
            raise explain(error, url) from error
        lines = (line.partition("\t") for line in listed.decode("utf-8", "replace").splitlines())
        found = {name: commit for commit, _, name in lines if _FULL_HASH.fullmatch(commit)}
        # A tag with a message is an object of its own; what it stands for is listed as NAME^{}.
        names = (
            [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"{ref}^{{}}", ref] if ref else ["HEAD"]
        )
        for name in names:
            if name in found:
                return found[name]
        if _HASH.fullmatch(ref):
            return ref
        raise InputError(
            f"the git repository {without_secret(url)}: it has no branch or tag {ref!r}",
            hint=f"git ls-remote {without_secret(url)} lists what it has",
        )

    def apply(self, folder: Path, patch: Path) -> None:
        """Commit a patch on top of what is checked out, as ``git am`` does.

        Args:
            folder: the checkout.
            patch: a file as of ``git format-patch``.

        Raises:
            BuildError: it does not apply; the checkout is as it was before.
        """
        who = ["-c", "user.name=stxb", "-c", "user.email=stxb@localhost", "-c", "commit.gpgSign=false"]
        options = ["--quiet", "--committer-date-is-author-date"]
        try:
            self._run([*who, "am", *options, "--", str(patch.absolute())], (), folder)
        except ProcessError as error:
            self._run(["am", "--abort"], (), folder, check=False)
            raise BuildError(
                f"the patch {patch} does not apply",
                hint="make it anew against the commit that is checked out, with git format-patch",
                details=error.completed.tail,
            ) from error

    def work_tree(self, folder: Path) -> Path | None:
        """Give the top of the git work tree that a folder is in, or None when it is in none."""
        completed = self._run(["rev-parse", "--show-toplevel"], ("file",), folder, check=False)
        text = completed.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
        return Path(text) if completed.returncode == 0 and text else None

    def commit_time(self, folder: Path) -> int:
        """Give the time of the commit that is checked out, in seconds since the epoch."""
        shown = self._run(["log", "-1", "--no-show-signature", "--format=%ct"], (), folder)
        return int(shown.stdout)

    def _commit(self, url: str, ref: str, target: Path, transports: Sequence[str]) -> str:
        if not ref:
            return self._known(url, target, ("HEAD",), transports, "its HEAD names no commit: it is empty")
        names = [f"refs/remotes/origin/{ref}", f"refs/tags/{ref}"]
        if ref.startswith("refs/heads/"):
            names.insert(0, f"refs/remotes/origin/{ref.removeprefix('refs/heads/')}")
        elif ref.startswith("refs/tags/"):
            names.insert(0, ref)
        elif ref.startswith("refs/") or _FULL_HASH.fullmatch(ref):
            # Such are fetched only when they are asked for: changes under review, commits on no branch.
            fetched = self._run(
                ["fetch", "--quiet", "origin", f"+{ref}:refs/stxb/asked"], transports, target, check=False
            )
            names += ["refs/stxb/asked"] if fetched.returncode == 0 else []
        if _HASH.fullmatch(ref):
            names.append(ref)
        return self._known(url, target, names, transports, f"it has no branch, tag or commit {ref!r}")

    def _known(self, url: str, target: Path, names: Sequence[str], transports: Sequence[str], otherwise: str) -> str:
        for name in names:
            found = self._run(
                ["rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"],
                transports,
                target,
                check=False,
            )
            if found.returncode == 0:
                return found.stdout.decode("ascii").strip()
        raise InputError(
            f"the git repository {without_secret(url)}: {otherwise}",
            hint=f"git ls-remote {without_secret(url)} lists what it has",
        )

    def _run(
        self, arguments: Sequence[str], transports: Sequence[str], folder: Path | None = None, *, check: bool = True
    ) -> Completed:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        return self.runner.run(
            ["git", *settings, *arguments],
            cwd=folder,
            extra=self._environment(transports),
            timeout=self.timeout,
            check=check,
        )

    def _environment(self, transports: Sequence[str]) -> dict[str, str]:
        environment = {
            "GIT_ALLOW_PROTOCOL": ":".join(transports),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            # Never a question about a host's key or a password: the agent's keys or none.
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=30",
            "GIT_SSH_VARIANT": "ssh",
            # The errors are read.
            "LC_ALL": "C",
        }
        if self.ca_bundle is not None:
            environment["GIT_SSL_CAINFO"] = str(self.ca_bundle)
        return environment | self.proxies.variables


def without_secret(url: str) -> str:
    """Give a repository's URL without user and password; the user of an ssh URL stays."""
    if not url.lower().startswith(("http://", "https://")):
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def secrets_of(url: str) -> tuple[str, ...]:
    """Give what must not be shown of a repository's URL: the part before ``@`` of an http(s) URL."""
    shown = without_secret(url)
    return () if shown == url else (urlsplit(url).netloc.rpartition("@")[0],)


def explain(error: ProcessError, url: str) -> StxbError:
    """Give the error for a git command that failed, by the first thing it complained of."""
    text = "\n".join(error.completed.tail)
    where = f"the git repository {without_secret(url)}"
    details = [line.replace(url, without_secret(url)) for line in error.completed.tail]
    for pattern, kind, sentence, hint in _FAULTS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(f"{where}: {sentence}", hint=hint, details=details)
    return BuildError(f"{where} cannot be cloned: {error.message}", details=details)
