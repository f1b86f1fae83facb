# SPDX-License-Identifier: Apache-2.0
"""``stxb diff`` and ``stxb history`` of images in the store, in a registry and in a file."""

import pytest

from stxbuildah.model.reference import ImageReference
from tests.engine.registries import Registry
from tests.engine.stxb import Images, Stxb
from tests.engine.wheelhouse import make_deb, make_wheel

pytestmark = pytest.mark.engine

PLAIN = ("--tls-verify", "false")


def test_an_update_and_its_base_wherever_they_are(
    stxb: Stxb, images: Images, base_image: ImageReference, registry_base: ImageReference, registry: Registry
) -> None:
    folder = stxb.folder
    old = make_wheel(folder / "1", "stx-told", "1.0")
    new = make_wheel(folder / "2", "stx-told", "2.0")
    name = base_image.name
    stxb.update("--from", base_image, "--wheel", old, "--tag", "told.1")
    deb = make_deb(folder, "stx-package", "1.5")
    stxb.update("--from", f"{name}:told.1", "--wheel", new, "--pkg", deb, "--tag", "told.2", "--label", "color=green|`")
    layout = f"oci:{folder}/layout:2"
    images.runner.run(["skopeo", "copy", "--quiet", f"containers-storage:{name}:told.2", layout])

    # Another test may have pulled the base under its own name; files of the store lack devices, which layers have.
    remote = f"{registry.address}/told/base:1"
    flags = ("--src-tls-verify=false", "--dest-tls-verify=false")
    images.runner.run(["skopeo", "copy", "--quiet", *flags, f"docker://{registry_base}", f"docker://{remote}"])

    told = stxb.done("diff", remote, layout, "--files", "--format", "json", *PLAIN).json
    assert not told["same"]
    assert told["shared_layers"] == len(told["before"]["layers"]) == len(told["after"]["layers"]) - 2
    assert told["packages"]["python"] == [{"name": "stx-told", "before": None, "after": "2.0"}]
    assert told["packages"]["deb"] == [{"name": "stx-package:all", "before": None, "after": "1.5"}]
    assert {"name": "Labels.color", "before": None, "after": "green|`"} in told["settings"]
    paths = {change["name"]: change for change in told["files"]}
    assert paths["/usr/share/stx-package/stx-package.txt"]["before"] is None
    assert paths["/var/lib/dpkg/status"]["after"].startswith("file 0644 0:0, ")
    assert not [path for path in paths if path.startswith(("/usr/bin/", "/etc/"))]

    # The local store's images first; the two ways of looking agree.
    here = stxb.done("diff", base_image, f"{name}:told.2", "--files", "--format", "json").json
    assert [here[key] for key in ("packages", "files")] == [told[key] for key in ("packages", "files")]
    shown = stxb.done("diff", f"{name}:told.1", f"{name}:told.2").out
    assert "~ stx-told 1.0 → 2.0\n" in shown
    assert "+ stx-package:all 1.5\n" in shown
    assert stxb.done("diff", base_image, base_image).out.endswith("they are the same image\n")
    review = stxb.done("diff", f"{name}:told.1", f"{name}:told.2", "--format", "markdown").out
    assert "| `stx-told` | `1.0` | `2.0` |\n" in review
    assert "| `Labels.color` |  | `green\\|'` |\n" in review

    layers = stxb.done("history", f"{name}:told.2", "--format", "json").json
    assert [layer["update"] for layer in layers[:3]] == [
        ["stx-package_1.5_all.deb", "stx-told==2.0"],
        ["stx-told==1.0"],
        None,
    ]
    table = stxb.done("history", layout).out.splitlines()
    assert table[1].endswith("stxb update stx-package_1.5_all.deb stx-told==2.0")
    assert table[-1].startswith("updates of ")
    images.runner.run(["buildah", "rmi", f"{name}:told.2", f"{name}:told.1"])


def test_what_is_nowhere(stxb: Stxb, registry: Registry) -> None:
    ended = stxb.run("history", f"{registry.address}/nothing/here:1", *PLAIN)
    assert (ended.status, ended.out) == (2, "")
    assert "there is no image" in ended.err
    assert stxb.run("diff", "oci:nowhere", "oci:nowhere").status == 2
