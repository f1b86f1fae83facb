# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.directive.image import read_image_directives
from stxbuildah.model.imagebuild import (
    Builder,
    Checkout,
    DockerBuild,
    ImageDirectives,
    LociBuild,
    PostBuild,
    ReadDirectives,
    ScriptBuild,
)

FILE = Path("/site/a.stable_docker_image")


def read(text: str) -> ReadDirectives:
    return read_image_directives(text, FILE)


def directives(text: str) -> ImageDirectives:
    found = read(text)
    assert found.problems == ()
    assert found.directives is not None
    return found.directives


def mistakes(text: str) -> list[str]:
    found = read(text)
    assert found.directives is None
    return [str(problem).removeprefix(f"{FILE}:") for problem in found.problems]


def test_docker_with_a_folder() -> None:
    assert directives("BUILDER=docker\nLABEL=stx-x\n") == ImageDirectives(
        file=FILE,
        builder=Builder.DOCKER,
        label="stx-x",
        build=DockerBuild(context=Path("/site/docker"), containerfile=Path("/site/docker/Dockerfile")),
        post_build=PostBuild(
            remove_python_packages=("pip",), remove_os_packages=("python3-pip", "python-pip-whl")
        ),
    )  # fmt: skip
    text = "BUILDER=docker LABEL=x DOCKER_CONTEXT=../../docker"
    assert directives(text).build == DockerBuild(
        context=Path("/site/../../docker"), containerfile=Path("/site/../../docker/Dockerfile")
    )
    assert directives(f"{text} DOCKER_FILE=./Dockerfile").build == DockerBuild(
        context=Path("/site/../../docker"), containerfile=Path("/site/Dockerfile")
    )


def test_docker_with_a_repository() -> None:
    text = "BUILDER=docker\nLABEL=x\nPROJECT=p\nDOCKER_REPO=https://h/x.git\n"
    assert directives(text).build == DockerBuild(checkout=Checkout(url="https://h/x.git", ref="master"))
    assert directives(text + 'DOCKER_REF=v1\nDOCKER_PATCHES="a.patch \\\n b/c.patch"\n').build == DockerBuild(
        checkout=Checkout(url="https://h/x.git", ref="v1", patches=(Path("/site/a.patch"), Path("/site/b/c.patch")))
    )


def test_loci() -> None:
    found = directives(
        "BUILDER=loci\nLABEL=stx-nova\nPROJECT=nova\nPROJECT_REPO=https://h/nova.git\nPROJECT_REF=stable/1\n"
        'PROJECT_UID=7\nPROJECT_GID=8\nPIP_PACKAGES="a b>=2 \\\n  c[x]"\nUPGRADE_PIP_PACKAGES=setuptools\n'
        "DIST_PACKAGES='libvirt0 e2fsprogs=1.0'\nPROFILES=\"fluent apache\"\nPYTHON3=no\nDIST_REPOS='OS -STX'\n"
        "NON_UNIQUE_SYSTEM_ACCOUNT=yes\nUPDATE_SYSTEM_ACCOUNT=no\nSPICE_REPO=https://h/spice\nSPICE_REF=v2\n"
        "IMAGE_UPDATE_VER=3\n"
    )
    assert (found.project, found.update_version) == ("nova", 3)
    assert found.build == LociBuild(
        project_repo="https://h/nova.git", project_ref="stable/1", project_uid=7, project_gid=8,
        pip_packages=("a", "b>=2", "c[x]"), upgrade_pip_packages=("setuptools",),
        dist_packages=("libvirt0", "e2fsprogs=1.0"), profiles=("fluent", "apache"), python3=False,
        dist_repos=("OS", "-STX"), non_unique_system_account=True, spice_repo="https://h/spice", spice_ref="v2",
    )  # fmt: skip


def test_loci_without_a_project_and_from_a_local_folder() -> None:
    infra = directives("BUILDER=loci\nLABEL=x\nPROJECT=infra\nPROJECT_REPO=nil\n").build
    assert infra == LociBuild(project_uid=42424, project_gid=42424)
    mirror = directives("BUILDER=loci\nLABEL=x\nPROJECT=p\nPROJECT_REPO=../src\nMIRROR_LOCAL=yes\n").build
    assert mirror == LociBuild(project_repo="../src", mirror_local=True)


