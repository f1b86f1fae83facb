# SPDX-License-Identifier: Apache-2.0
"""The two charts of the page of a run: when what was built, and how big the images are."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from stxbuildah.job.images.html import Html, element
from stxbuildah.model.imagesrun import ImageOutcome
from stxbuildah.model.sizes import size_text

# Kinds of steps that have a colour of their own; what comes later shares the last one.
_COLOURS = 8
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 7
_MINUTE = 60
_HOUR = 3600
_HEIGHT = 18
# Further right, there is no place for the text of a tick.
_TEXT_FITS = 0.88
_LEAST_WIDTH = 0.0015


def clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds, as far as it has them."""
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02d}"
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02d}:{whole % _MINUTE:02d}"


def image_id(label: str) -> str:
    """Give the mark of the place where an image is described."""
    return f"image-{label}"


def image_link(label: str) -> Html:
    """Give the name of an image as a link to where it is described."""
    return element("a", label, href=f"#{quote(image_id(label), errors='replace')}")


def timeline_section(outcomes: Sequence[ImageOutcome], seconds: float) -> Html:
    """Show when the steps of each image were done; nothing when there are no images.

    Args:
        outcomes: the images, sorted.
        seconds: how long the run took.
    """
    if not outcomes:
        return Html()
    whole = max([seconds, 0.001, *(one.started + sum(step for _, step in one.seconds) for one in outcomes)])
    ticks = _ticks(whole)
    kinds = _kinds(outcomes)
    colours = {kind: f"s{min(place, _COLOURS)}" for place, kind in enumerate(kinds)}
    head = element(
        "tr",
        element("th", "Image", scope="col"),
        element("th", "Ended", scope="col"),
        element("th", "Size", scope="col", class_="number"),
        element("th", "Took", scope="col", class_="number"),
        element("th", _axis(ticks, whole), scope="col", class_="time"),
    )
    rows = [_timeline_row(outcome, whole, ticks, colours) for outcome in outcomes]
    table = element("table", element("caption", "When what was built"), element("thead", head), element("tbody", *rows))
    return element(
        "section",
        element("h2", "Timeline"),
        element("div", element("div", table, class_="wide overview"), _legend(kinds), class_="card"),
    )


def _timeline_row(outcome: ImageOutcome, whole: float, ticks: Sequence[int], colours: dict[str, str]) -> Html:
    took = sum(seconds for _, seconds in outcome.seconds)
    state = outcome.state.value
    return element(
        "tr",
        element("th", image_link(outcome.label), scope="row", class_="break"),
        element("td", state, class_=f"state {state.replace(' ', '-')}"),
        element("td", size_text(outcome.size) if outcome.layers else "", class_="number"),
        element("td", clock(took) if outcome.seconds else "", class_="number"),
        element("td", _bar(outcome, whole, ticks, colours), class_="time"),
    )


def _bar(outcome: ImageOutcome, whole: float, ticks: Sequence[int], colours: dict[str, str]) -> Html:
    parts = [
        element("line", class_="tick", x1=_percent(tick / whole), x2=_percent(tick / whole), y1="0", y2=f"{_HEIGHT}")
        for tick in ticks
    ]
    begin = outcome.started
    for step, seconds in outcome.seconds:
        told = f"{step}: {clock(seconds)}, begun at {clock(begin)}"
        parts.append(_rectangle(told, colours[_kind(step)], begin / whole, seconds / whole))
        begin += seconds
    told = "; ".join(f"{step} {clock(seconds)}" for step, seconds in outcome.seconds) or outcome.state.value
    return element("svg", *parts, height=f"{_HEIGHT}", role="img", aria_label=f"{outcome.label}: {told}")


def _axis(ticks: Sequence[int], whole: float) -> Html:
    parts = [
        element("text", clock(tick), class_="axis", x=_percent(tick / whole), y="13")
        for tick in ticks
        if tick / whole < _TEXT_FITS
    ]
    return element("svg", *parts, height=f"{_HEIGHT}", role="img", aria_label="Time since the run began")


def _ticks(whole: float) -> tuple[int, ...]:
    distance = next((tick for tick in _TICKS if whole / tick <= _MOST_TICKS), _TICKS[-1] * int(whole / _TICKS[-1] + 1))
    return tuple(range(0, int(whole) + 1, distance))


