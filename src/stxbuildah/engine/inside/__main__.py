# SPDX-License-Identifier: Apache-2.0
"""Answer questions about one container's files until standard input ends.

Started by ``engine.tree`` as ``python3 -I -S -X utf8 inside/__main__.py ROOT [BASE]``. ROOT is the folder of the
container's files and BASE that of an untouched container of the same image; each a path, or ``env:NAME`` for the
variable that holds it (``buildah unshare --mount NAME=CONTAINER`` gives it so). With ``--layers FOLDER ...`` the
files are those of an image, read from its layers' folders, top first.
"""

import os
import sys
from collections.abc import Callable, Iterator

# Isolated mode (-I) and the missing site (-S) leave our package off the path. It goes last: the standard library wins.
sys.path.append(__file__.rsplit("/", 4)[0])

from stxbuildah.engine.inside.read import Reader
from stxbuildah.engine.inside.walk import ENOTSUP
from stxbuildah.engine.inside.wire import FAULT, LAST, MORE, VERSION, Fields, receive, send

Operation = Callable[..., Fields | Iterator[Fields] | None]


class Server:
    """Finds the operation for each request; the rarer ones are loaded when they are first asked for."""

    def __init__(self, reader: Reader, root: str, base: str | None) -> None:
        self.root = root
        self.base = base
        self.folder = reader.root
        self.operations: dict[bytes, Operation] = {
            b"lstat": reader.lstat,
            b"scandir": reader.scandir,
            b"open": reader.open,
            b"pread": reader.pread,
            b"close": reader.close,
            b"xattrs": reader.xattrs,
        }

    def find(self, name: bytes) -> Operation:
        """Give the operation of this name."""
        if name not in self.operations:
            if not self.root:
                raise OSError(ENOTSUP, "the files of an image are for reading")
            if name in {b"put", b"more", b"finish"}:
                from stxbuildah.engine.inside.write import Writer

                writer = Writer(self.folder)
                self.operations |= {b"put": writer.put, b"more": writer.more, b"finish": writer.finish}
            elif name in {b"layered", b"changes"}:
                from stxbuildah.engine.inside.compare import Comparison

                comparison = Comparison(self.root, self.base)
                self.operations |= {b"layered": comparison.layered, b"changes": comparison.changes}
        return self.operations[name]

    def serve(self) -> None:
        """Answer until there is nobody left to answer."""
        questions, answers = open(0, "rb"), open(1, "wb")  # noqa: SIM115 # open as long as the process lives
        send(answers, LAST, [VERSION])
        answers.flush()
        while (message := receive(questions)) is not None:
            name, *arguments = message[1]
            try:
                answer = self.find(name)(*arguments)
                if answer is None:
                    continue
                if not isinstance(answer, list):
                    for part in answer:
                        send(answers, MORE, part)
                    answer = []
                send(answers, LAST, answer)
            except OSError as error:
                send(answers, FAULT, [b"%d" % (error.errno or 0), os.fsencode(error.strerror or str(error))])
            except RecursionError:
                send(answers, FAULT, [b"5", b"folders are nested too deep"])
            answers.flush()


def _unanswered(*_: bytes) -> None:
    """Take a piece of a layer, which is refused at its end: nobody waits for an answer before."""


def _server(words: list[str]) -> Server:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if words[0] == "--layers":
        from stxbuildah.engine.inside.compare import allow_many_files
        from stxbuildah.engine.inside.layers import LayersReader

        allow_many_files()
        reader = LayersReader([os.open(folder, flags) for folder in words[1:]])
        server = Server(reader, "", None)
        server.operations |= {b"touched": reader.touched, b"put": _unanswered, b"more": _unanswered}
        return server
    roots = [os.environ[word[4:]] if word.startswith("env:") else word for word in words[:2]]
    return Server(Reader(os.open(roots[0], flags)), roots[0], roots[1] if roots[1:] else None)


def main() -> None:
    """Serve the trees that the command line names."""
    try:
        _server(sys.argv[1:]).serve()
    except (KeyboardInterrupt, BrokenPipeError):
        # The one who started us is being stopped as well, and is the one who tells the user.
        os._exit(130)


if __name__ == "__main__":
    main()
