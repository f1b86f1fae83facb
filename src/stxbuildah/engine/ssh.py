# SPDX-License-Identifier: Apache-2.0
"""Steps on another machine, by ssh. Host keys are always checked, and nothing is ever asked.

The connection that is made first is held, and the steps go through it (ControlMaster of ssh_config(5)); where that
cannot be, each makes its own. A step's command line is our own script, quoted, and words that hold no secret.
"""

import shlex
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import attrs

from stxbuildah.engine.process import PIPE, TAIL_LINES, Child, Runner, shut_down
from stxbuildah.engine.sshfaults import remote_error, ssh_error
from stxbuildah.errors import InputError
from stxbuildah.model.ship import SshDestination, SshOptions

_SSH_FAILED = 255
_READY = b"ready\n"
# Of what start files of an account say unasked.
_MOST_LINES = 100
# More than a machine with thousands of images says.
_LONGEST_ANSWER = 32 << 20
# sun_path of unix(7) has 108 bytes, and ssh makes the socket under a name that is 17 longer.
_LONGEST_SOCKET = 90
# Before the user's own: of several values ssh takes the first.
_FIRM = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "RemoteCommand=none", "RequestTTY=no", "ClearAllForwardings=yes",
    "ForwardAgent=no", "PermitLocalCommand=no", "EscapeChar=none", "LogLevel=ERROR", "ControlPersist=no",
)  # fmt: skip
_DEFAULTS = ("ConnectTimeout=30", "ServerAliveInterval=15", "ServerAliveCountMax=4")


