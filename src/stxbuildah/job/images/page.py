# SPDX-License-Identifier: Apache-2.0
"""A page that shows a run of images: when what was built, what the images are made of, and what went wrong.

It is one file that needs no other and reaches for none, which its content security policy holds also against what it
shows: only the two pieces of style and script that belong to it are carried out, by their digests.
"""

import base64
import hashlib
import time
from pathlib import Path

from stxbuildah import __version__
from stxbuildah.job.images.html import Html, element, escaped, joined
from stxbuildah.job.images.pagecharts import clock, image_id, image_link, sizes_section, timeline_section
from stxbuildah.job.images.pagepackages import packages_section
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.imagesrun import ImageOutcome, ImagesResult, ImageState
from stxbuildah.model.sizes import size_text

_STATES = (ImageState.BUILT, ImageState.UNCHANGED, ImageState.LEFT_OUT, ImageState.PUSH_FAILED, ImageState.FAILED)


def write_page(result: ImagesResult, file: Path) -> None:
    """Write the page of a run, whole or not at all.

    Args:
        result: the run; outcomes without package lists are shown without.
        file: where it is written; folders above it are made.

    Raises:
        DiskFullError: there is no room for it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(file) as stream:
        stream.write(page(result).encode())


def page(result: ImagesResult) -> str:
    """Give the page of a run as HTML."""
    outcomes = sorted(result.outcomes, key=lambda outcome: outcome.label)
    style, script = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Images of {_system(result)}"
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{escaped(policy)}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="referrer" content="no-referrer">'),
        element("title", title),
        Html(f"<style>{style}</style>"),
    )
    body = element(
        "body",
        _header(result, title),
        element(
            "main",
            _failures(outcomes),
            _notes(result),
            timeline_section(outcomes, result.seconds),
            sizes_section(outcomes),
            _images(outcomes),
            packages_section(outcomes),
        ),
        Html(f"<script>{script}</script>"),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _system(result: ImagesResult) -> str:
    system = result.plan.os_labels[0] if result.plan.os_labels else ""
    return ", ".join(part for part in (system, result.plan.stream) if part)


def _header(result: ImagesResult, title: str) -> Html:
    plan = result.plan
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(result.started))
    facts = [f"{began} UTC", f"{clock(result.seconds)} min", f"{plan.jobs} at a time", f"stxbuildah {__version__}"]
    made_of = [f"base {plan.base}"] if plan.base is not None else []
    made_of += [f"wheels {plan.wheels}"] if plan.wheels else []
    counts = [
        element("li", element("b", str(count)), element("span", state.value, class_=f"state {_css_class(state)}"))
        for state in _STATES
        if (count := sum(outcome.state is state for outcome in result.outcomes))
    ]
    return element(
        "header",
        element("h1", title),
        element("p", " · ".join(facts), class_="soft"),
        element("p", " · ".join(made_of), class_="soft break") if made_of else Html(),
        element("ul", *counts, class_="counts", aria_label="How many images ended how") if counts else Html(),
    )


def _css_class(state: ImageState) -> str:
    """Give the class of an image's state in the page's style."""
    return state.value.replace(" ", "-")


def _failures(outcomes: list[ImageOutcome]) -> Html:
    found = sorted((one for one in outcomes if not one.state.good), key=lambda one: -_STATES.index(one.state))
    if not found:
        return Html()
    return element("section", element("h2", "What went wrong"), *map(_failure, found), aria_label="What went wrong")


def _failure(outcome: ImageOutcome) -> Html:
    state = _css_class(outcome.state)
    parts = [
        element(
            "h3",
            image_link(outcome.label),
            " ",
            element("span", outcome.state.value, class_=f"state {state}"),
        ),
        element("p", outcome.reason),
    ]
    if outcome.hint:
        parts.append(element("p", element("b", "Hint: "), outcome.hint))
    if outcome.tail:
        parts.append(element("pre", "\n".join(outcome.tail), tabindex="0", aria_label=f"End of {outcome.label}'s log"))
    if outcome.log is not None:
        parts.append(element("p", "All of it: ", element("code", str(outcome.log)), class_="soft break"))
    return element("article", *parts, class_=f"card {state}")


def _notes(result: ImagesResult) -> Html:
    if not result.plan.remarks:
        return Html()
    return element(
        "section", element("h2", "Notes"), element("ul", *(element("li", remark) for remark in result.plan.remarks))
    )


def _images(outcomes: list[ImageOutcome]) -> Html:
    if not outcomes:
        return Html()
    return element("section", element("h2", "Images"), *map(_image, outcomes))


def _image(outcome: ImageOutcome) -> Html:
    facts = [("Builder", outcome.builder), ("File", str(outcome.file)), ("Why", outcome.reason)]
    facts += [("In the store", str(outcome.reference or "")), ("Digest", outcome.digest)]
    facts += [("Pushed", f"{name}@{digest}") for name, digest in outcome.pushed]
    facts += [("Made from", outcome.base), ("Its digest", outcome.base_digest), ("Log", str(outcome.log or ""))]
    described = [part for name, value in facts if value for part in (element("dt", name), element("dd", value))]
    size = element("span", size_text(outcome.size), class_="size") if outcome.layers else Html()
    summary = element(
        "summary",
        size,
        element("b", outcome.label),
        element("span", outcome.state.value, class_=f"state {_css_class(outcome.state)}"),
    )
    return element(
        "details",
        summary,
        element("dl", *described),
        _table(
            "Layers",
            (("Size", "number"), ("Made by", "break"), ("Digest", "break mono")),
            [(size_text(layer.size), layer.created_by, layer.digest) for layer in outcome.layers],
        ),
        _table(
            "Steps",
            (("Time", "number"), ("Step", "break")),
            [(clock(seconds), step) for step, seconds in outcome.seconds],
        ),
        _table("Made of", (("Component", ""), ("Digest", "break mono")), list(outcome.inputs)),
        class_="card image",
        id=image_id(outcome.label),
    )


def _table(title: str, columns: tuple[tuple[str, str], ...], rows: list[tuple[str, ...]]) -> Html:
    """Give a table under a heading; nothing when it has no rows.

    Args:
        title: the heading.
        columns: name and class of each.
        rows: the cells of each row.
    """
    if not rows:
        return Html()
    head = element("tr", *(element("th", name, scope="col", class_=kind) for name, kind in columns))
    body = [
        element("tr", *(element("td", cell, class_=kind) for cell, (_, kind) in zip(row, columns, strict=True)))
        for row in rows
    ]
    table = element("table", element("caption", title), element("thead", head), element("tbody", *body))
    return joined(element("h3", title), element("div", table, class_="wide"))
