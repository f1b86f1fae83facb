# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` with rpm packages, on an image made from Debian's dnf and rpm."""

import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.baseimage import CREATED
from tests.engine.conftest import EngineStore
from tests.engine.debrepo import served
from tests.engine.rpmimage import cached_rpm_layout, make_rpm
from tests.engine.stxb import Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_wheel

pytestmark = pytest.mark.engine

DATABASE = {"var", "var/lib", "var/lib/rpm", "var/lib/rpm/rpmdb.sqlite"}
FIRST = ("python3-stx-owned-1.0-1.noarch", "stx-release-1.0-1.noarch")


@pytest.fixture(scope="session")
def rpm_image(stores: dict[str, EngineStore]) -> ImageReference:
    """The rpm image in the overlay store."""
    return _import(stores["overlay"])


def _import(store: EngineStore) -> ImageReference:
    reference = ImageReference.parse("localhost/tests/rpm:1")
    store.store.import_image(f"oci:{cached_rpm_layout()}:base", reference)
    return reference


def recorded(stxb: Stxb, label_and_tag: str) -> list[str]:
    """Give the lines of the one .rpmlst of an image."""
    [path] = stxb.folder.rglob(f"{label_and_tag}.rpmlst")
    return path.read_text().splitlines()


def test_one_transaction_in_a_thin_layer(stxb: Stxb, images: Images, rpm_image: ImageReference, tmp_path: Path) -> None:
    make_rpm(tmp_path / "given", "stx-a-needy", "1.0", requires=("stx-b-given >= 1",))
    make_rpm(tmp_path / "given", "stx-b-given", "1.0", post="echo > /tmp/left; echo > /etc/post-ran")
    result = stxb.update("--from", rpm_image, "--pkg", str(tmp_path / "given/*.rpm"), "--tag", "two")
    assert {member.name for member in images.top_layer(result["image"])} == DATABASE | {
        "etc", "etc/post-ran", "usr", "usr/share", "usr/share/stx-a-needy", "usr/share/stx-a-needy/stx-a-needy.txt",
        "usr/share/stx-b-given", "usr/share/stx-b-given/stx-b-given.txt",
    }  # fmt: skip
    assert result["changes"] == {
        "python": [],
        "deb": [],
        "rpm": ["+ stx-a-needy-1.0-1.noarch", "+ stx-b-given-1.0-1.noarch"],
    }
    installed = images.run(result["image"], "rpm", "-qa").split()
    assert recorded(stxb, "rpm-two") == sorted(installed)
    assert sorted(installed) == [FIRST[0], "stx-a-needy-1.0-1.noarch", "stx-b-given-1.0-1.noarch", FIRST[1]]
    # Times are those of the layer.
    assert images.run(result["image"], "sh", "-c", "rpm --verify --all --nomtime 2>&1; echo $?") == "0\n"


