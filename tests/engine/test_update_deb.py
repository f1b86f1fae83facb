# SPDX-License-Identifier: Apache-2.0
"""``stxb update`` with Debian packages: what their scripts may do, what stays, and where they come from."""

import subprocess
from pathlib import Path

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.conftest import EngineStore
from tests.engine.debrepo import served, write_lists
from tests.engine.stxb import Images, Stxb, StxbMaker
from tests.engine.wheelhouse import make_deb

pytestmark = pytest.mark.engine

# Starts a service as packages do (deb-systemd-invoke and invoke-rc.d both ask policy-rc.d).
POST = """\
#!/bin/sh
set -e
policy=allowed
if [ -x /usr/sbin/policy-rc.d ]; then
    /usr/sbin/policy-rc.d stx-service start || policy=$?
fi
echo "$policy" > /usr/share/stx-service/policy
invoke-rc.d --skip-systemd-native stx-service start || true
"""
SERVICE = "#!/bin/sh\necho started >> /usr/share/stx-service/started\n"


def with_control(package: Path, files: dict[str, str]) -> Path:
    """Put scripts and lists into a package's control part."""
    tree = package.with_suffix(".unpacked")
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    for name, text in files.items():
        (tree / "DEBIAN" / name).write_text(text)
        (tree / "DEBIAN" / name).chmod(0o755 if text.startswith("#!") else 0o644)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, package], check=True, capture_output=True)
    return package


def dpkg(name: str, *kinds: str) -> set[str]:
    """Give the paths where dpkg records that a package is installed."""
    records = {f"var/lib/dpkg/info/{name}.{kind}" for kind in ("list", "md5sums", *kinds)}
    return {"var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/info", "var/lib/dpkg/status", *records}


def changed(images: Images, reference: str) -> set[str]:
    """Give the paths of an image's last layer."""
    return {member.name for member in images.top_layer(reference)}


@pytest.fixture
def service(tmp_path: Path) -> Path:
    package = make_deb(
        tmp_path,
        "stx-service",
        "1.0",
        files={"/etc/init.d/stx-service": SERVICE, "/usr/share/stx-service/notes": "1\n"},
    )
    tree = package.with_suffix(".unpacked")
    with_control(package, {"postinst": POST})
    (tree / "etc/init.d/stx-service").chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, package], check=True, capture_output=True)
    return package


def test_a_service_is_not_started(stxb: Stxb, images: Images, base_image: ImageReference, service: Path) -> None:
    result = stxb.update("--from", base_image, "--pkg", service, "--tag", "service")
    assert changed(images, result["image"]) == dpkg("stx-service", "postinst") | {
        "etc", "etc/init.d", "etc/init.d/stx-service",
        "usr", "usr/share", "usr/share/stx-service", "usr/share/stx-service/notes", "usr/share/stx-service/policy",
    }  # fmt: skip
    assert images.run(result["image"], "cat", "/usr/share/stx-service/policy") == "101\n"


def test_the_same_package_gives_the_same_image_on_both_drivers(
    stores: dict[str, EngineStore],
    make_stxb: StxbMaker,
    base_image: ImageReference,
    vfs_base_image: ImageReference,
    service: Path,
) -> None:
    assert stores["vfs"].driver == "vfs"
    bases = (("overlay", base_image), ("overlay", base_image), ("vfs", vfs_base_image))
    digests = {
        make_stxb(driver).update("--from", base, "--pkg", service, "--tag", "same")["digest"] for driver, base in bases
    }
    assert len(digests) == 1


