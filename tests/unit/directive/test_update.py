# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.update import KEYS, parse_update_directives
from stxbuildah.errors import ProblemsError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import UpdateDirectives

# The guide's own table of the keys, comments behind empty values included.
GUIDE = """\
FROM= # Specify the base image (equivalent to --from)
IMAGE_UPDATE_VER= # Specify image update version (equivalent to --version)
CUSTOMIZATION_SCRIPT= # Specify customization script (equivalent to --customize)
WHEELS= # Specify one or more wheel files (equivalent to --wheel)
DIST_PACKAGES= # Specify one or more software packages (equivalent to --pkg)
MODULE_SRC= # Specify one or more python module source locations (equivalent to --module-src)
EXTRA_FILES= # Specify one or more extra files to be accessible to customization script (equivalent to --extra)
"""


def parse(text: str, folder: str = "/site") -> UpdateDirectives:
    return parse_update_directives(text, "update.cfg", Path(folder))


def mistakes(text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_guides_empty_file() -> None:
    assert parse(GUIDE) == UpdateDirectives()
    assert parse("") == UpdateDirectives()


def test_every_key() -> None:
    assert parse(
        """
        FROM=registry.example:5000/u/stx-nova:1.0 # the base
        IMAGE_UPDATE_VER=7
        CUSTOMIZATION_SCRIPT="scripts/my custom.sh"
        WHEELS="a.whl \\
                /abs/b-*.whl https://files.example/c.whl"
        WHEELS+=" ../d.whl"
        DIST_PACKAGES='debs/*.deb
                       http://files.example/x.deb'
        MODULE_SRC="modules/aodh modules/nova|1.2 https://git.example/x.git|main|3.0 ssh://git@h/y|r git@h:z|r"
        EXTRA_FILES=./data/[ab].txt
        """
    ) == UpdateDirectives(
        from_image=ImageReference("registry.example:5000/u/stx-nova", "1.0"),
        version="7",
        customization_script=Path("/site/scripts/my custom.sh"),
        wheels=("/site/a.whl", "/abs/b-*.whl", "https://files.example/c.whl", "/site/../d.whl"),
        dist_packages=("/site/debs/*.deb", "http://files.example/x.deb"),
        module_src=(
            "/site/modules/aodh",
            "/site/modules/nova|1.2",
            "https://git.example/x.git|main|3.0",
            "ssh://git@h/y|r",
            "git@h:z|r",
        ),
        extra_files=("/site/./data/[ab].txt",),
    )


def test_paths_of_a_file_in_the_working_folder_stay_as_they_are() -> None:
    found = parse("WHEELS='a.whl b*.whl' CUSTOMIZATION_SCRIPT=c.sh MODULE_SRC=src", folder=".")
    assert found == UpdateDirectives(
        wheels=("a.whl", "./b*.whl"), customization_script=Path("c.sh"), module_src=("src",)
    )


def test_marks_in_the_folders_own_name_are_no_wildcards(tmp_path: Path) -> None:
    folder = tmp_path / "[v1] *"
    folder.mkdir()
    (folder / "a.whl").touch()
    (pattern,) = parse("WHEELS=*.whl", folder=str(folder)).wheels
    assert list(map(str, tmp_path.glob(str(Path(pattern).relative_to(tmp_path))))) == [str(folder / "a.whl")]


def test_a_remote_helper_of_git_is_left_for_the_parser_of_module_sources_to_refuse() -> None:
    assert parse("MODULE_SRC='ext::sh'").module_src == ("ext::sh",)


def test_all_mistakes_at_once_with_line_and_column() -> None:
    assert mistakes(
        "FROM=a:1\nWHEEL=x.whl\n  FROM=b:1; label=x\nIMAGE_UPDATE_VER='1/2'\nEXTRA_FILES=$MY_WORKSPACE/x${Y}\n"
    ) == [
        "update.cfg:2:1: WHEEL is not a key of an update directives file; did you mean WHEELS?",
        "update.cfg:3:3: FROM is already set above",
        "update.cfg:3:13: label is not a key of an update directives file",
        "update.cfg:4:1: IMAGE_UPDATE_VER: '1/2' cannot be the version of an image update",
        "update.cfg:5:1: EXTRA_FILES uses MY_WORKSPACE, Y, which this file does not set: write the value out",
    ]
    assert mistakes("FROM=Upper:1") == ["update.cfg:1:1: FROM: 'Upper:1' is not an image reference"]


def test_mistakes_of_the_syntax_are_told_too() -> None:
    assert mistakes("FROM=`x`\nfoo\n") == [
        "update.cfg:1:6: a command substitution needs a shell; this file is read, not executed: write the value out",
        "update.cfg:2:1: 'foo' is a command; only KEY=value is allowed here, with no blank before =",
    ]


NAMES = st.text("abz09._-", min_size=1, max_size=8).map(lambda name: f"{name}.whl")


@given(st.dictionaries(st.sampled_from(KEYS[3:]), st.lists(NAMES, max_size=4)))
def test_lists_come_back_word_for_word(lists: dict[str, list[str]]) -> None:
    text = "\n".join(f'{key}="{"  ".join(names)}"' for key, names in lists.items())
    found = parse(text)
    expected = {key: tuple(f"/site/{name}" for name in lists.get(key, [])) for key in KEYS[3:]}
    assert (found.wheels, found.dist_packages, found.module_src, found.extra_files) == tuple(expected.values())
