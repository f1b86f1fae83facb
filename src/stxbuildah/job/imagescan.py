# SPDX-License-Identifier: Apache-2.0
"""Finding image directives: the lists of all repositories, the folders they name, and the files in these."""

from pathlib import Path

import attrs

from stxbuildah.directive.image import read_image_directives, unreadable
from stxbuildah.directive.inc import images_inc_names, parse_images_inc
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.repositories import find_lists
from stxbuildah.job.system import complete_system
from stxbuildah.job.textfile import read_whole
from stxbuildah.model.base import BaseSystem
from stxbuildah.model.imagebuild import ImageSelection, ReadDirectives, SelectionRequest
from stxbuildah.model.wheelbuild import ListedName
from stxbuildah.plan.images import FoundDirectives, directive_folders, select


def select_images(request: SelectionRequest) -> ImageSelection:
    """Search the repositories, and choose the images to build.

    Raises:
        InputError: a folder to search is missing, no list of images is found, or this machine does not say its system.
    """
    scan = _Scan(request)
    return select(scan.run(), scan.problems, only=request.only, skip=request.skip)


def read_directives_file(file: Path) -> ReadDirectives:
    """Read one image directives file; that it cannot be read is a mistake like others."""
    try:
        return read_image_directives(read_whole(file, "image directives file"), file)
    except InputError as error:
        return unreadable(file, error)


@attrs.define
class _Scan:
    """One search through all repositories, which goes on after a mistake."""

    request: SelectionRequest
    problems: list[Problem] = attrs.field(factory=list)

    def run(self) -> tuple[FoundDirectives, ...]:
        request = self.request
        os, codename = self._system()
        names = images_inc_names(os, codename, request.stream)
        lists = tuple(find_lists(request.roots, names))
        if not lists:
            searched = ", ".join(str(root) for root in request.roots)
            raise InputError(
                f"no list of images is below {searched}: {' or '.join(names)}",
                hint="name the folders of the repositories with --repo-root, the system with --os and --os-codename, "
                "the build stream with --stream",
            )
        found: dict[Path, FoundDirectives] = {}
        for inc in lists:
            for listed in self._read(inc):
                for file in self._files(inc.parent / listed.name, listed, directive_folders(os, codename)):
                    # Two lists of a repository may name one folder.
                    if file not in found:
                        found[file] = FoundDirectives(directives=read_directives_file(file), listed=listed)
        return tuple(found.values())

    def _system(self) -> tuple[str, str]:
        """Give the system and its release; the release stays open for a system that is not this machine's."""
        request = self.request
        if request.os and request.codename:
            return request.os, request.codename
        try:
            system = complete_system(BaseSystem(os=request.os, codename=request.codename))
        except InputError:
            if not request.os:
                raise
            return request.os, request.codename
        return system.os, system.codename

    def _read(self, inc: Path) -> tuple[ListedName, ...]:
        try:
            return parse_images_inc(read_whole(inc, "list of images"), str(inc))
        except ProblemsError as error:
            self.problems += error.problems
        except InputError as error:
            self.problems.append(Problem(str(inc), error.message))
        return ()

    def _files(self, folder: Path, listed: ListedName, places: tuple[str, ...]) -> tuple[Path, ...]:
        """Give the directives files of the first place that has any; a mistake when none has."""
        for place in places:
            files = tuple(sorted((folder / place).glob(f"*.{self.request.stream}_docker_image")))
            if files:
                return files
        what = "there is no such folder" if not folder.is_dir() else f"no file in {' or '.join(places)}"
        expected = f"*.{self.request.stream}_docker_image expected"
        message = f"{listed.name}: {what}; {expected}"
        self.problems.append(Problem(listed.source, message, listed.line, listed.column))
        return ()