def test_script() -> None:
    text = "BUILDER=script\nLABEL=x\nSOURCE_REPO=https://h/x\nSCRIPT=build.sh\n"
    assert directives(text).build == ScriptBuild(
        checkout=Checkout(url="https://h/x", ref="master"), command="bash", script=Path("/site/build.sh")
    )
    assert directives(text + "COMMAND=bash\nARGS='-a b'\nSOURCE_REF=v1\nSOURCE_PATCHES=p\n").build == ScriptBuild(
        checkout=Checkout(url="https://h/x", ref="v1", patches=(Path("/site/p"),)),
        script=Path("/site/build.sh"),
        arguments=("-a", "b"),
    )


def test_what_follows_the_build_is_kept_byte_for_byte() -> None:
    text = "BUILDER=docker\nLABEL=x\nCUSTOMIZATION=\"\n  a * \\\n b '$ 5'\n\"\nPOSTBUILD_COMMAND=' x\n'\n"
    assert directives(text).post_build == PostBuild(customization="\n  a *  b '$ 5'\n", command=" x\n")


def test_an_empty_list_of_what_goes_differs_from_none() -> None:
    text = "BUILDER=docker\nLABEL=x\nPOSTBUILD_REMOVE_PYTHON_PACKAGES=\"\"\nPOSTBUILD_REMOVE_OS_PACKAGES='a b'\n"
    assert directives(text).post_build == PostBuild(remove_python_packages=(), remove_os_packages=("a", "b"))


def test_what_bash_accepts_is_accepted() -> None:
    text = "VERSION=1.2\nBUILDER=loci\nexport BUILDER=docker\nLABEL=x-$VERSION\nLABEL+=y\nPROJECT_UID=\nSCRIPT=a\n"
    found = read(text)
    assert found.directives is not None
    assert (found.directives.builder, found.directives.label) == (Builder.DOCKER, "x-1.2y")
    assert found.keys == (
        ("VERSION", "1.2"), ("BUILDER", "docker"), ("LABEL", "x-1.2y"), ("PROJECT_UID", ""), ("SCRIPT", "a"),
    )  # fmt: skip
    assert (found.key("LABEL"), found.key("PROJECT")) == ("x-1.2y", "")


