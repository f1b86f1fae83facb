# SPDX-License-Identifier: Apache-2.0
"""Checks of what an image is to hold, by its files and its configuration alone; nothing of it runs."""

import re
from collections.abc import Callable, Mapping, Sequence

from packaging.utils import canonicalize_name

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import Json
from stxbuildah.layer.entrypoint import find_entry_point, variables
from stxbuildah.layer.environment import find_environment
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.paths import base_name, is_below, read_file, resolve
from stxbuildah.layer.requirements import unmet
from stxbuildah.layer.sharedlibraries import missing_libraries
from stxbuildah.layer.wantedpackages import lacking_os_packages, lacking_python_packages
from stxbuildah.model.imagebuild import ImageDirectives, LociBuild
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.verify import Check, CheckResult, Verdict

_NO_DIRECTIVES = "its directives file is not known"
_LIBRARY = re.compile(r"\.so(?:\.\d+)*$")
_NAME_OF_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")
# Fields of passwd(5) and group(5).
_NAME, _ID, _GROUP = 0, 2, 3


def check_programs(
    tree: FileTree, settings: Mapping[str, Json], architecture: str, modules: Sequence[str] = ()
) -> tuple[CheckResult, CheckResult]:
    """Check that what an image starts with is there, and the libraries that it takes.

    Args:
        tree: the image.
        settings: ``config`` of its configuration.
        architecture: as the configuration says it.
        modules: canonical paths of compiled Python modules, whose libraries have to be there, too.
    """
    entry = find_entry_point(tree, settings, architecture)
    first = _skipped(Check.ENTRY_POINT, "it has neither ENTRYPOINT nor CMD")
    if entry.argv:
        shown = entry.programs[0] if entry.programs else entry.argv[0]
        first = result(Check.ENTRY_POINT, entry.problems, f"{shown} is there", f"{entry.argv[0]} cannot be started")
    if not entry.programs and not modules:
        return first, _skipped(Check.LIBRARIES, "there is no program to look at")
    path = variables(settings).get("LD_LIBRARY_PATH", "")
    missing = [one for program in entry.programs for one in missing_libraries(tree, program, library_path=path)]
    own = {base_name(module) for module in modules}
    for module in modules:
        # Some bring libraries and load them by themselves.
        missing += [one for one in missing_libraries(tree, module, library_path=path) if one.split(",")[0] not in own]
    of = ", ".join([*entry.programs, *([f"{len(modules)} compiled modules"] if modules else [])])
    lacking = tuple(dict.fromkeys(missing))
    return first, result(Check.LIBRARIES, lacking, f"all libraries of {of} are there", f"libraries of {of} are missing")


def compiled_modules(tree: FileTree, files: Mapping[str, Entry], settings: Mapping[str, Json]) -> tuple[str, ...]:
    """Give the compiled modules and libraries of the Python environment that is first on an image's PATH.

    Args:
        tree: the image.
        files: all its paths.
        settings: ``config`` of its configuration.
    """
    try:
        environment = find_environment(tree, variables(settings)["PATH"])
    except InputError:
        environment = None
    if environment is None:
        return ()
    folders = {environment.purelib, environment.platlib}
    return tuple(
        path
        for path in sorted(files)
        if files[path].kind is Kind.FILE and _LIBRARY.search(path) and any(is_below(path, folder) for folder in folders)
    )


def check_python(
    tree: FileTree, settings: Mapping[str, Json], directives: ImageDirectives | None
) -> tuple[CheckResult, CheckResult]:
    """Check what ``pip check`` does, and that PIP_PACKAGES are installed.

    Args:
        tree: the image.
        settings: ``config`` of its configuration.
        directives: what its file says; None when it is not known.
    """
    build = directives.build if directives is not None else None
    python = "python" if isinstance(build, LociBuild) and not build.python3 else ""
    try:
        inventory = take_inventory(tree, variables(settings)["PATH"], python)
    except InputError as error:
        return (
            CheckResult(check=Check.REQUIREMENTS, verdict=Verdict.FAILED, sentence=error.message),
            _pip_packages(directives, None),
        )
    if inventory.environment is None:
        return _skipped(Check.REQUIREMENTS, "it has no Python"), _pip_packages(directives, inventory)
    count = len(inventory.distributions)
    requirements = result(
        Check.REQUIREMENTS,
        unmet(inventory.distributions, inventory.environment),
        f"all that {count} packages of {inventory.environment.prefix} require is there",
        f"requirements of packages of {inventory.environment.prefix} are not met",
    )
    return requirements, _pip_packages(directives, inventory)


