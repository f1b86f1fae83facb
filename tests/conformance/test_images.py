# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from stxbuildah.job.imagescan import read_directives_file, select_images
from stxbuildah.model.imagebuild import SelectionRequest

MISSING = "upstream/debian_stable_docker_images.inc:1:1: openstack/python-platformclients: there is no such folder"


def test_real_directive_files_are_without_mistakes_and_say_what_bash_says(corpus: Path) -> None:
    cases = json.loads((corpus / "directives.expected.json").read_text(encoding="utf-8"))
    assert cases
    for case in cases:
        found = read_directives_file(corpus / case["path"])
        assert found.problems == (), case["path"]
        assert dict(found.keys) == {key: case["raw"][key] for key in case["set_keys"]}, case["path"]
        assert found.directives is not None
        assert found.directives.builder.value == case["raw"]["BUILDER"]
        assert found.directives.label == case["raw"]["LABEL"]
        assert found.directives.post_build.customization == case["raw"]["CUSTOMIZATION"]


def test_the_images_of_the_tree(corpus: Path) -> None:
    tree = corpus / "tree"
    for roots in ((tree,), tuple(sorted(tree.iterdir()))):
        selection = select_images(SelectionRequest(roots=roots, os="debian", codename="trixie"))
        assert {image.label: str(image.file.parent.relative_to(tree)) for image in selection.built} == {
            "rvmc": "metal/tools/rvmc/debian/trixie",
            "stx-fm-rest-api": "fault/fm-rest-api/debian/all",
            "stx-mariadb": "integ/database/mariadb/debian/trixie",
            "stx-nova-api-proxy": "nfv/nova-api-proxy/debian/all",
            "stx-ovs": "integ/networking/openvswitch/debian/trixie",
        }
        (problem,) = selection.problems
        assert str(problem).startswith(f"{tree}/{MISSING}")
