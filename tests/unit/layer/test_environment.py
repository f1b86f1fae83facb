# SPDX-License-Identifier: Apache-2.0
import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.environment import find_environment
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.inventory import PythonEnvironment, SchemeKind
from stxbuildah.model.tree import Entry, Kind
from tests.unit.layer.test_elf import elf

Content = dict[str, bytes | Entry | tuple[Entry, bytes]]

FOLDER = Entry(Kind.DIRECTORY, mode=0o755)
LOADER = "/lib64/ld-linux-x86-64.so.2"


def program(content: bytes = b"") -> tuple[Entry, bytes]:
    return Entry(Kind.FILE, mode=0o755), content or elf(62, LOADER)


DEBIAN: Content = {
    "/var/lib/dpkg/status": b"",
    "/usr/bin/python3": symlink("python3.11"),
    "/usr/bin/python3.11": program(),
    "/usr/lib/python3.11/os.py": b"",
    "/lib": symlink("usr/lib"),
    "/lib64": symlink("usr/lib64"),
    "/bin": symlink("usr/bin"),
    "/usr/lib64/ld-linux-x86-64.so.2": symlink("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"ld.so (Debian GLIBC 2.36-9) stable release version 2.36.\n",
    "/usr/lib/x86_64-linux-gnu/libc.so.6": b"",
}
DEBIAN_ENVIRONMENT = PythonEnvironment(
    interpreter="/usr/bin/python3",
    real_interpreter="/usr/bin/python3.11",
    version=(3, 11),
    kind=SchemeKind.DEBIAN,
    prefix="/usr",
    purelib="/usr/local/lib/python3.11/dist-packages",
    platlib="/usr/local/lib/python3.11/dist-packages",
    scripts="/usr/local/bin",
    data="/usr/local",
    headers="/usr/include/python3.11",
    search_path=(
        "/usr/local/lib/python3.11/dist-packages",
        "/usr/lib/python3/dist-packages",
        "/usr/lib/python3.11/dist-packages",
    ),
    machine="x86_64",
    glibc=(2, 36),
)


def found(content: Content, path: str = "", python: str = "") -> PythonEnvironment:
    environment = find_environment(MemoryTree(content), path, python)
    assert environment is not None
    return environment


def test_debians_own_python() -> None:
    assert found(DEBIAN) == DEBIAN_ENVIRONMENT
    assert found(DEBIAN, "/bin") == attrs.evolve(DEBIAN_ENVIRONMENT, interpreter="/bin/python3")


def test_the_text_of_site_tells_debians_python_from_one_that_was_built_there() -> None:
    patched = b'sitepackages.append(os.path.join(prefix, "lib", "python3", "dist-packages"))'
    without_dpkg = {path: content for path, content in DEBIAN.items() if not path.startswith("/var")}
    assert found({**without_dpkg, "/usr/lib/python3.11/site.py": patched}) == DEBIAN_ENVIRONMENT
    built = found({**DEBIAN, "/usr/lib/python3.11/site.py": b"import os"})
    assert (built.kind, built.purelib, built.scripts) == (
        SchemeKind.PREFIX,
        "/usr/lib/python3.11/site-packages",
        "/usr/bin",
    )


def test_debians_python_2() -> None:
    content: Content = {
        "/var/lib/dpkg/status": b"",
        "/usr/bin/python": symlink("python2"),
        "/usr/bin/python2": symlink("python2.7"),
        "/usr/bin/python2.7": program(),
        "/usr/lib/python2.7/os.pyc": b"",
        "/lib64/ld-linux-x86-64.so.2": symlink("ld-2.28.so"),
        "/lib64/ld-2.28.so": b"",
    }
    assert found(content) == PythonEnvironment(
        interpreter="/usr/bin/python",
        real_interpreter="/usr/bin/python2.7",
        version=(2, 7),
        kind=SchemeKind.DEBIAN,
        prefix="/usr",
        purelib="/usr/local/lib/python2.7/dist-packages",
        platlib="/usr/local/lib/python2.7/dist-packages",
        scripts="/usr/local/bin",
        data="/usr/local",
        headers="/usr/local/include/python2.7",
        search_path=("/usr/local/lib/python2.7/dist-packages", "/usr/lib/python2.7/dist-packages"),
        machine="x86_64",
        glibc=(2, 28),
    )


@pytest.mark.parametrize("minor", range(7, 15))
def test_a_python_that_was_built_for_usr_local_on_debian_is_a_plain_prefix(minor: int) -> None:
    name = f"python3.{minor}"
    content: Content = {
        **DEBIAN,
        "/usr/local/bin/python3": symlink(name),
        f"/usr/local/bin/{name}": program(),
        f"/usr/local/lib/{name}/os.py": b"",
    }
    headers = name + ("m" if minor == 7 else "")
    assert found(content, "/usr/local/bin:/usr/bin") == PythonEnvironment(
        interpreter="/usr/local/bin/python3",
        real_interpreter=f"/usr/local/bin/{name}",
        version=(3, minor),
        kind=SchemeKind.PREFIX,
        prefix="/usr/local",
        purelib=f"/usr/local/lib/{name}/site-packages",
        platlib=f"/usr/local/lib/{name}/site-packages",
        scripts="/usr/local/bin",
        data="/usr/local",
        headers=f"/usr/local/include/{headers}",
        search_path=(f"/usr/local/lib/{name}/site-packages",),
        machine="x86_64",
        glibc=(2, 36),
    )


def test_alpines_python_runs_with_musl() -> None:
    content: Content = {
        "/usr/bin/python3": symlink("python3.12"),
        "/usr/bin/python3.12": program(elf(183, "/lib/ld-musl-aarch64.so.1")),
        "/usr/lib/python3.12/os.py": b"",
        "/lib/ld-musl-aarch64.so.1": b"musl libc\0Version %s\n\0" + b"1.2.5\0",
        # gcompat's, for programs of others
        "/lib/ld-linux-aarch64.so.1": b"ld.so (GNU libc) stable release version 2.36.",
    }
    environment = found(content)
    assert environment.purelib == "/usr/lib/python3.12/site-packages"
    assert (environment.machine, environment.musl, environment.glibc) == ("aarch64", (1, 2), None)


CENTOS_7: Content = {
    "/usr/bin/python": symlink("python2"),
    "/usr/bin/python2": symlink("python2.7"),
    "/usr/bin/python2.7": program(),
    "/usr/lib64/python2.7/os.py": b"",
    "/usr/lib64/python2.7/site.py": b"import sys",
    "/usr/lib/python2.7/site-packages": FOLDER,
    "/lib64": symlink("usr/lib64"),
    "/usr/lib64/ld-linux-x86-64.so.2": symlink("ld-2.17.so"),
    "/usr/lib64/ld-2.17.so": b"",
}


def test_a_python_with_lib64_that_installs_beside_its_packages() -> None:
    assert found(CENTOS_7) == PythonEnvironment(
        interpreter="/usr/bin/python",
        real_interpreter="/usr/bin/python2.7",
        version=(2, 7),
        kind=SchemeKind.PREFIX,
        prefix="/usr",
        purelib="/usr/lib/python2.7/site-packages",
        platlib="/usr/lib64/python2.7/site-packages",
        scripts="/usr/bin",
        data="/usr",
        headers="/usr/include/python2.7",
        search_path=("/usr/lib64/python2.7/site-packages", "/usr/lib/python2.7/site-packages"),
        machine="x86_64",
        glibc=(2, 17),
    )


def test_fedoras_python_installs_to_usr_local() -> None:
    content: Content = {
        "/usr/bin/python3": symlink("/etc/alternatives/python3"),
        "/etc/alternatives/python3": symlink("/usr/bin/python3.6"),
        "/usr/bin/python3.6": symlink("/usr/libexec/platform-python3.6"),
        "/usr/libexec/platform-python3.6": program(),
        "/usr/lib64/python3.6/os.py": b"",
        "/usr/lib64/python3.6/site.py": b"if 'RPM_BUILD_ROOT' not in os.environ: prefixes.insert(0, '/usr/local')\n",
    }
    environment = found(content)
    assert environment.prefix == "/usr"
    assert (environment.purelib, environment.platlib, environment.scripts, environment.data) == (
        "/usr/local/lib/python3.6/site-packages",
        "/usr/local/lib64/python3.6/site-packages",
        "/usr/local/bin",
        "/usr/local",
    )
    assert environment.search_path == (
        "/usr/local/lib64/python3.6/site-packages",
        "/usr/local/lib/python3.6/site-packages",
        "/usr/lib64/python3.6/site-packages",
        "/usr/lib/python3.6/site-packages",
    )


VENV: Content = {
    **DEBIAN,
    "/var/lib/openstack/pyvenv.cfg": b"home = /usr/bin\nInclude-System-Site-Packages = false\nversion = 3.11.2\n",
    "/var/lib/openstack/bin/python3": symlink("/usr/bin/python3"),
    "/var/lib/openstack/bin/python": symlink("python3"),
    "/var/lib/openstack/lib/python3.11/site-packages": FOLDER,
    "/var/lib/openstack/lib64": symlink("lib"),
}
OPENSTACK_PATH = "/var/lib/openstack/bin:/usr/local/bin:/usr/bin"
VENV_ENVIRONMENT = attrs.evolve(
    DEBIAN_ENVIRONMENT,
    interpreter="/var/lib/openstack/bin/python3",
    kind=SchemeKind.VENV,
    prefix="/var/lib/openstack",
    purelib="/var/lib/openstack/lib/python3.11/site-packages",
    platlib="/var/lib/openstack/lib/python3.11/site-packages",
    scripts="/var/lib/openstack/bin",
    data="/var/lib/openstack",
    headers="/var/lib/openstack/include/site/python3.11",
    search_path=("/var/lib/openstack/lib/python3.11/site-packages",),
)


def test_the_first_python_on_path_decides() -> None:
    assert found(VENV, OPENSTACK_PATH) == VENV_ENVIRONMENT
    assert found(VENV, "/usr/bin:/var/lib/openstack/bin") == DEBIAN_ENVIRONMENT


def test_a_virtual_environment_may_show_the_systems_packages() -> None:
    settings = b"home = /usr/bin\ninclude-system-site-packages = true\nversion_info = 3.11.2.final.0\n"
    environment = found({**VENV, "/var/lib/openstack/pyvenv.cfg": settings}, OPENSTACK_PATH)
    own, system = VENV_ENVIRONMENT.search_path, DEBIAN_ENVIRONMENT.search_path
    assert environment == attrs.evolve(VENV_ENVIRONMENT, search_path=(*own, *system))


def test_a_link_to_a_virtual_environments_python_is_the_system_python() -> None:
    # As CPython: pyvenv.cfg is looked for beside the program as it was called.
    content = {**VENV, "/usr/local/bin/python3": symlink("/var/lib/openstack/bin/python3")}
    assert found(content, "/usr/local/bin") == attrs.evolve(DEBIAN_ENVIRONMENT, interpreter="/usr/local/bin/python3")


def test_a_virtual_environment_behind_a_linked_folder_is_found_with_canonical_folders() -> None:
    content = {**VENV, "/venv": symlink("var/lib/openstack")}
    assert found(content, "/venv/bin") == attrs.evolve(VENV_ENVIRONMENT, interpreter="/venv/bin/python3")


@pytest.mark.parametrize(
    "settings", [b"home = /usr/bin\n", b"", b"version = what\n", b"version = 3.9.1\n", b"\xff\xfe"]
)
def test_without_a_usable_version_in_its_settings_what_is_there_decides(settings: bytes) -> None:
    assert found({**VENV, "/var/lib/openstack/pyvenv.cfg": settings}, OPENSTACK_PATH) == VENV_ENVIRONMENT


def test_a_copied_interpreter_without_a_version_in_its_name() -> None:
    content = {**VENV, "/var/lib/openstack/bin/python3": program()}
    assert found(content, OPENSTACK_PATH) == attrs.evolve(
        VENV_ENVIRONMENT, real_interpreter="/var/lib/openstack/bin/python3"
    )


@pytest.mark.parametrize("isolated", [True, False])
def test_a_virtual_environment_of_old_virtualenv(isolated: bool) -> None:
    content: Content = {
        **CENTOS_7,
        "/var/lib/openstack/bin/python": symlink("python2.7"),
        "/var/lib/openstack/bin/python2.7": program(),
        "/var/lib/openstack/lib/python2.7/orig-prefix.txt": b"/usr",
        "/var/lib/openstack/lib/python2.7/site-packages": FOLDER,
    }
    if isolated:
        content["/var/lib/openstack/lib/python2.7/no-global-site-packages.txt"] = b""
    environment = found(content, "/var/lib/openstack/bin:/usr/bin")
    own = "/var/lib/openstack/lib/python2.7/site-packages"
    system = ("/usr/lib64/python2.7/site-packages", "/usr/lib/python2.7/site-packages")
    assert (environment.kind, environment.version, environment.prefix) == (
        SchemeKind.VENV,
        (2, 7),
        "/var/lib/openstack",
    )
    assert (environment.purelib, environment.platlib, environment.scripts) == (own, own, "/var/lib/openstack/bin")
    assert environment.search_path == ((own,) if isolated else (own, *system))
    assert (environment.machine, environment.glibc) == ("x86_64", (2, 17))


def test_an_interpreter_is_taken_by_path_or_name() -> None:
    assert found(VENV, OPENSTACK_PATH, "/usr/bin/python3") == DEBIAN_ENVIRONMENT
    assert found(VENV, OPENSTACK_PATH, "python3.11") == attrs.evolve(
        DEBIAN_ENVIRONMENT, interpreter="/usr/bin/python3.11"
    )


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("/usr/bin/python3.12", "the image has no executable /usr/bin/python3.12"),
        ("/usr/lib", "the image has no executable /usr/lib"),
        ("python3.12", "the image has no python3.12 on its PATH (/var/lib/openstack/bin:/usr/local/bin:/usr/bin)"),
        ("bin/python3", "bin/python3 is neither an absolute path nor a name"),
    ],
)
def test_an_interpreter_that_is_not_there_is_an_error(python: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_environment(MemoryTree(VENV), OPENSTACK_PATH, python)
    assert caught.value.message == message
    assert "--python" in caught.value.hint


def test_what_cannot_be_run_is_passed_over() -> None:
    content: Content = {
        **DEBIAN,
        "/a/python3": symlink("nowhere"),
        "/b/python3": b"not executable",
        "/c/python3": FOLDER,
        "/d": symlink("d"),
    }
    assert found(content, "/a:/b:/c:/d::relative:/usr/bin/") == DEBIAN_ENVIRONMENT


def test_an_image_without_python_has_no_environment() -> None:
    assert find_environment(MemoryTree({"/bin/sh": program()}), "") is None


def test_the_version_is_told_by_the_library_that_is_there() -> None:
    content: Content = {"/opt/python/bin/python3": program(), "/opt/python/lib/python3.10/os.py": b""}
    environment = found(content, "/opt/python/bin")
    assert (environment.version, environment.prefix) == ((3, 10), "/opt/python")


def test_of_several_libraries_the_programs_own_bytes_choose() -> None:
    content: Content = {
        "/usr/bin/python3": program(elf(62) + b"\0libpython3.9.so.1.0\0/usr/lib/python3.9/lib-dynload\0"),
        "/usr/lib/python3.9/os.py": b"",
        "/usr/lib/python3.10/os.py": b"",
        "/usr/lib/python3/dist-packages": FOLDER,
    }
    assert found(content).version == (3, 9)


def test_a_program_without_any_version_is_an_error() -> None:
    with pytest.raises(InputError, match=r"cannot tell the version of the image's Python at /usr/bin/python3"):
        found({"/usr/bin/python3": program(b"#!/bin/sh\n")})


def test_a_free_threaded_python_is_an_error() -> None:
    with pytest.raises(InputError, match=r"python3\.13t is a free-threaded Python"):
        found({"/usr/bin/python3": symlink("python3.13t"), "/usr/bin/python3.13t": program()})
