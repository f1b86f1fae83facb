# SPDX-License-Identifier: Apache-2.0
"""What lists of apt, dnf and yum have in common: names of packages, URLs, and passwords that may not get out."""

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from stxbuildah.errors import Problem
from stxbuildah.model.base import BaseRequest

COMMAND_LINE = "command line"
URL = r"[a-z][a-z0-9+.-]*:/\S*"
_URL = re.compile(URL)
# The options of a sources.list line, which may name files.
_OPTIONS = re.compile(r"\[[^\]\s]*=[^\]]*\]")
_MASK = "********"


def url_of(line: str) -> SplitResult:
    """Give the URL in a line of a list, or in ``name,url``; an empty one when there is none, or none that can be."""
    match = _URL.search(_OPTIONS.sub(" ", line, count=1))
    try:
        found = urlsplit(match[0] if match else "")
        _ = found.hostname, found.port
    except ValueError:
        return urlsplit("")
    return found


def passwords(line: str) -> tuple[str, ...]:
    """Give the password in the URL of a line; none when it has none."""
    password = url_of(line).password
    return (password,) if password else ()


def hide_passwords(line: str) -> str:
    """Give a line with asterisks for the password of its URL."""
    for password in passwords(line):
        line = line.replace(f":{password}@", f":{_MASK}@")
    return line


def published_password_problems(files: Iterable[tuple[str, str]]) -> list[Problem]:
    """Give a problem for each server whose password lines of the image's files would publish.

    Args:
        files: path in the image and text.
    """
    found: dict[str, Problem] = {}
    for path, text in files:
        for line in text.splitlines():
            if line.startswith("#") or not passwords(line):
                continue
            message = (
                f"the image's {path} would hold a password: {hide_passwords(line)}; --publish-repos no leaves the "
                "repositories and mirrors that were given out of the image"
            )
            found.setdefault(url_of(line).netloc, Problem(COMMAND_LINE, message))
    return list(found.values())


def published(line: str, request: BaseRequest) -> str:
    """Give a line of a repository as the image shows it: at its published place; empty when it may not be named.

    Without ``--publish-repos``, only what has a published place of its own is named.
    """
    deployed = request.variables.repomgr_url.rstrip("/")
    public = request.content.publish_url.rstrip("/")
    new = line.replace(deployed, public) if deployed and public else line
    return "" if request.content.private and new == line else new


def publishing_problems(request: BaseRequest) -> list[Problem]:
    """Give a problem when a published place is named of repositories that are not."""
    if not request.content.publish_url or request.variables.repomgr_url:
        return []
    message = (
        "--repomgr-publish-url stands for the build's own repositories, which neither the environment nor --var "
        "names: set REPOMGR_DEPLOY_URL to where they are while the image is made"
    )
    return [Problem(COMMAND_LINE, message)]
