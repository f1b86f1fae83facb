# SPDX-License-Identifier: Apache-2.0
import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.content import PackageChange, wheel_content
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.inventory import Inventory, OsRelease, PythonEnvironment, SchemeKind
from tests.unit.layer.layer_listing import (
    ENVIRONMENT,
    SITE,
    Content,
    MakeWheel,
    installed,
    layer_for,
    lines_for,
    listing,
)

INHERITED = "/usr/lib/python3/dist-packages"
WITH_SYSTEM = attrs.evolve(ENVIRONMENT, search_path=(SITE, INHERITED))
DPKG_LIST = "/var/lib/dpkg/info/python3-sample.list"


def test_what_a_virtual_environment_inherits_is_hidden_and_not_removed(wheel: MakeWheel) -> None:
    system = {
        **installed("sample", "1.0", "sample.py", site=INHERITED),
        DPKG_LIST: f"{INHERITED}/sample.py\n{INHERITED}/sample-1.0.dist-info\n".encode(),
    }

    made = layer_for(system, wheel(), environment=WITH_SYSTEM)

    assert not any(INHERITED in line for line in listing(made.content))
    assert made.changes == (PackageChange(name="sample", old="1.0", new="2.0"),)  # type: ignore[arg-type]


DEBIAN = PythonEnvironment(
    interpreter="/usr/bin/python3",
    real_interpreter="/usr/bin/python3.11",
    version=(3, 11),
    kind=SchemeKind.DEBIAN,
    prefix="/usr",
    purelib="/usr/local/lib/python3.11/dist-packages",
    platlib="/usr/local/lib/python3.11/dist-packages",
    scripts="/usr/local/bin",
    data="/usr/local",
    headers="/usr/local/include/python3.11",
    search_path=("/usr/local/lib/python3.11/dist-packages", INHERITED),
    machine="x86_64",
    glibc=(2, 36),
)


def debian_system() -> Content:
    content = dict(installed("sample", "1.0", "sample.py", site=INHERITED))
    del content[f"{INHERITED}/sample-1.0.dist-info/INSTALLER"]
    listed = "\n".join(["/.", *content, f"{INHERITED}/sample-1.0.dist-info", ""])
    return {**content, DPKG_LIST: listed.encode(), "/usr/bin/python3": symlink("python3.11")}


def test_a_module_of_the_distribution_is_an_error_that_names_its_package(wheel: MakeWheel) -> None:
    with pytest.raises(InputError) as caught:
        layer_for(debian_system(), wheel(), environment=DEBIAN)

    assert caught.value.message == "sample 1.0 belongs to the image's package python3-sample"
    assert "--break-system-packages" in caught.value.hint


def test_a_module_of_the_distribution_goes_when_asked_to(wheel: MakeWheel) -> None:
    made = layer_for(debian_system(), wheel(), environment=DEBIAN, break_system_packages=True)

    lines = listing(made.content)
    assert f"- {INHERITED}/sample.py" in lines
    assert f"- {INHERITED}/sample-1.0.dist-info" in lines
    assert "f 644 0:0 /usr/local/lib/python3.11/dist-packages/sample.py" in lines


def test_a_copy_that_another_one_hides_goes_too(wheel: MakeWheel) -> None:
    local = "/usr/local/lib/python3.11/dist-packages"
    hidden = installed("sample", "0.9", "sample.py", site=INHERITED)

    lines = listing(
        layer_for(
            {
                **hidden,
                **installed("sample", "1.0", "sample.py", site=local),
                "/usr/bin/python3": symlink("python3.11"),
            },
            wheel(),
            environment=DEBIAN,
        ).content
    )

    assert [line for line in lines if line.startswith("-")] == [
        f"- {INHERITED}/sample-0.9.dist-info",
        f"- {INHERITED}/sample.py",
        f"- {local}/sample-1.0.dist-info",
    ]


def test_a_file_of_a_package_is_not_replaced_unasked(wheel: MakeWheel) -> None:
    tool = {"/opt/v/bin/tool": b"", "/var/lib/dpkg/info/tools.list": b"/opt/v/bin/tool\n"}
    sample = wheel(entry_points="[console_scripts]\ntool = sample:main\n")

    with pytest.raises(InputError, match="/opt/v/bin/tool belongs to the image's package tools"):
        layer_for(tool, sample)
    assert "f 755 0:0 /opt/v/bin/tool" in lines_for(tool, sample, break_system_packages=True)


@pytest.mark.parametrize(
    ("content", "files", "message"),
    [
        ({f"{SITE}/sample": b""}, {"sample/__init__.py": b""}, f"{SITE}/sample is no folder in the image"),
        ({f"{SITE}/sample": symlink("sample")}, {"sample/a.py": b""}, f"{SITE}/sample is no folder in the image"),
        ({f"{SITE}/sample/a": b""}, {"sample": b""}, f"{SITE}/sample is a folder in the image"),
        ({}, {"sample-2.0.data/scripts/python3": b""}, "/opt/v/bin/python3 would replace the image's Python itself"),
    ],
)
def test_what_is_in_the_way_is_an_error(
    wheel: MakeWheel, content: Content, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        layer_for(content, wheel(files=files))

    assert caught.value.message.endswith(f"sample-2.0-py3-none-any.whl: {message}")


def test_wheels_that_contradict_each_other_are_an_error_that_names_both(wheel: MakeWheel) -> None:
    one, two = wheel("one", files={"same.py": b"1"}), wheel("two", files={"same.py": b"2"})

    with pytest.raises(InputError, match=r"two-2\.0-py3-none-any\.whl: .*/same\.py comes with .*/one-2\.0-py3"):
        layer_for({}, one, two)
    with pytest.raises(InputError, match=r"one-3\.0-.*\.whl: is a wheel of one, as .*/one-2\.0-.*\.whl is"):
        layer_for({}, one, wheel("one", "3.0"))


def test_several_wheels_make_one_layer(wheel: MakeWheel) -> None:
    made = layer_for(installed("two", "1.0", "two.py"), wheel("two"), wheel("one"))

    assert made.changes == (
        PackageChange(name="one", old="", new="2.0"),  # type: ignore[arg-type]
        PackageChange(name="two", old="1.0", new="2.0"),  # type: ignore[arg-type]
    )
    assert [line for line in listing(made.content) if line.endswith(".py")] == [
        f"f 644 0:0 {SITE}/one.py",
        f"f 644 0:0 {SITE}/two.py",
    ]


def test_an_image_without_python_is_an_error(wheel: MakeWheel) -> None:
    with pytest.raises(InputError, match="the image has no Python to install wheels into"):
        wheel_content(MemoryTree({}), Inventory(os_release=OsRelease(), environment=None), [wheel()])


def test_a_wheel_for_another_python_is_an_error(wheel: MakeWheel) -> None:
    with pytest.raises(InputError, match=r"is for cp39-cp39-linux_x86_64; the image has Python 3\.11"):
        layer_for({}, wheel(tag="cp39-cp39-linux_x86_64"))