def _pip_packages(directives: ImageDirectives | None, inventory: Inventory | None) -> CheckResult:
    check = Check.PIP_PACKAGES
    if directives is None:
        return _skipped(check, _NO_DIRECTIVES)
    if not isinstance(directives.build, LociBuild) or not directives.build.pip_packages:
        return _skipped(check, "its directives list none")
    removed = {canonicalize_name(name) for name in directives.post_build.remove_python_packages}
    wanted = [word for word in directives.build.pip_packages if _python_name(word) not in removed]
    installed = inventory.distributions if inventory is not None else ()
    lacking = lacking_python_packages(installed, wanted)
    return result(check, lacking, f"{_all(len(wanted))} installed", "Python packages are not as they were asked for")


def _python_name(requirement: str) -> str:
    found = _NAME_OF_REQUIREMENT.match(requirement)
    return canonicalize_name(found[0]) if found else ""


def check_dist_packages(tree: FileTree, directives: ImageDirectives | None) -> CheckResult:
    """Check that DIST_PACKAGES are installed, but those that POSTBUILD_REMOVE_OS_PACKAGES took away again."""
    check = Check.DIST_PACKAGES
    if directives is None:
        return _skipped(check, _NO_DIRECTIVES)
    if not isinstance(directives.build, LociBuild) or not directives.build.dist_packages:
        return _skipped(check, "its directives list none")
    removed = directives.post_build.remove_os_packages
    wanted = [word for word in directives.build.dist_packages if word not in removed]
    lacking = lacking_os_packages(tree, wanted)
    return result(check, lacking, f"{_all(len(wanted))} installed", "packages are not as they were asked for")


def check_account(tree: FileTree, directives: ImageDirectives | None) -> CheckResult:
    """Check that the user and the group of a LOCI image's project have their ids, and own the project's folders."""
    check = Check.ACCOUNT
    if directives is None:
        return _skipped(check, _NO_DIRECTIVES)
    build, name = directives.build, directives.project
    if not isinstance(build, LociBuild):
        return _skipped(check, "only images of BUILDER=loci have an account of their own")
    uid, gid = str(build.project_uid), str(build.project_gid)
    user, group = _account(tree, "/etc/passwd", name), _account(tree, "/etc/group", name)
    wrong = []
    if user is None:
        wrong.append(f"there is no user {name}")
    elif user[_ID : _GROUP + 1] != [uid, gid]:
        wrong.append(f"the user {name} has the ids {':'.join(user[_ID : _GROUP + 1])}, not {uid}:{gid}")
    if group is None:
        wrong.append(f"there is no group {name}")
    elif group[_ID] != gid:
        wrong.append(f"the group {name} has the id {group[_ID]}, not {gid}")
    for folder in (f"{above}/{name}" for above in ("/etc", "/var/log", "/var/lib", "/var/cache")):
        real = resolve(tree, folder)
        entry = tree.lstat(real) if real else None
        if entry is None:
            wrong.append(f"there is no {folder}")
        elif (entry.uid, entry.gid) != (build.project_uid, build.project_gid):
            wrong.append(f"{folder} belongs to {entry.uid}:{entry.gid}, not to {uid}:{gid}")
    return result(check, wrong, f"{name} has the ids {uid}:{gid}", f"the account {name} is not as it should be")


def _account(tree: FileTree, path: str, name: str) -> list[str] | None:
    """Give the fields of an account's line; None when there is none that is whole."""
    lines = (read_file(tree, path) or b"").decode("utf-8", "surrogateescape").splitlines()
    found = (line.split(":") for line in lines)
    return next((fields for fields in found if fields[_NAME] == name and len(fields) > _GROUP), None)


def result(check: Check, wrong: Sequence[str], good: str, bad: str) -> CheckResult:
    """Give the result of a check that looked for what is wrong.

    Args:
        check: the check.
        wrong: what is wrong, a sentence each.
        good: what is said when nothing is.
        bad: what is said when several things are; a single one is said itself.
    """
    if not wrong:
        return CheckResult(check=check, verdict=Verdict.OK, sentence=good)
    if len(wrong) == 1:
        return CheckResult(check=check, verdict=Verdict.FAILED, sentence=wrong[0], details=tuple(wrong))
    sentence = f"{bad}: {wrong[0]}, and {len(wrong) - 1} more"
    return CheckResult(check=check, verdict=Verdict.FAILED, sentence=sentence, details=tuple(wrong))


def guarded(check: Check, carry_out: Callable[[], CheckResult]) -> CheckResult:
    """Give the result of a check; damage in what it reads is a failure of it, too."""
    try:
        return carry_out()
    except InputError as error:
        return CheckResult(check=check, verdict=Verdict.FAILED, sentence=error.message)


def _skipped(check: Check, reason: str) -> CheckResult:
    return CheckResult(check=check, verdict=Verdict.SKIPPED, sentence=reason)


def _all(count: int) -> str:
    return "it is" if count == 1 else f"all {count} are"