def _kind(step: str) -> str:
    """Give what steps have a colour in common for: their first word, since they name files and packages behind it."""
    return step.split(" ", 1)[0]


def _kinds(outcomes: Iterable[ImageOutcome]) -> dict[str, tuple[str, float]]:
    """Give the kinds of steps, those that took longest first, each with its name and its time in all images."""
    names: dict[str, set[str]] = defaultdict(set)
    total: dict[str, float] = defaultdict(float)
    for outcome in outcomes:
        for step, seconds in outcome.seconds:
            names[_kind(step)].add(step)
            total[_kind(step)] += seconds
    order = sorted(total, key=lambda kind: (-total[kind], kind))
    return {kind: (names[kind].pop() if len(names[kind]) == 1 else f"{kind} …", total[kind]) for kind in order}


def _legend(kinds: dict[str, tuple[str, float]]) -> Html:
    if not kinds:
        return Html()
    shown = list(kinds.values())
    items = [_legend_item(f"s{place}", f"{name} {clock(time)}") for place, (name, time) in enumerate(shown[:_COLOURS])]
    if others := shown[_COLOURS:]:
        items.append(_legend_item(f"s{_COLOURS}", f"other steps {clock(sum(time for _, time in others))}"))
    return element("ul", *items, class_="legend", aria_label="Steps and their time in all images together")


def _legend_item(colour: str, text: str) -> Html:
    return element("li", element("i", class_=colour, aria_hidden="true"), text)


def sizes_section(outcomes: Sequence[ImageOutcome]) -> Html:
    """Show the layers of each image, and which of them others share; nothing when no image has any."""
    shown = [outcome for outcome in outcomes if outcome.layers]
    if not shown:
        return Html()
    users = Counter(digest for outcome in shown for digest in {layer.digest for layer in outcome.layers})
    biggest = max(1, *(outcome.size for outcome in shown))
    different = {layer.digest: layer.size for outcome in shown for layer in outcome.layers}
    rows = [_size_row(outcome, users, biggest) for outcome in shown]
    head = element(
        "tr",
        element("th", "Image", scope="col"),
        element("th", "Its own", scope="col", class_="number"),
        element("th", "Size", scope="col", class_="number"),
        element("th", "Layers", scope="col", class_="time"),
    )
    table = element("table", element("caption", "Layers and sizes"), element("thead", head), element("tbody", *rows))
    total = sum(outcome.size for outcome in shown)
    told = f"{size_text(total)} in {len(shown)} images, {size_text(sum(different.values()))} in different layers."
    legend = element(
        "ul", _legend_item("s0", "only in this image"), _legend_item("s8", "shared with others"), class_="legend"
    )
    return element(
        "section",
        element("h2", "Sizes"),
        element(
            "div",
            element("p", told, class_="soft"),
            element("div", table, class_="wide overview"),
            legend,
            class_="card",
        ),
    )


def _size_row(outcome: ImageOutcome, users: Counter[str], biggest: int) -> Html:
    parts, begin = [], 0
    for layer in outcome.layers:
        colour = "s8" if users[layer.digest] > 1 else "s0"
        told = f"{size_text(layer.size)}: {layer.created_by}"
        parts.append(_rectangle(told, colour, begin / biggest, layer.size / biggest))
        begin += layer.size
    own = sum(layer.size for layer in outcome.layers if users[layer.digest] == 1)
    told = f"{outcome.label}: {len(outcome.layers)} layers, " + ", ".join(size_text(one.size) for one in outcome.layers)
    return element(
        "tr",
        element("th", image_link(outcome.label), scope="row", class_="break"),
        element("td", size_text(own), class_="number"),
        element("td", size_text(outcome.size), class_="number"),
        element("td", element("svg", *parts, height=f"{_HEIGHT}", role="img", aria_label=told), class_="time"),
    )


def _rectangle(told: str, colour: str, begin: float, width: float) -> Html:
    """Draw a part of a bar.

    Args:
        told: shown to whoever points at it.
        colour: its class.
        begin: where it begins, from 0 to 1.
        width: how wide it is, from 0 to 1.
    """
    return element(
        "rect", element("title", told), class_=colour, x=_percent(begin), y="2",
        width=_percent(max(width, _LEAST_WIDTH)), height=f"{_HEIGHT - 4}", rx="2",
    )  # fmt: skip


def _percent(part: float) -> str:
    return f"{part * 100:.3f}%"
