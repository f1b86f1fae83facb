# SPDX-License-Identifier: Apache-2.0
"""``wheels.cfg``: one wheel a line, its fields separated by ``|``, as StarlingX's build-base-wheels.sh has it.

    name.whl|git|repo-url|basedir|branch[|fix_setup]
    name.whl|tar|url|basedir[|fix_setup]
    name.whl|zip|url|basedir[|fix_setup]
    name.whl|pypi|url

``#`` begins a comment anywhere in a line. ``whl`` is another word for ``pypi``. Blanks around a field do not count.
"""

import difflib
import re

import attrs

from stxbuildah.directive.wheelfields import basedir_mistake, git_url_mistake, ref_mistake, url_mistake, wheel_mistake
from stxbuildah.errors import Problem, ProblemsError
from stxbuildah.model.module import ModuleSource
from stxbuildah.model.wheelbuild import SourceKind, WheelSource

FORMS = {
    SourceKind.GIT: ("name.whl", "git", "repo-url", "basedir", "branch"),
    SourceKind.TAR: ("name.whl", "tar", "url", "basedir"),
    SourceKind.ZIP: ("name.whl", "zip", "url", "basedir"),
    SourceKind.PYPI: ("name.whl", "pypi", "url"),
}
FIX_SETUP = "fix_setup"
_WORDS = {"git": SourceKind.GIT, "tar": SourceKind.TAR, "zip": SourceKind.ZIP, "pypi": SourceKind.PYPI,
          "whl": SourceKind.PYPI}  # fmt: skip
_HINT = "\n".join(
    ("a line is one of", *("  " + "|".join(form) + ("" if kind is SourceKind.PYPI else "[|fix_setup]")
                           for kind, form in FORMS.items()))
)  # fmt: skip
# A name and a kind that nothing parts, as a real list has it.
_JOINED = re.compile(rf"(.+\.whl)({'|'.join(_WORDS)})")
# A digest behind a URL is a comment for the replaced script, and the digest that has to come out for us.
_DIGEST = re.compile(r"(?<=[^\s|#])#sha256=(?P<sha256>[0-9A-Fa-f]{64})(?=[\s|#]|$)")


@attrs.frozen
class _Field:
    """A field of a line: its text without blanks around it, and its column from 1."""

    text: str
    column: int


def parse_wheels_config(text: str, source: str) -> tuple[WheelSource, ...]:
    """Read a wheels.cfg.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The wheels in the order of the file; a line that says the same as an earlier one counts once.

    Raises:
        ProblemsError: every line that is not understood, with its line and column and what was expected there.
    """
    problems: list[Problem] = []
    wheels: dict[str, WheelSource] = {}
    for number, line in enumerate(text.split("\n"), 1):
        content, sha256 = _content(line)
        if not content.strip():
            continue
        reader = _Line(source=source, number=number, fields=_fields(content))
        wheel = reader.read(sha256)
        if wheel is not None:
            earlier = wheels.setdefault(wheel.wheel, wheel)
            if attrs.evolve(earlier, line=number) != wheel:
                reader.blame(0, f"{wheel.wheel} comes from another source in line {earlier.line}")
        if reader.mistakes:
            problems.append(reader.problem())
    if problems:
        raise ProblemsError(problems, hint=_HINT)
    return tuple(wheels.values())


def _content(line: str) -> tuple[str, str]:
    """Give a line without its comment, and the digest that it names; columns stay as they are."""
    digest = _DIGEST.search(line)
    if digest and "#" not in line[: digest.start()]:
        line = line[: digest.start()] + " " * len(digest[0]) + line[digest.end() :]
        return line.partition("#")[0], digest["sha256"].lower()
    return line.partition("#")[0], ""


def _fields(content: str) -> tuple[_Field, ...]:
    fields: list[_Field] = []
    start = 0
    for part in content.split("|"):
        blanks = len(part) - len(part.lstrip()) if part.strip() else 0
        fields.append(_Field(part.strip(), start + blanks + 1))
        start += len(part) + 1
    return tuple(fields)


