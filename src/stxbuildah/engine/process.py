# SPDX-License-Identifier: Apache-2.0
"""The only door to other programs.

An argv is a list and never a shell string. A child sees an allow-list of the environment, never all of it, and no
standard input unless it is given one. What it writes on standard error is passed on line by line and its end kept
for the error.
"""

import os
import pwd
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

import attrs

from stxbuildah.errors import HostError, StxbError
from stxbuildah.model.value import Value

if TYPE_CHECKING:
    from stxbuildah.engine.children import Children

TAIL_LINES = 30

# For callers of Runner.start, who do not import subprocess themselves.
PIPE = subprocess.PIPE
Child = subprocess.Popen[bytes]

# What a child may see of our environment: where things are, how the user set the container programs up, how
# certificates and proxies are found. Everything else, tokens above all, stays here.
ALLOWED_VARIABLES = frozenset(
    {
        "HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ", "TMPDIR",
        "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME",
        "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
        "CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF",
        "STORAGE_DRIVER", "STORAGE_OPTS", "REGISTRY_AUTH_FILE", "BUILDAH_ISOLATION", "BUILDAH_RUNTIME",
        "BUILD_REGISTRY_SOURCES", "GOGC", "GOMEMLIMIT",
        "http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY",
    }
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Completed(Value):
    """A program that has ended.

    Attributes:
        argv: what was run.
        returncode: exit status; negative for the signal that ended it.
        stdout: everything it wrote on standard output.
        tail: the last lines it wrote on standard error (and on standard output when that was streamed).
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    tail: tuple[str, ...]


class ProcessError(StxbError):
    """A program ended with an error; callers turn it into an error of their own where they know more."""

    def __init__(self, completed: Completed, shown: str) -> None:
        self.completed = completed
        super().__init__(
            describe_exit(completed.argv[0], completed.returncode),
            details=completed.tail,
            hint=f"the command was: {shown}",
        )


def describe_exit(program: str, returncode: int) -> str:
    """Give the sentence for a program's end by signal or exit status."""
    name = Path(program).name
    if returncode < 0:
        try:
            named = signal.Signals(-returncode).name
        except ValueError:
            named = f"signal {-returncode}"
        return f"{name} was ended by {named}"
    return f"{name} ended with exit status {returncode}"


def parent_environment() -> Mapping[str, str]:
    """Give the environment that this program was started with, for reading."""
    return MappingProxyType(dict(os.environ))


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment for a child: the allowed part of ours, then ``extra``."""
    environment = {name: value for name, value in os.environ.items() if name in ALLOWED_VARIABLES}
    with suppress(KeyError):
        # podman looks its subordinate ids up by USER, which su and CI runners often leave at another account's name.
        environment["USER"] = environment["LOGNAME"] = pwd.getpwuid(os.getuid()).pw_name
    environment.update(extra or {})
    return environment


def show(argv: Sequence[str], secrets: Sequence[str] = ()) -> str:
    """Give an argv as a line to read and paste, with secrets hidden."""
    return redact(shlex.join(argv), secrets)


def redact(text: str, secrets: Sequence[str]) -> str:
    """Replace every secret in a text by asterisks."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "********")
    return text


@attrs.frozen(kw_only=True)
class Entrance(Value):
    """The way into a user namespace that is there.

    Attributes:
        programs: which programs take it.
        words: what stands before such a program's argv.
        variables: what its environment has besides.
    """

    programs: frozenset[str]
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class Runner(Value):
    """Runs programs in one environment.

    Attributes:
        extra: variables given to every child on top of the allow-list, as pairs.
        on_line: called with each line a child writes on standard error, as it comes; from another thread.
        secrets: strings that never appear in a line shown or an error raised.
        options: words put behind a program's name whenever it is run, by that name.
        entrance: the user namespace that programs are run in; None to leave that to them.
        children: ends all programs together when the run is ended; None for programs that end with their callers.
        tidying: its programs clean up: the end of the others does not concern them.
    """

    extra: tuple[tuple[str, str], ...] = ()
    on_line: Callable[[str], None] | None = attrs.field(default=None, eq=False)
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    entrance: Entrance | None = None
    children: "Children | None" = attrs.field(default=None, eq=False)
    tidying: bool = False

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        stdin: bytes | None = None,
        timeout: float | None = None,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = True,
        stream_stdout: bool = False,
    ) -> Completed:
        """Run a program to its end.

        Args:
            argv: program and arguments.
            stdin: bytes for its standard input; closed when None.
            timeout: seconds after which it is terminated, then killed.
            extra: further variables for this child.
            cwd: folder to run in.
            check: raise when the exit status is not 0.
            stream_stdout: treat standard output as progress, like standard error, instead of keeping it.

        Raises:
            HostError: the program is not there or cannot be run.
            ProcessError: it ended with another status than 0, or by a signal, or took too long.
            InterruptedByUserError: all programs of the run were ended.
        """
        words = [os.fspath(word) for word in argv]
        process = self.start(
            words,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            extra=extra,
            cwd=cwd,
            merge=stream_stdout,
        )
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        chunks: list[bytes] = []
        lines = process.stdout if stream_stdout else process.stderr
        threads = [threading.Thread(target=self.drain, args=(lines, tail), daemon=True)]
        if not stream_stdout:
            threads.append(threading.Thread(target=_collect, args=(process.stdout, chunks), daemon=True))
        for thread in threads:
            thread.start()
        in_time = _ends_in_time(process, stdin, timeout)
        if self.children is not None and (self._interrupted or not in_time):
            # What it has started itself and left would hold its output open.
            signal_group(process, signal.SIGKILL)
        for thread in threads:
            thread.join()
        if self.children is not None and self._interrupted:
            self.children.check()
        if not in_time:
            tail.append(f"no end after {timeout:g} seconds")
        completed = Completed(
            argv=tuple(words), returncode=process.returncode, stdout=b"".join(chunks), tail=tuple(tail)
        )
        if check and completed.returncode != 0:
            raise ProcessError(completed, show(words, self.secrets))
        return completed

    def start(
        self,
        argv: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        merge: bool = False,
        apart: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a program that the caller talks to and ends with ``shut_down``.

        Args:
            argv: program and arguments.
            stdin: its standard input, as for ``subprocess.Popen``.
            extra: further variables for this child.
            cwd: folder to run in.
            merge: put standard error into standard output.
            apart: in a process group of its own, so that an interrupt from the terminal does not reach it: it is
                still needed to clean up.

        Raises:
            HostError: the program is not there or cannot be run.
            InterruptedByUserError: all programs of the run were ended.
        """
        variables = {**dict(self.extra), **(extra or {})}
        words = [argv[0], *dict(self.options).get(argv[0], ()), *argv[1:]]
        if self.entrance is not None and argv[0] in self.entrance.programs:
            words[:0] = self.entrance.words
            variables |= dict(self.entrance.variables)
        environment = child_environment(variables)

        def begin() -> Child:
            return subprocess.Popen(
                words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge else subprocess.PIPE,
                env=environment,
                cwd=cwd,
                process_group=0 if apart or self.children is not None else None,
            )

        try:
            return begin() if self.children is None or self.tidying or apart else self.children.start(begin)
        except FileNotFoundError as error:
            raise HostError(
                f"the program {argv[0]} is not installed, or is not on PATH ({environment.get('PATH', '')})",
                hint=_how_to_install(Path(argv[0]).name),
            ) from error
        except PermissionError as error:
            raise HostError(f"the program {argv[0]} may not be run by this account: {error.strerror}") from error

    @property
    def _interrupted(self) -> bool:
        return self.children is not None and self.children.ended and not self.tidying

    def drain(self, source: IO[bytes], tail: deque[str]) -> None:
        """Read a child's output to its end, and close it: lines go to ``on_line``, and the last ones are kept.

        Args:
            source: the pipe, as ``start`` opened it.
            tail: takes the lines.
        """
        with source:
            for raw in source:
                line = redact(raw.decode("utf-8", "replace").rstrip("\r\n"), self.secrets)
                tail.append(line)
                if self.on_line is not None:
                    self.on_line(line)


def _how_to_install(program: str) -> str:
    import platform

    from stxbuildah.engine.remedy import install_command

    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    command = install_command([system.get("ID", ""), *system.get("ID_LIKE", "").split()], program)
    install = f"install it by `{command}`; " if command else ""
    return f"{install}stxb doctor tells all that is needed"


def _ends_in_time(process: subprocess.Popen[bytes], stdin: bytes | None, timeout: float | None) -> bool:
    """Feed a child and wait for its end; it has ended in any case, also when waiting is interrupted."""
    try:
        if stdin is not None:
            _feed(process, stdin)
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        shut_down(process)
        return False
    except BaseException:
        shut_down(process)
        raise
    return True


def shut_down(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """End a child: terminate it, and kill it when it does not go within ``grace`` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait at most so long for a child's end, and tell whether it has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to what is left of the process group that a child leads or has led."""
    # Nothing is left, or nothing of ours.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _collect(source: IO[bytes] | None, chunks: list[bytes]) -> None:
    assert source is not None  # noqa: S101 # opened as a pipe by start()
    with source:
        chunks.append(source.read())


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 # opened as a pipe by run()
    # A child that ends before it has read everything tells why by its exit status.
    with suppress(BrokenPipeError):
        process.stdin.write(data)
    with suppress(BrokenPipeError):
        process.stdin.close()
