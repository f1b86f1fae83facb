# SPDX-License-Identifier: Apache-2.0
"""What the end of a program in a working container says of whether its image can be started.

The words are those of buildah 1.28 with its own isolation (chroot) and with runc; they tell a program that could not
be executed, or was ended by a signal, from one that ended by itself.
"""

import re

import attrs

from stxbuildah.engine.process import Completed
from stxbuildah.model.value import Value

_NOT_STARTED = (
    re.compile(r"unable to start container process: (?P<reason>.*?)\"?$"),
    re.compile(r"process failed to start with error: (?P<reason>.*?)(?:process exited with error.*)?$"),
    re.compile(r"(?:creating|starting) container for .*?: (?P<reason>.*)$"),
    re.compile(r"(?:determining run uid|building system capabilities|resolving mountpoints?)\S*:? (?P<reason>.*)$"),
    re.compile(r"^(?P<reason>.*executable file .*not found.*)$"),
    # The runtime had begun already, and speaks with the program's voice.
    re.compile(r"^(?:\S+: )?(?P<reason>exec [^:]+: (?:no such file|exec format|permission denied).*)$", re.IGNORECASE),
)
_SIGNAL = re.compile(r"^(?:sub)?(?:process|container) exited on (?P<signal>.+?)\.?$")
_BROKEN = re.compile(
    r"^(?P<reason>.*(?:error while loading shared libraries|ModuleNotFoundError|ImportError|[Ee]xec format error"
    r"|version `\S+' not found|symbol not found|undefined symbol).*)$"
)
_ENGINES_OWN = re.compile(r"^(?:Error: |subprocess exited|process exited|container exited|time=\"|: exit status)")
_LONGEST_LINE = 1000
# buildah's own failure; a shell's "cannot execute" and "not found", the latter also ld.so's.
_ENGINE_FAILED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127


@attrs.frozen
class Start(Value):
    """What became of a program that was started.

    Attributes:
        good: its image can be started.
        sentence: what became of it.
    """

    good: bool
    sentence: str


def judge_start(completed: Completed, seconds: float) -> Start:
    """Judge a program by its end.

    One that ends with an error by itself has been started: without settings and network, many do.

    Args:
        completed: how ``buildah run`` ended.
        seconds: how long the program was watched; one that has been ended then was running.
    """
    # A program may write lines of any length.
    lines = [line[:_LONGEST_LINE] for line in completed.tail]
    if f"no end after {seconds:g} seconds" in lines[-1:]:
        return Start(good=True, sentence=f"still running after {seconds:g} seconds")
    if completed.returncode == 0:
        return Start(good=True, sentence="ended with exit status 0")
    for pattern in _NOT_STARTED:
        found = next((match for line in lines if (match := pattern.search(line))), None)
        if found:
            return Start(good=False, sentence=f"could not be started: {found['reason'].replace(chr(92), '')}")
    ended = next((match for line in lines if (match := _SIGNAL.match(line))), None)
    if ended:
        return Start(good=False, sentence=f"was ended by a signal: {ended['signal']}")
    broken = next((match for line in lines if (match := _BROKEN.match(line))), None)
    if broken:
        return Start(good=False, sentence=f"is broken: {broken['reason']}")
    said = next((line for line in reversed(lines) if line.strip() and not _ENGINES_OWN.match(line)), "")
    sentence = f"ended with exit status {completed.returncode}" + (f": {said.strip()}" if said else "")
    good = completed.returncode > 0 and completed.returncode not in {_ENGINE_FAILED, _NOT_EXECUTABLE, _NOT_FOUND}
    return Start(good=good, sentence=sentence)