@attrs.define(kw_only=True)
class _Line:
    """One line that is no comment, and what was found wrong with it, as columns and sentences."""

    source: str
    number: int
    fields: tuple[_Field, ...]
    mistakes: list[tuple[int, str]] = attrs.field(factory=list)

    def blame(self, index: int, message: str, *, offset: int = 0) -> None:
        """Note a mistake in a field, or so many characters behind its beginning."""
        self.mistakes.append((self.fields[index].column + offset, message))

    def problem(self) -> Problem:
        """Give all that is wrong with the line as one mistake, which stands where the first of them does."""
        (column, message), *others = sorted(self.mistakes)
        others_shown = "".join(f"; column {place}: {also}" for place, also in others)
        return Problem(self.source, message + others_shown, self.number, column)

    def read(self, sha256: str) -> WheelSource | None:
        """Give the wheel; None after a mistake, which is noted."""
        joined = _JOINED.fullmatch(self.fields[0].text)
        if joined is not None:
            name, word = joined.groups()
            self.blame(0, f"a '|' is missing between {name} and {word}", offset=len(name))
            return None
        kind = self._kind()
        fix_setup = kind is not None and self._fix_setup(kind)
        understood = not self.mistakes
        if len(self.fields) > 1 and (mistake := wheel_mistake(self.fields[0].text)):
            self.blame(0, mistake)
        if kind is None or not understood:
            return None
        texts = [field.text for field in self.fields]
        wheel = WheelSource(
            wheel=texts[0],
            kind=kind,
            url=texts[2],
            basedir="" if kind is SourceKind.PYPI else texts[3],
            ref=texts[4] if kind is SourceKind.GIT else "",
            fix_setup=fix_setup,
            sha256=sha256,
            source=self.source,
            line=self.number,
        )
        self._check_source(wheel)
        return None if self.mistakes else wheel

    def _kind(self) -> SourceKind | None:
        if len(self.fields) == 1:
            self.blame(0, f"{_hide(self.fields[0].text)!r} has no '|': name.whl|kind|url... expected")
            return None
        text = self.fields[1].text
        kind = _WORDS.get(text)
        if kind is None:
            close = difflib.get_close_matches(text.lower(), _WORDS, n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            self.blame(1, f"{_hide(text)!r} is no kind of source: git, tar, zip, pypi or whl expected{meant}")
        return kind

    def _fix_setup(self, kind: SourceKind) -> bool:
        """Make sure that there are as many fields as the kind needs, and give whether the last is ``fix_setup``."""
        form = FORMS[kind]
        shown = "|".join(form) + ("" if kind is SourceKind.PYPI else "[|fix_setup]")
        texts = [field.text for field in self.fields]
        # fix_setup in the place of another field: the one before it was forgotten.
        early = next((index for index in range(3, min(len(texts), len(form))) if texts[index] == FIX_SETUP), None)
        if early is not None or len(texts) < len(form):
            missing = form[len(texts) if early is None else early]
            self.blame(len(texts) - 1 if early is None else early, f"{missing} is missing, or a '|': {shown} expected")
            return False
        allowed = kind is not SourceKind.PYPI and texts[len(form) :][:1] == [FIX_SETUP]
        first_wrong = len(form) + allowed
        wrong = next((index for index in range(first_wrong, len(texts)) if texts[index]), None)
        if wrong is not None:
            self.blame(wrong, f"{_hide(texts[wrong])!r} is not expected here: {shown}")
        return allowed

    def _check_source(self, wheel: WheelSource) -> None:
        git = wheel.kind is SourceKind.GIT
        checked = [
            git_url_mistake(wheel.url) if git else url_mistake(wheel.url),
            basedir_mistake(wheel.basedir),
            ref_mistake(wheel.ref) if git else "",
        ]
        for index, mistake in enumerate(checked, 2):
            if mistake:
                self.blame(index, mistake)


def _hide(text: str) -> str:
    """Give a field to read: short, and without the password of a URL that stands in a wrong place."""
    return ModuleSource(text=text).shown[:60]