def test_upgrade_and_downgrade(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    old = make_deb(tmp_path, "stx-tool", "1.0", files={"/usr/share/stx-tool/old.txt": "1\n"})
    new = make_deb(tmp_path, "stx-tool", "2.0", files={"/usr/share/stx-tool/new.txt": "2\n"})
    first = stxb.update("--from", base_image, "--pkg", old, "--tag", "old")
    second = stxb.update("--from", first["image"], "--pkg", new, "--tag", "new")
    assert changed(images, second["image"]) == dpkg("stx-tool") | {
        "usr", "usr/share", "usr/share/stx-tool", "usr/share/stx-tool/.wh.old.txt", "usr/share/stx-tool/new.txt",
    }  # fmt: skip
    third = stxb.update("--from", second["image"], "--pkg", old, "--tag", "old-again")
    assert images.run(third["image"], "ls", "/usr/share/stx-tool") == "old.txt\n"


def test_a_changed_configuration_file_stays_and_nothing_is_asked(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    conffiles = {"conffiles": "/etc/stx.conf\n"}
    packages = [
        with_control(make_deb(tmp_path, "stx-conf", version, files={"/etc/stx.conf": f"{version}\n"}), conffiles)
        for version in ("1.0", "2.0")
    ]
    script = tmp_path / "change.sh"
    script.write_text("echo mine > /etc/stx.conf\n")
    first = stxb.update("--from", base_image, "--pkg", packages[0], "--customize", script, "--tag", "mine")
    second = stxb.update("--from", first["image"], "--pkg", packages[1], "--tag", "still-mine")
    assert images.run(second["image"], "cat", "/etc/stx.conf", "/etc/stx.conf.dpkg-dist") == "mine\n2.0\n"


def test_by_url(stxb: Stxb, base_image: ImageReference, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    package = make_deb(tmp_path / "served", "stx-tool", "1.0")
    with served(package.parent) as url:
        result = stxb.update("--from", base_image, "--pkg", f"{url}/{package.name}", "--tag", "by-url")
    assert result["changes"]["deb"] == ["+ stx-tool 1.0 all"]


def test_an_image_without_apt(stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path) -> None:
    script = tmp_path / "remove-apt.sh"
    script.write_text("rm /usr/bin/apt-get\n")
    plain = stxb.update("--from", base_image, "--customize", script, "--tag", "plain")["image"]
    needy = make_deb(tmp_path, "stx-needy", "1.0", depends="stx-given (>= 2)")
    said = stxb.refused(1, "--from", plain, "--pkg", needy, "--tag", "never")
    assert "stx-needy needs stx-given (>= 2)" in said
    assert "--allow-repos" not in said
    given = make_deb(tmp_path, "stx-given", "2.0")
    result = stxb.update("--from", plain, "--pkg", needy, "--pkg", given, "--tag", "plain-two")
    assert changed(images, result["image"]) == dpkg("stx-needy") | dpkg("stx-given") | {
        "usr", "usr/share", "usr/share/stx-needy", "usr/share/stx-needy/stx-needy.txt",
        "usr/share/stx-given", "usr/share/stx-given/stx-given.txt",
    }  # fmt: skip


def test_repositories_may_fetch_what_is_missing(
    stxb: Stxb, images: Images, base_image: ImageReference, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    make_deb(repository, "stx-fetched", "3.0")
    write_lists(repository, origin="tests")
    needy = make_deb(tmp_path, "stx-needy", "1.0", depends="stx-fetched (>= 2)")
    with served(repository) as url:
        script = tmp_path / "one-repository.sh"
        script.write_text(
            "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*\n"
            f"echo 'deb [trusted=yes] {url} ./' > /etc/apt/sources.list.d/made.list\n"
        )
        with_repository = stxb.update("--from", base_image, "--customize", script, "--tag", "repository")["image"]
        said = stxb.refused(1, "--from", with_repository, "--pkg", needy, "--tag", "never")
        assert "stx-needy needs stx-fetched (>= 2)" in said
        result = stxb.update("--from", with_repository, "--pkg", needy, "--allow-repos", "--tag", "fetched")
    assert result["changes"]["deb"] == ["+ stx-fetched 3.0 all", "+ stx-needy 1.0 all"]
    extended = {"var/lib/apt", "var/lib/apt/extended_states"}
    assert changed(images, result["image"]) == dpkg("stx-needy") | dpkg("stx-fetched") | extended | {
        "usr", "usr/share", "usr/share/stx-needy", "usr/share/stx-needy/stx-needy.txt",
        "usr/share/stx-fetched", "usr/share/stx-fetched/stx-fetched.txt",
    }  # fmt: skip
    # The repository is gone now, and that is an error rather than a shorter list.
    again = make_deb(tmp_path, "stx-again", "1.0")
    said = stxb.refused(1, "--from", with_repository, "--pkg", again, "--allow-repos", "--tag", "never")
    assert "apt-get could not install the packages" in said
