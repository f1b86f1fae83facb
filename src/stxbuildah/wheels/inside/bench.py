# SPDX-License-Identifier: Apache-2.0
"""The first process of a container that builds one wheel after the other, as ``backend.py`` does, and forgets each.

Each order comes as a message on a socket, and is carried out by a child of this process. When the child has ended,
everything that it started is killed. The kernel lets nobody in the container kill or trace this process, and it reads
nothing of what it hands on: its memory, which every child begins with, holds nothing of an earlier build.

    clear   make everything as it was before the first build
    build   with two descriptors: one for the output, one to read the build from, as JSON: ``environment``, ``folder``,
            ``memory`` (bytes of address space for each process, 0 for no limit), ``request`` (that of ``backend.py``)

The answer is the child's exit status in decimal digits. ``ready`` comes before the first order.
"""

import contextlib
import functools
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent
SOCKET = PROGRAMS / "orders"
# Folders of the host, whose content is that of one build.
EXCHANGED = ("/build/out", "/build/source")
_BACKEND = str(PROGRAMS / "backend.py")
_PRELOADED = "setuptools.build_meta"
_LONGEST_ORDER = 16
_DESCRIPTORS = 2
_STANDARD = 3
_PR_SET_DUMPABLE = 4


def preload() -> set[str]:
    """Import what ``backend.py`` does before a project comes in that setuptools builds; name all that is imported."""
    with contextlib.suppress(ImportError):
        for name in ("traceback", "importlib.metadata", _PRELOADED, "distutils.command.build_ext"):
            importlib.import_module(name)
    return set(sys.modules)


def serve(known: set[str]) -> None:
    """Carry out orders until nobody gives any; comes back in the process of a build that goes on here.

    Args:
        known: modules that such a build may find imported.
    """
    import socket

    # That one module of this package, put below this program's own folder.
    from stxbuildah.wheels.inside import clearing

    become_traceable(on=False)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(SOCKET))
    start = clearing.state(EXCHANGED)
    connection.send(b"ready")
    while True:
        order, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_ORDER, _DESCRIPTORS)
        if not order:
            os._exit(0)
        child = os.fork()
        if child == 0:
            connection.detach()
            if order == b"clear":
                clear(functools.partial(clearing.clear, start, EXCHANGED))
            begin(known, *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(b"%d" % end(child))


def become_traceable(*, on: bool) -> None:
    """Settle whether processes of the same user may look into this one (PR_SET_DUMPABLE, ptrace of man section 2)."""
    import ctypes
    import signal

    # Of signals from inside, only those that it handles reach the first process of a container.
    signal.signal(signal.SIGINT, signal.default_int_handler if on else signal.SIG_DFL)
    if ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, int(on), 0, 0, 0) != 0:
        sys.exit("PR_SET_DUMPABLE is refused")


def end(child: int) -> int:
    """Await the end of a child, end everything that it started, and give its exit status."""
    from signal import SIGKILL

    status = None
    while status is None:
        # Orphans become children of this process.
        process, raw = os.wait()
        if process == child:
            status = os.WEXITSTATUS(raw) if os.WIFEXITED(raw) else 128 + os.WTERMSIG(raw)
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return status


def clear(clear_all: Callable[[], None]) -> None:
    """Clear the container, and end this process."""
    status = 1
    try:
        clear_all()
        status = 0
    except Exception as error:  # noqa: BLE001 # whatever it is, nothing more is to be built here
        sys.stderr.write(f"{error!r}\n")
    finally:
        sys.stderr.flush()
        os._exit(status)


def begin(known: set[str], output: int, order: int) -> None:
    """Make this process the one of a build: come back with the request as argument, or become another program."""
    import resource

    os.setsid()
    with open(order, "rb", closefd=False) as stream:
        build = json.loads(stream.read())
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(descriptor, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 # that of the list itself is closed by now
        if int(name) >= _STANDARD:
            with contextlib.suppress(OSError):
                os.close(int(name))
    become_traceable(on=True)
    if build["memory"]:
        resource.setrlimit(resource.RLIMIT_AS, (build["memory"], build["memory"]))
    os.environ.update(build["environment"], PWD=build["folder"])
    os.chdir(build["folder"])
    request = build["request"]
    words = [_BACKEND, json.dumps(request)]
    if request["path"] or request["backend"].partition(":")[0] != _PRELOADED or _PRELOADED not in known:
        # Another back end is to find imported only what it imports itself.
        os.execvp("python3", ["python3", "-B", *words])  # noqa: S606, S607 # of the container
    for name in set(sys.modules) - known:
        # Nor is a module of the project to be hidden by what this program alone needs.
        del sys.modules[name]
    sys.argv = words


def become_backend() -> None:
    """Run ``backend.py`` as if Python had been started with it."""
    spec: Any = importlib.util.spec_from_file_location("__main__", _BACKEND)
    module = importlib.util.module_from_spec(spec)
    sys.modules["__main__"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    serve(preload())
    become_backend()
