# SPDX-License-Identifier: Apache-2.0
"""Reading a text file that a user names, byte for byte: line ends stay as they are."""

from pathlib import Path

from stxbuildah.errors import InputError

# More than any list of a product holds; what is larger is no such list.
MAXIMUM_BYTES = 20_000_000


def read_whole(path: Path, what: str) -> str:
    """Read a file.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        InputError: the file is missing, unreadable, too long or not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
        if len(content) > MAXIMUM_BYTES:
            raise InputError(f"the {what} {path} is longer than {MAXIMUM_BYTES} bytes: this is no such file")
        return content.decode("utf-8")
    except OSError as error:
        raise InputError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the {what} {path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
