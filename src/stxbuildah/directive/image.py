# SPDX-License-Identifier: Apache-2.0
"""Image directives files, as StarlingX's build-stx-images.sh sources them: read as bash would, and never executed.

What that script accepts is accepted: a key that is set twice has the later value, variables of the file's own may help,
and keys of another builder may be there.
"""

import difflib
from pathlib import Path

import attrs

from stxbuildah.directive import imagekeys
from stxbuildah.directive.shellvars import Assignment, read_assignments
from stxbuildah.errors import InputError, Problem
from stxbuildah.model.imagebuild import (
    DEFAULT_REF,
    INFRA,
    REMOVED_OS_PACKAGES,
    REMOVED_PYTHON_PACKAGES,
    Builder,
    Checkout,
    DockerBuild,
    ImageDirectives,
    LociBuild,
    PostBuild,
    ReadDirectives,
    ScriptBuild,
)

# As near to a key as a slip of the finger.
_LIKENESS = 0.88


def read_image_directives(text: str, file: Path) -> ReadDirectives:
    """Read an image directives file.

    Args:
        text: the whole file.
        file: where it is; relative paths in it begin in its folder, and messages name it.

    Returns:
        Its keys, and either what it says or every mistake.
    """
    assignments, unread = read_assignments(text, str(file))
    reader = _Reader(file=file, assigned={assignment.key: assignment for assignment in assignments})
    reader.problems += unread
    directives = reader.read(assignments, broken=bool(unread))
    problems = sorted(reader.problems, key=lambda problem: (problem.line, problem.column))
    return ReadDirectives(
        file=file,
        keys=tuple((key, assignment.value) for key, assignment in reader.assigned.items()),
        directives=None if problems else directives,
        problems=tuple(problems),
    )


