# SPDX-License-Identifier: Apache-2.0
"""The commands that install packages, and what package managers say when they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.engine.packages import (
    PackageManager,
    find_manager,
    missing_dependencies,
    package_suffix,
    refusal,
)
from stxbuildah.engine.process import Completed
from stxbuildah.errors import InputError
from stxbuildah.layer.memory import MemoryTree

FILE = "/image-update/dist-packages/tool"
APT = (
    "apt-get", "--yes", "--allow-downgrades", "--no-install-recommends", "-o", "APT::Sandbox::User=root",
    "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip
QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "LC_ALL=C")
NO_SOURCES = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=/dev/null")

# Of apt 2.6 (bookworm); apt 3.0 (trixie) says the same and then explains itself again, in APT_3.
APT_2 = """\
The following packages have unmet dependencies:
 stx-needy : Depends: stx-absent (>= 2) but it is not installable
             Depends: stx-other but it is not installable or
                      stx-third but it is not installable
             Depends: adduser (>= 99) but 3.134 is to be installed
 stx-single : PreDepends: stx-absent (>= 2) but it is not installable
E: Unable to correct problems, you have held broken packages.
"""
APT_3 = f"""\
Solving dependencies...
Some packages could not be installed. This may mean that you have
requested an impossible situation or if you are using the unstable
distribution that some required packages have not yet been created
or been moved out of Incoming.
The following information may help to resolve the situation:

{APT_2}\
E: The following information from --solver 3.0 may provide additional context:
   Unable to satisfy dependencies. Reached two conflicting decisions:
   1. stx-needy:amd64=1.0 is selected for install
   2. stx-needy:amd64 Depends stx-absent (>= 2)
      but none of the choices are installable:
      [no choices]
"""
DPKG = """\
Unpacking stx-needy (1.0) ...
dpkg: dependency problems prevent configuration of stx-needy:
 stx-needy depends on stx-absent (>= 2); however:
  Package stx-absent is not installed.
 stx-needy depends on stx-other | stx-third; however:
  Package stx-other is not installed.
  Package stx-third is not installed.
 stx-needy depends on adduser (>= 99); however:
  Version of adduser on system is 3.152.

dpkg: error processing package stx-needy (--install):
 dependency problems - leaving unconfigured
"""
# Of dnf 4; dnf5 says it by the same library.
DNF = """\
Error:
 Problem 1: conflicting requests
  - nothing provides stx-absent >= 2 needed by stx-needy-1.0-1.noarch from @commandline
 Problem 2: conflicting requests
  - nothing provides /bin/sh needed by stx-single-1.0-1.noarch from @commandline
(try to add '--skip-broken' to skip uninstallable packages)
"""
RPM = """\
error: Failed dependencies:
\tstx-absent >= 2 is needed by stx-needy-1.0-1.noarch
\t/bin/sh is needed by stx-single-1.0-1.noarch
"""
YUM = """\
--> Finished Dependency Resolution
Error: Package: stx-needy-1.0-1.noarch (/stx-needy-1.0-1.noarch)
           Requires: stx-absent >= 2
Error: Package: stx-single-1.0-1.noarch (/stx-single-1.0-1.noarch)
           Requires: /bin/sh
 You could try using --skip-broken to work around the problem
