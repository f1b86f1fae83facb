# SPDX-License-Identifier: Apache-2.0
"""The commands that a wheel's entry points ask for.

Source: "Entry points specification" of the PyPA. The texts of the scripts are those of ``installer``; it is imported
for wheels that have a script only, since it costs about a sixth of the time that an update of a small wheel takes.
"""

import re
import shlex
from collections.abc import Callable

from stxbuildah.model.wheel import EntryPoint

_MAXIMUM_SHEBANG = 127
_SECTIONS = ("console_scripts", "gui_scripts")
# ``module:attribute``, with extras that old wheels have behind it and nothing reads any more.
_VALUE = re.compile(r"(?P<module>\w+(?:\.\w+)*)\s*:\s*(?P<attribute>\w+(?:\.\w+)*)\s*(?:\[.*\])?")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\]")


def read_entry_points(content: bytes, report: Callable[[str], None]) -> tuple[EntryPoint, ...]:
    """Read the console and GUI scripts of an ``entry_points.txt``.

    Args:
        content: the file.
        report: is called with each mistake, as a sentence.
    """
    # Imported for the wheels that have entry points.
    from configparser import ConfigParser, Error

    class CaseKeeping(ConfigParser):
        """The file format of entry points: names keep their case, ``%`` means nothing."""

        def optionxform(self, optionstr: str) -> str:
            return optionstr

    parser = CaseKeeping(delimiters=("=",), interpolation=None)
    try:
        parser.read_string(content.decode("utf-8"))
    except (Error, UnicodeDecodeError) as error:
        report(f"entry_points.txt cannot be read: {error}")
        return ()
    found: list[EntryPoint] = []
    for section in _SECTIONS:
        for name, value in parser.items(section) if parser.has_section(section) else ():
            match = _VALUE.fullmatch(value.strip())
            if _FORBIDDEN.search(name) or name in {".", ".."} or name.startswith(".wh."):
                report(f"entry_points.txt names a script {name!r}, which is no plain file name")
            elif match is None:
                report(f"entry_points.txt has {value!r} for the script {name}, where module:function is needed")
            else:
                found.append(EntryPoint(name=name, module=match["module"], attribute=match["attribute"]))
    return tuple(found)


def entry_point_script(entry_point: EntryPoint, interpreter: str) -> bytes:
    """Give the text of an entry point's script, as pip writes it.

    Args:
        entry_point: the command.
        interpreter: absolute path of the environment's Python.
    """
    from installer.scripts import Script

    script = Script(entry_point.name, entry_point.module, entry_point.attribute, "console")
    return script.generate(interpreter, "posix")[1]


def with_interpreter(script: bytes, interpreter: str) -> bytes:
    """Give a wheel's script with its ``#!python`` line made that of an interpreter; any other as it is.

    Source: "Binary distribution format", "Recommended installer features". The whole line is replaced, as pip does it.

    Args:
        script: the file.
        interpreter: absolute path of the environment's Python.
    """
    if not script.startswith(b"#!python"):
        return script
    return shebang(interpreter) + b"\n" + script.partition(b"\n")[2]


def shebang(interpreter: str) -> bytes:
    """Give a script's first line, without its end, for an interpreter.

    Linux reads 127 bytes of it and takes the first blank for the end of the path, so a longer path, or one with a
    blank, gets what pip and distlib write: lines that are a shell's ``exec`` and a Python string at once.
    """
    path = interpreter.encode("utf-8", "surrogateescape")
    if len(path) + len(b"#!\n") <= _MAXIMUM_SHEBANG and b" " not in path:
        return b"#!" + path
    quoted = shlex.quote(interpreter).encode("utf-8", "surrogateescape")
    return b"#!/bin/sh\n'''exec' " + quoted + b" \"$0\" \"$@\"\n' '''"
