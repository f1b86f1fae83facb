# SPDX-License-Identifier: Apache-2.0
"""Builds that look for traces of other builds, and one that leaves all that it can, as back ends of projects."""

# What a process can see of the container it is in, as lines that are the same in two builds when nothing was left.
_LOOK = """\
import ctypes, mmap, os, resource, stat
from pathlib import Path

def look():
    told = []
    for folder in ("/tmp", "/run", "/var/tmp", "/dev", "/sys/fs/cgroup", "/build"):
        for top, folders, files in os.walk(folder):
            # Setuptools builds in a folder of a name of its own.
            folders[:] = sorted(name for name in folders if not name.startswith(".tmp-"))
            for name in [".", *sorted(files)]:
                path = os.path.normpath(os.path.join(top, name))
                seen = os.lstat(path)
                names = os.listxattr(path) if stat.S_ISDIR(seen.st_mode) else []
                told.append(f"file {path} {seen.st_mode:o} {seen.st_uid} {names}")
            if folder.startswith("/sys"):
                break
    for kind in ("msg", "sem", "shm"):
        told += [f"{kind} {line}" for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]]
    for kind in ("unix", "tcp", "udp"):
        told += [f"{kind} {line}" for line in Path("/proc/net", kind).read_text().splitlines()[1:]]
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1, os.getpid()}
    told += [f"process {Path('/proc', str(number), 'cmdline').read_bytes()}" for number in sorted(others)]
    told += [f"variable {name}={value}" for name, value in sorted(os.environ.items())]
    told += [f"limit {name} {resource.getrlimit(getattr(resource, name))}" for name in sorted(dir(resource))
             if name.startswith("RLIMIT_")]
    told.append(f"priority {os.getpriority(os.PRIO_PROCESS, 0)} {sorted(os.sched_getaffinity(0))}")
    told.append("score " + Path("/proc/self/oom_score_adj").read_text())
    listed = sorted(os.listdir("/proc/self/fd"))
    told += [f"open {name}" for name in listed if os.path.lexists(f"/proc/self/fd/{name}")]
    told.append(f"remembered {remembered()}")
    return told

def remembered():
    'How often the memory of this process, which began as a copy of the first one, holds what an earlier build said.'
    buffer = mmap.mmap(-1, 1 << 20)
    own = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    # Turned round where it is made, so that it is nowhere else.
    turned = b"erofeb dliub eht yb tfel"
    mark = turned[::-1]
    count = 0
    with open("/proc/self/mem", "rb", 0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if not mode.startswith("rw") or "[v" in line or start <= own < end:
                continue
            for at in range(start, end, len(buffer) // 2):
                memory.seek(at)
                size = memory.readinto(memoryview(buffer)[: min(len(buffer), end - at)])
                place = buffer.find(mark, 0, size)
                while place >= 0:
                    count += not id(mark) <= at + place < id(mark) + 100
                    place = buffer.find(mark, place + 1, size)
    return count
"""
# Tells what it sees, and which container it is in.
_TELLS = """
def tell():
    Path("/build/out/seen").write_text("\\n".join(look()))
    Path("/build/out/container").write_text(os.environ["HOSTNAME"])
    print("looked")
"""
LOOKS = (
    _LOOK
    + _TELLS
    + """
def build_wheel(folder, settings=None, metadata=None):
    tell()
"""
)
# By setuptools, which a build in a container that others used before finds imported.
LOOKS_BY_SETUP = (
    _LOOK
    + _TELLS
    + """
tell()
__import__('sys').stdout.flush()
os._exit(0)
"""
)

# Leaves all that a build can leave, and tells what it could do.
LEAVES = '''\
import ctypes, errno, os, signal, socket, sys, time
from pathlib import Path

LIBRARY = ctypes.CDLL(None, use_errno=True)
told = []

def attempt(what, call, *arguments):
    ctypes.set_errno(0)
    given = call(*arguments)
    told.append(f"{what}: {errno.errorcode[ctypes.get_errno()] if given == -1 else 'done'}")

def of_python(what, call, *arguments):
    try:
        call(*arguments)
        told.append(f"{what}: done")
    except OSError as error:
        told.append(f"{what}: {errno.errorcode[error.errno]}")

def fill(folder, attributes):
    told.append(f"filled {folder}")
    inner = Path(folder, "closed", "inner")
    inner.mkdir(parents=True)
    (inner / "file").write_text("left by the build before")
    inner.chmod(0)
    inner.parent.chmod(0)
    Path(folder, "link").symlink_to("/build/programs/bench.py")
    os.mkfifo(Path(folder, ".fifo"))
    if attributes:
        os.setxattr(folder, "user.left", b"left by the build before")
    os.utime(folder, (1, 1))

def stay():
    """Start a process that goes on, in a session of its own, and listens."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                    signal.signal(number, signal.SIG_IGN)
            listeners = [socket.socket(socket.AF_UNIX), socket.socket()]
            listeners[0].bind("\\0left")
            listeners[1].bind(("127.0.0.1", 0))
            listeners[1].listen()
            os.write(writing, b"stays")
            time.sleep(900)
        os._exit(0)
    told.append(os.read(reading, 9).decode())

def build_wheel(folder, settings=None, metadata=None):
    mark = "left by the build before " * 100
    os.environ["LEFT"] = mark
    for place in ("/tmp", "/run", "/var/tmp", "/dev", "/dev/shm", "/build/source", "/build/out"):
        fill(place, attributes=place.startswith("/build"))
    Path("/dev/mqueue/left").touch()
    for name, arguments in (("shmget", (7, 4096)), ("semget", (7, 1)), ("msgget", (7,))):
        attempt(name, getattr(LIBRARY, name), *arguments, 0o1666)
    stay()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGSTOP, signal.SIGKILL):
        os.kill(1, number)
    attempt("attach", LIBRARY.ptrace, 16, 1, 0, 0)
    class Span(ctypes.Structure):
        _fields_ = [("start", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    here = ctypes.create_string_buffer(8)
    own, other = Span(ctypes.addressof(here), 8), Span(int(Path("/proc/self/maps").read_text().split("-")[0], 16), 8)
    attempt("write", LIBRARY.process_vm_writev, 1, ctypes.byref(own), 1, ctypes.byref(other), 1, 0)
    of_python("memory", open, "/proc/1/mem", "r+b")
    of_python("descriptor", os.readlink, "/proc/1/fd/3")
    for number in range(3, 64):
        try:
            os.write(number, b"clear")
            told.append(f"wrote to {number}")
        except OSError:
            pass
    for place in ("/build/orders", "/build/programs/bench.py", "/etc/left", "/usr/lib/python3/left", "/root/left"):
        of_python(place, open, place, "a")
    print(mark)
    Path(folder, "told").write_text("\\n".join(told))
'''

# Makes the first process let every later build open few files only.
LOWERS = """\
import resource
def build_wheel(folder, settings=None, metadata=None):
    resource.prlimit(1, resource.RLIMIT_NOFILE, (100, 100))
"""