def test_keys_and_mistakes_are_both_given() -> None:
    found = read("BUILDER=docker\nLABEL=x\nPROJECT=`id`\n")
    assert dict(found.keys)["LABEL"] == "x"
    assert [(problem.line, problem.column) for problem in found.problems] == [(3, 9)]
    assert found.directives is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [" BUILDER is missing: docker, loci or script expected", " LABEL is missing: the image's name expected"]),
        ("BUILDER=\nLABEL=''\n", ["1:1: BUILDER is empty: docker, loci or script expected",
                                  "2:1: LABEL is empty: the image's name expected"]),
        ("BUILDER=podman\nLABEL=h:5000/a:1\n", [
            "1:1: BUILDER: 'podman' is no builder: docker, loci, script",
            ("2:1: LABEL: 'h:5000/a:1' is more than the name of an image: "
            "no registry, account, tag or digest expected")]),
        ("BUILDER=docker\nLABEL=x\nIMAGE_UPDATE_VERS=1\nDOCKERFILE=a\n", [
            "3:1: IMAGE_UPDATE_VERS is not a key of an image directives file; did you mean IMAGE_UPDATE_VER?",
            "4:1: DOCKERFILE is not a key of an image directives file; did you mean DOCKER_FILE?"]),
        ("BUILDER=docker\nLABEL=x\nDOCKER_REPO=https://h/x\nDOCKER_FILE=a\nDOCKER_CONTEXT=b\n", [
            "4:1: DOCKER_FILE and DOCKER_REPO exclude each other",
            "5:1: DOCKER_CONTEXT and DOCKER_REPO exclude each other"]),
        ("BUILDER=docker\nLABEL=x\nDOCKER_REF=v1\nDOCKER_PATCHES=a\n", [
            "3:1: DOCKER_REF says what to take from DOCKER_REPO, which is not set",
            "4:1: DOCKER_PATCHES says what to take from DOCKER_REPO, which is not set"]),
        ("BUILDER=docker\nLABEL=x\nDOCKER_REPO=ext::sh\nDOCKER_REF=-x\n", [
            "3:1: DOCKER_REPO: the module source 'ext::sh' names a git remote helper, which may run any program",
            "4:1: DOCKER_REF: the git ref '-x' starts with a dash: git would read it as an option"]),
        ("BUILDER=loci\nLABEL=x\n", [" PROJECT is missing: the project's name, or infra expected"]),
        ("BUILDER=loci\nLABEL=x\nPROJECT=nova\n", [" PROJECT_REPO is missing: the project's git repository expected"]),
        ("BUILDER=loci\nLABEL=x\nPROJECT='no va'\nPROJECT_REPO=nil\n", [
            "3:1: PROJECT: 'no va' cannot be the name of the project's account: lower case, digits, - and _"]),
        ("BUILDER=loci\nLABEL=x\nPROJECT=nova\nPROJECT_REPO=nil\n", [
            "4:1: PROJECT_REPO: 'nil' is no git repository: https://, http://, ssh://, file:// or user@host:path"]),
        (("BUILDER=loci\nLABEL=x\nPROJECT=infra\nPYTHON3=true\nPROJECT_UID=1x\nPIP_PACKAGES='a -e b'\n"
         "DIST_PACKAGES=--force\nPROFILES='a b!'\nDIST_REPOS=OS,STX\n"), [
            "4:1: PYTHON3: 'true' is neither yes nor no",
            "5:1: PROJECT_UID: '1x' is no whole number",
            "6:1: PIP_PACKAGES: '-e' is no Python package, as name, name[extra] or name==1.0",
            "7:1: DIST_PACKAGES: '--force' is no package: a program would read it as an option",
            "8:1: PROFILES: 'b!' is no profile of bindep",
            "9:1: DIST_REPOS: 'OS,STX' is no name of package lists, as OS or -STX"]),
        ("BUILDER=script\nLABEL=x\nCOMMAND=python\n", [
            " SOURCE_REPO is missing: a git repository expected",
            " SCRIPT is missing: the script to run, beside this file expected",
            "3:1: COMMAND: 'python' cannot be used: bash expected"]),
        ("BUILDER=script\nLABEL=x\nSOURCE_REPO=https://h/x\nSCRIPT=../x\n", [
            "4:1: SCRIPT: '../x' leads out of the folder of this file"]),
        ("BUILDER=docker\nLABEL=x\nPROJECT=$NOWHERE\n", [
            "3:1: PROJECT uses NOWHERE, which this file does not set: write the value out"]),
        # Behind a mistake of the syntax a key that seems to be missing may well stand.
        ("BUILDER=docker\nLABEL x\n", [
            "2:1: 'LABEL' is a command; only KEY=value is allowed here, with no blank before ="]),
    ],
)  # fmt: skip
def test_mistakes(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


@given(st.dictionaries(st.sampled_from(["CUSTOMIZATION", "POSTBUILD_COMMAND", "ARGS"]), st.text('ab \n"$`*\\#é')))
def test_values_in_single_quotes_come_back_as_they_are(values: dict[str, str]) -> None:
    text = "BUILDER=docker\nLABEL=x\n" + "".join(f"{key}='{value}'\n" for key, value in values.items())
    found = read(text)
    assert found.problems == ()
    assert dict(found.keys) == {"BUILDER": "docker", "LABEL": "x"} | values


@given(st.text("BUILDER=docker LABEL\n'\"\\$`#x", max_size=60))
def test_any_text_is_read_or_told(text: str) -> None:
    found = read(text)
    assert (found.directives is None) == bool(found.problems)