"""
BY_DEB = {
    "stx-needy": ["stx-absent (>= 2)", "stx-other | stx-third", "adduser (>= 99)"],
    "stx-single": ["stx-absent (>= 2)"],
}
BY_RPM = {"stx-needy-1.0-1.noarch": ["stx-absent >= 2"], "stx-single-1.0-1.noarch": ["/bin/sh"]}


@pytest.mark.parametrize(
    ("manager", "allowed", "commands"),
    [
        ("apt-get", False, ((*APT, *NO_SOURCES, "install", FILE),)),
        ("apt-get", True, ((*APT, "-o", "APT::Update::Error-Mode=any", "update"), (*APT, "install", FILE))),
        ("dpkg", False, (("dpkg", "--force-confdef", "--force-confold", "--install", FILE),)),
        ("dpkg", True, (("dpkg", "--force-confdef", "--force-confold", "--install", FILE),)),
        ("rpm", False, (("rpm", "--upgrade", "--oldpackage", "--replacepkgs", FILE),)),
        ("rpm", True, (("rpm", "--upgrade", "--oldpackage", "--replacepkgs", FILE),)),
        *(
            (name, allowed, ((name, "--assumeyes", *offline, "--setopt=install_weak_deps=False", "install", FILE),))
            for name in ("dnf", "dnf5", "yum")
            for allowed, offline in ((False, ("--disablerepo=*",)), (True, ()))
        ),
    ],
)
def test_the_commands(manager: str, allowed: bool, commands: tuple[tuple[str, ...], ...]) -> None:
    found = PackageManager(name=manager, suffix=".any").commands([FILE], allow_repositories=allowed)
    assert found == tuple((*QUIETLY, *command) for command in commands)


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        (APT_2, BY_DEB),
        (APT_3, BY_DEB),
        (DPKG, {"stx-needy": BY_DEB["stx-needy"]}),
        (DNF, BY_RPM),
        (RPM, BY_RPM),
        (YUM, BY_RPM),
        ("dpkg: error: cannot access archive '/x.deb'\n", {}),
    ],
)
def test_what_is_missing(said: str, missing: dict[str, list[str]]) -> None:
    assert missing_dependencies(said.splitlines()) == missing


@given(st.lists(st.sampled_from([*APT_3.splitlines(), *DPKG.splitlines(), *YUM.splitlines(), *DNF.splitlines()])))
def test_messages_in_any_order_are_read_without_an_error(lines: list[str]) -> None:
    for needed in missing_dependencies(lines).values():
        assert needed
        assert all(needed)


@pytest.mark.parametrize(
    ("programs", "suffix", "manager"),
    [
        (("apt-get", "dpkg"), ".deb", "apt-get"),
        (("dpkg",), ".deb", "dpkg"),
        (("rpm", "yum", "dnf", "dnf5"), ".rpm", "dnf"),
        (("rpm", "yum"), ".rpm", "yum"),
        (("rpm", "microdnf"), ".rpm", "rpm"),
    ],
)
def test_the_best_manager_of_an_image_is_found(programs: tuple[str, ...], suffix: str, manager: str) -> None:
    tree = MemoryTree({f"/usr/bin/{program}": b"" for program in programs})
    assert find_manager(tree, suffix, image="x:1") == PackageManager(name=manager, suffix=suffix)


def test_an_image_without_a_manager() -> None:
    with pytest.raises(InputError, match=r"the image x:1 has no program that installs \.rpm packages") as raised:
        find_manager(MemoryTree({"/usr/bin/dpkg": b""}), ".rpm", image="x:1")
    assert raised.value.hint == "looked for dnf, dnf5, yum, rpm in /usr/bin, /bin, /usr/local/bin"


def test_one_kind_of_package() -> None:
    assert package_suffix(["a.deb", "b.deb"]) == ".deb"
    with pytest.raises(InputError, match="both kinds"):
        package_suffix(["a.deb", "b.rpm"])
    with pytest.raises(InputError, match=r"tool\.txt is no distribution package"):
        package_suffix(["a.deb", "tool.txt"])


@pytest.mark.parametrize(("manager", "said", "offers"), [("dnf", DNF, True), ("rpm", RPM, False)])
def test_only_a_manager_that_fetches_is_offered_repositories(manager: str, said: str, offers: bool) -> None:
    completed = Completed(argv=(manager,), returncode=1, stdout=said.encode(), tail=())
    error = refusal(PackageManager(name=manager, suffix=".rpm"), completed, allow_repositories=False)
    assert error.message == (
        "the image lacks what the packages depend on: stx-needy-1.0-1.noarch needs stx-absent >= 2; "
        "stx-single-1.0-1.noarch needs /bin/sh"
    )
    assert ("--allow-repos" in error.hint) is offers


def test_another_refusal_is_told_with_the_last_lines() -> None:
    completed = Completed(argv=("apt-get",), returncode=100, stdout=b"", tail=("E: it broke",))
    error = refusal(PackageManager(name="apt-get", suffix=".deb"), completed, allow_repositories=False)
    assert error.message == "apt-get could not install the packages (exit status 100)"
    assert error.details == ("E: it broke",)