@attrs.frozen(kw_only=True)
class RemoteShell:
    """A connection to another machine.

    Attributes:
        runner: runs ssh.
        destination: the other machine.
        options: how it is reached.
        socket: where steps find the connection that is held; None for none.
        script: program text for the other machine's sh; a step's words are its arguments.
    """

    runner: Runner
    destination: SshDestination
    options: SshOptions
    socket: Path | None
    script: str

    def step(self, what: str, words: Sequence[str], chunks: Iterable[bytes] = ()) -> str:
        """Run a step to its end.

        Args:
            what: the step as a message names it, as ``sending sha256:...``.
            words: the script's arguments.
            chunks: for its standard input.

        Returns:
            What it wrote on standard output.

        Raises:
            AuthenticationError: the host's key is not the known one, or the host lets us not in.
            RegistryError: the host cannot be reached, or the connection broke.
            DiskFullError: no space is left there.
            StxbError: the step failed.
        """
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        answer: list[bytes] = []
        process = self.runner.start(self._argv(words, "ControlMaster=no"), stdin=PIPE)
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 # opened as pipes
        threads = [
            threading.Thread(target=self.runner.drain, args=(process.stderr, tail), daemon=True),
            threading.Thread(target=_collect, args=(process.stdout, answer, process), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            _feed(process, process.stdin, chunks)
            status = process.wait()
        finally:
            shut_down(process)
            for thread in threads:
                thread.join()
        if status == _SSH_FAILED or status < 0:
            raise ssh_error(self.destination, tail)
        if status:
            raise remote_error(self.destination, what, status, tail)
        return b"".join(answer).decode("utf-8", "replace")

    def _argv(self, words: Sequence[str], *more: str) -> list[str]:
        options, there = self.options, self.destination
        given = list(_FIRM)
        if options.known_hosts is not None:
            given += [f"UserKnownHostsFile={_quoted(options.known_hosts)}", "GlobalKnownHostsFile=/dev/null"]
        if options.identity is not None:
            given += [f"IdentityFile={_quoted(options.identity)}", "IdentitiesOnly=yes"]
        given += [*more, f"ControlPath={_quoted(self.socket)}" if self.socket else "ControlPath=none"]
        return [
            "ssh", "-T",
            *(f"-o{option}" for option in (*given, *options.options, *_DEFAULTS)),
            *(("-p", str(there.port)) if there.port else ()),
            *(("-l", there.user) if there.user else ()),
            "--", there.host,
            shlex.join(["exec", "sh", "-c", self.script, "stxb-ship", *words]),
        ]  # fmt: skip

    @contextmanager
    def held(self, words: Sequence[str]) -> Iterator[None]:
        """Connect, and keep the connection for the time of the block.

        Args:
            words: arguments of the step that says ``ready`` and waits for the end of its input.

        Raises:
            StxbError: no connection can be made.
        """
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        process = self.runner.start(self._argv(words, "ControlMaster=yes"), stdin=PIPE)
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 # opened as pipes
        reader = threading.Thread(target=self.runner.drain, args=(process.stderr, tail), daemon=True)
        reader.start()
        try:
            with process.stdout as stdout:
                if not _said_ready(stdout):
                    # What it said comes with its end.
                    process.stdin.close()
                    status = process.wait()
                    reader.join()
                    if status in {0, _SSH_FAILED} or status < 0:
                        raise ssh_error(self.destination, tail)
                    raise remote_error(self.destination, "connecting", status, tail)
                yield
        finally:
            # With its input the step ends that holds the connection.
            with suppress(OSError):
                process.stdin.close()
            shut_down(process)
            reader.join()


@contextmanager
def connected(
    runner: Runner, destination: SshDestination, options: SshOptions, *, script: str, hold: Sequence[str]
) -> Iterator[RemoteShell]:
    """Connect to another machine for the time of the block.

    Args:
        runner: runs ssh.
        destination: the other machine.
        options: how it is reached.
        script: program text of the steps.
        hold: arguments of the step that says ``ready`` and waits for the end of its input.

    Raises:
        InputError: a file that an option names is not there.
        AuthenticationError: the host's key is not the known one, or the host lets us not in.
        RegistryError: the host cannot be reached.
        HostError: ssh is not installed.
    """
    for path, option in ((options.identity, "--identity"), (options.known_hosts, "--known-hosts")):
        if path is not None and not path.is_file():
            raise InputError(f"{option} {path}: there is no such file")
    for option in options.options:
        if not option.isprintable() or not option.partition("=")[2] or not option[:1].isalpha():
            raise InputError(f"--ssh-option {option!r} is not NAME=VALUE", hint="ssh_config(5) has the names")
    with _socket_folder() as socket:
        shell = RemoteShell(runner=runner, destination=destination, options=options, socket=socket, script=script)
        with shell.held(hold):
            yield shell


@contextmanager
def _socket_folder() -> Iterator[Path | None]:
    usual = tempfile.gettempdir()
    folder = next((name for name in (usual, "/tmp") if len(name) < _LONGEST_SOCKET - 20), None)  # noqa: S108 # mkdtemp
    if folder is None:
        yield None
        return
    made = Path(tempfile.mkdtemp(prefix="stxb-ssh-", dir=folder))
    try:
        yield made / "s"
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _said_ready(stdout: IO[bytes]) -> bool:
    """Wait for the word; the account's start files may say something before."""
    return any(stdout.readline(1 << 12) == _READY for _ in range(_MOST_LINES))


def _quoted(path: Path) -> str:
    """Write a path as ssh_config(5) wants it: in quotes, with the mark of its tokens doubled."""
    text = str(path.absolute())
    if '"' in text or "\n" in text:
        raise InputError(f"ssh takes no file of the name {text!r}")
    return '"' + text.replace("%", "%%") + '"'


def _feed(process: Child, stdin: IO[bytes], chunks: Iterable[bytes]) -> None:
    try:
        # It may have ended; its last words tell why.
        with suppress(BrokenPipeError):
            for chunk in chunks:
                stdin.write(chunk)
    except BaseException:
        process.kill()
        raise
    finally:
        with suppress(BrokenPipeError):
            stdin.close()


def _collect(source: IO[bytes], answer: list[bytes], process: Child) -> None:
    size = 0
    with source:
        while chunk := source.read(1 << 16):
            size += len(chunk)
            if size > _LONGEST_ANSWER:
                process.kill()
                return
            answer.append(chunk)