def test_the_same_packages_give_the_same_image_on_both_drivers(
    stores: dict[str, EngineStore], make_stxb: StxbMaker, images: Images, rpm_image: ImageReference, tmp_path: Path
) -> None:
    package = make_rpm(tmp_path, "stx-account", "1.0", post="/usr/sbin/useradd --system --user-group stx-account")
    _import(stores["vfs"])
    digests = {
        make_stxb(driver).update("--from", rpm_image, "--pkg", package, "--tag", "same")["digest"]
        for driver in ("overlay", "overlay", "vfs")
    }
    assert len(digests) == 1
    account = images.run("localhost/tests/rpm:same", "grep", "stx-account", "/etc/shadow")
    # The day of the last change is that of SOURCE_DATE_EPOCH, the base image's creation.
    created = datetime.fromisoformat(CREATED)
    assert account.split(":")[:3] == ["stx-account", "!", str(int(created.timestamp()) // 86400)]
    assert {member.name for member in images.top_layer("localhost/tests/rpm:same")} == DATABASE | {
        "etc", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow",
        "usr", "usr/share", "usr/share/stx-account", "usr/share/stx-account/stx-account.txt",
    }  # fmt: skip


def test_the_list_of_the_computed_lane(stxb: Stxb, rpm_image: ImageReference, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "stx-hello", "1.0")
    result = stxb.update("--from", rpm_image, "--wheel", wheel, "--tag", "computed")
    assert result["lane"] == "computed"
    assert recorded(stxb, "rpm-computed") == list(FIRST)


def test_upgrade_and_downgrade(stxb: Stxb, images: Images, rpm_image: ImageReference, tmp_path: Path) -> None:
    old = make_rpm(tmp_path, "stx-tool", "1.0", files={"/usr/share/stx-tool/old.txt": "1\n"})
    new = make_rpm(tmp_path, "stx-tool", "2.0", files={"/usr/share/stx-tool/new.txt": "2\n"})
    first = stxb.update("--from", rpm_image, "--pkg", old, "--tag", "old")
    second = stxb.update("--from", first["image"], "--pkg", new, "--tag", "new")
    assert second["changes"]["rpm"] == ["- stx-tool-1.0-1.noarch", "+ stx-tool-2.0-1.noarch"]
    folders = {"usr", "usr/share", "usr/share/stx-tool"}
    names = {member.name for member in images.top_layer(second["image"])}
    assert names == DATABASE | folders | {"usr/share/stx-tool/.wh.old.txt", "usr/share/stx-tool/new.txt"}
    third = stxb.update("--from", second["image"], "--pkg", old, "--tag", "old-again")
    assert images.run(third["image"], "rpm", "-q", "stx-tool") == "stx-tool-1.0-1.noarch\n"
    assert images.run(third["image"], "ls", "/usr/share/stx-tool") == "old.txt\n"


def test_by_url(stxb: Stxb, rpm_image: ImageReference, tmp_path: Path) -> None:
    package = make_rpm(tmp_path / "served", "stx-tool", "1.0")
    with served(package.parent) as url:
        result = stxb.update("--from", rpm_image, "--pkg", f"{url}/{package.name}", "--tag", "by-url")
    assert result["changes"]["rpm"] == ["+ stx-tool-1.0-1.noarch"]


def test_a_missing_dependency_is_named(stxb: Stxb, images: Images, rpm_image: ImageReference, tmp_path: Path) -> None:
    needy = make_rpm(tmp_path, "stx-needy", "1.0", requires=("stx-absent >= 2",))
    said = stxb.refused(1, "--from", rpm_image, "--pkg", needy)
    assert "stx-needy-1.0-1.noarch needs stx-absent >= 2" in said
    assert "--allow-repos" in said
    assert images.containers() == []


def test_an_image_without_dnf(stxb: Stxb, images: Images, rpm_image: ImageReference, tmp_path: Path) -> None:
    script = tmp_path / "remove-dnf.sh"
    script.write_text("rm /usr/bin/dnf /usr/bin/dnf-3\n")
    plain = stxb.update("--from", rpm_image, "--customize", script, "--tag", "plain")["image"]
    needy = make_rpm(tmp_path, "stx-needy", "1.0", requires=("stx-given >= 2",))
    said = stxb.refused(1, "--from", plain, "--pkg", needy, "--tag", "never")
    assert "stx-needy-1.0-1.noarch needs stx-given >= 2" in said
    assert "--allow-repos" not in said
    given = make_rpm(tmp_path, "stx-given", "2.0")
    result = stxb.update("--from", plain, "--pkg", needy, "--pkg", given, "--tag", "plain-two")
    assert result["changes"]["rpm"] == ["+ stx-given-2.0-1.noarch", "+ stx-needy-1.0-1.noarch"]
    assert {member.name for member in images.top_layer(result["image"])} == DATABASE | {
        "usr", "usr/share", "usr/share/stx-needy", "usr/share/stx-needy/stx-needy.txt",
        "usr/share/stx-given", "usr/share/stx-given/stx-given.txt",
    }  # fmt: skip


def test_repositories_may_fetch_what_is_missing(
    stxb: Stxb, images: Images, rpm_image: ImageReference, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    make_rpm(repository, "stx-fetched", "3.0")
    subprocess.run(["createrepo_c", "--quiet", repository], check=True, capture_output=True)
    needy = make_rpm(tmp_path, "stx-needy", "1.0", requires=("stx-fetched >= 2",))
    with served(repository) as url:
        script = tmp_path / "add-repository.sh"
        script.write_text(
            f"printf '[made]\\nname=made\\nbaseurl={url}\\ngpgcheck=0\\nenabled=1\\n' > /etc/yum.repos.d/made.repo\n"
        )
        with_repository = stxb.update("--from", rpm_image, "--customize", script, "--tag", "repository")["image"]
        said = stxb.refused(1, "--from", with_repository, "--pkg", needy, "--tag", "never")
        assert "needs stx-fetched >= 2" in said
        result = stxb.update("--from", with_repository, "--pkg", needy, "--allow-repos", "--tag", "fetched")
    assert result["changes"]["rpm"] == ["+ stx-fetched-3.0-1.noarch", "+ stx-needy-1.0-1.noarch"]
    assert {member.name for member in images.top_layer(result["image"])} == DATABASE | {
        "usr", "usr/share", "usr/share/stx-needy", "usr/share/stx-needy/stx-needy.txt",
        "usr/share/stx-fetched", "usr/share/stx-fetched/stx-fetched.txt",
    }  # fmt: skip


def test_a_module_of_a_package_is_not_replaced(stxb: Stxb, rpm_image: ImageReference, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "stx-owned", "2.0")
    said = stxb.refused(2, "--from", rpm_image, "--wheel", wheel)
    assert "python3-stx-owned" in said
    assert "--break-system-packages" in said