@attrs.define(kw_only=True)
class _Reader:
    """Makes values of a file's assignments, and collects what is wrong with them."""

    file: Path
    assigned: dict[str, Assignment]
    problems: list[Problem] = attrs.field(factory=list)

    def read(self, assignments: tuple[Assignment, ...], *, broken: bool) -> ImageDirectives | None:
        """Give what the file says; what it gives after a mistake is not used."""
        for assignment in assignments:
            if message := _misspelt(assignment):
                self.problems.append(Problem(str(self.file), message, assignment.line, assignment.column))
        for key in self.assigned:
            self._check(key)
        builder = self._builder(broken=broken)
        if not self._word("LABEL"):
            self._lacks("LABEL", "the image's name", broken=broken)
        if builder is None:
            return None
        build: DockerBuild | LociBuild | ScriptBuild
        match builder:
            case Builder.DOCKER:
                build = self._docker()
            case Builder.LOCI:
                build = self._loci(broken=broken)
            case Builder.SCRIPT:
                build = self._script(broken=broken)
        return ImageDirectives(
            file=self.file,
            builder=builder,
            label=self._word("LABEL"),
            project=self._word("PROJECT"),
            build=build,
            post_build=self._post_build(),
            update_version=self._number("IMAGE_UPDATE_VER", 0),
        )

    def _check(self, key: str) -> None:
        """Look at one value by itself; an empty one means the default."""
        assignment = self.assigned[key]
        if key in imagekeys.KEYS and assignment.missing:
            names = ", ".join(assignment.missing)
            self._problem(key, f"{key} uses {names}, which this file does not set: write the value out")
        elif assignment.value.strip() and (mistake := imagekeys.mistake(key, assignment.value)):
            self._problem(key, f"{key}: {mistake}")

    def _problem(self, key: str, message: str) -> None:
        line, column = (self.assigned[key].line, self.assigned[key].column) if key in self.assigned else (0, 0)
        self.problems.append(Problem(str(self.file), message, line, column))

    def _lacks(self, key: str, what: str, *, broken: bool) -> None:
        # What could not be read may be the key or its value.
        assigned = self.assigned.get(key)
        if assigned is None and not broken:
            self._problem(key, f"{key} is missing: {what} expected")
        elif assigned is not None and all(problem.line != assigned.line for problem in self.problems):
            self._problem(key, f"{key} is empty: {what} expected")

    def _builder(self, *, broken: bool) -> Builder | None:
        word = self._word("BUILDER")
        if not word:
            self._lacks("BUILDER", "docker, loci or script", broken=broken)
            return None
        return next((builder for builder in Builder if builder.value == word), None)

    def _value(self, key: str) -> str:
        return self.assigned[key].value if key in self.assigned else ""

    def _word(self, key: str) -> str:
        return self._value(key).strip()

    def _words(self, key: str) -> tuple[str, ...]:
        return tuple(self._value(key).split())

    def _number(self, key: str, default: int) -> int:
        word = self._word(key)
        return int(word) if word.isascii() and word.isdigit() and len(word) < imagekeys.MOST_DIGITS else default

    def _paths(self, key: str) -> tuple[Path, ...]:
        return tuple(self.file.parent / word for word in self._words(key))

    def _docker(self) -> DockerBuild:
        repository = self._word("DOCKER_REPO")
        if repository:
            for key in ("DOCKER_CONTEXT", "DOCKER_FILE"):
                if self._word(key):
                    self._problem(key, f"{key} and DOCKER_REPO exclude each other")
            ref = self._word("DOCKER_REF") or DEFAULT_REF
            return DockerBuild(checkout=Checkout(url=repository, ref=ref, patches=self._paths("DOCKER_PATCHES")))
        for key in ("DOCKER_REF", "DOCKER_PATCHES"):
            if self._word(key):
                self._problem(key, f"{key} says what to take from DOCKER_REPO, which is not set")
        folder = self.file.parent
        context = folder / (self._word("DOCKER_CONTEXT") or "docker")
        named = self._word("DOCKER_FILE")
        return DockerBuild(context=context, containerfile=folder / named if named else context / "Dockerfile")

    def _loci(self, *, broken: bool) -> LociBuild:
        project, repository = self._word("PROJECT"), self._word("PROJECT_REPO")
        mirror = self._word("MIRROR_LOCAL") == "yes"
        if not project:
            self._lacks("PROJECT", "the project's name, or infra", broken=broken)
        elif mistake := imagekeys.account_mistake(project):
            self._problem("PROJECT", f"PROJECT: {mistake}")
        elif project == INFRA:
            repository = ""
        elif not repository:
            self._lacks("PROJECT_REPO", "the project's git repository", broken=broken)
        elif not mirror and (mistake := imagekeys.repository_mistake(repository)):
            self._problem("PROJECT_REPO", f"PROJECT_REPO: {mistake}")
        return LociBuild(
            project_repo=repository,
            project_ref=self._word("PROJECT_REF"),
            project_uid=self._number("PROJECT_UID", LociBuild().project_uid),
            project_gid=self._number("PROJECT_GID", LociBuild().project_gid),
            pip_packages=self._words("PIP_PACKAGES"),
            upgrade_pip_packages=self._words("UPGRADE_PIP_PACKAGES"),
            dist_packages=self._words("DIST_PACKAGES"),
            profiles=self._words("PROFILES"),
            python3=self._word("PYTHON3") != "no",
            mirror_local=mirror,
            dist_repos=self._words("DIST_REPOS"),
            non_unique_system_account=self._word("NON_UNIQUE_SYSTEM_ACCOUNT") == "yes",
            update_system_account=self._word("UPDATE_SYSTEM_ACCOUNT") == "yes",
            spice_repo=self._word("SPICE_REPO"),
            spice_ref=self._word("SPICE_REF"),
        )

    def _script(self, *, broken: bool) -> ScriptBuild:
        for key, what in (("SOURCE_REPO", "a git repository"), ("SCRIPT", "the script to run, beside this file")):
            if not self._word(key):
                self._lacks(key, what, broken=broken)
        return ScriptBuild(
            checkout=Checkout(
                url=self._word("SOURCE_REPO"),
                ref=self._word("SOURCE_REF") or DEFAULT_REF,
                patches=self._paths("SOURCE_PATCHES"),
            ),
            command=self._word("COMMAND") or "bash",
            script=self.file.parent / self._word("SCRIPT"),
            arguments=self._words("ARGS"),
        )

    def _post_build(self) -> PostBuild:
        python, system = "POSTBUILD_REMOVE_PYTHON_PACKAGES", "POSTBUILD_REMOVE_OS_PACKAGES"
        return PostBuild(
            customization=self._value("CUSTOMIZATION"),
            remove_python_packages=self._words(python) if python in self.assigned else REMOVED_PYTHON_PACKAGES,
            remove_os_packages=self._words(system) if system in self.assigned else REMOVED_OS_PACKAGES,
            command=self._value("POSTBUILD_COMMAND"),
        )


def _misspelt(assignment: Assignment) -> str:
    """Tell that a key was meant to be another one; a variable of the file's own is none of our business."""
    if assignment.key in imagekeys.KEYS:
        return ""
    close = difflib.get_close_matches(assignment.key.upper(), imagekeys.KEYS, n=1, cutoff=_LIKENESS)
    return f"{assignment.key} is not a key of an image directives file; did you mean {close[0]}?" if close else ""


def unreadable(file: Path, error: InputError) -> ReadDirectives:
    """Give a file that could not be read at all, with that as its mistake."""
    return ReadDirectives(file=file, problems=(Problem(str(file), error.message),))
