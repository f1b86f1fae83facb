# SPDX-License-Identifier: Apache-2.0
"""The packages of all images on the page of a run: each once, with the images that have it."""

from collections import defaultdict
from collections.abc import Sequence

from stxbuildah.job.images.html import Html, element
from stxbuildah.model.imagesrun import ImageOutcome

_KINDS = {"python": "Python", "deb": "deb", "rpm": "rpm"}
# More names of images than these make a row hard to read; they are found by a search all the same.
_NAMED_IMAGES = 6


def packages_section(outcomes: Sequence[ImageOutcome]) -> Html:
    """Show which package is in which image; nothing when no image tells."""
    images: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    telling = set()
    for outcome in outcomes:
        for kind in _KINDS:
            for line in getattr(outcome.packages, kind) or ():
                name, version = split_line(kind, line)
                images[name, kind, version].append(outcome.label)
                telling.add(outcome.label)
    if not images:
        return Html()
    order = sorted(images, key=lambda key: (key[0].lower(), *key))
    rows = [_row(*key, images[key], everywhere=len(telling)) for key in order]
    head = element("tr", *(element("th", name, scope="col") for name in ("Package", "Version", "Kind", "Images")))
    table = element("table", element("caption", "Packages"), element("thead", head), element("tbody", *rows))
    search = element(
        "div",
        element("label", "Search", for_="query"),
        Html(
            '<input id="query" type="search" autocomplete="off" spellcheck="false" placeholder="name, version, image">'
        ),
        element("output", id="found", for_="query", aria_live="polite", class_="soft"),
        class_="search",
        id="search",
        hidden="",
    )
    return element(
        "section",
        element("h2", "Packages"),
        element("p", "Every word of a search has to be somewhere in a row.", class_="soft hint"),
        search,
        element(
            "details",
            element("summary", f"{len(rows)} packages in {len(telling)} images"),
            element("div", table, class_="wide"),
            class_="card",
            id="packages",
        ),
    )


def split_line(kind: str, line: str) -> tuple[str, str]:
    """Give name and version of a package.

    Args:
        kind: ``python``, ``deb`` or ``rpm``.
        line: as the package lists have it.
    """
    if kind == "deb":
        name, _, version = line.partition(" ")
    elif kind == "rpm":
        name, *rest = line.rsplit("-", 2)
        version = "-".join(rest)
    else:
        name, _, version = line.partition("==")
        if not version:
            name, _, version = line.partition(" @ ")
    return name, version


def _row(name: str, kind: str, version: str, labels: list[str], *, everywhere: int) -> Html:
    if len(labels) == everywhere > 1:
        shown = f"all {everywhere}"
    elif len(labels) > _NAMED_IMAGES:
        shown = f"{', '.join(labels[: _NAMED_IMAGES - 1])} and {len(labels) - _NAMED_IMAGES + 1} more"
    else:
        shown = ", ".join(labels)
    cells = (
        element("td", name, class_="break"),
        element("td", version, class_="break mono"),
        element("td", _KINDS[kind], class_="soft"),
        element("td", shown, class_="break"),
    )
    if shown == ", ".join(labels):
        return element("tr", *cells)
    return element("tr", *cells, data_images=", ".join(labels))
